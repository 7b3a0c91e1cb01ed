//! How the next token is chosen: from the logits, rule by rule, to the draw, with the functions that generation uses.

use super::entropy;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::sample::{Context, Dice, GenerationConfig, RULES, argmax, fall, softmax};

/// What a rule has done.
#[derive(Clone, Debug)]
pub struct Stage {
    /// `logits`, then the names of the rules that are on, in their order.
    pub name: &'static str,
    /// Tokens that are left.
    pub kept: usize,
    /// Of the probability before the rule, what it has removed.
    pub removed: f32,
    /// Of what is left, in bits.
    pub entropy: f32,
}

/// A token on its way through the stages.
#[derive(Clone, Debug)]
pub struct Survivor {
    pub id: u32,
    /// Its score after each stage; minus infinity once it is removed.
    pub scores: Vec<f32>,
    /// Its probability after each stage.
    pub probabilities: Vec<f32>,
    /// Its place on the line from 0 to 1 on which the draw falls; empty where it cannot be drawn.
    pub from: f64,
    pub to: f64,
}

/// The draw.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Where on the line it fell.
    pub uniform: f64,
    pub id: u32,
}

/// The whole choice.
#[derive(Clone, Debug)]
pub struct Choice {
    pub stages: Vec<Stage>,
    /// The likeliest by the logits, best first, and last the one that is chosen if it is not among them.
    pub survivors: Vec<Survivor>,
    /// What sampling draws, with `do_sample`.
    pub draw: Option<Draw>,
    /// The best after all rules: what a greedy choice takes.
    pub greedy: u32,
}

pub(super) fn of(
    engine: &mut Engine,
    ids: &[u32],
    new_tokens: usize,
    config: &GenerationConfig,
    shown: usize,
) -> Result<Choice> {
    engine.only_decoder("a choice")?;
    let (vocab_size, limit) = (engine.spec().vocab_size, engine.spec().context_length);
    config.validate(vocab_size)?;
    if ids.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    if ids.len() > limit {
        return Err(Error::ContextFull { limit, found: ids.len() });
    }
    let logits = engine.next_logits(ids)?;
    let prompt = ids.len().saturating_sub(new_tokens);
    let max_length = match (config.max_new_tokens, config.max_length) {
        (Some(new), _) => prompt.saturating_add(new),
        (None, Some(length)) => length,
        (None, None) => prompt + 20,
    };
    let context = Context { ids, new_tokens, source: &ids[..prompt], max_length };
    let mut scores = logits.clone();
    let mut probabilities = softmax(&scores)?;
    let mut stages = vec![Stage { name: "logits", kept: scores.len(), removed: 0.0, entropy: entropy(&probabilities) }];
    let mut states = vec![(scores.clone(), probabilities.clone())];
    for rule in RULES.iter().filter(|rule| (rule.applies)(config)) {
        (rule.apply)(config, &context, &mut scores)?;
        let gone = scores.iter().zip(&probabilities).filter(|(score, _)| **score == f32::NEG_INFINITY);
        let removed = gone.map(|(_, p)| f64::from(*p)).sum::<f64>() as f32;
        probabilities = softmax(&scores)?;
        let kept = scores.iter().filter(|score| **score > f32::NEG_INFINITY).count();
        stages.push(Stage { name: rule.name, kept, removed, entropy: entropy(&probabilities) });
        states.push((scores.clone(), probabilities.clone()));
    }
    let greedy = argmax(&scores)?;
    let draw = if config.do_sample {
        let mut dice = Dice::new(config.seed.unwrap_or(0), 0);
        (0..new_tokens).for_each(|_| {
            dice.uniform();
        });
        let uniform = dice.uniform();
        Some(Draw { uniform, id: fall(&probabilities, uniform) })
    } else {
        None
    };
    let mut wanted: Vec<u32> =
        super::best(&logits, &states[0].1, shown).into_iter().map(|candidate| candidate.id).collect();
    for id in [Some(greedy), draw.as_ref().map(|draw| draw.id)].into_iter().flatten() {
        if !wanted.contains(&id) {
            wanted.push(id);
        }
    }
    // Tokens lie on the line in the order of their ids.
    let mut line = Vec::with_capacity(probabilities.len() + 1);
    let mut end = 0f64;
    line.push(end);
    for p in &probabilities {
        end += f64::from(*p);
        line.push(end);
    }
    let survivor = |id: u32| {
        let i = id as usize;
        Survivor {
            id,
            scores: states.iter().map(|(scores, _)| scores[i]).collect(),
            probabilities: states.iter().map(|(_, probabilities)| probabilities[i]).collect(),
            from: line[i],
            to: line[i + 1],
        }
    };
    Ok(Choice { stages, survivors: wanted.into_iter().map(survivor).collect(), draw, greedy })
}
