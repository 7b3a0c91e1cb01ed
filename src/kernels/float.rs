//! Unquantized values: little-endian f32, f16 and bf16.

use super::format::{for_blocks, to_blocks};

/// Decodes f32.
pub fn f32(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |&value: &[u8; 4], [out]| *out = f32::from_le_bytes(value));
}

/// Decodes f16.
pub fn f16(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |&value: &[u8; 2], [out]| *out = from_f16(value));
}

/// Decodes bf16: the upper half of an f32.
pub fn bf16(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |&[low, high]: &[u8; 2], [out]| *out = f32::from_le_bytes([0, 0, low, high]));
}

/// One little-endian f16 as f32, exactly. Unlike `half::f16::to_f32` this has neither branches nor a look at the
/// processor's features, so that loops over it become SIMD everywhere; nor does it compute with subnormal f32, which
/// costs a hundred times as much on some processors.
#[inline(always)]
pub(super) fn from_f16(bytes: [u8; 2]) -> f32 {
    /// The difference of the exponent biases (127 − 15), in place.
    const REBIAS: u32 = 112 << 23;
    const EXPONENT: u32 = 0x1f << 23;
    let bits = u32::from(u16::from_le_bytes(bytes));
    let shifted = (bits & 0x7fff) << 13;
    let exponent = shifted & EXPONENT;
    // Infinity and NaN go from the largest exponent of f16 to that of f32, which is as far again.
    let normal = shifted + REBIAS + if exponent == EXPONENT { REBIAS } else { 0 };
    // A subnormal is its mantissa, 0.m, times 2^−14: read as 1.m times 2^−14, less the 1.
    let one = REBIAS + (1 << 23);
    let subnormal = (f32::from_bits(shifted + one) - f32::from_bits(one)).to_bits();
    let magnitude = if exponent == 0 { subnormal } else { normal };
    f32::from_bits(magnitude | (bits & 0x8000) << 16)
}

/// Encodes f32.
pub fn to_f32(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |[value]: &[f32; 1], out| *out = value.to_le_bytes());
}

/// Encodes f16, rounding to nearest, ties to even.
pub fn to_f16(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |[value]: &[f32; 1], out| *out = f16_bytes(*value));
}

/// Encodes bf16, rounding to nearest, ties to even.
pub fn to_bf16(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |[value]: &[f32; 1], out| *out = half::bf16::from_f32(*value).to_le_bytes());
}

/// One f32 as little-endian f16.
#[inline(always)]
pub(super) fn f16_bytes(value: f32) -> [u8; 2] {
    half::f16::from_f32(value).to_le_bytes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_f16() {
        for bits in 0..=u16::MAX {
            let (ours, half) = (super::from_f16(bits.to_le_bytes()), half::f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == half.to_bits() || (ours.is_nan() && half.is_nan()), "{bits:04x}: {ours} {half}");
        }
    }
}
