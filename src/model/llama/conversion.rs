//! The configuration of a Llama-type decoder as GGUF metadata, and back.

use super::{Activation, Biases, Config, Family};
use crate::error::{Error, Result};
use crate::model::conversion::{GgufForm, number, only, u32_pair};
use crate::model::windows::{self, Layers};
use crate::model::{Fields, Loader, bounded_layers, rope};
use crate::weights::Value as Pair;
use serde_json::{Map, Value, json};

pub fn to_gguf(family: &Family, fields: &Fields) -> Result<GgufForm> {
    let config = Config::from_json(family, fields)?;
    let layers = config.num_hidden_layers;
    let activation = config.hidden_act;
    only("hidden_act", "silu", activation == Activation::Silu, format!("{activation:?}"))?;
    let expected = match family.gguf_unrotated {
        Some(step) => format!("a zero for every layer whose number {step} divides"),
        None => "no zeros".to_string(),
    };
    let usual = config.unrotated.agree(&family.unrotated_in_gguf(), layers);
    only("no_rope_layers", &expected, usual, "others")?;
    let (rope, vectors) = rope::to_gguf(&config.rotary)?;
    let mut pairs = vec![
        ("vocab_size", u32_pair(config.vocab_size)?),
        ("context_length", u32_pair(config.max_position_embeddings)?),
        ("embedding_length", u32_pair(config.hidden_size)?),
        ("block_count", u32_pair(layers)?),
        ("feed_forward_length", u32_pair(config.intermediate_size)?),
        ("attention.head_count", u32_pair(config.num_attention_heads)?),
        ("attention.head_count_kv", u32_pair(config.num_key_value_heads)?),
        ("attention.key_length", u32_pair(config.head_dim)?),
        ("attention.value_length", u32_pair(config.head_dim)?),
        ("attention.layer_norm_rms_epsilon", Pair::F32(config.rms_norm_eps)),
    ];
    pairs.extend(rope);
    pairs.extend(config.windows.to_gguf(layers, &Layers::All)?);
    Ok(GgufForm { pairs, vectors })
}

pub fn to_json(family: &Family, loader: &mut Loader) -> Result<Map<String, Value>> {
    let config = Config::from_gguf(family, loader)?;
    let layers = bounded_layers(config.num_hidden_layers)?;
    let window = config.windows.size(layers);
    let qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
    let with_output = [qkv.as_slice(), &["self_attn.o_proj"]].concat();
    let (attention_bias, mlp_bias) = match family.biases {
        // It goes without saying, and could not be left out.
        Biases::Qkv if biases(loader, &qkv)? => (false, false),
        Biases::Qkv => return Err(unlike(family, "a bias for queries, keys and values", "none")),
        Biases::None => (false, false),
        Biases::Said => {
            let mlp = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
            (biases(loader, &with_output)?, biases(loader, &mlp)?)
        }
    };
    // GGUF may have one name for a family with windows and one without.
    let family = family.windowed.filter(|_| window.is_some()).map_or(family, |windowed| windowed());
    if family.biases == Biases::None && (attention_bias || mlp_bias) {
        return Err(unlike(family, "no biases", "some"));
    }
    let mut fields = rope::to_json(&family.rope, &config.rotary)?;
    if family.lists_windows {
        fields.extend(windows::listed_in_json(&config.windows, layers));
    } else {
        let everywhere = window.is_none() || config.windows.layers.agree(&Layers::All, layers);
        only_json(family, "a window in all layers or in none", everywhere)?;
        fields.insert("sliding_window".into(), window.into());
    }
    let json = json!({
        "architectures": [family.class],
        "model_type": family.name,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": number(config.rms_norm_eps),
        "attention_bias": attention_bias,
        "mlp_bias": mlp_bias,
        "tie_word_embeddings": config.tie_word_embeddings,
    });
    fields.extend(json.as_object().cloned().unwrap_or_default());
    Ok(fields)
}

fn only_json(family: &Family, expected: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(unlike(family, expected, "another")) }
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
