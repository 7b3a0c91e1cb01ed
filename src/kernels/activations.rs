//! Activations as integers, for products with quantized weights: blocks of 32 values, each a 16-bit integer times the
//! block's f32 scale. That is 256 times finer than the 8 bits of llama.cpp, and far finer than the weights.

use super::parallel;
use crate::error::{Result, try_vec};

/// Values that share a scale.
pub const BLOCK: usize = 32;
/// Values of a row in a group that lie together.
pub const PAIR: usize = 2;
/// Rows that are multiplied at once, and lie together for it.
pub const TOGETHER: usize = 4;

/// The largest integer.
const LARGEST: f32 = i16::MAX as f32;

/// Rows of activations: groups of [`TOGETHER`], then single rows.
pub struct Activations {
    blocks: usize,
    values: Vec<i16>,
    scales: Vec<f32>,
    /// The sum of each block's integers.
    sums: Vec<i32>,
}

/// A single row, or a group with `N` times the values: its blocks with their scales and sums.
#[derive(Clone, Copy)]
pub struct Blocks<'a, V, S, I> {
    pub values: &'a [V],
    pub scales: &'a [S],
    pub sums: &'a [I],
}

/// One row.
pub type Row<'a> = Blocks<'a, [i16; BLOCK], f32, i32>;
/// A group of rows: of every block the pairs of all rows side by side, in the order of the pairs.
pub type Group<'a> = Blocks<'a, [i16; TOGETHER * BLOCK], [f32; TOGETHER], [i32; TOGETHER]>;

impl Activations {
    /// Rounds rows of `cols` values, a multiple of [`BLOCK`]. A block with a value that is not finite becomes NaN as a
    /// whole.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn new(x: &[f32], cols: usize) -> Result<Self> {
        debug_assert!(cols.is_multiple_of(BLOCK) && x.len().is_multiple_of(cols), "{} values of {cols}", x.len());
        let blocks = cols / BLOCK;
        let mut values = try_vec(0i16, x.len(), "activations")?;
        let mut scales = try_vec(0f32, x.len() / BLOCK, "activations")?;
        let mut sums = try_vec(0i32, x.len() / BLOCK, "activations")?;
        // Parts are whole groups, so that each is rows of activations by itself.
        let rows = TOGETHER * parallel::rows(TOGETHER * cols);
        let (part, of_blocks) = ((rows * cols).max(1), (rows * blocks).max(1));
        let places = values.chunks_mut(part).zip(scales.chunks_mut(of_blocks)).zip(sums.chunks_mut(of_blocks));
        parallel::for_each(x.chunks(part).zip(places), |(x, ((values, scales), sums))| {
            round_rows(x, blocks, values, scales, sums);
        });
        Ok(Self { blocks, values, scales, sums })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.scales.len() / self.blocks.max(1)
    }

    /// The values of a row.
    pub fn cols(&self) -> usize {
        self.blocks * BLOCK
    }

    /// The number of rows that are in groups.
    pub fn grouped(&self) -> usize {
        self.rows() - self.rows() % TOGETHER
    }

    /// A row that is not in a group.
    #[inline(always)]
    pub fn row(&self, row: usize) -> Row<'_> {
        debug_assert!(row >= self.grouped(), "row {row} is in a group");
        let range = row * self.blocks..(row + 1) * self.blocks;
        Blocks {
            values: &self.values.as_chunks().0[range.clone()],
            scales: &self.scales[range.clone()],
            sums: &self.sums[range],
        }
    }

    /// The group that begins with a row.
    #[inline(always)]
    pub fn group(&self, row: usize) -> Group<'_> {
        let first = row / TOGETHER * self.blocks;
        let range = first..first + self.blocks;
        Blocks {
            values: &self.values.as_chunks().0[range.clone()],
            scales: &self.scales.as_chunks().0[range.clone()],
            sums: &self.sums.as_chunks().0[range],
        }
    }
}

/// Rounds rows of so many blocks: groups first, then single rows.
fn round_rows(x: &[f32], blocks: usize, values: &mut [i16], scales: &mut [f32], sums: &mut [i32]) {
    let rows = x.len() / (blocks * BLOCK).max(1);
    let grouped = rows - rows % TOGETHER;
    let (x, _) = x.as_chunks::<BLOCK>();
    let mut rounded = [0i16; BLOCK];
    for (i, x) in x.iter().enumerate() {
        let (row, block) = (i / blocks, i % blocks);
        let place = if row < grouped { (row / TOGETHER * blocks + block) * TOGETHER + row % TOGETHER } else { i };
        (scales[place], sums[place]) = round(x, &mut rounded);
        if row < grouped {
            let group = &mut values[(place - row % TOGETHER) * BLOCK..][..TOGETHER * BLOCK];
            for (p, pair) in rounded.as_chunks::<PAIR>().0.iter().enumerate() {
                group[(p * TOGETHER + row % TOGETHER) * PAIR..][..PAIR].copy_from_slice(pair);
            }
        } else {
            values[i * BLOCK..][..BLOCK].copy_from_slice(&rounded);
        }
    }
}

