//! From token ids back to text, one token at a time. The same chain of stages serves the whole decode and the
//! streaming one, so that the two cannot differ; each stage holds back only what later tokens could still change.

use super::Tokenizer;
use super::bytes::{byte_of, byte_of_token};
use crate::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// One step from tokens to text. What leaves a stage is final.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Replaces a string inside every token.
    Replace { from: String, to: String },
    /// Turns the marker of a word's beginning into a space, but not in the first token where `trim_first`.
    Metaspace { marker: char, trim_first: bool },
    /// Puts a space before every token but the first and those that go on with a word, which `prefix` marks; `cleanup`
    /// takes the spaces before English punctuation and contractions out again.
    WordPiece { prefix: String, cleanup: bool, first: bool },
    /// Joins a run of byte tokens, if the whole run is UTF-8; otherwise every byte of it is a replacement character.
    /// A run is therefore held until it ends or can no longer be UTF-8.
    ByteFallback { run: Vec<u8>, checked: usize, broken: bool },
    /// Joins all tokens of the byte-level alphabet to one run of bytes and reads it as UTF-8.
    ByteLevel { held: Vec<u8> },
    /// As `ByteLevel` for sentencepiece: `▁` is a space, `<0x0A>` a byte, everything else the token's own bytes.
    Sentencepiece { held: Vec<u8> },
    /// Cuts up to `left` and `right` characters off both ends of every token.
    Strip { content: char, left: usize, right: usize },
    /// Cuts up to `left` characters off the beginning of the text.
    StripText { content: char, left: usize },
    /// Puts a space between tokens: what a tokenizer without a decoder does.
    Join { first: bool },
    /// sentencepiece's pieces by their names, and special tokens with a space after each; the whole is trimmed.
    Pieces(Pieces),
}

/// A token that is not the text it is called by.
#[derive(Debug, Clone)]
pub(super) enum Odd {
    /// Not one of sentencepiece's.
    Special,
    Silent,
    Shown(String),
    Byte(u8),
}

/// The pieces of a text so far.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    odd: Arc<HashMap<String, Odd>>,
    /// Whether a space before the first piece is not part of the text; whether none of several is.
    trims: bool,
    trims_all: bool,
    /// Bytes of a run of byte pieces.
    run: Vec<u8>,
    /// Whether sentencepiece has shown something since the last special token, and whether it has taken its space away.
    shown: bool,
    trimmed: bool,
    /// Whether there is any text yet, and the spaces that end it, which go if nothing follows.
    begun: bool,
    spaces: String,
}

impl Pieces {
    fn push(&mut self, token: &str) -> String {
        let odd = Arc::clone(&self.odd);
        let odd = odd.get(token);
        if let Some(Odd::Byte(byte)) = odd {
            self.run.push(*byte);
            return String::new();
        }
        let mut text = self.bytes();
        if let Some(Odd::Special) = odd {
            (self.shown, self.trimmed) = (false, false);
            return text + &self.pass(&format!("{token} "));
        }
        let first = self.trims && !(self.trimmed || self.shown);
        self.trimmed = false;
        let shown = match odd {
            Some(Odd::Shown(surface)) => surface.clone(),
            Some(_) => String::new(),
            None => {
                let rest = token.strip_prefix('▁').filter(|_| first);
                self.trimmed = rest.is_some() && !self.trims_all;
                rest.unwrap_or(token).replace('▁', " ")
            }
        };
        self.shown |= !shown.is_empty();
        text += &self.pass(&shown);
        text
    }

    /// What a run of byte pieces says: what cannot be UTF-8 is a replacement character a byte.
    fn bytes(&mut self) -> String {
        let run = std::mem::take(&mut self.run);
        let mut text = String::new();
        for chunk in run.utf8_chunks() {
            text.push_str(chunk.valid());
            text.push_str(&replacements(chunk.invalid().len()));
        }
        self.shown |= !text.is_empty();
        self.pass(&text)
    }

    /// Lets a text pass without spaces before the first letter and after the last.
    fn pass(&mut self, text: &str) -> String {
        // Python's strip takes these separators for spaces as well.
        let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
        let text = if self.begun { text } else { text.trim_start_matches(is_space) };
        let body = text.trim_end_matches(is_space);
        if body.is_empty() {
            if self.begun {
                self.spaces.push_str(text);
            }
            return String::new();
        }
        self.begun = true;
        let before = std::mem::replace(&mut self.spaces, text[body.len()..].to_string());
        before + body
    }
}

impl Stage {
    pub(super) fn byte_fallback() -> Self {
        Self::ByteFallback { run: Vec::new(), checked: 0, broken: false }
    }

    pub(super) fn byte_level() -> Self {
        Self::ByteLevel { held: Vec::new() }
    }

    pub(super) fn pieces(odd: Arc<HashMap<String, Odd>>, trims: bool, trims_all: bool) -> Self {
        let (run, shown, trimmed, begun, spaces) = (Vec::new(), false, false, false, String::new());
        Self::Pieces(Pieces { odd, trims, trims_all, run, shown, trimmed, begun, spaces })
    }

