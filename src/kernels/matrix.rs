//! A weight matrix kept in the format of its file, its rows, and its product with activations.

use super::activations::Activations;
use super::interleaved;
use super::{Format, parallel};
use crate::error::{Error, Result, try_vec};
use candle_core::{Device, Tensor};

/// A row-major matrix of shape `[rows, cols]` in any [`Format`]. There is never a second copy of the weights: they are
/// multiplied as integers, [laid out](interleaved) for it in place, or rows are decoded while they are used.
#[derive(PartialEq)]
pub struct Matrix {
    format: Format,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    bytes: Vec<u8>,
    /// How many rows, from the first, are interleaved.
    interleaved: usize,
}

/// Weight rows decoded and multiplied together.
const ROWS: usize = 8;
/// Weight rows and activation rows of the tile that a batch is multiplied by: as many sums as registers hold.
const TILE: (usize, usize) = (4, 3);

impl Matrix {
    /// Wraps the little-endian bytes of a tensor.
    ///
    /// # Errors
    /// [`Error::BadTensor`] when a row is not a whole number of blocks or `bytes` is not `rows` rows long.
    pub fn new(name: &str, format: Format, rows: usize, cols: usize, bytes: Vec<u8>) -> Result<Self> {
        let bad = |expected: String, found: String| Error::BadTensor { name: name.to_string(), expected, found };
        let row_bytes = format.row_bytes(cols).ok_or_else(|| {
            bad(format!("rows of a multiple of {} values for {}", format.block_len(), format.name()), format!("{cols}"))
        })?;
        if row_bytes.checked_mul(rows) != Some(bytes.len()) {
            return Err(bad(format!("{rows} rows of {row_bytes} bytes"), format!("{} bytes", bytes.len())));
        }
        Self::laid_out(Self { format, rows, cols, row_bytes, bytes, interleaved: 0 })
    }

    /// Lays out the rows, which are as the file has them, for the kernel that will multiply them.
    fn laid_out(mut self) -> Result<Self> {
        self.interleaved = 0;
        if self.is_integer() {
            let whole = self.rows - self.rows % interleaved::ROWS;
            interleaved::interleave(&mut self.bytes[..whole * self.row_bytes], self.row_bytes)?;
            self.interleaved = whole;
        }
        Ok(self)
    }

    /// Whether products are computed with integers.
    fn is_integer(&self) -> bool {
        self.format == Format::Q8_0 && self.cols > 0
    }

