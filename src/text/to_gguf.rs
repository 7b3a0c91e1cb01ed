//! Hugging Face tokenizers as `tokenizer.ggml.*` metadata. What comes out is read back and compared with the original
//! on many texts: a vocabulary that GGUF cannot say exactly is refused, never written nearly.

use super::bytes::{byte_of_token, letter_of};
use super::document::MergeList;
use super::gguf::{Kind, LLAMA3, is_llama3};
use super::split::GPT2;
use super::{Model, Slot, Tokenizer, bad, gguf, hub, unsupported};
use crate::Result;
use crate::files::Files;
use crate::weights::Value as Pair;
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The metadata of a tokenizer.
pub struct GgufVocabulary {
    pub pairs: Vec<(String, Pair)>,
    /// In words, what GGUF cannot say of it; none of it changes the tokens of ordinary text.
    pub notes: Vec<String>,
}

/// The metadata of the tokenizer among `files`, for a model of `vocab_size` tokens; `bos` and `eos` are what the model's
/// own configuration names.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) naming what GGUF cannot say, and those of reading a tokenizer.
pub fn to_gguf(files: &mut Files, bos: Option<u32>, eos: &[u32], vocab_size: usize) -> Result<GgufVocabulary> {
    let document = hub::document(files)?;
    let tokenizer = Tokenizer::from_files(files)?;
    let mut out =
        Draft { tokenizer: &tokenizer, document: &document, vocab_size, pairs: Vec::new(), notes: Vec::new() };
    out.normalizer()?;
    let model = document.get("model").unwrap_or(&Value::Null);
    let cuts = steps(document.get("pre_tokenizer"), "pretokenizers");
    if cuts.iter().any(|step| is(step, "ByteLevel")) {
        out.byte_level(model)?;
    } else if cuts.iter().any(|step| is(step, "Split")) {
        out.spelled_out(model)?;
    } else {
        out.sentencepiece(model)?;
    }
    out.ends(bos, eos)?;
    let Draft { pairs, notes, .. } = out;
    super::compare::same(&tokenizer, &gguf::read_back(&pairs)?, "tokenizer.json", "GGUF")?;
    Ok(GgufVocabulary { pairs, notes })
}

struct Draft<'a> {
    tokenizer: &'a Tokenizer,
    document: &'a Value,
    vocab_size: usize,
    pairs: Vec<(String, Pair)>,
    notes: Vec<String>,
}

