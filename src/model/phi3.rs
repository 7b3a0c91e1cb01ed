//! Phi-3 and Phi-4-mini (Abdin et al. 2024) as `Phi3ForCausalLM` computes them: Llama-type decoders whose projections are
//! joined, with LongRoPE, and of whose heads only a part may turn.

use super::Architecture;
use super::conversion::Conversion;
use super::llama::{self, Biases, Family, Sizes, conversion, load};
use super::rope::Style;
use super::windows::Windows;

pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    gguf: FAMILY.gguf,
    bos_token_id: Some(1),
    eos_token_id: Some(32000),
    load: |fields, loader| load(&FAMILY, fields, loader),
    conversion: Conversion {
        otherwise: &[],
        to_gguf: |fields| conversion::to_gguf(&FAMILY, fields),
        to_json: |loader| conversion::to_json(&FAMILY, loader),
    },
    ..llama::ARCHITECTURE
};

const FAMILY: Family = Family {
    name: "phi3",
    gguf: "phi3",
    class: "Phi3ForCausalLM",
    sizes: Sizes {
        vocab_size: 32064,
        hidden_size: 3072,
        intermediate_size: 8192,
        max_position_embeddings: 4096,
        ..llama::FAMILY.sizes
    },
    rms_norm_eps: 1e-5,
    rope: Style {
        part: Some(("partial_rotary_factor", 1.0)),
        original: Some(4096),
        only_longrope: true,
        ..llama::FAMILY.rope
    },
    biases: Biases::None,
    fused: true,
    interleaved: false,
    windowed: None,
    windows: |fields, layers, _| Windows::everywhere(fields, layers, Windows::size_in(fields)?),
    ..llama::FAMILY
};
