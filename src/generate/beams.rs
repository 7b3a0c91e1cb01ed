//! Beam search as transformers' `_beam_search` does it, sampled beams included.

use super::sequence::{StopStrings, ends};
use super::{FinishReason, Finished, Limits, Running, next_logits, row};
use crate::engine::Engine;
use crate::error::Result;
use crate::layers::KvCache;
use crate::sample::{Dice, EarlyStopping, GenerationConfig, apply_rules, log_softmax};

/// What transformers adds to a score to put it behind every real one.
const LAST: f32 = -1e9;

/// A running beam.
struct Beam {
    ids: Vec<u32>,
    /// Sum of the log-probabilities of its new tokens.
    score: f32,
    cache: KvCache,
    logits: Vec<f32>,
    stops: StopStrings,
}

/// A continuation of a beam by one token.
struct Candidate {
    beam: usize,
    token: u32,
    score: f32,
    ends: Option<FinishReason>,
    stops: StopStrings,
}

/// A place among the `num_beams` best finished sequences; an empty one has a score that puts it last.
#[derive(Clone)]
struct Slot {
    ids: Vec<u32>,
    score: f32,
    reason: Option<FinishReason>,
}

/// A beam search under way.
pub struct Beams {
    running: Vec<Beam>,
    finished: Vec<Slot>,
    can_improve: bool,
    over: bool,
    dice: Dice,
}

impl Beams {
    /// All beams begin as the prompt, and all but the first with a score that keeps their copies out.
    pub fn new(engine: &Engine, config: &GenerationConfig, prompt: &[u32], logits: Vec<f32>) -> Result<Self> {
        let stops = StopStrings::new(&engine.tokenizer, config, prompt);
        // The first step has one real beam; its children take its cache over.
        let first = Beam { ids: prompt.to_vec(), score: 0.0, cache: engine.cache.try_clone()?, logits, stops };
        let empty = Slot { ids: prompt.to_vec(), score: LAST, reason: None };
        Ok(Self {
            running: vec![first],
            finished: vec![empty; config.num_beams],
            can_improve: true,
            over: false,
            dice: Dice::new(config.seed.unwrap_or(0), 0),
        })
    }

    /// Extends every beam by one token. Returns the best text so far, or nothing when the search is over.
    pub fn step(&mut self, engine: &mut Engine, config: &GenerationConfig, limits: &Limits) -> Result<Option<String>> {
        if self.over {
            return Ok(None);
        }
        let candidates = self.candidates(engine, config, limits)?;
        let all_end = candidates.iter().all(|c| c.ends.is_some());
        self.record(&candidates, config, limits);
        self.go_on(candidates, config.num_beams)?;
        self.over = self.is_over(config, limits, all_end);
        if !self.over {
            self.feed(engine)?;
        }
        let best = match (&self.finished[0], &self.running[0]) {
            (done, _) if done.reason.is_some() => &done.ids,
            (_, beam) => &beam.ids,
        };
        text_after(engine, best, limits.prompt).map(Some)
    }

    /// The beams as they are now, best first.
    pub fn running(&self, prompt: usize) -> Vec<Running> {
        let one = |beam: &Beam| Running { ids: beam.ids[prompt..].to_vec(), score: beam.score };
        self.running.iter().map(one).collect()
    }

    /// The best extensions of all beams, best first: enough of them that `num_beams` go on even if all others end.
    fn candidates(&mut self, engine: &Engine, config: &GenerationConfig, limits: &Limits) -> Result<Vec<Candidate>> {
        let wanted = (1 + config.eos_token_id.len()).max(2) * config.num_beams;
        let mut all: Vec<(f32, usize, u32)> = Vec::new();
        for (index, beam) in self.running.iter_mut().enumerate() {
            let mut scores = std::mem::take(&mut beam.logits);
            log_softmax(&mut scores)?;
            apply_rules(config, &limits.context(&beam.ids), &mut scores)?;
            all.extend(scores.iter().enumerate().map(|(token, score)| (beam.score + score, index, token as u32)));
        }
        // Drawing without replacement by adding Gumbel noise and taking the best (Kool et al. 2019).
        let mut keyed: Vec<(f32, usize)> = if config.do_sample {
            let noisy = all.iter().enumerate().map(|(i, (score, ..))| {
                let gumbel = -libm::log(-libm::log(self.dice.uniform().max(f64::MIN_POSITIVE))) as f32;
                (score + gumbel, i)
            });
            noisy.collect()
        } else {
            all.iter().enumerate().map(|(i, (score, ..))| (*score, i)).collect()
        };
        let order = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let wanted = wanted.min(keyed.len());
        if wanted < keyed.len() {
            keyed.select_nth_unstable_by(wanted - 1, order);
            keyed.truncate(wanted);
        }
        keyed.sort_unstable_by(order);
        let candidate = |(_, i): (f32, usize)| -> Candidate {
            let (score, beam, token) = all[i];
            let parent = &self.running[beam];
            let mut stops = parent.stops.clone();
            let stopped = stops.push(&engine.tokenizer, token);
            let ends = ends(config, limits, token, parent.ids.len() + 1, stopped);
            Candidate { beam, token, score, ends, stops }
        };
        Ok(keyed.into_iter().map(candidate).collect())
    }

