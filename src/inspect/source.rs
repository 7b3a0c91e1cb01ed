//! What an encoder-decoder reads, what it writes from that, and where each written token looks.

use super::{Inspection, Wish, fits};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::generate::{Event, Generation};
use crate::layers::Crossed;
use crate::model::{Probe, Site};

/// What the text after `decoder_start_token_id` is.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Text(String),
    Ids(Vec<u32>),
}

/// The source of a text of `n` tokens, itself `m` tokens long.
#[derive(Clone, Debug, Default)]
pub struct SourceInspection {
    pub ids: Vec<u32>,
    /// What each token of the text is followed by, as far as that is known: where it looks it does so to write this one.
    pub labels: Vec<u32>,
    /// As `cross_attentions` of transformers, `[decoder layers, heads, n, m]`.
    pub cross_attentions: Vec<f32>,
    /// As `encoder_attentions`, `[encoder layers, heads, m, m]`.
    pub encoder_attentions: Vec<f32>,
    /// As `encoder_hidden_states`, `[encoder layers + 1, m, hidden_size]`: the last are what the decoder attends to.
    pub encoder_hidden_states: Vec<f32>,
}

/// A source that has been read.
pub(super) struct Read {
    pub target: Vec<u32>,
    pub crossed: Crossed,
    found: SourceInspection,
}

/// Reads the source `ids` with what is wished of it, and writes its text where none is given; nothing for a decoder alone.
pub(super) fn read(engine: &mut Engine, ids: &[u32], wish: &Wish) -> Result<Option<Read>> {
    let refuse = |what: &str, expected: &str| {
        let (what, expected) = (what.to_string(), expected.to_string());
        Err(Error::Unsupported { what, expected, found: engine.spec().architecture.into() })
    };
    let Some(encoder) = engine.encoder().cloned() else {
        let asks =
            wish.target.is_some() || wish.cross_attentions || wish.encoder_attentions || wish.encoder_hidden_states;
        return if asks { refuse("what an encoder reads", "an encoder-decoder") } else { Ok(None) };
    };
    if wish.attribution.is_some() || wish.internals.is_some() {
        return refuse("attribution or internals of an encoder-decoder", "a decoder-only model");
    }
    let (n, width) = (ids.len(), engine.spec().hidden_size);
    let mut probe = Probe::default();
    if wish.encoder_attentions {
        fits("encoderAttentions", encoder.layers.saturating_mul(encoder.heads).saturating_mul(n).saturating_mul(n))?;
        probe.attention = Some((0..encoder.layers).collect());
    }
    if wish.encoder_hidden_states {
        fits("encoderHiddenStates", (encoder.layers + 1).saturating_mul(n).saturating_mul(width))?;
        probe.keep(Site::Stream);
        probe.keep(Site::Norm);
    }
    let crossed = engine.decoder.encode(ids, engine.cache_type(), Some(&mut probe))?.ok_or(Error::EmptyPrompt)?;
    let mut found = SourceInspection { ids: ids.to_vec(), ..SourceInspection::default() };
    found.encoder_attentions = probe.weights.into_values().flatten().collect();
    if wish.encoder_hidden_states {
        let site = |layer| if layer < encoder.layers { Site::Stream } else { Site::Norm };
        found.encoder_hidden_states =
            (0..=encoder.layers).flat_map(|l| probe.seen.remove(&(l, site(l))).unwrap_or_default()).collect();
    }
    let mut target = engine.beginning(engine.defaults());
    let written = match &wish.target {
        Some(Target::Ids(ids)) => {
            found.labels.clone_from(ids);
            ids.clone()
        }
        Some(Target::Text(text)) => labelled(engine.tokenizer().encode_target(text)?, &mut found),
        None => labelled(greedy(engine, ids)?, &mut found),
    };
    target.extend(written);
    Ok(Some(Read { target, crossed, found }))
}

/// All but the last token, which nothing is written after.
fn labelled(mut written: Vec<u32>, found: &mut SourceInspection) -> Vec<u32> {
    found.labels.clone_from(&written);
    written.pop();
    written
}

/// What the model writes from a source, its end included.
fn greedy(engine: &mut Engine, ids: &[u32]) -> Result<Vec<u32>> {
    let mut config = engine.defaults().clone();
    (config.do_sample, config.num_beams, config.num_return_sequences) = (false, 1, 1);
    let mut generation = Generation::start(engine, ids.to_vec(), config)?;
    loop {
        if let Event::Done { mut sequences, .. } = generation.advance(engine, usize::MAX)? {
            return Ok(sequences.swap_remove(0).ids);
        }
    }
}

impl Read {
    pub(super) fn ask(&self, probe: &mut Probe, wish: &Wish, engine: &Engine) -> Result<()> {
        if wish.cross_attentions {
            let layers = engine.spec().layers;
            let values = layers.saturating_mul(engine.spec().heads).saturating_mul(self.target.len());
            fits("crossAttentions", values.saturating_mul(self.found.ids.len()))?;
            probe.cross_attention = Some((0..layers).collect());
        }
        Ok(())
    }
}

/// Puts what was seen of the source to the rest.
pub(super) fn take(found: &mut Inspection, probe: &mut Probe, source: Option<SourceInspection>) {
    found.source = source.map(|source| SourceInspection {
        cross_attentions: std::mem::take(&mut probe.cross_weights).into_values().flatten().collect(),
        ..source
    });
}

impl Read {
    /// The text, what its tokens attend to, and what was seen so far.
    pub(super) fn into_parts(self) -> (Vec<u32>, Crossed, SourceInspection) {
        (self.target, self.crossed, self.found)
    }
}
