//! What the files of Hugging Face and of GGUF say differently of the same model: beside its loading, an architecture
//! says how its config.json becomes GGUF metadata and back.

use super::{Architecture, Fields, Loader, outline};
use crate::error::{Error, Result};
use crate::weights::Value as Pair;
use serde_json::{Map, Number, Value};

/// An architecture's part of [`crate::convert`].
pub struct Conversion {
    /// Tensors that GGUF has otherwise than Hugging Face's files, by their names in `gguf_names`.
    pub otherwise: &'static [(&'static str, Otherwise)],
    /// What a config.json says, as GGUF metadata; an error for what they cannot say.
    pub to_gguf: fn(&Fields) -> Result<GgufForm>,
    /// What GGUF metadata say, as a config.json.
    pub to_json: fn(&mut Loader) -> Result<Map<String, Value>>,
}

/// How a tensor lies in GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// A matrix that is input-major in Hugging Face's files.
    Transposed,
    /// The two halves of each rotated head are interleaved.
    Interleaved,
    /// First all queries, then all keys and all values, which in Hugging Face's files take turns head by head.
    Sorted,
    /// One more than in Hugging Face's files.
    OneMore,
}

/// Of an architecture whose models have no GGUF form here: a folder in another number format can still be written.
pub const FOLDERS_ONLY: Conversion =
    Conversion { otherwise: &[], to_gguf: |_| Err(no_gguf()), to_json: |_| Err(no_gguf()) };

fn no_gguf() -> Error {
    Error::Unsupported {
        what: "this architecture in a GGUF file".into(),
        expected: "--to safetensors, or a decoder".into(),
        found: "an encoder-decoder".into(),
    }
}

/// A model's configuration as GGUF has it.
pub struct GgufForm {
    /// Keys below the architecture's name.
    pub pairs: Vec<(&'static str, Pair)>,
    /// Vectors that are part of the configuration, by their names in the file.
    pub vectors: Vec<(&'static str, Vec<f32>)>,
}

/// A tensor by its names in both files.
pub struct Twin {
    pub hub: String,
    /// Its name in files of Hugging Face that leave the prefix out.
    pub unprefixed: String,
    pub gguf: String,
    /// As Hugging Face's files have it.
    pub shape: Vec<usize>,
    pub otherwise: Option<Otherwise>,
}

/// Every tensor of a model with this config.json, and the width of its heads.
///
/// # Errors
/// Those of a configuration that makes no model.
pub fn twins(architecture: &Architecture, config: &Fields) -> Result<(Vec<Twin>, usize)> {
    let (spec, tensors) = outline(config)?;
    let twins = tensors.into_iter().map(|(name, shape)| twin(architecture, name, shape)).collect::<Result<_>>()?;
    Ok((twins, spec.head_dim))
}

/// The names of the tensor that Hugging Face's files call `hub`.
///
/// # Errors
/// [`Error::Unsupported`] when the architecture's table has no such tensor.
pub fn twin(architecture: &Architecture, hub: String, shape: Vec<usize>) -> Result<Twin> {
    let (stem, ending) = hub.rsplit_once('.').unwrap_or((&hub, ""));
    let find = |(part, gguf): &(&'static str, &str)| {
        let before = stem.strip_suffix(part)?;
        let before = if before.is_empty() { before } else { before.strip_suffix('.')? };
        let last = before.rsplit('.').next().unwrap_or_default();
        let layer = last.parse::<usize>().ok().map(|layer| format!("blk.{layer}."));
        // Without a layer, only the model's own name may come before.
        (layer.is_some() || !before.contains('.'))
            .then(|| (*part, format!("{}{gguf}.{ending}", layer.unwrap_or_default())))
    };
    let (part, gguf) = architecture.gguf_names.iter().find_map(find).ok_or_else(|| Error::Unsupported {
        what: format!("tensor {hub} in a GGUF file"),
        expected: "a tensor of the architecture's table".into(),
        found: "one that is not in it".into(),
    })?;
    let is_matrix = shape.len() == 2;
    let unprefixed = match stem.split_once('.') {
        Some((_, rest)) => format!("{rest}.{ending}"),
        None => hub.clone(),
    };
    let otherwise = architecture.conversion.otherwise.iter().find(|(name, _)| *name == part);
    let otherwise = otherwise.map(|(_, how)| *how).filter(|how| is_matrix || *how != Otherwise::Transposed);
    Ok(Twin { unprefixed, gguf, shape, otherwise, hub })
}

/// A u32 of GGUF metadata.
///
/// # Errors
/// [`Error::BadConfig`] when it does not fit.
pub(super) fn u32_pair(value: usize) -> Result<Pair> {
    u32::try_from(value).map(Pair::U32).map_err(|_| Error::BadConfig {
        field: "a size".into(),
        expected: "a number below 2^32".into(),
        found: value.to_string(),
    })
}

/// The shortest decimal number that is this f32, as people write it in a config.json.
pub(super) fn number(value: f32) -> Value {
    value.to_string().parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}

/// Refuses a setting that GGUF metadata cannot say.
pub(super) fn only(field: &str, expected: &str, holds: bool, found: impl ToString) -> Result<()> {
    if holds {
        return Ok(());
    }
    let what = format!("config field {field} in a GGUF file");
    Err(Error::Unsupported { what, expected: expected.into(), found: found.to_string() })
}
