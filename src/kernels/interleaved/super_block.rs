//! The K formats: 256 values of four rows share `d` and `dmin` ([raised](crate::kernels::raised) f16, four each); then eight blocks follow, each with
//! its scales and minima (four bytes each, or eight bytes of scales for 16 values each) and its values.

use super::dot::{self, part};
use super::{BLOCK, Panel, QUADS, ROWS, Row};
use crate::kernels::lanes::Floats;
use crate::kernels::raised::raise;

/// Values of a row.
pub const VALUES: usize = 8 * BLOCK;
/// Bytes of `d` and `dmin` of four rows.
const HEAD: usize = 4 * ROWS;
/// Bytes of the scales and minima of a block of four rows.
const SCALES: usize = 2 * ROWS;
/// Bytes of a block of four rows.
const BYTE_BLOCK: usize = SCALES + dot::BYTES;
const NIBBLE_BLOCK: usize = SCALES + dot::NIBBLES;
/// Bytes of all of it where values are bytes.
pub const BYTES: usize = HEAD + 8 * BYTE_BLOCK;
/// Bytes of all of it where values are halves of bytes.
pub const NIBBLES: usize = HEAD + 8 * NIBBLE_BLOCK;

/// 256 values of one row as their format has them: `d` and `dmin` (f16), two bytes for each block (its scale and
/// minimum, or two scales), and the values, one a byte.
pub struct Parts {
    pub head: [[u8; 2]; 2],
    pub scales: [[u8; 2]; 8],
    pub values: [u8; VALUES],
}

/// Lays out four rows of `N` bytes each that `parts` reads.
pub fn lay_out<const N: usize>(rows: [&[u8]; ROWS], out: &mut [u8], parts: impl Fn(&[u8; N]) -> Parts) {
    blocks::<N, BYTES, BYTE_BLOCK>(rows, out, parts, dot::interleave);
}

/// [`lay_out`] for values from 0 to 15.
pub fn lay_out_nibbles<const N: usize>(rows: [&[u8]; ROWS], out: &mut [u8], parts: impl Fn(&[u8; N]) -> Parts) {
    blocks::<N, NIBBLES, NIBBLE_BLOCK>(rows, out, parts, dot::pack);
}

fn blocks<const N: usize, const OUT: usize, const OUT_BLOCK: usize>(
    rows: [&[u8]; ROWS],
    out: &mut [u8],
    parts: impl Fn(&[u8; N]) -> Parts,
    place: impl Fn([[u8; BLOCK]; ROWS], &mut [u8]),
) {
    let rows = rows.map(|row| row.as_chunks::<N>().0);
    for (i, out) in out.as_chunks_mut::<OUT>().0.iter_mut().enumerate() {
        let parts = rows.map(|row| parts(&row[i]));
        let (head, blocks) = out.split_at_mut(HEAD);
        for (r, parts) in parts.iter().enumerate() {
            for (which, half) in parts.head.iter().enumerate() {
                head[(which * ROWS + r) * 2..][..2].copy_from_slice(&raise(*half));
            }
        }
        for (b, block) in blocks.as_chunks_mut::<OUT_BLOCK>().0.iter_mut().enumerate() {
            let (scales, values) = block.split_at_mut(SCALES);
            for (r, parts) in parts.iter().enumerate() {
                (scales[r], scales[ROWS + r]) = parts.scales[b].into();
            }
            place(std::array::from_fn(|r| *part(&parts[r].values, b * BLOCK)), values);
        }
    }
}

/// The scales and minima of one block: `d` and `dmin` times its own. Where there are two scales, both are scales.
#[inline(always)]
fn scales<const N: usize>(head: [Floats; 2], block: &[u8; N], fine: bool) -> [Floats; 2] {
    let [d, dmin] = head;
    let other = if fine { d } else { dmin };
    [d.times(Floats::bytes(part(block, 0))), other.times(Floats::bytes(part(block, ROWS)))]
}

#[inline(always)]
fn head<const N: usize>(unit: &[u8; N]) -> [Floats; 2] {
    [Floats::halves(part(unit, 0)), Floats::halves(part(unit, 2 * ROWS))]
}