    /// Merges the candidates that end, if they are among the first `num_beams`, into the finished sequences.
    fn record(&mut self, candidates: &[Candidate], config: &GenerationConfig, limits: &Limits) {
        let closed = self.is_closed(config);
        for candidate in candidates.iter().take(config.num_beams).filter(|c| c.ends.is_some()) {
            let mut ids = self.running[candidate.beam].ids.clone();
            ids.push(candidate.token);
            let mut score = candidate.score / length_factor(ids.len() - limits.prompt, config.length_penalty);
            score += if closed { LAST } else { 0.0 };
            score += if self.can_improve { 0.0 } else { LAST };
            self.finished.push(Slot { ids, score, reason: candidate.ends });
        }
        // Stable: of equals the earlier finished stays first.
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(config.num_beams);
    }

    /// The best candidates that do not end become the running beams.
    fn go_on(&mut self, mut candidates: Vec<Candidate>, num_beams: usize) -> Result<()> {
        for candidate in &mut candidates {
            candidate.score += if candidate.ends.is_some() { LAST } else { 0.0 };
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        candidates.truncate(num_beams);
        let mut caches: Vec<Option<KvCache>> = Vec::new();
        let mut parents: Vec<Vec<u32>> = Vec::new();
        for beam in self.running.drain(..) {
            caches.push(Some(beam.cache));
            parents.push(beam.ids);
        }
        // A cache moves to the last beam that needs it and is copied for the others; those nobody needs go first.
        let mut children = vec![0; parents.len()];
        candidates.iter().for_each(|c| children[c.beam] += 1);
        caches.iter_mut().zip(&children).filter(|(_, children)| **children == 0).for_each(|(cache, _)| *cache = None);
        for candidate in candidates {
            children[candidate.beam] -= 1;
            let slot = &mut caches[candidate.beam];
            let cache = match children[candidate.beam] {
                0 => slot.take(),
                _ => slot.as_ref().map(KvCache::try_clone).transpose()?,
            };
            let Some(cache) = cache else { continue };
            let mut ids = parents[candidate.beam].clone();
            ids.push(candidate.token);
            let Candidate { score, stops, .. } = candidate;
            self.running.push(Beam { ids, score, cache, logits: Vec::new(), stops });
        }
        Ok(())
    }

    fn is_over(&mut self, config: &GenerationConfig, limits: &Limits, all_end: bool) -> bool {
        let new_tokens = self.running[0].ids.len() - limits.prompt;
        let optimistic = config.early_stopping == EarlyStopping::Never && config.length_penalty > 0.0;
        let length = if optimistic { limits.length.min(limits.context) - limits.prompt } else { new_tokens };
        let best_running = self.running[0].score / length_factor(length, config.length_penalty);
        let worst_finished = self.finished.iter().map(|slot| if slot.reason.is_some() { slot.score } else { LAST });
        self.can_improve &= worst_finished.fold(f32::INFINITY, f32::min) < best_running;
        !self.can_improve || self.is_closed(config) || all_end
    }

    /// Whether enough sequences are finished and no better one is looked for.
    fn is_closed(&self, config: &GenerationConfig) -> bool {
        config.early_stopping == EarlyStopping::Always && self.finished.iter().all(|slot| slot.reason.is_some())
    }

    /// One forward pass over the newest token of every beam.
    fn feed(&mut self, engine: &Engine) -> Result<()> {
        let length = self.running[0].ids.len();
        let texts = self.running.iter_mut().map(|beam| (&beam.ids[..], &mut beam.cache));
        let logits = next_logits(&*engine.decoder, texts.collect(), length)?;
        for (i, beam) in self.running.iter_mut().enumerate() {
            beam.logits = row(&logits, i)?;
        }
        Ok(())
    }

    /// The `num_return_sequences` best.
    pub fn finish(&self, engine: &Engine, config: &GenerationConfig, limits: &Limits) -> Result<Vec<Finished>> {
        let result = |slot: &Slot| {
            let ids = slot.ids[limits.prompt..].to_vec();
            let text = text_after(engine, &slot.ids, limits.prompt)?;
            let finish_reason = slot.reason.unwrap_or(FinishReason::Length);
            Ok(Finished { ids, text, finish_reason, score: Some(slot.score) })
        };
        self.finished.iter().take(config.num_return_sequences).map(result).collect()
    }
}

/// The text of the tokens after the prompt, as it continues the prompt's.
fn text_after(engine: &Engine, ids: &[u32], prompt: usize) -> Result<String> {
    let mut stream = engine.tokenizer.stream_after(engine.continued(&ids[..prompt]));
    let mut text = String::new();
    for &id in &ids[prompt..] {
        text += &stream.push(id)?;
    }
    Ok(text + &stream.finish())
}

/// `length ^ length_penalty`, by which a score is divided.
fn length_factor(length: usize, length_penalty: f64) -> f32 {
    libm::pow(length as f64, length_penalty) as f32
}