impl Draft<'_> {
    fn push(&mut self, key: &str, value: Pair) {
        self.pairs.push((format!("tokenizer.ggml.{key}"), value));
    }

    /// Composing (NFC) is left out, as llama.cpp's converter does: text as keyboards write it is composed already.
    fn normalizer(&mut self) -> Result<()> {
        for step in steps(self.document.get("normalizer"), "normalizers") {
            match kind(step) {
                "NFC" => self.notes.push("NFC is left out: GGUF files do not compose characters".to_string()),
                "Prepend" if text(step, "prepend") == "▁" => {}
                "Replace" if is_space_marker(step) => {}
                other => return Err(cannot("the tokenizer's normalizer", "none, NFC or the marking of spaces", other)),
            }
        }
        Ok(())
    }

    /// GPT-2's kind: merges over the byte-level alphabet.
    fn byte_level(&mut self, model: &Value) -> Result<()> {
        let merges = self.merges(model)?;
        let pre = pre(self.document, model)?;
        if steps(self.document.get("decoder"), "decoders").iter().any(|step| !is(step, "ByteLevel")) {
            return Err(cannot("the tokenizer's decoder", "ByteLevel", "others"));
        }
        let tokens = self.tokens(|_, token| Ok(token.to_string()))?;
        self.gpt2(pre, tokens, merges.iter().map(|(left, right)| format!("{left} {right}")).collect());
        Ok(())
    }

    /// Merges over characters, or characters alone, in words that an expression cuts: the same in the byte-level
    /// alphabet, once merges have put the bytes of each character together.
    fn spelled_out(&mut self, model: &Value) -> Result<()> {
        let merges = self.merges(model)?;
        let pre = pre(self.document, model)?;
        if steps(self.document.get("decoder"), "decoders").iter().map(|step| kind(step)).ne(["Fuse"]) {
            return Err(cannot("the tokenizer's decoder", "Fuse", "another"));
        }
        let spelled = |token: &str| token.bytes().map(letter_of).collect::<String>();
        let mut lines = Vec::new();
        let mut known = HashSet::new();
        let ids = 0..self.vocab_size as u32;
        for token in ids.filter(|id| !self.is_added(*id)).filter_map(|id| self.tokenizer.token(id)) {
            for letters in token.chars().map(|c| spelled(c.encode_utf8(&mut [0; 4]))) {
                // The place of each letter but the first.
                for (at, letter) in letters.char_indices().skip(1) {
                    let (left, right) = (letters.get(..at).unwrap_or_default(), letter);
                    if known.insert(format!("{left}{right}")) {
                        lines.push(format!("{left} {right}"));
                    }
                }
            }
        }
        lines.extend(merges.iter().map(|(left, right)| format!("{} {}", spelled(left), spelled(right))));
        let tokens = self.tokens(|id, token| Ok(if self.is_added(id) { token.to_string() } else { spelled(token) }))?;
        self.gpt2(pre, tokens, lines);
        if let Some(id) = self.unknown(model) {
            self.push("unknown_token_id", Pair::U32(id));
        }
        self.notes.push("characters outside the vocabulary are left out of a text, not read as unknown".to_string());
        Ok(())
    }

    fn gpt2(&mut self, pre: &str, tokens: Vec<String>, merges: Vec<String>) {
        let kinds = self.kinds(&[], None);
        self.push("model", "gpt2".into());
        self.push("pre", pre.into());
        self.push("tokens", Pair::Strings(tokens));
        self.push("token_type", Pair::I32s(kinds));
        self.push("merges", Pair::Strings(merges));
    }

    fn unknown(&self, model: &Value) -> Option<u32> {
        model.get("unk_token").and_then(Value::as_str).and_then(|token| self.id(token))
    }

    fn is_added(&self, id: u32) -> bool {
        matches!(&self.tokenizer.inner.model, Model::Pipeline(pipeline) if pipeline.is_added(id))
    }

    /// Merges over characters, spaces among them: sentencepiece's kind, in which a token's score is its turn.
    fn sentencepiece(&mut self, model: &Value) -> Result<()> {
        let marks_spaces = steps(self.document.get("normalizer"), "normalizers").iter().any(|s| is_space_marker(s))
            || steps(self.document.get("pre_tokenizer"), "pretokenizers").iter().any(|step| is(step, "Metaspace"));
        let merges = self.merges(model)?;
        let marked = |_: u32, token: &str| match (marks_spaces, token.contains('▁')) {
            (false, true) => Err(cannot("a vocabulary with ▁ and spaces", "one of the two", token)),
            (false, false) => Ok(token.replace(' ', "▁")),
            (true, _) => Ok(token.to_string()),
        };
        let unknown = self.unknown(model);
        let bytes = model.get("byte_fallback").and_then(Value::as_bool) == Some(true);
        let byte_ids: Vec<u32> = if bytes {
            (0..self.vocab_size as u32)
                .filter(|id| self.tokenizer.token(*id).is_some_and(|token| byte_of_token(&token).is_some()))
                .collect()
        } else {
            self.notes.push("text with characters outside the vocabulary make llama.cpp stop".to_string());
            Vec::new()
        };
        let scores = self.scores(&merges)?;
        let tokens = self.tokens(marked)?;
        let kinds = self.kinds(&byte_ids, unknown);
        self.push("model", "llama".into());
        self.push("pre", "default".into());
        self.push("tokens", Pair::Strings(tokens));
        self.push("scores", Pair::F32s(scores));
        self.push("token_type", Pair::I32s(kinds));
        let prefix = self.adds_space_prefix();
        self.push("add_space_prefix", Pair::Bool(prefix));
        if let Some(id) = unknown {
            self.push("unknown_token_id", Pair::U32(id));
        }
        Ok(())
    }

    /// Whether a space is put before a text.
    fn adds_space_prefix(&self) -> bool {
        let metaspace = |step: &&Value| {
            is(step, "Metaspace")
                && text(step, "prepend_scheme") != "never"
                && step.get("add_prefix_space") != Some(&Value::Bool(false))
        };
        steps(self.document.get("normalizer"), "normalizers").iter().any(|step| is(step, "Prepend"))
            || steps(self.document.get("pre_tokenizer"), "pretokenizers").iter().any(metaspace)
    }

    fn id(&self, token: &str) -> Option<u32> {
        match &self.tokenizer.inner.model {
            Model::Pipeline(pipeline) => pipeline.token_to_id(token),
            Model::Sentencepiece(_) | Model::Marian(_) => None,
        }
    }

    /// The merges of a BPE model that does nothing GGUF cannot say.
    fn merges(&self, model: &Value) -> Result<Vec<(String, String)>> {
        if !matches!(kind(model), "BPE" | "") {
            return Err(cannot("the tokenizer's model", "BPE", kind(model)));
        }
        for option in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if !text(model, option).is_empty() {
                return Err(cannot(&format!("the tokenizer's {option}"), "none", text(model, option)));
            }
        }
        let Some(merges) = model.get("merges") else { return Ok(Vec::new()) };
        let merges = MergeList::deserialize(merges);
        merges.map(|MergeList(merges)| merges).map_err(|error| bad("a list of merges", &error.to_string()))
    }

    /// Every token by its id; ids that name none are filled up, as llama.cpp's converter does.
    fn tokens(&self, write: impl Fn(u32, &str) -> Result<String>) -> Result<Vec<String>> {
        let mut seen = HashSet::with_capacity(self.vocab_size);
        let mut tokens = Vec::with_capacity(self.vocab_size);
        for id in 0..self.vocab_size as u32 {
            let token = match self.tokenizer.token(id) {
                Some(token) => write(id, &token)?,
                None => format!("[PAD{id}]"),
            };
            if !seen.insert(token.clone()) {
                return Err(bad("every token once", &format!("{token:?} again, as {id}")));
            }
            tokens.push(token);
        }
        Ok(tokens)
    }

    fn kinds(&self, bytes: &[u32], unknown: Option<u32>) -> Vec<i32> {
        let kind = |id: u32| match id {
            id if unknown == Some(id) => Kind::Unknown,
            id if bytes.binary_search(&id).is_ok() => Kind::Byte,
            id if self.tokenizer.token(id).is_none() => Kind::Unused,
            id if self.tokenizer.is_special(id) => Kind::Control,
            id if self.is_added(id) => Kind::UserDefined,
            _ => Kind::Normal,
        };
        (0..self.vocab_size as u32).map(|id| kind(id).number()).collect()
    }

    /// The turn of each token in sentencepiece's order: minus the place of the merge that makes it.
    ///
    /// Sentencepiece joins any two neighbours that make a token; a merge list names the pairs. They agree only if every
    /// way to cut a token in two tokens is a merge, and those of one token follow each other.
    fn scores(&self, merges: &[(String, String)]) -> Result<Vec<f32>> {
        let mut scores = vec![0f32; self.vocab_size];
        let mut place = HashMap::with_capacity(merges.len());
        let mut turn = 0u32;
        let mut current = String::new();
        for (left, right) in merges {
            let merged = format!("{left}{right}");
            if merged != current {
                turn += 1;
                current.clone_from(&merged);
                if place.insert(merged.clone(), turn).is_some() {
                    return Err(inexact(&merged, "it is merged in two places of the list"));
                }
            }
            if let Some(slot) = self.id(&merged).and_then(|id| scores.get_mut(id as usize)) {
                *slot = -(turn as f32);
            }
        }
        let pairs: HashSet<(&str, &str)> = merges.iter().map(|(l, r)| (l.as_str(), r.as_str())).collect();
        for merged in (0..self.vocab_size as u32).filter_map(|id| self.tokenizer.token(id)) {
            if byte_of_token(&merged).is_some() || self.id(&merged).is_some_and(|id| self.tokenizer.is_special(id)) {
                continue;
            }
            for (at, _) in merged.char_indices().skip(1) {
                let (left, right) = merged.split_at(at);
                if self.id(left).is_some() && self.id(right).is_some() && !pairs.contains(&(left, right)) {
                    return Err(inexact(&merged, &format!("{left:?} and {right:?} are tokens but no merge")));
                }
            }
        }
        Ok(scores)
    }

    /// The first and last tokens, and whether they are put around a text.
    fn ends(&mut self, bos: Option<u32>, eos: &[u32]) -> Result<()> {
        let (first, last) = match self.tokenizer.inner.template.as_slice() {
            [Slot::Text] => (None, None),
            [Slot::Token(first), Slot::Text] => (Some(*first), None),
            [Slot::Text, Slot::Token(last)] => (None, Some(*last)),
            [Slot::Token(first), Slot::Text, Slot::Token(last)] => (Some(*first), Some(*last)),
            other => {
                let found = format!("{} tokens", other.len().saturating_sub(1));
                return Err(cannot("what the tokenizer puts around a text", "a token before and one after it", &found));
            }
        };
        if let (Some(last), Some(eos)) = (last, eos.first())
            && last != *eos
        {
            return Err(cannot("the token after a text", &format!("the model's end token {eos}"), &last.to_string()));
        }
        if let Some(bos) = first.or(bos).or(self.tokenizer.bos_token_id()) {
            self.push("bos_token_id", Pair::U32(bos));
        }
        match last.or(eos.first().copied()).or(self.tokenizer.eos_token_id()) {
            Some(eos) => self.push("eos_token_id", Pair::U32(eos)),
            None => self.notes.push("no token ends a text: llama.cpp will take one of its own choice".to_string()),
        }
        if let Some(second) = eos.get(1) {
            self.push("eot_token_id", Pair::U32(*second));
            self.notes.push(format!("of the model's {} end tokens GGUF keeps the first two", eos.len()));
        }
        self.push("add_bos_token", Pair::Bool(first.is_some()));
        self.push("add_eos_token", Pair::Bool(last.is_some()));
        Ok(())
    }
}

