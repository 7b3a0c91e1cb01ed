//! A weight matrix kept packed, its rows, and its product with activations.

use super::activations::Activations;
use super::interleaved::{self, Layout};
use super::reduce::total;
use super::{Format, dense, parallel};
use crate::error::{Error, Result, try_vec};
use candle_core::{Device, Tensor};
use std::cell::OnceCell;
use std::ops::Range;

/// A row-major matrix of shape `[rows, cols]` in any [`Format`]. There is never a second copy of the weights: they are
/// multiplied as integers, laid out for it once, or rows are decoded while they are used.
#[derive(PartialEq)]
pub struct Matrix {
    format: Format,
    rows: usize,
    cols: usize,
    weights: Weights,
}

#[derive(PartialEq)]
enum Weights {
    /// Rows as the file has them.
    Rows(Vec<u8>),
    /// Groups of rows; in the last one rows that are lacking are zero.
    Groups { kind: Kind, group_bytes: usize, whole: Vec<u8>, last: Vec<u8> },
}

/// What rows of activations are as integers, once some matrix has needed them so.
#[derive(Default)]
pub struct Rounded(OnceCell<Activations>);

impl Rounded {
    fn of(&self, x: &[f32], cols: usize) -> Result<&Activations> {
        match self.0.get() {
            Some(rounded) => Ok(rounded),
            None => {
                let rounded = Activations::new(x, cols)?;
                Ok(self.0.get_or_init(|| rounded))
            }
        }
    }
}

/// Which row of a file each row comes from.
pub type Order<'o> = &'o (dyn Fn(usize) -> usize + Sync);

/// What groups of rows are multiplied by.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Integers(Layout),
    Floats(Format),
}

/// Bytes of weights that stay in cache while a batch passes over them, and make a part for one thread.
const PART: usize = 1 << 16;
/// The least bytes that a thread takes at once for one row of activations.
const LEAST: usize = 1 << 13;
/// What memory is wanted for while a matrix is made.
const WHAT: &str = "laying out weights";

impl Matrix {
    /// Wraps the little-endian bytes of a tensor.
    ///
    /// # Errors
    /// [`Error::BadTensor`] when a row is not a whole number of blocks or `bytes` is not `rows` rows long.
    pub fn new(name: &str, format: Format, rows: usize, cols: usize, bytes: Vec<u8>) -> Result<Self> {
        Self::ordered(name, format, rows, cols, bytes, None)
    }

    /// [`Self::new`] with the rows in another order: row `i` is the file's row `order(i)`.
    ///
    /// # Errors
    /// As there.
    pub fn ordered(
        name: &str,
        format: Format,
        rows: usize,
        cols: usize,
        bytes: Vec<u8>,
        order: Option<Order>,
    ) -> Result<Self> {
        let bad = |expected: String, found: String| Error::BadTensor { name: name.to_string(), expected, found };
        let row_bytes = format.row_bytes(cols).ok_or_else(|| {
            bad(format!("rows of a multiple of {} values for {}", format.block_len(), format.name()), format!("{cols}"))
        })?;
        if row_bytes.checked_mul(rows) != Some(bytes.len()) {
            return Err(bad(format!("{rows} rows of {row_bytes} bytes"), format!("{} bytes", bytes.len())));
        }
        let kind = match Layout::of(format, &bytes) {
            Some(layout) => Some(Kind::Integers(layout)),
            None => dense::takes(format, cols, &bytes).then_some(Kind::Floats(format)),
        };
        let weights = match kind.filter(|_| rows > 0 && cols > 0) {
            Some(kind) => Weights::grouped(kind, format, rows, cols, bytes, order)?,
            None => Weights::Rows(match order {
                Some(order) => {
                    let mut ordered = try_vec(0u8, bytes.len(), "reordering a tensor")?;
                    for (row, out) in ordered.chunks_exact_mut(row_bytes.max(1)).enumerate() {
                        out.copy_from_slice(&bytes[order(row) * row_bytes..][..row_bytes]);
                    }
                    ordered
                }
                None => bytes,
            }),
        };
        Ok(Self { format, rows, cols, weights })
    }

    /// Whether rows are decoded each time they are multiplied, which is slower: the format has no kernel of its own, or
    /// the values do not suit it.
    pub fn is_decoded(&self) -> bool {
        matches!(self.weights, Weights::Rows(_))
    }

