//! One forward pass over a batch of sequences: where each is, what it attends to, and who looks on.

use super::{Attending, Probe, Site};
use crate::error::{Error, Result};
use crate::kernels::CacheType;
use crate::kernels::attention::{Heads, Held, Relative, attention};
use crate::kernels::tracked::{self, Mask};
use crate::layers::{KvCache, Norm, rows, with_values};
use crate::train::Random;
use candle_core::Tensor;
use std::sync::Arc;

/// The new tokens of one sequence and what it has been through already.
pub struct Sequence<'a> {
    pub ids: &'a [u32],
    pub cache: &'a mut KvCache,
}

/// One forward pass: a batch of sequences, each with its own cache or, when they are read whole, with none.
pub struct Pass<'a> {
    sequences: Vec<(&'a [u32], Option<&'a mut KvCache>)>,
    /// Positions each sequence held before the pass.
    past: Vec<usize>,
    length: usize,
    dropout: Option<Dropout>,
    /// Calls of [`Self::dropout`] so far.
    dropped: u64,
    probe: Option<&'a mut Probe>,
}

/// What decides which activations a training pass drops.
pub struct Dropout {
    pub seed: u64,
    /// Counts the forward passes of a run.
    pub pass: u64,
}

impl<'a> Pass<'a> {
    /// A pass over these sequences. When a prompt is read in slices, `length` is that of the whole prompt, which some
    /// kinds of rotary scaling depend on; else the length after the pass.
    pub fn new(sequences: Vec<Sequence<'a>>, length: usize) -> Self {
        let past: Vec<_> = sequences.iter().map(|s| s.cache.len()).collect();
        let reached = sequences.iter().zip(&past).map(|(s, past)| past + s.ids.len()).max().unwrap_or(0);
        let sequences = sequences.into_iter().map(|s| (s.ids, Some(s.cache))).collect();
        Self { sequences, past, length: length.max(reached), dropout: None, dropped: 0, probe: None }
    }

