//! Gemma 3's configuration, from a config.json or GGUF metadata.

use super::GGUF;
use crate::error::{Error, Result};
use crate::layers::{Activation, Rotary, Scaling};
use crate::model::config::{count, positive, refuse_all_but, vocab_size};
use crate::model::loader::Bias;
use crate::model::rope::{self, Style};
use crate::model::windows::{Layers, Windows};
use crate::model::{Fields, Loader};
use serde_json::Map;

/// The fields of the configuration that decide the result, by their Hugging Face names.
pub(super) struct Config {
    pub vocab_size: usize,
    pub max_position_embeddings: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub hidden_act: Activation,
    pub rms_norm_eps: f32,
    pub attention_bias: Bias,
    /// `query_pre_attn_scalar` under a root and a fraction line.
    pub attention_scale: f32,
    pub attention_dropout: f32,
    pub final_logit_softcapping: Option<f32>,
    pub tie_word_embeddings: bool,
    /// Of layers that see all, and of those that see a window.
    pub rotary: Rotary,
    pub local_rotary: Rotary,
    pub windows: Windows,
}

/// Layers with a window where nothing is said: all but every sixth.
pub(super) const USUAL: Layers = Layers::ButEvery(6);

pub(super) const GLOBAL: Style = Style { theta: ("rope_theta", 1_000_000.0), ..rope::USUAL };
pub(super) const LOCAL: Style = Style { theta: ("rope_local_base_freq", 10000.0), ..rope::USUAL };

impl Config {
    pub fn from_json(fields: &Fields) -> Result<Self> {
        fields.refuse_all_but(&["final_logit_softcapping"])?;
        if fields.bool(&["use_bidirectional_attention"], false)? {
            return Err(Error::Unsupported {
                what: "config field use_bidirectional_attention".into(),
                expected: "it absent or false: a token sees those before it".into(),
                found: "true".into(),
            });
        }
        let layers = fields.count(&["num_hidden_layers"], Some(26))?;
        let head_dim = fields.count(&["head_dim"], Some(256))?;
        let max_position_embeddings = fields.count(&["max_position_embeddings"], Some(131_072))?;
        let step = fields.count(&["sliding_window_pattern", "_sliding_window_pattern"], Some(6))?;
        let size = Windows::size_in(fields)?.or((!fields.is_null("sliding_window")).then_some(4096));
        let windows = Windows::listed(fields, layers, size, Layers::ButEvery(step))?;
        let (global, local) = ropes(fields)?;
        let rotary = |style: &Style, rope: Option<Fields>| {
            let mut rotary = rope::from_json(style, fields, rope, head_dim, max_position_embeddings)?;
            if let Scaling::Yarn { truncate, .. } = &mut rotary.scaling {
                // transformers does not look for it where parameters lie by kind of layer.
                *truncate = true;
            }
            Ok::<_, Error>(rotary)
        };
        let scalar = fields.positive(&["query_pre_attn_scalar"])?.unwrap_or(256.0);
        let activation = fields.str(&["hidden_activation"])?.unwrap_or("gelu_pytorch_tanh");
        Self {
            vocab_size: fields.count(&["vocab_size"], Some(262_208))?,
            max_position_embeddings,
            hidden_size: fields.count(&["hidden_size"], Some(2304))?,
            intermediate_size: fields.count(&["intermediate_size"], Some(9216))?,
            num_hidden_layers: layers,
            num_attention_heads: fields.count(&["num_attention_heads"], Some(8))?,
            num_key_value_heads: fields.count(&["num_key_value_heads"], Some(4))?,
            head_dim,
            hidden_act: Activation::parse("hidden_activation", activation)?,
            rms_norm_eps: fields.positive(&["rms_norm_eps"])?.unwrap_or(1e-6),
            attention_bias: if fields.bool(&["attention_bias"], false)? { Bias::Yes } else { Bias::No },
            attention_scale: scalar.sqrt().recip(),
            attention_dropout: fields.probability("attention_dropout", 0.0)?,
            final_logit_softcapping: fields.positive(&["final_logit_softcapping"])?,
            tie_word_embeddings: fields.bool(&["tie_word_embeddings"], true)?,
            rotary: rotary(&GLOBAL, global)?,
            local_rotary: rotary(&LOCAL, local)?,
            windows,
        }
        .checked()
    }

