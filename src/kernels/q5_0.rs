//! Q5_0: 32 values `d · (q − 16)`, `q` of 5 bits.
//!
//! | bytes | holds |
//! | --- | --- |
//! | 0..2 | `d`, f16 |
//! | 2..6 | the fifth bit of each `q`, value 0 lowest |
//! | 6..22 | the other four: the low half of byte `i` is value `i`, the high half value `i + 16` |

use super::float::{f16_bytes, from_f16};
use super::format::{for_blocks, to_blocks};
use super::{q4_0::extreme, q8_0::inverse};

pub const VALUES: usize = 32;
pub const BYTES: usize = 22;

/// Decodes whole blocks.
pub fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for_blocks(bytes, out, |block: &[u8; BYTES], out: &mut [f32; VALUES]| {
        let d = from_f16([block[0], block[1]]);
        let fifth = fifth_bits([block[2], block[3], block[4], block[5]]);
        for i in 0..16 {
            let q = block[6 + i];
            let low = q & 15 | fifth[i];
            let high = q >> 4 | fifth[i + 16];
            out[i] = d * (f32::from(low) - 16.0);
            out[i + 16] = d * (f32::from(high) - 16.0);
        }
    });
}

/// The fifth bits of the 32 values of a Q5_0 or Q5_1 block, each in its place (16) in a byte of its own.
///
/// Eight at a time in one integer: copied to every byte, of which byte `i` keeps bit `i`; adding 128 less that bit makes
/// it carry to the top.
#[inline(always)]
pub(super) fn fifth_bits(packed: [u8; 4]) -> [u8; 32] {
    let mut bits = [0; 32];
    for (byte, bits) in packed.into_iter().zip(bits.as_chunks_mut::<8>().0) {
        let kept = (u64::from(byte) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
        let carried = kept + 0x0040_6070_787c_7e7f;
        *bits = (carried >> 3 & 0x1010_1010_1010_1010).to_le_bytes();
    }
    bits
}

/// A block for the kernel: its scale, and `q − 16` as i8, so that it is a block of Q8_0.
pub(super) fn codes(block: &[u8; BYTES]) -> ([u8; 2], [u8; VALUES]) {
    let fifth = fifth_bits([block[2], block[3], block[4], block[5]]);
    let half = |i: usize| if i < 16 { block[6 + i] & 15 } else { block[6 + i - 16] >> 4 };
    ([block[0], block[1]], std::array::from_fn(|i| (half(i) | fifth[i]).wrapping_sub(16)))
}

/// Encodes whole blocks as ggml does: the value of the largest magnitude becomes −16 exactly, whatever its sign.
pub fn quantize(values: &[f32], bytes: &mut [u8]) {
    to_blocks(values, bytes, |values: &[f32; VALUES], block: &mut [u8; BYTES]| {
        let d = extreme(values) / -16.0;
        let inverse = inverse(d);
        block[..2].copy_from_slice(&f16_bytes(d));
        pack(values.map(|v| ((v * inverse + 16.5) as u8).min(31)), &mut block[2..]);
    });
}

/// Codes of 5 bits as Q5_0 and Q5_1 end with them: 4 bytes of fifth bits, 16 of halves.
#[inline(always)]
pub(super) fn pack(codes: [u8; 32], out: &mut [u8]) {
    let fifth = codes.iter().enumerate().fold(0u32, |bits, (i, q)| bits | u32::from(q >> 4) << i);
    let (bits, halves) = out.split_at_mut(4);
    bits.copy_from_slice(&fifth.to_le_bytes());
    for (i, byte) in halves.iter_mut().enumerate() {
        *byte = codes[i] & 15 | (codes[i + 16] & 15) << 4;
    }
}
