//! Matrix products for training and for the attention of many positions: natively by the kernels of the `gemm` crate
//! that candle uses too, in wasm by [`blocked`]. The order in which a product is summed depends on the shapes, the build
//! and the processor, not on the number of cores.

#[cfg(any(test, target_arch = "wasm32"))]
mod blocked;
#[cfg(any(test, target_arch = "wasm32"))]
mod quad;

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

    /// A row, whose values lie side by side.
    pub fn row(self, row: usize) -> &'a [f32] {
        debug_assert_eq!(self.strides.1, 1, "values side by side");
        &self.values[row * self.strides.0..][..self.cols]
    }

    /// The transpose.
    pub fn t(self) -> Self {
        let Self { values, rows, cols, strides } = self;
        Self { values, rows: cols, cols: rows, strides: (strides.1, strides.0) }
    }

    /// A part of at least one row and column.
    pub fn block(self, row: usize, rows: usize, col: usize, cols: usize) -> Self {
        let Self { values, strides: (down, across), .. } = self;
        let values = &values[row * down + col * across..][..(rows - 1) * down + (cols - 1) * across + 1];
        Self { values, rows, cols, strides: (down, across) }
    }
}

/// `out = a · b`, row-major; with `add`, `out += a · b`. `a` has as many columns as `b` has rows, and `out` the values of
/// the product at least.
pub fn multiply(a: View, b: View, out: &mut [f32], add: bool, cores: Cores) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "rows of the right matrix");
    let out = &mut out[..m.saturating_mul(n)];
    #[cfg(target_arch = "wasm32")]
    blocked::multiply(a, b, out, add, cores);
    #[cfg(not(target_arch = "wasm32"))]
    crates(a, b, out, add, cores);
}

/// The product by the `gemm` crate; `out` has the values of the product exactly. Large ones are shared out by rows: the
/// crate's own way to use several cores costs more than it gives at the sizes of small models.
#[cfg(not(target_arch = "wasm32"))]
fn crates(a: View, b: View, out: &mut [f32], add: bool, cores: Cores) {
    /// Parts, and the multiplications below which there is only one.
    const SHARED: (usize, usize) = (4, 1 << 18);
    let (m, n, k) = (a.rows, b.cols, a.cols);
    if cores == Cores::One || m.saturating_mul(n).saturating_mul(k) < SHARED.1 {
        return on_one(a, b, out, add);
    }
    let rows = m.div_ceil(SHARED.0);
    super::parallel::for_each(out.chunks_mut(rows * n).zip((0..m).step_by(rows)), |(out, first)| {
        on_one(a.block(first, rows.min(m - first), 0, k), b, out, add);
    });
}

#[cfg(not(target_arch = "wasm32"))]
fn on_one(a: View, b: View, out: &mut [f32], add: bool) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let (down, across) = (|view: View| view.strides.0 as isize, |view: View| view.strides.1 as isize);
    // SAFETY: a `View` ends with the last value of its matrix, and `out` has m rows of n values.
    unsafe {
        #[rustfmt::skip]
        ::gemm::gemm(
            m, n, k,
            out.as_mut_ptr(), 1, n as isize, add,
            a.values.as_ptr(), across(a), down(a),
            b.values.as_ptr(), across(b), down(b),
            1.0, 1.0, false, false, false, ::gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::blocked::tests::{Multiply, TILES};
    use super::*;
    use crate::kernels::values;

    /// The product as it is used here, and as it is in wasm.
    fn products() -> impl Iterator<Item = Multiply> {
        [multiply as Multiply].into_iter().chain(TILES)
    }

    fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        (0..rows * cols).map(|i| values[i % rows * cols + i / rows]).collect()
    }

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
        for (m, n, k) in [
            (1, 1, 1),
            (4, 3, 8),
            (5, 7, 9),
            (3, 100, 2),
            (13, 101, 33),
            (6, 5, 1100),
            (64, 200, 64),
            (50, 1540, 20),
            (3, 4, 0),
        ] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let (at, bt) = (transposed(&a, m, k), transposed(&b, k, n));
            let wanted = wanted(&a, &b, m, n, k);
            for a in [View::new(&a, m, k), View::new(&at, k, m).t()] {
                for b in [View::new(&b, k, n), View::new(&bt, n, k).t()] {
                    let cores = [Cores::One, Cores::All];
                    for (multiply, cores) in products().flat_map(|product| cores.map(|cores| (product, cores))) {
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
        for multiply in products() {
            let mut out = vec![0f32; 5 * 6];
            multiply(View::strided(&a, 5, 7, 11), View::new(&b, 7, 6), &mut out, false, Cores::One);
            for (found, wanted) in out.iter().zip(wanted(&apart, &b, 5, 6, 7)) {
                assert!((found - wanted).abs() < 1e-5);
            }
        }
    }

    /// One thread or several: the same bits.
    #[test]
    #[cfg(not(target_arch = "wasm32"))]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (m, n, k) = (513, 700, 300);
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        for multiply in products() {
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
}
