//! Which layers of a model see no farther than a sliding window: as a config.json and GGUF metadata say it.

use super::config::count;
use super::{Fields, LayerForm};
use crate::error::{Error, Result};
use crate::kernels::attention::Reach;
use crate::weights::{Metadata, Value as Pair};
use serde_json::{Map, Value};

/// Some of a model's layers. A configuration may claim any number of them, so they are not listed unless it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layers {
    None,
    All,
    /// This one and those after it.
    From(usize),
    /// Every so manieth.
    Every(usize),
    /// All but these.
    ButEvery(usize),
    Listed(Vec<bool>),
}

impl Layers {
    /// Whether this layer is one of them.
    pub fn has(&self, layer: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::From(first) => layer >= *first,
            Self::Every(step) => (layer + 1).is_multiple_of((*step).max(1)),
            Self::ButEvery(step) => !(layer + 1).is_multiple_of((*step).max(1)),
            Self::Listed(layers) => layers.get(layer).copied().unwrap_or_default(),
        }
    }

    /// Whether both are the same of the first `layers`.
    pub fn agree(&self, other: &Self, layers: usize) -> bool {
        (0..layers).all(|layer| self.has(layer) == other.has(layer))
    }
}

/// Layers in which a token sees itself and so many before it that they are `size` together; in the others it sees all.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    pub size: usize,
    pub layers: Layers,
}

/// Below the architecture's name in GGUF metadata.
const SIZE: &str = "attention.sliding_window";
const PATTERN: &str = "attention.sliding_window_pattern";

impl Windows {
    /// In no layer.
    pub const NONE: Self = Self { size: 0, layers: Layers::None };

    /// A window of this size, if there is one, in the layers that a config.json lists or else in `usual` ones.
    ///
    /// # Errors
    /// [`Error::BadConfig`] for a list without a size, [`Error::Unsupported`] for other kinds of layer.
    pub fn listed(fields: &Fields, layers: usize, size: Option<usize>, usual: Layers) -> Result<Self> {
        let listed = fields.sliding_layers(layers)?;
        match (size, listed) {
            (Some(size), Some(listed)) => Ok(Self { size, layers: Layers::Listed(listed) }),
            (Some(size), None) => Ok(Self { size, layers: usual }),
            (None, Some(listed)) if listed.contains(&true) => Err(Error::BadConfig {
                field: "sliding_window".into(),
                expected: "a number beside layer_types with sliding_attention".into(),
                found: "none".into(),
            }),
            (None, _) => Ok(Self::NONE),
        }
    }

    /// `sliding_window` of a config.json.
    ///
    /// # Errors
    /// [`Error::BadConfig`] for one that is not a number of at least one.
    pub fn size_in(fields: &Fields) -> Result<Option<usize>> {
        const NAME: [&str; 1] = ["sliding_window"];
        fields.usize(&NAME)?.map(|_| fields.count(&NAME, None)).transpose()
    }

    /// The window of a family that has one in all layers or in none, whatever a config.json lists.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a list that says otherwise.
    pub fn everywhere(fields: &Fields, layers: usize, size: Option<usize>) -> Result<Self> {
        let windows = size.map_or(Self::NONE, |size| Self { size, layers: Layers::All });
        match fields.sliding_layers(layers)? {
            Some(listed) if !windows.layers.agree(&Layers::Listed(listed.clone()), layers) => Err(Error::Unsupported {
                what: "config field layer_types".into(),
                expected: if size.is_some() { "sliding_attention" } else { "full_attention" }.to_string()
                    + " for every layer",
                found: Value::from(listed).to_string(),
            }),
            _ => Ok(windows),
        }
    }

    /// As GGUF metadata have it; a window whose layers are not said is in `usual` ones.
    ///
    /// # Errors
    /// [`Error::BadConfig`] naming the key.
    pub fn from_gguf(meta: &Metadata, architecture: &str, layers: usize, usual: Layers) -> Result<Self> {
        let [size_key, pattern] = [SIZE, PATTERN].map(|name| format!("{architecture}.{name}"));
        if !meta.contains(&size_key) || meta.get_u64(&size_key)? == Some(0) {
            return Ok(Self::NONE);
        }
        let size = count(meta, &size_key)?;
        let layers = match (meta.contains(&pattern), meta.get_bool_array(&pattern)) {
            (false, _) => usual,
            (true, Ok(Some(listed))) if listed.len() >= layers => Layers::Listed(listed.to_vec()),
            (true, Ok(_)) => return Err(meta.bad(&pattern, format!("a truth value for each of {layers} layers"))),
            // llama.cpp: every so manieth layer sees all; one or zero, every layer does.
            (true, Err(_)) => match meta.get_u64(&pattern)? {
                Some(step) if step > 1 => Layers::ButEvery(usize::try_from(step).unwrap_or(usize::MAX)),
                _ => return Ok(Self::NONE),
            },
        };
        Ok(Self { size, layers })
    }

