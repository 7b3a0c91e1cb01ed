//! Causal attention of new positions over a cache of keys and values.

use crate::error::{Result, try_vec};
use candle_core::Tensor;
use candle_transformers::utils::repeat_kv;

/// The shape of one attention call.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; divides `query` (grouped-query attention shares each among several query heads).
    pub key_value: usize,
    /// Width of one head.
    pub dim: usize,
    /// Factor on the scores before the softmax.
    pub scale: f32,
}

/// Softmax(scale · q kᵀ) v for `n` new positions, the first of which is position `past`.
///
/// `q` is `[n, query · dim]`; `k` and `v` are `[past + n, key_value · dim]` and already hold the new positions; the result
/// is `[n, query · dim]`. Position `i` sees `0..=past + i`. The candle twin is [`plain`].
pub fn attention(heads: Heads, q: &[f32], k: &[f32], v: &[f32], past: usize) -> Result<Vec<f32>> {
    let Heads { query, key_value, dim, scale } = heads;
    let (q_width, kv_width) = (query * dim, key_value * dim);
    let n = q.len() / q_width;
    let mut out = try_vec(0f32, q.len(), "attention")?;
    let mut scores = try_vec(0f32, past + n, "attention")?;
    for i in 0..n {
        let seen = past + i + 1;
        for head in 0..query {
            let kv_at = head / (query / key_value) * dim;
            let q = &q[i * q_width + head * dim..][..dim];
            let scores = &mut scores[..seen];
            for (t, score) in scores.iter_mut().enumerate() {
                *score = dot(q, &k[t * kv_width + kv_at..][..dim]) * scale;
            }
            softmax(scores);
            let out = &mut out[i * q_width + head * dim..][..dim];
            for (t, &weight) in scores.iter().enumerate() {
                let v = &v[t * kv_width + kv_at..][..dim];
                for (out, v) in out.iter_mut().zip(v) {
                    *out += weight * v;
                }
            }
        }
    }
    Ok(out)
}

/// How many partial sums a dot product keeps; a multiple of every SIMD width in use.
const LANES: usize = 8;

/// Dot product of two slices of equal length, in one fixed order.
#[inline]
fn dot(a: &[f32], b: &[f32]) -> f32 {
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

/// Softmax in place. `libm` rather than the system's `exp`, so that every platform gets the same bits.
pub fn softmax(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0f32; LANES];
    for chunk in x.chunks_mut(LANES) {
        for (value, sum) in chunk.iter_mut().zip(&mut sums) {
            *value = libm::expf(*value - max);
            *sum += *value;
        }
    }
    let sum: f32 = sums.iter().sum();
    for value in x {
        *value /= sum;
    }
}

/// The twin of [`attention`] in plain tensor operations: differentiable, and the reference of the tests.
///
/// Shapes as there, for one sequence: `q` `[n, query · dim]`, `k` and `v` `[past + n, key_value · dim]`.
pub fn plain(heads: Heads, q: &Tensor, k: &Tensor, v: &Tensor, past: usize) -> Result<Tensor> {
    let Heads { query, key_value, dim, scale } = heads;
    let (n, total) = (q.dim(0)?, k.dim(0)?);
    let split = |x: &Tensor, heads: usize| x.reshape((1, (), heads, dim))?.transpose(1, 2)?.contiguous();
    let shared = query / key_value;
    let q = split(q, query)?;
    let k = repeat_kv(split(k, key_value)?, shared)?;
    let v = repeat_kv(split(v, key_value)?, shared)?;
    let mask: Vec<f32> =
        (0..n).flat_map(|i| (0..total).map(move |t| if t <= past + i { 0. } else { f32::NEG_INFINITY })).collect();
    let mask = Tensor::from_vec(mask, (n, total), q.device())?;
    let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * f64::from(scale))?.broadcast_add(&mask)?;
    let weights = candle_nn::ops::softmax(&scores, candle_core::D::Minus1)?;
    Ok(weights.matmul(&v)?.transpose(1, 2)?.reshape((n, query * dim))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values;
    use candle_core::Device;

    #[test]
    fn attention_is_its_plain_twin() {
        for (query, key_value, dim, past, n) in [(1, 1, 4, 0, 1), (4, 2, 6, 3, 5), (6, 1, 10, 9, 1), (3, 3, 2, 0, 7)] {
            let heads = Heads { query, key_value, dim, scale: 0.7 };
            let q = values(n * query * dim, 1);
            let k = values((past + n) * key_value * dim, 2);
            let v = values((past + n) * key_value * dim, 3);
            let found = attention(heads, &q, &k, &v, past).unwrap();
            let tensor = |x: Vec<f32>, rows: usize| {
                let width = x.len() / rows;
                Tensor::from_vec(x, (rows, width), &Device::Cpu).unwrap()
            };
            let twin = plain(heads, &tensor(q, n), &tensor(k, past + n), &tensor(v, past + n), past).unwrap();
            let wanted: Vec<f32> = twin.flatten_all().unwrap().to_vec1().unwrap();
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() < 1e-5, "{heads:?}: expected {wanted}, found {found}");
            }
        }
    }
}
