//! A weight matrix kept in the format of its file, its rows, and its product with activations.

use super::{Format, dot_many};
use crate::error::{Error, Result, try_vec};

/// A row-major matrix of shape `[rows, cols]` in any [`Format`]. Rows are decoded one at a time while they are used;
/// there is never a second copy of the weights.
pub struct Matrix {
    format: Format,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    bytes: Vec<u8>,
}

/// How many weight rows are decoded and multiplied together.
const ROWS: usize = 4;

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
        Ok(Self { format, rows, cols, row_bytes, bytes })
    }

    /// The number format of the values.
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

    /// The size in memory.
    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn row_slice(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.row_bytes..(row + 1) * self.row_bytes]
    }

    /// The same matrix with its rows in another order: row `i` is `self`'s row `from(i)`.
    pub fn gather(mut self, from: impl Fn(usize) -> usize) -> Result<Self> {
        let mut bytes = try_vec(0u8, self.bytes.len(), "reordering a tensor")?;
        for (row, out) in bytes.chunks_exact_mut(self.row_bytes).enumerate() {
            out.copy_from_slice(self.row_slice(from(row)));
        }
        self.bytes = bytes;
        Ok(self)
    }

    /// Decodes one row into `out`, which holds `cols` values.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        self.format.dequantize(self.row_slice(row), out);
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
        let n = x.len() / self.cols.max(1);
        let mut out = try_vec(0f32, n * self.rows, "activations")?;
        let mut buffer = vec![0f32; ROWS * self.cols];
        let mut row = 0;
        while row + ROWS <= self.rows {
            let (b0, rest) = buffer.split_at_mut(self.cols);
            let (b1, rest) = rest.split_at_mut(self.cols);
            let (b2, b3) = rest.split_at_mut(self.cols);
            let w =
                [self.row_in(row, b0), self.row_in(row + 1, b1), self.row_in(row + 2, b2), self.row_in(row + 3, b3)];
            for (i, x) in x.chunks_exact(self.cols).enumerate() {
                out[i * self.rows + row..][..ROWS].copy_from_slice(&dot_many(w, x));
            }
            row += ROWS;
        }
        for row in row..self.rows {
            let w = self.row_in(row, &mut buffer[..self.cols]);
            for (i, x) in x.chunks_exact(self.cols).enumerate() {
                out[i * self.rows + row] = dot_many([w], x)[0];
            }
        }
        Ok(out)
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
