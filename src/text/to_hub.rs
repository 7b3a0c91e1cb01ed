//! `tokenizer.ggml.*` metadata as `tokenizer.json` and `tokenizer_config.json`. What comes out is read back and compared
//! with the original on many texts: what Hugging Face's format cannot say exactly is refused.

use super::bytes::byte_of;
use super::gguf::{self, Kind, expressions, is_llama3};
use super::{Tokenizer, bad, hub, unsupported};
use crate::Result;
use crate::weights::Metadata;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// The two files of a tokenizer.
pub struct HubVocabulary {
    pub tokenizer: Value,
    pub config: Value,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
}

impl HubVocabulary {
    /// The ids that a config.json and a generation_config.json have of it.
    pub fn ends(&self) -> Map<String, Value> {
        let ids = [("bos_token_id", self.bos), ("eos_token_id", self.eos)];
        ids.into_iter().map(|(name, id)| (name.into(), id.into())).collect()
    }
}

/// The files of the tokenizer in a GGUF file.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) where they would cut text differently, and those of reading it.
pub fn to_hub(metadata: &Metadata) -> Result<HubVocabulary> {
    let original = Tokenizer::from_gguf(metadata)?;
    let tokens = metadata.get_str_array("tokenizer.ggml.tokens")?.unwrap_or_default();
    let (bos, eos) = (original.bos_token_id(), original.eos_token_id());
    let kinds = gguf::kinds(metadata, tokens.len(), [bos, eos, None])?;
    let byte_level = metadata.get_str("tokenizer.ggml.model")? == Some("gpt2");
    let parts = if byte_level {
        byte_level_parts(metadata, tokens, &kinds)?
    } else {
        sentencepiece_parts(metadata, tokens, &kinds)?
    };
    let added: Vec<Value> = (tokens.iter().zip(&kinds).enumerate())
        .filter(|(_, (token, kind))| {
            matches!(kind, Kind::Control | Kind::Unknown | Kind::UserDefined) && !token.is_empty()
        })
        .map(|(id, (token, kind))| {
            let special = *kind != Kind::UserDefined;
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": special })
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": template(&original),
        "decoder": parts.decoder,
        "model": parts.model,
    });
    let mut config = Map::new();
    config.insert("tokenizer_class".to_string(), "PreTrainedTokenizerFast".into());
    config.insert("clean_up_tokenization_spaces".to_string(), false.into());
    for (name, id) in [("bos_token", bos), ("eos_token", eos)] {
        if let Some(token) = id.and_then(|id| original.token(id)) {
            config.insert(name.to_string(), token.into());
        }
    }
    let config = Value::Object(config);
    let back = hub::from_tree(tokenizer.clone(), config.clone(), Value::Null)?;
    super::compare::same(&original, &back, "GGUF", "tokenizer.json")?;
    Ok(HubVocabulary { tokenizer, config, bos, eos })
}

struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Value,
}

fn byte_level_parts(metadata: &Metadata, tokens: &[String], kinds: &[Kind]) -> Result<Parts> {
    let pre = metadata.get_str("tokenizer.ggml.pre")?;
    let merges = metadata.get_str_array("tokenizer.ggml.merges")?.unwrap_or_default();
    let merges: Vec<(&str, &str)> = merges.iter().filter_map(|line| line.split_once(' ')).collect();
    let known: HashSet<&str> = tokens.iter().map(String::as_str).collect();
    if !merges.iter().all(|(left, right)| known.contains(left) && known.contains(right)) {
        return character_parts(metadata, tokens, kinds, &merges, expressions(pre)?);
    }
    let byte_level = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
    let pre_tokenizer = match expressions(pre)? {
        [super::split::GPT2] => byte_level(true),
        several => {
            let steps: Vec<Value> = several.iter().map(|e| split(e)).chain([byte_level(false)]).collect();
            json!({ "type": "Sequence", "pretokenizers": steps })
        }
    };
    Ok(Parts {
        normalizer: Value::Null,
        pre_tokenizer,
        decoder: byte_level(true),
        model: bpe(tokens, &merges, json!({ "ignore_merges": pre.is_some_and(is_llama3) })),
    })
}

fn split(expression: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": expression }, "behavior": "Isolated", "invert": false })
}

