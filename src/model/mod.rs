//! Decoder architectures: the trait they share, the list of them, and one forward pass over a batch of sequences.

mod config;
pub mod gpt2;
pub mod llama;
mod loader;

pub use config::Fields;
pub use loader::Loader;

use crate::error::{Error, Result};
use crate::kernels::attention::{Heads, attention, plain};
use crate::layers::{KvCache, rows, with_values};
use crate::weights::Weights;
use candle_core::Tensor;

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
}

impl Spec {
    /// An empty cache of the right shape.
    pub fn cache(&self) -> KvCache {
        KvCache::new(self.layers, self.key_value_heads * self.head_dim)
    }
}

/// A decoder-only transformer.
pub trait Decoder {
    fn spec(&self) -> &Spec;

    /// Runs the new positions of every sequence through all layers and adds them to the caches.
    /// Returns `[rows, hidden_size]`, the sequences one after the other, after the final norm.
    fn forward(&self, pass: &mut Pass) -> Result<Tensor>;

    /// `[n, hidden_size]` to logits `[n, vocab_size]`.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor>;

    /// Whether keys cached while a text grew to `longest` tokens are those it would get if read at once.
    fn cache_fits(&self, _longest: usize) -> bool {
        true
    }
}

/// Builds a decoder from config.json, or from GGUF metadata when there is none.
pub type Load = fn(Option<&Fields>, &mut Loader) -> Result<Box<dyn Decoder>>;

/// An entry of [`ARCHITECTURES`].
pub struct Architecture {
    /// `model_type` in config.json and `general.architecture` in GGUF.
    pub name: &'static str,
    /// Names of GGUF tensors for those of Hugging Face, without the layer prefix and the ending.
    pub gguf_names: &'static [(&'static str, &'static str)],
    /// What a config.json means that does not say.
    pub bos_token_id: u32,
    pub eos_token_id: u32,
    pub load: Load,
}

/// Every architecture the engine knows.
pub const ARCHITECTURES: &[Architecture] = &[gpt2::ARCHITECTURE, llama::ARCHITECTURE];

/// The architecture of that name.
///
/// # Errors
/// [`Error::Unsupported`] naming it and those there are.
pub fn architecture(name: &str) -> Result<&'static Architecture> {
    ARCHITECTURES.iter().find(|a| a.name == name).ok_or_else(|| Error::Unsupported {
        what: "this architecture".into(),
        expected: format!("one of {}", ARCHITECTURES.iter().map(|a| a.name).collect::<Vec<_>>().join(", ")),
        found: if name.is_empty() { "no model_type".into() } else { name.into() },
    })
}

/// Builds the model that `config` (a config.json) or, without it, the GGUF metadata describes.
///
/// # Errors
/// [`Error::Unsupported`] names an architecture that is not in [`ARCHITECTURES`]; other errors name the field or tensor.
pub fn load(config: Option<&Fields>, weights: &mut Weights) -> Result<Box<dyn Decoder>> {
    let name = match config {
        Some(config) => config.str(&["model_type"])?.unwrap_or_default().to_string(),
        None => weights.metadata().get_str("general.architecture")?.unwrap_or_default().to_string(),
    };
    let architecture = architecture(&name)?;
    let mut loader = Loader::new(weights, config.is_none().then_some(architecture.gguf_names));
    (architecture.load)(config, &mut loader)
}

/// The new tokens of one sequence and what it has been through already.
pub struct Sequence<'a> {
    pub ids: &'a [u32],
    pub cache: &'a mut KvCache,
}

/// One forward pass: a batch of sequences, each with its own cache.
pub struct Pass<'a> {
    sequences: Vec<Sequence<'a>>,
    /// Positions each sequence held before the pass.
    past: Vec<usize>,
    length: usize,
}

impl<'a> Pass<'a> {
    /// A pass over these sequences. When a prompt is read in slices, `length` is that of the whole prompt, which some
    /// kinds of rotary scaling depend on; else the length after the pass.
    pub fn new(sequences: Vec<Sequence<'a>>, length: usize) -> Self {
        let past: Vec<_> = sequences.iter().map(|s| s.cache.len()).collect();
        let reached = sequences.iter().zip(&past).map(|(s, past)| past + s.ids.len()).max().unwrap_or(0);
        Self { sequences, past, length: length.max(reached) }
    }

    /// The new tokens of all sequences, one row each.
    pub fn ids(&self) -> Vec<u32> {
        self.sequences.iter().flat_map(|s| s.ids.iter().copied()).collect()
    }

    /// The position of each row in its sequence.
    pub fn positions(&self) -> Vec<u32> {
        let spans = self.sequences.iter().zip(&self.past);
        spans.flat_map(|(s, &past)| (past..past + s.ids.len()).map(|p| p as u32)).collect()
    }

    /// How long the text is once the whole prompt is read.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Attention that gradients flow through: every sequence is read whole, and nothing is cached.
    fn attend_tracked(&self, heads: Heads, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let mut out = Vec::with_capacity(self.sequences.len());
        let mut row = 0;
        for sequence in &self.sequences {
            let n = sequence.ids.len();
            let part = |x: &Tensor| x.narrow(0, row, n);
            out.push(plain(heads, &part(q)?, &part(k)?, &part(v)?, 0)?);
            row += n;
        }
        Ok(Tensor::cat(&out, 0)?)
    }

    /// Adds keys and values (`[rows, key_value · dim]`) to the caches and attends with `q` (`[rows, query · dim]`).
    pub fn attend(&mut self, layer: usize, heads: Heads, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        if q.track_op() || k.track_op() || v.track_op() {
            return self.attend_tracked(heads, q, k, v);
        }
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        with_values(q, |q| {
            with_values(k, |k| {
                with_values(v, |v| {
                    let mut out = Vec::with_capacity(q.len());
                    let mut row = 0;
                    for (sequence, &past) in self.sequences.iter_mut().zip(&self.past) {
                        let end = row + sequence.ids.len();
                        let kv = row * kv_width..end * kv_width;
                        let (k, v) = sequence.cache.append(layer, &k[kv.clone()], &v[kv])?;
                        out.extend(attention(heads, &q[row * q_width..end * q_width], k, v, past)?);
                        row = end;
                    }
                    rows(out, row)
                })
            })
        })
    }
}
