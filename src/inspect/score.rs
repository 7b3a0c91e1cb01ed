//! How likely a model finds a text that is there: token by token, and as one of several ways to go on.

use super::{Candidate, best, entropy};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::sample::{log_softmax, softmax};

/// Positions whose logits are computed at once.
const AT_ONCE: usize = 32;

/// A token of a text and what the model expected in its place.
#[derive(Clone, Debug)]
pub struct Scored {
    pub id: u32,
    /// `None` for the first, before which there is nothing.
    pub expected: Option<Expected>,
}

/// What was expected after the tokens before.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Of the token that is there.
    pub probability: f32,
    /// How many tokens were likelier.
    pub rank: usize,
    /// In bits.
    pub entropy: f32,
    pub top: Vec<Candidate>,
}

/// Every token of a text, from a fresh context, with the `top` likeliest in its place.
///
/// # Errors
/// [`Error::EmptyPrompt`], [`Error::ContextFull`], [`Error::NoCandidate`].
pub fn score(engine: &mut Engine, ids: &[u32], top: usize) -> Result<Vec<Scored>> {
    engine.only_decoder("a score")?;
    let limit = engine.spec().context_length;
    if ids.len() > limit {
        return Err(Error::ContextFull { limit, found: ids.len() });
    }
    let hidden = engine.read_afresh(ids)?;
    let mut scored = vec![Scored { id: ids[0], expected: None }];
    for from in (0..ids.len() - 1).step_by(AT_ONCE) {
        let count = AT_ONCE.min(ids.len() - 1 - from);
        let logits = engine.decoder.logits(&hidden.narrow(0, from, count)?)?.to_vec2::<f32>()?;
        for (logits, &id) in logits.iter().zip(&ids[from + 1..]) {
            let probabilities = softmax(logits)?;
            let own = logits[id as usize];
            scored.push(Scored {
                id,
                expected: Some(Expected {
                    probability: probabilities[id as usize],
                    rank: logits.iter().filter(|logit| **logit > own).count(),
                    entropy: entropy(&probabilities),
                    top: best(logits, &probabilities, top),
                }),
            });
        }
    }
    Ok(scored)
}

/// The natural logarithms of the probabilities with which a text goes on in each of these ways.
///
/// # Errors
/// As [`score`]; [`Error::BadParameter`] for a way that has no tokens.
pub fn continuations(engine: &mut Engine, ids: &[u32], ways: &[Vec<u32>]) -> Result<Vec<f32>> {
    engine.only_decoder("continuations")?;
    let limit = engine.spec().context_length;
    let longest = ids.len() + ways.iter().map(Vec::len).max().unwrap_or(0);
    if longest > limit {
        return Err(Error::ContextFull { limit, found: longest });
    }
    if ways.iter().any(Vec::is_empty) {
        let (expected, found) = ("at least one token in each".into(), "none in one".into());
        return Err(Error::BadParameter { name: "continuations".into(), expected, found });
    }
    let first = engine.read_afresh(ids)?.narrow(0, ids.len() - 1, 1)?;
    let mut start: Vec<f32> = engine.decoder.logits(&first)?.flatten_all()?.to_vec1()?;
    log_softmax(&mut start)?;
    let mut scores = Vec::with_capacity(ways.len());
    for way in ways {
        let mut sum = start[way[0] as usize];
        if way.len() > 1 {
            let hidden = engine.read_tokens(&way[..way.len() - 1], longest)?;
            let logits = engine.decoder.logits(&hidden)?.to_vec2::<f32>()?;
            for (mut logits, id) in logits.into_iter().zip(&way[1..]) {
                log_softmax(&mut logits)?;
                sum += logits[*id as usize];
            }
            engine.forget(ids.len());
        }
        scores.push(sum);
    }
    Ok(scores)
}
