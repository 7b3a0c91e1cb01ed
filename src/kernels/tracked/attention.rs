//! Causal attention within sequences that are read whole.

use super::{Mask, Output, gradient, lend, output, values, zeros};
use crate::error::Result;
use crate::kernels::attention::Heads;
use crate::kernels::exp::exp;
use crate::kernels::gemm::{Cores, View, multiply};
use crate::kernels::parallel;
use crate::kernels::reduce::{max, total};
use candle_core::{CpuStorage, CustomOp3, Layout, Tensor};

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
    let (wide, narrow) = ([rows, heads.query * heads.dim], [rows, heads.key_value * heads.dim]);
    let shared = heads.dim > 0 && heads.key_value > 0 && heads.query.is_multiple_of(heads.key_value);
    if !shared || q.dims() != wide || k.dims() != narrow || v.dims() != narrow {
        let shapes = format!("{:?}, {:?} and {:?} for {heads:?}, {rows} rows", q.shape(), k.shape(), v.shape());
        return Err(candle_core::Error::msg(format!("attention: {shapes}")).into());
    }
    let op = CausalAttention { heads, lengths: lengths.to_vec(), dropout };
    Ok(q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)?)
}

/// Query positions whose scores are computed together: few enough to stay in cache.
const BLOCK: usize = 64;

struct CausalAttention {
    heads: Heads,
    lengths: Vec<usize>,
    dropout: Option<Mask>,
}

/// The query heads of one sequence that share a key and value head.
struct Group<'a> {
    heads: Heads,
    /// Positions in the sequence.
    n: usize,
    /// Where in `q` it begins: at the sequence's first row and this group's first column; the slices begin there.
    q_at: usize,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    /// The mask, and the number of the group's first weight in it.
    dropout: Option<(Mask, u64)>,
}

impl<'a> Group<'a> {
    /// Values the group has in `q`.
    fn query_len(&self) -> usize {
        self.n * self.heads.query / self.heads.key_value * self.heads.dim
    }

    /// Values the group has in `k`.
    fn key_len(&self) -> usize {
        self.n * self.heads.dim
    }

