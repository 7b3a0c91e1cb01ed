//! Architectures that write, decoders and encoder-decoders: the trait they share, the list of them, and one forward pass
//! over a batch of sequences. Encoders have a trait and a list of their own.

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
pub use probe::{Attending, Probe, Site};
pub use seq2seq::EncoderSpec;
pub use variables::{Initial, Variables};

use crate::error::{Error, Result};
use crate::kernels::CacheType;
use crate::kernels::attention::{Heads, Held, Reach, Relative, attention};
use crate::kernels::tracked::{self, Mask};
use crate::layers::{Crossed, Embedding, KvCache, Linear, Norm, rows, with_values};
use crate::train::Random;
use crate::weights::Weights;
use candle_core::Tensor;
use std::sync::Arc;

/// What is known of a loaded decoder.
#[derive(Clone, Debug)]
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

/// The new tokens of one sequence and what it has been through already.
pub struct Sequence<'a> {
    pub ids: &'a [u32],
    pub cache: &'a mut KvCache,
}

/// One forward pass: a batch of sequences, each with its own cache or, when they are read whole, with none.
pub struct Pass<'a> {
    sequences: Vec<(&'a [u32], Option<&'a mut KvCache>)>,
    /// Positions each sequence held before the pass.
    past: Vec<usize>,
    length: usize,
    dropout: Option<Dropout>,
    /// Calls of [`Self::dropout`] so far.
    dropped: u64,
    probe: Option<&'a mut Probe>,
}

/// What decides which activations a training pass drops.
pub struct Dropout {
    pub seed: u64,
    /// Counts the forward passes of a run.
    pub pass: u64,
}

impl<'a> Pass<'a> {
    /// A pass over these sequences. When a prompt is read in slices, `length` is that of the whole prompt, which some
    /// kinds of rotary scaling depend on; else the length after the pass.
    pub fn new(sequences: Vec<Sequence<'a>>, length: usize) -> Self {
        let past: Vec<_> = sequences.iter().map(|s| s.cache.len()).collect();
        let reached = sequences.iter().zip(&past).map(|(s, past)| past + s.ids.len()).max().unwrap_or(0);
        let sequences = sequences.into_iter().map(|s| (s.ids, Some(s.cache))).collect();
        Self { sequences, past, length: length.max(reached), dropout: None, dropped: 0, probe: None }
    }

