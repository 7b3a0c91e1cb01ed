//! Q8_0 weights laid out for the integer kernels, and their product with [`Activations`].
//!
//! Four rows lie together, block by block: their four scales (f16), then eight times four values of each row. A group
//! takes as many bytes as its rows did, so a matrix is laid out anew in place. Rows beyond the last whole group stay as
//! the file has them.
//!
//! A product is `Σ over blocks, in order, of (Σ q · x as an exact integer, then as f32) · (d · scale of x)`, for every
//! kernel, batch and processor: all give the same bits.

use super::activations::{Activations, BLOCK};
use super::lanes::{Floats, Ints, Shorts};
use super::q8_0;
use crate::error::{Result, try_vec};

/// Quads of a row's block.
const QUADS: usize = BLOCK / QUAD;
/// Rows that lie together.
pub const ROWS: usize = 4;
const GROUP_BYTES: usize = ROWS * q8_0::BYTES;
const SCALES: usize = ROWS * 2;
/// Values of a row that lie together.
const QUAD: usize = 4;

/// Lays out whole groups of rows anew; `row_bytes` is a row's length.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory) when the rows of one group cannot be had twice.
pub fn interleave(bytes: &mut [u8], row_bytes: usize) -> Result<()> {
    let mut group = try_vec(0u8, ROWS * row_bytes, "laying out weights")?;
    for rows in bytes.chunks_exact_mut(ROWS * row_bytes) {
        group.copy_from_slice(rows);
        for (b, out) in rows.as_chunks_mut::<GROUP_BYTES>().0.iter_mut().enumerate() {
            for r in 0..ROWS {
                let block = &group[r * row_bytes + b * q8_0::BYTES..][..q8_0::BYTES];
                out[2 * r..2 * r + 2].copy_from_slice(&block[..2]);
                for (q, quad) in block[2..].as_chunks::<QUAD>().0.iter().enumerate() {
                    out[SCALES + (q * ROWS + r) * QUAD..][..QUAD].copy_from_slice(quad);
                }
            }
        }
    }
    Ok(())
}

/// Copies row `r` of a group as the file had it.
pub fn row(group: &[u8], r: usize, out: &mut [u8]) {
    let blocks = group.as_chunks::<GROUP_BYTES>().0.iter();
    for (from, block) in blocks.zip(out.as_chunks_mut::<{ q8_0::BYTES }>().0) {
        block[..2].copy_from_slice(&from[2 * r..2 * r + 2]);
        for (q, quad) in block[2..].as_chunks_mut::<QUAD>().0.iter_mut().enumerate() {
            quad.copy_from_slice(&from[SCALES + (q * ROWS + r) * QUAD..][..QUAD]);
        }
    }
}

/// Activation rows multiplied at once: as many as leave their sums in registers.
const BATCH: usize = 4;

/// The products of one group's rows with some rows of activations, the first of which is `first`; `store` gets the
/// number of each and its four results.
#[inline]
pub fn multiply(
    group: &[u8],
    x: &Activations,
    rows: std::ops::Range<usize>,
    mut store: impl FnMut(usize, [f32; ROWS]),
) {
    let mut i = rows.start;
    // Unknown to the compiler of wasm, else it unrolls the loops over a block until the registers do not suffice.
    let quads = if cfg!(target_arch = "wasm32") { std::hint::black_box(QUADS) } else { QUADS };
    while i + BATCH <= rows.end {
        let sums = four(group, [x.row(i), x.row(i + 1), x.row(i + 2), x.row(i + 3)], quads);
        for (a, sums) in sums.into_iter().enumerate() {
            store(i + a, sums);
        }
        i += BATCH;
    }
    for i in i..rows.end {
        let [sums] = one(group, [x.row(i)], quads);
        store(i, sums);
    }
}

/// A row of activations: its blocks and their scales.
type Row<'a> = (&'a [[i16; BLOCK]], &'a [f32]);

