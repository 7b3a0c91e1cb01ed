//! The tokenizers of XLM-RoBERTa (Conneau et al. 2020) and CamemBERT from their `sentencepiece.bpe.model`, as transformers makes
//! them: the special tokens stand in fairseq's places before the pieces, the mask after them.

use super::{LIMIT, optional_json, unigram};
use crate::Result;
use crate::files::Files;
use crate::text::bad;
use crate::text::spm::Model;
use serde_json::{Value, json};

/// The file's name; what is in it is unigram all the same.
pub(super) const FILE: &str = "sentencepiece.bpe.model";

/// What stands before the pieces, and how many of the file's own first pieces it stands for.
const XLM_ROBERTA: (&[&str], usize) = (&["<s>", "<pad>", "</s>", "<unk>"], 3);
const CAMEMBERT: (&[&str], usize) = (&["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"], 1);
/// Where both have the unknown token.
const UNKNOWN: usize = 3;

/// The tokenizer as a `tokenizer.json`.
pub(super) fn document(files: &mut Files, config: &Value) -> Result<Value> {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default().to_string();
    let model_type = optional_json(files, "config.json")?;
    let model_type = model_type.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let is_camembert = class.contains("Camembert") || class.is_empty() && model_type == "camembert";
    let (before, skipped) = if is_camembert { CAMEMBERT } else { XLM_ROBERTA };
    let model = Model::parse(&files.read_all(FILE, LIMIT)?)?;
    let special = before.iter().map(|token| (token.to_string(), 0.0));
    let pieces = model.pieces.iter().skip(skipped).map(|piece| (piece.text.clone(), piece.score));
    let vocab: Vec<(String, f32)> = special.chain(pieces).chain([("<mask>".to_string(), 0.0)]).collect();
    let id = |token: &str| {
        let id = vocab.iter().position(|(known, _)| known == token);
        id.ok_or_else(|| bad(&format!("a piece {token:?} in {FILE}"), "none"))
    };
    let mut added = Vec::new();
    for token in ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] {
        // The mask takes the space before it along, as it did in training.
        added.push(unigram::added(id(token)?, token, true, token == "<mask>"));
    }
    let around = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let text = |which: &str| json!({ "Sequence": { "id": which, "type_id": 0 } });
    let of = |token: &str, id: usize| json!({ "id": token, "ids": [id], "tokens": [token] });
    let template = json!({
        "type": "TemplateProcessing",
        "single": [around("<s>"), text("A"), around("</s>")],
        "pair": [around("<s>"), text("A"), around("</s>"), around("</s>"), text("B"), around("</s>")],
        "special_tokens": { "<s>": of("<s>", id("<s>")?), "</s>": of("</s>", id("</s>")?) },
    });
    Ok(unigram::document(&model, json!(vocab), json!(UNKNOWN), added, template))
}
