//! The product for wasm, where the `gemm` crate knows neither fused multiply-add nor threads: blocks of the right operand
//! are packed into panels that stay in cache, and a tile of sums stays in registers while it runs down a panel
//! (Goto and van de Geijn 2008). What a value is summed of, and in which order, depends on the depth alone: parts of the
//! rows go to other threads without changing a bit.

use super::quad::Quad;
use super::{Cores, View};
use crate::kernels::parallel;
use std::cell::Cell;
use std::thread::LocalKey;

/// Columns of the tile of sums, and the quads they are.
const WIDTH: usize = 8;
const QUADS: usize = WIDTH / 4;
/// Rows of the tile. V8 has fifteen registers for its sums, for a row of the panel and for one value of the left operand;
/// where it multiplies and adds in two steps, fewer rows are faster.
const TALL: usize = if cfg!(target_feature = "relaxed-simd") { 6 } else { 4 };
/// Rows of both operands in a block: then a panel is a quarter of a first-level cache.
const DEPTH: usize = 256;
/// Columns of the right operand in a block, a multiple of a tile's: with [`DEPTH`], most of a second-level cache.
const COLUMNS: usize = 768;
/// The most rows of the left operand in a part.
const ROWS: usize = 96;
/// Products of two values that make a part worth handing to another core.
const PRODUCTS: usize = 1 << 17;
/// Parts that keep all cores busy to the end, where there are rows enough.
const PARTS: usize = 16;

thread_local! {
    // Kept from product to product: in wasm, fresh memory is dear.
    static LEFT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static RIGHT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// See [`super::multiply`].
pub fn multiply(a: View, b: View, out: &mut [f32], add: bool, cores: Cores) {
    multiply_by::<TALL>(a, b, out, add, cores);
}

/// With a tile of so many rows.
fn multiply_by<const R: usize>(a: View, b: View, out: &mut [f32], add: bool, cores: Cores) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    if k == 0 && !add {
        out.fill(0.0);
    }
    if n == 0 {
        return;
    }
    for column in (0..n).step_by(COLUMNS) {
        let columns = COLUMNS.min(n - column);
        for start in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - start);
            let add = add || start > 0;
            let b = b.block(start, depth, column, columns);
            let size = columns.next_multiple_of(WIDTH) * depth;
            borrow(&RIGHT, size, |panels| {
                let together = WIDTH * (parallel::PART / (WIDTH * depth)).max(1);
                let parts = panels.chunks_mut(together * depth).zip((0..).step_by(together));
                each(cores, parts, |(panels, column)| {
                    pack::<WIDTH>(b.block(0, depth, column, together.min(columns - column)), panels);
                });
                let rows = match cores {
                    Cores::One => ROWS,
                    Cores::All => (m / PARTS).max(PRODUCTS / (columns * depth)).clamp(1, ROWS),
                };
                let rows = rows.next_multiple_of(R);
                let parts = out.chunks_mut(rows * n).zip((0..).step_by(rows));
                each(cores, parts, |(out, row)| {
                    let a = a.block(row, out.len() / n, start, depth);
                    rows_by_panels::<R>(a, panels, &mut out[column..], n, columns, add);
                });
            });
        }
    }
}

/// `out = a · b` or `out += a · b` for a few rows: `a` is `[rows, depth]`, `b` the panels of a matrix of so many columns,
/// and rows of `out` lie `stride` values apart.
fn rows_by_panels<const R: usize>(a: View, panels: &[f32], out: &mut [f32], stride: usize, columns: usize, add: bool) {
    let (rows, depth) = (a.rows, a.cols);
    let size = if a.strides.1 == 1 { 0 } else { rows.next_multiple_of(R) * depth };
    borrow(&LEFT, size, |packed| {
        // Rows whose values lie side by side are read where they are.
        if size > 0 {
            pack::<R>(a.t(), packed);
        }
        for (panel, column) in panels.chunks_exact(WIDTH * depth).zip((0..).step_by(WIDTH)) {
            let width = WIDTH.min(columns - column);
            for row in (0..rows).step_by(R) {
                let tile = match size {
                    0 => a.block(row, R.min(rows - row), 0, depth),
                    _ => View { values: &packed[row * depth..][..R * depth], rows: R, cols: depth, strides: (1, R) },
                };
                let sums = tile_by_panel::<R>(tile, panel);
                for r in 0..R {
                    if r < rows - row {
                        write(&sums[r], &mut out[(row + r) * stride + column..][..width], add);
                    }
                }
            }
        }
    });
}

