//! The only generation loop. [`Generation::advance`] does one unit of work, a slice of the prompt or one token, and says
//! what came of it; whoever drives it may stop between any two.

mod beams;
mod sequence;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::layers::KvCache;
use crate::model::{Decoder, Pass, Sequence as PassSequence};
use crate::sample::{Context, GenerationConfig};
use beams::Beams;
use candle_core::Tensor;
use sequence::Sequence;
use serde::Serialize;
use std::collections::VecDeque;

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model wrote its end-of-text token.
    Eos,
    /// `max_new_tokens` or `max_length` was reached.
    Length,
    /// One of the `stop_strings` was written.
    StopString,
    /// The model's context is full.
    Context,
}

/// One finished continuation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// The new tokens, the one that ended the text included.
    pub ids: Vec<u32>,
    /// Their text, without special tokens.
    pub text: String,
    pub finish_reason: FinishReason,
    /// Beam search only: the sum of log-probabilities over length to the power of `length_penalty`.
    pub score: Option<f32>,
}

/// A beam under way.
#[derive(Clone, Debug, Serialize)]
pub struct Running {
    /// Its new tokens.
    pub ids: Vec<u32>,
    /// The sum of their log-probabilities.
    pub score: f32,
}

/// What one unit of work brought.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// `done` of `total` prompt tokens are read.
    Prefill { done: usize, total: usize },
    /// A token of one sequence, with the characters that became complete by it.
    Token { sequence: usize, id: u32, text: String },
    /// Beam search: the best text so far, which replaces the one before, and every running beam, best first.
    Preview { text: String, beams: Vec<Running> },
    /// The end. Best first with beams, else in order.
    Done { sequences: Vec<Finished>, prompt_tokens: usize, reused_tokens: usize },
}

/// When every sequence ends at the latest, and what is known of the call.
pub(crate) struct Limits {
    /// Most tokens in all by the parameters.
    pub length: usize,
    /// Most tokens in all by the model: its positions, and one more that is written but never read.
    pub context: usize,
    /// Tokens of the prompt; of an encoder-decoder those its decoder begins with.
    pub prompt: usize,
    /// What its encoder reads.
    pub source: Option<Vec<u32>>,
}

impl Limits {
    /// What the rules see of a text.
    pub fn context<'a>(&'a self, ids: &'a [u32]) -> Context<'a> {
        Context {
            ids,
            new_tokens: ids.len() - self.prompt,
            source: self.source.as_deref().unwrap_or(&ids[..self.prompt]),
            max_length: self.length,
        }
    }
}

enum Stage {
    Prefill,
    Sample(Vec<Sequence>),
    Beam(Box<Beams>),
    Over,
}

/// A running generation. It borrows the engine only while it advances.
pub struct Generation {
    config: GenerationConfig,
    prompt: Vec<u32>,
    reused: usize,
    limits: Limits,
    stage: Stage,
    events: VecDeque<Event>,
}

