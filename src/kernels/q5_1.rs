//! Q5_1: 32 values `d · q + m`, `q` of 5 bits.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..4 | `m`, f16 |
//! | 4..8 | the fifth bit of each `q`, value 0 lowest |
//! | 8..24 | the other four: the low half of byte `i` is value `i`, the high half value `i + 16` |

use super::float::{f16_bytes, from_f16};
use super::format::{for_blocks, to_blocks};
use super::q5_0::{fifth_bits, pack};
use super::{q4_1::range, q8_0::inverse};

pub const VALUES: usize = 32;
pub const BYTES: usize = 24;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let d = from_f16([block[0], block[1]]);
        let m = from_f16([block[2], block[3]]);
        let fifth = fifth_bits([block[4], block[5], block[6], block[7]]);
        for i in 0..16 {
            let q = block[8 + i];
            let low = q & 15 | fifth[i];
            let high = q >> 4 | fifth[i + 16];
            out[i] = d * f32::from(low) + m;
            out[i + 16] = d * f32::from(high) + m;
        }
    });
}

/// Encodes whole blocks as ggml does: codes 0 and 31 are the least and the greatest value.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let (least, greatest) = range(values);
        let d = (greatest - least) / 31.0;
        let inverse = inverse(d);
        block[..2].copy_from_slice(&f16_bytes(d));
        block[2..4].copy_from_slice(&f16_bytes(least));
        pack(values.map(|v| (((v - least) * inverse + 0.5) as u8).min(31)), &mut block[4..]);
    });
}
