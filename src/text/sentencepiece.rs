//! The sentencepiece tokenizer of GGUF files: neighbouring symbols are joined, the pair whose token scores highest
//! first and the leftmost among equals, until no pair is a token. Merge ranks as the `tokenizers` crate has them cannot
//! say this, because different pairs that make tokens of one score are of one rank.

use super::bytes::byte_of_token;
use super::gguf::Kind;
use super::{Piece, bad};
use crate::Result;
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

/// The character that stands for a space.
const SPACE: &str = "▁";

pub(super) struct Sentencepiece {
    tokens: Vec<(String, Kind)>,
    scores: Vec<f32>,
    ids: HashMap<String, u32>,
    /// The token of every byte.
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
    /// Tokens looked for in the text before anything else, the longest first.
    whole: Vec<u32>,
    add_space_prefix: bool,
    longest: usize,
}

impl Sentencepiece {
    pub(super) fn new(
        tokens: &[String],
        scores: &[f32],
        kinds: Vec<Kind>,
        unknown: Option<u32>,
        add_space_prefix: bool,
    ) -> Result<Self> {
        if scores.len() != tokens.len() {
            return Err(bad(&format!("{} scores, one for each token", tokens.len()), &scores.len().to_string()));
        }
        if let Some(id) = scores.iter().position(|score| score.is_nan()) {
            return Err(bad("a number as the score of every token", &format!("NaN as that of token {id}")));
        }
        let mut bytes = vec![None; 256];
        let mut ids = HashMap::with_capacity(tokens.len());
        for ((id, token), kind) in tokens.iter().enumerate().zip(&kinds) {
            let byte = byte_of_token(token).filter(|_| *kind == Kind::Byte);
            if let Some(slot) = byte.and_then(|byte| bytes.get_mut(usize::from(byte))) {
                *slot = Some(id as u32);
            }
            ids.insert(token.clone(), id as u32);
        }
        // Files without byte tokens may have the plain character instead.
        for (byte, slot) in (0u8..128).zip(&mut bytes) {
            *slot = slot.or_else(|| ids.get(char::from(byte).encode_utf8(&mut [0; 4]) as &str).copied());
        }
        let is_whole = |kind: &Kind| matches!(kind, Kind::Control | Kind::UserDefined | Kind::Unknown);
        let mut whole: Vec<(Reverse<usize>, u32)> = tokens
            .iter()
            .zip(&kinds)
            .enumerate()
            .filter(|(_, (token, kind))| is_whole(kind) && !token.is_empty())
            .map(|(id, (token, _))| (Reverse(token.len()), id as u32))
            .collect();
        whole.sort();
        Ok(Self {
            longest: tokens.iter().map(String::len).max().unwrap_or(0),
            tokens: tokens.iter().cloned().zip(kinds).collect(),
            scores: scores.to_vec(),
            ids,
            bytes,
            unknown,
            whole: whole.into_iter().map(|(_, id)| id).collect(),
            add_space_prefix,
        })
    }

    pub(super) fn vocab_size(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(|(token, _)| token.as_str())
    }

