//! The rules that act on the scores before a token is chosen, in the order of transformers' `_get_logits_processor`.

use super::{GenerationConfig, log_softmax, softmax};
use crate::error::Result;

/// What a rule may look at beside the scores.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// Prompt and new tokens so far; of an encoder-decoder those of its decoder.
    pub ids: &'a [u32],
    /// How many of them are new.
    pub new_tokens: usize,
    /// What the encoder of an encoder-decoder has read; else the prompt.
    pub source: &'a [u32],
    /// The most tokens that `ids` may become.
    pub max_length: usize,
}

/// One rule: what turns it on, and what it does to the scores. A removed token gets `-inf`.
pub struct Rule {
    pub name: &'static str,
    pub applies: fn(&GenerationConfig) -> bool,
    pub apply: fn(&GenerationConfig, &Context, &mut [f32]) -> Result<()>,
}

/// Every rule, in the order they act.
pub const RULES: &[Rule] = &[
    Rule {
        name: "encoder_repetition_penalty",
        applies: |c| c.encoder_repetition_penalty != 1.0,
        apply: encoder_repetition_penalty,
    },
    Rule { name: "repetition_penalty", applies: |c| c.repetition_penalty != 1.0, apply: repetition_penalty },
    Rule { name: "no_repeat_ngram_size", applies: |c| c.no_repeat_ngram_size > 0, apply: no_repeat_ngram_size },
    Rule {
        name: "encoder_no_repeat_ngram_size",
        applies: |c| c.encoder_no_repeat_ngram_size > 0,
        apply: encoder_no_repeat_ngram_size,
    },
    Rule { name: "bad_words_ids", applies: |c| !c.bad_words_ids.is_empty(), apply: bad_words_ids },
    Rule { name: "min_length", applies: |c| c.min_length > 0 && c.min_new_tokens == 0, apply: min_length },
    Rule { name: "min_new_tokens", applies: |c| c.min_new_tokens > 0, apply: min_new_tokens },
    Rule { name: "forced_bos_token_id", applies: |c| c.forced_bos_token_id.is_some(), apply: forced_bos_token_id },
    Rule { name: "forced_eos_token_id", applies: |c| !c.forced_eos_token_id.is_empty(), apply: forced_eos_token_id },
    Rule { name: "temperature", applies: |c| c.do_sample && c.temperature != 1.0, apply: temperature },
    Rule { name: "top_k", applies: |c| c.do_sample && c.top_k > 0, apply: top_k },
    Rule { name: "top_p", applies: |c| c.do_sample && c.top_p < 1.0, apply: top_p },
    Rule { name: "min_p", applies: |c| c.do_sample && c.min_p.is_some(), apply: min_p },
    Rule { name: "typical_p", applies: |c| c.do_sample && c.typical_p < 1.0, apply: typical_p },
    Rule { name: "renormalize_logits", applies: |c| c.renormalize_logits, apply: renormalize_logits },
];

/// Applies every rule that is on.
pub fn apply_rules(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    RULES.iter().filter(|rule| (rule.applies)(config)).try_for_each(|rule| (rule.apply)(config, context, scores))
}

/// How many tokens a rule always leaves: beams need one that goes on beside every way to end.
fn keep(config: &GenerationConfig) -> usize {
    match config.num_beams {
        1 => 1,
        _ => (config.eos_token_id.len() + 1).max(2),
    }
}

/// Scores of tokens already in the text are divided by the penalty when positive, multiplied when negative
/// (Keskar et al. 2019).
fn repetition_penalty(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    penalize(context.ids, config.repetition_penalty, scores);
    Ok(())
}

/// Scores of tokens of the source are raised where `repetition_penalty` would lower them: what is not in it is penalized.
fn encoder_repetition_penalty(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    penalize(context.source, 1.0 / config.encoder_repetition_penalty, scores);
    Ok(())
}

