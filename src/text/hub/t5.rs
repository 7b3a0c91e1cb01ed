//! T5's tokenizer from its `spiece.model`, as transformers' `T5Tokenizer` makes it.

use super::{LIMIT, unigram};
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
    for (id, piece) in model.pieces.iter().enumerate() {
        let special = piece.kind == Kind::Control || [&end, &unknown, &pad].contains(&&piece.text);
        if special || piece.kind == Kind::UserDefined {
            added.push(unigram::added(id, &piece.text, special, false));
        }
    }
    // The first has the last id.
    let sentinels = (0..extra).rev().map(|i| format!("<extra_id_{i}>")).filter(|token| id(token).is_none());
    for (i, token) in sentinels.enumerate() {
        added.push(unigram::added(model.pieces.len() + i, &token, true, false));
    }
    let template = json!({
        "type": "TemplateProcessing",
        "single": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "SpecialToken": { "id": end, "type_id": 0 } }],
        "pair": [],
        "special_tokens": { end.as_str(): { "id": end, "ids": [end_id], "tokens": [end] } },
    });
    Ok(unigram::document(&model, vocab.into(), json!(model.unknown), added, template))
}
