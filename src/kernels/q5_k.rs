//! Q5_K: 256 values in 8 groups of 32, each `d · scale · q − dmin · min`, `q` of 5 bits, `scale` and `min` of 6.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..16 | `d`, `dmin`, `scale` and `min` as in [Q4_K](super::q4_k) |
//! | 16..48 | the fifth bits: bit `j` of byte `i` belongs to value `i` of group `j` |
//! | 48..176 | the other four: 32 bytes for two groups, the even group in the low halves, the odd one in the high halves |

use super::format::{for_blocks, to_blocks};
use super::interleaved::Parts;
use super::q4_k::{encode, scale_min, six_bits};

pub const VALUES: usize = 256;
pub const BYTES: usize = 176;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let groups = scale_min(block);
        let fifth = &block[16..48];
        let (pairs, _) = out.as_chunks_mut::<64>();
        for (pair, out) in pairs.iter_mut().enumerate() {
            let q = &block[48 + 32 * pair..][..32];
            let ((d0, m0), (d1, m1)) = (groups[2 * pair], groups[2 * pair + 1]);
            for i in 0..32 {
                let bits = fifth[i] >> (2 * pair);
                out[i] = d0 * f32::from(q[i] & 15 | (bits & 1) << 4) - m0;
                out[i + 32] = d1 * f32::from(q[i] >> 4 | (bits >> 1 & 1) << 4) - m1;
            }
        }
    });
}

/// A block for the kernel.
pub(super) fn parts(block: &[u8; BYTES]) -> Parts {
    let half = |pair: usize, i: usize| block[48 + 32 * pair + i % 32] >> (i / 32 * 4) & 15;
    let fifth = |i: usize| block[16 + i % 32] >> (i / 32) & 1;
    Parts {
        head: [[block[0], block[1]], [block[2], block[3]]],
        scales: six_bits(block),
        values: std::array::from_fn(|i| half(i / 64, i % 64) | fifth(i) << 4),
    }
}

/// Encodes whole blocks, as Q4_K does with a bit more for every value.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let codes = encode(values, 31, block);
        let (fifth, halves) = block[16..].split_at_mut(32);
        fifth.fill(0);
        for (j, group) in codes.as_chunks::<32>().0.iter().enumerate() {
            for (bits, q) in fifth.iter_mut().zip(group) {
                *bits |= q >> 4 << j;
            }
        }
        for (pair, out) in codes.as_chunks::<64>().0.iter().zip(halves.as_chunks_mut::<32>().0) {
            for i in 0..32 {
                out[i] = pair[i] & 15 | (pair[i + 32] & 15) << 4;
            }
        }
    });
}