    /// The number of rows: outputs of a linear layer, or entries of an embedding.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of values in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// A row as the file has it, which one that is interleaved is not.
    fn row_slice(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.row_bytes..(row + 1) * self.row_bytes]
    }

    /// The interleaved rows that begin with `first`.
    fn group(&self, first: usize) -> &[u8] {
        &self.bytes[first * self.row_bytes..(first + interleaved::ROWS) * self.row_bytes]
    }

    /// Copies the bytes of a row as the file has them.
    fn copy_row(&self, row: usize, out: &mut [u8]) {
        if row < self.interleaved {
            let r = row % interleaved::ROWS;
            interleaved::row(self.group(row - r), r, out);
        } else {
            out.copy_from_slice(self.row_slice(row));
        }
    }

    /// The same matrix with its rows in another order: row `i` is `self`'s row `from(i)`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the rows cannot be had twice.
    pub fn gather(self, from: impl Fn(usize) -> usize) -> Result<Self> {
        let mut bytes = try_vec(0u8, self.bytes.len(), "reordering a tensor")?;
        for (row, out) in bytes.chunks_exact_mut(self.row_bytes).enumerate() {
            self.copy_row(from(row), out);
        }
        Self::laid_out(Self { bytes, ..self })
    }

    /// Decodes one row into `out`, which holds `cols` values.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when its bytes cannot be had twice.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        if row >= self.interleaved {
            self.format.dequantize(self.row_slice(row), out);
            return Ok(());
        }
        let mut bytes = try_vec(0u8, self.row_bytes, "a row of weights")?;
        self.copy_row(row, &mut bytes);
        self.format.dequantize(&bytes, out);
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

    /// One row as f32, in place where it is stored so, else decoded into `buffer`.
    #[inline]
    fn row_in<'a>(&'a self, row: usize, buffer: &'a mut [f32]) -> &'a [f32] {
        let bytes = self.row_slice(row);
        // Only an allocator that does not align large blocks to four bytes makes the cast fail.
        if self.format == Format::F32
            && let Ok(values) = bytemuck::try_cast_slice(bytes)
        {
            return values;
        }
        self.format.dequantize(bytes, buffer);
        buffer
    }

    /// `x · selfᵀ`: `x` is `[n, cols]`, the result `[n, rows]`, both row-major.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the result cannot be had.
    pub fn matmul(&self, x: &[f32]) -> Result<Vec<f32>> {
        if self.is_integer() {
            return self.matmul_integers(x);
        }
        let n = x.len() / self.cols.max(1);
        let mut out = try_vec(0f32, n * self.rows, "activations")?;
        let mut buffer = try_vec(0f32, ROWS * self.cols, "decoding weights")?;
        for first in (0..self.rows).step_by(ROWS) {
            let mut buffers = buffer.chunks_exact_mut(self.cols);
            if first + ROWS > self.rows {
                for (row, buffer) in (first..self.rows).zip(buffers) {
                    self.multiply([self.row_in(row, buffer)], x, row, &mut out);
                }
                break;
            }
            let mut next = |j| buffers.next().map_or(&[][..], |buffer| self.row_in(first + j, buffer));
            let w: [&[f32]; ROWS] = std::array::from_fn(&mut next);
            let batched = n - n % TILE.1;
            let (many, few) = x.split_at(batched * self.cols);
            for (half, row) in w.as_chunks::<{ TILE.0 }>().0.iter().zip((first..).step_by(TILE.0)) {
                for (xs, i) in many.chunks_exact(TILE.1 * self.cols).zip((0..).step_by(TILE.1)) {
                    let xs: [&[f32]; TILE.1] = std::array::from_fn(|a| &xs[a * self.cols..(a + 1) * self.cols]);
                    self.store(tile(*half, xs), i, row, &mut out);
                }
            }
            self.multiply(w, few, first, &mut out[batched * self.rows..]);
        }
        Ok(out)
    }

    /// [`Self::matmul`] with both sides as integers.
    fn matmul_integers(&self, x: &[f32]) -> Result<Vec<f32>> {
        /// Bytes of weights that stay in cache while a batch passes over them, and make a part for one thread.
        const PART: usize = 1 << 16;
        /// Rows of activations that stay in cache beside them.
        const BATCH: usize = 32;
        let x = Activations::new(x, self.cols)?;
        let mut out = try_vec(0f32, x.rows() * self.rows, "activations")?;
        let shared = parallel::Shared::new(&mut out);
        let width = (PART / self.row_bytes / interleaved::ROWS).max(1) * interleaved::ROWS;
        // Below that, waking another thread takes longer than the work.
        let width = if self.bytes.len() * x.rows() < 2 * PART { self.rows.max(1) } else { width };
        parallel::for_each((0..self.rows).step_by(width), |first| {
            let end = (first + width).min(self.rows);
            for batch in (0..x.rows()).step_by(BATCH) {
                let batch = batch..(batch + BATCH).min(x.rows());
                for row in (first..end.min(self.interleaved)).step_by(interleaved::ROWS) {
                    interleaved::multiply(self.group(row), &x, batch.clone(), |i, sums| {
                        // SAFETY: no other part has rows `first..end`.
                        unsafe { shared.write(i * self.rows + row, &sums) }
                    });
                }
                for row in first.max(self.interleaved)..end {
                    for i in batch.clone() {
                        // SAFETY: as above.
                        unsafe { shared.write(i * self.rows + row, &[interleaved::dot(self.row_slice(row), x.row(i))]) }
                    }
                }
            }
        });
        Ok(out)
    }

    /// Multiplies some weight rows, the first of which is `row`, with every activation row of `x`.
    #[inline]
    fn multiply<const R: usize>(&self, w: [&[f32]; R], x: &[f32], row: usize, out: &mut [f32]) {
        for (i, x) in x.chunks_exact(self.cols).enumerate() {
            self.store(tile(w, [x]), i, row, out);
        }
    }

    /// One by one: copied as a whole, the sums would be built in memory and the loop be several times slower.
    #[inline(always)]
    fn store<const R: usize, const A: usize>(&self, sums: [[f32; A]; R], i: usize, row: usize, out: &mut [f32]) {
        for (r, sums) in sums.iter().enumerate() {
            for (a, sum) in sums.iter().enumerate() {
                out[(i + a) * self.rows + row + r] = *sum;
            }
        }
    }
}

