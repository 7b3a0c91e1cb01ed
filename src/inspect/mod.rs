//! Looking inside: one forward pass over a text, and what was asked to be seen of it. Everything comes from the values that
//! the model really computes, quantized or not; what is not asked for costs nothing.

mod attention;
mod choice;
mod internals;
mod lens;
mod map;
mod neighbors;
mod reading;
pub mod report;
mod score;
mod source;
mod wish;

pub use attention::{Matrix, Overview};
pub use choice::{Choice, Draw, Stage, Survivor};
pub use internals::{At, Internals};
pub use lens::{Attribution, Cell, Contribution};
pub use map::principal_plane;
pub use neighbors::Neighbor;
pub use reading::inspect_reading;
pub use score::{Expected, Scored, continuations, score};
pub use source::{SourceInspection, Target};
pub use wish::{AttentionWish, Lens, Which, Wish};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{EncoderSpec, Pass, Probe, Sequence, Site, Spec};
use crate::reader::Reader;
use crate::sample::softmax;

/// Values of one kind that are kept at most, 4 bytes each: what a view asks for is far below.
const MOST_VALUES: usize = 96 << 20;

/// A token that may come next.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub id: u32,
    pub logit: f32,
    pub probability: f32,
}

/// What was seen in a pass over a text of `n` tokens.
#[derive(Default)]
pub struct Inspection {
    /// Of an encoder-decoder what its decoder has read, `decoder_start_token_id` first.
    pub ids: Vec<u32>,
    /// What its encoder has read.
    pub source: Option<SourceInspection>,
    /// The likeliest next tokens, best first.
    pub top_k: Vec<Candidate>,
    /// Of the next token, in bits.
    pub entropy: f32,
    /// As many as were wished for, in that order; where all were, layer by layer and head by head.
    pub attention: Vec<Matrix>,
    pub overview: Option<Overview>,
    /// By row of the lens (the embeddings, then every block) and position wished for.
    pub lens: Vec<Vec<Cell>>,
    /// Lengths of the residual stream's vectors, `[layers + 1, n]`.
    pub norms: Vec<f32>,
    /// As `output_hidden_states` of transformers, `[layers + 1, n, hidden_size]`: the last are after the final norm.
    pub hidden_states: Vec<f32>,
    pub attribution: Option<Attribution>,
    /// Two coordinates for every token in every layer, `[layers + 1, n, 2]`.
    pub map: Vec<f32>,
    pub internals: Option<Internals>,
}

/// Reads a text from a fresh context and keeps what was wished for. An encoder-decoder reads it as the source of
/// [`Wish::target`] or, without one, of what it writes; everything but `source` is then of its decoder.
///
/// # Errors
/// [`Error::EmptyPrompt`], [`Error::ContextFull`]; [`Error::BadParameter`] for layers, heads, positions or tokens that the
/// model does not have, and for more values than fit; [`Error::NoCandidate`] when the logits are not numbers;
/// [`Error::Unsupported`] for what only the other kind of model has.
pub fn inspect(engine: &mut Engine, ids: &[u32], wish: &Wish) -> Result<Inspection> {
    if ids.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    let read = source::read(engine, ids, wish)?;
    let mut probe = Probe { without: wish.without.clone(), ..Probe::default() };
    if let Some(read) = &read {
        read.ask(&mut probe, wish, engine)?;
    }
    let (target, crossed, source) = match read.map(source::Read::into_parts) {
        Some((target, crossed, source)) => (target, Some(crossed), Some(source)),
        None => (ids.to_vec(), None, None),
    };
    let ids = &target[..];
    let (layers, limit) = (engine.spec().layers, engine.spec().context_length);
    if ids.len() > limit {
        return Err(Error::ContextFull { limit, found: ids.len() });
    }
    wish.check(engine.spec(), ids.len())?;
    if keep_streams(&mut probe, wish) {
        fits("hidden states", (layers + 1).saturating_mul(ids.len()).saturating_mul(engine.spec().hidden_size))?;
    }
    attention::ask(&mut probe, wish, engine.spec(), ids.len())?;
    internals::ask(&mut probe, wish, ids.len());
    lens::ask(&mut probe, wish, ids.len());

    // A cache of its own: what the engine has read for writing stays.
    let mut cache = engine.spec().cache(engine.cache_type());
    if let Some(crossed) = crossed {
        cache.cross(crossed);
    }
    let pass = Pass::new(vec![Sequence { ids, cache: &mut cache }], ids.len());
    let hidden = engine.decoder.forward(&mut pass.seen_by(&mut probe))?;
    let last = hidden.narrow(0, ids.len() - 1, 1)?;
    let logits: Vec<f32> = engine.decoder.logits(&last)?.flatten_all()?.to_vec1()?;
    let probabilities = softmax(&logits)?;

    let mut found = Inspection {
        ids: ids.to_vec(),
        top_k: best(&logits, &probabilities, wish.top_k),
        entropy: entropy(&probabilities),
        ..Inspection::default()
    };
    source::take(&mut found, &mut probe, source);
    attention::take(&mut found, &mut probe, wish, engine.spec(), ids.len());
    take_streams(&mut found, &probe, wish, engine.spec());
    if let Some(lens) = &wish.lens {
        found.lens = lens::look(engine, &probe, lens, ids.len())?;
    }
    if let Some(id) = wish.attribution {
        found.attribution = Some(lens::attribute(engine, &probe, id, &logits)?);
    }
    if wish.map {
        found.map = map::of(engine.spec(), &probe);
    }
    if let Some(at) = &wish.internals {
        found.internals = Some(internals::take(engine, &mut probe, at, ids, found.top_k.first().map(|best| best.id))?);
    }
    Ok(found)
}

