//! What each layer would say next, and what each part of the model adds to what it says in the end.

use super::{Candidate, Lens, Wish, best, entropy};
use crate::engine::Engine;
use crate::error::Result;
use crate::layers::rows;
use crate::model::{Probe, Site, Spec, probe::Wanted};
use crate::sample::softmax;

/// Rows of logits that are computed at once.
const AT_ONCE: usize = 32;

/// What a layer would say after one position.
#[derive(Clone, Debug)]
pub struct Cell {
    pub position: usize,
    pub top: Vec<Candidate>,
    /// In bits.
    pub entropy: f32,
    /// The token that the last layer finds likeliest there: its place here (0 is first) and its probability.
    pub rank: usize,
    pub probability: f32,
}

/// What the parts of the model add to the logit of a token after the last position (direct logit attribution, Elhage et
/// al. 2021): the final norm's scale is held fixed, so the parts add up to the logit.
#[derive(Clone, Debug)]
pub struct Attribution {
    pub id: u32,
    pub logit: f32,
    pub parts: Vec<Contribution>,
}

#[derive(Clone, Debug)]
pub struct Contribution {
    pub site: Site,
    /// Of attention and feed-forward parts.
    pub layer: Option<usize>,
    pub value: f32,
}

pub(super) fn ask(probe: &mut Probe, wish: &Wish, n: usize) {
    if wish.attribution.is_some() {
        for site in [Site::Embedding, Site::Position, Site::Attention, Site::FeedForward] {
            probe.wanted.push(Wanted { site, layer: None, row: Some(n - 1) });
        }
    }
}

/// Rows: the embeddings, then the stream after every block.
pub(super) fn look(engine: &Engine, probe: &Probe, lens: &Lens, n: usize) -> Result<Vec<Vec<Cell>>> {
    let width = engine.spec().hidden_size;
    table(engine.spec(), lens, n, |layer, positions| {
        let stream = probe.values(layer, Site::Stream);
        let picked: Vec<f32> = positions.iter().flat_map(|p| &stream[p * width..(p + 1) * width]).copied().collect();
        let normed = engine.decoder.norm().forward(&rows(picked, positions.len())?)?;
        Ok(engine.decoder.logits(&normed)?.to_vec2()?)
    })
}

/// The cells of a lens; `say` gives the logits of a layer at some positions.
pub(super) fn table(
    spec: &Spec,
    lens: &Lens,
    n: usize,
    say: impl Fn(usize, &[usize]) -> Result<Vec<Vec<f32>>>,
) -> Result<Vec<Vec<Cell>>> {
    let layers = spec.layers;
    let positions: Vec<usize> = lens.positions.clone().unwrap_or_else(|| (0..n).collect());
    let mut table: Vec<Vec<Cell>> = (0..=layers).map(|_| Vec::with_capacity(positions.len())).collect();
    // From the last layer down, because the others are compared with what it says.
    let mut final_ids: Vec<u32> = Vec::new();
    for layer in (0..=layers).rev() {
        for positions in positions.chunks(AT_ONCE) {
            for (logits, &position) in say(layer, positions)?.iter().zip(positions) {
                let probabilities = softmax(logits)?;
                let top = best(logits, &probabilities, lens.top);
                let at = table[layer].len();
                if layer == layers {
                    final_ids.extend(top.first().map(|best| best.id));
                }
                let id = final_ids.get(at).copied().unwrap_or_default() as usize;
                table[layer].push(Cell {
                    position,
                    top,
                    entropy: entropy(&probabilities),
                    rank: logits.iter().filter(|logit| **logit > logits[id]).count(),
                    probability: probabilities[id],
                });
            }
        }
    }
    Ok(table)
}

pub(super) fn attribute(engine: &Engine, probe: &Probe, id: u32, logits: &[f32]) -> Result<Attribution> {
    let (layers, width) = (engine.spec().layers, engine.spec().hidden_size);
    let (norm, row) = (engine.decoder.norm(), engine.decoder.head().row(id)?);
    let stream = probe.values(layers, Site::Stream);
    let whole = &stream[stream.len() - width..];
    let dot = |x: &[f32]| x.iter().zip(&row).map(|(x, w)| f64::from(x * w)).sum::<f64>() as f32;
    let mut parts = Vec::new();
    for site in [Site::Embedding, Site::Position] {
        let part = probe.values(0, site);
        if !part.is_empty() {
            parts.push(Contribution { site, layer: None, value: dot(&norm.of_part(whole, part)?) });
        }
    }
    for layer in 0..layers {
        for site in [Site::Attention, Site::FeedForward] {
            let value = dot(&norm.of_part(whole, probe.values(layer, site))?);
            parts.push(Contribution { site, layer: Some(layer), value });
        }
    }
    if let Some(bias) = norm.bias()? {
        parts.push(Contribution { site: Site::Norm, layer: None, value: dot(&bias) });
    }
    Ok(Attribution { id, logit: logits[id as usize], parts })
}