    /// How its file has its values.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The number of rows: outputs of a linear layer, or entries of an embedding.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of values in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Decodes one row into `out`, which holds `cols` values.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        match &self.weights {
            Weights::Rows(bytes) => {
                let row_bytes = bytes.len() / self.rows.max(1);
                self.format.dequantize(&bytes[row * row_bytes..][..row_bytes], out);
            }
            Weights::Groups { kind, .. } => match kind {
                Kind::Integers(layout) => {
                    let mut panel = layout.panel(self.cols)?;
                    layout.unpack(self.weights.group(row), &mut panel);
                    panel.row(row % interleaved::ROWS, out);
                }
                Kind::Floats(format) => dense::row(*format, self.weights.group(row), row % interleaved::ROWS, out),
            },
        }
        Ok(())
    }

    /// All values as an f32 tensor `[rows, cols]`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when it cannot be had.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let mut values = try_vec(0f32, self.rows * self.cols, "dense weights")?;
        for (row, out) in values.chunks_exact_mut(self.cols.max(1)).enumerate() {
            self.row(row, out)?;
        }
        Ok(Tensor::from_vec(values, (self.rows, self.cols), &Device::Cpu)?)
    }

    /// `x · selfᵀ`: `x` is `[n, cols]`, the result `[n, rows]`, both row-major.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the result cannot be had.
    pub fn matmul(&self, x: &[f32]) -> Result<Vec<f32>> {
        self.matmul_rounded(x, &Rounded::default())
    }

    /// [`Self::matmul`] for one of several matrices that multiply the same `x`: `rounded` is theirs together.
    ///
    /// # Errors
    /// As there.
    pub fn matmul_rounded(&self, x: &[f32], rounded: &Rounded) -> Result<Vec<f32>> {
        match &self.weights {
            Weights::Rows(bytes) => self.matmul_rows(bytes, x),
            Weights::Groups { kind, group_bytes, .. } => self.matmul_groups(*kind, *group_bytes, x, rounded),
        }
    }

    /// [`Self::matmul`] by decoding four rows at a time.
    fn matmul_rows(&self, bytes: &[u8], x: &[f32]) -> Result<Vec<f32>> {
        const TOGETHER: usize = interleaved::ROWS;
        let (cols, row_bytes) = (self.cols, bytes.len() / self.rows.max(1));
        let mut out = try_vec(0f32, x.len() / cols.max(1) * self.rows, "activations")?;
        let shared = parallel::Shared::new(&mut out);
        let width = (parallel::rows(cols) / TOGETHER).max(1) * TOGETHER;
        parallel::try_for_each((0..self.rows).step_by(width), |first| {
            let mut decoded = try_vec(0f32, TOGETHER * cols, WHAT)?;
            let mut group = try_vec(0f32, TOGETHER * cols, WHAT)?;
            for row in (first..(first + width).min(self.rows)).step_by(TOGETHER) {
                let there = (self.rows - row).min(TOGETHER);
                let rows = &mut decoded[..there * cols];
                self.format.dequantize(&bytes[row * row_bytes..][..there * row_bytes], rows);
                if there == TOGETHER && cols.is_multiple_of(dense::QUAD) {
                    let (rows, group) = (bytemuck::cast_slice(rows), bytemuck::cast_slice_mut(&mut group));
                    let bytes = cols * size_of::<f32>();
                    dense::lay_out(Format::F32, std::array::from_fn(|r| &rows[r * bytes..][..bytes]), group);
                    dense::multiply(Format::F32, group, x, cols, |i, _, sums| {
                        // SAFETY: no other part has these rows.
                        unsafe { shared.write(i * self.rows + row, sums.as_flattened()) }
                    });
                } else {
                    for (r, w) in rows.chunks_exact(cols).enumerate() {
                        for (i, x) in x.chunks_exact(cols).enumerate() {
                            let product = total([w, x], |[w, x]| w * x);
                            // SAFETY: as above.
                            unsafe { shared.write(i * self.rows + row + r, &[product]) }
                        }
                    }
                }
            }
            Ok::<(), Error>(())
        })?;
        Ok(out)
    }

    /// Whether all that [`Self::matmul_rounded`] needs is in `rounded` now, so that it may be given no `x`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn round(&self, x: &[f32], rounded: &Rounded) -> Result<bool> {
        let integers = matches!(self.weights, Weights::Groups { kind: Kind::Integers(_), .. });
        if integers {
            rounded.of(x, self.cols)?;
        }
        Ok(integers)
    }

    fn matmul_groups(&self, kind: Kind, group_bytes: usize, x: &[f32], rounded: &Rounded) -> Result<Vec<f32>> {
        let integers = match kind {
            Kind::Integers(_) => Some(rounded.of(x, self.cols)?),
            Kind::Floats(_) => None,
        };
        let n = integers.map_or(x.len() / self.cols, Activations::rows);
        let mut out = try_vec(0f32, n * self.rows, "activations")?;
        let shared = parallel::Shared::new(&mut out);
        let groups = self.rows.div_ceil(interleaved::ROWS);
        let least = match n {
            // Below that, waking another thread takes longer than the work.
            _ if groups * group_bytes * n < 2 * PART => groups,
            1 => LEAST / group_bytes,
            _ => interleaved::UNPACKED,
        };
        parallel::try_ranges(groups, PART / group_bytes.max(1), least.max(1), |range| {
            for (first, groups) in self.weights.groups(range) {
                let store = |i: usize, group: usize, sums: &[[f32; interleaved::ROWS]]| {
                    let row = (first + group) * interleaved::ROWS;
                    let sums = sums.as_flattened();
                    // SAFETY: no other part has these rows.
                    unsafe { shared.write(i * self.rows + row, &sums[..sums.len().min(self.rows - row)]) }
                };
                match (kind, integers) {
                    (Kind::Integers(layout), Some(x)) => interleaved::multiply(layout, groups, x, store)?,
                    _ => dense::multiply(self.format, groups, x, self.cols, store),
                }
            }
            Ok::<(), Error>(())
        })?;
        Ok(out)
    }
}

