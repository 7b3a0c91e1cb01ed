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

/// Dot product of two slices of equal length, in one fixed order.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut total: f32 = sums.iter().sum();
    for (a, b) in a_rest.iter().zip(b_rest) {
        total += a * b;
    }
    total
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