    pub(super) fn token_to_id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    fn kind(&self, id: u32) -> Option<Kind> {
        self.tokens.get(id as usize).map(|(_, kind)| *kind)
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    pub(super) fn is_special(&self, id: u32) -> bool {
        matches!(self.kind(id), Some(Kind::Control | Kind::Unknown))
    }

    /// The tokens of `text` and their places. With `plain`, special tokens written out are text like any other.
    pub(super) fn encode(&self, text: &str, plain: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut after_special = true;
        for part in self.parts(text, plain) {
            match part {
                Part::Token(piece) => pieces.push(piece),
                Part::Text { start, end } => {
                    let part = text.get(start..end).unwrap_or_default();
                    self.encode_part(part, start, self.add_space_prefix && after_special, &mut pieces);
                }
            }
            after_special = matches!(part, Part::Token(_));
        }
        pieces
    }

    /// Cuts the text at the tokens that are to be found whole.
    fn parts(&self, text: &str, plain: bool) -> Vec<Part> {
        let mut parts = vec![Part::Text { start: 0, end: text.len() }];
        parts.retain(|_| !text.is_empty());
        for &id in &self.whole {
            let Some(token) = self.token(id).filter(|_| !(plain && self.is_special(id))) else { continue };
            if !text.contains(token) {
                continue;
            }
            let mut cut = Vec::with_capacity(parts.len());
            for part in parts {
                let Part::Text { start, end } = part else {
                    cut.push(part);
                    continue;
                };
                let mut from = start;
                for (at, _) in text.get(start..end).unwrap_or_default().match_indices(token) {
                    let at = start + at;
                    if from < at {
                        cut.push(Part::Text { start: from, end: at });
                    }
                    from = at + token.len();
                    cut.push(Part::Token(Piece { id, start: at, end: from }));
                }
                if from < end {
                    cut.push(Part::Text { start: from, end });
                }
            }
            parts = cut;
        }
        parts
    }

    /// Encodes text that holds no special token and lies at `offset`.
    fn encode_part(&self, part: &str, offset: usize, prefix: bool, pieces: &mut Vec<Piece>) {
        let mut escaped = String::with_capacity(part.len() + SPACE.len());
        if prefix {
            escaped.push_str(SPACE);
        }
        part.chars().for_each(|c| match c {
            ' ' => escaped.push_str(SPACE),
            c => escaped.push(c),
        });
        // `escaped` and `part` have the same characters, but for the prefix; only spaces differ in length.
        let mut original = part.chars();
        let mut prefix_left = prefix;
        let mut at = offset;
        for symbol in self.symbols(&escaped) {
            let start = at;
            for _ in symbol.chars() {
                if !std::mem::take(&mut prefix_left) {
                    at += original.next().map_or(0, char::len_utf8);
                }
            }
            match self.ids.get(symbol) {
                Some(&id) => pieces.push(Piece { id, start, end: at }),
                None => {
                    let ids = symbol.bytes().map(|b| self.bytes.get(usize::from(b)).copied().flatten());
                    pieces.extend(ids.filter_map(|id| id.or(self.unknown)).map(|id| Piece { id, start, end: at }));
                }
            }
        }
    }

    /// Joins the characters of `text` to tokens.
    fn symbols<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let ends = text.char_indices().skip(1).map(|(i, _)| i).chain([text.len()]);
        let starts = text.char_indices().map(|(i, _)| i);
        let mut symbols: Vec<Symbol> = starts
            .zip(ends)
            .enumerate()
            .map(|(i, (start, end))| Symbol { start, end, before: i.checked_sub(1), after: Some(i + 1) })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.after = None;
        }
        let mut queue: BinaryHeap<Pair> = BinaryHeap::new();
        for left in 0..symbols.len() {
            queue.extend(self.pair(text, &symbols, Some(left), Some(left + 1)));
        }
        while let Some(pair) = queue.pop() {
            let (Some(&left), Some(&right)) = (symbols.get(pair.left), symbols.get(pair.right)) else { continue };
            // One of the two may have been joined with another since the pair was found.
            if left.is_empty() || right.is_empty() || left.end - left.start + right.end - right.start != pair.len {
                continue;
            }
            if let Some(symbol) = symbols.get_mut(pair.left) {
                (symbol.end, symbol.after) = (right.end, right.after);
            }
            if let Some(symbol) = symbols.get_mut(pair.right) {
                symbol.end = symbol.start;
            }
            if let Some(next) = right.after.and_then(|next| symbols.get_mut(next)) {
                next.before = Some(pair.left);
            }
            queue.extend(self.pair(text, &symbols, left.before, Some(pair.left)));
            queue.extend(self.pair(text, &symbols, Some(pair.left), right.after));
        }
        symbols.iter().filter(|s| !s.is_empty()).filter_map(|s| text.get(s.start..s.end)).collect()
    }

    /// Two neighbours, if together they are a token.
    fn pair(&self, text: &str, symbols: &[Symbol], left: Option<usize>, right: Option<usize>) -> Option<Pair> {
        let (left, right) = (left?, right?);
        let (start, end) = (symbols.get(left)?.start, symbols.get(right)?.end);
        // Nothing that long is a token: without this, a long word would be hashed over and over.
        let joined = text.get(start..end).filter(|joined| joined.len() <= self.longest)?;
        let id = *self.ids.get(joined)?;
        Some(Pair { score: *self.scores.get(id as usize)?, left, right, len: joined.len() })
    }
}

/// A stretch of text on its way through [`Sentencepiece::parts`].
#[derive(Clone, Copy)]
enum Part {
    Text { start: usize, end: usize },
    Token(Piece),
}

/// A stretch of text in a doubly linked list; empty once it has been joined to the one before.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl Symbol {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// Two neighbours that can be joined. `len` tells whether they still are what they were.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    len: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}
