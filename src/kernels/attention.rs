//! Attention of new positions over a cache of keys and values.

use super::exp::exp;
use super::gemm::{Cores, View, multiply};
use super::held::{CacheType, Kept, Rows, Scaled};
use super::lanes::Floats;
use super::parallel::{self, Shared};
use super::reduce::max;
use crate::error::{Result, try_vec};
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
    /// Which positions each one sees.
    pub reach: Reach,
}

/// Which positions a position sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Itself and all before it.
    #[default]
    Causal,
    /// Of these only the last so many, itself among them (sliding window, Beltagy et al. 2020).
    Window(usize),
    /// All of them, in a text that is read as a whole.
    All,
    /// All of another text.
    Across,
    /// Those at most so far away, on both sides.
    Around(usize),
}

impl Reach {
    /// What the position `at` of `total` sees.
    fn seen(self, at: usize, total: usize) -> Range<usize> {
        let to_here = at.saturating_add(1).min(total);
        match self {
            Self::Causal => 0..to_here,
            Self::Window(last) => to_here.saturating_sub(last)..to_here,
            Self::All | Self::Across => 0..total,
            Self::Around(far) => at.saturating_sub(far)..to_here.saturating_add(far).min(total),
        }
    }

    /// Whether in a text of `length` tokens every one sees itself and all before it, and nothing else.
    pub fn is_causal(self, length: usize) -> bool {
        match self {
            Self::Causal => true,
            Self::Window(last) => last >= length,
            Self::All | Self::Across | Self::Around(_) => false,
        }
    }

    /// Whether a text can only be read as a whole. Where it can be read in slices, how it is cut must not change a bit.
    fn is_whole(self) -> bool {
        matches!(self, Self::All | Self::Around(_))
    }
}

/// What is added to the scores by the distance of key and query (Raffel et al. 2020).
pub struct Relative {
    /// For every query head the values of the distances `key − query` from `-back` to `back`.
    pub values: Vec<f32>,
    pub back: usize,
}

impl Relative {
    /// What a head adds to the scores of the keys `seen` of the query at `at`.
    fn of(&self, head: usize, at: usize, seen: &Range<usize>) -> &[f32] {
        let first = head * (2 * self.back + 1) + self.back + seen.start - at;
        &self.values[first..first + seen.len()]
    }
}

/// What one key-value head of a layer has seen: keys and values `[positions, dim]`.
#[derive(Clone)]
pub struct Held {
    pub keys: Rows,
    pub values: Rows,
}

impl Held {
    /// What `key_value` heads hold of rows `[rows, key_value · dim]`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn split(kind: CacheType, heads: Heads, keys: &[f32], values: &[f32]) -> Result<Vec<Self>> {
        let mut held = vec![Self { keys: Rows::new(kind), values: Rows::new(kind) }; heads.key_value];
        append(&mut held, heads.dim, keys, values)?;
        Ok(held)
    }

    /// Positions held, each `dim` wide.
    pub fn len(&self, dim: usize) -> usize {
        self.keys.values() / dim.max(1)
    }

    /// The size in memory.
    pub fn size_in_bytes(&self) -> usize {
        self.keys.size_in_bytes() + self.values.size_in_bytes()
    }
}

/// Adds positions (`[n, heads · dim]`) to what the heads hold.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory) when it cannot grow; what was held stays.
pub fn append(heads: &mut [Held], dim: usize, keys: &[f32], values: &[f32]) -> Result<()> {
    let width = heads.len() * dim;
    for head in heads.iter_mut() {
        for held in [&mut head.keys, &mut head.values] {
            held.grow(keys.len() / width.max(1), dim)?;
        }
    }
    let add = |(i, head): (usize, &mut Held)| {
        for (held, new) in [(&mut head.keys, keys), (&mut head.values, values)] {
            for row in new.chunks_exact(width) {
                held.push(&row[i * dim..(i + 1) * dim]);
            }
        }
    };
    match keys.len() < 2 * parallel::PART {
        true => heads.iter_mut().enumerate().for_each(add),
        false => parallel::for_each(heads.iter_mut().enumerate(), add),
    }
    Ok(())
}