    pub fn from_gguf(loader: &mut Loader) -> Result<Self> {
        let key = |name: &str| format!("{GGUF}.{name}");
        let meta = loader.metadata();
        refuse_all_but(meta, GGUF, &["attention.sliding_window", "final_logit_softcapping"])?;
        let hidden_size = count(meta, &key("embedding_length"))?;
        let heads = count(meta, &key("attention.head_count"))?;
        let layers = count(meta, &key("block_count"))?;
        let head_dim = count(meta, &key("attention.key_length"))?;
        let value_length = key("attention.value_length");
        if meta.get_u64(&value_length)?.is_some_and(|n| n != head_dim as u64) {
            return Err(meta.bad(&value_length, format!("the head width {head_dim}")));
        }
        let context = count(meta, &key("context_length"))?;
        let cap = key("final_logit_softcapping");
        let final_logit_softcapping = match meta.get_f64(&cap)? {
            Some(value) if value != 0.0 => Some(positive(meta, &cap, 1.0)?),
            _ => None,
        };
        let local_theta = positive(meta, &key("rope.freq_base_swa"), LOCAL.theta.1)?;
        Self {
            vocab_size: vocab_size(meta, GGUF)?,
            max_position_embeddings: context,
            hidden_size,
            intermediate_size: count(meta, &key("feed_forward_length"))?,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: count(meta, &key("attention.head_count_kv"))?,
            head_dim,
            hidden_act: Activation::GeluTanh,
            rms_norm_eps: positive(meta, &key("attention.layer_norm_rms_epsilon"), 1e-6)?,
            attention_bias: Bias::IfPresent,
            attention_scale: gguf_scalar(layers, hidden_size, heads, head_dim).sqrt().recip(),
            attention_dropout: 0.0,
            final_logit_softcapping,
            windows: Windows::from_gguf(meta, GGUF, layers, USUAL)?,
            tie_word_embeddings: !loader.contains("lm_head", "weight"),
            rotary: rope::from_gguf(&GLOBAL, loader, GGUF, head_dim, context)?,
            local_rotary: Rotary { head_dim, dim: head_dim, theta: local_theta, scaling: Scaling::None },
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        let (heads, key_value) = (self.num_attention_heads, self.num_key_value_heads);
        if heads.is_multiple_of(key_value) {
            return Ok(self);
        }
        Err(Error::BadConfig {
            field: "num_key_value_heads".into(),
            expected: format!("a divisor of num_attention_heads = {heads}"),
            found: key_value.to_string(),
        })
    }
}

/// `query_pre_attn_scalar` as llama.cpp has it, whose files do not say: the width of a head, but in the model of 27 B
/// parameters, which it knows by its layers.
pub(super) fn gguf_scalar(layers: usize, hidden_size: usize, heads: usize, head_dim: usize) -> f32 {
    const LAYERS_OF_27B: usize = 62;
    if layers == LAYERS_OF_27B { (hidden_size / heads) as f32 } else { head_dim as f32 }
}

/// Parameters of the rotary embeddings of layers that see all, and of those that see a window: newer configurations have
/// them by kind of layer, older ones have a scaling of the first.
fn ropes(fields: &Fields) -> Result<(Option<Fields>, Option<Fields>)> {
    let by_kind = fields.object(&["rope_parameters"])?.unwrap_or_else(|| Fields::new(Map::new()));
    let global = by_kind.object(&["full_attention"])?;
    let local = by_kind.object(&["sliding_attention"])?;
    let Some(scaling) = fields.object(&["rope_scaling"])? else { return Ok((global, local)) };
    let mut values = global.map(|global| global.values().clone()).unwrap_or_default();
    values.extend(scaling.values().clone());
    Ok((Some(Fields::new(values)), local))
}