    /// The rows `block` of query head `head` in `values`, which is laid out as `q`.
    fn head(&self, values: &'a [f32], head: usize, block: (usize, usize)) -> View<'a> {
        let Heads { query, dim, .. } = self.heads;
        View::strided(&values[block.0 * query * dim + head * dim..], block.1 - block.0, dim, query * dim)
    }

    /// The first `seen` rows of this group's head in `values`, which is laid out as `k`.
    fn seen(&self, values: &'a [f32], seen: usize) -> View<'a> {
        let Heads { key_value, dim, .. } = self.heads;
        View::strided(values, seen, dim, key_value * dim)
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
            let (row, hidden) = row.split_at_mut(i + 1);
            hidden.fill(0.0);
            let scale = self.heads.scale;
            row.iter_mut().for_each(|value| *value *= scale);
            let max = max(row);
            row.iter_mut().for_each(|value| *value = exp(*value - max));
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

    /// Computes the gradients head by head `[n, dim]`, given the result `y` and its gradient, both laid out as `q`.
    fn backward(&self, y: &'a [f32], dy: &'a [f32], dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) -> Result<()> {
        let (n, dim) = (self.n, self.heads.dim);
        let width = self.heads.query * dim;
        let (mut weights, mut slopes) = (zeros(BLOCK.min(n) * n)?, zeros(BLOCK.min(n) * n)?);
        for (head, dq) in dq.chunks_exact_mut(n * dim).enumerate() {
            for block in self.blocks() {
                let (start, seen) = block;
                let len = (seen - start) * seen;
                let (weights, slopes) = (&mut weights[..len], &mut slopes[..len]);
                self.probabilities(head, block, weights);
                let dy_rows = self.head(dy, head, block);
                multiply(dy_rows, self.seen(self.v, seen).t(), slopes, false, Cores::One);
                self.drop(head, block, slopes);
                // Through the softmax: each weight times how far its slope is above their mean, which is dy · y.
                let rows = slopes.chunks_exact_mut(seen).zip(weights.chunks_exact(seen)).zip(start..);
                for ((slopes, weights), i) in rows {
                    let at = i * width + head * dim;
                    let mean = total([&dy[at..at + dim], &y[at..at + dim]], |[dy, y]| dy * y);
                    for (slope, weight) in slopes.iter_mut().zip(weights) {
                        *slope = weight * (*slope - mean) * self.heads.scale;
                    }
                }
                let slopes = View::new(slopes, seen - start, seen);
                multiply(slopes, self.seen(self.k, seen), &mut dq[start * dim..], false, Cores::One);
                multiply(slopes.t(), self.head(self.q, head, block), dk, true, Cores::One);
                self.drop(head, block, weights);
                multiply(View::new(weights, seen - start, seen).t(), dy_rows, dv, true, Cores::One);
            }
        }
        Ok(())
    }
}

impl CausalAttention {
    /// The groups of all sequences.
    fn groups<'a>(&self, q: &'a [f32], k: &'a [f32], v: &'a [f32]) -> Vec<Group<'a>> {
        let heads = self.heads;
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let mut groups = Vec::with_capacity(self.lengths.len() * heads.key_value);
        let shared = heads.query / heads.key_value;
        let (mut row, mut weight) = (0, 0);
        for &n in self.lengths.iter().filter(|&&n| n > 0) {
            for group in 0..heads.key_value {
                let at = row * kv_width + group * heads.dim;
                let q_at = row * q_width + group * shared * heads.dim;
                let dropout = self.dropout.map(|mask| (mask, weight));
                groups.push(Group { heads, n, q_at, q: &q[q_at..], k: &k[at..], v: &v[at..], dropout });
                weight += (shared * n * n) as u64;
            }
            row += n;
        }
        groups
    }

    /// Values that were computed head by head, `[n, dim]` for each of `heads` heads of each sequence, as rows.
    fn join(&self, computed: &[f32], heads: usize) -> Result<Vec<f32>> {
        let (dim, width) = (self.heads.dim, heads * self.heads.dim);
        let mut out = zeros(computed.len())?;
        let sizes = || self.lengths.iter().map(|n| n * width);
        let mut rest = computed;
        let computed = sizes().map(|size| rest.split_off(..size).unwrap_or_default());
        parallel::for_each(computed.zip(split(&mut out, sizes())), |(computed, out)| {
            let n = out.len() / width.max(1);
            for (head, values) in computed.chunks_exact((n * dim).max(1)).enumerate() {
                for (row, values) in out.chunks_exact_mut(width).zip(values.chunks_exact(dim)) {
                    row[head * dim..][..dim].copy_from_slice(values);
                }
            }
        });
        Ok(out)
    }
}

/// Parts of these sizes, from the first value on.
fn split(mut values: &mut [f32], sizes: impl Iterator<Item = usize>) -> impl Iterator<Item = &mut [f32]> {
    sizes.map(move |size| values.split_off_mut(..size).unwrap_or_default())
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
        let (q, k, v) = (values(q, q_layout)?, values(k, k_layout)?, values(v, v_layout)?);
        let groups = self.groups(q, k, v);
        let compute = || {
            let mut out = zeros(q.len())?;
            let parts = split(&mut out, groups.iter().map(Group::query_len));
            parallel::try_for_each(groups.iter().zip(parts), |(group, out)| group.forward(out))?;
            self.join(&out, self.heads.query)
        };
        output(compute(), q_layout.shape())
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
            let groups = self.groups(q, k, v);
            let (mut dq, mut dk, mut dv) = (zeros(q.len())?, zeros(k.len())?, zeros(v.len())?);
            let q_parts = split(&mut dq, groups.iter().map(Group::query_len));
            let k_parts = split(&mut dk, groups.iter().map(Group::key_len));
            let v_parts = split(&mut dv, groups.iter().map(Group::key_len));
            parallel::try_for_each(groups.iter().zip(q_parts).zip(k_parts.zip(v_parts)), |((group, dq), (dk, dv))| {
                group.backward(&y[group.q_at..], &dy[group.q_at..], dq, dk, dv)
            })?;
            let Heads { query, key_value, .. } = self.heads;
            Ok([self.join(&dq, query)?, self.join(&dk, key_value)?, self.join(&dv, key_value)?])
        })?;
        Ok((Some(gradient(dq, q)?), Some(gradient(dk, k)?), Some(gradient(dv, v)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;
    use crate::kernels::attention::plain;
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
            let heads = Heads { query, key_value, dim, scale: 0.7 };
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
                        let plain = plain(heads, &part(&t[0])?, &part(&t[1])?, &part(&t[2])?, 0);
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
            let heads = Heads { query, key_value, dim, scale: 0.7 };
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
        let heads = Heads { query: 2, key_value: 2, dim: 4, scale: 0.5 };
        let all = random((7, 24), 1);
        let parts = |t: &Tensor| -> candle_core::Result<_> {
            Ok([t.narrow(1, 0, 8)?, t.narrow(1, 8, 8)?, t.narrow(1, 16, 8)?])
        };
        let twin = |t: &[Tensor]| {
            let [q, k, v] = parts(&t[0])?;
            plain(heads, &q, &k, &v, 0).map_err(candle_core::Error::wrap)
        };
        check(
            &[all],
            |t| {
                let [q, k, v] = parts(&t[0])?;
                causal_attention(heads, [&q, &k, &v], &[7], None)
            },
            twin,
        );
    }
}
