//! Q6_K: 256 values in 16 groups of 16, each `d · scale · (q − 32)`, `q` of 6 bits.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..128 | the low 4 bits of `q`: per 128 values 64 bytes, values 0–63 in the low halves, 64–127 in the high halves |
//! | 128..192 | the upper 2 bits: per 128 values 32 bytes, bits `2k` and `2k + 1` of byte `i` for value `32k + i` |
//! | 192..208 | `scale`, 16 × i8 |
//! | 208..210 | `d`, f16 |

use super::float::{f16_bytes, from_f16};
use super::format::{for_blocks, to_blocks};
use super::interleaved::Parts;
use super::q8_0::inverse;
use super::search::{nearest_signed, symmetric};

pub const VALUES: usize = 256;
pub const BYTES: usize = 210;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let d = from_f16([block[208], block[209]]);
        let (halves, _) = out.as_chunks_mut::<128>();
        for (half, out) in halves.iter_mut().enumerate() {
            let low = &block[64 * half..][..64];
            let high = &block[128 + 32 * half..][..32];
            let scales = &block[192 + 8 * half..][..8];
            // Groups of 16, two in each of the four quarters of 32 values.
            for start in [0, 16] {
                let scale = |quarter: usize| d * f32::from(scales[2 * quarter + start / 16] as i8);
                let scale = [scale(0), scale(1), scale(2), scale(3)];
                for i in start..start + 16 {
                    let value = |low: u8, high: u8| f32::from(low & 15 | (high & 3) << 4) - 32.0;
                    out[i] = scale[0] * value(low[i], high[i]);
                    out[i + 32] = scale[1] * value(low[i + 32], high[i] >> 2);
                    out[i + 64] = scale[2] * value(low[i] >> 4, high[i] >> 4);
                    out[i + 96] = scale[3] * value(low[i + 32] >> 4, high[i] >> 6);
                }
            }
        }
    });
}

/// A block for the kernel: two scales for 32 values, and `q − 32` as i8.
pub(super) fn parts(block: &[u8; BYTES]) -> Parts {
    let value = |half: usize, i: usize| {
        let low = block[64 * half + i % 64] >> (i / 64 * 4) & 15;
        let high = block[128 + 32 * half + i % 32] >> (i / 32 * 2) & 3;
        (low | high << 4).wrapping_sub(32)
    };
    Parts {
        head: [[block[208], block[209]], [0; 2]],
        scales: std::array::from_fn(|i| [block[192 + 2 * i], block[193 + 2 * i]]),
        values: std::array::from_fn(|i| value(i / 128, i % 128)),
    }
}

/// Encodes whole blocks, with the scales that [`symmetric`] finds.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let (groups, _) = values.as_chunks::<16>();
        let mut fits = [0f32; 16];
        for (fit, group) in fits.iter_mut().zip(groups) {
            *fit = symmetric(group, 32);
        }
        let d = super::q4_0::extreme(&fits) / -128.0;
        let inverse_d = inverse(d);
        let scales = fits.map(|scale| (scale * inverse_d).round().clamp(-128.0, 127.0) as i8);
        block[208..].copy_from_slice(&f16_bytes(d));
        // The codes are the best for the scales as they are stored.
        let d = from_f16([block[208], block[209]]);
        let mut codes = [0u8; VALUES];
        for ((scale, group), codes) in scales.iter().zip(groups).zip(codes.as_chunks_mut::<16>().0) {
            let inverse = inverse(d * f32::from(*scale));
            *codes = group.map(|v| (nearest_signed(v * inverse, 32) + 32) as u8);
        }
        for (scale, out) in scales.iter().zip(&mut block[192..208]) {
            *out = *scale as u8;
        }
        for (half, codes) in codes.as_chunks::<128>().0.iter().enumerate() {
            for i in 0..32 {
                let q = [codes[i], codes[i + 32], codes[i + 64], codes[i + 96]];
                block[64 * half + i] = q[0] & 15 | (q[2] & 15) << 4;
                block[64 * half + 32 + i] = q[1] & 15 | (q[3] & 15) << 4;
                block[128 + 32 * half + i] = q[0] >> 4 | q[1] >> 4 << 2 | q[2] >> 4 << 4 | q[3] >> 4 << 6;
            }
        }
    });
}
