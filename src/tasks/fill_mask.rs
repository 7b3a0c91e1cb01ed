//! Filling masks: the likeliest tokens in the place of each mask of a text (transformers' `fill-mask`).

use super::{Arguments, Outcome, Step, Task};
use crate::error::{Error, Result};
use crate::reader::{Reader, Tokens};
use crate::sample::softmax;
use serde_json::{Value, json};

/// Candidates are shown up to this many.
const MOST_CANDIDATES: usize = 1000;

/// A text whose masks are being filled.
pub struct FillMask {
    tokens: Tokens,
    /// Where the masks are.
    masks: Vec<usize>,
    top_k: usize,
    /// The only tokens that may stand there, where given.
    targets: Option<Vec<u32>>,
}

/// A candidate for a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Its probability; masks are filled independently of each other.
    pub score: f32,
    pub token: u32,
    pub token_str: String,
    /// The text with it, the other masks left as they are.
    pub sequence: String,
}

impl FillMask {
    /// `targets` are the only candidates, each a token of the vocabulary or a text of which the first token is meant.
    ///
    /// # Errors
    /// [`Error::WrongTask`] for a model without such a head; [`Error::BadParameter`] for a text without a mask;
    /// [`Error::ContextFull`].
    pub fn new(reader: &Reader, text: &str, top_k: usize, targets: Option<&[String]>) -> Result<Self> {
        if reader.tasks().first() != Some(&"fill-mask") {
            return Err(reader.cannot("fill-mask"));
        }
        let Some(mask) = reader.tokenizer.mask_token_id() else { return Err(reader.cannot("fill-mask")) };
        let tokens = reader.encode(text)?;
        let masks: Vec<usize> =
            tokens.ids.iter().enumerate().filter(|(_, id)| **id == mask).map(|(at, _)| at).collect();
        if masks.is_empty() {
            let name = reader.tokenizer.token(mask).unwrap_or_default();
            return Err(Error::BadParameter {
                name: "text".into(),
                expected: format!("at least one {name}"),
                found: "none".into(),
            });
        }
        let (limit, found) = (reader.spec().context_length, tokens.ids.len());
        if found > limit {
            return Err(Error::ContextFull { limit, found });
        }
        let targets = targets.map(|targets| ids_of(reader, targets)).transpose()?;
        let most = targets.as_ref().map_or(reader.spec().vocab_size, Vec::len).min(MOST_CANDIDATES);
        Ok(Self { tokens, masks, top_k: top_k.min(most), targets })
    }

    /// From `text`, `top_k` and `targets`.
    pub(super) fn from_arguments(reader: &Reader, arguments: &Arguments) -> Result<Self> {
        arguments.only(&["text", "top_k", "targets"])?;
        let targets = arguments.texts("targets")?;
        let top_k = arguments.count("top_k")?.unwrap_or(5);
        Self::new(reader, arguments.text("text")?, top_k, targets.as_deref())
    }

    /// The text with one token in the place of one mask. Without padding; special tokens are left out where that takes no
    /// mask away.
    fn sequence(&self, reader: &Reader, at: usize, token: u32) -> Result<String> {
        let mut ids = self.tokens.ids.clone();
        ids[at] = token;
        let padding = reader.tokenizer.pad_token_id();
        ids.retain(|id| Some(*id) != padding);
        reader.tokenizer.decode(&ids, self.masks.len() == 1)
    }
}

impl Task for FillMask {
    fn step(&mut self, reader: &Reader) -> Result<Step> {
        let predictions = reader.predictions(&self.tokens)?;
        let mut filled = Vec::with_capacity(self.masks.len());
        for &at in &self.masks {
            let logits = predictions.masked(at)?.ok_or_else(|| reader.cannot("fill-mask"))?;
            let probabilities = softmax(&logits)?;
            let all = || (0..probabilities.len() as u32).collect();
            let candidates: Vec<u32> = self.targets.clone().unwrap_or_else(all);
            let best = best_of(candidates, &probabilities, self.top_k);
            let fill = |&token: &u32| {
                Ok(Fill {
                    score: probabilities[token as usize],
                    token,
                    token_str: reader.tokenizer.decode(&[token], false)?,
                    sequence: self.sequence(reader, at, token)?,
                })
            };
            filled.push(best.iter().map(fill).collect::<Result<Vec<_>>>()?);
        }
        Ok(Step::Done(Outcome::Filled(filled)))
    }
}

/// The tokens that targets mean, each once.
fn ids_of(reader: &Reader, targets: &[String]) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for target in targets {
        let id = match reader.tokenizer.token_to_id(target) {
            Some(id) => Some(id),
            None => reader.tokenizer.encode(target, false)?.first().copied(),
        };
        ids.extend(id.filter(|id| !ids.contains(id)));
    }
    if ids.is_empty() {
        let expected = "at least one token of the vocabulary".into();
        return Err(Error::BadParameter { name: "targets".into(), expected, found: "none".into() });
    }
    Ok(ids)
}

/// The `count` likeliest, best first; of equals the lower id goes before.
fn best_of(mut ids: Vec<u32>, probabilities: &[f32], count: usize) -> Vec<u32> {
    let order = |a: &u32, b: &u32| probabilities[*b as usize].total_cmp(&probabilities[*a as usize]).then(a.cmp(b));
    if 0 < count && count < ids.len() {
        ids.select_nth_unstable_by(count - 1, order);
    }
    ids.truncate(count);
    ids.sort_unstable_by(order);
    ids
}

/// As the pipeline gives it: for one mask a list, for several a list of lists.
pub(super) fn json(masks: &[Vec<Fill>]) -> Value {
    let one = |fill: &Fill| json!({ "score": fill.score, "token": fill.token, "token_str": fill.token_str, "sequence": fill.sequence });
    let lists = masks.iter().map(|mask| mask.iter().map(one).collect::<Value>());
    match masks {
        [_] => lists.into_iter().next().unwrap_or_default(),
        _ => lists.collect(),
    }
}
