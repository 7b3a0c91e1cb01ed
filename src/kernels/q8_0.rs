//! Q8_0: 32 values `d · q`.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..34 | `q`, 32 × i8 |

use super::{float::from_f16, format::for_blocks};

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
