//! The configuration of a Llama-type decoder, from a config.json or GGUF metadata.

use super::{Biases, Family};
use crate::error::{Error, Result};
use crate::layers::{Activation, Rotary};
use crate::model::config::{count, positive, refuse_all_but, vocab_size};
use crate::model::loader::Bias;
use crate::model::rope::{self, ATTENTION_FACTOR};
use crate::model::windows::{Layers, Windows};
use crate::model::{Fields, Loader};

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
    pub qkv_bias: Bias,
    pub attention_bias: Bias,
    pub attention_dropout: f32,
    pub resid_pdrop: f32,
    pub mlp_bias: Bias,
    pub tie_word_embeddings: bool,
    pub rotary: Rotary,
    pub windows: Windows,
    pub unrotated: Layers,
}

impl Config {
    pub fn from_json(family: &Family, fields: &Fields) -> Result<Self> {
        fields.refuse_all_but(family.honoured)?;
        let usual = family.sizes;
        let hidden_size = fields.count(&["hidden_size"], Some(usual.hidden_size))?;
        let heads = fields.count(&["num_attention_heads"], Some(usual.num_attention_heads))?;
        let layers = fields.count(&["num_hidden_layers"], Some(usual.num_hidden_layers))?;
        let max_position_embeddings =
            fields.count(&["max_position_embeddings"], Some(usual.max_position_embeddings))?;
        // Where these are null, transformers takes what fits the others.
        let or_null = |name: &str, usual: Option<usize>| usual.filter(|_| !fields.is_null(name));
        let key_value_heads = or_null("num_key_value_heads", usual.num_key_value_heads).unwrap_or(heads);
        let head_dim = or_null("head_dim", usual.head_dim).unwrap_or(hidden_size / heads);
        let head_dim = fields.count(&["head_dim"], Some(head_dim))?;
        let bias = |name| -> Result<Bias> {
            let yes = family.biases == Biases::Said && fields.bool(&[name], false)?;
            Ok(if yes { Bias::Yes } else { Bias::No })
        };
        let attention_bias = bias("attention_bias")?;
        let unrotated = (family.unrotated)(fields, layers)?;
        Self {
            vocab_size: fields.count(&["vocab_size"], Some(usual.vocab_size))?,
            max_position_embeddings,
            hidden_size,
            intermediate_size: fields.count(&["intermediate_size"], Some(usual.intermediate_size))?,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: fields.count(&["num_key_value_heads"], Some(key_value_heads))?,
            head_dim,
            hidden_act: Activation::parse("hidden_act", fields.str(&["hidden_act"])?.unwrap_or("silu"))?,
            rms_norm_eps: fields.positive(&["rms_norm_eps"])?.unwrap_or(family.rms_norm_eps),
            qkv_bias: if family.biases == Biases::Qkv { Bias::Yes } else { attention_bias },
            attention_bias,
            attention_dropout: fields.probability("attention_dropout", 0.0)?,
            // Phi-3's; others ignore it.
            resid_pdrop: if family.fused { fields.probability("resid_pdrop", 0.0)? } else { 0.0 },
            mlp_bias: bias("mlp_bias")?,
            tie_word_embeddings: fields.bool(&["tie_word_embeddings"], family.tied)?,
            rotary: rope::from_json(&family.rope, fields, rope::given(fields)?, head_dim, max_position_embeddings)?,
            windows: (family.windows)(fields, layers, &unrotated)?,
            unrotated,
        }
        .checked()
    }

    pub fn from_gguf(family: &Family, loader: &mut Loader) -> Result<Self> {
        let key = |name: &str| format!("{}.{name}", family.gguf);
        let meta = loader.metadata();
        refuse_all_but(meta, family.gguf, &["attention.sliding_window", ATTENTION_FACTOR])?;
        let hidden_size = count(meta, &key("embedding_length"))?;
        let heads = count(meta, &key("attention.head_count"))?;
        let layers = count(meta, &key("block_count"))?;
        let optional = |name: &str, default: usize| {
            let key = key(name);
            if meta.contains(&key) { count(meta, &key) } else { Ok(default) }
        };
        let key_value_heads = optional("attention.head_count_kv", heads)?;
        let head_dim = optional("attention.key_length", hidden_size / heads)?;
        let value_length = key("attention.value_length");
        if let Some(n) = meta.get_u64(&value_length)?
            && n != head_dim as u64
        {
            return Err(Error::Unsupported {
                what: format!("GGUF metadata {value_length}"),
                expected: format!("the head width {head_dim}"),
                found: n.to_string(),
            });
        }
        let context = count(meta, &key("context_length"))?;
        let biases = if family.biases == Biases::None { Bias::No } else { Bias::IfPresent };
        Self {
            vocab_size: vocab_size(meta, family.gguf)?,
            max_position_embeddings: context,
            hidden_size,
            intermediate_size: count(meta, &key("feed_forward_length"))?,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: key_value_heads,
            head_dim,
            hidden_act: Activation::Silu,
            rms_norm_eps: positive(meta, &key("attention.layer_norm_rms_epsilon"), 1e-5)?,
            qkv_bias: biases,
            attention_bias: biases,
            attention_dropout: 0.0,
            resid_pdrop: 0.0,
            mlp_bias: biases,
            windows: Windows::from_gguf(meta, family.gguf, layers, Layers::All)?,
            unrotated: family.unrotated_in_gguf(),
            tie_word_embeddings: !loader.contains("lm_head", "weight"),
            rotary: rope::from_gguf(&family.rope, loader, family.gguf, head_dim, context)?,
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        let (heads, key_value) = (self.num_attention_heads, self.num_key_value_heads);
        if key_value != 0 && heads.is_multiple_of(key_value) {
            return Ok(self);
        }
        Err(Error::BadConfig {
            field: "num_key_value_heads".into(),
            expected: format!("a divisor of num_attention_heads = {heads}"),
            found: key_value.to_string(),
        })
    }
}
