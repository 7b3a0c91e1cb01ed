//! Activations as integers, for products with quantized weights: blocks of 32 values, each a 16-bit integer times the
//! block's f32 scale. That is 256 times finer than the 8 bits of llama.cpp, and far finer than the weights.

use crate::error::{Result, try_vec};

/// Values that share a scale.
pub const BLOCK: usize = 32;

/// The largest integer.
const LARGEST: f32 = i16::MAX as f32;

/// Rows of activations.
pub struct Activations {
    /// Blocks of a row.
    pub blocks: usize,
    values: Vec<i16>,
    scales: Vec<f32>,
}

impl Activations {
    /// Rounds rows of `cols` values, a multiple of [`BLOCK`]. A block with a value that is not finite becomes NaN as a
    /// whole.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn new(x: &[f32], cols: usize) -> Result<Self> {
        debug_assert!(cols.is_multiple_of(BLOCK) && x.len().is_multiple_of(cols), "{} values of {cols}", x.len());
        let mut values = try_vec(0i16, x.len(), "activations")?;
        let mut scales = try_vec(0f32, x.len() / BLOCK, "activations")?;
        let (x, _) = x.as_chunks::<BLOCK>();
        let (out, _) = values.as_chunks_mut::<BLOCK>();
        for ((x, out), scale) in x.iter().zip(out).zip(&mut scales) {
            *scale = round(x, out);
        }
        Ok(Self { blocks: cols / BLOCK, values, scales })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.scales.len() / self.blocks.max(1)
    }

    /// The integers of a row, block by block, and their scales.
    #[inline(always)]
    pub fn row(&self, row: usize) -> (&[[i16; BLOCK]], &[f32]) {
        let range = row * self.blocks..(row + 1) * self.blocks;
        (&self.values.as_chunks::<BLOCK>().0[range.clone()], &self.scales[range])
    }
}

/// Rounds a block and returns its scale.
#[inline(always)]
fn round(x: &[f32; BLOCK], out: &mut [i16; BLOCK]) -> f32 {
    /// Added and taken away again, it rounds to the nearest integer, ties to even; what is left in the lower bits is it.
    const ROUND: f32 = 1.5 * (1 << 23) as f32;
    const INFINITE: u32 = 0x7f80_0000;
    // As integers, magnitudes have the same order, and what is not finite is above all others.
    let largest = x.iter().fold(0, |most, v| most.max(v.to_bits() & 0x7fff_ffff));
    let scale = f32::from_bits(largest) / LARGEST;
    if largest >= INFINITE || scale < f32::MIN_POSITIVE {
        out.fill(0);
        return if largest >= INFINITE { f32::NAN } else { 0.0 };
    }
    let inverse = LARGEST / f32::from_bits(largest);
    for (out, x) in out.iter_mut().zip(x) {
        *out = (x * inverse + ROUND).to_bits() as i16;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values;

    #[test]
    fn rounding_is_within_half_a_step() {
        let x = values(5 * 64, 1);
        let rounded = Activations::new(&x, 64).unwrap();
        assert_eq!((rounded.rows(), rounded.blocks), (5, 2));
        for (row, x) in x.chunks(64).enumerate() {
            let (blocks, scales) = rounded.row(row);
            for (i, x) in x.iter().enumerate() {
                let (q, scale) = (blocks[i / BLOCK][i % BLOCK], scales[i / BLOCK]);
                assert_ne!(q, i16::MIN);
                assert!((f32::from(q) * scale - x).abs() <= 0.501 * scale, "{x}: {q} × {scale}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_not_hidden() {
        let mut x = vec![1f32; 96];
        (x[3], x[40]) = (f32::INFINITY, f32::NAN);
        x[64..].fill(1e-44);
        let rounded = Activations::new(&x, 96).unwrap();
        let (_, scales) = rounded.row(0);
        assert!(scales[0].is_nan() && scales[1].is_nan() && scales[2] == 0.0, "{scales:?}");
    }
}