/// Partial sums each dot product keeps: the width of one SIMD register, so that a tile's sums all stay in registers.
const LANES: usize = 4;

/// Dot products of `R` weight rows with `A` activation rows, all of the same length. The order in which a product is
/// summed does not depend on `R` and `A`.
#[inline(always)]
fn tile<const R: usize, const A: usize>(w: [&[f32]; R], x: [&[f32]; A]) -> [[f32; A]; R] {
    let len = x.first().map_or(0, |x| x.len());
    let (w, x) = (w.map(|row| &row[..len]), x.map(|row| &row[..len]));
    let mut sums = [[[0f32; LANES]; A]; R];
    let whole = len - len % LANES;
    for i in (0..whole).step_by(LANES) {
        let x: [[f32; LANES]; A] = std::array::from_fn(|a| std::array::from_fn(|lane| x[a][i + lane]));
        for r in 0..R {
            let w: [f32; LANES] = std::array::from_fn(|lane| w[r][i + lane]);
            for a in 0..A {
                for lane in 0..LANES {
                    sums[r][a][lane] += w[lane] * x[a][lane];
                }
            }
        }
    }
    std::array::from_fn(|r| {
        std::array::from_fn(|a| {
            let mut total = 0f32;
            for sum in sums[r][a] {
                total += sum;
            }
            for j in whole..len {
                total += w[r][j] * x[a][j];
            }
            total
        })
    })
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
                let rounded = if matrix.is_integer() { cols as f32 * 0.25 / 32767.0 / 2.0 } else { 0.0 };
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
        for (format, rows, cols, n) in
            [(Format::F32, 11, 37, 6), (Format::Q8_0, 11, 96, 6), (Format::Q8_0, 901, 256, 35)]
        {
            let mut bytes = vec![0; rows * format.row_bytes(cols).unwrap()];
            format.quantize(&values(rows * cols, 1), &mut bytes);
            let matrix = Matrix::new("w", format, rows, cols, bytes).unwrap();
            let x = values(n * cols, 2);
            let together = matrix.matmul(&x).unwrap();
            let apart: Vec<f32> = x.chunks(cols).flat_map(|x| matrix.matmul(x).unwrap()).collect();
            assert!(together == apart, "{format:?}");
        }
    }

    /// Interleaved rows are found again, decoded and in another order.
    #[test]
    fn rows_are_those_of_the_file() {
        for format in [Format::Q8_0, Format::Q4_0] {
            let (rows, cols) = (11, 64);
            let mut bytes = vec![0; rows * format.row_bytes(cols).unwrap()];
            format.quantize(&values(rows * cols, 4), &mut bytes);
            let mut wanted = vec![0f32; rows * cols];
            format.dequantize(&bytes, &mut wanted);
            let matrix = Matrix::new("w", format, rows, cols, bytes).unwrap();
            let all = |matrix: &Matrix| matrix.to_tensor().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(all(&matrix), wanted);
            let turned = matrix.gather(|row| rows - 1 - row).unwrap();
            assert!(all(&turned).chunks(cols).eq(wanted.chunks(cols).rev()));
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
