//! Q4_K: 256 values in 8 groups of 32, each `d · scale · q − dmin · min`, `q` of 4 bits, `scale` and `min` of 6.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..4 | `dmin`, f16 |
//! | 4..16 | `scale` and `min` of the groups, packed as [`scale_min`] says |
//! | 16..144 | `q`: 32 bytes for two groups, the even group in the low halves, the odd one in the high halves |

use super::float::{f16_bytes, from_f16};
use super::format::{for_blocks, to_blocks};
use super::interleaved::Parts;
use super::q8_0::inverse;
use super::search::{affine, nearest};

pub const VALUES: usize = 256;
pub const BYTES: usize = 144;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let groups = scale_min(block);
        let (pairs, _) = out.as_chunks_mut::<64>();
        for (pair, out) in pairs.iter_mut().enumerate() {
            let q = &block[16 + 32 * pair..][..32];
            let ((d0, m0), (d1, m1)) = (groups[2 * pair], groups[2 * pair + 1]);
            for i in 0..32 {
                out[i] = d0 * f32::from(q[i] & 15) - m0;
                out[i + 32] = d1 * f32::from(q[i] >> 4) - m1;
            }
        }
    });
}

/// `d · scale` and `dmin · min` of the eight groups of a Q4_K or Q5_K block, from its first 16 bytes.
#[inline(always)]
pub(super) fn scale_min<const BYTES: usize>(block: &[u8; BYTES]) -> [(f32, f32); 8] {
    let d = from_f16([block[0], block[1]]);
    let dmin = from_f16([block[2], block[3]]);
    six_bits(block).map(|[scale, min]| (d * f32::from(scale), dmin * f32::from(min)))
}

/// `scale` and `min` of the eight groups of a Q4_K or Q5_K block.
///
/// Of the 12 packed bytes the first four hold the low 6 bits of scales 0–3, the next four those of mins 0–3; their upper
/// two bits are the upper bits of numbers 4–7, whose lower four are in the last four bytes: scale low, min high.
#[inline(always)]
pub(super) fn six_bits<const BYTES: usize>(block: &[u8; BYTES]) -> [[u8; 2]; 8] {
    const { assert!(BYTES >= 16) };
    let packed = &block[4..16];
    let mut groups = [[0; 2]; 8];
    for j in 0..4 {
        let (scales, mins, rest) = (packed[j], packed[j + 4], packed[j + 8]);
        groups[j] = [scales & 63, mins & 63];
        groups[j + 4] = [rest & 15 | scales >> 6 << 4, rest >> 4 | mins >> 6 << 4];
    }
    groups
}

/// A block for the kernel.
pub(super) fn parts(block: &[u8; BYTES]) -> Parts {
    let half = |pair: usize, i: usize| block[16 + 32 * pair + i % 32] >> (i / 32 * 4) & 15;
    Parts {
        head: [[block[0], block[1]], [block[2], block[3]]],
        scales: six_bits(block),
        values: std::array::from_fn(|i| half(i / 64, i % 64)),
    }
}

/// Encodes whole blocks, with the scales that [`affine`] finds.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let codes = encode(values, 15, block);
        for (pair, out) in codes.as_chunks::<64>().0.iter().zip(block[16..].as_chunks_mut::<32>().0) {
            for i in 0..32 {
                out[i] = pair[i] | pair[i + 32] << 4;
            }
        }
    });
}

/// Writes the first 16 bytes of a Q4_K or Q5_K block, which [`scale_min`] reads, and returns the codes from 0 to `most`.
pub(super) fn encode<const BYTES: usize>(values: &[f32; VALUES], most: u8, block: &mut [u8; BYTES]) -> [u8; VALUES] {
    const { assert!(BYTES >= 16) };
    let (groups, _) = values.as_chunks::<32>();
    let mut fits = [(0f32, 0f32); 8];
    for (fit, group) in fits.iter_mut().zip(groups) {
        *fit = affine(group, most);
    }
    let (scale, min) = fits.iter().fold((0f32, 0f32), |(scale, min), fit| (scale.max(fit.0), min.max(fit.1)));
    let (d, dmin) = (scale / 63.0, min / 63.0);
    block[..2].copy_from_slice(&f16_bytes(d));
    block[2..4].copy_from_slice(&f16_bytes(dmin));
    let (inverse_d, inverse_dmin) = (inverse(d), inverse(dmin));
    let six_bits = fits.map(|(scale, min)| (nearest(scale * inverse_d, 63), nearest(min * inverse_dmin, 63)));
    for j in 0..4 {
        let ((scale, min), (later_scale, later_min)) = (six_bits[j], six_bits[j + 4]);
        block[4 + j] = scale | later_scale >> 4 << 6;
        block[8 + j] = min | later_min >> 4 << 6;
        block[12 + j] = later_scale & 15 | (later_min & 15) << 4;
    }
    // The codes are the best for the scales as they are stored.
    let stored = scale_min(block);
    let mut codes = [0; VALUES];
    for (((scale, min), group), codes) in stored.into_iter().zip(groups).zip(codes.as_chunks_mut::<32>().0) {
        let inverse = inverse(scale);
        *codes = group.map(|v| nearest((v + min) * inverse, most));
    }
    codes
}
