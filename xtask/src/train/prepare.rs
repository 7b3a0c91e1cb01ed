//! What `models/train.py` reads: everything of a run but the training.

use anyhow::{Context, Result};
use inkling::train::{Data, Trainer};
use serde_json::json;
use std::path::Path;

/// Writes the model's folder as it is before the first step, and beside it
/// - `tokens.bin`: the token ids of all documents, the held-out ones first, as little-endian u32;
/// - `documents.bin`: where each document ends in it, as little-endian u32;
/// - `training.json`: the recipe's `[training]`, and how many documents are held out and the bytes of their text;
/// - `held_out.txt`: the held-out text, for `cargo xtask eval`.
pub fn write(out: &Path, trainer: &Trainer, data: &Data, held_out: &[String]) -> Result<()> {
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(out.join(name), bytes).with_context(|| format!("writing {}", out.join(name).display()))
    };
    for file in trainer.export()? {
        write(file.name, &file.bytes)?;
    }
    let mut ids = data.held_out.concat();
    let mut ends: Vec<u32> = Vec::new();
    for document in &data.held_out {
        ends.push(ends.last().unwrap_or(&0) + document.len() as u32);
    }
    let before = ids.len();
    ends.extend(data.ends.iter().map(|end| (before + end) as u32));
    ids.extend(&data.tokens);
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    write("tokens.bin", &words(&ids))?;
    write("documents.bin", &words(&ends))?;
    write("held_out.txt", format!("{}\n", held_out.join("\n<|endoftext|>\n")).as_bytes())?;
    let mut training = serde_json::to_value(&trainer.setup().recipe.training)?;
    training["held_out_documents"] = json!(data.held_out.len());
    training["held_out_bytes"] = json!(data.held_out_bytes);
    write("training.json", format!("{training:#}\n").as_bytes())
}
