//! The inner loops: quantization formats, matrix products and attention over the cache. Everything here works on plain
//! slices. Each output value is summed in one fixed order that depends neither on the number of rows in the batch nor
//! on the machine, so that a prompt read at once, in slices, or from a reused cache gives the same bits.
//! The matrix products of training alone ([`gemm`]) use what is fastest: there the order may depend on shapes and
//! processor.

pub mod attention;
pub mod format;
pub mod gemm;
pub mod matrix;
pub mod measure;
pub mod tracked;

mod activations;
mod dense;
mod exp;
mod float;
mod held;
mod interleaved;
mod lanes;
pub(crate) mod parallel;
#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub mod pool;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod raised;
mod reduce;
mod search;

pub use format::Format;
pub use held::{CacheType, Rows};
pub use matrix::{Matrix, Order, Rounded};
pub use reduce::max;

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
