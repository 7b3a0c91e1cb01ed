//! SmolLM3 (Bakouch et al. 2025) as `SmolLM3ForCausalLM` computes it: a Llama-type decoder some layers of which know
//! nothing of positions (NoPE, Yang et al. 2025).

use super::Architecture;
use super::conversion::Conversion;
use super::llama::{self, Family, Sizes, conversion, load};
use super::rope::Style;
use super::windows::{Layers, Windows};
use crate::error::Result;
use crate::model::Fields;

pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    gguf: FAMILY.gguf,
    bos_token_id: Some(128_000),
    eos_token_id: Some(128_001),
    load: |fields, loader| load(&FAMILY, fields, loader),
    conversion: Conversion {
        otherwise: llama::INTERLEAVED,
        to_gguf: |fields| conversion::to_gguf(&FAMILY, fields),
        to_json: |loader| conversion::to_json(&FAMILY, loader),
    },
    ..llama::ARCHITECTURE
};

const FAMILY: Family = Family {
    name: "smollm3",
    gguf: "smollm3",
    class: "SmolLM3ForCausalLM",
    sizes: Sizes {
        vocab_size: 128_256,
        hidden_size: 2048,
        num_hidden_layers: 36,
        num_attention_heads: 16,
        num_key_value_heads: Some(4),
        max_position_embeddings: 32768,
        ..llama::FAMILY.sizes
    },
    tied: true,
    rope: Style { theta: ("rope_theta", 2_000_000.0), ..llama::FAMILY.rope },
    honoured: &["no_rope_layers", "use_sliding_window"],
    windowed: None,
    lists_windows: true,
    windows,
    unrotated,
    // As llama.cpp has it, whatever its file says.
    gguf_unrotated: Some(4),
    ..llama::FAMILY
};

/// Windows are for layers without positions, where a list does not say otherwise.
fn windows(fields: &Fields, layers: usize, unrotated: &Layers) -> Result<Windows> {
    let size = Windows::size_in(fields)?;
    let used = fields.bool(&["use_sliding_window"], false)?;
    Windows::listed(fields, layers, size, if used { unrotated.clone() } else { Layers::None })
}

/// `no_rope_layers` has a zero for each of them.
fn unrotated(fields: &Fields, layers: usize) -> Result<Layers> {
    Ok(match fields.flags("no_rope_layers", layers)? {
        Some(rotated) => Layers::Listed(rotated.into_iter().map(|rotated| !rotated).collect()),
        None => Layers::Every(fields.count(&["no_rope_layer_interval"], Some(4))?),
    })
}
