//! What may be asked of [`inspect`](super::inspect), by the names of the JavaScript API and as JSON.

use super::{At, Target};
use crate::error::{Error, Result};
use crate::model::Spec;
use serde_json::{Map, Value};

/// Tokens that come next are shown up to this many.
const MOST_CANDIDATES: usize = 1000;
/// Cells of a small picture, a side.
const MOST_CELLS: usize = 64;

/// What to keep of a pass.
#[derive(Clone, Debug)]
pub struct Wish {
    /// So many of the next tokens.
    pub top_k: usize,
    pub attention: AttentionWish,
    /// A small picture of every head, of so many cells a side.
    pub overview: Option<usize>,
    pub lens: Option<Lens>,
    /// The lengths of the residual stream's vectors.
    pub norms: bool,
    pub hidden_states: bool,
    /// What every part of the model adds to the logit of this token after the last position.
    pub attribution: Option<u32>,
    /// Every token in every layer on a plane.
    pub map: bool,
    pub internals: Option<At>,
    /// Heads, by layer, that are switched off.
    pub without: Vec<(usize, usize)>,
    /// Of an encoder-decoder: the text it is to have written; `None`: what it writes.
    pub target: Option<Target>,
    /// Where the text looks in its source.
    pub cross_attentions: bool,
    /// Where the source looks.
    pub encoder_attentions: bool,
    pub encoder_hidden_states: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            top_k: 10,
            attention: AttentionWish::None,
            overview: None,
            lens: None,
            norms: false,
            hidden_states: false,
            attribution: None,
            map: false,
            internals: None,
            without: Vec::new(),
            target: None,
            cross_attentions: false,
            encoder_attentions: false,
            encoder_hidden_states: false,
        }
    }
}

/// Which heads' attention.
#[derive(Clone, Debug, PartialEq)]
pub enum AttentionWish {
    None,
    All,
    Some(Vec<(usize, Which)>),
}

/// A head of a layer, or what all of them give together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Which {
    Head(usize),
    Mean,
    Max,
}

/// What the layers would say (nostalgebraist 2020, "interpreting GPT: the logit lens").
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    /// So many candidates each.
    pub top: usize,
    /// After these positions; `None`: after all.
    pub positions: Option<Vec<usize>>,
}

impl Wish {
    /// From an object of options: `topK`, `attention` (`true`, or a list of `{layer, head}`, the head a number, `"mean"` or
    /// `"max"`), `overview` (cells a side), `logitLens` (`true`, or `{top, positions}`), `norms`, `hiddenStates`,
    /// `attribution` (a token id), `map`, `internals` (`{layer, head, position}`), `without` (a list of `[layer, head]`). Of
    /// an encoder-decoder also `target` (a text, or ids after the first), `crossAttentions`, `encoderAttentions`,
    /// `encoderHiddenStates`, and `decoderAttentions`, which is `attention`.
    ///
    /// # Errors
    /// [`Error::BadParameter`] naming the option.
    pub fn from_json(options: &Map<String, Value>) -> Result<Self> {
        let mut wish = Self::default();
        for (name, value) in options {
            let bad = |expected: &str| Error::BadParameter {
                name: name.clone(),
                expected: expected.into(),
                found: value.to_string().chars().take(80).collect(),
            };
            let truth = || value.as_bool().ok_or_else(|| bad("true or false"));
            let off = value.is_null() || value.as_bool() == Some(false);
            match name.as_str() {
                "topK" => wish.top_k = number(value).ok_or_else(|| bad("a whole number"))?.min(MOST_CANDIDATES),
                "target" if off => {}
                "target" => {
                    let ids = || -> Option<Vec<u32>> {
                        value.as_array()?.iter().map(|id| u32::try_from(number(id)?).ok()).collect()
                    };
                    let text = value.as_str().map(|text| Target::Text(text.to_string()));
                    let target = text.or_else(|| ids().map(Target::Ids));
                    wish.target = Some(target.ok_or_else(|| bad("a text or a list of token ids"))?);
                }
                "crossAttentions" => wish.cross_attentions = truth()?,
                "encoderAttentions" => wish.encoder_attentions = truth()?,
                "encoderHiddenStates" => wish.encoder_hidden_states = truth()?,
                "attention" | "decoderAttentions" => {
                    wish.attention = match value {
                        _ if off => AttentionWish::None,
                        Value::Bool(_) => AttentionWish::All,
                        _ => {
                            let heads = value.as_array().map(|list| list.iter().map(head_of).collect());
                            let heads: Option<Vec<_>> = heads.flatten();
                            AttentionWish::Some(heads.ok_or_else(|| bad("true or a list of {layer, head}"))?)
                        }
                    };
                }
                "overview" if off => {}
                "overview" => {
                    let cells = number(value).filter(|cells| (1..=MOST_CELLS).contains(cells));
                    wish.overview = Some(cells.ok_or_else(|| bad("a number of cells from 1 to 64"))?);
                }
                "logitLens" if off => {}
                "logitLens" => wish.lens = Some(lens_of(value).ok_or_else(|| bad("true or {top, positions}"))?),
                "norms" => wish.norms = truth()?,
                "hiddenStates" => wish.hidden_states = truth()?,
                "attribution" if off => {}
                "attribution" => {
                    let id = number(value).and_then(|id| u32::try_from(id).ok());
                    wish.attribution = Some(id.ok_or_else(|| bad("a token id"))?);
                }
                "map" => wish.map = truth()?,
                "internals" if off => {}
                "internals" => {
                    let part = |name: &str| value.get(name).and_then(number);
                    let at = part("layer").zip(part("head")).zip(part("position"));
                    let ((layer, head), position) = at.ok_or_else(|| bad("{layer, head, position}"))?;
                    wish.internals = Some(At { layer, head, position });
                }
                "without" if off => {}
                "without" => {
                    let heads = value.as_array().map(|list| list.iter().map(pair_of).collect());
                    let heads: Option<Vec<_>> = heads.flatten();
                    wish.without = heads.ok_or_else(|| bad("a list of [layer, head]"))?;
                }
                _ => return Err(bad("an option that inspect has")),
            }
        }
        Ok(wish)
    }

