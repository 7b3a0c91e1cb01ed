//! A `tokenizer.json` of a sentencepiece unigram model, as transformers converts one.

use crate::text::spm::Model;
use serde_json::{Value, json};

/// A special token, or one of the person's own, that is looked for in the text as it is; `lstrip`: with the spaces before
/// it.
pub(super) fn added(id: usize, content: &str, special: bool, lstrip: bool) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": lstrip, "rstrip": false, "normalized": false,
        "special": special,
    })
}

/// The whole: `model` says how a text is normalised, `vocab` has the pieces with their scores, `template` what is put around
/// a text.
pub(super) fn document(model: &Model, vocab: Value, unknown: Value, added: Vec<Value>, template: Value) -> Value {
    let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": if model.charsmap.is_empty() {
            Value::Null
        } else {
            json!({ "type": "Precompiled", "precompiled_charsmap": base64(&model.charsmap) })
        },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, metaspace.clone()] },
        "post_processor": template,
        "decoder": metaspace,
        "model": { "type": "Unigram", "unk_id": unknown, "byte_fallback": false, "vocab": vocab },
    })
}

/// Bytes as Base64.
fn base64(bytes: &[u8]) -> String {
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
