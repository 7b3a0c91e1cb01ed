//! Causal attention within sequences that are read whole.

use super::{Mask, Output, gradient, lend, output, values, zeros};
use crate::error::Result;
use crate::kernels::attention::Heads;
use crate::kernels::exp::exp;
use crate::kernels::gemm::{Cores, View, multiply};
use crate::kernels::parallel;
use crate::kernels::reduce::{LANES, max, total};
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Tensor};

/// Softmax(scale · q kᵀ) v within each sequence, position `i` of which sees `0..=i`.
///
/// `q` is `[rows, query · dim]`, `k` and `v` are `[rows, key_value · dim]`, and so the result is like `q`. The rows of all
/// sequences, of these lengths, are one after the other. What the softmax gave is not kept but computed again for the
/// gradient. With `dropout`, some of it is dropped: the mask counts the weights `[query, length, length]` of each sequence
/// row-major, one sequence after the other. The plain twin is [`plain`](crate::kernels::attention::plain).
///
/// # Errors
/// Those of candle when the shapes do not fit.
pub fn causal_attention(
    heads: Heads,
    [q, k, v]: [&Tensor; 3],
    lengths: &[usize],
    dropout: Option<Mask>,
) -> Result<Tensor> {
    let rows = lengths.iter().sum::<usize>();
    let [wide, narrow, _] = heads.widths().map(|width| [rows, width]);
    if !heads.fit() || q.dims() != wide || k.dims() != narrow || v.dims() != narrow {
        let shapes = format!("{:?}, {:?} and {:?} for {heads:?}, {rows} rows", q.shape(), k.shape(), v.shape());
        return Err(candle_core::Error::msg(format!("attention: {shapes}")).into());
    }
    let op = CausalAttention { heads, lengths: lengths.to_vec(), dropout };
    Ok(q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)?)
}

/// As [`causal_attention`] for one tensor `[rows, (query + 2 · key_value) · dim]` that has the queries, the keys and the
/// values side by side. Its parts are read where they lie, and their gradients written where they belong.
///
/// # Errors
/// Those of candle when the shapes do not fit.
pub fn joined_causal_attention(heads: Heads, qkv: &Tensor, lengths: &[usize], dropout: Option<Mask>) -> Result<Tensor> {
    let rows = lengths.iter().sum::<usize>();
    if !heads.fit() || qkv.dims() != [rows, heads.joined()] {
        let found = format!("{:?} for {heads:?}, {rows} rows", qkv.shape());
        return Err(candle_core::Error::msg(format!("attention: {found}")).into());
    }
    Ok(qkv.contiguous()?.apply_op1(CausalAttention { heads, lengths: lengths.to_vec(), dropout })?)
}

/// Query positions whose scores are computed together: few enough to stay in cache.
const BLOCK: usize = 64;

struct CausalAttention {
    heads: Heads,
    lengths: Vec<usize>,
    dropout: Option<Mask>,
}

/// Where values lie: the first column that is meant, and how far apart rows begin.
#[derive(Clone, Copy)]
struct Place<'a> {
    values: &'a [f32],
    column: usize,
    stride: usize,
}

/// The query heads of one sequence that share a key and value head.
struct Group<'a> {
    heads: Heads,
    /// Positions in the sequence.
    n: usize,
    /// `[n, query / key_value · dim]`.
    q: View<'a>,
    /// `[n, dim]`, as `v`.
    k: View<'a>,
    v: View<'a>,
    /// The mask, and the number of the group's first weight in it.
    dropout: Option<(Mask, u64)>,
}

/// What the gradient is computed of: the result and its gradient, `[n, query / key_value · dim]` both.
struct Outcome<'a> {
    y: View<'a>,
    dy: View<'a>,
}

impl Heads {
    fn fit(self) -> bool {
        self.dim > 0 && self.key_value > 0 && self.query.is_multiple_of(self.key_value)
    }

    /// Values in a row of queries, of keys, and of values.
    fn widths(self) -> [usize; 3] {
        [self.query, self.key_value, self.key_value].map(|heads| heads * self.dim)
    }

    /// The width of queries, keys and values side by side.
    fn joined(self) -> usize {
        self.widths().iter().sum()
    }
}

