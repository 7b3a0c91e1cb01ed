//! GPT-NeoX's configuration as GGUF metadata, and back.

use super::{ARCHITECTURE, Activation, Bias, Config, ROPE};
use crate::error::{Error, Result};
use crate::model::conversion::{Conversion, GgufForm, Otherwise, number, only, u32_pair};
use crate::model::{Fields, Loader, rope};
use crate::weights::Value as Pair;
use serde_json::{Map, Value, json};

pub const CONVERSION: Conversion =
    Conversion { otherwise: &[("attention.query_key_value", Otherwise::Sorted)], to_gguf, to_json };

fn to_gguf(fields: &Fields) -> Result<GgufForm> {
    let config = Config::from_json(fields)?;
    let activation = config.hidden_act;
    // GGUF does not say, and Pythia's is meant; llama.cpp computes it by the tanh that comes near.
    only("hidden_act", "gelu", activation == Activation::Gelu, format!("{activation:?}"))?;
    only("attention_bias", "true", config.attention_bias == Bias::Yes, false)?;
    let (rope, vectors) = rope::to_gguf(&config.rotary)?;
    let mut pairs = vec![
        ("context_length", u32_pair(config.max_position_embeddings)?),
        ("embedding_length", u32_pair(config.hidden_size)?),
        ("block_count", u32_pair(config.num_hidden_layers)?),
        ("feed_forward_length", u32_pair(config.intermediate_size)?),
        ("attention.head_count", u32_pair(config.num_attention_heads)?),
        ("attention.layer_norm_epsilon", Pair::F32(config.layer_norm_eps)),
        ("use_parallel_residual", Pair::Bool(config.use_parallel_residual)),
        ("vocab_size", u32_pair(config.vocab_size)?),
    ];
    pairs.extend(rope);
    Ok(GgufForm { pairs, vectors })
}

fn to_json(loader: &mut Loader) -> Result<Map<String, Value>> {
    let config = Config::from_gguf(loader)?;
    let biased = ["attention.query_key_value", "attention.dense"]
        .map(|part| loader.contains(&format!("layers.0.{part}"), "bias"));
    if biased[0] != biased[1] {
        return Err(Error::Unsupported {
            what: "a bias of some projections in a config.json".into(),
            expected: "one for all or none of attention's".into(),
            found: "one for some".into(),
        });
    }
    let mut fields = rope::to_json(&ROPE, &config.rotary)?;
    let json = json!({
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": ARCHITECTURE.name,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "hidden_act": "gelu",
        "layer_norm_eps": number(config.layer_norm_eps),
        "attention_bias": biased[0],
        "use_parallel_residual": config.use_parallel_residual,
        "tie_word_embeddings": config.tie_word_embeddings,
    });
    fields.extend(json.as_object().cloned().unwrap_or_default());
    Ok(fields)
}
