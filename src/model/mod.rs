//! Architectures that write, decoders and encoder-decoders: the trait they share, and the list of them. Encoders have a
//! trait and a list of their own.

mod config;
pub mod conversion;
pub mod encoder;
mod form;
pub mod gemma;
pub mod gpt2;
pub mod gpt_neox;
pub mod llama;
mod loader;
pub mod marian;
pub mod mistral;
mod pass;
pub mod phi3;
pub mod probe;
pub mod qwen;
mod rope;
pub mod seq2seq;
pub mod smollm3;
pub mod t5;
pub mod variables;
mod windows;

pub use config::Fields;
pub use form::{Form, LayerForm};
pub use loader::{HEADS, Loader, Part};
pub use pass::{Dropout, Pass, Sequence};
pub use probe::{Attending, Probe, Site};
pub use seq2seq::EncoderSpec;
pub use variables::{Initial, Variables};

use crate::error::{Error, Result};
use crate::kernels::CacheType;
use crate::layers::{Crossed, Embedding, KvCache, Linear, Norm};
use crate::weights::Weights;
use candle_core::Tensor;

/// What is known of a loaded decoder.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The `model_type` of its configuration.
    pub architecture: &'static str,
    pub layers: usize,
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_dim: usize,
    pub hidden_size: usize,
    pub vocab_size: usize,
    /// The most positions a text may have.
    pub context_length: usize,
    /// Trained values, a tied output head counted once.
    pub parameters: u64,
    /// Memory the weights take.
    pub weight_bytes: u64,
    /// The format of most of the weights, by GGUF's names.
    pub quantization: String,
    /// The formats of matrices that have no kernel of their own and are decoded row by row, which is slower.
    pub decoded_formats: Vec<&'static str>,
    /// What a block computes, for whoever explains it.
    pub form: Form,
    /// Every tensor, by its Hugging Face name.
    pub parts: Vec<Part>,
}

impl Spec {
    /// An empty cache of the right shape.
    pub fn cache(&self, kind: CacheType) -> KvCache {
        KvCache::new(self.layers, self.key_value_heads, self.head_dim, kind)
    }
}

/// A transformer that writes: a decoder, or the decoder of an encoder-decoder with its encoder.
pub trait Decoder {
    fn spec(&self) -> &Spec;

    /// What is known of its encoder, where it has one. A text is then written from a source text.
    fn encoder(&self) -> Option<&EncoderSpec> {
        None
    }

    /// Reads a source text; what it gives is what the decoder attends to.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`], [`Error::ContextFull`].
    fn encode(&self, _ids: &[u32], _kind: CacheType, _probe: Option<&mut Probe>) -> Result<Option<Crossed>> {
        Ok(None)
    }

    /// Runs the new positions of every sequence through all layers and adds them to the caches.
    /// Returns `[rows, hidden_size]`, the sequences one after the other, after the final norm.
    fn forward(&self, pass: &mut Pass) -> Result<Tensor>;

    /// The embeddings of the tokens.
    fn embeddings(&self) -> &Embedding;

    /// The norm after the last block.
    fn norm(&self) -> &Norm;

    /// The output head.
    fn head(&self) -> &Linear;

    /// `[n, hidden_size]` to logits `[n, vocab_size]`.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head().forward(hidden)
    }

    /// Whether a text that is written is read anew from its beginning when it has grown to so many tokens, as
    /// transformers does with Phi-3 when LongRoPE changes its factors.
    fn rereads(&self, _length: usize) -> bool {
        false
    }

    /// Whether keys cached while a text grew to `longest` tokens are those it would get if read at once.
    fn cache_fits(&self, _longest: usize) -> bool {
        true
    }
}

/// Builds a decoder from config.json, or from GGUF metadata when there is none.
pub type Load = fn(Option<&Fields>, &mut Loader) -> Result<Box<dyn Decoder>>;

/// An entry of [`ARCHITECTURES`].
pub struct Architecture {
    /// `model_type` in config.json.
    pub name: &'static str,
    /// `general.architecture` in GGUF; of several with the same one, the first reads it.
    pub gguf: &'static str,
    /// Names of GGUF tensors for those of Hugging Face, without the layer prefix and the ending.
    pub gguf_names: &'static [(&'static str, &'static str)],
    /// What a config.json means that does not say.
    pub bos_token_id: Option<u32>,
    pub eos_token_id: Option<u32>,
    pub load: Load,
    /// How its configuration and tensors go from one kind of file to the other.
    pub conversion: conversion::Conversion,
}

/// Every architecture the engine knows.
pub const ARCHITECTURES: &[Architecture] = &[
    gpt2::ARCHITECTURE,
    llama::ARCHITECTURE,
    mistral::ARCHITECTURE,
    qwen::QWEN2,
    qwen::QWEN3,
    phi3::ARCHITECTURE,
    smollm3::ARCHITECTURE,
    gemma::ARCHITECTURE,
    gpt_neox::ARCHITECTURE,
    t5::T5,
    t5::MT5,
    marian::MARIAN,
    marian::BART,
];

/// Where GGUF metadata name it.
const GGUF_ARCHITECTURE: &str = "general.architecture";

