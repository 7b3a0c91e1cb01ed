//! The inner loops: quantization formats, matrix products and attention over the cache. Everything here works on plain
//! slices. Each output value is summed in one fixed order that depends neither on the number of rows in the batch nor
//! on the machine, so that a prompt read at once, in slices, or from a reused cache gives the same bits.

pub mod attention;
pub mod format;
pub mod matrix;

mod float;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;

pub use format::Format;
pub use matrix::Matrix;

/// How many partial sums a dot product keeps; a multiple of every SIMD width in use.
const LANES: usize = 8;

/// Dot product of two slices of equal length, in the fixed order of this module.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let [sum] = dot_many([a], b);
    sum
}

/// Dot products of several vectors with one, all of the same length: the loads of `b` are shared.
#[inline]
pub(crate) fn dot_many<const N: usize>(a: [&[f32]; N], b: &[f32]) -> [f32; N] {
    let len = b.len();
    let a = a.map(|row| &row[..len]);
    let mut sums = [[0f32; LANES]; N];
    let whole = len - len % LANES;
    let mut i = 0;
    while i < whole {
        let y: &[f32] = &b[i..i + LANES];
        for (sum, row) in sums.iter_mut().zip(&a) {
            let x = &row[i..i + LANES];
            for lane in 0..LANES {
                sum[lane] += x[lane] * y[lane];
            }
        }
        i += LANES;
    }
    let mut out = [0f32; N];
    for ((out, sum), row) in out.iter_mut().zip(&sums).zip(&a) {
        let mut total = 0f32;
        for lane in sum {
            total += lane;
        }
        for (x, y) in row[whole..].iter().zip(&b[whole..]) {
            total += x * y;
        }
        *out = total;
    }
    out
}

/// For tests: values that look like weights, the same every time.
#[cfg(test)]
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2654435761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}
