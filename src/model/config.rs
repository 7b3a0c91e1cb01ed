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
    /// The fields of a parsed config.json; of a model that reads pictures too, those of its text model.
    pub fn new(values: Map<String, Value>) -> Self {
        Self { values: text_model(values) }
    }

    /// All of them as they are.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
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

    /// A probability, below 1.
    pub fn probability(&self, name: &str, default: f32) -> Result<f32> {
        let found = self.typed(&[name], "a number of at least 0 and below 1", |v| {
            v.as_f64().map(|v| v as f32).filter(|v| (0.0..1.0).contains(v))
        })?;
        Ok(found.unwrap_or(default))
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

    /// A number, with all its digits.
    pub fn f64(&self, names: &[&str]) -> Result<Option<f64>> {
        self.typed(names, "a number", |v| v.as_f64().filter(|v| v.is_finite()))
    }

    /// Whether the field is there and says nothing, which need not mean what its absence means.
    pub fn is_null(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(Value::is_null)
    }

    /// Refuses fields that change the result and that nothing here honours.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the field.
    pub fn refuse_unhonoured(&self) -> Result<()> {
        self.refuse_all_but(&[])
    }

    /// [`Self::refuse_unhonoured`] for an architecture that honours some of them.
    ///
    /// # Errors
    /// As there.
    pub fn refuse_all_but(&self, honoured: &[&str]) -> Result<()> {
        for name in REJECTED.iter().filter(|name| !honoured.contains(name)) {
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

    /// True for every layer with a sliding window, where a configuration lists its layers.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another kind of layer; [`Error::BadConfig`] for a list that is too short.
    pub fn sliding_layers(&self, layers: usize) -> Result<Option<Vec<bool>>> {
        const NAME: &str = "layer_types";
        let Some(kinds) = self.typed(&[NAME], "a list", Value::as_array)? else { return Ok(None) };
        let sliding = |kind: &Value| match kind.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(Error::Unsupported {
                what: format!("config field {NAME}"),
                expected: "full_attention or sliding_attention".into(),
                found: kind.to_string(),
            }),
        };
        let kinds = kinds.iter().map(sliding).collect::<Result<Vec<_>>>()?;
        long_enough(NAME, kinds.len(), layers)?;
        Ok(Some(kinds))
    }

    /// A list with a whole number for every layer, as whether it is above zero.
    ///
    /// # Errors
    /// [`Error::BadConfig`] for anything else.
    pub fn flags(&self, name: &str, layers: usize) -> Result<Option<Vec<bool>>> {
        let flags = self.typed(&[name], "a list of whole numbers", |v| {
            v.as_array()?.iter().map(|v| v.as_u64().map(|v| v > 0)).collect::<Option<Vec<_>>>()
        })?;
        if let Some(flags) = &flags {
            long_enough(name, flags.len(), layers)?;
        }
        Ok(flags)
    }
}

fn long_enough(field: &str, found: usize, layers: usize) -> Result<()> {
    if found >= layers {
        return Ok(());
    }
    Err(Error::BadConfig {
        field: field.into(),
        expected: format!("one entry for each of {layers} layers"),
        found: found.to_string(),
    })
}

/// Models that read pictures and text: the part that reads text, its kind and its class.
const WITH_PICTURES: &[(&str, &str, &str)] = &[("gemma3", "gemma3_text", "Gemma3ForCausalLM")];

/// The configuration of the text model, with what lies outside of it for both.
fn text_model(mut values: Map<String, Value>) -> Map<String, Value> {
    let kind = values.get("model_type").and_then(Value::as_str);
    let Some((_, name, class)) = WITH_PICTURES.iter().find(|(outer, ..)| kind == Some(outer)) else { return values };
    let Some(Value::Object(mut text)) = values.remove("text_config") else { return values };
    for shared in ["bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings", "initializer_range"] {
        if let Some(value) = values.remove(shared) {
            text.insert(shared.into(), value);
        }
    }
    text.insert("model_type".into(), (*name).into());
    text.insert("architectures".into(), vec![*class].into());
    text
}

/// GGUF metadata, below the architecture's name, that change the result and that nothing here honours, with their
/// neutral values beside zero and false.
const REJECTED_METADATA: &[(&str, f64)] = &[
    ("attention.clamp_kqv", 0.0),
    ("attention.max_alibi_bias", 0.0),
    ("attention.scale", 0.0),
    ("attention.sliding_window", 0.0),
    ("attn_logit_softcapping", 0.0),
    ("embedding_scale", 1.0),
    ("expert_count", 0.0),
    ("final_logit_softcapping", 0.0),
    ("logit_scale", 1.0),
    ("residual_scale", 1.0),
    ("rope.scale_linear", 1.0),
    ("rope.scaling.attn_factor", 1.0),
    ("rope.scaling.yarn_attn_factor", 1.0),
    ("rope.scaling.yarn_beta_fast", 32.0),
    ("rope.scaling.yarn_beta_slow", 1.0),
    ("rope.scaling.yarn_ext_factor", 1.0),
    ("rope.scaling.yarn_log_multiplier", 0.0),
    ("use_parallel_residual", 0.0),
];

/// Refuses GGUF metadata that change the result and that nothing here honours.
///
/// # Errors
/// [`Error::Unsupported`] naming the key.
pub(super) fn refuse_unhonoured(meta: &Metadata, architecture: &str) -> Result<()> {
    refuse_all_but(meta, architecture, &[])
}

/// [`refuse_unhonoured`] for an architecture that honours some of them.
///
/// # Errors
/// As there.
pub(super) fn refuse_all_but(meta: &Metadata, architecture: &str, honoured: &[&str]) -> Result<()> {
    let causal = format!("{architecture}.attention.causal");
    if meta.contains(&causal) && meta.get_bool(&causal)? == Some(false) {
        return Err(meta.bad(&causal, "true: every token sees only those before it"));
    }
    for (name, neutral) in REJECTED_METADATA.iter().filter(|(name, _)| !honoured.contains(name)) {
        let key = format!("{architecture}.{name}");
        let harmless = !meta.contains(&key)
            || matches!(meta.get_f64(&key), Ok(Some(v)) if v == 0.0 || v == *neutral)
            || matches!(meta.get_bool(&key), Ok(Some(false)));
        if !harmless {
            return Err(Error::Unsupported {
                what: format!("GGUF metadata {key}"),
                expected: "it absent or neutral".into(),
                found: "another value".into(),
            });
        }
    }
    Ok(())
}

/// A product of sizes from a configuration.
///
/// # Errors
/// [`Error::BadConfig`] naming `fields` where it does not fit this machine.
pub(super) fn product(fields: &str, a: usize, b: usize) -> Result<usize> {
    a.checked_mul(b).filter(|n| i32::try_from(*n).is_ok()).ok_or_else(|| Error::BadConfig {
        field: fields.into(),
        expected: "a product below 2^31".into(),
        found: format!("{a} times {b}"),
    })
}

/// A number above zero in GGUF metadata.
pub(super) fn positive(meta: &Metadata, key: &str, default: f32) -> Result<f32> {
    match meta.get_f64(key)?.map(|v| v as f32) {
        None => Ok(default),
        Some(v) if v.is_finite() && v > 0.0 => Ok(v),
        Some(_) => Err(meta.bad(key, "a number above 0")),
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