    /// Takes one token and gives what can be said for certain.
    fn push(&mut self, token: String, out: &mut Vec<String>) {
        match self {
            Self::Replace { from, to } => out.push(token.replace(from.as_str(), to)),
            Self::Metaspace { marker, trim_first } => {
                let space = if *trim_first { "" } else { " " };
                *trim_first = false;
                out.push(token.replace(*marker, space));
            }
            Self::WordPiece { prefix, cleanup, first } => {
                let token = match (std::mem::take(first), token.strip_prefix(prefix.as_str())) {
                    (true, _) => token,
                    (false, Some(rest)) => rest.to_string(),
                    (false, None) => format!(" {token}"),
                };
                out.push(if *cleanup { cleaned(token) } else { token });
            }
            Self::ByteFallback { run, checked, broken } => match byte_of_token(&token) {
                Some(_) if *broken => out.push(char::REPLACEMENT_CHARACTER.to_string()),
                Some(byte) => {
                    run.push(byte);
                    match std::str::from_utf8(run.get(*checked..).unwrap_or_default()) {
                        Ok(_) => *checked = run.len(),
                        Err(e) if e.error_len().is_none() => *checked += e.valid_up_to(),
                        Err(_) => {
                            out.push(replacements(run.len()));
                            run.clear();
                            *broken = true;
                        }
                    }
                }
                None => {
                    self.finish(out);
                    out.push(token);
                }
            },
            Self::ByteLevel { held } => {
                let start = held.len();
                for c in token.chars() {
                    match byte_of(c) {
                        Some(byte) => held.push(byte),
                        None => {
                            // A token with any other character is not of this alphabet at all.
                            held.truncate(start);
                            held.extend_from_slice(token.as_bytes());
                            break;
                        }
                    }
                }
                out.push(take_complete(held));
            }
            Self::Sentencepiece { held } => {
                match byte_of_token(&token) {
                    Some(byte) => held.push(byte),
                    None => held.extend_from_slice(token.replace('▁', " ").as_bytes()),
                }
                out.push(take_complete(held));
            }
            Self::Strip { content, left, right } => {
                let mut rest = token.as_str();
                for _ in 0..*left {
                    rest = rest.strip_prefix(*content).unwrap_or(rest);
                }
                for _ in 0..*right {
                    rest = rest.strip_suffix(*content).unwrap_or(rest);
                }
                out.push(rest.to_string());
            }
            Self::StripText { content, left } => {
                let mut rest = token.as_str();
                while *left > 0 && !rest.is_empty() {
                    match rest.strip_prefix(*content) {
                        Some(cut) => (rest, *left) = (cut, *left - 1),
                        None => *left = 0,
                    }
                }
                out.push(rest.to_string());
            }
            Self::Pieces(pieces) => out.push(pieces.push(&token)),
            Self::Join { first } => {
                out.push(if *first { token } else { format!(" {token}") });
                *first = false;
            }
        }
    }

    /// Gives what was held back: no further token can change it.
    fn finish(&mut self, out: &mut Vec<String>) {
        match self {
            Self::ByteFallback { run, checked, broken } => {
                if !run.is_empty() {
                    let len = run.len();
                    out.push(String::from_utf8(std::mem::take(run)).unwrap_or_else(|_| replacements(len)));
                }
                (*checked, *broken) = (0, false);
            }
            Self::Pieces(pieces) => out.push(pieces.bytes()),
            Self::ByteLevel { held } | Self::Sentencepiece { held } if !held.is_empty() => {
                out.push(String::from_utf8_lossy(held).into_owned());
                held.clear();
            }
            _ => {}
        }
    }
}

/// The bytes a token stands for, apart from what surrounds it: no space is trimmed and no run is joined.
pub(super) fn bytes_of(stages: &[Stage], token: &str) -> Vec<u8> {
    let mut token = token.to_string();
    for stage in stages {
        match stage {
            Stage::Replace { from, to } => token = token.replace(from.as_str(), to),
            Stage::Metaspace { marker, .. } => token = token.replace(*marker, " "),
            Stage::WordPiece { prefix, .. } => {
                token = token.strip_prefix(prefix.as_str()).map(str::to_string).unwrap_or(token);
            }
            Stage::ByteFallback { .. } => {
                if let Some(byte) = byte_of_token(&token) {
                    return vec![byte];
                }
            }
            Stage::ByteLevel { .. } => {
                let bytes: Option<Vec<u8>> = token.chars().map(byte_of).collect();
                return bytes.unwrap_or_else(|| token.into_bytes());
            }
            Stage::Sentencepiece { .. } => {
                return byte_of_token(&token).map_or_else(|| token.replace('▁', " ").into_bytes(), |byte| vec![byte]);
            }
            Stage::Pieces(pieces) => match pieces.odd.get(&token) {
                Some(Odd::Byte(byte)) => return vec![*byte],
                Some(Odd::Silent) => token.clear(),
                Some(Odd::Shown(surface)) => token.clone_from(surface),
                Some(Odd::Special) => {}
                None => token = token.replace('▁', " "),
            },
            Stage::Strip { .. } | Stage::StripText { .. } | Stage::Join { .. } => {}
        }
    }
    token.into_bytes()
}