/// Products of a group with a fixed number of activation rows. A macro, because sums that are variables of their own
/// stay in registers in every build, and those of an array do not.
macro_rules! tile {
    ($name:ident, $rows:literal: $($x:ident $above:ident $below:ident $total:ident),+) => {
        #[inline(always)]
        fn $name(group: &[u8], [$($x),+]: [Row; $rows], quads: usize) -> [[f32; ROWS]; $rows] {
            $(let mut $total = Floats::all(0.0);)+
            for (b, block) in group.as_chunks::<GROUP_BYTES>().0.iter().enumerate() {
                // Sums of neighbours, for the two rows above and the two below.
                $(let (mut $above, mut $below) = (Ints::zero(), Ints::zero());)+
                $(let values = &$x.0[b]; let $x = (values, $x.1[b]);)+
                for q in 0..quads {
                    // Says that no place is out of bounds.
                    let q = q % QUADS;
                    let at = SCALES + q * ROWS * QUAD;
                    let (above, below) = (Shorts::widen(part(block, at)), Shorts::widen(part(block, at + 2 * QUAD)));
                    $(
                        let x = Shorts::repeat(part($x.0, q * QUAD));
                        ($above, $below) = ($above.add_dot(above, x), $below.add_dot(below, x));
                    )+
                }
                let scales = Floats::halves(part(block, 0));
                $($total = $total.plus(Floats::of($above.pairs($below)).times(scales.times(Floats::all($x.1))));)+
            }
            [$($total.to_array()),+]
        }
    };
}

tile!(one, 1: x a b t);
tile!(four, 4: x0 a0 b0 t0, x1 a1 b1 t1, x2 a2 b2 t2, x3 a3 b3 t3);

/// `N` values from `at` on; there must be so many.
#[inline(always)]
fn part<T, const N: usize, const ALL: usize>(all: &[T; ALL], at: usize) -> &[T; N] {
    // SAFETY: all callers are in `tile!`: the block's quads begin at SCALES + 4 · ROWS · q with q < QUADS, those of the
    // activations at 4 · q, and the scales are the first SCALES bytes.
    unsafe { &*all.as_ptr().add(at).cast() }
}

/// The product of a row as the file has it with a row of activations.
pub fn dot(row: &[u8], (x, scales): Row) -> f32 {
    let blocks = row.as_chunks::<{ q8_0::BYTES }>().0.iter();
    blocks.zip(x).zip(scales).fold(0.0, |total, ((block, x), scale)| {
        let sum: i32 = block[2..].iter().zip(x).map(|(q, x)| i32::from(*q as i8) * i32::from(*x)).sum();
        let [d, ..] = Floats::halves(&[block[0], block[1], 0, 0, 0, 0, 0, 0]).to_array();
        total + sum as f32 * (d * scale)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Format, values};

    fn packed(rows: usize, cols: usize) -> (Vec<u8>, usize) {
        let row_bytes = Format::Q8_0.row_bytes(cols).unwrap();
        let mut bytes = vec![0u8; rows * row_bytes];
        Format::Q8_0.quantize(&values(rows * cols, 7), &mut bytes);
        (bytes, row_bytes)
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let (original, row_bytes) = packed(8, 96);
        let mut bytes = original.clone();
        interleave(&mut bytes, row_bytes).unwrap();
        assert_ne!(bytes, original);
        for (r, wanted) in original.chunks(row_bytes).enumerate() {
            let mut found = vec![0; row_bytes];
            row(&bytes[r / ROWS * ROWS * row_bytes..][..ROWS * row_bytes], r % ROWS, &mut found);
            assert_eq!(found, wanted, "row {r}");
        }
    }

    /// Whole groups, single rows and batches: the same bits.
    #[test]
    fn every_kernel_gives_the_bits_of_the_plain_one() {
        for (blocks, n) in [(1, 1), (3, 2), (18, 4), (2, 11)] {
            let cols = blocks * BLOCK;
            let (original, row_bytes) = packed(ROWS, cols);
            let x = Activations::new(&values(n * cols, 9), cols).unwrap();
            let mut group = original.clone();
            interleave(&mut group, row_bytes).unwrap();
            let mut seen = 0;
            multiply(&group, &x, 0..n, |i, found| {
                let wanted: Vec<f32> = original.chunks(row_bytes).map(|w| dot(w, x.row(i))).collect();
                assert_eq!(found.as_slice(), wanted, "{blocks} blocks, row {i} of {n}");
                seen += 1;
            });
            assert_eq!(seen, n);
        }
    }
}
