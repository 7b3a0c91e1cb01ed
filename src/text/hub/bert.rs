//! BERT's tokenizer (Devlin et al. 2019) from its `vocab.txt`, as transformers' `BertTokenizer` makes it: Chinese GPT-2
//! models have it as well.

use super::text;
use crate::Result;
use crate::files::Files;
use crate::text::{bad, unsupported};
use serde_json::{Map, Value};

/// The special tokens by their names in `tokenizer_config.json`, and what they are unless it says so.
const SPECIAL: [(&str, &str); 5] = [
    ("pad_token", "[PAD]"),
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("mask_token", "[MASK]"),
];

/// What such a tokenizer.json looks like; the rest is put into it.
const FORM: &str = r###"{
    "version": "1.0",
    "added_tokens": [
        {"id": 0, "content": "", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
    ],
    "normalizer": {"type": "BertNormalizer", "clean_text": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"type_id": 0}}],
        "pair": [
            {"SpecialToken": {"type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"type_id": 1}}
        ],
        "special_tokens": {"": {"ids": [0], "tokens": [""]}}
    },
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
    "model": {"type": "WordPiece", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
}"###;

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
    let mut document: Value = serde_json::from_str(FORM).map_err(|e| bad("a form that is JSON", &e.to_string()))?;
    let special_token = |token: &str, id: u64| -> Value {
        let mut special: Value = document["added_tokens"][0].clone();
        (special["id"], special["content"]) = (id.into(), token.into());
        special
    };
    let added: Vec<Value> = special.iter().filter_map(|(_, token)| Some(special_token(token, id(token)?))).collect();
    document["added_tokens"] = added.into();
    let normalizer = &mut document["normalizer"];
    for (field, name) in [("tokenize_chinese_chars", "handle_chinese_chars"), ("do_lower_case", "lowercase")] {
        normalizer[name] = config.get(field).and_then(Value::as_bool).unwrap_or(true).into();
    }
    normalizer["strip_accents"] = config.get("strip_accents").cloned().unwrap_or_default();
    let around = &mut document["post_processor"];
    for (places, (token, id)) in [(&[0usize][..], (&cls, cls_id)), (&[2, 4], (&sep, sep_id))] {
        for &place in places {
            around["pair"][place]["SpecialToken"]["id"] = token.as_str().into();
            if place < 3 {
                around["single"][place]["SpecialToken"]["id"] = token.as_str().into();
            }
        }
        let mut one = around["special_tokens"][""].clone();
        (one["id"], one["ids"][0], one["tokens"][0]) = (token.as_str().into(), id.into(), token.as_str().into());
        around["special_tokens"][token.as_str()] = one;
    }
    if let Some(special) = around["special_tokens"].as_object_mut() {
        special.remove("");
    }
    document["model"]["unk_token"] = unknown.into();
    document["model"]["vocab"] = vocab.into();
    Ok(document)
}
