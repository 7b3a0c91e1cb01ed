//! Q8_0: 32 values `d · q`.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..34 | `q`, 32 × i8 |

use super::float::{f16_bytes, from_f16};
use super::format::{for_blocks, to_blocks};

pub const VALUES: usize = 32;
pub const BYTES: usize = 34;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let d = from_f16([block[0], block[1]]);
        for i in 0..VALUES {
            out[i] = d * f32::from(block[2 + i] as i8);
        }
    });
}

/// Encodes whole blocks as ggml does: `d` is a 127th of the largest magnitude.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let largest = values.iter().fold(0f32, |most, v| most.max(v.abs()));
        let d = largest / 127.0;
        let inverse = inverse(d);
        block[..2].copy_from_slice(&f16_bytes(d));
        for (q, v) in block[2..].iter_mut().zip(values) {
            *q = (v * inverse).round() as i8 as u8;
        }
    });
}

/// A block for the kernel: its scale, and its values as they are.
pub(super) fn codes(block: &[u8; BYTES]) -> ([u8; 2], [u8; VALUES]) {
    ([block[0], block[1]], std::array::from_fn(|i| block[2 + i]))
}

/// `1 / d`, or 0 for 0.
#[inline(always)]
pub(super) fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}