/// The architecture of that name in a config.json.
///
/// # Errors
/// [`Error::Unsupported`] naming it and those there are; [`Error::WrongTask`] for an encoder.
pub fn architecture(name: &str) -> Result<&'static Architecture> {
    named(name, |architecture| architecture.name).ok_or_else(|| match encoder::find(name) {
        Some(encoder) => Error::WrongTask {
            expected: "one that continues a text".into(),
            found: format!("{}, an encoder, which reads a text as a whole", encoder.name),
        },
        None => unknown(name),
    })
}

/// The architecture of that name in GGUF.
///
/// # Errors
/// [`Error::Unsupported`] naming it and those there are.
pub fn gguf_architecture(name: &str) -> Result<&'static Architecture> {
    let mut known: Vec<_> = ARCHITECTURES.iter().map(|architecture| architecture.gguf).collect();
    known.dedup();
    named(name, |architecture| architecture.gguf).ok_or_else(|| unsupported(name, GGUF_ARCHITECTURE, &known))
}

fn named(name: &str, of: fn(&Architecture) -> &'static str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|architecture| of(architecture) == name)
}

/// The error for a model that nothing here reads.
pub(crate) fn unknown(name: &str) -> Error {
    let known = ARCHITECTURES.iter().map(|a| a.name).chain(encoder::ENCODERS.iter().map(|family| family.name));
    unsupported(name, "model_type", &known.collect::<Vec<_>>())
}

fn unsupported(name: &str, field: &str, known: &[&str]) -> Error {
    Error::Unsupported {
        what: "this architecture".into(),
        expected: format!("one of {}", known.join(", ")),
        found: if name.is_empty() { format!("no {field}") } else { name.into() },
    }
}

/// Builds the model that `config` (a config.json) or, without it, the GGUF metadata describes.
///
/// # Errors
/// [`Error::Unsupported`] names an architecture that is not in [`ARCHITECTURES`]; other errors name the field or tensor.
pub fn load(config: Option<&Fields>, weights: &mut Weights) -> Result<Box<dyn Decoder>> {
    let architecture = match config {
        Some(config) => configured(config)?,
        None => gguf_architecture(weights.metadata().get_str(GGUF_ARCHITECTURE)?.unwrap_or_default())?,
    };
    let names = config.is_none().then_some(architecture.gguf_names);
    (architecture.load)(config, &mut Loader::new(weights, names))
}

/// The model of a config.json with weights that can be trained on; they may lie in a GGUF file, and are decoded.
///
/// # Errors
/// As [`load`].
pub fn load_trained(config: &Fields, weights: &mut Weights) -> Result<(Box<dyn Decoder>, Variables)> {
    let architecture = configured(config)?;
    let names = weights.metadata().contains(GGUF_ARCHITECTURE).then_some(architecture.gguf_names);
    let mut loader = Loader::trained(weights, names);
    let decoder = (architecture.load)(Some(config), &mut loader)?;
    Ok((decoder, loader.into_variables()))
}

/// A model that has not been trained yet, its first values drawn with `seed`.
///
/// # Errors
/// As [`load`].
pub fn initial(config: &Fields, seed: u64) -> Result<(Box<dyn Decoder>, Variables)> {
    let architecture = configured(config)?;
    let layers = layers(config)?;
    let range = config.positive(&["initializer_range"])?.unwrap_or(0.02);
    let mut loader = Loader::initial(Initial { seed, layers, range });
    let decoder = (architecture.load)(Some(config), &mut loader)?;
    Ok((decoder, loader.into_variables()))
}

/// The same model over variables that are being trained, without gradients.
///
/// # Errors
/// As [`load`].
pub fn reading(config: &Fields, variables: &Variables) -> Result<Box<dyn Decoder>> {
    let architecture = configured(config)?;
    (architecture.load)(Some(config), &mut Loader::shared(variables))
}

/// Tensors by name, with their shapes.
pub type Shapes = Vec<(String, Vec<usize>)>;

/// What a configuration would make, without making it: its [`Spec`], and the name and shape of every tensor.
///
/// # Errors
/// As [`load`].
pub fn outline(config: &Fields) -> Result<(Spec, Shapes)> {
    let architecture = configured(config)?;
    layers(config)?;
    let mut loader = Loader::outline();
    let spec = (architecture.load)(Some(config), &mut loader)?.spec().clone();
    Ok((spec, loader.into_outline()))
}

/// The layers of a model that no file bounds.
fn layers(config: &Fields) -> Result<usize> {
    bounded_layers(config.count(&["n_layer", "num_hidden_layers"], Some(12))?)
}

/// A number of layers that may be counted through before there is a tensor of any.
fn bounded_layers(layers: usize) -> Result<usize> {
    const MOST: usize = 1024;
    if layers <= MOST {
        return Ok(layers);
    }
    let (field, found) = ("num_hidden_layers".into(), layers.to_string());
    Err(Error::BadConfig { field, expected: format!("at most {MOST}"), found })
}

fn configured(config: &Fields) -> Result<&'static Architecture> {
    architecture(config.str(&["model_type"])?.unwrap_or_default())
}
