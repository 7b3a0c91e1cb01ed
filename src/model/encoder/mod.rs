//! Encoder architectures: the trait they share, the list of them, and the heads that make predictions of what they read.

pub mod bert;
mod heads;
pub mod modernbert;

pub use heads::{Head, MaskedHead, Transform};

use super::{Fields, Loader, Pass, Shapes, Spec};
use crate::error::{Error, Result};
use crate::layers::Embedding;
use crate::weights::Weights;
use candle_core::Tensor;

/// A transformer that reads a text as a whole: every token sees those before and after it.
pub trait Encoder {
    fn spec(&self) -> &Spec;

    /// Runs whole sequences through all layers. `kinds` has the token type of every row, or nothing: then all are 0.
    /// Returns `[rows, hidden_size]`, the sequences one after the other.
    fn forward(&self, pass: &mut Pass, kinds: &[u32]) -> Result<Tensor>;

    /// What a layer's stream is once it comes from the last block: the final norm, where there is one.
    fn finish(&self, stream: &Tensor) -> Result<Tensor>;

    /// The embeddings of the tokens.
    fn embeddings(&self) -> &Embedding;

    /// What the checkpoint was trained to predict.
    fn head(&self) -> &Head;

    /// Whether its tokenizer tells the first text of a pair from the second by token types.
    fn has_kinds(&self) -> bool;
}

/// Builds an encoder from config.json.
pub type Load = fn(&Fields, &mut Loader) -> Result<Box<dyn Encoder>>;

/// An entry of [`ENCODERS`].
pub struct Family {
    /// `model_type` in config.json.
    pub name: &'static str,
    pub load: Load,
}

/// Every encoder the engine knows.
pub const ENCODERS: &[Family] =
    &[bert::BERT, bert::DISTILBERT, bert::ROBERTA, bert::XLM_ROBERTA, bert::CAMEMBERT, modernbert::MODERNBERT];

/// The encoder of that name.
pub fn find(name: &str) -> Option<&'static Family> {
    ENCODERS.iter().find(|family| family.name == name)
}

/// Builds the encoder that a config.json describes.
///
/// # Errors
/// [`Error::Unsupported`] names a model type that is not in [`ENCODERS`]; other errors name the field or tensor.
pub fn load(config: &Fields, weights: &mut Weights) -> Result<Box<dyn Encoder>> {
    (configured(config)?.load)(config, &mut Loader::new(weights, None))
}

/// The name and shape of every tensor that an encoder takes out of these weights, without reading them.
///
/// # Errors
/// As [`load`].
pub fn outline(config: &Fields, weights: &Weights) -> Result<Shapes> {
    let mut loader = Loader::outline_of(weights);
    (configured(config)?.load)(config, &mut loader)?;
    Ok(loader.into_outline())
}

fn configured(config: &Fields) -> Result<&'static Family> {
    let name = config.str(&["model_type"])?.unwrap_or_default();
    find(name).ok_or_else(|| super::unknown(name))
}

/// Refuses settings with which one of these would not read a text as a whole.
fn refuse_decoders(config: &Fields) -> Result<()> {
    config.refuse_unhonoured()?;
    for field in ["is_decoder", "add_cross_attention"] {
        if config.bool(&[field], false)? {
            return Err(unsupported(field, "false", "true"));
        }
    }
    match config.str(&["position_embedding_type"])?.unwrap_or("absolute") {
        "absolute" => Ok(()),
        other => Err(unsupported("position_embedding_type", "absolute", other)),
    }
}

fn unsupported(field: &str, expected: &str, found: &str) -> Error {
    Error::Unsupported { what: format!("config field {field}"), expected: expected.into(), found: found.into() }
}

/// The width of a head.
fn head_dim(field: &str, width: usize, heads: usize) -> Result<usize> {
    if width.is_multiple_of(heads) {
        return Ok(width / heads);
    }
    let (expected, found) = (format!("a divisor of the hidden size {width}"), heads.to_string());
    Err(Error::BadConfig { field: field.into(), expected, found })
}

/// Refuses a text longer than the model has positions for.
fn fits(pass: &Pass, limit: usize) -> Result<()> {
    let found = pass.length();
    if found > limit { Err(Error::ContextFull { limit, found }) } else { Ok(()) }
}
