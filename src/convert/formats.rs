//! Which format each tensor of a GGUF file gets, as llama.cpp's tools choose.
//!
//! | tensor | format |
//! | --- | --- |
//! | norms, biases and other vectors; learned positions | F32 |
//! | the output head, or the embedding that is also the head, beside a quantized format other than Q8_0 | Q6_K |
//! | every other matrix | the one asked for |
//!
//! A quantized format whose blocks do not divide the rows gives way to one with smaller blocks, and that to F16:
//! Q4_K → Q5_0, Q5_K → Q5_1, Q6_K → Q8_0. llama.cpp's mixtures (Q4_K_M and the like), which give some layers more bits,
//! are not made: these are its plain types.

use crate::kernels::Format;

/// The number of a GGUF file whose matrices are in this format (`general.file_type`, llama.cpp's `LLAMA_FTYPE`).
pub const fn file_type(format: Format) -> u32 {
    match format {
        Format::F32 => 0,
        Format::F16 => 1,
        Format::Q4_0 => 2,
        Format::Q4_1 => 3,
        Format::Q8_0 => 7,
        Format::Q5_0 => 8,
        Format::Q5_1 => 9,
        Format::Q4_K => 14,
        Format::Q5_K => 16,
        Format::Q6_K => 18,
        Format::BF16 => 32,
    }
}

/// The version of ggml's quantization formats.
pub const fn quantization_version() -> u32 {
    2
}

/// The format of a tensor of a file in `wanted`; `head` is the name of the output head.
pub fn choose(wanted: Format, name: &str, shape: &[usize], head: &str) -> Format {
    let &[_, cols] = shape else { return Format::F32 };
    if name == "position_embd.weight" {
        return Format::F32;
    }
    let quantized = wanted.block_len() > 1;
    let first = if quantized && name == head && wanted != Format::Q8_0 { Format::Q6_K } else { wanted };
    let second = match first {
        Format::Q4_K => Format::Q5_0,
        Format::Q5_K => Format::Q5_1,
        Format::Q6_K => Format::Q8_0,
        _ => Format::F16,
    };
    [first, second].into_iter().find(|format| format.row_bytes(cols).is_some()).unwrap_or(Format::F16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_blocks_do_not_divide_get_smaller_blocks() {
        let chosen = |wanted, cols| choose(wanted, "blk.0.ffn_up.weight", &[3, cols], "output.weight");
        for (wanted, at_64, at_48) in [
            (Format::Q4_K, Format::Q5_0, Format::F16),
            (Format::Q5_K, Format::Q5_1, Format::F16),
            (Format::Q6_K, Format::Q8_0, Format::F16),
            (Format::Q4_0, Format::Q4_0, Format::F16),
            (Format::Q8_0, Format::Q8_0, Format::F16),
            (Format::BF16, Format::BF16, Format::BF16),
            (Format::F32, Format::F32, Format::F32),
        ] {
            assert_eq!((chosen(wanted, 512), chosen(wanted, 64), chosen(wanted, 48)), (wanted, at_64, at_48));
        }
    }

    #[test]
    fn heads_positions_and_vectors() {
        let head = "token_embd.weight";
        assert_eq!(choose(Format::Q4_0, head, &[9, 256], head), Format::Q6_K);
        assert_eq!(choose(Format::Q4_0, head, &[9, 64], head), Format::Q8_0);
        assert_eq!(choose(Format::Q8_0, head, &[9, 256], head), Format::Q8_0);
        assert_eq!(choose(Format::F16, head, &[9, 256], head), Format::F16);
        assert_eq!(choose(Format::Q4_0, head, &[9, 256], "output.weight"), Format::Q4_0);
        assert_eq!(choose(Format::Q4_0, "position_embd.weight", &[9, 256], head), Format::F32);
        assert_eq!(choose(Format::Q4_0, "blk.0.attn_norm.weight", &[256], head), Format::F32);
    }
}