/// The sums of a tile: up to `R` rows of `a` by a panel, `[a.cols, WIDTH]`. A row that `a` lacks is its last once more.
#[inline(always)]
fn tile_by_panel<const R: usize>(a: View, panel: &[f32]) -> [[Quad; QUADS]; R] {
    let View { values, rows, cols, strides: (down, across) } = a;
    assert!(panel.len() == cols * WIDTH && values.len() > (rows - 1) * down + (cols - 1) * across);
    let starts: [*const u8; R] = std::array::from_fn(|r| values[down * r.min(rows - 1)..].as_ptr().cast());
    // LLVM rewrites addresses that a loop counts up such that V8 computes each anew and runs out of registers. Those
    // that pass through this mask it leaves alone.
    let mask = std::hint::black_box(usize::MAX);
    let (step, end) = (size_of::<f32>() * across, size_of::<f32>() * across * cols);
    let (mut at, mut quads) = (0, panel.as_ptr() as usize);
    let mut sums = [[Quad::zero(); QUADS]; R];
    while at != end {
        // SAFETY: there are `cols` steps; `panel` has WIDTH values for each, and each row of `a` the value at `at`, as
        // asserted.
        let right: [Quad; QUADS] = std::array::from_fn(|q| Quad::of(unsafe { &*(quads as *const [f32; 4]).add(q) }));
        for r in 0..R {
            // SAFETY: as above.
            let left = unsafe { Quad::repeat(starts[r].add(at).cast()) };
            for q in 0..QUADS {
                sums[r][q] = sums[r][q].plus_product(left, right[q]);
            }
        }
        at += step;
        quads = (quads + size_of::<[Quad; QUADS]>()) & mask;
    }
    sums
}

/// Writes or adds the values of the quads, as many as `out` has.
#[inline(always)]
fn write(sums: &[Quad; QUADS], out: &mut [f32], add: bool) {
    if out.len() == WIDTH {
        let (out, _) = out.as_chunks_mut();
        for q in 0..QUADS {
            if add { Quad::of(&out[q]).plus(sums[q]) } else { sums[q] }.store(&mut out[q]);
        }
    } else {
        let mut values = [[0.0; 4]; QUADS];
        for q in 0..QUADS {
            sums[q].store(&mut values[q]);
        }
        for (out, value) in out.iter_mut().zip(values.as_flattened()) {
            *out = if add { *out + value } else { *value };
        }
    }
}

/// `b` (`[depth, columns]`) as panels of `W` columns each, `[depth, W]`; the last is filled up with zeros.
fn pack<const W: usize>(b: View, panels: &mut [f32]) {
    let (depth, (down, across)) = (b.rows, b.strides);
    for (panel, column) in panels.chunks_exact_mut(W * depth).zip((0..).step_by(W)) {
        let width = W.min(b.cols - column);
        let values = &b.values[column * across..];
        let (panel, _) = panel.as_chunks_mut::<W>();
        if across == 1 && width == W {
            for (row, l) in panel.iter_mut().zip(0..) {
                row.copy_from_slice(&values[l * down..][..W]);
            }
            continue;
        }
        if width < W {
            panel.as_flattened_mut().fill(0.0);
        }
        // Squares of four by four where whole rows lie across, else one value after the other.
        let (squares, deep) = if down == 1 { (width / 4, depth / 4) } else { (0, 0) };
        for l in (0..4 * deep).step_by(4) {
            for c in (0..4 * squares).step_by(4) {
                let rows = std::array::from_fn(|i| quad(&values[(c + i) * across + l..]));
                for (i, column) in Quad::transposed(rows).into_iter().enumerate() {
                    let mut values = [0.0; 4];
                    column.store(&mut values);
                    panel[l + i][c..c + 4].copy_from_slice(&values);
                }
            }
        }
        for (l, row) in panel.iter_mut().enumerate() {
            let done = if l < 4 * deep { 4 * squares } else { 0 };
            for c in done..width {
                row[c] = values[l * down + c * across];
            }
        }
    }
}

/// The first four values.
#[inline(always)]
fn quad(values: &[f32]) -> Quad {
    let mut quad = [0.0; 4];
    quad.copy_from_slice(&values[..4]);
    Quad::of(&quad)
}

/// Does `work` on every part, on the cores given.
fn each<P: Send>(cores: Cores, parts: impl Iterator<Item = P>, work: impl Fn(P) + Send + Sync) {
    match cores {
        Cores::One => parts.for_each(work),
        Cores::All => parallel::for_each(parts, work),
    }
}

/// Lends so many values, of whatever was there, that this thread keeps.
fn borrow(kept: &'static LocalKey<Cell<Vec<f32>>>, len: usize, work: impl FnOnce(&mut [f32])) {
    let mut values = kept.take();
    if values.len() < len {
        values.resize(len, 0.0);
    }
    work(&mut values[..len]);
    kept.set(values);
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub type Multiply = fn(View, View, &mut [f32], bool, Cores);

    /// With every tile there is.
    pub const TILES: [Multiply; 3] = [multiply, multiply_by::<6>, multiply_by::<4>];
}
