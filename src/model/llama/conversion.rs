//! A Llama configuration as GGUF metadata, and back.

use super::{Activation, Config, Family, Rotary, Scaling, yarn_mscale};
use crate::error::{Error, Result};
use crate::model::conversion::{GgufForm, number, only, u32_pair};
use crate::model::{Fields, Loader};
use crate::weights::Value as Pair;
use serde_json::{Map, Value, json};

pub fn to_gguf(family: &Family, fields: &Fields) -> Result<GgufForm> {
    let config = Config::from_json(family, fields)?;
    config.check()?;
    let activation = config.hidden_act;
    only("hidden_act", "silu", activation == Activation::Silu, format!("{activation:?}"))?;
    let mut pairs = vec![
        ("vocab_size", u32_pair(config.vocab_size)?),
        ("context_length", u32_pair(config.max_position_embeddings)?),
        ("embedding_length", u32_pair(config.hidden_size)?),
        ("block_count", u32_pair(config.num_hidden_layers)?),
        ("feed_forward_length", u32_pair(config.intermediate_size)?),
        ("attention.head_count", u32_pair(config.num_attention_heads)?),
        ("attention.head_count_kv", u32_pair(config.num_key_value_heads)?),
        ("attention.key_length", u32_pair(config.head_dim)?),
        ("attention.value_length", u32_pair(config.head_dim)?),
        ("attention.layer_norm_rms_epsilon", Pair::F32(config.rms_norm_eps)),
        ("rope.dimension_count", u32_pair(config.head_dim)?),
        ("rope.freq_base", Pair::F32(config.rope_theta)),
    ];
    let mut vectors = Vec::new();
    let mut scaled = |kind: &str, factor: f32| {
        pairs.push(("rope.scaling.type", kind.into()));
        pairs.push(("rope.scaling.factor", Pair::F32(factor)));
    };
    match &config.scaling {
        Scaling::None => {}
        Scaling::Linear { factor } => scaled("linear", *factor),
        Scaling::Yarn { factor, original, beta_fast, beta_slow, truncate, attention_factor } => {
            let usual = (*beta_fast, *beta_slow, *truncate) == (32.0, 1.0, true);
            only("rope_parameters", "beta_fast 32, beta_slow 1 and truncate with rope_type yarn", usual, "others")?;
            let usual = (attention_factor - yarn_mscale(*factor, 1.0)).abs() < 1e-6;
            only("attention_factor", "the usual one of rope_type yarn", usual, attention_factor)?;
            scaled("yarn", *factor);
            pairs.push(("rope.scaling.original_context_length", u32_pair(*original)?));
        }
        Scaling::Llama3 { .. } => {
            let rotary = Rotary { dim: config.head_dim, theta: config.rope_theta, scaling: config.scaling.clone() };
            vectors.push(("rope_freqs.weight", rotary.divisors()));
        }
        Scaling::Divisors(divisors) => vectors.push(("rope_freqs.weight", divisors.clone())),
        Scaling::Dynamic { .. } | Scaling::LongRope { .. } | Scaling::Proportional { .. } => {
            only("rope_type", "default, linear, yarn or llama3", false, "another")?;
        }
    }
    Ok(GgufForm { pairs, vectors, head_dim: config.head_dim })
}

pub fn to_json(family: &Family, loader: &mut Loader) -> Result<Map<String, Value>> {
    let config = Config::from_gguf(family, loader)?;
    let qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
    let with_output = [qkv.as_slice(), &["self_attn.o_proj"]].concat();
    let attention_bias = match family.qkv_bias {
        // It goes without saying, and could not be left out.
        true if biases(loader, &qkv)? => false,
        true => return Err(unlike(family, "a bias for queries, keys and values", "none")),
        false => biases(loader, &with_output)?,
    };
    let mlp_bias = biases(loader, &["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"])?;
    let rope = match &config.scaling {
        Scaling::Linear { factor } => json!({ "rope_type": "linear", "factor": number(*factor) }),
        Scaling::Yarn { factor, original, .. } => json!({
            "rope_type": "yarn", "factor": number(*factor), "original_max_position_embeddings": original,
        }),
        Scaling::Divisors(divisors) => llama3(&config, divisors)?,
        _ => Value::Null,
    };
    let json = json!({
        "architectures": [family.class],
        "model_type": family.name,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": number(config.rms_norm_eps),
        "attention_bias": attention_bias,
        "mlp_bias": mlp_bias,
        "tie_word_embeddings": config.tie_word_embeddings,
        "rope_theta": number(config.rope_theta),
        "rope_scaling": rope,
    });
    Ok(json.as_object().cloned().unwrap_or_default())
}

fn unlike(family: &Family, expected: &str, found: &str) -> Error {
    let what = format!("a GGUF file of a {} model", family.name);
    Error::Unsupported { what, expected: expected.into(), found: found.into() }
}

/// Whether these projections have biases: config.json says it of all of them at once.
fn biases(loader: &Loader, parts: &[&str]) -> Result<bool> {
    let with = parts.iter().filter(|part| loader.contains(&format!("layers.0.{part}"), "bias")).count();
    if with == 0 || with == parts.len() {
        return Ok(with > 0);
    }
    Err(Error::Unsupported {
        what: "a bias of some projections in a config.json".into(),
        expected: format!("one for all or none of {}", parts.join(", ")),
        found: format!("{with}"),
    })
}

/// Llama 3's scaling from what it divides the frequencies by. GGUF keeps only the divisors, so those of the models there
/// are get tried.
fn llama3(config: &Config, divisors: &[f32]) -> Result<Value> {
    let factor = divisors.iter().fold(1f32, |most, d| most.max(*d));
    let (low_freq_factor, high_freq_factor) = (1.0, 4.0);
    for original in (4..20).map(|power| 1usize << power) {
        let scaling = Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original };
        let tried = Rotary { dim: config.head_dim, theta: config.rope_theta, scaling }.divisors();
        if tried.iter().zip(divisors).all(|(tried, d)| (tried - d).abs() < 1e-4 * d) {
            return Ok(json!({
                "rope_type": "llama3",
                "factor": number(factor),
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original,
            }));
        }
    }
    Err(Error::Unsupported {
        what: "rope_freqs.weight in a config.json".into(),
        expected: "the divisors of rope_type llama3".into(),
        found: format!("others, up to {factor}"),
    })
}
