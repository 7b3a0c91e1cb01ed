//! Blocks with one scale each: the four scales ([raised](crate::kernels::raised) f16), then the values.

use super::dot::{self, part};
use super::{BLOCK, Panel, ROWS, Row};
use crate::kernels::lanes::{Floats, Ints};
use crate::kernels::raised::raise;

/// Bytes of the scales of four rows.
const SCALES: usize = 2 * ROWS;
/// Bytes of a block of four rows whose values are bytes.
pub const BYTES: usize = SCALES + dot::BYTES;
/// Bytes of a block of four rows whose values are halves of bytes.
pub const NIBBLES: usize = SCALES + dot::NIBBLES;
/// What is taken from a value of half a byte.
const MIDDLE: i32 = 8;

/// A block of one row: its scale and its values, one a byte.
pub type Codes = ([u8; 2], [u8; BLOCK]);

/// Lays out four rows of blocks of `N` bytes that `codes` reads.
pub fn lay_out<const N: usize>(rows: [&[u8]; ROWS], out: &mut [u8], codes: impl Fn(&[u8; N]) -> Codes) {
    blocks(rows, out.as_chunks_mut::<BYTES>().0, codes, dot::interleave);
}

/// [`lay_out`] for values from 0 to 15.
pub fn lay_out_nibbles<const N: usize>(rows: [&[u8]; ROWS], out: &mut [u8], codes: impl Fn(&[u8; N]) -> Codes) {
    blocks(rows, out.as_chunks_mut::<NIBBLES>().0, codes, dot::pack);
}

fn blocks<const N: usize, const OUT: usize>(
    rows: [&[u8]; ROWS],
    out: &mut [[u8; OUT]],
    codes: impl Fn(&[u8; N]) -> Codes,
    place: impl Fn([[u8; BLOCK]; ROWS], &mut [u8]),
) {
    let rows = rows.map(|row| row.as_chunks::<N>().0);
    for (b, out) in out.iter_mut().enumerate() {
        let blocks = rows.map(|row| codes(&row[b]));
        let (scales, values) = out.split_at_mut(SCALES);
        scales.copy_from_slice(blocks.map(|(scale, _)| raise(scale)).as_flattened());
        place(blocks.map(|(_, values)| values), values);
    }
}

#[inline(always)]
fn scales<const N: usize>(block: &[u8; N]) -> Floats {
    Floats::halves(part(block, 0))
}

/// Products of groups that follow one another with one row of activations. Never inlined, nor are its like: among others
/// their loops lack registers.
#[inline(never)]
pub fn multiply(groups: &[u8], x: Row, out: &mut [[f32; ROWS]]) {
    let mut blocks = groups.as_chunks::<BYTES>().0.iter();
    for out in out {
        let mut total = Floats::all(0.0);
        for ((values, scale), block) in x.values.iter().zip(x.scales).zip(&mut blocks) {
            let sums = Floats::of(dot::bytes::<0, { super::QUADS }>(part(block, SCALES), values));
            total = total.plus(sums.times(scales(block).times(Floats::all(*scale))));
        }
        *out = total.to_array();
    }
}

/// [`multiply`] for values from 0 to 15.
#[inline(never)]
pub fn multiply_nibbles(groups: &[u8], x: Row, out: &mut [[f32; ROWS]]) {
    let mut blocks = groups.as_chunks::<NIBBLES>().0.iter();
    for out in out {
        let mut total = Floats::all(0.0);
        for (((values, scale), sum), block) in x.values.iter().zip(x.scales).zip(x.sums).zip(&mut blocks) {
            let sums = dot::nibbles(part(block, SCALES), values).minus(Ints::all(MIDDLE * sum));
            total = total.plus(Floats::of(sums).times(scales(block).times(Floats::all(*scale))));
        }
        *out = total.to_array();
    }
}

/// Unpacks a group.
#[inline(never)]
pub fn unpack(group: &[u8], panel: &mut Panel) {
    for (b, block) in group.as_chunks::<BYTES>().0.iter().enumerate() {
        panel.scales[b] = scales(block).to_array();
        panel.put(b, part(block, SCALES));
    }
}

/// [`unpack`] for values from 0 to 15.
#[inline(never)]
pub fn unpack_nibbles(group: &[u8], panel: &mut Panel) {
    for (b, block) in group.as_chunks::<NIBBLES>().0.iter().enumerate() {
        panel.scales[b] = scales(block).to_array();
        let values = dot::unpack(part(block, SCALES));
        panel.put(b, &values.map(|value| value.wrapping_sub(MIDDLE as u8)));
    }
}
