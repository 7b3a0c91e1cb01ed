//! What is trained: the model's shape, and the same tokens for everyone.
use std::fs;

use anyhow::{Context, Result};
use inkling::train::Recipe;
use serde_json::{Value, json};

use super::native;
use crate::process;

/// The text all are trained on; it ships with the page.
const TEXT: &str = "www/corpora/village-en.txt";

/// A model's shape, and the batch it is trained in.
pub struct Size {
    pub name: &'static str,
    layers: usize,
    heads: usize,
    width: usize,
    context: usize,
    batch: usize,
    /// The most tokens of the vocabulary.
    vocabulary: usize,
    rate: f64,
}

/// Two presets of the page's Train view (www/views/train/presets.js), without dropout.
pub const SIZES: [Size; 2] = [
    Size { name: "lesson", layers: 3, heads: 4, width: 64, context: 64, batch: 8, vocabulary: 512, rate: 4e-3 },
    Size { name: "lunch", layers: 4, heads: 4, width: 128, context: 128, batch: 8, vocabulary: 2048, rate: 3e-3 },
];

/// How long to measure.
pub struct Timing {
    pub steps: Option<u32>,
    pub seconds: f64,
}

/// A size with all that a contender is given of it.
pub struct Task {
    pub size: &'static Size,
    pub vocabulary: usize,
    pub tokens_per_step: usize,
    /// `Task` in xtask/bench/train/measure.js.
    pub value: Value,
}

impl Task {
    pub fn new(size: &'static Size, timing: &Timing) -> Result<Self> {
        let path = process::root().join(TEXT);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let recipe = size.recipe();
        let read: Recipe = serde_json::from_value(recipe.clone()).context("in the recipe of the bench")?;
        let (setup, data) = native::prepare(&text, read)?;
        let vocabulary = setup.config["vocab_size"].as_u64().context("expected a vocab_size, found none")? as usize;
        let &Size { layers, heads, width, context, batch, .. } = size;
        // A row's last token is only predicted, and begins the next row.
        let rows: Vec<&[u32]> = data.tokens.windows(context + 1).step_by(context).collect();
        let value = json!({
            "layers": layers, "heads": heads, "width": width, "context": context, "batch": batch,
            "vocabulary": vocabulary, "adamw": size.adamw(), "rows": rows, "text": text, "recipe": recipe,
            "timing": {
                "warmSteps": 2, "warmSeconds": 1, "steps": timing.steps, "seconds": timing.seconds, "leastSteps": 2,
            },
        });
        Ok(Self { size, vocabulary, tokens_per_step: batch * context, value })
    }

    /// For a person.
    pub fn line(&self) -> String {
        let Size { name, layers, heads, width, context, batch, .. } = self.size;
        format!(
            "{name}: GPT-2 shape, {layers} layers, {heads} heads, width {width}, context {context}, batch {batch}, \
             vocabulary {}; fp32, AdamW, no dropout",
            self.vocabulary
        )
    }

    pub fn json(&self) -> Value {
        let Size { name, layers, heads, width, context, batch, .. } = self.size;
        json!({
            "name": name, "layers": layers, "heads": heads, "width": width, "context": context, "batch": batch,
            "vocabulary": self.vocabulary,
        })
    }
}

impl Size {
    fn adamw(&self) -> Value {
        json!({ "rate": self.rate, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "decay": 0.1, "clip": 1.0 })
    }

    /// inkling's recipe: the rate stays as it is, and no measurement on held-out text falls into the run.
    fn recipe(&self) -> Value {
        let adamw = self.adamw();
        json!({
            "corpus": { "separator": "\n\n" },
            "vocabulary": { "kind": "byte-level-bpe", "size": self.vocabulary },
            "model": {
                "model_type": "gpt2", "n_layer": self.layers, "n_head": self.heads, "n_embd": self.width,
                "n_positions": self.context, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
                "tie_word_embeddings": true,
            },
            "training": {
                "optim": "adamw", "learning_rate": self.rate, "min_learning_rate": self.rate, "warmup_steps": 0,
                "adam_beta1": adamw["beta1"], "adam_beta2": adamw["beta2"], "adam_epsilon": adamw["epsilon"],
                "weight_decay": adamw["decay"], "max_grad_norm": adamw["clip"], "batch_size": self.batch,
                "sequence_length": self.context, "max_steps": 1_000_000, "eval_steps": 1_000_000,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_page() {
        let presets = fs::read_to_string(process::root().join("www/views/train/presets.js")).unwrap();
        for Size { name, layers, heads, width, context, batch, vocabulary, .. } in &SIZES {
            let preset = presets.split(&format!("\n  {name}: {{")).nth(1).unwrap().split("\n  },").next().unwrap();
            let shape = format!("layers: {layers}, heads: {heads}, width: {width}, context: {context},");
            for part in [shape, format!("batch: {batch},"), format!("most: {vocabulary},")] {
                assert!(preset.contains(&part), "{part:?} in {preset}");
            }
        }
    }
}
