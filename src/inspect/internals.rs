//! The numbers of one token on its way through one block and one head.

use super::Wish;
use crate::engine::Engine;
use crate::error::Result;
use crate::model::{Probe, Site, probe::Wanted};

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    pub layer: usize,
    pub head: usize,
    pub position: usize,
}

/// What was computed there. Vectors are those of the position, of the head where they belong to one.
#[derive(Clone, Debug)]
pub struct Internals {
    pub at: At,
    /// Vectors by the names of the JavaScript API.
    pub vectors: Vec<(&'static str, Vec<f32>)>,
    /// Keys and values that the head looks at, `[position + 1, head_dim]` each.
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
    /// What the softmax makes of `scores`, a vector of its own: `[position + 1]`.
    pub weights: Vec<f32>,
    /// Mean and variance of the residual stream before the block.
    pub mean: f32,
    pub variance: f32,
}

/// Sites of the block, with the names of their vectors.
const OF_BLOCK: [(Site, &str); 8] = [
    (Site::Stream, "stream"),
    (Site::AttentionNorm, "attentionNorm"),
    (Site::Heads, "heads"),
    (Site::Attention, "attention"),
    (Site::Middle, "middle"),
    (Site::FeedForwardNorm, "feedForwardNorm"),
    (Site::Inner, "inner"),
    (Site::FeedForward, "feedForward"),
];

pub(super) fn ask(probe: &mut Probe, wish: &Wish, n: usize) {
    let Some(At { layer, position, .. }) = wish.internals else { return };
    let row = |site, layer| Wanted { site, layer: Some(layer), row: Some(position) };
    probe.wanted.extend(OF_BLOCK.map(|(site, _)| row(site, layer)));
    probe.wanted.extend([row(Site::Embedding, 0), row(Site::Position, 0), row(Site::Query, layer)]);
    probe.wanted.extend([Site::Key, Site::Value].map(|site| Wanted { site, layer: Some(layer), row: None }));
    probe.keep(Site::Norm);
    let layers = probe.attention.get_or_insert_default();
    if !layers.contains(&layer) {
        layers.push(layer);
    }
    debug_assert!(position < n);
}

/// `next`: the likeliest next token, whose row of the output head is shown.
pub(super) fn take(engine: &Engine, probe: &mut Probe, at: &At, ids: &[u32], next: Option<u32>) -> Result<Internals> {
    let spec = engine.spec();
    let (n, dim, width) = (ids.len(), spec.head_dim, spec.hidden_size);
    let At { layer, head, position } = *at;
    // A site may have been kept for all rows, or for this one.
    let row = |layer: usize, site: Site, width: usize| {
        let values = probe.values(layer, site);
        let from = if values.len() > width { position * width } else { 0 };
        values.get(from..from + width).unwrap_or_default().to_vec()
    };
    let width_of = |site: Site| match site {
        Site::Heads => spec.heads * dim,
        Site::Inner => spec.form.inner_size,
        _ => width,
    };
    let part = |values: Vec<f32>, head: usize| values.get(head * dim..(head + 1) * dim).unwrap_or_default().to_vec();
    let mut vectors =
        vec![("embedding", row(0, Site::Embedding, width)), ("positionEmbedding", row(0, Site::Position, width))];
    vectors.extend(OF_BLOCK.map(|(site, name)| {
        let values = row(layer, site, width_of(site));
        (name, if site == Site::Heads { part(values, head) } else { values })
    }));
    let query = part(row(layer, Site::Query, spec.heads * dim), head);
    let of_group = |site: Site| -> Vec<f32> {
        let group = head / (spec.heads / spec.key_value_heads);
        let rows = probe.values(layer, site).chunks_exact(spec.key_value_heads * dim).take(position + 1);
        rows.flat_map(|row| &row[group * dim..(group + 1) * dim]).copied().collect()
    };
    let (keys, values) = (of_group(Site::Key), of_group(Site::Value));
    let dot = |key: &[f32]| key.iter().zip(&query).map(|(k, q)| k * q).sum::<f32>();
    // Keys before the window have no weight, whatever their score would be.
    let window = spec.form.layers.get(layer).and_then(|layer| layer.window).unwrap_or(usize::MAX);
    let first = (position + 1).saturating_sub(window);
    let score = |(i, key)| if i < first { f32::NEG_INFINITY } else { dot(key) * spec.form.attention_scale };
    let scores = keys.chunks_exact(dim).enumerate().map(score).collect();
    let weights = probe.weights.get(&layer).and_then(|all| all.get((head * n + position) * n..)?.get(..position + 1));
    let weights = weights.unwrap_or_default().to_vec();
    let stream = row(layer, Site::Stream, width);
    let mean = stream.iter().sum::<f32>() / width as f32;
    let variance = stream.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width as f32;
    vectors.push(("query", query));
    vectors.push(("scores", scores));
    vectors.push(("norm", row(spec.layers, Site::Norm, width)));
    if let Some(next) = next {
        vectors.push(("unembedding", engine.decoder.head().row(next)?));
    }
    Ok(Internals { at: *at, vectors, keys, values, weights, mean, variance })
}