impl Weights {
    fn grouped(
        kind: Kind,
        format: Format,
        rows: usize,
        cols: usize,
        mut bytes: Vec<u8>,
        order: Option<Order>,
    ) -> Result<Self> {
        let row_bytes = bytes.len() / rows.max(1);
        let read = interleaved::ROWS * row_bytes;
        let write = match kind {
            Kind::Integers(layout) => layout.group_bytes(cols),
            Kind::Floats(_) => read,
        };
        let lay_out = |rows: [&[u8]; interleaved::ROWS], out: &mut [u8]| match kind {
            Kind::Integers(layout) => layout.lay_out(format, rows, out),
            Kind::Floats(_) => dense::lay_out(format, rows, out),
        };
        let zeros = try_vec(0u8, row_bytes, WHAT)?;
        let mut last = try_vec(0u8, if rows.is_multiple_of(interleaved::ROWS) { 0 } else { write }, WHAT)?;
        let group = |bytes: &[u8], first: usize, out: &mut [u8]| {
            let row = |row: usize| match order {
                _ if row >= rows => &zeros[..],
                Some(order) => &bytes[order(row) * row_bytes..][..row_bytes],
                None => &bytes[row * row_bytes..][..row_bytes],
            };
            lay_out(std::array::from_fn(|r| row(first + r)), out);
        };
        let count = rows / interleaved::ROWS;
        if !last.is_empty() {
            group(&bytes, count * interleaved::ROWS, &mut last);
        }
        if order.is_none() && read == write {
            // In place, so that no tensor is ever there twice.
            let parts = bytes[..count * read].chunks_mut((PART / read.max(1)).max(1) * read);
            parallel::try_for_each(parts, |part| {
                let mut out = try_vec(0u8, write, WHAT)?;
                for group in part.chunks_exact_mut(read) {
                    lay_out(std::array::from_fn(|r| &group[r * row_bytes..][..row_bytes]), &mut out);
                    group.copy_from_slice(&out);
                }
                Ok::<(), Error>(())
            })?;
            bytes.truncate(count * read);
            return Ok(Self::Groups { kind, group_bytes: write, whole: bytes, last });
        }
        let mut whole = try_vec(0u8, count * write, WHAT)?;
        let width = (PART / write.max(1)).max(1);
        parallel::for_each(whole.chunks_mut(width * write).enumerate(), |(part, out)| {
            for (i, out) in out.chunks_exact_mut(write).enumerate() {
                group(&bytes, (part * width + i) * interleaved::ROWS, out);
            }
        });
        Ok(Self::Groups { kind, group_bytes: write, whole, last })
    }

    /// The group that has a row.
    fn group(&self, row: usize) -> &[u8] {
        let group = row / interleaved::ROWS;
        self.groups(group..group + 1).next().map_or(&[], |(_, group)| group)
    }

    /// Groups that follow one another in memory, and the number of the first: the last group of all may lie apart.
    fn groups(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
        let (bytes, whole, last) = match self {
            Self::Groups { group_bytes, whole, last, .. } => (*group_bytes, &whole[..], &last[..]),
            Self::Rows(_) => (1, &[][..], &[][..]),
        };
        let count = whole.len() / bytes.max(1);
        let (start, end) = (range.start.min(count), range.end.min(count));
        let apart = (range.end > count).then_some((count, last));
        [(start, &whole[start * bytes..end * bytes])].into_iter().chain(apart).filter(|(_, groups)| !groups.is_empty())
    }
}

