//! Matrix products for training, by the kernels of the `gemm` crate that candle uses too. The order in which a product is
//! summed depends on the shapes and the processor, not on the number of cores.

use crate::error::{Result, try_vec};

/// A matrix that lies in a slice, or the transpose of one.
#[derive(Clone, Copy)]
pub struct View<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
    /// How far apart values one below the other, and side by side, lie.
    strides: (usize, usize),
}

/// Where a product is computed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// On this thread, which works on one of many parts.
    One,
    /// On all there are.
    All,
}

impl<'a> View<'a> {
    /// The row-major matrix that `values` begins with.
    pub fn new(values: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(values, rows, cols, cols)
    }

    /// As [`Self::new`], with rows that begin `stride` values apart.
    pub fn strided(values: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let span = if rows == 0 || cols == 0 { 0 } else { (rows - 1).saturating_mul(stride).saturating_add(cols) };
        Self { values: &values[..span], rows, cols, strides: (stride, 1) }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        let Self { values, rows, cols, strides } = self;
        Self { values, rows: cols, cols: rows, strides: (strides.1, strides.0) }
    }
}

/// `out = a · b`, row-major; with `add`, `out += a · b`. `a` has as many columns as `b` has rows, and `out` the values of
/// the product at least.
pub fn multiply(a: View, b: View, out: &mut [f32], add: bool, cores: Cores) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "rows of the right matrix");
    let out = &mut out[..m.saturating_mul(n)];
    let alone = cores == Cores::One || cfg!(target_arch = "wasm32");
    let parallelism = if alone { ::gemm::Parallelism::None } else { ::gemm::Parallelism::Rayon(0) };
    let (down, across) = (|view: View| view.strides.0 as isize, |view: View| view.strides.1 as isize);
    // SAFETY: `View::strided` has cut `values` so that the last value of the matrix is the last of the slice, and `out`
    // has m rows of n values.
    unsafe {
        #[rustfmt::skip]
        ::gemm::gemm(
            m, n, k,
            out.as_mut_ptr(), 1, n as isize, add,
            a.values.as_ptr(), across(a), down(a),
            b.values.as_ptr(), across(b), down(b),
            1.0, 1.0, false, false, false, parallelism,
        );
    }
}

/// `a · bᵀ` for `a` of shape `[m, k]` and `b` of shape `[n, k]`.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn nt(a: &[f32], b: &[f32], m: usize, n: usize, k: usize) -> Result<Vec<f32>> {
    let mut out = try_vec(0f32, m * n, "a matrix product")?;
    multiply(View::new(a, m, k), View::new(b, n, k).t(), &mut out, false, Cores::All);
    Ok(out)
}

/// The transpose of a row-major `[rows, cols]` matrix.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn transposed(values: &[f32], rows: usize, cols: usize) -> Result<Vec<f32>> {
    /// Edge of the squares that stay in cache while they are turned.
    const EDGE: usize = 16;
    let mut out = try_vec(0f32, rows * cols, "transposing a matrix")?;
    for r0 in (0..rows).step_by(EDGE) {
        for c0 in (0..cols).step_by(EDGE) {
            for c in c0..(c0 + EDGE).min(cols) {
                for r in r0..(r0 + EDGE).min(rows) {
                    out[c * rows + r] = values[r * cols + c];
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

    fn wanted(a: &[f32], b: &[f32], m: usize, n: usize, k: usize) -> Vec<f32> {
        let mut out = vec![0f32; m * n];
        for i in 0..m {
            for j in 0..n {
                out[i * n + j] = (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j])).sum::<f64>() as f32;
            }
        }
        out
    }

    #[test]
    fn products_of_all_layouts_are_those_of_f64() {
        for (m, n, k) in [(1, 1, 1), (4, 3, 8), (5, 7, 9), (3, 100, 2), (13, 101, 33), (6, 5, 1100), (64, 200, 64)] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let (at, bt) = (transposed(&a, m, k).unwrap(), transposed(&b, k, n).unwrap());
            let wanted = wanted(&a, &b, m, n, k);
            for a in [View::new(&a, m, k), View::new(&at, k, m).t()] {
                for b in [View::new(&b, k, n), View::new(&bt, n, k).t()] {
                    for cores in [Cores::One, Cores::All] {
                        let mut out = vec![1f32; m * n];
                        multiply(a, b, &mut out, false, cores);
                        multiply(a, b, &mut out, true, cores);
                        for (found, wanted) in out.iter().zip(&wanted) {
                            let wanted = 2.0 * wanted;
                            assert!((found - wanted).abs() < 1e-4, "{m}x{k}x{n}: {wanted}, found {found}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rows_may_lie_apart() {
        let (a, b) = (values(5 * 11, 1), values(7 * 6, 2));
        let apart: Vec<f32> = a.chunks(11).flat_map(|row| &row[..7]).copied().collect();
        let mut out = vec![0f32; 5 * 6];
        multiply(View::strided(&a, 5, 7, 11), View::new(&b, 7, 6), &mut out, false, Cores::One);
        for (found, wanted) in out.iter().zip(wanted(&apart, &b, 5, 6, 7)) {
            assert!((found - wanted).abs() < 1e-5);
        }
    }

    /// One thread or several: the same bits.
    #[test]
    #[cfg(not(target_arch = "wasm32"))]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (m, n, k) = (513, 700, 300);
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        let product = |cores| {
            let mut out = vec![0f32; m * n];
            multiply(View::new(&a, m, k), View::new(&b, k, n), &mut out, false, cores);
            out
        };
        let one = product(Cores::One);
        for threads in [2, 3, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| product(Cores::All)) == one, "{threads} threads");
        }
    }
}
