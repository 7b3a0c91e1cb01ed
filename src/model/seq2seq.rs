//! What encoder-decoders share: the attention of their two stacks, reading a source text, and what is known of the encoder.

use super::{Decoder, Fields, Loader, Pass, Probe};
use crate::error::{Error, Result};
use crate::kernels::CacheType;
use crate::kernels::attention::{Heads, Held, Reach, Relative};
use crate::layers::{Crossed, Input, Linear, with_values};
use crate::model::loader::{Bias, Layout};
use candle_core::Tensor;

/// What is known of the encoder of an encoder-decoder; its decoder has the [`Spec`](super::Spec).
#[derive(Clone, Debug)]
pub struct EncoderSpec {
    pub layers: usize,
    pub heads: usize,
    pub vocab_size: usize,
    /// The most tokens a source text may have.
    pub context_length: usize,
    /// What the configuration sets its first token to, where the parameters do not: `decoder_start_token_id`.
    pub decoder_start_token_id: u32,
    /// `task_specific_params` of the configuration, by name, with the text that each puts before the source.
    pub tasks: Vec<(String, Option<String>)>,
}

/// The token ids that a configuration means by its class when it does not name them.
pub fn default_tokens(architecture: &str) -> &'static [(&'static str, u32)] {
    match architecture {
        "t5" | "mt5" => &[("decoder_start_token_id", 0)],
        "marian" => &[("decoder_start_token_id", 58100), ("pad_token_id", 58100), ("forced_eos_token_id", 0)],
        "bart" => &[("decoder_start_token_id", 2), ("pad_token_id", 1), ("forced_eos_token_id", 2)],
        _ => &[],
    }
}

/// The token that a decoder begins with by its configuration.
///
/// # Errors
/// [`Error::BadConfig`] where it names none.
pub fn start_token(architecture: &str, fields: &Fields) -> Result<u32> {
    const NAME: &str = "decoder_start_token_id";
    let given = fields.usize(&[NAME, "bos_token_id"])?.and_then(|id| u32::try_from(id).ok());
    let usual = default_tokens(architecture).iter().find(|(name, _)| *name == NAME).map(|(_, id)| *id);
    given.or(usual).ok_or_else(|| Error::BadConfig {
        field: NAME.into(),
        expected: "a token id".into(),
        found: "none".into(),
    })
}

/// These architectures have no GGUF form here.
pub fn no_config(architecture: &str) -> Error {
    Error::Unsupported {
        what: format!("{architecture} in a GGUF file"),
        expected: "a folder with config.json and *.safetensors".into(),
        found: "GGUF metadata alone".into(),
    }
}

/// The four projections of an attention, over the text itself or from it to the source.
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: Heads,
}

impl Attention {
    /// `names`: of queries, keys, values and output below `name`.
    pub fn load(
        loader: &mut Loader,
        name: &str,
        names: [&str; 4],
        width: usize,
        heads: Heads,
        bias: Bias,
    ) -> Result<Self> {
        let inner = heads.query * heads.dim;
        let mut linear = |part: &str, inputs: usize, outputs: usize| {
            loader.linear(&format!("{name}.{part}"), Layout::OutputMajor, inputs, outputs, bias)
        };
        let [query, key, value, output] = names;
        Ok(Self {
            query: linear(query, width, inner)?,
            key: linear(key, width, inner)?,
            value: linear(value, width, inner)?,
            output: linear(output, inner, width)?,
            heads,
        })
    }

    /// The factor on its scores.
    pub fn scale(&self) -> f32 {
        self.heads.scale
    }

    /// Over the text itself, `[rows, width]` to the same: an encoder's, which reads it whole, or a decoder's, which keeps
    /// keys and values.
    pub fn within(&self, x: &Tensor, layer: usize, bias: Option<&Relative>, pass: &mut Pass) -> Result<Tensor> {
        let (q, k, v) = {
            let x = Input::new(x);
            (self.query.read(&x)?, self.key.read(&x)?, self.value.read(&x)?)
        };
        let attended = match self.heads.reach {
            Reach::All => pass.attend_whole(layer, self.heads, bias, [q, k, v])?,
            _ => pass.attend_biased(layer, self.heads, bias, [&q, &k, &v])?,
        };
        self.output.forward(&attended)
    }

    /// From the text to its source.
    pub fn across(&self, x: &Tensor, layer: usize, pass: &mut Pass) -> Result<Tensor> {
        let attended = pass.attend_across(layer, self.heads, &self.query.forward(x)?)?;
        self.output.forward(&attended)
    }

    /// Keys and values of what the encoder made of a source, `[tokens, width]`.
    fn hold(&self, states: &Input, kind: CacheType) -> Result<Vec<Held>> {
        let (k, v) = (self.key.read(states)?, self.value.read(states)?);
        with_values(&k, |k| with_values(&v, |v| Held::split(kind, self.heads, k, v)))
    }
}

/// The shape of an attention with a head for every query; `scale` 1 leaves the scores as they are.
pub fn heads(count: usize, dim: usize, scale: f32, reach: Reach) -> Heads {
    Heads { query: count, key_value: count, dim, scale, reach }
}

/// What the cross-attentions of a decoder hold of a source.
pub fn cross<'a>(attentions: impl Iterator<Item = &'a Attention>, states: &Tensor, kind: CacheType) -> Result<Crossed> {
    let states = Input::new(states);
    Ok(Crossed::new(attentions.map(|attention| attention.hold(&states, kind)).collect::<Result<_>>()?))
}

/// The pass of an encoder over a source text.
///
/// # Errors
/// [`Error::EmptyPrompt`], [`Error::ContextFull`].
pub fn reading<'a>(spec: &EncoderSpec, ids: &'a [u32], probe: Option<&'a mut Probe>) -> Result<Pass<'a>> {
    if ids.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    let limit = spec.context_length;
    if ids.len() > limit {
        return Err(Error::ContextFull { limit, found: ids.len() });
    }
    let pass = Pass::whole([ids], None);
    Ok(match probe {
        Some(probe) => pass.seen_by(probe),
        None => pass,
    })
}

/// Refuses a text that grows beyond what the decoder has room for.
///
/// # Errors
/// [`Error::ContextFull`].
pub fn within_context(decoder: &impl Decoder, positions: &[u32]) -> Result<()> {
    let limit = decoder.spec().context_length;
    match positions.iter().max().filter(|&&last| last as usize >= limit) {
        None => Ok(()),
        Some(&last) => Err(Error::ContextFull { limit, found: last as usize + 1 }),
    }
}

/// The tasks that a configuration names, each with the text it puts before the source.
pub fn named_tasks(fields: &Fields) -> Vec<(String, Option<String>)> {
    let named = fields.values().get("task_specific_params").and_then(serde_json::Value::as_object);
    let prefix = |task: &serde_json::Value| task.get("prefix").and_then(serde_json::Value::as_str).map(str::to_string);
    named.into_iter().flatten().map(|(name, task)| (name.clone(), prefix(task))).collect()
}