/// Characters, and merges of characters, that a GGUF file has as merges of bytes by way of symbols that are no tokens: what
/// `to_gguf` makes of them, undone.
fn character_parts(
    metadata: &Metadata,
    tokens: &[String],
    kinds: &[Kind],
    merges: &[(&str, &str)],
    cuts: &[&str],
) -> Result<Parts> {
    let spelled = |letters: &str| {
        let bytes: Option<Vec<u8>> = letters.chars().map(byte_of).collect();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let whole: Option<Vec<String>> = (tokens.iter().zip(kinds))
        .map(|(token, kind)| if *kind == Kind::Normal { spelled(token) } else { Some(token.clone()) })
        .collect();
    let Some(whole) = whole else {
        return Err(unsupported("merges by way of symbols that are no tokens", "whole characters", "parts of some"));
    };
    let known: HashSet<&str> = whole.iter().map(String::as_str).collect();
    let merges: Vec<(String, String)> = (merges.iter())
        .filter_map(|(left, right)| Some((spelled(left)?, spelled(right)?)))
        .filter(|(left, right)| known.contains(left.as_str()) && known.contains(right.as_str()))
        .collect();
    let merges: Vec<(&str, &str)> = merges.iter().map(|(left, right)| (left.as_str(), right.as_str())).collect();
    let unknown = metadata.get_u64("tokenizer.ggml.unknown_token_id")?.and_then(|id| whole.get(id as usize));
    let steps: Vec<Value> = cuts.iter().map(|e| split(e)).collect();
    Ok(Parts {
        normalizer: Value::Null,
        pre_tokenizer: json!({ "type": "Sequence", "pretokenizers": steps }),
        decoder: json!({ "type": "Fuse" }),
        model: bpe(&whole, &merges, json!({ "unk_token": unknown })),
    })
}

fn sentencepiece_parts(metadata: &Metadata, tokens: &[String], kinds: &[Kind]) -> Result<Parts> {
    let scores = metadata.get_f32_array("tokenizer.ggml.scores")?.unwrap_or_default();
    let prefix = metadata.get_bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    // Any of these is found by joining, whatever its kind; special ones are found before.
    let joinable = |id: usize| matches!(kinds.get(id), Some(Kind::Normal | Kind::UserDefined | Kind::Unused));
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect();
    let mut merges: Vec<(f32, usize, usize, usize)> = Vec::new();
    for (id, token) in tokens.iter().enumerate().filter(|(id, _)| joinable(*id)) {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(left), Some(right)) = (ids.get(left), ids.get(right)) {
                let score = scores.get(id).ok_or_else(|| bad("a score for every token", &scores.len().to_string()))?;
                merges.push((-score, id, *left, *right));
            }
        }
    }
    merges.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
    let token = |id: usize| tokens.get(id).map_or("", String::as_str);
    let merges: Vec<(&str, &str)> = merges.into_iter().map(|(_, _, left, right)| (token(left), token(right))).collect();
    let unknown = kinds.iter().position(|kind| *kind == Kind::Unknown).map(token);
    let space = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    let normalizer = if prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": "▁" }, space] })
    } else {
        space
    };
    let bytes = kinds.contains(&Kind::Byte);
    Ok(Parts {
        normalizer,
        pre_tokenizer: Value::Null,
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
        model: bpe(tokens, &merges, json!({ "unk_token": unknown, "fuse_unk": true, "byte_fallback": bytes })),
    })
}

/// A BPE model with these options over the usual ones.
fn bpe(tokens: &[String], merges: &[(&str, &str)], options: Value) -> Value {
    let vocab: Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (if token.is_empty() { format!("[EMPTY_{id}]") } else { token.clone() }, id.into()))
        .collect();
    let mut model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges,
    });
    for (name, value) in options.as_object().into_iter().flatten() {
        model[name.as_str()] = value.clone();
    }
    model
}

/// What puts the first and last token around a text.
pub(super) fn template(tokenizer: &Tokenizer) -> Value {
    use super::Slot;
    let mut names = Map::new();
    let single: Vec<Value> = (tokenizer.inner.template.iter())
        .map(|slot| match slot {
            Slot::Text => json!({ "Sequence": { "id": "A", "type_id": 0 } }),
            Slot::Token(id) => {
                let name = tokenizer.token(*id).unwrap_or_default();
                names.insert(name.clone(), json!({ "id": name, "ids": [id], "tokens": [name] }));
                json!({ "SpecialToken": { "id": name, "type_id": 0 } })
            }
        })
        .collect();
    if names.is_empty() {
        return Value::Null;
    }
    let second = json!({ "Sequence": { "id": "B", "type_id": 1 } });
    let pair: Vec<Value> = single.iter().cloned().chain([second]).collect();
    json!({ "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": names })
}

/// The `tokenizer.ggml.*` pairs as they are, for another GGUF file.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) for one of a type that no vocabulary has.
pub fn copy(metadata: &Metadata) -> Result<Vec<(String, crate::weights::Value)>> {
    let ours = metadata.keys().filter(|key| key.starts_with("tokenizer."));
    ours.map(|key| match metadata.writable(key) {
        Some(value) => Ok((key.to_string(), value)),
        None => {
            Err(unsupported(&format!("copying {key}"), "a number, text or a list of them", "another kind of value"))
        }
    })
    .collect()
}
