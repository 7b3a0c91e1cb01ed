//! Gemma 3's configuration as GGUF metadata, and back.

use super::config::{Config, GLOBAL, LOCAL, USUAL, gguf_scalar};
use super::{ARCHITECTURE, Activation};
use crate::error::Result;
use crate::layers::Scaling;
use crate::model::conversion::{Conversion, GgufForm, Otherwise, number, only, u32_pair};
use crate::model::loader::Bias;
use crate::model::{Fields, Loader, bounded_layers, rope};
use crate::weights::Value as Pair;
use serde_json::{Map, Value, json};

pub const CONVERSION: Conversion = Conversion {
    otherwise: &[
        ("input_layernorm", Otherwise::OneMore),
        ("self_attn.q_norm", Otherwise::OneMore),
        ("self_attn.k_norm", Otherwise::OneMore),
        ("post_attention_layernorm", Otherwise::OneMore),
        ("pre_feedforward_layernorm", Otherwise::OneMore),
        ("post_feedforward_layernorm", Otherwise::OneMore),
        ("norm", Otherwise::OneMore),
    ],
    to_gguf,
    to_json,
};

fn to_gguf(fields: &Fields) -> Result<GgufForm> {
    let config = Config::from_json(fields)?;
    let (layers, heads, dim) = (config.num_hidden_layers, config.num_attention_heads, config.head_dim);
    let activation = config.hidden_act;
    only("hidden_activation", "gelu_pytorch_tanh", activation == Activation::GeluTanh, format!("{activation:?}"))?;
    let scalar = gguf_scalar(layers, config.hidden_size, heads, dim);
    let usual = config.attention_scale == scalar.sqrt().recip();
    only("query_pre_attn_scalar", &scalar.to_string(), usual, config.attention_scale.powi(-2))?;
    only("attention_bias", "false", config.attention_bias == Bias::No, true)?;
    let plain = matches!(config.local_rotary.scaling, Scaling::None);
    only("rope_parameters", "no scaling for sliding_attention", plain, "one")?;
    let (rope, vectors) = rope::to_gguf(&config.rotary)?;
    let mut pairs = vec![
        ("context_length", u32_pair(config.max_position_embeddings)?),
        ("embedding_length", u32_pair(config.hidden_size)?),
        ("block_count", u32_pair(layers)?),
        ("feed_forward_length", u32_pair(config.intermediate_size)?),
        ("attention.head_count", u32_pair(heads)?),
        ("attention.head_count_kv", u32_pair(config.num_key_value_heads)?),
        ("attention.key_length", u32_pair(dim)?),
        ("attention.value_length", u32_pair(dim)?),
        ("attention.layer_norm_rms_epsilon", Pair::F32(config.rms_norm_eps)),
        ("rope.freq_base_swa", Pair::F32(config.local_rotary.theta)),
        ("vocab_size", u32_pair(config.vocab_size)?),
    ];
    pairs.extend(rope);
    pairs.extend(config.windows.to_gguf(layers, &USUAL)?);
    pairs.extend(config.final_logit_softcapping.map(|cap| ("final_logit_softcapping", Pair::F32(cap))));
    Ok(GgufForm { pairs, vectors })
}

fn to_json(loader: &mut Loader) -> Result<Map<String, Value>> {
    let config = Config::from_gguf(loader)?;
    let layers = bounded_layers(config.num_hidden_layers)?;
    let scalar = gguf_scalar(layers, config.hidden_size, config.num_attention_heads, config.head_dim);
    let mut fields = rope::to_json(&GLOBAL, &config.rotary)?;
    let json = json!({
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": ARCHITECTURE.name,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": number(config.rms_norm_eps),
        "attention_bias": loader.contains("layers.0.self_attn.q_proj", "bias"),
        "query_pre_attn_scalar": number(scalar),
        "final_logit_softcapping": config.final_logit_softcapping.map(number),
        "tie_word_embeddings": config.tie_word_embeddings,
        LOCAL.theta.0: number(config.local_rotary.theta),
        "sliding_window": config.windows.size(layers),
        "layer_types": config.windows.types(layers),
    });
    fields.extend(json.as_object().cloned().unwrap_or_default());
    Ok(fields)
}