/// The name llama.cpp has for the way a byte-level tokenizer cuts text.
fn pre(document: &Value, model: &Value) -> Result<&'static str> {
    let mut expressions = Vec::new();
    let flag = |step: &Value, name: &str, default| step.get(name).and_then(Value::as_bool).unwrap_or(default);
    for step in steps(document.get("pre_tokenizer"), "pretokenizers") {
        let whole = text(step, "behavior") == "Isolated" && !flag(step, "invert", false)
            || text(step, "behavior") == "Removed" && flag(step, "invert", false);
        let regex = step.get("pattern").and_then(|pattern| pattern.get("Regex")).and_then(Value::as_str);
        match (kind(step), regex) {
            ("ByteLevel", _) if flag(step, "add_prefix_space", true) => {
                return Err(cannot("the tokenizer's add_prefix_space", "false", "true"));
            }
            ("ByteLevel", _) if flag(step, "use_regex", true) => expressions.push(GPT2.to_string()),
            ("ByteLevel", _) => {}
            ("Digits", _) if flag(step, "individual_digits", false) => expressions.push(r"\p{N}".to_string()),
            ("Split", Some(regex)) if whole => {
                // As llama.cpp writes it, without a flag inside.
                let contractions = LLAMA3.split_once("|[^").map_or("", |(contractions, _)| contractions);
                expressions.push(regex.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", contractions));
            }
            (other, _) => {
                return Err(cannot(
                    "the tokenizer's pre-tokenizer",
                    "ByteLevel, Digits or Split by an expression",
                    other,
                ));
            }
        }
    }
    let whole_words = model.get("ignore_merges").and_then(Value::as_bool).unwrap_or(false);
    const NAMES: [&str; 8] =
        ["gpt-2", "llama-bpe", "dbrx", "qwen2", "smollm", "falcon", "deepseek-llm", "deepseek-coder"];
    for name in NAMES {
        if is_llama3(name) == whole_words && gguf::expressions(Some(name))? == expressions.as_slice() {
            return Ok(name);
        }
    }
    let found = if expressions.is_empty() { "no expression".to_string() } else { expressions.join(", then ") };
    Err(cannot("the expression that cuts text into words", &NAMES.map(|n| format!("that of {n}")).join(", "), &found))
}

/// The parts of a normalizer, pre-tokenizer or decoder, whether it is a sequence or one of its own.
fn steps<'a>(part: Option<&'a Value>, list: &str) -> Vec<&'a Value> {
    match part {
        None | Some(Value::Null) => Vec::new(),
        Some(part) if is(part, "Sequence") => {
            let parts = part.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            parts.iter().flat_map(|part| steps(Some(part), list)).collect()
        }
        Some(part) => vec![part],
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn kind(value: &Value) -> &str {
    text(value, "type")
}

fn is(value: &Value, name: &str) -> bool {
    kind(value) == name
}

/// A normalizer that makes spaces ▁.
fn is_space_marker(step: &Value) -> bool {
    let from = step.get("pattern").map(|pattern| text(pattern, "String"));
    is(step, "Replace") && from == Some(" ") && text(step, "content") == "▁"
}

fn cannot(what: &str, expected: &str, found: &str) -> crate::Error {
    unsupported(&format!("{what} in a GGUF file"), expected, found)
}

fn inexact(token: &str, why: &str) -> crate::Error {
    let expected = "merges in sentencepiece's order, or a byte-level vocabulary";
    cannot("this vocabulary", expected, &format!("token {token:?}, of which {why}"))
}
