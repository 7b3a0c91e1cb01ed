//! The model from the command line: the same engine as in the page.

pub mod convert;
pub mod eval;
pub mod generate;
pub mod inspect;
pub mod logits;
mod messages;
pub mod parameters;
pub mod tasks;
pub mod tokenize;

use anyhow::{Context, Result};
use inkling::Engine;
use inkling::files::Files;
use inkling::kernels::CacheType;
use inkling::reader::Opened;
use std::path::{Path, PathBuf};

/// A model, and how it is run.
#[derive(clap::Args)]
#[group(skip)]
pub struct ModelArgs {
    /// A folder (config.json, *.safetensors, tokenizer) or a .gguf file
    #[arg(long)]
    model: PathBuf,
    /// How keys and values are kept: f32, f16, q8
    #[arg(long, default_value_t)]
    cache_type: CacheType,
}

impl ModelArgs {
    pub fn open(&self) -> Result<Engine> {
        let mut engine = open(&self.model)?;
        engine.set_cache_type(self.cache_type);
        Ok(engine)
    }

    /// The model, whichever kind it is.
    pub fn open_any(&self) -> Result<Opened> {
        let mut model = open_any(&self.model)?;
        if let Opened::Writer(engine) = &mut model {
            engine.set_cache_type(self.cache_type);
        }
        Ok(model)
    }
}

/// Opens a model of either kind.
pub fn open_any(path: &Path) -> Result<Opened> {
    let model = Files::open(path).and_then(inkling::open);
    model.with_context(|| format!("opening {}", path.display()))
}

/// Opens the folder or .gguf file of a model that continues a text.
pub fn open(path: &Path) -> Result<Engine> {
    let engine = Files::open(path).and_then(Engine::open);
    engine.with_context(|| format!("opening {}", path.display()))
}
