//! Marian's tokenizer as transformers' `MarianTokenizer` has it: a text is cut by `source.spm`, and `vocab.json` numbers the
//! pieces. A language such as `>>fra<<` at the beginning of a text is one token. The punctuation normalizer that transformers
//! recommends (sacremoses) is none of it: no call of the tokenizer uses it.

use super::spm::{Kind, Model, SPACE, Unigram};
use super::stream::{Odd, Stage};
use super::{Piece, Slot, Tokenizer, bad};
use crate::Result;
use crate::abilities::Languages;
use crate::files::Files;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// No such file is larger.
const LIMIT: u64 = 64 << 20;

pub(super) struct Marian {
    source: Unigram,
    ids: HashMap<String, u32>,
    /// What cuts a text that is given as written, and numbers its pieces.
    target: Option<(Unigram, Option<HashMap<String, u32>>)>,
    /// Tokens by id, as they are decoded.
    tokens: BTreeMap<u32, String>,
    /// Looked for in the text before anything else, the longest first.
    added: Vec<Added>,
    unknown: u32,
    /// By tokenizer_config.json.
    languages: Languages,
}

/// A token that is found whole.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub id: u32,
    pub content: String,
    pub special: bool,
    pub lstrip: bool,
    pub rstrip: bool,
    pub single_word: bool,
}

/// Whether these files are such a tokenizer's.
pub(super) fn is_there(files: &Files) -> bool {
    files.contains("source.spm") && files.contains("vocab.json")
}

/// The number of each token in a file.
fn vocabulary(files: &mut Files, name: &str) -> Result<HashMap<String, u32>> {
    let vocabulary: HashMap<String, u32> = files.read_json(name, LIMIT)?;
    match vocabulary.values().max() {
        Some(largest) if *largest < i32::MAX as u32 => Ok(vocabulary),
        _ => Err(bad(&format!("tokens with ids below 2^31 in {name}"), "none, or larger ones")),
    }
}

/// The tokenizer, and how its tokens become text.
pub(super) fn load(files: &mut Files, config: &Value, map: &Value) -> Result<Tokenizer> {
    let source = Unigram::new(Model::parse(&files.read_all("source.spm", LIMIT)?)?)?;
    let ids = vocabulary(files, "vocab.json")?;
    let separate = config.get("separate_vocabs").and_then(Value::as_bool).unwrap_or(false);
    let written = if separate { Some(vocabulary(files, "target_vocab.json")?) } else { None };
    let decoded = written.as_ref().unwrap_or(&ids).iter();
    let tokens: BTreeMap<u32, String> = decoded.map(|(token, id)| (*id, token.clone())).collect();
    let target = match separate || files.contains("target.spm") {
        true => Some((Unigram::new(Model::parse(&files.read_all("target.spm", LIMIT)?)?)?, written)),
        false => None,
    };
    let named = |name: &str| config.get(name).and_then(Value::as_str).map(str::to_string).into_iter().collect();
    let languages = Languages { source: named("source_lang"), target: named("target_lang"), tagged: false };
    let mut marian = Marian { source, ids, target, tokens, added: Vec::new(), unknown: 0, languages };
    let eos = marian.add_all(config, map)?;
    // transformers turns pieces to text by the source's model, unless the target has a vocabulary of its own.
    let decoding = marian.target.as_ref().filter(|_| separate).map_or(&marian.source, |(target, _)| target);
    let stage = marian.stage(decoding.model());
    let template = vec![Slot::Text, Slot::Token(eos)];
    Ok(Tokenizer::new(super::Model::Marian(Box::new(marian)), template, vec![stage], None, Some(eos)))
}

