//! A model's chat template, and what it is rendered with: the texts of the special tokens, by the names transformers gives
//! them. Rendering is the job of the crate `inkling-chat`.

use super::Tokenizer;
use super::hub::NAMED;
use crate::Result;
use crate::files::Files;
use crate::weights::Metadata;
use serde_json::Value;
use std::collections::BTreeMap;

/// The file that says it today.
const FILE: &str = "chat_template.jinja";
/// The file that says more than a template; the largest known have 10 MB.
const LONGEST_CONFIG: u64 = 256 << 20;
/// Longer templates than any renderer takes are read all the same: a model that cannot chat can write.
const LONGEST_TEMPLATE: u64 = 4 << 20;

/// How a conversation becomes the text that a model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatTemplate {
    /// Jinja, unchecked.
    pub template: String,
    /// `bos_token`, `eos_token` and their kin, as the template may write them.
    pub special_tokens: BTreeMap<String, String>,
    /// Tokens that end a reply besides those that end every text: GGUF files list them apart.
    pub end_of_turn: Vec<u32>,
}

impl ChatTemplate {
    /// From `chat_template.jinja`, else from `tokenizer_config.json`: a text, or the one called "default" among several.
    pub(crate) fn from_files(files: &mut Files, tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let mut json = |name: &str| -> Result<Value> {
            if files.contains(name) { files.read_json(name, LONGEST_CONFIG) } else { Ok(Value::Null) }
        };
        let config = json("tokenizer_config.json")?;
        let map = json("special_tokens_map.json")?;
        let template = if files.contains(FILE) {
            Some(String::from_utf8_lossy(&files.read_all(FILE, LONGEST_TEMPLATE)?).into_owned())
        } else {
            named_template(config.get("chat_template"))
        };
        let Some(template) = template else { return Ok(None) };
        // transformers reads the older file only where the newer has not said it all.
        let map = if config.get("added_tokens_decoder").is_some() { Value::Null } else { map };
        let text = |token: &Value| token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_string);
        let said = |name: &str| map.get(name).or_else(|| config.get(name));
        let mut special_tokens = BTreeMap::new();
        for name in NAMED {
            if let Some(content) = said(name).and_then(text) {
                special_tokens.insert(name.to_string(), content);
            }
        }
        for (name, id) in [("bos_token", tokenizer.bos_token_id()), ("eos_token", tokenizer.eos_token_id())] {
            if let Some(content) = id.and_then(|id| tokenizer.token(id)).filter(|_| said(name).is_none()) {
                special_tokens.insert(name.to_string(), content);
            }
        }
        Ok(Some(Self { template, special_tokens, end_of_turn: Vec::new() }))
    }

    /// From `tokenizer.chat_template` of a GGUF file.
    pub(crate) fn from_gguf(metadata: &Metadata, tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let Some(template) = metadata.get_str("tokenizer.chat_template")?.map(str::to_string) else { return Ok(None) };
        let id = |name: &str| -> Result<Option<u32>> {
            let id = metadata.get_u64(&format!("tokenizer.ggml.{name}_token_id"))?;
            Ok(id.and_then(|id| u32::try_from(id).ok()).filter(|&id| tokenizer.token(id).is_some()))
        };
        let mut special_tokens = BTreeMap::new();
        let names = ["unknown", "seperator", "padding", "cls", "mask"].into_iter();
        let names = names.zip(["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]);
        for (key, name) in names {
            if let Some(content) = id(key)?.and_then(|id| tokenizer.token(id)) {
                special_tokens.insert(name.to_string(), content);
            }
        }
        for (name, id) in [("bos_token", tokenizer.bos_token_id()), ("eos_token", tokenizer.eos_token_id())] {
            if let Some(content) = id.and_then(|id| tokenizer.token(id)) {
                special_tokens.insert(name.to_string(), content);
            }
        }
        let end_of_turn = [id("eot")?, id("eom")?].into_iter().flatten().collect();
        Ok(Some(Self { template, special_tokens, end_of_turn }))
    }
}

/// The template among what tokenizer_config.json says.
fn named_template(said: Option<&Value>) -> Option<String> {
    match said? {
        Value::String(template) => Some(template.clone()),
        Value::Array(several) => {
            let default = several.iter().find(|one| one.get("name").and_then(Value::as_str) == Some("default"));
            default?.get("template")?.as_str().map(str::to_string)
        }
        _ => None,
    }
}