/// Has the residual stream kept, where anything wished for needs it.
fn keep_streams(probe: &mut Probe, wish: &Wish) -> bool {
    let needed = wish.lens.is_some() || wish.norms || wish.hidden_states || wish.map || wish.attribution.is_some();
    if needed {
        probe.keep(Site::Stream);
        probe.keep(Site::Norm);
    }
    needed
}

fn take_streams(found: &mut Inspection, probe: &Probe, wish: &Wish, spec: &Spec) {
    let layers = spec.layers;
    if wish.norms {
        let rows = (0..=layers).flat_map(|layer| probe.values(layer, Site::Stream).chunks_exact(spec.hidden_size));
        found.norms = rows.map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt()).collect();
    }
    if wish.hidden_states {
        (0..layers).for_each(|layer| found.hidden_states.extend_from_slice(probe.values(layer, Site::Stream)));
        found.hidden_states.extend_from_slice(probe.values(layers, Site::Norm));
    }
}

/// A model that is looked into, whether it reads or writes.
pub trait Shown {
    fn spec(&self) -> &Spec;

    /// What a token is called where it is shown: its text, or its name if it is a special one.
    fn token_text(&self, id: u32) -> String;

    /// The same of a token of a source, which may have a vocabulary of its own.
    fn source_text(&self, id: u32) -> String {
        self.token_text(id)
    }

    /// What reads the source of an encoder-decoder.
    fn encoder(&self) -> Option<&EncoderSpec> {
        None
    }
}

impl Shown for Engine {
    fn spec(&self) -> &Spec {
        Engine::spec(self)
    }

    fn token_text(&self, id: u32) -> String {
        self.tokenizer.shown(id)
    }

    fn source_text(&self, id: u32) -> String {
        self.tokenizer().source_text(id)
    }

    fn encoder(&self) -> Option<&EncoderSpec> {
        Engine::encoder(self)
    }
}

impl Shown for Reader {
    fn spec(&self) -> &Spec {
        Reader::spec(self)
    }

    fn token_text(&self, id: u32) -> String {
        self.tokenizer.shown(id)
    }
}

impl Engine {
    /// The tokens that most resemble one by the angle between their embeddings, itself left out.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for a token that the model does not have.
    pub fn neighbors(&self, id: u32, count: usize) -> Result<Vec<Neighbor>> {
        neighbors::of(self, id, count)
    }

    /// How the token after `ids` is chosen, rule by rule, `drawn` draws of that seed having gone before; `shown` of the
    /// likeliest tokens are followed, and the one that is drawn.
    ///
    /// # Errors
    /// As [`Generation::start`](crate::generate::Generation::start), and [`Error::NoCandidate`].
    pub fn choice(
        &mut self,
        ids: &[u32],
        new_tokens: usize,
        config: &crate::sample::GenerationConfig,
        shown: usize,
    ) -> Result<Choice> {
        choice::of(self, ids, new_tokens, config, shown)
    }

    /// What a token is called where it is shown: its text, or its name if it is a special one.
    pub fn token_text(&self, id: u32) -> String {
        self.tokenizer.shown(id)
    }
}

/// The `count` best by their logits, best first; of equals the lower id goes before.
fn best(logits: &[f32], probabilities: &[f32], count: usize) -> Vec<Candidate> {
    let order = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    let count = count.min(ids.len());
    if 0 < count && count < ids.len() {
        ids.select_nth_unstable_by(count - 1, order);
    }
    ids.truncate(count);
    ids.sort_unstable_by(order);
    ids.into_iter()
        .map(|id| Candidate { id, logit: logits[id as usize], probability: probabilities[id as usize] })
        .collect()
}

/// Of a distribution, in bits (Shannon 1948).
fn entropy(probabilities: &[f32]) -> f32 {
    let bits = probabilities.iter().filter(|p| **p > 0.0).map(|&p| -f64::from(p) * libm::log2(f64::from(p)));
    bits.sum::<f64>() as f32
}

/// Refuses to keep more values than a page can hold.
fn fits(what: &str, values: usize) -> Result<()> {
    if values <= MOST_VALUES {
        return Ok(());
    }
    let expected = format!("at most {MOST_VALUES} values: a shorter text, or fewer layers and heads");
    Err(Error::BadParameter { name: what.into(), expected, found: values.to_string() })
}