impl Group<'_> {
    /// Values the group has in `q`.
    fn query_len(&self) -> usize {
        self.n * self.heads.query / self.heads.key_value * self.heads.dim
    }

    /// Values the group has in `k`.
    fn key_len(&self) -> usize {
        self.n * self.heads.dim
    }

    /// The rows `block` of query head `head` in `values`, which is laid out as `q`.
    fn head<'a>(&self, values: View<'a>, head: usize, block: (usize, usize)) -> View<'a> {
        let dim = self.heads.dim;
        values.block(block.0, block.1 - block.0, head * dim, dim)
    }

    /// The first `seen` rows of `values`, which is laid out as `k`.
    fn seen<'a>(&self, values: View<'a>, seen: usize) -> View<'a> {
        values.block(0, seen, 0, self.heads.dim)
    }

    /// The blocks of query positions.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n = self.n;
        (0..n).step_by(BLOCK).map(move |start| (start, (start + BLOCK).min(n)))
    }

    /// The softmax of the scores of a block, `[block, block.1]`; zero where a position is not seen.
    fn probabilities(&self, head: usize, block: (usize, usize), out: &mut [f32]) {
        let (start, seen) = block;
        multiply(self.head(self.q, head, block), self.seen(self.k, seen).t(), out, false, Cores::One);
        for (row, i) in out.chunks_exact_mut(seen).zip(start..) {
            // As far as whole lanes go: their ends would be computed one by one.
            let (row, hidden) = row.split_at_mut((i + 1).next_multiple_of(LANES).min(seen));
            hidden.fill(0.0);
            let scale = self.heads.scale;
            row.iter_mut().for_each(|value| *value *= scale);
            row[i + 1..].fill(f32::NEG_INFINITY);
            let max = max(row);
            row.iter_mut().for_each(|value| *value = exp(*value - max));
            row[i + 1..].fill(0.0);
            let factor = 1.0 / total([row], |[value]| value);
            row.iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// Drops what the mask says of values that lie as those of [`Self::probabilities`].
    fn drop(&self, head: usize, block: (usize, usize), values: &mut [f32]) {
        let Some((mask, first)) = self.dropout else { return };
        let (start, seen) = block;
        for (row, i) in values.chunks_exact_mut(seen).zip(start..) {
            // What is hidden is zero anyway.
            let row = &mut row[..=i];
            mask.apply(row, first + ((head * self.n + i) * self.n) as u64);
        }
    }

    /// Computes `out`, head by head `[n, dim]`.
    fn forward(&self, out: &mut [f32]) -> Result<()> {
        let (n, dim) = (self.n, self.heads.dim);
        let mut scores = zeros(BLOCK.min(n) * n)?;
        for (head, out) in out.chunks_exact_mut(n * dim).enumerate() {
            for block in self.blocks() {
                let (start, seen) = block;
                let weights = &mut scores[..(seen - start) * seen];
                self.probabilities(head, block, weights);
                self.drop(head, block, weights);
                let weights = View::new(weights, seen - start, seen);
                multiply(weights, self.seen(self.v, seen), &mut out[start * dim..], false, Cores::One);
            }
        }
        Ok(())
    }

    /// Computes the gradients head by head `[n, dim]`.
    fn backward(&self, of: &Outcome, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) -> Result<()> {
        let (n, dim) = (self.n, self.heads.dim);
        let (mut weights, mut slopes) = (zeros(BLOCK.min(n) * n)?, zeros(BLOCK.min(n) * n)?);
        for (head, dq) in dq.chunks_exact_mut(n * dim).enumerate() {
            for block in self.blocks() {
                let (start, seen) = block;
                let len = (seen - start) * seen;
                let (weights, slopes) = (&mut weights[..len], &mut slopes[..len]);
                self.probabilities(head, block, weights);
                let (y, dy) = (self.head(of.y, head, block), self.head(of.dy, head, block));
                multiply(dy, self.seen(self.v, seen).t(), slopes, false, Cores::One);
                self.drop(head, block, slopes);
                // Through the softmax: each weight times how far its slope is above their mean, which is dy · y.
                let rows = slopes.chunks_exact_mut(seen).zip(weights.chunks_exact(seen));
                for ((slopes, weights), i) in rows.zip(0..) {
                    let mean = total([dy.row(i), y.row(i)], |[dy, y]| dy * y);
                    for (slope, weight) in slopes.iter_mut().zip(weights) {
                        *slope = weight * (*slope - mean) * self.heads.scale;
                    }
                }
                let slopes = View::new(slopes, seen - start, seen);
                multiply(slopes, self.seen(self.k, seen), &mut dq[start * dim..], false, Cores::One);
                multiply(slopes.t(), self.head(self.q, head, block), dk, true, Cores::One);
                self.drop(head, block, weights);
                multiply(View::new(weights, seen - start, seen).t(), dy, dv, true, Cores::One);
            }
        }
        Ok(())
    }
}

impl CausalAttention {
    /// For each key and value head of each sequence, the part of `place` that has so many columns for each.
    fn parts<'a>(&self, place: Place<'a>, width: usize) -> impl Iterator<Item = View<'a>> {
        let Place { values, column, stride } = place;
        let mut row = 0;
        self.lengths.iter().filter(|&&n| n > 0).flat_map(move |&n| {
            let start = row * stride + column;
            row += n;
            (0..self.heads.key_value)
                .map(move |group| View::strided(&values[start + group * width..], n, width, stride))
        })
    }

    /// As [`Self::parts`], of a tensor like `q`.
    fn query_parts<'a>(&self, place: Place<'a>) -> impl Iterator<Item = View<'a>> {
        self.parts(place, self.heads.query / self.heads.key_value * self.heads.dim)
    }

    /// The groups of all sequences.
    fn groups<'a>(&self, [q, k, v]: [Place<'a>; 3]) -> Vec<Group<'a>> {
        let (heads, dim) = (self.heads, self.heads.dim);
        let operands = self.query_parts(q).zip(self.parts(k, dim).zip(self.parts(v, dim)));
        let lengths = self.lengths.iter().filter(|&&n| n > 0).flat_map(|&n| std::iter::repeat_n(n, heads.key_value));
        let mut weight = 0;
        let group = |((q, (k, v)), n): (_, usize)| {
            let dropout = self.dropout.map(|mask| (mask, weight));
            weight += (heads.query / heads.key_value * n * n) as u64;
            Group { heads, n, q, k, v, dropout }
        };
        operands.zip(lengths).map(group).collect()
    }

    /// Rows in all sequences.
    fn rows(&self) -> usize {
        self.lengths.iter().sum()
    }

    fn forward(&self, operands: [Place; 3]) -> Output {
        let shape = (self.rows(), self.heads.widths()[0]);
        let groups = self.groups(operands);
        let compute = || {
            let mut computed = zeros(shape.0 * shape.1)?;
            let parts = split(&mut computed, groups.iter().map(Group::query_len));
            parallel::try_for_each(groups.iter().zip(parts), |(group, out)| group.forward(out))?;
            let mut out = zeros(shape.0 * shape.1)?;
            self.join([&computed], &mut out);
            Ok(out)
        };
        output(compute(), shape)
    }

    /// The gradients of `q`, `k` and `v`, head by head; `y` and `dy` are laid out as `q`.
    fn backward(&self, operands: [Place; 3], y: &[f32], dy: &[f32]) -> Result<[Vec<f32>; 3]> {
        let (groups, widths) = (self.groups(operands), self.heads.widths());
        let [y, dy] = [y, dy].map(|values| Place { values, column: 0, stride: widths[0] });
        let outcomes = self.query_parts(y).zip(self.query_parts(dy)).map(|(y, dy)| Outcome { y, dy });
        let [q_len, k_len, v_len] = widths.map(|width| self.rows() * width);
        let (mut dq, mut dk, mut dv) = (zeros(q_len)?, zeros(k_len)?, zeros(v_len)?);
        let q_parts = split(&mut dq, groups.iter().map(Group::query_len));
        let k_parts = split(&mut dk, groups.iter().map(Group::key_len));
        let v_parts = split(&mut dv, groups.iter().map(Group::key_len));
        let work = groups.iter().zip(outcomes).zip(q_parts).zip(k_parts.zip(v_parts));
        parallel::try_for_each(work, |(((group, of), dq), (dk, dv))| group.backward(&of, dq, dk, dv))?;
        Ok([dq, dk, dv])
    }

    /// Values that were computed head by head, `[n, dim]` for each head of each sequence, as rows; several side by side.
    fn join<const N: usize>(&self, computed: [&[f32]; N], out: &mut [f32]) {
        let (dim, rows) = (self.heads.dim, self.rows().max(1));
        let (width, widths) = (out.len() / rows, computed.map(|values| values.len() / rows));
        let mut row = 0;
        let sequences = split(out, self.lengths.iter().map(|n| n * width)).zip(&self.lengths).map(|(out, &n)| {
            row += n;
            (out, n, row - n)
        });
        parallel::for_each(sequences, |(out, n, row)| {
            let mut column = 0;
            for (values, width_here) in computed.iter().zip(widths) {
                let values = &values[row * width_here..][..n * width_here];
                for head in values.chunks_exact((n * dim).max(1)) {
                    for (row, values) in out.chunks_exact_mut(width).zip(head.chunks_exact(dim)) {
                        row[column..][..dim].copy_from_slice(values);
                    }
                    column += dim;
                }
            }
        });
    }
}

