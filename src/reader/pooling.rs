//! How hidden states become one vector for a text, as the files of sentence-transformers say.

use super::SMALL_FILE;
use crate::error::{Error, Result};
use crate::files::Files;
use serde_json::{Map, Value};

/// What becomes of the hidden states of a text's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first, which is that of the token before the text.
    Cls,
    /// The largest of each dimension.
    Max,
}

impl Pooling {
    /// By its name.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for another.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "mean" => Ok(Self::Mean),
            "cls" => Ok(Self::Cls),
            "max" => Ok(Self::Max),
            other => {
                let expected = "mean, cls or max".into();
                Err(Error::BadParameter { name: "pooling".into(), expected, found: other.into() })
            }
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
        }
    }

    /// The vector of a text from the rows of its tokens, each `width` wide.
    pub fn of(self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut pooled = rows.get(..width).unwrap_or_default().to_vec();
        for row in rows.chunks_exact(width.max(1)).skip(1) {
            match self {
                Self::Mean => pooled.iter_mut().zip(row).for_each(|(sum, x)| *sum += x),
                Self::Max => pooled.iter_mut().zip(row).for_each(|(most, x)| *most = most.max(*x)),
                Self::Cls => break,
            }
        }
        if self == Self::Mean {
            let count = (rows.len() / width.max(1)).max(1) as f32;
            pooled.iter_mut().for_each(|sum| *sum /= count);
        }
        pooled
    }
}

/// The pooling a model was trained with.
#[derive(Clone, Copy, Debug)]
pub struct Pooled {
    pub pooling: Pooling,
    /// Whether vectors are then given length 1.
    pub normalize: bool,
}

/// What the files say, and the most tokens of a text; where they say nothing, the mean of length 1.
pub fn of(files: &mut Files) -> Result<(Pooled, Option<usize>)> {
    let mut pooled = Pooled { pooling: Pooling::Mean, normalize: true };
    let longest = match files.contains("sentence_bert_config.json") {
        true => {
            let config: Map<String, Value> = files.read_json("sentence_bert_config.json", SMALL_FILE)?;
            let longest = config.get("max_seq_length").and_then(Value::as_u64);
            longest.and_then(|longest| usize::try_from(longest).ok()).filter(|longest| *longest > 0)
        }
        false => None,
    };
    if !files.contains("modules.json") {
        return Ok((pooled, longest));
    }
    pooled.normalize = false;
    let modules: Vec<Map<String, Value>> = files.read_json("modules.json", SMALL_FILE)?;
    for module in &modules {
        let text = |name: &str| module.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type").rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Normalize" => pooled.normalize = true,
            "Pooling" => {
                let name = format!("{}/config.json", text("path"));
                if files.contains(&name) {
                    pooled.pooling = pooling_of(&files.read_json(&name, SMALL_FILE)?)?;
                }
            }
            other => {
                return Err(Error::Unsupported {
                    what: "a module in modules.json".into(),
                    expected: "Transformer, Pooling or Normalize".into(),
                    found: other.into(),
                });
            }
        }
    }
    Ok((pooled, longest))
}

/// The one mode that is on.
fn pooling_of(config: &Map<String, Value>) -> Result<Pooling> {
    const MODES: [(&str, Pooling); 3] = [
        ("pooling_mode_cls_token", Pooling::Cls),
        ("pooling_mode_mean_tokens", Pooling::Mean),
        ("pooling_mode_max_tokens", Pooling::Max),
    ];
    if let Some(name) = config.get("pooling_mode").and_then(Value::as_str) {
        return Pooling::parse(name).map_err(|_| unsupported(name));
    }
    let on: Vec<&str> =
        config.iter().filter(|(_, on)| on.as_bool() == Some(true)).map(|(name, _)| name.as_str()).collect();
    let on: Vec<&str> = on.into_iter().filter(|name| name.starts_with("pooling_mode_")).collect();
    match on.as_slice() {
        [] => Ok(Pooling::Mean),
        [one] => MODES.iter().find(|(name, _)| name == one).map(|(_, mode)| *mode).ok_or_else(|| unsupported(one)),
        several => Err(unsupported(&several.join(", "))),
    }
}

fn unsupported(found: &str) -> Error {
    let expected = "one of cls, mean and max".into();
    Error::Unsupported { what: "this pooling".into(), expected, found: found.into() }
}