impl Generation {
    /// Checks parameters and prompt and takes over what the cache already holds of it. Nothing is computed yet. An
    /// encoder-decoder reads the prompt as the source of a text, which begins with `decoder_start_token_id`; lengths are
    /// those of the text.
    ///
    /// # Errors
    /// [`Error::BadParameter`], [`Error::EmptyPrompt`]; [`Error::ContextFull`] when the prompt alone is too long.
    pub fn start(engine: &mut Engine, prompt: Vec<u32>, config: GenerationConfig) -> Result<Self> {
        let spec = engine.spec();
        config.validate(spec.vocab_size)?;
        let (prompt, source) = match engine.decoder.encoder() {
            None => (prompt, None),
            Some(encoder) => {
                readable(&prompt, encoder.vocab_size, encoder.context_length)?;
                (engine.beginning(&config), Some(prompt))
            }
        };
        readable(&prompt, spec.vocab_size, spec.context_length)?;
        let (n, context) = (prompt.len(), spec.context_length);
        let length = match (config.max_new_tokens, config.max_length) {
            (Some(new), _) => n.saturating_add(new),
            (None, Some(length)) => length,
            // transformers' default max_length of 20 counts new tokens when nothing is set.
            (None, None) => (n + 20).min(context),
        };
        if n >= length {
            return Err(Error::BadParameter {
                name: "max_length".into(),
                expected: format!("more than the {n} tokens of the prompt"),
                found: length.to_string(),
            });
        }
        let reused = match &source {
            Some(source) if engine.has_read_source(source) => source.len(),
            Some(_) => 0,
            None => engine.reuse(&prompt),
        };
        if source.is_some() {
            engine.reuse(&prompt);
        }
        let limits = Limits { length, context: context.saturating_add(1), prompt: n, source };
        Ok(Self { config, prompt, reused, limits, stage: Stage::Prefill, events: VecDeque::new() })
    }

    /// Tokens of the prompt, and how many of them were still in the cache.
    pub fn prompt_tokens(&self) -> (usize, usize) {
        (self.given(), self.reused)
    }

    /// How many tokens were given: those of the prompt, or of the source.
    fn given(&self) -> usize {
        self.limits.source.as_ref().map_or(self.prompt.len(), Vec::len)
    }

    /// Does one unit of work: at most `slice` tokens of the prompt, or one token per sequence. How the prompt is sliced
    /// does not change the result. After [`Event::Done`] there is nothing more to ask for.
    pub fn advance(&mut self, engine: &mut Engine, slice: usize) -> Result<Event> {
        if let Some(event) = self.events.pop_front() {
            return Ok(event);
        }
        match &mut self.stage {
            Stage::Prefill => self.prefill(engine, slice.max(1))?,
            Stage::Sample(_) => self.sample(engine)?,
            Stage::Beam(beams) => {
                if let Some(text) = beams.step(engine, &self.config, &self.limits)? {
                    let beams = beams.running(self.limits.prompt);
                    self.events.push_back(Event::Preview { text, beams });
                } else {
                    let sequences = beams.finish(engine, &self.config, &self.limits)?;
                    self.end(sequences);
                }
            }
            Stage::Over => {}
        }
        Ok(self.events.pop_front().unwrap_or(Event::Done {
            sequences: Vec::new(),
            prompt_tokens: self.given(),
            reused_tokens: self.reused,
        }))
    }

    fn end(&mut self, sequences: Vec<Finished>) {
        self.events.push_back(Event::Done { sequences, prompt_tokens: self.given(), reused_tokens: self.reused });
        self.stage = Stage::Over;
    }

    fn prefill(&mut self, engine: &mut Engine, slice: usize) -> Result<()> {
        if let Some(source) = &self.limits.source {
            engine.read_source(source)?;
        }
        let total = self.prompt.len();
        let from = engine.read.len();
        if !self.prompt.starts_with(&engine.read) || from >= total {
            return Err(Error::BadParameter {
                name: "engine".into(),
                expected: "one that nothing else has used since this generation began".into(),
                found: "another text in its cache".into(),
            });
        }
        let to = from.saturating_add(slice).min(total);
        let hidden = engine.read_tokens(&self.prompt[from..to], total)?;
        self.events.push_back(match &self.limits.source {
            Some(source) => Event::Prefill { done: source.len(), total: source.len() },
            None => Event::Prefill { done: to, total },
        });
        if to < total {
            return Ok(());
        }
        let logits = row(&engine.decoder.logits(&hidden.narrow(0, to - from - 1, 1)?)?, 0)?;
        if self.config.num_beams > 1 {
            self.stage = Stage::Beam(Box::new(Beams::new(engine, &self.config, &self.prompt, logits)?));
            return Ok(());
        }
        let mut sequences = Vec::new();
        for index in 0..self.config.num_return_sequences {
            sequences.push(Sequence::new(engine, &self.config, &self.prompt, index, logits.clone())?);
        }
        self.stage = Stage::Sample(sequences);
        Ok(())
    }

