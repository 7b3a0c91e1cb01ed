//! Q6_K: 256 values in 16 groups of 16, each `d · scale · (q − 32)`, `q` of 6 bits.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..128 | the low 4 bits of `q`: per 128 values 64 bytes, values 0–63 in the low halves, 64–127 in the high halves |
//! | 128..192 | the upper 2 bits: per 128 values 32 bytes, bits `2k` and `2k + 1` of byte `i` for value `32k + i` |
//! | 192..208 | `scale`, 16 × i8 |
//! | 208..210 | `d`, f16 |

use super::{float::from_f16, format::for_blocks};

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