fn penalize(ids: &[u32], penalty: f32, scores: &mut [f32]) {
    let mut seen = vec![false; scores.len()];
    for &id in ids {
        if let (Some(score), Some(seen)) = (scores.get_mut(id as usize), seen.get_mut(id as usize))
            && !std::mem::replace(seen, true)
        {
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
    }
}

/// No run of that many tokens occurs twice.
fn no_repeat_ngram_size(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    forbid_runs(config.no_repeat_ngram_size, context.ids, context.ids, scores);
    Ok(())
}

/// No run of that many tokens of the source is written.
fn encoder_no_repeat_ngram_size(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    forbid_runs(config.encoder_no_repeat_ngram_size, context.source, context.ids, scores);
    Ok(())
}

/// Removes what would end `ids` in a run of `n` tokens that `of` has.
fn forbid_runs(n: usize, of: &[u32], ids: &[u32], scores: &mut [f32]) {
    if ids.len() + 1 < n {
        return;
    }
    let ending = &ids[ids.len() + 1 - n..];
    for window in of.windows(n).filter(|window| &window[..n - 1] == ending) {
        forbid(scores, window[n - 1]);
    }
}

/// The last token of a forbidden sequence is removed when the text ends in what comes before it.
fn bad_words_ids(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    for word in &config.bad_words_ids {
        let Some((&last, before)) = word.split_last() else { continue };
        let ends_text = before.is_empty() && config.eos_token_id.contains(&last);
        if context.ids.ends_with(before) && !ends_text {
            forbid(scores, last);
        }
    }
    Ok(())
}

/// The text may not end yet.
fn min_new_tokens(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    if context.new_tokens < config.min_new_tokens {
        config.eos_token_id.iter().for_each(|&id| forbid(scores, id));
    }
    Ok(())
}

/// The text may not end before it is that long.
fn min_length(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    if context.ids.len() < config.min_length {
        config.eos_token_id.iter().for_each(|&id| forbid(scores, id));
    }
    Ok(())
}

/// The second token of all is this one.
fn forced_bos_token_id(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    if context.ids.len() == 1 {
        leave_only(config.forced_bos_token_id.as_slice(), scores);
    }
    Ok(())
}

/// The last token that there is room for is one of these.
fn forced_eos_token_id(config: &GenerationConfig, context: &Context, scores: &mut [f32]) -> Result<()> {
    if context.ids.len() + 1 == context.max_length {
        leave_only(&config.forced_eos_token_id, scores);
    }
    Ok(())
}

fn leave_only(ids: &[u32], scores: &mut [f32]) {
    scores.fill(f32::NEG_INFINITY);
    for &id in ids {
        if let Some(score) = scores.get_mut(id as usize) {
            *score = 0.0;
        }
    }
}

/// Scores become logarithms of probabilities again.
fn renormalize_logits(_: &GenerationConfig, _: &Context, scores: &mut [f32]) -> Result<()> {
    log_softmax(scores)
}

/// Scores divided by the temperature: below one the likely becomes likelier.
fn temperature(config: &GenerationConfig, _: &Context, scores: &mut [f32]) -> Result<()> {
    scores.iter_mut().for_each(|s| *s /= config.temperature);
    Ok(())
}

/// Only the `top_k` highest scores stay, and those equal to the last of them.
fn top_k(config: &GenerationConfig, _: &Context, scores: &mut [f32]) -> Result<()> {
    let k = config.top_k.max(keep(config));
    if k < scores.len() {
        let mut sorted = scores.to_vec();
        let (_, &mut limit, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        scores.iter_mut().filter(|s| **s < limit).for_each(|s| *s = f32::NEG_INFINITY);
    }
    Ok(())
}

/// The fewest tokens whose probabilities reach `top_p` together stay (nucleus sampling, Holtzman et al. 2020).
fn top_p(config: &GenerationConfig, _: &Context, scores: &mut [f32]) -> Result<()> {
    let probabilities = softmax(scores)?;
    let mut order = standing(scores);
    // Ascending, the lower index first among equals: those are removed while their sum stays within 1 − top_p.
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let removable = order.len().saturating_sub(keep(config));
    let mut sum = 0f32;
    for &i in &order[..removable] {
        sum += probabilities[i];
        if sum > 1.0 - config.top_p {
            break;
        }
        scores[i] = f32::NEG_INFINITY;
    }
    Ok(())
}

/// Tokens less likely than `min_p` times the likeliest are removed (Nguyen et al. 2024).
fn min_p(config: &GenerationConfig, _: &Context, scores: &mut [f32]) -> Result<()> {
    let probabilities = softmax(scores)?;
    let limit = config.min_p.unwrap_or(0.0) * probabilities.iter().copied().fold(0.0, f32::max);
    let mut order = standing(scores);
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    for &i in order.iter().skip(keep(config)).filter(|&&i| probabilities[i] < limit) {
        scores[i] = f32::NEG_INFINITY;
    }
    Ok(())
}

/// Tokens whose information is nearest the expected stay until their probabilities reach `typical_p` (locally typical
/// sampling, Meister et al. 2023).
fn typical_p(config: &GenerationConfig, _: &Context, scores: &mut [f32]) -> Result<()> {
    let probabilities = softmax(scores)?;
    let order = standing(scores);
    let information = |i: usize| -libm::logf(probabilities[i]);
    let entropy: f32 =
        order.iter().filter(|&&i| probabilities[i] > 0.0).map(|&i| probabilities[i] * information(i)).sum();
    let mut order: Vec<(usize, f32)> = order.into_iter().map(|i| (i, (information(i) - entropy).abs())).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut sum = 0f32;
    let below = order.iter().take_while(|(i, _)| {
        sum += probabilities[*i];
        sum < config.typical_p
    });
    let last = below.count().min(order.len().saturating_sub(1));
    let Some(&(_, limit)) = order.get(last) else { return Ok(()) };
    for &(i, _) in order.iter().skip(keep(config)).filter(|(_, distance)| *distance > limit) {
        scores[i] = f32::NEG_INFINITY;
    }
    Ok(())
}

/// Indices of the tokens not yet removed.
fn standing(scores: &[f32]) -> Vec<usize> {
    (0..scores.len()).filter(|&i| scores[i] > f32::NEG_INFINITY).collect()
}

fn forbid(scores: &mut [f32], id: u32) {
    if let Some(score) = scores.get_mut(id as usize) {
        *score = f32::NEG_INFINITY;
    }
}