/// The transpose of a row-major `[rows, cols]` matrix of `size`-byte values, in place of which it is returned. GPT-2
/// stores its matrices input-major (Conv1D); everything here is output-major.
pub fn transpose(bytes: &[u8], rows: usize, cols: usize, size: usize) -> Result<Vec<u8>> {
    /// Edge of the square tiles that stay in cache while they are turned.
    const TILE: usize = 32;
    let mut out = try_vec(0u8, bytes.len(), "transposing a tensor")?;
    for r0 in (0..rows).step_by(TILE) {
        for c0 in (0..cols).step_by(TILE) {
            for r in r0..(r0 + TILE).min(rows) {
                for c in c0..(c0 + TILE).min(cols) {
                    let (from, to) = ((r * cols + c) * size, (c * rows + r) * size);
                    out[to..to + size].copy_from_slice(&bytes[from..from + size]);
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values;
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    #[test]
    fn products_are_those_of_the_decoded_weights_on_odd_sizes() {
        for (dtype, format) in [
            (GgmlDType::F32, Format::F32),
            (GgmlDType::F16, Format::F16),
            (GgmlDType::Q8_0, Format::Q8_0),
            (GgmlDType::Q4_0, Format::Q4_0),
            (GgmlDType::Q5_1, Format::Q5_1),
            (GgmlDType::Q6K, Format::Q6_K),
        ] {
            for (rows, blocks, n) in [(1, 1, 1), (3, 1, 2), (4, 2, 1), (7, 3, 5), (9, 1, 3)] {
                let cols = blocks * format.block_len().max(13);
                let dense = Tensor::from_vec(values(rows * cols, 3), (rows, cols), &Device::Cpu).unwrap();
                let packed = QTensor::quantize(&dense, dtype).unwrap();
                let matrix = Matrix::new("w", format, rows, cols, packed.data().unwrap().to_vec()).unwrap();
                let x = values(n * cols, 5);
                let found = matrix.matmul(&x).unwrap();
                let decoded = packed.dequantize(&Device::Cpu).unwrap();
                let x = Tensor::from_vec(x, (n, cols), &Device::Cpu).unwrap();
                let wanted: Vec<f32> =
                    x.matmul(&decoded.t().unwrap()).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                // Where activations are rounded, each product is off by half a step of 0.5 / 32767 times a weight below 0.5.
                let integers = Layout::of(format, &[]).is_some();
                let rounded = if integers { cols as f32 * 0.25 / 32767.0 / 2.0 } else { 0.0 };
                for (found, wanted) in found.iter().zip(&wanted) {
                    let off = (found - wanted).abs();
                    assert!(off < 1e-4 + rounded, "{format:?} {rows}x{cols}: {wanted}, found {found}");
                }
            }
        }
    }

    /// A row's result has the same bits whatever else is in the batch.
    #[test]
    fn the_batch_does_not_change_a_bit() {
        for (format, rows, cols, n) in [
            (Format::F32, 11, 37, 6),
            (Format::Q8_0, 11, 96, 6),
            (Format::Q8_0, 901, 256, 35),
            (Format::Q6_K, 5, 256, 9),
        ] {
            let mut bytes = vec![0; rows * format.row_bytes(cols).unwrap()];
            format.quantize(&values(rows * cols, 1), &mut bytes);
            let matrix = Matrix::new("w", format, rows, cols, bytes).unwrap();
            let x = values(n * cols, 2);
            let together = matrix.matmul(&x).unwrap();
            let apart: Vec<f32> = x.chunks(cols).flat_map(|x| matrix.matmul(x).unwrap()).collect();
            assert!(together == apart, "{format:?}");
        }
    }

    /// Rows that are laid out anew are found again, in the order of the file and in another.
    #[test]
    fn rows_are_those_of_the_file() {
        for format in [Format::Q8_0, Format::Q4_0, Format::Q6_K, Format::F16] {
            let (rows, cols) = (11, 256);
            let mut bytes = vec![0; rows * format.row_bytes(cols).unwrap()];
            format.quantize(&values(rows * cols, 4), &mut bytes);
            let mut wanted = vec![0f32; rows * cols];
            format.dequantize(&bytes, &mut wanted);
            let all = |matrix: &Matrix| matrix.to_tensor().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let turned: Order = &|row| rows - 1 - row;
            let matrix = Matrix::ordered("w", format, rows, cols, bytes.clone(), Some(turned)).unwrap();
            assert!(all(&matrix).chunks(cols).eq(wanted.chunks(cols).rev()), "{format:?}");
            assert_eq!(all(&Matrix::new("w", format, rows, cols, bytes).unwrap()), wanted, "{format:?}");
        }
    }

    #[test]
    fn a_transpose_turns_rows_into_columns() {
        let (rows, cols) = (35, 66);
        let bytes: Vec<u8> = (0..rows * cols).flat_map(|i| (i as u16).to_le_bytes()).collect();
        let turned = transpose(&bytes, rows, cols, 2).unwrap();
        for r in 0..rows {
            for c in 0..cols {
                let at = (c * rows + r) * 2;
                assert_eq!(u16::from_le_bytes([turned[at], turned[at + 1]]) as usize, r * cols + c);
            }
        }
    }
}