impl Marian {
    /// Adds the tokens that are found whole; the id of the one that ends a text.
    fn add_all(&mut self, config: &Value, map: &Value) -> Result<u32> {
        let given = config.get("added_tokens_decoder").and_then(Value::as_object);
        for (id, token) in given.into_iter().flatten() {
            let id = id.parse().map_err(|_| bad("a number as key of added_tokens_decoder", &format!("{id:?}")))?;
            self.add(token, Some(id), false);
        }
        let mut ends = None;
        for (name, usual) in [("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")] {
            let usual = Value::from(usual);
            let token = map.get(name).or_else(|| config.get(name)).filter(|token| !token.is_null()).unwrap_or(&usual);
            let id =
                self.add(token, None, true).ok_or_else(|| bad(&format!("a text as {name}"), &token.to_string()))?;
            match name {
                "eos_token" => ends = Some(id),
                "unk_token" => self.unknown = id,
                _ => {}
            }
        }
        for token in map.get("additional_special_tokens").and_then(Value::as_array).into_iter().flatten() {
            self.add(token, None, true);
        }
        for token in config.get("additional_special_tokens").and_then(Value::as_array).into_iter().flatten() {
            self.add(token, None, true);
        }
        self.added.sort_by_key(|token| std::cmp::Reverse(token.content.len()));
        ends.ok_or_else(|| bad("a token that ends a text", "none"))
    }

    /// Adds a token, or says that one there is special; its id. Those that the vocabulary does not have are numbered on.
    fn add(&mut self, token: &Value, id: Option<u32>, special: bool) -> Option<u32> {
        let content = token.as_str().or_else(|| token.get("content").and_then(Value::as_str))?.to_string();
        if content.is_empty() {
            return None;
        }
        let flag = |name: &str, usual: bool| token.get(name).and_then(Value::as_bool).unwrap_or(usual);
        if let Some(known) = self.added.iter_mut().find(|known| known.content == content) {
            known.special |= special;
            return Some(known.id);
        }
        let after = self.tokens.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let id = id.or_else(|| self.ids.get(&content).copied()).unwrap_or(after);
        self.tokens.insert(id, content.clone());
        self.added.push(Added {
            id,
            special: flag("special", special) || special,
            lstrip: flag("lstrip", false),
            rstrip: flag("rstrip", false),
            single_word: flag("single_word", false),
            content,
        });
        Some(id)
    }

    /// How tokens become text, by the pieces of `model`.
    fn stage(&self, model: &Model) -> Stage {
        let mut odd: HashMap<String, Odd> = HashMap::new();
        for piece in &model.pieces {
            let kind = match piece.kind {
                Kind::Control => Odd::Silent,
                Kind::Unknown => Odd::Shown(model.unknown_surface.clone()),
                Kind::Byte => match super::bytes::byte_of_token(&piece.text) {
                    Some(byte) => Odd::Byte(byte),
                    None => continue,
                },
                _ => continue,
            };
            odd.insert(piece.text.clone(), kind);
        }
        // These are never given to sentencepiece, whatever its file says of them.
        for token in self.added.iter().filter(|token| token.special) {
            odd.insert(token.content.clone(), Odd::Special);
        }
        Stage::pieces(
            Arc::new(odd),
            model.add_dummy_prefix || model.remove_extra_whitespaces,
            model.remove_extra_whitespaces,
        )
    }

    pub(super) fn vocab_size(&self) -> usize {
        self.tokens.len()
    }

    /// Of the tokens that are written; a source with a vocabulary of its own may have larger ones.
    pub(super) fn largest_id(&self) -> Option<u32> {
        match self.target.as_ref().and_then(|(_, ids)| ids.as_ref()) {
            Some(ids) => ids.values().max().copied(),
            None => self.tokens.last_key_value().map(|(id, _)| *id),
        }
    }