    /// The same pass, looked at.
    pub fn seen_by(mut self, probe: &'a mut Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Shows values `[rows, width]` to whoever looks.
    pub fn see(&mut self, layer: usize, site: Site, x: &Tensor) -> Result<()> {
        match &mut self.probe {
            Some(probe) => probe.see(layer, site, x),
            None => Ok(()),
        }
    }

    /// What follows the last of `layers` blocks: the stream as it leaves it, normed.
    pub fn end(&mut self, layers: usize, x: &Tensor, norm: &Norm) -> Result<Tensor> {
        self.see(layers, Site::Stream, x)?;
        let normed = norm.forward(x)?;
        self.see(layers, Site::Norm, &normed)?;
        Ok(normed)
    }

    /// A pass over whole sequences of which nothing is kept but, where weights are tracked, their gradients.
    pub fn whole(sequences: impl IntoIterator<Item = &'a [u32]>, dropout: Option<Dropout>) -> Self {
        let sequences: Vec<_> = sequences.into_iter().map(|ids| (ids, None)).collect();
        let length = sequences.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        Self { past: vec![0; sequences.len()], sequences, length, dropout, dropped: 0, probe: None }
    }

    /// The new tokens of all sequences, one row each.
    pub fn ids(&self) -> Vec<u32> {
        self.sequences.iter().flat_map(|(ids, _)| ids.iter().copied()).collect()
    }

    /// The position of each row in its sequence.
    pub fn positions(&self) -> Vec<u32> {
        let spans = self.sequences.iter().zip(&self.past);
        spans.flat_map(|((ids, _), &past)| (past..past + ids.len()).map(|p| p as u32)).collect()
    }

    /// How long the text is once the whole prompt is read.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Drops activations with probability `p` and scales the others up, in training; else changes nothing.
    pub fn dropout(&mut self, x: Tensor, p: f32) -> Result<Tensor> {
        match self.mask(p) {
            Some(mask) => tracked::dropout(&x, mask),
            None => Ok(x),
        }
    }

    /// What the next dropout of probability `p` drops.
    fn mask(&mut self, p: f32) -> Option<Mask> {
        let Dropout { seed, pass } = self.dropout.as_ref().filter(|_| p > 0.0)?;
        let stream = Random::new(*seed, &format!("dropout {pass} {}", self.dropped));
        self.dropped += 1;
        Some(Mask { p, stream })
    }

    /// The lengths of the sequences, where every one is read whole and nothing is cached: then gradients may flow.
    fn trained_lengths(&self, heads: Heads) -> Result<Option<Vec<usize>>> {
        if self.sequences.iter().all(|(_, cache)| cache.is_some()) {
            return Ok(None);
        }
        if !heads.reach.is_causal(self.length) {
            return Err(Error::Unsupported {
                what: "training with this attention".into(),
                expected: "every token sees all before it".into(),
                found: format!("{:?} for {} tokens", heads.reach, self.length),
            });
        }
        Ok(Some(self.sequences.iter().map(|(ids, _)| ids.len()).collect()))
    }

    /// As [`Self::attend`] for queries, keys and values side by side, `[rows, (query + 2 · key_value) · dim]`.
    pub fn attend_joined(&mut self, layer: usize, heads: Heads, dropout: f32, qkv: &Tensor) -> Result<Tensor> {
        if let Some(lengths) = self.trained_lengths(heads)? {
            return tracked::joined_causal_attention(heads, qkv, &lengths, self.mask(dropout));
        }
        let (q_width, kv_width) = (heads.query * heads.dim, heads.key_value * heads.dim);
        let (k, v) = (qkv.narrow(1, q_width, kv_width)?, qkv.narrow(1, q_width + kv_width, kv_width)?);
        self.attend_biased(layer, heads, None, [&qkv.narrow(1, 0, q_width)?, &k, &v])
    }

    /// Adds keys and values (`[rows, key_value · dim]`) to the caches and attends with `q` (`[rows, query · dim]`). In
    /// training, attention weights are dropped with probability `dropout`.
    pub fn attend(&mut self, layer: usize, heads: Heads, dropout: f32, qkv: [&Tensor; 3]) -> Result<Tensor> {
        match self.trained_lengths(heads)? {
            Some(lengths) => tracked::causal_attention(heads, qkv, &lengths, self.mask(dropout)),
            None => self.attend_biased(layer, heads, None, qkv),
        }
    }

    /// [`Self::attend`] outside of training, with something added to the scores by distance.
    pub fn attend_biased(
        &mut self,
        layer: usize,
        heads: Heads,
        bias: Option<&Relative>,
        [q, k, v]: [&Tensor; 3],
    ) -> Result<Tensor> {
        self.see_all(layer, [q, k, v])?;
        let width = heads.key_value * heads.dim;
        with_values(k, |k| {
            with_values(v, |v| {
                let mut row = 0;
                for (ids, cache) in &mut self.sequences {
                    let new = row * width..(row + ids.len()) * width;
                    row += ids.len();
                    let Some(cache) = cache else { continue };
                    cache.append(layer, &k[new.clone()], &v[new])?;
                }
                Ok(())
            })
        })?;
        let cached = self.sequences.iter().zip(&self.past);
        let cached = cached.filter_map(|((ids, cache), &past)| {
            cache.as_ref().map(|cache| Share { rows: ids.len(), past, held: cache.layer(layer) })
        });
        attend_within(self.probe.as_deref_mut(), layer, heads, q, bias, &cached.collect::<Vec<_>>())
    }

    /// Attends to sequences that are read whole and of which nothing is kept; shapes as for [`Self::attend`].
    pub fn attend_whole(
        &mut self,
        layer: usize,
        heads: Heads,
        bias: Option<&Relative>,
        [q, k, v]: [Tensor; 3],
    ) -> Result<Tensor> {
        self.see_all(layer, [&q, &k, &v])?;
        let width = heads.key_value * heads.dim;
        let held = with_values(&k, |k| {
            with_values(&v, |v| {
                let mut row = 0;
                let split = |(ids, _): &(&[u32], _)| {
                    let own = row * width..(row + ids.len()) * width;
                    row += ids.len();
                    Held::split(CacheType::F32, heads, &k[own.clone()], &v[own])
                };
                self.sequences.iter().map(split).collect::<Result<Vec<_>>>()
            })
        })?;
        let shares = self.sequences.iter().zip(&held).map(|((ids, _), held)| Share { rows: ids.len(), past: 0, held });
        drop((k, v));
        attend_within(self.probe.as_deref_mut(), layer, heads, &q, bias, &shares.collect::<Vec<_>>())
    }

    /// Attends with `q` (`[rows, query · dim]`) to what the caches hold of the source texts.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`] where no source was read.
    pub fn attend_across(&mut self, layer: usize, heads: Heads, q: &Tensor) -> Result<Tensor> {
        let share = |((ids, cache), &past): (&(&[u32], Option<&'a mut KvCache>), &usize)| {
            let crossed = cache.as_ref().and_then(|cache| cache.crossed()).ok_or(Error::EmptyPrompt)?;
            Ok((ids.len(), past, Arc::clone(crossed)))
        };
        let sources = self.sequences.iter().zip(&self.past).map(share).collect::<Result<Vec<_>>>()?;
        let shares =
            sources.iter().map(|(rows, past, crossed)| Share { rows: *rows, past: *past, held: crossed.layer(layer) });
        let look = self.probe.as_deref_mut().map(|probe| (probe, Attending::Across));
        attend_to(look, layer, heads, q, None, &shares.collect::<Vec<_>>())
    }

    fn see_all(&mut self, layer: usize, qkv: [&Tensor; 3]) -> Result<()> {
        [Site::Query, Site::Key, Site::Value].into_iter().zip(qkv).try_for_each(|(site, x)| self.see(layer, site, x))
    }
}

/// One sequence's share of an attention call.
struct Share<'a> {
    rows: usize,
    past: usize,
    held: &'a [Held],
}

/// Attends to the texts themselves and shows what came of it.
fn attend_within(
    mut probe: Option<&mut Probe>,
    layer: usize,
    heads: Heads,
    q: &Tensor,
    bias: Option<&Relative>,
    shares: &[Share],
) -> Result<Tensor> {
    let look = probe.as_deref_mut().map(|probe| (probe, Attending::Within));
    let attended = attend_to(look, layer, heads, q, bias, shares)?;
    if let Some(probe) = probe {
        probe.see(layer, Site::Heads, &attended)?;
    }
    Ok(attended)
}

fn attend_to(
    mut look: Option<(&mut Probe, Attending)>,
    layer: usize,
    heads: Heads,
    q: &Tensor,
    bias: Option<&Relative>,
    shares: &[Share],
) -> Result<Tensor> {
    let width = heads.query * heads.dim;
    with_values(q, |q| {
        let mut out = Vec::with_capacity(q.len());
        let mut row = 0;
        for Share { rows, past, held } in shares {
            let end = row + rows;
            let total = held.first().map_or(0, |head| head.len(heads.dim));
            let weights = match &mut look {
                Some((probe, attending)) => probe.room(*attending, layer, heads.query * rows * total)?,
                None => None,
            };
            out.extend(attention(heads, &q[row * width..end * width], held, *past, bias, weights)?);
            row = end;
        }
        if let Some((probe, Attending::Within)) = look {
            probe.silence(layer, heads.dim, width, &mut out);
        }
        rows(out, row)
    })
}
