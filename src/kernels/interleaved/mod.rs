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
use super::activations::{Activations, BLOCK, QUAD, Row, TOGETHER};
use super::{q4_0, q5_0, q8_0};
use crate::error::Result;
pub use super_block::Parts;
pub use tile::Panel;

/// Rows that lie together.
pub const ROWS: usize = 4;
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
    /// The layout of a format that is multiplied as integers.
    pub fn of(format: Format) -> Option<Self> {
        Some(match format {
            Format::Q8_0 | Format::Q5_0 => Self::Bytes,
            Format::Q4_0 => Self::Nibbles,
            Format::Q4_K => Self::SuperNibbles,
            Format::Q5_K => Self::SuperBytes,
            Format::Q6_K => Self::SuperBytesFine,
            _ => return None,
        })
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

    /// The products of a group's rows with one row of activations.
    #[inline]
    pub fn multiply(self, group: &[u8], x: Row) -> [f32; ROWS] {
        match self {
            Self::Bytes => plain::multiply(group, x),
            Self::Nibbles => plain::multiply_nibbles(group, x),
            Self::SuperBytes => super_block::multiply::<false>(group, x),
            Self::SuperBytesFine => super_block::multiply::<true>(group, x),
            Self::SuperNibbles => super_block::multiply_nibbles(group, x),
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

/// The products of one group's rows with all rows of activations; `store` gets the number of each and its four results.
/// Where some of these lie together there must be a `panel`.
#[inline]
pub fn multiply(
    layout: Layout,
    group: &[u8],
    x: &Activations,
    panel: &mut Option<Panel>,
    mut store: impl FnMut(usize, [f32; ROWS]),
) {
    if let Some(panel) = panel {
        layout.unpack(group, panel);
        for first in (0..x.grouped()).step_by(TOGETHER) {
            for (i, sums) in panel.multiply(x.group(first)).into_iter().enumerate() {
                store(first + i, sums);
            }
        }
    }
    for i in x.grouped()..x.rows() {
        store(i, layout.multiply(group, x.row(i)));
    }
}

#[cfg(test)]
mod tests;
