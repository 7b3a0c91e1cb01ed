//! T5's tokenizer from its `spiece.model`, as transformers' `T5Tokenizer` makes it.

use super::LIMIT;
use crate::Result;
use crate::files::Files;
use crate::text::bad;
use crate::text::spm::{Kind, Model};
use serde_json::{Value, json};

/// The file's name.
pub(super) const FILE: &str = "spiece.model";

/// Sentinels that T5 has beyond its pieces, unless tokenizer_config.json says another number.
const EXTRA_IDS: u64 = 100;
/// No model has more.
const MOST_EXTRA_IDS: u64 = 10_000;

/// The tokenizer as a `tokenizer.json`.
pub(super) fn document(files: &mut Files, config: &Value) -> Result<Value> {
    let model = Model::parse(&files.read_all(FILE, LIMIT)?)?;
    let text = |name: &str, usual: &str| {
        let given = config.get(name);
        let content = given.and_then(|given| given.as_str().or_else(|| given.get("content").and_then(Value::as_str)));
        content.unwrap_or(usual).to_string()
    };
    let (end, unknown, pad) = (text("eos_token", "</s>"), text("unk_token", "<unk>"), text("pad_token", "<pad>"));
    let extra = config.get("extra_ids").and_then(Value::as_u64).unwrap_or(EXTRA_IDS);
    if extra > MOST_EXTRA_IDS {
        return Err(bad(&format!("at most {MOST_EXTRA_IDS} extra_ids"), &extra.to_string()));
    }
    let vocab: Vec<Value> = model.pieces.iter().map(|piece| json!([piece.text, piece.score])).collect();
    let id = |token: &str| model.pieces.iter().position(|piece| piece.text == token);
    let end_id = id(&end).ok_or_else(|| bad(&format!("a piece {end:?} that ends a text in {FILE}"), "none"))?;
    let mut added = Vec::new();
    let mut add = |id: usize, token: &str, special: bool| {
        added.push(json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": special,
        }));
    };
    for (id, piece) in model.pieces.iter().enumerate() {
        let special = piece.kind == Kind::Control || [&end, &unknown, &pad].contains(&&piece.text);
        if special || piece.kind == Kind::UserDefined {
            add(id, &piece.text, special);
        }
    }
    // The first has the last id.
    let sentinels = (0..extra).rev().map(|i| format!("<extra_id_{i}>")).filter(|token| id(token).is_none());
    for (i, token) in sentinels.enumerate() {
        add(model.pieces.len() + i, &token, true);
    }
    let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": if model.charsmap.is_empty() {
            Value::Null
        } else {
            json!({ "type": "Precompiled", "precompiled_charsmap": base64(&model.charsmap) })
        },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, metaspace.clone()] },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "SpecialToken": { "id": end, "type_id": 0 } }],
            "pair": [],
            "special_tokens": { end.as_str(): { "id": end, "ids": [end_id], "tokens": [end] } },
        },
        "decoder": metaspace,
        "model": { "type": "Unigram", "unk_id": model.unknown, "byte_fallback": false, "vocab": vocab },
    }))
}

/// Bytes as Base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
