//! RoBERTa's tokenizer (Liu et al. 2019) from GPT-2's two files, as transformers' `RobertaTokenizer` makes it: the same
//! vocabulary with other special tokens, which stand around a text.

use super::{json as read_json, optional_json, text};
use crate::Result;
use crate::files::Files;
use crate::text::bad;
use serde_json::{Map, Value, json};

/// The special tokens by their names in `tokenizer_config.json`, and what they are unless it says so.
const SPECIAL: [(&str, &str); 7] = [
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("sep_token", "</s>"),
    ("cls_token", "<s>"),
    ("unk_token", "<unk>"),
    ("pad_token", "<pad>"),
    ("mask_token", "<mask>"),
];

/// Whether `vocab.json` and `merges.txt` are RoBERTa's: the tokenizer's class says so, or else the model's own kind.
pub(super) fn is_one(files: &mut Files, config: &Value) -> Result<bool> {
    if let Some(class) = config.get("tokenizer_class").and_then(Value::as_str) {
        return Ok(class.contains("Roberta"));
    }
    let model = optional_json(files, "config.json")?;
    Ok(model.get("model_type").and_then(Value::as_str) == Some("roberta"))
}

/// The tokenizer as a `tokenizer.json`.
pub(super) fn document(files: &mut Files, config: &Value, map: &Value) -> Result<Value> {
    let vocab = read_json(files, "vocab.json")?;
    let merges = text(files, "merges.txt")?;
    let merges: Vec<&str> = merges.lines().filter(|line| !line.is_empty() && !line.starts_with("#version")).collect();
    let name = |field: &str, usual: &str| {
        let given = map.get(field).or_else(|| config.get(field));
        let content = given.and_then(|given| given.as_str().or_else(|| given.get("content").and_then(Value::as_str)));
        content.unwrap_or(usual).to_string()
    };
    let id = |token: &str| vocab.get(token).and_then(Value::as_u64);
    let mut added: Map<String, Value> = Map::new();
    for (field, usual) in SPECIAL {
        let token = name(field, usual);
        let Some(id) = id(&token) else { continue };
        // The mask takes the space before it along, as it did in training; transformers 4 knows that, 5 must be told.
        let takes_space = field == "mask_token";
        let one = json!({
            "id": id, "content": token, "single_word": false, "lstrip": takes_space, "rstrip": false,
            "normalized": false, "special": true,
        });
        added.entry(token).or_insert(one);
    }
    let of = |field: &str, usual: &str| -> Result<Value> {
        let token = name(field, usual);
        let id = id(&token).ok_or_else(|| bad(&format!("{field} {token:?} in vocab.json"), "none"))?;
        Ok(json!([token, id]))
    };
    let flag = |field: &str, usual| config.get(field).and_then(Value::as_bool).unwrap_or(usual);
    let (space, trims) = (flag("add_prefix_space", false), flag("trim_offsets", true));
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": true });
    Ok(json!({
        "version": "1.0",
        "added_tokens": added.into_iter().map(|(_, token)| token).collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "RobertaProcessing", "sep": of("sep_token", "</s>")?, "cls": of("cls_token", "<s>")?,
            "trim_offsets": trims, "add_prefix_space": space,
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges,
        },
    }))
}
