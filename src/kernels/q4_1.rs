//! Q4_1: 32 values `d · q + m`, `q` of 4 bits.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..4 | `m`, f16 |
//! | 4..20 | `q`: the low half of byte `i` is value `i`, the high half value `i + 16` |

use super::float::{f16_bytes, from_f16};
use super::format::{for_blocks, to_blocks};
use super::q8_0::inverse;

pub const VALUES: usize = 32;
pub const BYTES: usize = 20;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let d = from_f16([block[0], block[1]]);
        let m = from_f16([block[2], block[3]]);
        for i in 0..16 {
            let q = block[4 + i];
            out[i] = d * f32::from(q & 15) + m;
            out[i + 16] = d * f32::from(q >> 4) + m;
        }
    });
}

/// Encodes whole blocks as ggml does: codes 0 and 15 are the least and the greatest value.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let (least, greatest) = range(values);
        let d = (greatest - least) / 15.0;
        let inverse = inverse(d);
        block[..2].copy_from_slice(&f16_bytes(d));
        block[2..4].copy_from_slice(&f16_bytes(least));
        let code = |v: f32| (((v - least) * inverse + 0.5) as u8).min(15);
        for i in 0..16 {
            block[4 + i] = code(values[i]) | code(values[i + 16]) << 4;
        }
    });
}

/// The least and the greatest value.
#[inline(always)]
pub(super) fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), v| (least.min(*v), most.max(*v)))
}
