//! Quantized weights laid out for integer arithmetic, and their product with [`Activations`].
//!
//! Four rows lie together as a group, block by block, so that one pass over memory in order serves all four. Formats
//! share a few layouts: values are bytes or halves of bytes, and scales are those of [`plain`] blocks or of the
//! [`super_block`]s of the K formats. Of a block, eight times four values of each row follow one another (quads).
//!
//! A product is, over blocks in order, `Σ (Σ q · x as an exact integer, then as f32) · (scale · scale of x)`, less
//! `min · Σ x` where a format has minima. That is so for every kernel, batch, build and processor: all give the same bits.

mod dot;
mod plain;
mod super_block;
mod tile;

use super::Format;
use super::activations::{Activations, BLOCK, Row, TOGETHER};
use super::raised::can_be_raised;
use super::{q4_0, q5_0, q8_0};
use crate::error::Result;
pub use super_block::Parts;
pub use tile::Panel;

/// Rows that lie together.
pub const ROWS: usize = 4;
/// Values of a row that follow one another.
const QUAD: usize = 4;
/// Quads of a row's block.
const QUADS: usize = BLOCK / QUAD;

/// How a group of rows lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Q8_0, and Q5_0 widened to it.
    Bytes,
    /// Q4_0.
    Nibbles,
    /// Q5_K: a scale and a minimum for 32 values.
    SuperBytes,
    /// Q6_K: a scale for 16 values.
    SuperBytesFine,
    /// Q4_K.
    SuperNibbles,
}

impl Layout {
    /// The layout for a tensor of a format that is multiplied as integers; none for one with a scale that is too large for
    /// it, or no number.
    pub fn of(format: Format, bytes: &[u8]) -> Option<Self> {
        let (layout, scales): (_, &[usize]) = match format {
            Format::Q8_0 | Format::Q5_0 => (Self::Bytes, &[0]),
            Format::Q4_0 => (Self::Nibbles, &[0]),
            Format::Q4_K => (Self::SuperNibbles, &[0, 2]),
            Format::Q5_K => (Self::SuperBytes, &[0, 2]),
            Format::Q6_K => (Self::SuperBytesFine, &[208]),
            _ => return None,
        };
        let mut blocks = bytes.chunks_exact(format.block_bytes());
        let fit = |block: &[u8]| scales.iter().all(|&at| can_be_raised([block[at], block[at + 1]]));
        blocks.all(fit).then_some(layout)
    }

    /// The values of a row, and the bytes of a group, that stand together.
    const fn unit(self) -> (usize, usize) {
        match self {
            Self::Bytes => (BLOCK, plain::BYTES),
            Self::Nibbles => (BLOCK, plain::NIBBLES),
            Self::SuperBytes | Self::SuperBytesFine => (super_block::VALUES, super_block::BYTES),
            Self::SuperNibbles => (super_block::VALUES, super_block::NIBBLES),
        }
    }

    /// The bytes of a group whose rows have `cols` values.
    pub fn group_bytes(self, cols: usize) -> usize {
        let (values, bytes) = self.unit();
        cols / values * bytes
    }

    /// Lays out a group of rows, as a file has them in `format`.
    pub fn lay_out(self, format: Format, rows: [&[u8]; ROWS], out: &mut [u8]) {
        match (self, format) {
            (Self::Bytes, Format::Q5_0) => plain::lay_out(rows, out, q5_0::codes),
            (Self::Bytes, _) => plain::lay_out(rows, out, q8_0::codes),
            (Self::Nibbles, _) => plain::lay_out_nibbles(rows, out, q4_0::codes),
            (Self::SuperBytes, _) => super_block::lay_out(rows, out, super::q5_k::parts),
            (Self::SuperBytesFine, _) => super_block::lay_out(rows, out, super::q6_k::parts),
            (Self::SuperNibbles, _) => super_block::lay_out_nibbles(rows, out, super::q4_k::parts),
        }
    }

    /// The products of groups that follow one another with one row of activations: `out` has one place for each.
    fn multiply(self, groups: &[u8], x: Row, out: &mut [[f32; ROWS]]) {
        match self {
            Self::Bytes => plain::multiply(groups, x, out),
            Self::Nibbles => plain::multiply_nibbles(groups, x, out),
            Self::SuperBytes => super_block::multiply::<false>(groups, x, out),
            Self::SuperBytesFine => super_block::multiply::<true>(groups, x, out),
            Self::SuperNibbles => super_block::multiply_nibbles(groups, x, out),
        }
    }

    /// Unpacks a group.
    pub fn unpack(self, group: &[u8], panel: &mut Panel) {
        match self {
            Self::Bytes => plain::unpack(group, panel),
            Self::Nibbles => plain::unpack_nibbles(group, panel),
            Self::SuperBytes => super_block::unpack::<false>(group, panel),
            Self::SuperBytesFine => super_block::unpack::<true>(group, panel),
            Self::SuperNibbles => super_block::unpack_nibbles(group, panel),
        }
    }

    /// Room for a group with rows of `cols` values.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn panel(self, cols: usize) -> Result<Panel> {
        let fine = self == Self::SuperBytesFine;
        let minima = matches!(self, Self::SuperBytes | Self::SuperNibbles);
        Panel::new(cols / BLOCK, fine, minima)
    }
}

/// Groups that are unpacked together: activations are read, and results written, once for all of them.
pub const UNPACKED: usize = 8;

/// Groups whose products with a single row of activations are stored together.
const SINGLE: usize = 32;

/// The products of groups that follow one another with all rows of activations. `store` is given them as they come: the
/// number of a row of activations, the number of the group it begins with, and the results.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn multiply(
    layout: Layout,
    groups: &[u8],
    x: &Activations,
    mut store: impl FnMut(usize, usize, &[[f32; ROWS]]),
) -> Result<()> {
    let group_bytes = layout.group_bytes(x.cols());
    if x.grouped() > 0 {
        let together = UNPACKED.min(groups.len() / group_bytes);
        let mut panels = (0..together).map(|_| layout.panel(x.cols())).collect::<Result<Vec<_>>>()?;
        let mut sums = [[[0f32; ROWS]; UNPACKED]; TOGETHER];
        for (part, groups) in groups.chunks(UNPACKED * group_bytes).enumerate() {
            let count = groups.len() / group_bytes;
            for (group, panel) in groups.chunks_exact(group_bytes).zip(&mut panels) {
                layout.unpack(group, panel);
            }
            for first in (0..x.grouped()).step_by(TOGETHER) {
                for (pair, panels) in panels[..count].chunks(tile::GROUPS).enumerate() {
                    // A last one without a second is multiplied twice.
                    let both = [&panels[0], &panels[panels.len() - 1]];
                    for (sums, product) in sums.iter_mut().zip(Panel::multiply(both, x.group(first))) {
                        sums[pair * tile::GROUPS..][..tile::GROUPS].copy_from_slice(&product);
                    }
                }
                for (i, sums) in sums.iter().enumerate() {
                    store(first + i, part * UNPACKED, &sums[..count]);
                }
            }
        }
    }
    // On the stack: threads that ask for memory hundreds of times a token wait for one another.
    let mut out = [[0f32; ROWS]; SINGLE];
    for (part, groups) in groups.chunks(SINGLE * group_bytes).enumerate() {
        let out = &mut out[..groups.len() / group_bytes];
        for i in x.grouped()..x.rows() {
            layout.multiply(groups, x.row(i), out);
            store(i, part * SINGLE, out);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