/// Softmax(scale · q kᵀ + bias) v for `n` new positions, the first of which is position `past`.
///
/// `q` is `[n, query · dim]`; `held` has the key-value heads with all `total` positions that can be seen, where a position
/// sees itself the new ones among them; `bias` reaches as far back as `total`; the result is `[n, query · dim]`. `weights`,
/// where wanted, is filled with what the softmax gave, `[query, n, total]`. The candle twin is [`plain`].
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn attention(
    heads: Heads,
    q: &[f32],
    held: &[Held],
    past: usize,
    bias: Option<&Relative>,
    weights: Option<&mut [f32]>,
) -> Result<Vec<f32>> {
    /// Values read below which waking another thread takes longer than the work.
    const ALONE: usize = 1 << 15;
    /// Positions of one part: they read the same keys and values.
    const POSITIONS: usize = 32;
    /// The same where they are multiplied as matrices, for which each part lays keys and values out anew.
    const TOGETHER: usize = 96;
    /// Positions from which products of matrices are quicker than one after the other.
    const MANY: usize = 8;
    let Heads { query, key_value, dim, reach, .. } = heads;
    let (width, shared) = (query * dim, query / key_value);
    let n = q.len() / width;
    let total = held.first().map_or(0, |head| head.len(dim));
    let mut out = try_vec(0f32, q.len(), "attention")?;
    let shown = weights.filter(|weights| weights.len() == query * n * total).map(Shared::new);
    let call = Call { heads, q, n, past, total, bias, out: Shared::new(&mut out), shown };
    let part = |head: usize, positions: Range<usize>| match &held[head / shared] {
        Held { keys: Rows::F32(keys), values: Rows::F32(values) } if reach.is_whole() && positions.len() >= MANY => {
            call.together(head, positions, keys, values)
        }
        held => call.in_turn(head, positions, held),
    };
    if n * total * width < ALONE {
        (0..query).try_for_each(|head| part(head, 0..n))?;
    } else {
        let positions = if reach.is_whole() { TOGETHER } else { POSITIONS };
        let parts = (0..n).step_by(positions).flat_map(|first| (0..query).map(move |head| (head, first)));
        parallel::try_for_each(parts, |(head, first)| part(head, first..(first + positions).min(n)))?;
    }
    Ok(out)
}

/// What all parts of one call share.
struct Call<'a> {
    heads: Heads,
    /// `[n, query · dim]`, as `out`.
    q: &'a [f32],
    n: usize,
    past: usize,
    total: usize,
    bias: Option<&'a Relative>,
    out: Shared<'a>,
    /// `[query, n, total]`.
    shown: Option<Shared<'a>>,
}

impl Call<'_> {
    fn width(&self) -> usize {
        self.heads.query * self.heads.dim
    }

    fn seen(&self, position: usize) -> Range<usize> {
        self.heads.reach.seen(self.past + position, self.total)
    }

    /// One position of a head after the other.
    fn in_turn(&self, head: usize, positions: Range<usize>, Held { keys, values }: &Held) -> Result<()> {
        let Heads { dim, scale, .. } = self.heads;
        let mut scores = try_vec(0f32, self.total, "attention")?;
        let mut sums = try_vec(0f32, dim, "attention")?;
        for i in positions {
            let (at, seen) = (i * self.width() + head * dim, self.seen(i));
            let scores = &mut scores[seen.clone()];
            let q = &self.q[at..at + dim];
            match keys {
                Rows::F32(keys) => dots(q, of_rows(keys, &seen, dim), scale, scores),
                Rows::F16(keys) => scaled_dots(q, keys, &seen, scale, scores),
                Rows::Q8(keys) => scaled_dots(q, keys, &seen, scale, scores),
            }
            self.weigh(head, i, &seen, scores);
            match values {
                Rows::F32(values) => weighted_sum(scores, of_rows(values, &seen, dim), &mut sums),
                Rows::F16(values) => scaled_sum(scores, values, &seen, &mut sums),
                Rows::Q8(values) => scaled_sum(scores, values, &seen, &mut sums),
            }
            // SAFETY: no other part has this head of this position.
            unsafe { self.out.write(at, &sums) }
        }
        Ok(())
    }

    /// Positions of a head all at once, as two products of matrices; each is summed in another order than
    /// [`Self::in_turn`] has.
    fn together(&self, head: usize, positions: Range<usize>, keys: &[f32], values: &[f32]) -> Result<()> {
        let Heads { dim, scale, .. } = self.heads;
        let (width, rows) = (self.width(), positions.len());
        // What the first sees begins first, what the last sees ends last.
        let seen = self.seen(positions.start).start..self.seen(positions.end - 1).end;
        let q = View::strided(&self.q[positions.start * width + head * dim..], rows, dim, width);
        let [keys, values] = [keys, values].map(|held| View::new(of_rows(held, &seen, dim), seen.len(), dim));
        let mut scores = try_vec(0f32, rows * seen.len(), "attention")?;
        multiply(q, keys.t(), &mut scores, false, Cores::One);
        for (scores, i) in scores.chunks_exact_mut(seen.len().max(1)).zip(positions.clone()) {
            let own = self.seen(i);
            let (begin, end) = (own.start - seen.start, own.end - seen.start);
            scores[..begin].fill(0.0);
            scores[end..].fill(0.0);
            let scores = &mut scores[begin..end];
            scores.iter_mut().for_each(|score| *score *= scale);
            self.weigh(head, i, &own, scores);
        }
        let mut sums = try_vec(0f32, rows * dim, "attention")?;
        multiply(View::new(&scores, rows, seen.len()), values, &mut sums, false, Cores::One);
        for (sums, i) in sums.chunks_exact(dim).zip(positions) {
            // SAFETY: no other part has this head of this position.
            unsafe { self.out.write(i * width + head * dim, sums) }
        }
        Ok(())
    }

    /// The scores of the keys that a position sees become weights.
    fn weigh(&self, head: usize, position: usize, seen: &Range<usize>, scores: &mut [f32]) {
        if let Some(bias) = self.bias {
            let bias = bias.of(head, self.past + position, seen);
            scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
        }
        softmax(scores);
        if let Some(shown) = &self.shown {
            // SAFETY: no other part has this head of this position.
            unsafe { shown.write((head * self.n + position) * self.total + seen.start, scores) }
        }
    }
}