/// Parts of these sizes, from the first value on.
fn split(mut values: &mut [f32], sizes: impl Iterator<Item = usize>) -> impl Iterator<Item = &mut [f32]> {
    sizes.map(move |size| values.split_off_mut(..size).unwrap_or_default())
}

/// Queries, keys and values side by side.
impl CustomOp1 for CausalAttention {
    fn name(&self) -> &'static str {
        "joined_causal_attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Output {
        self.forward(self.side_by_side(values(qkv, layout)?))
    }

    fn bwd(&self, qkv: &Tensor, y: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let joined = lend([qkv, y, dy], |[qkv, y, dy]| {
            let [dq, dk, dv] = self.backward(self.side_by_side(qkv), y, dy)?;
            let mut joined = zeros(qkv.len())?;
            self.join([&dq, &dk, &dv], &mut joined);
            Ok(joined)
        })?;
        Ok(Some(gradient(joined, qkv)?))
    }
}

impl CausalAttention {
    fn side_by_side<'a>(&self, values: &'a [f32]) -> [Place<'a>; 3] {
        let ([q, k, _], stride) = (self.heads.widths(), self.heads.joined());
        [0, q, q + k].map(|column| Place { values, column, stride })
    }

    fn apart<'a>(&self, operands: [&'a [f32]; 3]) -> [Place<'a>; 3] {
        let mut widths = self.heads.widths().into_iter();
        operands.map(|values| Place { values, column: 0, stride: widths.next().unwrap_or_default() })
    }
}

