//! What a forward pass shows of itself. Whoever looks says beforehand what to keep; nothing else is copied, and a pass
//! nobody looks at pays for nothing.

use crate::error::{Result, try_vec};
use crate::layers::with_values;
use candle_core::Tensor;
use std::collections::BTreeMap;

/// A place in a forward pass at which values can be seen, each `[rows, width]`, in the order of their computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// The embeddings of the tokens; layer 0.
    Embedding,
    /// Learned embeddings of their positions, where a model has them; layer 0.
    Position,
    /// The residual stream as a block finds it; of layer `layers`, as the last block leaves it.
    Stream,
    /// What the norm before attention makes of it.
    AttentionNorm,
    /// Queries, keys and values of all heads, rotated where a model rotates them.
    Query,
    Key,
    Value,
    /// The weighted sums of values, head beside head.
    Heads,
    /// What attention adds to the stream.
    Attention,
    /// What attention to the source adds to it, in an encoder-decoder.
    Cross,
    /// The stream with that.
    Middle,
    /// What the norm before the feed-forward part makes of it.
    FeedForwardNorm,
    /// The inner activations of the feed-forward part, after its activation function and gate.
    Inner,
    /// What the feed-forward part adds to the stream.
    FeedForward,
    /// The stream after the final norm; layer `layers`.
    Norm,
}

/// Values to keep.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub site: Site,
    /// Of this layer only, or of all.
    pub layer: Option<usize>,
    /// Of this row only, or of all.
    pub row: Option<usize>,
}

/// What is to be seen in a forward pass over one sequence, and what was seen.
#[derive(Default)]
pub struct Probe {
    pub wanted: Vec<Wanted>,
    /// Layers whose attention weights are kept; `None`: of none.
    pub attention: Option<Vec<usize>>,
    /// The same for attention to the source.
    pub cross_attention: Option<Vec<usize>>,
    /// Heads, by layer, whose output becomes zero.
    pub without: Vec<(usize, usize)>,
    /// Rows of values by layer and site, row-major.
    pub seen: BTreeMap<(usize, Site), Vec<f32>>,
    /// Attention weights by layer, `[heads, rows, positions]`.
    pub weights: BTreeMap<usize, Vec<f32>>,
    /// Those of attention to the source, `[heads, rows, source positions]`.
    pub cross_weights: BTreeMap<usize, Vec<f32>>,
}

/// Where a text attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attending {
    /// To itself.
    Within,
    /// To its source.
    Across,
}

impl Probe {
    /// Keeps the values of a site in all layers and rows.
    pub fn keep(&mut self, site: Site) {
        self.wanted.push(Wanted { site, layer: None, row: None });
    }

    /// Values that were kept.
    pub fn values(&self, layer: usize, site: Site) -> &[f32] {
        self.seen.get(&(layer, site)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn see(&mut self, layer: usize, site: Site, x: &Tensor) -> Result<()> {
        let wants = |w: &&Wanted| w.site == site && w.layer.is_none_or(|wanted| wanted == layer);
        // All rows serve whoever wants one of them as well.
        let Some(wanted) = self.wanted.iter().filter(wants).min_by_key(|w| w.row.is_some()) else { return Ok(()) };
        let row = wanted.row;
        let width = x.dims().last().copied().unwrap_or(1);
        let kept = with_values(x, |values| {
            let part = match row {
                Some(row) => values.get(row * width..(row + 1) * width).unwrap_or_default(),
                None => values,
            };
            let mut kept = try_vec(0f32, part.len(), "what is shown of the model")?;
            kept.copy_from_slice(part);
            Ok(kept)
        })?;
        self.seen.insert((layer, site), kept);
        Ok(())
    }

    /// Room for the attention weights of a layer, if they are wanted.
    pub(super) fn room(&mut self, attending: Attending, layer: usize, len: usize) -> Result<Option<&mut [f32]>> {
        let (wanted, weights) = match attending {
            Attending::Within => (&self.attention, &mut self.weights),
            Attending::Across => (&self.cross_attention, &mut self.cross_weights),
        };
        if !wanted.as_ref().is_some_and(|layers| layers.contains(&layer)) {
            return Ok(None);
        }
        weights.insert(layer, try_vec(0f32, len, "attention weights")?);
        Ok(weights.get_mut(&layer).map(Vec::as_mut_slice))
    }

    /// Sets the output of the heads that are off to zero.
    pub(super) fn silence(&self, layer: usize, dim: usize, width: usize, out: &mut [f32]) {
        for (_, head) in self.without.iter().filter(|(of, _)| *of == layer) {
            for row in out.chunks_exact_mut(width) {
                if let Some(part) = row.get_mut(head * dim..(head + 1) * dim) {
                    part.fill(0.0);
                }
            }
        }
    }
}