    pub(super) fn token_to_id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub(super) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(&id).map(String::as_str)
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        Some(self.unknown)
    }

    pub(super) fn is_special(&self, id: u32) -> bool {
        self.added.iter().any(|token| token.id == id && token.special)
    }

    /// Those of tokenizer_config.json; where a text is asked for by a token (`>>fra<<`), those that have one.
    pub(super) fn languages(&self) -> Languages {
        let language = |token: &String| token.strip_prefix(">>")?.strip_suffix("<<").map(str::to_string);
        let mut tagged: Vec<String> = self.tokens.values().filter_map(language).collect();
        tagged.sort();
        match tagged.is_empty() {
            true => self.languages.clone(),
            false => Languages { target: tagged, tagged: true, ..self.languages.clone() },
        }
    }

    /// The tokens of a text; with `plain`, tokens written out are text like any other.
    pub(super) fn encode(&self, text: &str, plain: bool) -> Vec<Piece> {
        self.encode_by(&self.source, &self.ids, text, plain)
    }

    /// The tokens of a text as it is to be written.
    pub(super) fn encode_target(&self, text: &str) -> Vec<Piece> {
        match &self.target {
            Some((target, ids)) => self.encode_by(target, ids.as_ref().unwrap_or(&self.ids), text, false),
            None => self.encode(text, false),
        }
    }

    /// What a token of a source is called.
    pub(super) fn source_text(&self, id: u32) -> String {
        let own = || self.ids.iter().find(|(_, own)| **own == id).map(|(token, _)| token.as_str());
        let separate = self.target.as_ref().is_some_and(|(_, ids)| ids.is_some());
        let token = if separate { own() } else { self.token(id) };
        token.unwrap_or_default().replace(SPACE, " ")
    }

    fn encode_by(&self, unigram: &Unigram, ids: &HashMap<String, u32>, text: &str, plain: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for part in if plain { vec![(0, text.len(), None)] } else { self.parts(text) } {
            match part {
                (start, end, Some(id)) => pieces.push(Piece { id, start, end }),
                (start, end, None) => {
                    let part = text.get(start..end).unwrap_or_default();
                    self.encode_part(unigram, ids, part, start, &mut pieces);
                }
            }
        }
        pieces
    }

    /// The text cut at the tokens that are found whole: beginning, end, and the token.
    fn parts(&self, text: &str) -> Vec<(usize, usize, Option<u32>)> {
        let mut parts: Vec<(usize, usize, Option<&Added>)> = Vec::new();
        let (mut from, mut at) = (0, 0);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            match self.added.iter().find(|token| rest.starts_with(&token.content)) {
                Some(token) => {
                    parts.push((from, at, None));
                    parts.push((at, at + token.content.len(), Some(token)));
                    at += token.content.len();
                    from = at;
                }
                None => at += rest.chars().next().map_or(1, char::len_utf8),
            }
        }
        parts.push((from, text.len(), None));
        // Texts and tokens in turn, as Python's lists have them.
        for i in (1..parts.len()).step_by(2) {
            let Some(token) = parts[i].2 else { continue };
            let of = |part: (usize, usize, Option<&Added>)| text.get(part.0..part.1).unwrap_or_default();
            if token.rstrip {
                let right = of(parts[i + 1]);
                parts[i + 1].0 += right.len() - right.trim_start().len();
            }
            if token.lstrip {
                let left = of(parts[i - 1]);
                parts[i - 1].1 -= left.len() - left.trim_end().len();
            }
            if token.single_word && !of(parts[i - 1]).is_empty() && !of(parts[i - 1]).ends_with(' ') {
                parts[i - 1].1 = parts[i].1;
                parts[i] = (parts[i].1, parts[i].1, None);
            } else if token.single_word && !of(parts[i + 1]).is_empty() && !of(parts[i + 1]).starts_with(' ') {
                parts[i + 1].0 = parts[i].0;
                parts[i] = (parts[i].0, parts[i].0, None);
            }
        }
        let some = parts.into_iter().filter(|(start, end, _)| start < end);
        some.map(|(start, end, token)| (start, end, token.map(|token| token.id))).collect()
    }

    /// A text without such tokens, which lies at `offset`.
    fn encode_part(
        &self,
        unigram: &Unigram,
        ids: &HashMap<String, u32>,
        text: &str,
        offset: usize,
        pieces: &mut Vec<Piece>,
    ) {
        let id = |token: &str| ids.get(token).copied().unwrap_or(self.unknown);
        let language = text.strip_prefix(">>").and_then(|rest| rest.find("<<")).map_or(0, |end| end + 4);
        let (language, text) = text.split_at(language);
        if !language.is_empty() {
            pieces.push(Piece { id: id(language), start: offset, end: offset + language.len() });
        }
        let offset = offset + language.len();
        let parts = unigram.encode(text).into_iter();
        pieces.extend(parts.map(|part| Piece {
            id: id(&part.text),
            start: offset + text.floor_char_boundary(part.range.start),
            end: offset + text.floor_char_boundary(part.range.end),
        }));
    }
}