    /// One token for every sequence that still runs. The logits to choose from are there already; those of the next
    /// token are computed only if there is one, so a caller that stops waits for nothing it will not use.
    fn sample(&mut self, engine: &mut Engine) -> Result<()> {
        let Stage::Sample(sequences) = &mut self.stage else { return Ok(()) };
        feed(engine, sequences)?;
        for (index, sequence) in sequences.iter_mut().enumerate().filter(|(_, s)| s.finished.is_none()) {
            let (id, text) = sequence.choose(engine, &self.config, &self.limits)?;
            self.events.push_back(Event::Token { sequence: index, id, text });
        }
        if let Some(sequences) = sequences.iter().map(Sequence::finished).collect() {
            self.end(sequences);
        }
        Ok(())
    }
}

/// Checks that a model can read these tokens.
fn readable(ids: &[u32], vocab_size: usize, limit: usize) -> Result<()> {
    if ids.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
        let (name, expected) = ("prompt".into(), format!("token ids below {vocab_size}"));
        return Err(Error::BadParameter { name, expected, found: id.to_string() });
    }
    if ids.len() > limit {
        return Err(Error::ContextFull { limit, found: ids.len() });
    }
    Ok(())
}

/// Feeds every running sequence its last token and stores the logits that follow it.
fn feed(engine: &mut Engine, sequences: &mut [Sequence]) -> Result<()> {
    let mut running: Vec<&mut Sequence> =
        sequences.iter_mut().filter(|s| s.finished.is_none() && s.logits.is_none()).collect();
    if running.is_empty() {
        return Ok(());
    }
    // The first sequence lives in the engine's own cache, so that the text it writes can be continued.
    let own = running.iter().position(|s| s.cache.is_none());
    let length = running.iter().map(|s| s.ids.len()).max().unwrap_or(0);
    let mut pass_sequences = Vec::with_capacity(running.len());
    let mut engine_cache = Some(&mut engine.cache);
    for sequence in &mut running {
        let Some(cache) = sequence.cache.as_mut().or_else(|| engine_cache.take()) else { continue };
        pass_sequences.push((&sequence.ids[..], cache));
    }
    let logits = match next_logits(&*engine.decoder, pass_sequences, length) {
        Ok(logits) => logits,
        Err(error) => {
            engine.forget(engine.read.len());
            return Err(error);
        }
    };
    if let Some(own) = own {
        engine.read.extend(running[own].ids.last());
        engine.longest = engine.longest.max(engine.read.len());
    }
    for (i, sequence) in running.iter_mut().enumerate() {
        sequence.logits = Some(row(&logits, i)?);
    }
    Ok(())
}

/// The logits after texts of one length, each with the cache of all but its newest token.
fn next_logits<'a>(decoder: &dyn Decoder, texts: Vec<(&'a [u32], &'a mut KvCache)>, length: usize) -> Result<Tensor> {
    let (count, anew) = (texts.len(), decoder.rereads(length));
    let mut sequences = Vec::with_capacity(count);
    for (ids, cache) in texts {
        if anew {
            cache.truncate(0);
        }
        sequences.push(PassSequence { ids: if anew { ids } else { &ids[ids.len() - 1..] }, cache });
    }
    let hidden = decoder.forward(&mut Pass::new(sequences, length))?;
    if !anew {
        return decoder.logits(&hidden);
    }
    decoder.logits(&hidden.reshape((count, length, ()))?.narrow(1, length - 1, 1)?.squeeze(1)?)
}

/// One row of a matrix as a vector.
pub(crate) fn row(matrix: &Tensor, i: usize) -> Result<Vec<f32>> {
    Ok(matrix.get(i)?.to_vec1()?)
}
