//! The number formats of stored tensors: their names, block sizes and decoding to f32.
//!
//! The block layouts and formulas are those of ggml (`ggml-common.h` and `ggml-quants.c` of llama.cpp), which defines
//! them. A quantized row is a whole number of blocks; a block holds one or two scales and its values in a few bits.

use super::{float, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};

/// How the values of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
pub enum Format {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl Format {
    /// Every format there is.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// ggml's name, its number in GGUF files, and the values and bytes of one block.
    const fn traits(self) -> (&'static str, u32, usize, usize) {
        match self {
            Self::F32 => ("F32", 0, 1, 4),
            Self::F16 => ("F16", 1, 1, 2),
            Self::BF16 => ("BF16", 30, 1, 2),
            Self::Q8_0 => ("Q8_0", 8, q8_0::VALUES, q8_0::BYTES),
            Self::Q4_0 => ("Q4_0", 2, q4_0::VALUES, q4_0::BYTES),
            Self::Q4_1 => ("Q4_1", 3, q4_1::VALUES, q4_1::BYTES),
            Self::Q5_0 => ("Q5_0", 6, q5_0::VALUES, q5_0::BYTES),
            Self::Q5_1 => ("Q5_1", 7, q5_1::VALUES, q5_1::BYTES),
            Self::Q4_K => ("Q4_K", 12, q4_k::VALUES, q4_k::BYTES),
            Self::Q5_K => ("Q5_K", 13, q5_k::VALUES, q5_k::BYTES),
            Self::Q6_K => ("Q6_K", 14, q6_k::VALUES, q6_k::BYTES),
        }
    }

    /// The name that ggml, and people, use.
    pub const fn name(self) -> &'static str {
        self.traits().0
    }

    /// The format with this number in a GGUF file.
    pub fn from_ggml(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.to_ggml() == id)
    }

    /// The number of this format in a GGUF file.
    pub const fn to_ggml(self) -> u32 {
        self.traits().1
    }

    /// Values per block.
    pub const fn block_len(self) -> usize {
        self.traits().2
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        self.traits().3
    }

    /// The bytes of a row of `values` values; `None` if that is not a whole number of blocks, or too large to count.
    pub const fn row_bytes(self, values: usize) -> Option<usize> {
        if !values.is_multiple_of(self.block_len()) {
            return None;
        }
        (values / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Decodes whole blocks into `out`, which holds their values exactly. Where the lengths disagree the shorter wins.
    pub fn dequantize(self, bytes: &[u8], out: &mut [f32]) {
        debug_assert_eq!(self.row_bytes(out.len()), Some(bytes.len()), "{} values of {}", out.len(), self.name());
        match self {
            Self::F32 => float::f32(bytes, out),
            Self::F16 => float::f16(bytes, out),
            Self::BF16 => float::bf16(bytes, out),
            Self::Q8_0 => q8_0::dequantize(bytes, out),
            Self::Q4_0 => q4_0::dequantize(bytes, out),
            Self::Q4_1 => q4_1::dequantize(bytes, out),
            Self::Q5_0 => q5_0::dequantize(bytes, out),
            Self::Q5_1 => q5_1::dequantize(bytes, out),
            Self::Q4_K => q4_k::dequantize(bytes, out),
            Self::Q5_K => q5_k::dequantize(bytes, out),
            Self::Q6_K => q6_k::dequantize(bytes, out),
        }
    }

    /// Encodes whole blocks into `bytes`, which is as long as they need exactly; the inverse of
    /// [`dequantize`](Self::dequantize) as nearly as the format allows. Values must be finite.
    pub fn quantize(self, values: &[f32], bytes: &mut [u8]) {
        debug_assert_eq!(self.row_bytes(values.len()), Some(bytes.len()), "{} values as {}", values.len(), self.name());
        match self {
            Self::F32 => float::to_f32(values, bytes),
            Self::F16 => float::to_f16(values, bytes),
            Self::BF16 => float::to_bf16(values, bytes),
            Self::Q8_0 => q8_0::quantize(values, bytes),
            Self::Q4_0 => q4_0::quantize(values, bytes),
            Self::Q4_1 => q4_1::quantize(values, bytes),
            Self::Q5_0 => q5_0::quantize(values, bytes),
            Self::Q5_1 => q5_1::quantize(values, bytes),
            Self::Q4_K => q4_k::quantize(values, bytes),
            Self::Q5_K => q5_k::quantize(values, bytes),
            Self::Q6_K => q6_k::quantize(values, bytes),
        }
    }
}

/// Calls `decode` on each block of `BYTES` bytes and its `VALUES` values: arrays, so that every index inside is checked
/// when compiling and the loops over them become SIMD.
#[inline(always)]
pub(super) fn for_blocks<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let (values, _) = out.as_chunks_mut::<VALUES>();
    for (block, values) in blocks.iter().zip(values) {
        decode(block, values);
    }
}

/// Calls `encode` on the `VALUES` values of each block and its `BYTES` bytes: [`for_blocks`] the other way.
#[inline(always)]
pub(super) fn to_blocks<const BYTES: usize, const VALUES: usize>(
    values: &[f32],
    bytes: &mut [u8],
    encode: impl Fn(&[f32; VALUES], &mut [u8; BYTES]),
) {
    let (values, _) = values.as_chunks::<VALUES>();
    let (blocks, _) = bytes.as_chunks_mut::<BYTES>();
    for (values, block) in values.iter().zip(blocks) {
        encode(values, block);
    }
}
