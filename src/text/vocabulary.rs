//! The model part of a tokenizer: vocabularies and merges, checked before the `tokenizers` crate sees them, because it
//! panics on some that do not fit together and picks at random among tokens that share an id.

use super::{bad, unsupported};
use crate::Result;
use serde_json::Value;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::{Model as _, ModelWrapper};

/// No tokenizer has ids near this; above it, counting on could overflow.
const LARGEST_ID: u64 = i32::MAX as u64;

/// What a byte-pair model needs beside its vocabulary and merges.
#[derive(Debug, Default)]
pub(super) struct BpeOptions {
    pub unk_token: Option<String>,
    pub continuing_subword_prefix: Option<String>,
    pub end_of_word_suffix: Option<String>,
    pub fuse_unk: bool,
    pub byte_fallback: bool,
    pub ignore_merges: bool,
    /// Symbols of merges that are no tokens get ids above those of the tokens.
    pub add_missing: bool,
}

/// The model of a tokenizer, and the largest id it gives.
pub(super) struct Core {
    pub model: ModelWrapper,
    pub largest_id: Option<u32>,
}

/// A byte-pair model, if every merge is of tokens and to a token.
pub(super) fn bpe(mut tokens: Vocab, merges: Merges, options: BpeOptions) -> Result<Core> {
    let mut ids: Vec<u32> = tokens.values().copied().collect();
    ids.sort_unstable();
    let twice = ids.windows(2).find_map(|pair| if let [a, b] = pair { (a == b).then_some(*a) } else { None });
    if let Some(id) = twice {
        let names = tokens.iter().filter(|(_, other)| **other == id).map(|(token, _)| token);
        let names: Vec<_> = names.collect();
        return Err(bad("every id once in the vocabulary", &format!("id {id} for {names:?}")));
    }
    let largest_id = ids.last().copied();
    let mut next = largest_id.map_or(0, |id| id.saturating_add(1));
    let prefix = options.continuing_subword_prefix.as_deref().unwrap_or_default().len();
    let mut merged = String::new();
    for (rank, (left, right)) in merges.iter().enumerate() {
        merged.clear();
        merged.push_str(left);
        let whole = right.get(prefix..).map(|rest| {
            merged.push_str(rest);
            merged.as_str()
        });
        for token in [Some(left.as_str()), Some(right.as_str()), whole] {
            if token.is_some_and(|token| tokens.contains_key(token)) {
                continue;
            }
            match token {
                Some(token) if options.add_missing => {
                    tokens.insert(token.to_string(), next);
                    next = next.saturating_add(1);
                }
                token => {
                    return Err(bad(
                        &format!("a merge of known tokens to a known token, as merge {rank} ({left:?} + {right:?})"),
                        &format!("{:?}, which is not in the vocabulary", token.unwrap_or(right)),
                    ));
                }
            }
        }
    }
    let mut builder = BPE::builder()
        .vocab_and_merges(tokens, merges)
        .fuse_unk(options.fuse_unk)
        .byte_fallback(options.byte_fallback)
        .ignore_merges(options.ignore_merges);
    if let Some(token) = options.unk_token {
        builder = builder.unk_token(token);
    }
    if let Some(prefix) = options.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix);
    }
    if let Some(suffix) = options.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix);
    }
    let model = builder.build().map_err(|e| bad("a byte-pair model", &e.to_string()))?;
    Ok(Core { model: ModelWrapper::BPE(model), largest_id })
}

