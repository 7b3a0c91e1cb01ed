//! Qwen2 and Qwen2.5 (Yang et al. 2024) and Qwen3 (Yang et al. 2025) as `Qwen2ForCausalLM` and `Qwen3ForCausalLM` compute
//! them: Llama-type decoders, the first with biases on queries, keys and values, the second with norms on each head of
//! queries and keys.

use super::Architecture;
use super::conversion::Conversion;
use super::llama::{self, Biases, Family, Sizes, conversion, load};
use super::windows::{Layers, Windows};
use crate::error::Result;
use crate::model::Fields;

pub const QWEN2: Architecture = Architecture {
    name: FAMILY_2.name,
    gguf: FAMILY_2.gguf,
    bos_token_id: None,
    eos_token_id: None,
    load: |fields, loader| load(&FAMILY_2, fields, loader),
    conversion: Conversion {
        otherwise: &[],
        to_gguf: |fields| conversion::to_gguf(&FAMILY_2, fields),
        to_json: |loader| conversion::to_json(&FAMILY_2, loader),
    },
    ..llama::ARCHITECTURE
};

pub const QWEN3: Architecture = Architecture {
    name: FAMILY_3.name,
    gguf: FAMILY_3.gguf,
    load: |fields, loader| load(&FAMILY_3, fields, loader),
    conversion: Conversion {
        otherwise: &[],
        to_gguf: |fields| conversion::to_gguf(&FAMILY_3, fields),
        to_json: |loader| conversion::to_json(&FAMILY_3, loader),
    },
    ..QWEN2
};

const FAMILY_2: Family = Family {
    name: "qwen2",
    gguf: "qwen2",
    class: "Qwen2ForCausalLM",
    sizes: Sizes {
        vocab_size: 151_936,
        intermediate_size: 22016,
        num_key_value_heads: Some(32),
        max_position_embeddings: 32768,
        ..llama::FAMILY.sizes
    },
    biases: Biases::Qkv,
    interleaved: false,
    honoured: &["use_sliding_window"],
    windowed: None,
    lists_windows: true,
    windows,
    ..llama::FAMILY
};

const FAMILY_3: Family = Family {
    name: "qwen3",
    gguf: "qwen3",
    class: "Qwen3ForCausalLM",
    sizes: Sizes { head_dim: Some(128), ..FAMILY_2.sizes },
    biases: Biases::Said,
    qk_norm: true,
    ..FAMILY_2
};

/// Windows, where they are used at all, begin at a layer.
fn windows(fields: &Fields, layers: usize, _: &Layers) -> Result<Windows> {
    let size = match fields.bool(&["use_sliding_window"], false)? {
        true => Windows::size_in(fields)?.or((!fields.is_null("sliding_window")).then_some(4096)),
        false => None,
    };
    let first = fields.usize(&["max_window_layers"])?.unwrap_or(28);
    Windows::listed(fields, layers, size, Layers::From(first))
}
