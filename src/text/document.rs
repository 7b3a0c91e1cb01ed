//! A `tokenizer.json` as it is read: tokens and merges of its model at once as they stay, the rest as a tree. A tree of it
//! all would take several times the memory of the file.

use super::vocabulary::{LARGEST_ID, merge_from_line};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt::Formatter;
use std::marker::PhantomData;
use tokenizers::models::bpe::{Merges, Vocab};

/// The whole file.
#[derive(Default)]
pub(super) struct Document {
    pub model: Option<Model>,
    parts: Map<String, Value>,
}

impl Document {
    /// A part beside the model, unless it is null.
    pub fn part(&self, name: &str) -> Option<&Value> {
        self.parts.get(name).filter(|value| !value.is_null())
    }
}

/// Its `model`.
#[derive(Default)]
pub(super) struct Model {
    pub vocab: Option<Entries>,
    pub merges: Option<MergeList>,
    options: Map<String, Value>,
}

impl Model {
    /// A text among the options.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).and_then(Value::as_str)
    }

    /// A number among the options, not below zero.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.options.get(name).and_then(Value::as_u64)
    }

    /// Whether an option is there and true.
    pub fn flag(&self, name: &str) -> bool {
        self.options.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An option as what it is to be, the default where there is none.
    pub fn option<T: DeserializeOwned + Default>(&self, name: &str) -> serde_json::Result<T> {
        self.options.get(name).map_or_else(|| Ok(T::default()), T::deserialize)
    }

    /// The share of merges left out at random.
    pub fn dropout(&self) -> Option<f64> {
        self.options.get("dropout").and_then(Value::as_f64).filter(|share| *share != 0.0)
    }
}

/// An object that is read member by member. (`serde(flatten)` would keep what it does not know in a form of its own, whose
/// code is as large as a parser's.)
trait Members: Default {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error>;
}

impl Members for Document {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        match name.as_str() {
            "model" => self.model = map.next_value()?,
            _ => _ = self.parts.insert(name, map.next_value()?),
        }
        Ok(())
    }
}

impl Members for Model {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        match name.as_str() {
            "vocab" => self.vocab = map.next_value()?,
            "merges" => self.merges = map.next_value()?,
            _ => _ = self.options.insert(name, map.next_value()?),
        }
        Ok(())
    }
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Members> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut Formatter) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(name) = map.next_key()? {
            object.member(name, &mut map)?;
        }
        Ok(object)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object(PhantomData))
    }
}

/// The tokens of a model.
pub(super) enum Entries {
    /// An object of tokens and their ids, such as `vocab.json`.
    Ids(Vocab),
    /// A list of tokens in the order of their ids, and their scores.
    Scores(Vec<(String, f64)>),
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Entries;

            fn expecting(&self, f: &mut Formatter) -> std::fmt::Result {
                f.write_str("an object of tokens and ids, or a list of tokens and scores")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut vocab = Vocab::new();
                while let Some((token, id)) = map.next_entry::<String, Value>()? {
                    let Some(number) = id.as_u64().filter(|id| *id <= LARGEST_ID) else {
                        let expected = format!("expected an id from 0 to {LARGEST_ID} for token {token:?}, found {id}");
                        return Err(A::Error::custom(expected));
                    };
                    vocab.insert(token, number as u32);
                }
                Ok(Entries::Ids(vocab))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
                let mut scores = Vec::new();
                while let Some(pair) = list.next_element()? {
                    scores.push(pair);
                }
                Ok(Entries::Scores(scores))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// The merges of a byte-pair model, each a pair or a line.
pub(super) struct MergeList(pub Merges);

impl<'de> Deserialize<'de> for MergeList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let merges: Vec<Merge> = Deserialize::deserialize(deserializer)?;
        Ok(Self(merges.into_iter().filter_map(|Merge(pair)| pair).collect()))
    }
}

/// A merge; none for the line that says which version the list has.
struct Merge(Option<(String, String)>);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Merge;

            fn expecting(&self, f: &mut Formatter) -> std::fmt::Result {
                f.write_str("a merge of two tokens")
            }

            fn visit_str<E: Error>(self, line: &str) -> Result<Merge, E> {
                if line.starts_with("#version") {
                    return Ok(Merge(None));
                }
                merge_from_line(line).map(|pair| Merge(Some(pair))).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Merge, A::Error> {
                let mut token = |at| pair.next_element::<String>()?.ok_or_else(|| A::Error::invalid_length(at, &self));
                let merge = (token(0)?, token(1)?);
                match pair.next_element::<Value>()? {
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                    None => Ok(Merge(Some(merge))),
                }
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_are_pairs_or_lines() {
        let MergeList(merges) = serde_json::from_str(r##"["#version: 0.2", "a b", ["c", "d e"]]"##).unwrap();
        let pair = |left: &str, right: &str| (left.to_string(), right.to_string());
        assert_eq!(merges, [pair("a", "b"), pair("c", "d e")]);
        for wrong in [r#"["a"]"#, r#"[["a"]]"#, r#"[["a", "b", "c"]]"#, r#"[["a", 1]]"#, r#"[{}]"#, r#"{}"#] {
            assert!(serde_json::from_str::<MergeList>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_have_ids_or_scores() {
        let ids = serde_json::from_str(r#"{"a": 1, "b": 0}"#).unwrap();
        assert!(matches!(ids, Entries::Ids(vocab) if vocab.len() == 2 && vocab["a"] == 1));
        let scores = serde_json::from_str(r#"[["a", -1.5], ["b", 0]]"#).unwrap();
        assert!(
            matches!(scores, Entries::Scores(scores) if scores == [("a".to_string(), -1.5), ("b".to_string(), 0.0)])
        );
        for wrong in [r#"{"a": -1}"#, r#"{"a": 1.5}"#, r#"{"a": 4294967296}"#, r#"["a"]"#, "3"] {
            assert!(serde_json::from_str::<Entries>(wrong).is_err(), "{wrong}");
        }
    }
}
