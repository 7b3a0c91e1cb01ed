//! Q4_0: 32 values `d · (q − 8)`, `q` of 4 bits.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..18 | `q`: the low half of byte `i` is value `i`, the high half value `i + 16` |

use super::{float::from_f16, format::for_blocks};

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