    /// As GGUF metadata have it, where `usual` layers need not be said.
    ///
    /// # Errors
    /// As [`super::conversion::u32_pair`].
    pub fn to_gguf(&self, layers: usize, usual: &Layers) -> Result<Vec<(&'static str, Pair)>> {
        if self.layers.agree(&Layers::None, layers) {
            return Ok(Vec::new());
        }
        let mut pairs = vec![(SIZE, super::conversion::u32_pair(self.size)?)];
        if !self.layers.agree(usual, layers) {
            let step = (2..=layers + 1).find(|&step| self.layers.agree(&Layers::ButEvery(step), layers));
            let listed = || Pair::Bools((0..layers).map(|layer| self.layers.has(layer)).collect());
            pairs.push((PATTERN, step.map_or_else(|| Ok(listed()), super::conversion::u32_pair)?));
        }
        Ok(pairs)
    }

    /// `sliding_window` of a config.json.
    pub fn size(&self, layers: usize) -> Option<usize> {
        (!self.layers.agree(&Layers::None, layers)).then_some(self.size)
    }

    /// `layer_types` of a config.json.
    pub fn types(&self, layers: usize) -> Value {
        (0..layers).map(|i| if self.layers.has(i) { "sliding_attention" } else { "full_attention" }).collect()
    }

    /// What a layer sees.
    pub fn reach(&self, layer: usize) -> Reach {
        if self.layers.has(layer) { Reach::Window(self.size) } else { Reach::Causal }
    }

    /// How a layer is told from others: by its window, and by the base of its rotary embedding if it has one.
    pub fn form(&self, layer: usize, rope_theta: Option<f32>) -> LayerForm {
        LayerForm { window: self.layers.has(layer).then_some(self.size), rope_theta }
    }
}

/// The fields of a config.json that lists its layers, where some have a window.
pub(super) fn listed_in_json(windows: &Windows, layers: usize) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(size) = windows.size(layers) {
        fields.insert("use_sliding_window".into(), true.into());
        fields.insert("sliding_window".into(), size.into());
        fields.insert("layer_types".into(), windows.types(layers));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::new(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn lists_count_before_what_is_usual() {
        let kinds = json!({ "layer_types": ["full_attention", "sliding_attention", "sliding_attention"] });
        let windows = Windows::listed(&fields(kinds.clone()), 3, Some(5), Layers::ButEvery(2)).unwrap();
        assert_eq!([0, 1, 2].map(|i| windows.reach(i)), [Reach::Causal, Reach::Window(5), Reach::Window(5)]);
        let usual = Windows::listed(&fields(json!({})), 3, Some(5), Layers::ButEvery(2)).unwrap();
        assert_eq!([0, 1, 2].map(|i| usual.reach(i)), [Reach::Window(5), Reach::Causal, Reach::Window(5)]);
        assert!(Windows::listed(&fields(kinds.clone()), 3, None, Layers::None).is_err());
        assert!(Windows::listed(&fields(kinds.clone()), 4, Some(5), Layers::None).is_err());
        assert!(Windows::everywhere(&fields(kinds), 3, Some(5)).is_err());
        let other = json!({ "layer_types": ["chunked_attention"] });
        assert_eq!(Windows::listed(&fields(other), 1, Some(5), Layers::None).unwrap_err().code(), "unsupported");
    }

    #[test]
    fn patterns_are_said_shortly_where_they_can_be() {
        let said = |layers: Layers, usual: Layers| Windows { size: 7, layers }.to_gguf(6, &usual).unwrap();
        let keys = |pairs: Vec<(&'static str, Pair)>| pairs.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert!(keys(said(Layers::None, Layers::All)).is_empty());
        assert_eq!(keys(said(Layers::All, Layers::All)), [SIZE]);
        assert!(matches!(said(Layers::ButEvery(2), Layers::ButEvery(6))[1], (PATTERN, Pair::U32(2))));
        assert!(
            matches!(&said(Layers::From(4), Layers::All)[1], (PATTERN, Pair::Bools(listed)) if listed[..] == [false, false, false, false, true, true])
        );
    }
}