    /// The same pass, looked at.
    pub fn seen_by(mut self, probe: &'a mut Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Shows values `[rows, width]` to whoever looks.
    pub fn see(&mut self, layer: usize, site: Site, x: &Tensor) -> Result<()> {
        match &mut self.probe {
            Some(probe) => probe.see(layer, site, x),
            None => Ok(()),
        }
    }

    /// A pass over whole sequences of which nothing is kept but, where weights are tracked, their gradients.
    pub fn whole(sequences: impl IntoIterator<Item = &'a [u32]>, dropout: Option<Dropout>) -> Self {
        let sequences: Vec<_> = sequences.into_iter().map(|ids| (ids, None)).collect();
        let length = sequences.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        Self { past: vec![0; sequences.len()], sequences, length, dropout, dropped: 0, probe: None }
    }

    /// The new tokens of all sequences, one row each.
    pub fn ids(&self) -> Vec<u32> {
        self.sequences.iter().flat_map(|(ids, _)| ids.iter().copied()).collect()
    }

    /// The position of each row in its sequence.
    pub fn positions(&self) -> Vec<u32> {
        let spans = self.sequences.iter().zip(&self.past);
        spans.flat_map(|((ids, _), &past)| (past..past + ids.len()).map(|p| p as u32)).collect()
    }

    /// How long the text is once the whole prompt is read.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Drops activations with probability `p` and scales the others up, in training; else changes nothing.
    pub fn dropout(&mut self, x: Tensor, p: f32) -> Result<Tensor> {
        match self.mask(p) {
            Some(mask) => tracked::dropout(&x, mask),
            None => Ok(x),
        }
    }

    /// What the next dropout of probability `p` drops.
    fn mask(&mut self, p: f32) -> Option<Mask> {
        let Dropout { seed, pass } = self.dropout.as_ref().filter(|_| p > 0.0)?;
        let stream = Random::new(*seed, &format!("dropout {pass} {}", self.dropped));
        self.dropped += 1;
        Some(Mask { p, stream })
    }

    /// The lengths of the sequences, where every one is read whole and nothing is cached: then gradients may flow.
    fn trained_lengths(&self, heads: Heads) -> Result<Option<Vec<usize>>> {
        if self.sequences.iter().all(|(_, cache)| cache.is_some()) {
            return Ok(None);
        }
        if !heads.reach.is_causal(self.length) {
            return Err(Error::Unsupported {
                what: "training with this attention".into(),
                expected: "every token sees all before it".into(),
                found: format!("{:?} for {} tokens", heads.reach, self.length),
            });
        }
        Ok(Some(self.sequences.iter().map(|(ids, _)| ids.len()).collect()))
    }

    /// As [`Self::attend`] for queries, keys and values side by side, `[rows, (query + 2 · key_value) · dim]`.
    pub fn attend_joined(&mut self, layer: usize, heads: Heads, dropout: f32, qkv: &Tensor) -> Result<Tensor> {
        if let Some(lengths) = self.trained_lengths(heads)? {
            return tracked::joined_causal_attention(heads, qkv, &lengths, self.mask(dropout));
        }
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let (k, v) = (qkv.narrow(1, q_width, kv_width)?, qkv.narrow(1, q_width + kv_width, kv_width)?);
        self.attend_biased(layer, heads, None, [&qkv.narrow(1, 0, q_width)?, &k, &v])
    }

    /// Adds keys and values (`[rows, key_value · dim]`) to the caches and attends with `q` (`[rows, query · dim]`). In
    /// training, attention weights are dropped with probability `dropout`.
    pub fn attend(&mut self, layer: usize, heads: Heads, dropout: f32, qkv: [&Tensor; 3]) -> Result<Tensor> {
        match self.trained_lengths(heads)? {
            Some(lengths) => tracked::causal_attention(heads, qkv, &lengths, self.mask(dropout)),
            None => self.attend_biased(layer, heads, None, qkv),
        }
    }

    /// [`Self::attend`] outside of training, with something added to the scores by distance.
    pub fn attend_biased(
        &mut self,
        layer: usize,
        heads: Heads,
        bias: Option<&Relative>,
        [q, k, v]: [&Tensor; 3],
    ) -> Result<Tensor> {
        self.see_all(layer, [q, k, v])?;
        let width = heads.key_value * heads.dim;
        with_values(k, |k| {
            with_values(v, |v| {
                let mut row = 0;
                for (ids, cache) in &mut self.sequences {
                    let new = row * width..(row + ids.len()) * width;
                    row += ids.len();
                    let Some(cache) = cache else { continue };
                    cache.append(layer, &k[new.clone()], &v[new])?;
                }
                Ok(())
            })
        })?;
        let cached = self.sequences.iter().zip(&self.past);
        let cached = cached.filter_map(|((ids, cache), &past)| {
            cache.as_ref().map(|cache| Share { rows: ids.len(), past, held: cache.layer(layer) })
        });
        let look = self.probe.as_deref_mut().map(|probe| (probe, Attending::Within));
        let attended = attend_to(look, layer, heads, q, bias, &cached.collect::<Vec<_>>())?;
        self.see(layer, Site::Heads, &attended)?;
        Ok(attended)
    }

    /// Attends to sequences that are read whole and of which nothing is kept; shapes as for [`Self::attend`].
    pub fn attend_whole(
        &mut self,
        layer: usize,
        heads: Heads,
        bias: Option<&Relative>,
        [q, k, v]: [&Tensor; 3],
    ) -> Result<Tensor> {
        self.see_all(layer, [q, k, v])?;
        let width = heads.key_value * heads.dim;
        let held = with_values(k, |k| {
            with_values(v, |v| {
                let mut row = 0;
                let split = |(ids, _): &(&[u32], _)| {
                    let own = row * width..(row + ids.len()) * width;
                    row += ids.len();
                    Held::split(CacheType::F32, heads, &k[own.clone()], &v[own])
                };
                self.sequences.iter().map(split).collect::<Result<Vec<_>>>()
            })
        })?;
        let shares = self.sequences.iter().zip(&held).map(|((ids, _), held)| Share { rows: ids.len(), past: 0, held });
        let look = self.probe.as_deref_mut().map(|probe| (probe, Attending::Within));
        let attended = attend_to(look, layer, heads, q, bias, &shares.collect::<Vec<_>>())?;
        self.see(layer, Site::Heads, &attended)?;
        Ok(attended)
    }

    /// Attends with `q` (`[rows, query · dim]`) to what the caches hold of the source texts.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`] where no source was read.
    pub fn attend_across(&mut self, layer: usize, heads: Heads, q: &Tensor) -> Result<Tensor> {
        let heads = Heads { reach: Reach::All, ..heads };
        let share = |((ids, cache), &past): (&(&[u32], Option<&'a mut KvCache>), &usize)| {
            let crossed = cache.as_ref().and_then(|cache| cache.crossed()).ok_or(Error::EmptyPrompt)?;
            Ok((ids.len(), past, Arc::clone(crossed)))
        };
        let sources = self.sequences.iter().zip(&self.past).map(share).collect::<Result<Vec<_>>>()?;
        let shares =
            sources.iter().map(|(rows, past, crossed)| Share { rows: *rows, past: *past, held: crossed.layer(layer) });
        let look = self.probe.as_deref_mut().map(|probe| (probe, Attending::Across));
        attend_to(look, layer, heads, q, None, &shares.collect::<Vec<_>>())
    }

    fn see_all(&mut self, layer: usize, qkv: [&Tensor; 3]) -> Result<()> {
        [Site::Query, Site::Key, Site::Value].into_iter().zip(qkv).try_for_each(|(site, x)| self.see(layer, site, x))
    }
}

/// One sequence's share of an attention call.
struct Share<'a> {
    rows: usize,
    past: usize,
    held: &'a [Held],
}

fn attend_to(
    mut look: Option<(&mut Probe, Attending)>,
    layer: usize,
    heads: Heads,
    q: &Tensor,
    bias: Option<&Relative>,
    shares: &[Share],
) -> Result<Tensor> {
    let width = heads.query * heads.dim;
    with_values(q, |q| {
        let mut out = Vec::with_capacity(q.len());
        let mut row = 0;
        for Share { rows, past, held } in shares {
            let end = row + rows;
            let total = held.first().map_or(0, |head| head.len(heads.dim));
            let weights = match &mut look {
                Some((probe, attending)) => probe.room(*attending, layer, heads.query * rows * total)?,
                None => None,
            };
            out.extend(attention(heads, &q[row * width..end * width], held, *past, bias, weights)?);
            row = end;
        }
        if let Some((probe, Attending::Within)) = look {
            probe.silence(layer, heads.dim, width, &mut out);
        }
        rows(out, row)
    })
}