/// From the `model` part of a `tokenizer.json`.
pub(super) fn from_json(model: &Value) -> Result<Core> {
    let kind = model.get("type").and_then(Value::as_str);
    match kind {
        Some("BPE") => bpe_from_json(model),
        None if model.get("merges").is_some() => bpe_from_json(model),
        Some("Unigram" | "WordLevel" | "WordPiece") => {
            if kind != Some("Unigram") {
                vocab_from_json(model.get("vocab"))?;
            }
            // Each by its own type: reading "any of them" would bring the crate's older forms along.
            let mut parts = model.clone();
            parts.as_object_mut().map(|parts| parts.remove("type"));
            let model = match kind {
                Some("Unigram") => serde_json::from_value(parts).map(ModelWrapper::Unigram),
                Some("WordLevel") => serde_json::from_value(parts).map(ModelWrapper::WordLevel),
                _ => serde_json::from_value(parts).map(ModelWrapper::WordPiece),
            };
            let model = model.map_err(|e| bad("a usable model", &e.to_string()))?;
            let largest_id = model.get_vocab().into_values().max();
            Ok(Core { model, largest_id })
        }
        other => Err(unsupported(
            "the tokenizer's model",
            "BPE, Unigram, WordLevel or WordPiece",
            other.unwrap_or("no type"),
        )),
    }
}

fn bpe_from_json(model: &Value) -> Result<Core> {
    if let Some(dropout) = model.get("dropout").and_then(Value::as_f64).filter(|d| *d != 0.0) {
        return Err(unsupported("dropout in the tokenizer", "none", &dropout.to_string()));
    }
    let text = |name: &str| model.get(name).and_then(Value::as_str).map(str::to_string);
    let flag = |name: &str| model.get(name).and_then(Value::as_bool).unwrap_or(false);
    let options = BpeOptions {
        unk_token: text("unk_token"),
        continuing_subword_prefix: text("continuing_subword_prefix"),
        end_of_word_suffix: text("end_of_word_suffix"),
        fuse_unk: flag("fuse_unk"),
        byte_fallback: flag("byte_fallback"),
        ignore_merges: flag("ignore_merges"),
        add_missing: false,
    };
    let merges = model.get("merges").and_then(Value::as_array);
    let merges = merges.ok_or_else(|| bad("a list of merges", "none"))?;
    let merges = merges.iter().filter(|m| !m.as_str().is_some_and(|m| m.starts_with("#version")));
    let merges = merges.map(merge_from_json).collect::<Result<_>>()?;
    bpe(vocab_from_json(model.get("vocab"))?, merges, options)
}

/// A merge as `tokenizer.json` has it: a pair, or a line.
pub(super) fn merge_from_json(merge: &Value) -> Result<(String, String)> {
    let pair = match merge {
        Value::String(line) => return merge_from_line(line),
        Value::Array(pair) => pair.iter().map(Value::as_str).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    match pair.as_slice() {
        [Some(left), Some(right)] => Ok((left.to_string(), right.to_string())),
        _ => Err(bad("a merge of two tokens", &merge.to_string())),
    }
}

/// A line of `merges.txt`: two tokens and a space between them.
fn merge_from_line(line: &str) -> Result<(String, String)> {
    match line.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_string(), right.to_string()))
        }
        _ => Err(bad("a merge of two tokens with one space between", &format!("{line:?}"))),
    }
}

/// All of `merges.txt`, with or without its first line "#version: 0.2", or the merges of a GGUF file.
pub(super) fn merges_from_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Merges> {
    let lines = lines.enumerate().filter(|(i, line)| !(*i == 0 && line.starts_with("#version")));
    lines.map(|(_, line)| line).filter(|line| !line.is_empty()).map(merge_from_line).collect()
}

/// A JSON object of token to id, such as `vocab.json`.
pub(super) fn vocab_from_json(vocab: Option<&Value>) -> Result<Vocab> {
    let vocab = vocab.and_then(Value::as_object).ok_or_else(|| bad("an object of tokens and ids", "none"))?;
    let pair = |(token, id): (&String, &Value)| match id.as_u64().filter(|id| *id <= LARGEST_ID) {
        Some(id) => Ok((token.clone(), id as u32)),
        None => Err(bad(&format!("an id from 0 to {LARGEST_ID} for token {token:?}"), &id.to_string())),
    };
    vocab.iter().map(pair).collect()
}
