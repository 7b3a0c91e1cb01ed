//! Changing text before it is cut ("normalization"): what the `tokenizers` crate does, but replacements by regular
//! expression are run here, for the same reason as in [`split`](super::split).

use super::bad;
use super::charsmap::Charsmap;
use super::split::Words;
use crate::Result;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use tokenizers::{NormalizedString, Normalizer as _, NormalizerWrapper};

/// One way of changing text.
#[derive(Debug)]
pub(super) enum Normalizer {
    Sequence(Vec<Normalizer>),
    Replace { what: Words, with: String },
    Charsmap(Charsmap),
    Other(NormalizerWrapper),
}

/// A normalizer, and whether it has failed: the crate drops the errors of normalizers.
#[derive(Debug)]
pub(super) struct Checked {
    normalizer: Normalizer,
    failed: AtomicBool,
}

impl Checked {
    /// Whether it has failed since this was last asked.
    pub(super) fn take_failure(&self) -> bool {
        self.failed.swap(false, Ordering::Relaxed)
    }
}

impl tokenizers::Normalizer for Checked {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        let result = self.normalizer.apply(text);
        self.failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    }
}

impl Normalizer {
    /// From the `normalizer` part of a `tokenizer.json`.
    pub(super) fn from_json(json: &Value) -> Result<Self> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_string);
        let kind = json.get("type").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| bad("a normalizer with a type", "one without"))?;
        match kind {
            "Sequence" => {
                let steps = json.get("normalizers").and_then(Value::as_array);
                let steps = steps.ok_or_else(|| bad("a list of normalizers in a Sequence", "none"))?;
                return Ok(Self::Sequence(steps.iter().map(Self::from_json).collect::<Result<_>>()?));
            }
            "Replace" => {
                let with = text(json.get("content")).ok_or_else(|| bad("content in a Replace normalizer", "none"))?;
                return Ok(Self::Replace { what: Words::from_json(json.get("pattern"))?, with });
            }
            // The crate reads its tables without looking at their bounds.
            "Precompiled" => {
                let table = text(json.get("precompiled_charsmap")).unwrap_or_default();
                return Charsmap::from_base64(&table).map(Self::Charsmap);
            }
            "Prepend" if text(json.get("prepend")).is_some_and(|prefix| prefix.is_empty()) => {
                return Err(bad("something to prepend in a Prepend normalizer", "nothing"));
            }
            _ => {}
        }
        let other = by_type(kind, json.clone());
        other.map(Self::Other).map_err(|e| bad("a normalizer of a known type", &format!("{kind}: {e}")))
    }

    pub(super) fn checked(self) -> Checked {
        Checked { normalizer: self, failed: AtomicBool::new(false) }
    }

    fn apply(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        match self {
            Self::Sequence(steps) => steps.iter().try_for_each(|step| step.apply(text)),
            Self::Replace { what, with } => text.replace(what, with),
            Self::Charsmap(table) => {
                table.apply(text);
                Ok(())
            }
            Self::Other(wrapper) => wrapper.normalize(text),
        }
    }
}

/// One of the crate's own. Each by its own type: reading "any of them" would bring its older forms along.
fn by_type(kind: &str, json: Value) -> serde_json::Result<NormalizerWrapper> {
    use serde_json::from_value as read;
    match kind {
        "BertNormalizer" => read(json).map(NormalizerWrapper::BertNormalizer),
        "ByteLevel" => read(json).map(NormalizerWrapper::ByteLevel),
        "Lowercase" => read(json).map(NormalizerWrapper::Lowercase),
        "NFC" => read(json).map(NormalizerWrapper::NFC),
        "NFD" => read(json).map(NormalizerWrapper::NFD),
        "NFKC" => read(json).map(NormalizerWrapper::NFKC),
        "NFKD" => read(json).map(NormalizerWrapper::NFKD),
        "Nmt" => read(json).map(NormalizerWrapper::Nmt),
        "Prepend" => read(json).map(NormalizerWrapper::Prepend),
        "Strip" => read(json).map(NormalizerWrapper::StripNormalizer),
        "StripAccents" => read(json).map(NormalizerWrapper::StripAccents),
        _ => Err(serde::de::Error::custom("it is not one of the tokenizers crate")),
    }
}