/// Rounds a block; its scale, and the sum of its integers.
#[inline(always)]
fn round(x: &[f32; BLOCK], out: &mut [i16; BLOCK]) -> (f32, i32) {
    const INFINITE: u32 = 0x7f80_0000;
    let largest = largest(x);
    let scale = f32::from_bits(largest) / LARGEST;
    if largest >= INFINITE || scale < f32::MIN_POSITIVE {
        out.fill(0);
        return (if largest >= INFINITE { f32::NAN } else { 0.0 }, 0);
    }
    (scale, integers(x, LARGEST / f32::from_bits(largest), out))
}

/// Lanes that are computed side by side. LLVM takes to them in a function of its own, and not where this and
/// [`integers`] are one.
const LANES: usize = 4;

/// The bits of the largest magnitude: as integers they have the same order, and what is not finite is above all others.
#[inline(never)]
fn largest(x: &[f32; BLOCK]) -> u32 {
    let mut most = [0; LANES];
    for x in x.as_chunks::<LANES>().0 {
        for (most, x) in most.iter_mut().zip(x) {
            *most = x.abs().to_bits().max(*most);
        }
    }
    most.into_iter().fold(0, u32::max)
}

/// Multiplies and rounds; the sum of the integers, which f32 holds exactly.
#[inline(never)]
fn integers(x: &[f32; BLOCK], inverse: f32, out: &mut [i16; BLOCK]) -> i32 {
    /// Added and taken away again, it rounds to the nearest integer, ties to even; what is left in the lower bits is it.
    const ROUND: f32 = 1.5 * (1 << 23) as f32;
    let mut sums = [0f32; LANES];
    for (out, x) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(x.as_chunks::<LANES>().0) {
        for i in 0..LANES {
            let raised = x[i] * inverse + ROUND;
            out[i] = raised.to_bits() as i16;
            sums[i] += raised - ROUND;
        }
    }
    sums.iter().sum::<f32>() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values;

    #[test]
    fn rounding_is_within_half_a_step() {
        let x = values(6 * 64, 1);
        let rounded = Activations::new(&x, 64).unwrap();
        assert_eq!((rounded.rows(), rounded.grouped()), (6, 4));
        let close = |q: i16, scale: f32, x: f32| {
            assert_ne!(q, i16::MIN);
            assert!((f32::from(q) * scale - x).abs() <= 0.501 * scale, "{x}: {q} × {scale}");
        };
        for (row, x) in x.chunks(64).enumerate() {
            for (i, x) in x.iter().enumerate() {
                let (block, at) = (i / BLOCK, i % BLOCK);
                if row < 4 {
                    let Blocks { values, scales, .. } = rounded.group(0);
                    close(values[block][(at / PAIR * TOGETHER + row) * PAIR + at % PAIR], scales[block][row], *x);
                } else {
                    let Blocks { values, scales, sums } = rounded.row(row);
                    close(values[block][at], scales[block], *x);
                    assert_eq!(sums[block], values[block].iter().map(|&v| i32::from(v)).sum::<i32>());
                }
            }
        }
    }

    /// Parts that several threads round are what the whole would be.
    #[test]
    fn parts_are_rounded_as_the_whole() {
        let (rows, cols) = (1023, 64);
        let x = values(rows * cols, 2);
        let Activations { blocks, values, scales, sums } = Activations::new(&x, cols).unwrap();
        let mut whole = (vec![0; x.len()], vec![0.0; x.len() / BLOCK], vec![0; x.len() / BLOCK]);
        round_rows(&x, blocks, &mut whole.0, &mut whole.1, &mut whole.2);
        assert!(x.len() > 2 * parallel::PART && (values, scales, sums) == whole);
    }

    #[test]
    fn what_is_not_finite_is_not_hidden() {
        let mut x = vec![1f32; 96];
        (x[3], x[40]) = (f32::INFINITY, f32::NAN);
        x[64..].fill(1e-44);
        let rounded = Activations::new(&x, 96).unwrap();
        let scales = rounded.row(0).scales;
        assert!(scales[0].is_nan() && scales[1].is_nan() && scales[2] == 0.0, "{scales:?}");
    }
}
