//! The model from the command line: the same engine as in the page.

pub mod convert;
pub mod eval;
pub mod generate;
pub mod logits;
pub mod parameters;
pub mod tokenize;

use anyhow::{Context, Result};
use inkling::Engine;
use inkling::files::Files;
use std::path::Path;

/// Opens a model folder or a .gguf file.
pub fn open(path: &Path) -> Result<Engine> {
    let engine = Files::open(path).and_then(Engine::open);
    engine.with_context(|| format!("opening {}", path.display()))
}