impl CustomOp3 for CausalAttention {
    fn name(&self) -> &'static str {
        "causal_attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Output {
        self.forward(self.apart([values(q, q_layout)?, values(k, k_layout)?, values(v, v_layout)?]))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dq, dk, dv] = lend([q, k, v, y, dy], |[q, k, v, y, dy]| {
            let [dq, dk, dv] = self.backward(self.apart([q, k, v]), y, dy)?;
            let joined = |computed: Vec<f32>| -> Result<Vec<f32>> {
                let mut out = zeros(computed.len())?;
                self.join([&computed], &mut out);
                Ok(out)
            };
            Ok([joined(dq)?, joined(dk)?, joined(dv)?])
        })?;
        Ok((Some(gradient(dq, q)?), Some(gradient(dk, k)?), Some(gradient(dv, v)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;
    use crate::kernels::attention::{Reach, plain};
    use crate::train::Random;
    use candle_core::Device;
    use candle_nn::ops::softmax;

    #[test]
    fn attention_is_its_plain_twin() {
        for (query, key_value, dim, lengths) in [
            (1, 1, 4, vec![1]),
            (4, 2, 6, vec![5, 1, 9]),
            (6, 1, 10, vec![3, 70]),
            (3, 3, 2, vec![130]),
            (2, 2, 32, vec![64, 65]),
        ] {
            let heads = Heads { query, key_value, dim, scale: 0.7, reach: Reach::Causal };
            let rows = lengths.iter().sum::<usize>();
            let (wide, narrow) = ((rows, query * dim), (rows, key_value * dim));
            let operands = [random(wide, 1), random(narrow, 2), random(narrow, 3)];
            check(
                &operands,
                |t| causal_attention(heads, [&t[0], &t[1], &t[2]], &lengths, None),
                |t| {
                    let mut row = 0;
                    let mut parts = Vec::new();
                    for &n in &lengths {
                        let part = |t: &Tensor| t.narrow(0, row, n);
                        let plain = plain(heads, [&part(&t[0])?, &part(&t[1])?, &part(&t[2])?], 0, None);
                        parts.push(plain.map_err(candle_core::Error::wrap)?);
                        row += n;
                    }
                    Tensor::cat(&parts, 0)
                },
            );
        }
    }

    /// Attention in plain operations, of which a product with a mask is one, as transformers' eager attention has it.
    #[test]
    fn dropped_weights_are_a_product_with_their_mask() {
        for (query, key_value, dim, lengths) in [(1, 1, 4, vec![3]), (4, 2, 6, vec![5, 1, 9]), (2, 1, 8, vec![70, 3])] {
            let heads = Heads { query, key_value, dim, scale: 0.7, reach: Reach::Causal };
            let rows = lengths.iter().sum::<usize>();
            let (p, stream) = (0.3, Random::new(5, "dropout"));
            let twin = |t: &[Tensor]| -> candle_core::Result<Tensor> {
                let (mut row, mut number) = (0, 0);
                let mut parts = Vec::new();
                for &n in &lengths {
                    let part =
                        |t: &Tensor, heads: usize| t.narrow(0, row, n)?.reshape((n, heads, dim))?.transpose(0, 1);
                    let wide = |t: Tensor| {
                        let alike = t.unsqueeze(1)?.broadcast_as((key_value, query / key_value, n, dim))?;
                        alike.contiguous()?.reshape((query, n, dim))
                    };
                    let (q, k) = (part(&t[0], query)?.contiguous()?, wide(part(&t[1], key_value)?)?);
                    let hidden: Vec<f32> =
                        (0..n * n).map(|i| if i % n > i / n { f32::NEG_INFINITY } else { 0.0 }).collect();
                    let hidden = Tensor::from_vec(hidden, (n, n), &Device::Cpu)?;
                    let scores = (q.matmul(&k.t()?.contiguous()?)? * f64::from(heads.scale))?.broadcast_add(&hidden)?;
                    let kept = |i| if stream.unit(i) < f64::from(p) { 0.0 } else { 1.0 / (1.0 - p) };
                    let mask: Vec<f32> = (number..).take(query * n * n).map(kept).collect();
                    number += (query * n * n) as u64;
                    let weights = (softmax(&scores, 2)? * Tensor::from_vec(mask, (query, n, n), &Device::Cpu)?)?;
                    let y = weights.matmul(&wide(part(&t[2], key_value)?)?)?;
                    parts.push(y.transpose(0, 1)?.reshape((n, query * dim))?);
                    row += n;
                }
                Tensor::cat(&parts, 0)
            };
            let (wide, narrow) = ((rows, query * dim), (rows, key_value * dim));
            check(
                &[random(wide, 1), random(narrow, 2), random(narrow, 3)],
                |t| causal_attention(heads, [&t[0], &t[1], &t[2]], &lengths, Some(Mask { p, stream })),
                twin,
            );
        }
    }

    /// Parts of one tensor, as GPT-2 has them.
    #[test]
    fn operands_may_be_parts() {
        let heads = Heads { query: 2, key_value: 2, dim: 4, scale: 0.5, reach: Reach::Causal };
        let all = random((7, 24), 1);
        let parts = |t: &Tensor| -> candle_core::Result<_> {
            Ok([t.narrow(1, 0, 8)?, t.narrow(1, 8, 8)?, t.narrow(1, 16, 8)?])
        };
        let twin = |t: &[Tensor]| {
            let [q, k, v] = parts(&t[0])?;
            plain(heads, [&q, &k, &v], 0, None).map_err(candle_core::Error::wrap)
        };
        check(
            std::slice::from_ref(&all),
            |t| {
                let [q, k, v] = parts(&t[0])?;
                causal_attention(heads, [&q, &k, &v], &[7], None)
            },
            twin,
        );
        check(&[all], |t| joined_causal_attention(heads, &t[0], &[7], None), twin);
    }
}
