//! One greedy or sampled continuation, and the end conditions all kinds of search share.

use super::{FinishReason, Finished, Limits};
use crate::engine::Engine;
use crate::error::Result;
use crate::layers::KvCache;
use crate::sample::{Dice, GenerationConfig, apply_rules, argmax, draw};
use crate::text::{StreamDecoder, Tokenizer};

/// A sequence in the making.
pub struct Sequence {
    /// Prompt and new tokens.
    pub ids: Vec<u32>,
    /// Its own cache; the first sequence uses the engine's.
    pub cache: Option<KvCache>,
    /// What to choose the next token from; taken when it is chosen.
    pub logits: Option<Vec<f32>>,
    pub finished: Option<FinishReason>,
    text: String,
    prompt: usize,
    stream: StreamDecoder,
    stops: StopStrings,
    dice: Dice,
}

impl Sequence {
    /// A sequence about to choose its first token after the prompt.
    pub fn new(
        engine: &Engine,
        config: &GenerationConfig,
        prompt: &[u32],
        index: usize,
        logits: Vec<f32>,
    ) -> Result<Self> {
        Ok(Self {
            ids: prompt.to_vec(),
            cache: if index > 0 { Some(engine.cache.try_clone()?) } else { None },
            logits: Some(logits),
            finished: None,
            text: String::new(),
            prompt: prompt.len(),
            stream: engine.tokenizer.stream_after(engine.continued(prompt)),
            stops: StopStrings::new(&engine.tokenizer, config, prompt),
            dice: Dice::new(config.seed.unwrap_or(0), index),
        })
    }

    /// Chooses the next token and returns it with the text it completed.
    pub fn choose(&mut self, engine: &Engine, config: &GenerationConfig, limits: &Limits) -> Result<(u32, String)> {
        let mut scores = self.logits.take().unwrap_or_default();
        apply_rules(config, &limits.context(&self.ids), &mut scores)?;
        let id = if config.do_sample { draw(&scores, &mut self.dice)? } else { argmax(&scores)? };
        self.ids.push(id);
        let mut text = self.stream.push(id)?;
        let stopped = self.stops.push(&engine.tokenizer, id);
        self.finished = ends(config, limits, id, self.ids.len(), stopped);
        if self.finished.is_some() {
            text += &self.stream.finish();
        }
        self.text += &text;
        Ok((id, text))
    }

    /// The result, once there is one.
    pub fn finished(&self) -> Option<Finished> {
        self.finished.map(|finish_reason| Finished {
            ids: self.ids[self.prompt..].to_vec(),
            text: self.text.clone(),
            finish_reason,
            score: None,
        })
    }
}

/// Whether a text of `length` tokens ends with its last token `id`.
pub fn ends(config: &GenerationConfig, limits: &Limits, id: u32, length: usize, stopped: bool) -> Option<FinishReason> {
    if config.eos_token_id.contains(&id) {
        Some(FinishReason::Eos)
    } else if stopped {
        Some(FinishReason::StopString)
    } else if length >= limits.length {
        Some(FinishReason::Length)
    } else if length >= limits.context {
        Some(FinishReason::Context)
    } else {
        None
    }
}

/// Looks for `stop_strings` that end in the newest token. As in transformers they are compared in bytes, the prompt's
/// end may hold the beginning of one, a token may overhang it, and nothing is cut from the text.
#[derive(Clone)]
pub struct StopStrings {
    stops: Vec<String>,
    longest: usize,
    tail: Vec<u8>,
}

impl StopStrings {
    pub fn new(tokenizer: &Tokenizer, config: &GenerationConfig, prompt: &[u32]) -> Self {
        let stops = config.stop_strings.clone();
        let longest = stops.iter().map(String::len).max().unwrap_or(0);
        let mut new = Self { stops, longest, tail: Vec::new() };
        // A stop string has no more tokens than bytes.
        for &id in &prompt[prompt.len() - longest.min(prompt.len())..] {
            new.push(tokenizer, id);
        }
        new
    }

    /// Adds a token; whether a stop string ends in it.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> bool {
        if self.stops.is_empty() {
            return false;
        }
        let before = self.tail.len();
        self.tail.extend(tokenizer.token_bytes(id));
        let found = self.stops.iter().any(|stop| {
            let from = (before + 1).saturating_sub(stop.len());
            self.tail[from.min(self.tail.len())..].windows(stop.len()).any(|window| window == stop.as_bytes())
        });
        let surplus = self.tail.len().saturating_sub(self.longest);
        self.tail.drain(..surplus);
        found
    }
}
