//! Causal attention of new positions over a cache of keys and values.

use super::exp::exp;
use super::held::{Kept, Rows, Scaled};
use super::lanes::Floats;
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
#[derive(Clone)]
pub struct Held {
    pub keys: Rows,
    pub values: Rows,
}

/// Softmax(scale · q kᵀ) v for `n` new positions, the first of which is position `past`.
///
/// `q` is `[n, query · dim]`; `held` has the key-value heads with `past + n` positions, the new ones among them; the
/// result is `[n, query · dim]`. Position `i` sees `0..=past + i`. `weights`, where wanted, is filled with what the softmax
/// gave, `[query, n, past + n]`. The candle twin is [`plain`].
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn attention(heads: Heads, q: &[f32], held: &[Held], past: usize, weights: Option<&mut [f32]>) -> Result<Vec<f32>> {
    /// Values read below which waking another thread takes longer than the work.
    const ALONE: usize = 1 << 15;
    /// Positions of one part: they read the same keys and values.
    const POSITIONS: usize = 16;
    let Heads { query, key_value, dim, scale } = heads;
    let (q_width, shared) = (query * dim, query / key_value);
    let n = q.len() / q_width;
    let mut out = try_vec(0f32, q.len(), "attention")?;
    let place = Shared::new(&mut out);
    let shown = weights.filter(|weights| weights.len() == query * n * (past + n)).map(Shared::new);
    let part = |head: usize, positions: Range<usize>| {
        let Held { keys, values } = &held[head / shared];
        let mut scores = try_vec(0f32, past + n, "attention")?;
        let mut sums = try_vec(0f32, dim, "attention")?;
        for i in positions {
            let (at, seen) = (i * q_width + head * dim, past + i + 1);
            let scores = &mut scores[..seen];
            let q = &q[at..at + dim];
            match keys {
                Rows::F32(keys) => dots(q, keys, scale, scores),
                Rows::F16(keys) => scaled_dots(q, keys, scale, scores),
                Rows::Q8(keys) => scaled_dots(q, keys, scale, scores),
            }
            softmax(scores);
            if let Some(shown) = &shown {
                // SAFETY: no other part has this head of this position.
                unsafe { shown.write((head * n + i) * (past + n), scores) }
            }
            match values {
                Rows::F32(values) => weighted_sum(scores, values, &mut sums),
                Rows::F16(values) => scaled_sum(scores, values, &mut sums),
                Rows::Q8(values) => scaled_sum(scores, values, &mut sums),
            }
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

/// How many partial sums a dot product keeps: as many values as [`Kept`] gives at a time.
const LANES: usize = 8;

/// Rows of keys that are multiplied at once.
const ROWS: usize = 4;

/// Dot products of `q` with each row of `keys`, times `scale`.
#[inline]
fn dots<K: Kept>(q: &[f32], keys: &[K], scale: f32, out: &mut [f32]) {
    let dim = q.len();
    for (four, out) in keys.chunks(ROWS * dim).zip(out.chunks_mut(ROWS)) {
        let row = |r: usize| four.get(r * dim..(r + 1) * dim);
        // In the last four rows those that are lacking repeat the first.
        let rows = std::array::from_fn(|r| row(r).or(row(0)).unwrap_or(&[]));
        for (out, dot) in out.iter_mut().zip(four_dots(q, rows)) {
            *out = dot * scale;
        }
    }
}

/// [`dots`] with rows that have scales of their own.
#[inline]
fn scaled_dots<K: Kept>(q: &[f32], keys: &Scaled<K>, scale: f32, out: &mut [f32]) {
    dots(q, &keys.values, scale, out);
    for (out, scale) in out.iter_mut().zip(&keys.scales) {
        *out *= scale;
    }
}

/// Eight sums. Those that are variables of their own stay in registers in every build, those of an array do not.
#[derive(Clone, Copy)]
struct Sums(Floats, Floats);

impl Sums {
    #[inline(always)]
    fn zero() -> Self {
        Self(Floats::all(0.0), Floats::all(0.0))
    }

    #[inline(always)]
    fn add_product(&mut self, [low, high]: [Floats; 2], [other_low, other_high]: [Floats; 2]) {
        *self = Self(self.0.plus(low.times(other_low)), self.1.plus(high.times(other_high)));
    }

    #[inline(always)]
    fn halved(self) -> Floats {
        self.0.plus(self.1)
    }
}

/// Dot products of four rows with `q`, each in the same order.
#[inline(always)]
fn four_dots<K: Kept>(q: &[f32], rows: [&[K]; ROWS]) -> [f32; ROWS] {
    let (wide, rest) = q.as_chunks::<LANES>();
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<LANES>().0);
    let (mut sum_a, mut sum_b, mut sum_c, mut sum_d) = (Sums::zero(), Sums::zero(), Sums::zero(), Sums::zero());
    for (q, ((a, b), (c, d))) in wide.iter().zip(a.iter().zip(b).zip(c.iter().zip(d))) {
        let q = f32::eight(q);
        sum_a.add_product(q, K::eight(a));
        sum_b.add_product(q, K::eight(b));
        sum_c.add_product(q, K::eight(c));
        sum_d.add_product(q, K::eight(d));
    }
    let (above, below) = (sum_a.halved().pairs(sum_b.halved()), sum_c.halved().pairs(sum_d.halved()));
    let mut dots = above.pairs(below).to_array();
    for (dot, row) in dots.iter_mut().zip(rows) {
        for (q, k) in rest.iter().zip(&row[wide.len() * LANES..]) {
            *dot += q * k.value();
        }
    }
    dots
}

/// [`weighted_sum`] of rows that have scales, with which the weights are multiplied.
#[inline]
fn scaled_sum<K: Kept>(weights: &mut [f32], values: &Scaled<K>, out: &mut [f32]) {
    for (weight, scale) in weights.iter_mut().zip(&values.scales) {
        *weight *= scale;
    }
    weighted_sum(weights, &values.values, out);
}

/// The rows of `values`, each times its weight, added up in their order.
#[inline]
fn weighted_sum<K: Kept>(weights: &[f32], values: &[K], out: &mut [f32]) {
    /// Columns whose sums stay in registers.
    const COLUMNS: usize = 4 * LANES;
    let dim = out.len();
    let (wide, rest) = out.as_chunks_mut::<COLUMNS>();
    let whole = wide.len() * COLUMNS;
    for (i, out) in wide.iter_mut().enumerate() {
        let (mut a, mut b, mut c, mut d) = (Sums::zero(), Sums::zero(), Sums::zero(), Sums::zero());
        for (weight, row) in weights.iter().zip(values.chunks_exact(dim)) {
            let [row_a, row_b, row_c, row_d] = row.as_chunks::<COLUMNS>().0[i].as_chunks::<LANES>().0 else { break };
            let weight = [Floats::all(*weight); 2];
            a.add_product(weight, K::eight(row_a));
            b.add_product(weight, K::eight(row_b));
            c.add_product(weight, K::eight(row_c));
            d.add_product(weight, K::eight(row_d));
        }
        for (out, Sums(low, high)) in out.as_chunks_mut::<LANES>().0.iter_mut().zip([a, b, c, d]) {
            out.copy_from_slice([low, high].map(Floats::to_array).as_flattened());
        }
    }
    rest.fill(0.0);
    for (weight, row) in weights.iter().zip(values.chunks_exact(dim)) {
        for (sum, value) in rest.iter_mut().zip(&row[whole..]) {
            *sum += weight * value.value();
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
    use crate::kernels::{CacheType, values};
    use candle_core::Device;

    #[test]
    fn attention_is_its_plain_twin() {
        for (query, key_value, dim, past, n) in
            [(1, 1, 4, 0, 1), (4, 2, 6, 3, 5), (6, 1, 10, 9, 1), (3, 3, 2, 0, 7), (4, 2, 72, 30, 19)]
        {
            let heads = Heads { query, key_value, dim, scale: 0.7 };
            let q_values = values(n * query * dim, 1);
            let k = values((past + n) * key_value * dim, 2);
            let v = values((past + n) * key_value * dim, 3);
            let of_head = |x: &[f32], head: usize| -> Vec<f32> {
                x.chunks(key_value * dim).flat_map(|row| &row[head * dim..(head + 1) * dim]).copied().collect()
            };
            let held = |kind| -> Vec<Held> {
                let rows = |x: &[f32], head| {
                    let mut rows = Rows::new(kind);
                    of_head(x, head).chunks(dim).for_each(|row| rows.push(row));
                    rows
                };
                (0..key_value).map(|head| Held { keys: rows(&k, head), values: rows(&v, head) }).collect()
            };
            let tensor = |x: Vec<f32>, rows: usize| {
                let width = x.len() / rows;
                Tensor::from_vec(x, (rows, width), &Device::Cpu).unwrap()
            };
            let twin = plain(
                heads,
                &tensor(q_values.clone(), n),
                &tensor(k.clone(), past + n),
                &tensor(v.clone(), past + n),
                past,
            )
            .unwrap();
            let wanted: Vec<f32> = twin.flatten_all().unwrap().to_vec1().unwrap();
            for (kind, limit) in [(CacheType::F32, 1e-5), (CacheType::F16, 2e-3), (CacheType::Q8, 2e-2)] {
                let found = attention(heads, &q_values, &held(kind), past, None).unwrap();
                for (found, wanted) in found.iter().zip(&wanted) {
                    assert!((found - wanted).abs() < limit, "{heads:?}, {kind}: expected {wanted}, found {found}");
                }
            }
        }
    }
}
