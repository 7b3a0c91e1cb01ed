//! The model part of a tokenizer: vocabularies and merges, checked before the `tokenizers` crate sees them, because it
//! panics on some that do not fit together and picks at random among tokens that share an id.

use super::document::{self, Entries, MergeList};
use super::{bad, unsupported};
use crate::Result;
use tokenizers::ModelWrapper;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;

/// No tokenizer has ids near this; above it, counting on could overflow.
pub(super) const LARGEST_ID: u64 = i32::MAX as u64;

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
pub(super) fn from_document(mut model: document::Model) -> Result<Core> {
    let vocab = model.vocab.take();
    match (model.text("type"), vocab) {
        (Some("BPE"), Some(Entries::Ids(vocab))) => byte_pairs(vocab, model),
        (None, Some(Entries::Ids(vocab))) if model.merges.is_some() => byte_pairs(vocab, model),
        (Some("Unigram"), Some(Entries::Scores(scores))) => {
            let wrong = |error: serde_json::Error| bad("a usable model", &error.to_string());
            let (unknown, bytes) = (model.option("unk_id"), model.option("byte_fallback"));
            let (unknown, bytes) = (unknown.map_err(wrong)?, bytes.map_err(wrong)?);
            let largest_id = scores.len().checked_sub(1).map(|id| id as u32);
            let unigram = Unigram::from(scores, unknown, bytes).map_err(unusable)?;
            Ok(Core { model: ModelWrapper::Unigram(unigram), largest_id })
        }
        (Some("WordLevel"), Some(Entries::Ids(vocab))) => {
            let largest_id = vocab.values().copied().max();
            let builder = WordLevel::builder().vocab(vocab).unk_token(needed(&model, "unk_token")?);
            Ok(Core { model: ModelWrapper::WordLevel(builder.build().map_err(unusable)?), largest_id })
        }
        (Some("WordPiece"), Some(Entries::Ids(vocab))) => {
            let largest_id = vocab.values().copied().max();
            let longest = model.number("max_input_chars_per_word");
            let longest = longest.ok_or_else(|| bad("max_input_chars_per_word, a number", "none"))?;
            let builder = WordPiece::builder()
                .vocab(vocab)
                .unk_token(needed(&model, "unk_token")?)
                .continuing_subword_prefix(needed(&model, "continuing_subword_prefix")?)
                .max_input_chars_per_word(usize::try_from(longest).unwrap_or(usize::MAX));
            Ok(Core { model: ModelWrapper::WordPiece(builder.build().map_err(unusable)?), largest_id })
        }
        (Some("Unigram"), _) => Err(bad("a list of tokens and scores", "none")),
        (Some("BPE" | "WordLevel" | "WordPiece"), _) => Err(bad("an object of tokens and ids", "none")),
        (other, _) => Err(unsupported(
            "the tokenizer's model",
            "BPE, Unigram, WordLevel or WordPiece",
            other.unwrap_or("no type"),
        )),
    }
}

/// An option that a model cannot do without.
fn needed(model: &document::Model, name: &str) -> Result<String> {
    model.text(name).map(str::to_string).ok_or_else(|| bad(&format!("{name}, a text"), "none"))
}

fn unusable(error: tokenizers::Error) -> crate::Error {
    bad("a usable model", &error.to_string())
}

fn byte_pairs(vocab: Vocab, mut model: document::Model) -> Result<Core> {
    if let Some(dropout) = model.dropout() {
        return Err(unsupported("dropout in the tokenizer", "none", &dropout.to_string()));
    }
    let MergeList(merges) = model.merges.take().ok_or_else(|| bad("a list of merges", "none"))?;
    let text = |name: &str| model.text(name).map(str::to_string);
    let options = BpeOptions {
        unk_token: text("unk_token"),
        continuing_subword_prefix: text("continuing_subword_prefix"),
        end_of_word_suffix: text("end_of_word_suffix"),
        fuse_unk: model.flag("fuse_unk"),
        byte_fallback: model.flag("byte_fallback"),
        ignore_merges: model.flag("ignore_merges"),
        add_missing: false,
    };
    bpe(vocab, merges, options)
}

/// A line of `merges.txt`: two tokens and a space between them.
pub(super) fn merge_from_line(line: &str) -> Result<(String, String)> {
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
