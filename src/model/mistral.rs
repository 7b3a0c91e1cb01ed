//! Mistral (Jiang et al. 2023) as `MistralForCausalLM` computes it: a Llama-type decoder in which a token sees a window of
//! those before it. In GGUF it goes by Llama's name.

use super::Architecture;
use super::conversion::Conversion;
use super::llama::{self, Biases, Family, Sizes, conversion, load};
use super::windows::Windows;

pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    load: |fields, loader| load(&FAMILY, fields, loader),
    conversion: Conversion {
        otherwise: llama::INTERLEAVED,
        to_gguf: |fields| conversion::to_gguf(&FAMILY, fields),
        to_json: |loader| conversion::to_json(&FAMILY, loader),
    },
    ..llama::ARCHITECTURE
};

pub(super) const FAMILY: Family = Family {
    name: "mistral",
    class: "MistralForCausalLM",
    sizes: Sizes {
        intermediate_size: 14336,
        num_key_value_heads: Some(8),
        max_position_embeddings: 131_072,
        ..llama::FAMILY.sizes
    },
    biases: Biases::None,
    windowed: None,
    windows: |fields, layers, _| {
        // A model without a window says null.
        let usual = (!fields.is_null("sliding_window")).then_some(4096);
        Windows::everywhere(fields, layers, Windows::size_in(fields)?.or(usual))
    },
    ..llama::FAMILY
};
