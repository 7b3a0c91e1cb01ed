//! Q4_0: 32 values `d · (q − 8)`, `q` of 4 bits.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..18 | `q`: the low half of byte `i` is value `i`, the high half value `i + 16` |

use super::float::{f16_bytes, from_f16};
use super::format::{for_blocks, to_blocks};
use super::q8_0::inverse;

pub const VALUES: usize = 32;
pub const BYTES: usize = 18;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let d = from_f16([block[0], block[1]]);
        for i in 0..16 {
            let q = block[2 + i];
            out[i] = d * (f32::from(q & 15) - 8.0);
            out[i + 16] = d * (f32::from(q >> 4) - 8.0);
        }
    });
}

/// A block for the kernel: its scale, and `q`, one a byte.
pub(super) fn codes(block: &[u8; BYTES]) -> ([u8; 2], [u8; VALUES]) {
    let half = |i: usize| if i < 16 { block[2 + i] & 15 } else { block[2 + i - 16] >> 4 };
    ([block[0], block[1]], std::array::from_fn(half))
}

/// Encodes whole blocks as ggml does: the value of the largest magnitude becomes −8 exactly, whatever its sign.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let d = extreme(values) / -8.0;
        let inverse = inverse(d);
        block[..2].copy_from_slice(&f16_bytes(d));
        let code = |v: f32| ((v * inverse + 8.5) as u8).min(15);
        for i in 0..16 {
            block[2 + i] = code(values[i]) | code(values[i + 16]) << 4;
        }
    });
}

/// The first value of the largest magnitude, with its sign.
#[inline(always)]
pub(super) fn extreme(values: &[f32]) -> f32 {
    values.iter().fold(0f32, |most, v| if v.abs() > most.abs() { *v } else { most })
}
