//! Qwen2 and Qwen2.5 (Yang et al. 2024) and Qwen3 (Yang et al. 2025) as `Qwen2ForCausalLM` and `Qwen3ForCausalLM` compute
//! them: Llama-type decoders, the first with biases on queries, keys and values, the second with norms on each head of
//! queries and keys.

use super::Architecture;
use super::conversion::Conversion;
use super::llama::{Family, GGUF_NAMES, conversion, load};

pub const QWEN2: Architecture = Architecture {
    name: FAMILY_2.name,
    gguf_names: GGUF_NAMES,
    bos_token_id: None,
    eos_token_id: None,
    load: |fields, loader| load(&FAMILY_2, fields, loader),
    conversion: Conversion {
        input_major: &[],
        rotated: &[],
        to_gguf: |fields| conversion::to_gguf(&FAMILY_2, fields),
        to_json: |loader| conversion::to_json(&FAMILY_2, loader),
    },
};

pub const QWEN3: Architecture = Architecture {
    name: FAMILY_3.name,
    load: |fields, loader| load(&FAMILY_3, fields, loader),
    conversion: Conversion {
        input_major: &[],
        rotated: &[],
        to_gguf: |fields| conversion::to_gguf(&FAMILY_3, fields),
        to_json: |loader| conversion::to_json(&FAMILY_3, loader),
    },
    ..QWEN2
};

const FAMILY_2: Family = Family {
    name: "qwen2",
    class: "Qwen2ForCausalLM",
    vocab_size: 151_936,
    intermediate_size: 22016,
    max_position_embeddings: 32768,
    head_dim: None,
    qkv_bias: true,
    qk_norm: false,
    interleaved: false,
};

const FAMILY_3: Family = Family {
    name: "qwen3",
    class: "Qwen3ForCausalLM",
    head_dim: Some(128),
    qkv_bias: false,
    qk_norm: true,
    ..FAMILY_2
};