/// Products of groups that follow one another with one row of activations; `FINE` where scales are those of 16 values.
#[inline(never)]
pub fn multiply<const FINE: bool>(groups: &[u8], x: Row, out: &mut [[f32; ROWS]]) {
    let mut units = groups.as_chunks::<BYTES>().0.iter();
    for out in out {
        let mut total = Floats::all(0.0);
        for (i, unit) in (0..x.values.len() / 8).zip(&mut units) {
            let head = head(unit);
            for (b, block) in unit[HEAD..].as_chunks::<BYTE_BLOCK>().0.iter().enumerate() {
                let (x, scale, sum) = (&x.values[8 * i + b], x.scales[8 * i + b], x.sums[8 * i + b]);
                let ([first, second], scale) = (scales(head, block, FINE), Floats::all(scale));
                let values = part(block, SCALES);
                if FINE {
                    let sums = Floats::of(dot::bytes::<0, { QUADS / 2 }>(values, x));
                    total = total.plus(sums.times(first.times(scale)));
                    let sums = Floats::of(dot::bytes::<{ QUADS / 2 }, { QUADS / 2 }>(values, x));
                    total = total.plus(sums.times(second.times(scale)));
                } else {
                    let sums = Floats::of(dot::bytes::<0, QUADS>(values, x));
                    total = total.plus(sums.times(first.times(scale)));
                    total = total.minus(second.times(Floats::all(sum as f32).times(scale)));
                }
            }
        }
        *out = total.to_array();
    }
}

/// [`multiply`] for values from 0 to 15.
#[inline(never)]
pub fn multiply_nibbles(groups: &[u8], x: Row, out: &mut [[f32; ROWS]]) {
    let mut units = groups.as_chunks::<NIBBLES>().0.iter();
    for out in out {
        let mut total = Floats::all(0.0);
        for (i, unit) in (0..x.values.len() / 8).zip(&mut units) {
            let head = head(unit);
            for (b, block) in unit[HEAD..].as_chunks::<NIBBLE_BLOCK>().0.iter().enumerate() {
                let (x, scale, sum) = (&x.values[8 * i + b], x.scales[8 * i + b], x.sums[8 * i + b]);
                let ([scales, minima], scale) = (scales(head, block, false), Floats::all(scale));
                let sums = Floats::of(dot::nibbles(part(block, SCALES), x));
                total = total.plus(sums.times(scales.times(scale)));
                total = total.minus(minima.times(Floats::all(sum as f32).times(scale)));
            }
        }
        *out = total.to_array();
    }
}

/// Unpacks a group.
#[inline(never)]
pub fn unpack<const FINE: bool>(group: &[u8], panel: &mut Panel) {
    for (i, unit) in group.as_chunks::<BYTES>().0.iter().enumerate() {
        for (b, block) in unit[HEAD..].as_chunks::<BYTE_BLOCK>().0.iter().enumerate() {
            put_scales(head(unit), block, 8 * i + b, panel, FINE);
            panel.put(8 * i + b, part(block, SCALES));
        }
    }
}

/// [`unpack`] for values from 0 to 15.
#[inline(never)]
pub fn unpack_nibbles(group: &[u8], panel: &mut Panel) {
    for (i, unit) in group.as_chunks::<NIBBLES>().0.iter().enumerate() {
        for (b, block) in unit[HEAD..].as_chunks::<NIBBLE_BLOCK>().0.iter().enumerate() {
            put_scales(head(unit), block, 8 * i + b, panel, false);
            panel.put(8 * i + b, &dot::unpack(part(block, SCALES)));
        }
    }
}

#[inline(always)]
fn put_scales<const N: usize>(head: [Floats; 2], block: &[u8; N], at: usize, panel: &mut Panel, fine: bool) {
    let [first, second] = scales(head, block, fine).map(Floats::to_array);
    if fine {
        (panel.scales[2 * at], panel.scales[2 * at + 1]) = (first, second);
    } else {
        (panel.scales[at], panel.minima[at]) = (first, second);
    }
}