    /// Refuses what the model does not have.
    pub(super) fn check(&self, spec: &Spec, tokens: usize) -> Result<()> {
        let below = |name: &str, found: usize, limit: usize| {
            if found < limit {
                return Ok(());
            }
            let expected = format!("a number below {limit}");
            Err(Error::BadParameter { name: name.into(), expected, found: found.to_string() })
        };
        if let AttentionWish::Some(heads) = &self.attention {
            for (layer, which) in heads {
                below("layer", *layer, spec.layers)?;
                if let Which::Head(head) = which {
                    below("head", *head, spec.heads)?;
                }
            }
        }
        for (layer, head) in &self.without {
            below("layer", *layer, spec.layers)?;
            below("head", *head, spec.heads)?;
        }
        let positions = self.lens.iter().filter_map(|lens| lens.positions.as_ref()).flatten();
        positions.copied().try_for_each(|position| below("position", position, tokens))?;
        if let Some(At { layer, head, position }) = self.internals {
            below("layer", layer, spec.layers)?;
            below("head", head, spec.heads)?;
            below("position", position, tokens)?;
        }
        self.attribution.map_or(Ok(()), |id| below("attribution", id as usize, spec.vocab_size))
    }
}

fn number(value: &Value) -> Option<usize> {
    // JavaScript has no other numbers.
    let whole = value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..4e9).contains(n)).map(|n| n as u64);
    value.as_u64().or(whole).and_then(|n| usize::try_from(n).ok())
}

fn head_of(value: &Value) -> Option<(usize, Which)> {
    let which = match value.get("head")? {
        Value::String(name) if name == "mean" => Which::Mean,
        Value::String(name) if name == "max" => Which::Max,
        head => Which::Head(number(head)?),
    };
    Some((number(value.get("layer")?)?, which))
}

fn pair_of(value: &Value) -> Option<(usize, usize)> {
    match value.as_array()?.as_slice() {
        [layer, head] => Some((number(layer)?, number(head)?)),
        _ => None,
    }
}

fn lens_of(value: &Value) -> Option<Lens> {
    if value.as_bool() == Some(true) {
        return Some(Lens { top: 1, positions: None });
    }
    let object = value.as_object()?;
    let top = object.get("top").map_or(Some(1), number)?;
    let positions = match object.get("positions") {
        None | Some(Value::Null) => None,
        Some(list) => Some(list.as_array()?.iter().map(number).collect::<Option<Vec<_>>>()?),
    };
    Some(Lens { top: top.clamp(1, MOST_CANDIDATES), positions })
}
