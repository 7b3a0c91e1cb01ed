//! Causal attention of new positions over a cache of keys and values.

use super::exp::exp;
use super::parallel::{self, Shared};
use super::reduce::max;
use crate::error::{Error, Result, try_vec};
use candle_core::Tensor;
use candle_transformers::utils::repeat_kv;
use std::ops::Range;

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

/// What one key-value head of a layer has seen: keys and values `[positions, dim]`.
#[derive(Clone, Default)]
pub struct Held {
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

/// Softmax(scale · q kᵀ) v for `n` new positions, the first of which is position `past`.
///
/// `q` is `[n, query · dim]`; `held` has the key-value heads with `past + n` positions, the new ones among them; the
/// result is `[n, query · dim]`. Position `i` sees `0..=past + i`. The candle twin is [`plain`].
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn attention(heads: Heads, q: &[f32], held: &[Held], past: usize) -> Result<Vec<f32>> {
    /// Values read below which waking another thread takes longer than the work.
    const ALONE: usize = 1 << 15;
    /// Positions of one part: they read the same keys and values.
    const POSITIONS: usize = 16;
    let Heads { query, key_value, dim, scale } = heads;
    let (q_width, shared) = (query * dim, query / key_value);
    let n = q.len() / q_width;
    let mut out = try_vec(0f32, q.len(), "attention")?;
    let place = Shared::new(&mut out);
    let part = |head: usize, positions: Range<usize>| {
        let Held { keys, values } = &held[head / shared];
        let mut scores = try_vec(0f32, past + n, "attention")?;
        let mut sums = try_vec(0f32, dim, "attention")?;
        for i in positions {
            let (at, seen) = (i * q_width + head * dim, past + i + 1);
            let scores = &mut scores[..seen];
            dots(&q[at..at + dim], &keys[..seen * dim], scale, scores);
            softmax(scores);
            weighted_sum(scores, &values[..seen * dim], &mut sums);
            // SAFETY: no other part has this head of this position.
            unsafe { place.write(at, &sums) }
        }
        Ok::<(), Error>(())
    };
    if n * (past + n) * q_width < ALONE {
        (0..query).try_for_each(|head| part(head, 0..n))?;
    } else {
        let parts = (0..n).step_by(POSITIONS).flat_map(|first| (0..query).map(move |head| (head, first)));
        parallel::try_for_each(parts, |(head, first)| part(head, first..(first + POSITIONS).min(n)))?;
    }
    Ok(out)
}

/// How many partial sums a dot product keeps; a multiple of every SIMD width in use.
const LANES: usize = 8;

/// Dot products of `q` with each row of `keys`, times `scale`.
#[inline]
fn dots(q: &[f32], keys: &[f32], scale: f32, out: &mut [f32]) {
    for (key, out) in keys.chunks_exact(q.len()).zip(out) {
        *out = dot(q, key) * scale;
    }
}

/// Dot product of two slices of equal length, in one fixed order.
#[inline(always)]
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

/// The rows of `values`, each times its weight, added up in their order.
#[inline]
fn weighted_sum(weights: &[f32], values: &[f32], out: &mut [f32]) {
    /// Columns whose sums stay in registers.
    const COLUMNS: usize = 32;
    let dim = out.len();
    let mut first = 0;
    while first + COLUMNS <= dim {
        let mut sums = [0f32; COLUMNS];
        for (weight, row) in weights.iter().zip(values.chunks_exact(dim)) {
            let row = &row[first..first + COLUMNS];
            for i in 0..COLUMNS {
                sums[i] += weight * row[i];
            }
        }
        out[first..first + COLUMNS].copy_from_slice(&sums);
        first += COLUMNS;
    }
    out[first..].fill(0.0);
    for (weight, row) in weights.iter().zip(values.chunks_exact(dim)) {
        for (sum, value) in out[first..].iter_mut().zip(&row[first..]) {
            *sum += weight * value;
        }
    }
}

/// Softmax in place.
pub fn softmax(x: &mut [f32]) {
    let most = max(x);
    let mut sums = [0f32; LANES];
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - most);
            sums[lane] += chunk[lane];
        }
    }
    for (value, sum) in rest.iter_mut().zip(&mut sums) {
        *value = exp(*value - most);
        *sum += *value;
    }
    let factor = 1.0 / sums.iter().sum::<f32>();
    for value in x {
        *value *= factor;
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
        for (query, key_value, dim, past, n) in
            [(1, 1, 4, 0, 1), (4, 2, 6, 3, 5), (6, 1, 10, 9, 1), (3, 3, 2, 0, 7), (4, 2, 72, 30, 19)]
        {
            let heads = Heads { query, key_value, dim, scale: 0.7 };
            let q = values(n * query * dim, 1);
            let k = values((past + n) * key_value * dim, 2);
            let v = values((past + n) * key_value * dim, 3);
            let of_head = |x: &[f32], head: usize| -> Vec<f32> {
                x.chunks(key_value * dim).flat_map(|row| &row[head * dim..(head + 1) * dim]).copied().collect()
            };
            let held: Vec<_> =
                (0..key_value).map(|head| Held { keys: of_head(&k, head), values: of_head(&v, head) }).collect();
            let found = attention(heads, &q, &held, past).unwrap();
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
