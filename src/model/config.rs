//! Reading config.json: typed fields, and a refusal of those that would change the result unheeded.

use crate::error::{Error, Result};
use crate::weights::Metadata;
use serde_json::{Map, Value};

/// The fields of a config.json (or of an object in it).
pub struct Fields {
    values: Map<String, Value>,
}

/// Fields of related families that change the result and that no architecture here honours. They must be absent or
/// neutral (null, false, zero, one or empty).
const REJECTED: &[&str] = &[
    "alibi",
    "attention_multiplier",
    "attn_logit_softcapping",
    "clip_qkv",
    "embedding_multiplier",
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
    "multi_query",
    "no_rope_layers",
    "num_experts",
    "num_local_experts",
    "parallel_attn",
    "qk_layernorm",
    "qk_norm",
    "quantization_config",
    "residual_multiplier",
    "use_parallel_residual",
    "use_qk_norm",
    "use_sliding_window",
];

impl Fields {
    /// Parses config.json.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(values)) => Ok(Self { values }),
            Ok(_) => Err(Error::BadFile {
                file: file.into(),
                expected: "a JSON object".into(),
                found: "another JSON value".into(),
            }),
            Err(error) => {
                Err(Error::BadFile { file: file.into(), expected: "a JSON object".into(), found: error.to_string() })
            }
        }
    }

    /// The first of these names that is present and not null, with its value.
    fn find<'a, 'n>(&'a self, names: &[&'n str]) -> Option<(&'n str, &'a Value)> {
        names.iter().find_map(|name| self.values.get(*name).filter(|v| !v.is_null()).map(|v| (*name, v)))
    }

    fn typed<'a, T>(
        &'a self,
        names: &[&str],
        expected: &str,
        get: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some((name, value)) = self.find(names) else { return Ok(None) };
        get(value).map(Some).ok_or_else(|| bad(name, expected, value))
    }

    /// An integer of at least zero.
    pub fn usize(&self, names: &[&str]) -> Result<Option<usize>> {
        self.typed(names, "a whole number", |v| v.as_u64().and_then(|v| usize::try_from(v).ok()))
    }

    /// An integer of at least one. Without a `default` the field must be there.
    pub fn count(&self, names: &[&str], default: Option<usize>) -> Result<usize> {
        let found = self.usize(names)?.or(default);
        let field = self.find(names).map_or_else(|| names.first().copied().unwrap_or_default(), |(name, _)| name);
        match found {
            Some(0) => Err(bad(field, "at least 1", &Value::from(0))),
            // Positions are counted in 32 bits.
            Some(n) if n > u32::MAX as usize / 2 => Err(bad(field, "a number below 2^31", &Value::from(n))),
            Some(n) => Ok(n),
            None => Err(bad(field, "a whole number", &Value::Null)),
        }
    }

    /// A finite number.
    pub fn f32(&self, names: &[&str]) -> Result<Option<f32>> {
        self.typed(names, "a number", |v| v.as_f64().map(|v| v as f32).filter(|v| v.is_finite()))
    }

    /// A number above zero.
    pub fn positive(&self, names: &[&str]) -> Result<Option<f32>> {
        self.typed(names, "a number above 0", |v| v.as_f64().map(|v| v as f32).filter(|v| v.is_finite() && *v > 0.0))
    }

    /// True or false.
    pub fn bool(&self, names: &[&str], default: bool) -> Result<bool> {
        Ok(self.typed(names, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// A string.
    pub fn str(&self, names: &[&str]) -> Result<Option<&str>> {
        self.typed(names, "a string", Value::as_str)
    }

    /// A list of positive numbers.
    pub fn list(&self, names: &[&str]) -> Result<Option<Vec<f32>>> {
        self.typed(names, "a list of numbers above 0", |v| {
            let number = |v: &Value| v.as_f64().map(|v| v as f32).filter(|v| v.is_finite() && *v > 0.0);
            v.as_array()?.iter().map(number).collect()
        })
    }

    /// An object; an empty one counts as absent.
    pub fn object(&self, names: &[&str]) -> Result<Option<Self>> {
        let values = self.typed(names, "an object", Value::as_object)?;
        Ok(values.filter(|v| !v.is_empty()).map(|v| Self { values: v.clone() }))
    }

    /// Refuses fields that change the result and that nothing here honours.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the field.
    pub fn refuse_unhonoured(&self) -> Result<()> {
        for name in REJECTED {
            if let Some(value) = self.values.get(*name)
                && !neutral(value)
            {
                return Err(Error::Unsupported {
                    what: format!("config field {name}"),
                    expected: "it absent or neutral".into(),
                    found: value.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// A number of at least one in GGUF metadata.
pub(super) fn count(meta: &Metadata, key: &str) -> Result<usize> {
    let wanted = "a number from 1 to 2^31";
    match meta.get_u64(key)? {
        Some(n @ 1..=0x7fff_ffff) => Ok(n as usize),
        _ => Err(meta.bad(key, wanted)),
    }
}

/// The size of the vocabulary: GGUF says it outright, or by the list of tokens.
pub(super) fn vocab_size(meta: &Metadata, architecture: &str) -> Result<usize> {
    let key = format!("{architecture}.vocab_size");
    match meta.get_str_array("tokenizer.ggml.tokens")? {
        Some(tokens) if !meta.contains(&key) => Ok(tokens.len()),
        _ => count(meta, &key),
    }
}

fn neutral(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(n) => n.as_f64().is_some_and(|n| n == 0.0 || n == 1.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

fn bad(field: &str, expected: &str, found: &Value) -> Error {
    Error::BadConfig { field: field.into(), expected: expected.into(), found: found.to_string() }
}
