//! BERT's tokenizer (Devlin et al. 2019) from its `vocab.txt`, as transformers' `BertTokenizer` makes it: Chinese GPT-2
//! models have it as well.

use super::text;
use crate::Result;
use crate::files::Files;
use crate::text::{bad, unsupported};
use serde_json::{Map, Value, json};

/// The special tokens by their names in `tokenizer_config.json`, and what they are unless it says so.
const SPECIAL: [(&str, &str); 5] = [
    ("pad_token", "[PAD]"),
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("mask_token", "[MASK]"),
];

/// The tokenizer as a `tokenizer.json`.
pub(super) fn document(files: &mut Files, config: &Value, map: &Value) -> Result<Value> {
    if let Some(class) = config.get("tokenizer_class").and_then(Value::as_str)
        && !class.contains("Bert")
    {
        return Err(unsupported("a vocab.txt", "tokenizer_class BertTokenizer or one of its kin", class));
    }
    let lines = text(files, "vocab.txt")?;
    let vocab: Map<String, Value> =
        lines.lines().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect();
    let name = |field: &str, usual: &str| {
        let given = map.get(field).or_else(|| config.get(field));
        let content = given.and_then(|given| given.as_str().or_else(|| given.get("content").and_then(Value::as_str)));
        content.unwrap_or(usual).to_string()
    };
    let special: Vec<(&str, String)> = SPECIAL.map(|(field, usual)| (field, name(field, usual))).to_vec();
    let id = |token: &str| vocab.get(token).and_then(Value::as_u64);
    let token = |wanted: &str| -> Result<(String, u64)> {
        let token =
            special.iter().find(|(field, _)| *field == wanted).map(|(_, token)| token.clone()).unwrap_or_default();
        let id = id(&token).ok_or_else(|| bad(&format!("{wanted} {token:?} in vocab.txt"), "none"))?;
        Ok((token, id))
    };
    let (unknown, _) = token("unk_token")?;
    let ((cls, cls_id), (sep, sep_id)) = (token("cls_token")?, token("sep_token")?);
    let added: Vec<Value> = special
        .iter()
        .filter_map(|(_, token)| {
            let flags = json!({ "single_word": false, "lstrip": false, "rstrip": false, "normalized": false });
            let mut added = json!({ "id": id(token)?, "content": token, "special": true });
            added.as_object_mut()?.extend(flags.as_object().cloned().unwrap_or_default());
            Some(added)
        })
        .collect();
    let flag = |field: &str, usual: bool| config.get(field).and_then(Value::as_bool).unwrap_or(usual);
    let place = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let one = |token: &str, id: u64| json!({ "id": token, "ids": [id], "tokens": [token] });
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": flag("tokenize_chinese_chars", true),
            "strip_accents": config.get("strip_accents").and_then(Value::as_bool),
            "lowercase": flag("do_lower_case", true),
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [place(&cls), { "Sequence": { "id": "A", "type_id": 0 } }, place(&sep)],
            "pair": [],
            "special_tokens": { cls.as_str(): one(&cls, cls_id), sep.as_str(): one(&sep, sep_id) },
        },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    }))
}