/// What the `cleanup` of the `tokenizers` crate does to a token, in its order.
fn cleaned(token: String) -> String {
    const PAIRS: [(&str, &str); 11] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" do not", " don't"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    PAIRS.into_iter().fold(token, |token, (from, to)| token.replace(from, to))
}

fn replacements(count: usize) -> String {
    std::iter::repeat_n(char::REPLACEMENT_CHARACTER, count).collect()
}

/// Takes from `bytes` all that is complete; what can never become a character is a replacement character, and the
/// beginning of one that still can stays.
fn take_complete(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut taken = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        taken += chunk.valid().len();
        let invalid = chunk.invalid();
        let at_end = taken + invalid.len() == bytes.len();
        let incomplete = at_end && std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
        if incomplete {
            break;
        }
        if !invalid.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            taken += invalid.len();
        }
    }
    bytes.drain(..taken);
    text
}

/// A chain of stages in the midst of a text.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    stages: Vec<Stage>,
}

impl Decoder {
    pub(super) fn new(stages: &[Stage]) -> Self {
        Self { stages: stages.to_vec() }
    }

    /// The text that is certain once `token` has come.
    pub(super) fn push(&mut self, token: String) -> String {
        self.run(0, vec![token])
    }

    /// All that was held back.
    pub(super) fn finish(&mut self) -> String {
        let mut text = String::new();
        for at in 0..self.stages.len() {
            let mut held = Vec::new();
            if let Some(stage) = self.stages.get_mut(at) {
                stage.finish(&mut held);
            }
            text.push_str(&self.run(at + 1, held));
        }
        text
    }

    fn run(&mut self, from: usize, mut tokens: Vec<String>) -> String {
        for stage in self.stages.iter_mut().skip(from) {
            let mut out = Vec::with_capacity(tokens.len());
            tokens.into_iter().for_each(|token| stage.push(token, &mut out));
            tokens = out;
        }
        tokens.concat()
    }
}

/// Decodes token by token: the concatenation of everything it gives is the decode of all ids. It never gives half a
/// character, and a token costs the same however long the text is.
#[derive(Clone)]
pub struct StreamDecoder {
    tokenizer: Tokenizer,
    decoder: Decoder,
    skip_special_tokens: bool,
    /// Text of the prompt that the decoder still holds back but the prompt's own decode has already shown.
    shown: String,
}

impl StreamDecoder {
    pub(super) fn new(tokenizer: Tokenizer, prompt: &[u32], skip_special_tokens: bool) -> Self {
        let decoder = tokenizer.decoder();
        let mut stream = Self { tokenizer, decoder, skip_special_tokens, shown: String::new() };
        for &id in prompt {
            stream.decode(id);
        }
        stream.shown = stream.decoder.clone().finish();
        stream
    }

    /// The text that is complete with this token; empty while a character is not.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let text = self.decode(id);
        Ok(self.unseen(text))
    }

    /// What was held back: only an unfinished character, as U+FFFD, or a run of byte tokens.
    pub fn finish(&mut self) -> String {
        let text = self.decoder.finish();
        self.unseen(text)
    }

    fn decode(&mut self, id: u32) -> String {
        match self.tokenizer.token_to_decode(id, self.skip_special_tokens) {
            Some(token) => self.decoder.push(token),
            None => String::new(),
        }
    }

    fn unseen(&mut self, text: String) -> String {
        if text.is_empty() {
            return text;
        }
        let shown = std::mem::take(&mut self.shown);
        text.strip_prefix(shown.as_str()).map(str::to_string).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(stages: &[Stage], tokens: &[&str]) -> (Vec<String>, String) {
        let mut decoder = Decoder::new(stages);
        let parts: Vec<String> = tokens.iter().map(|t| decoder.push(t.to_string())).collect();
        (parts, decoder.finish())
    }

    #[test]
    fn bytes_wait_for_their_character() {
        let (parts, rest) = stream(&[Stage::byte_level()], &["a", "ä", "½", "ł", "!"]);
        assert_eq!((parts.join("|"), rest.as_str()), ("a|||你".to_string() + "|!", ""));
        let (parts, rest) = stream(&[Stage::byte_level()], &["ä", "½", "a", "ÿ", "ð"]);
        assert_eq!((parts.join("|"), rest.as_str()), ("||\u{FFFD}a|\u{FFFD}|".to_string(), "\u{FFFD}"));
    }

    #[test]
    fn a_run_of_byte_tokens_stands_or_falls_together() {
        let chain = [Stage::byte_fallback(), Stage::StripText { content: ' ', left: 1 }];
        let (parts, rest) = stream(&chain, &[" ", " x", "<0xE4>", "<0xBD>", "<0xA0>", "y"]);
        assert_eq!((parts.join("|"), rest.as_str()), ("| x||||你y".to_string(), ""));
        let (parts, rest) = stream(&chain, &["<0x41>", "<0xFF>", "<0x42>", "z", "<0x43>"]);
        assert_eq!((parts.join("|"), rest.as_str()), ("|\u{FFFD}\u{FFFD}|\u{FFFD}|z|".to_string(), "C"));
    }
}