/// The values of some rows of width `dim`.
#[inline]
fn of_rows<'a, K>(values: &'a [K], rows: &Range<usize>, dim: usize) -> &'a [K] {
    &values[rows.start * dim..rows.end * dim]
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
fn scaled_dots<K: Kept>(q: &[f32], keys: &Scaled<K>, seen: &Range<usize>, scale: f32, out: &mut [f32]) {
    dots(q, of_rows(&keys.values, seen, q.len()), scale, out);
    for (out, scale) in out.iter_mut().zip(&keys.scales[seen.clone()]) {
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
fn scaled_sum<K: Kept>(weights: &mut [f32], values: &Scaled<K>, seen: &Range<usize>, out: &mut [f32]) {
    for (weight, scale) in weights.iter_mut().zip(&values.scales[seen.clone()]) {
        *weight *= scale;
    }
    weighted_sum(weights, of_rows(&values.values, seen, out.len()), out);
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
/// Shapes as there, for one sequence: `q` `[n, query · dim]`, `k` and `v` `[total, key_value · dim]`.
pub fn plain(heads: Heads, [q, k, v]: [&Tensor; 3], past: usize, bias: Option<&Relative>) -> Result<Tensor> {
    let Heads { query, key_value, dim, scale, reach } = heads;
    let (n, total) = (q.dim(0)?, k.dim(0)?);
    let split = |x: &Tensor, heads: usize| x.reshape((1, (), heads, dim))?.transpose(1, 2)?.contiguous();
    let shared = query / key_value;
    let q = split(q, query)?;
    let k = repeat_kv(split(k, key_value)?, shared)?;
    let v = repeat_kv(split(v, key_value)?, shared)?;
    let mut added = vec![f32::NEG_INFINITY; query * n * total];
    for (row, added) in added.chunks_exact_mut(total).enumerate() {
        let (head, at) = (row / n, past + row % n);
        let seen = reach.seen(at, total);
        let bias = bias.map(|bias| bias.of(head, at, &seen));
        added[seen.clone()].copy_from_slice(bias.unwrap_or(&vec![0.0; seen.len()]));
    }
    let mask = Tensor::from_vec(added, (1, query, n, total), q.device())?;
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
        let reaches = [Reach::Causal, Reach::Window(4), Reach::All, Reach::Across, Reach::Around(3)];
        let shapes = [
            (1, 1, 4, 0, 1),
            (4, 2, 6, 3, 5),
            (6, 1, 10, 9, 1),
            (3, 3, 2, 0, 7),
            (4, 2, 72, 30, 19),
            (2, 1, 12, 5, 75),
        ];
        for ((query, key_value, dim, past, n), reach) in shapes.into_iter().flat_map(|s| reaches.map(|r| (s, r))) {
            let heads = Heads { query, key_value, dim, scale: 0.7, reach };
            let (q, total) = (values(n * query * dim, 1), past + n);
            let [k, v] = [2, 3].map(|seed| values(total * key_value * dim, seed));
            let distances = Relative { values: values(query * (2 * total + 1), 4), back: total };
            let tensor =
                |x: &[f32], rows: usize| Tensor::from_vec(x.to_vec(), (rows, x.len() / rows), &Device::Cpu).unwrap();
            for bias in [None, Some(&distances)] {
                let twin = plain(heads, [&tensor(&q, n), &tensor(&k, total), &tensor(&v, total)], past, bias).unwrap();
                let wanted: Vec<f32> = twin.flatten_all().unwrap().to_vec1().unwrap();
                for (kind, limit) in [(CacheType::F32, 1e-5), (CacheType::F16, 2e-3), (CacheType::Q8, 3e-2)] {
                    let held = Held::split(kind, heads, &k, &v).unwrap();
                    let mut shown = vec![0.0; query * n * total];
                    let found = attention(heads, &q, &held, past, bias, Some(&mut shown)).unwrap();
                    for (found, wanted) in found.iter().zip(&wanted) {
                        assert!((found - wanted).abs() < limit, "{heads:?}, {kind}: expected {wanted}, found {found}");
                    }
                    for (row, shown) in shown.chunks(total).enumerate() {
                        let seen = reach.seen(past + row % n, total);
                        assert!((shown[seen.clone()].iter().sum::<f32>() - 1.0).abs() < 1e-4);
                        assert!((0..total).all(|key| seen.contains(&key) || shown[key] == 0.0));
                    }
                }
            }
        }
    }
}
