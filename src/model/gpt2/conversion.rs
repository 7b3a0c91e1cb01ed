//! GPT-2's configuration as GGUF metadata, and back.

use super::{Activation, Config};
use crate::error::Result;
use crate::model::conversion::{Conversion, GgufForm, Otherwise, number, only, u32_pair};
use crate::model::{Fields, Loader};
use crate::weights::Value as Pair;
use serde_json::{Map, Value, json};

pub const CONVERSION: Conversion = Conversion {
    otherwise: &[
        ("attn.c_attn", Otherwise::Transposed),
        ("attn.c_proj", Otherwise::Transposed),
        ("mlp.c_fc", Otherwise::Transposed),
        ("mlp.c_proj", Otherwise::Transposed),
    ],
    to_gguf,
    to_json,
};

fn to_gguf(fields: &Fields) -> Result<GgufForm> {
    let config = Config::from_json(fields)?;
    let activation = config.activation_function;
    only("activation_function", "gelu_new", activation == Activation::GeluTanh, format!("{activation:?}"))?;
    only("scale_attn_weights", "true", config.scale_attn_weights, false)?;
    only("scale_attn_by_inverse_layer_idx", "false", !config.scale_attn_by_inverse_layer_idx, true)?;
    Ok(GgufForm {
        pairs: vec![
            ("context_length", u32_pair(config.n_positions)?),
            ("embedding_length", u32_pair(config.n_embd)?),
            ("feed_forward_length", u32_pair(config.n_inner)?),
            ("block_count", u32_pair(config.n_layer)?),
            ("attention.head_count", u32_pair(config.n_head)?),
            ("attention.layer_norm_epsilon", Pair::F32(config.layer_norm_epsilon)),
        ],
        vectors: Vec::new(),
    })
}

fn to_json(loader: &mut Loader) -> Result<Map<String, Value>> {
    let config = Config::from_gguf(loader)?;
    let json = json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.n_positions,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": config.n_inner,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": number(config.layer_norm_epsilon),
        "tie_word_embeddings": config.tie_word_embeddings,
    });
    Ok(json.as_object().cloned().unwrap_or_default())
}
