//! Where heads look: their weights, and small pictures of all of them.

use super::{AttentionWish, Inspection, Which, Wish, fits};
use crate::error::Result;
use crate::model::{Probe, Spec};

/// The attention weights of a head, or of all heads of a layer together.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub layer: usize,
    pub which: Which,
    /// `[n, n]`: how much of position `k` flows into position `q`, row `q`. Rows add up to one, but those of a maximum.
    pub values: Vec<f32>,
}

/// Every head in small.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Cells a side.
    pub cells: usize,
    /// The largest weight in each cell, `[layers, heads, cells, cells]`.
    pub values: Vec<f32>,
    /// By layer and head the mean, over all positions but the first, of the weight on the first token, on the one before, and
    /// on itself: `[layers, heads, 3]`.
    pub habits: Vec<f32>,
}

pub(super) fn ask(probe: &mut Probe, wish: &Wish, spec: &Spec, n: usize) -> Result<()> {
    let layers: Vec<usize> = match (&wish.attention, wish.overview) {
        (AttentionWish::All, _) | (_, Some(_)) => (0..spec.layers).collect(),
        (AttentionWish::Some(heads), None) => {
            let mut layers: Vec<usize> = heads.iter().map(|(layer, _)| *layer).collect();
            layers.sort_unstable();
            layers.dedup();
            layers
        }
        (AttentionWish::None, None) => Vec::new(),
    };
    if !layers.is_empty() {
        fits("attention", layers.len().saturating_mul(spec.heads).saturating_mul(n).saturating_mul(n))?;
        probe.attention = Some(layers);
    }
    Ok(())
}

pub(super) fn take(found: &mut Inspection, probe: &mut Probe, wish: &Wish, spec: &Spec, n: usize) {
    let all = |probe: &Probe, layer: usize| probe.weights.get(&layer).cloned().unwrap_or_default();
    if let Some(cells) = wish.overview {
        let cells = cells.min(n);
        let mut overview = Overview { cells, values: Vec::new(), habits: Vec::new() };
        for layer in 0..spec.layers {
            let weights = probe.weights.get(&layer).map_or(&[][..], Vec::as_slice);
            for head in weights.chunks_exact((n * n).max(1)) {
                overview.values.extend(shrunk(head, n, cells));
                overview.habits.extend(habits(head, n));
            }
        }
        found.overview = Some(overview);
    }
    match &wish.attention {
        AttentionWish::None => {}
        AttentionWish::All => {
            for layer in 0..spec.layers {
                let weights = probe.weights.remove(&layer).unwrap_or_default();
                for (head, values) in weights.chunks_exact((n * n).max(1)).enumerate() {
                    found.attention.push(Matrix { layer, which: Which::Head(head), values: values.to_vec() });
                }
            }
        }
        AttentionWish::Some(heads) => {
            for &(layer, which) in heads {
                let weights = all(probe, layer);
                let heads = weights.chunks_exact((n * n).max(1));
                let values = match which {
                    Which::Head(head) => heads.clone().nth(head).unwrap_or_default().to_vec(),
                    Which::Mean => {
                        let share = 1.0 / spec.heads as f32;
                        together(heads, n, |sum, weight| sum + weight * share)
                    }
                    Which::Max => together(heads, n, f32::max),
                };
                found.attention.push(Matrix { layer, which, values });
            }
        }
    }
}

fn together<'a>(heads: impl Iterator<Item = &'a [f32]>, n: usize, join: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let mut all = vec![0f32; n * n];
    for head in heads {
        all.iter_mut().zip(head).for_each(|(all, weight)| *all = join(*all, *weight));
    }
    all
}

/// The largest weight of each of `cells` by `cells` parts.
fn shrunk(head: &[f32], n: usize, cells: usize) -> Vec<f32> {
    let mut small = vec![0f32; cells * cells];
    for (q, row) in head.chunks_exact(n).enumerate() {
        for (k, weight) in row.iter().enumerate() {
            let cell = &mut small[q * cells / n * cells + k * cells / n];
            *cell = cell.max(*weight);
        }
    }
    small
}

fn habits(head: &[f32], n: usize) -> [f32; 3] {
    let mut sums = [0f32; 3];
    for (q, row) in head.chunks_exact(n).enumerate().skip(1) {
        for (sum, k) in sums.iter_mut().zip([0, q - 1, q]) {
            *sum += row[k];
        }
    }
    sums.map(|sum| sum / n.saturating_sub(1).max(1) as f32)
}
