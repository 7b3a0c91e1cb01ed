//! Unquantized weights laid out for products with f32 activations: four rows lie together, four values of each in turn
//! (quads), so that one pass over memory in order serves all four.
//!
//! A product keeps four sums, of every fourth value each, which are added up at the end in their order: the same bits in
//! every batch, build and processor.

use super::Format;
use super::interleaved::ROWS;
use super::lanes::Floats;
use super::raised::{can_be_raised, raise};

/// Values of a row that lie together.
pub const QUAD: usize = 4;
/// Activation rows multiplied at once: as many as leave their sums in registers.
pub const BATCH: usize = 3;

/// Whether a tensor with rows of `cols` values in this format can be laid out: f16 are [raised](super::raised), so none
/// may be too large for it, or no number.
pub fn takes(format: Format, cols: usize, bytes: &[u8]) -> bool {
    let fits = match format {
        Format::F32 | Format::BF16 => true,
        Format::F16 => bytes.as_chunks::<2>().0.iter().all(|half| can_be_raised(*half)),
        _ => false,
    };
    fits && cols.is_multiple_of(QUAD)
}

/// Lays out a group of rows.
pub fn lay_out(format: Format, rows: [&[u8]; ROWS], out: &mut [u8]) {
    let quad = QUAD * format.block_bytes();
    for (q, out) in out.chunks_exact_mut(ROWS * quad).enumerate() {
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(quad)) {
            out.copy_from_slice(&row[q * quad..(q + 1) * quad]);
        }
    }
    if format == Format::F16 {
        for half in out.as_chunks_mut::<2>().0 {
            *half = raise(*half);
        }
    }
}

/// Decodes row `r` of a group.
pub fn row(format: Format, group: &[u8], r: usize, out: &mut [f32]) {
    match format {
        Format::F16 => decode::<{ 2 * QUAD }>(group, r, Floats::halves, out),
        Format::BF16 => decode::<{ 2 * QUAD }>(group, r, Floats::upper_halves, out),
        _ => decode::<{ 4 * QUAD }>(group, r, Floats::of_bytes, out),
    }
}

fn decode<const N: usize>(group: &[u8], r: usize, decode: impl Fn(&[u8; N]) -> Floats, out: &mut [f32]) {
    let quads = group.as_chunks::<N>().0.as_chunks::<ROWS>().0;
    for (quad, out) in quads.iter().zip(out.as_chunks_mut::<QUAD>().0) {
        *out = decode(&quad[r]).to_array();
    }
}

/// The products of groups that follow one another with `x`, rows of activations of `cols` values. `store` is given them as
/// they come: the number of a row of activations, that of the group, and the results.
pub fn multiply(
    format: Format,
    groups: &[u8],
    x: &[f32],
    cols: usize,
    mut store: impl FnMut(usize, usize, &[[f32; ROWS]]),
) {
    let group_bytes = ROWS * cols * format.block_bytes();
    for (g, group) in groups.chunks_exact(group_bytes.max(1)).enumerate() {
        let store = |i: usize, sums| store(i, g, &[sums]);
        match format {
            Format::F16 => each::<{ 2 * QUAD }>(group, x, cols, Floats::halves, store),
            Format::BF16 => each::<{ 2 * QUAD }>(group, x, cols, Floats::upper_halves, store),
            _ => each::<{ 4 * QUAD }>(group, x, cols, Floats::of_bytes, store),
        }
    }
}

#[inline(always)]
fn each<const N: usize>(
    group: &[u8],
    x: &[f32],
    cols: usize,
    decode: impl Fn(&[u8; N]) -> Floats,
    mut store: impl FnMut(usize, [f32; ROWS]),
) {
    let quads = group.as_chunks::<N>().0.as_chunks::<ROWS>().0;
    let mut rows = x.chunks_exact(BATCH * cols);
    let mut i = 0;
    for rows in &mut rows {
        let x = std::array::from_fn(|a| rows[a * cols..(a + 1) * cols].as_chunks().0);
        for sums in three(quads, x, &decode) {
            store(i, sums);
            i += 1;
        }
    }
    for row in rows.remainder().chunks_exact(cols) {
        let [sums] = one(quads, [row.as_chunks().0], &decode);
        store(i, sums);
        i += 1;
    }
}

/// Products of a group with a fixed number of activation rows. A macro, because sums that are variables of their own
/// stay in registers in every build, and those of an array do not.
macro_rules! tile {
    ($name:ident, $rows:literal: $($k:literal $x:ident $a:ident $b:ident $c:ident $d:ident),+) => {
        #[inline(never)]
        fn $name<const N: usize>(
            quads: &[[[u8; N]; ROWS]],
            x: [&[[f32; QUAD]]; $rows],
            decode: impl Fn(&[u8; N]) -> Floats,
        ) -> [[f32; ROWS]; $rows] {
            $(let (mut $a, mut $b, mut $c, mut $d) =
                (Floats::all(0.0), Floats::all(0.0), Floats::all(0.0), Floats::all(0.0));)+
            $(let $x = &x[$k][..quads.len()];)+
            for (i, [a, b, c, d]) in quads.iter().enumerate() {
                $(let $x = Floats::of_array(&$x[i]);)+
                let w = decode(a);
                $($a = $a.plus(w.times($x));)+
                let w = decode(b);
                $($b = $b.plus(w.times($x));)+
                let w = decode(c);
                $($c = $c.plus(w.times($x));)+
                let w = decode(d);
                $($d = $d.plus(w.times($x));)+
            }
            [$([$a, $b, $c, $d].map(|sums| sums.to_array().into_iter().fold(0.0, |total, sum| total + sum))),+]
        }
    };
}

tile!(one, 1: 0 x0 a0 b0 c0 d0);
tile!(three, 3: 0 x0 a0 b0 c0 d0, 1 x1 a1 b1 c1 d1, 2 x2 a2 b2 c2 d2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values;

    /// Single rows and batches give the same bits, near those of the decoded weights.
    #[test]
    fn products_are_those_of_the_decoded_weights() {
        for format in [Format::F32, Format::F16, Format::BF16] {
            for (cols, n) in [(4, 1), (12, 3), (68, 7)] {
                let mut bytes = vec![0u8; ROWS * format.row_bytes(cols).unwrap()];
                format.quantize(&values(ROWS * cols, 3), &mut bytes);
                let mut decoded = vec![0f32; ROWS * cols];
                format.dequantize(&bytes, &mut decoded);
                let mut group = vec![0u8; bytes.len()];
                let row_bytes = bytes.len() / ROWS;
                let rows = std::array::from_fn(|r| &bytes[r * row_bytes..][..row_bytes]);
                assert!(takes(format, cols, &bytes));
                lay_out(format, rows, &mut group);
                for (r, wanted) in decoded.chunks(cols).enumerate() {
                    let mut found = vec![0f32; cols];
                    row(format, &group, r, &mut found);
                    assert_eq!(found, wanted, "{format:?}, row {r}");
                }
                let x = values(n * cols, 5);
                let mut found = vec![[0f32; ROWS]; n];
                multiply(format, &group, &x, cols, |i, _, sums| found[i] = sums[0]);
                for (x, found) in x.chunks(cols).zip(found) {
                    multiply(format, &group, x, cols, |_, _, alone| assert_eq!(alone, [found]));
                    for (w, found) in decoded.chunks(cols).zip(found) {
                        let wanted: f32 = w.iter().zip(x).map(|(w, x)| w * x).sum();
                        assert!((wanted - found).abs() < 1e-5, "{format:?}: expected {wanted}, found {found}");
                    }
                }
            }
        }
    }
}
