//! The key/value pairs of a GGUF file, with typed access whose errors name the key.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::gguf_writer;
use crate::error::{Error, Result};

/// The key/value pairs of a GGUF file.
#[derive(Debug, Default)]
pub struct Metadata {
    values: BTreeMap<String, Value>,
}

/// A value. Integers of every width are one kind, as are floats: writers differ in which they choose for a key.
#[derive(Debug)]
enum Value {
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    Float(f64),
    Bool(bool),
    String(String),
    Strings(Vec<String>),
    Floats(Vec<f32>),
    Ints(Vec<i32>),
    Bools(Vec<bool>),
    /// An array nobody needs (of 64-bit floats, of arrays, or with an integer beyond 32 bits): its length.
    OtherArray(u64),
}

/// How deep arrays may lie in arrays; no writer goes beyond one.
const MAX_DEPTH: usize = 4;

impl Metadata {
    /// Whether there is a value under this key.
    pub fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// A string. Like all of these: `None` without the key, [`Error::BadConfig`] for a value of another type.
    pub fn get_str(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "a string", |value| match value {
            Value::String(value) => Some(value.as_str()),
            _ => None,
        })
    }

    /// [`Self::get_str`], and the value is no longer here.
    pub(crate) fn take_str(&mut self, key: &str) -> Result<Option<String>> {
        self.get_str(key)?;
        Ok(match self.values.remove(key) {
            Some(Value::String(value)) => Some(value),
            _ => None,
        })
    }

    /// An integer of any type that is not negative.
    pub fn get_u64(&self, key: &str) -> Result<Option<u64>> {
        self.get(key, "an integer of at least 0", |value| match value {
            Value::Unsigned(value) => Some(*value),
            _ => None,
        })
    }

    /// A float of any width, or an integer.
    pub fn get_f64(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, "a number", |value| match value {
            Value::Float(value) => Some(*value),
            Value::Unsigned(value) => Some(*value as f64),
            Value::Negative(value) => Some(*value as f64),
            _ => None,
        })
    }

    /// A truth value.
    pub fn get_bool(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    /// An array of strings.
    pub fn get_str_array(&self, key: &str) -> Result<Option<&[String]>> {
        self.get(key, "an array of strings", |value| match value {
            Value::Strings(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    /// An array of 32-bit floats.
    pub fn get_f32_array(&self, key: &str) -> Result<Option<&[f32]>> {
        self.get(key, "an array of 32-bit floats", |value| match value {
            Value::Floats(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    /// An array of integers of any type, all of which fit 32 bits.
    pub fn get_i32_array(&self, key: &str) -> Result<Option<&[i32]>> {
        self.get(key, "an array of 32-bit integers", |value| match value {
            Value::Ints(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    /// An array of truth values.
    pub fn get_bool_array(&self, key: &str) -> Result<Option<&[bool]>> {
        self.get(key, "an array of truth values", |value| match value {
            Value::Bools(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    /// The value under this key as it can be written to another file; `None` without the key, and for integers below
    /// zero and arrays that nobody needs.
    pub fn writable(&self, key: &str) -> Option<gguf_writer::Value> {
        use gguf_writer::Value as Writable;
        Some(match self.values.get(key)? {
            Value::Unsigned(value) => Writable::U32(u32::try_from(*value).ok()?),
            Value::Float(value) => Writable::F32(*value as f32),
            Value::Bool(value) => Writable::Bool(*value),
            Value::String(value) => Writable::String(value.clone()),
            Value::Strings(values) => Writable::Strings(values.clone()),
            Value::Floats(values) => Writable::F32s(values.clone()),
            Value::Ints(values) => Writable::I32s(values.clone()),
            Value::Bools(values) => Writable::Bools(values.clone()),
            Value::Negative(_) | Value::OtherArray(_) => return None,
        })
    }

    /// The error for an impossible value under this key.
    pub fn bad(&self, key: &str, expected: impl Into<String>) -> Error {
        let found = self.values.get(key).map_or_else(|| "nothing".to_string(), Value::describe);
        Error::BadConfig { field: key.to_string(), expected: expected.into(), found }
    }

    fn get<'a, T>(&'a self, key: &str, kind: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        self.values.get(key).map(|value| read(value).ok_or_else(|| self.bad(key, kind))).transpose()
    }

    /// Reads `count` pairs.
    pub(super) fn parse(cursor: &mut Cursor, count: u64) -> Result<Self> {
        // A pair is at least the length of its key, a type, and one byte.
        let count = cursor.claim(count, 8 + 4 + 1, size_of::<(String, Value)>(), "key/value pairs")?;
        let mut values = BTreeMap::new();
        for _ in 0..count {
            let key = cursor.string()?;
            let kind = cursor.u32()?;
            let value = Value::parse(cursor, kind, &key)?;
            if values.insert(key.clone(), value).is_some() {
                return Err(cursor.bad("every key once", format!("{key} a second time")));
            }
        }
        Ok(Self { values })
    }
}

impl Value {
    fn describe(&self) -> String {
        match self {
            Self::Unsigned(value) => value.to_string(),
            Self::Negative(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::String(value) => format!("{:?}", value.chars().take(80).collect::<String>()),
            Self::Strings(values) => format!("an array of {} strings", values.len()),
            Self::Floats(values) => format!("an array of {} floats", values.len()),
            Self::Ints(values) => format!("an array of {} integers", values.len()),
            Self::Bools(values) => format!("an array of {} truth values", values.len()),
            Self::OtherArray(len) => format!("an array of {len} values of another type"),
        }
    }

    fn signed(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Negative(value), Self::Unsigned)
    }

    fn parse(cursor: &mut Cursor, kind: u32, key: &str) -> Result<Self> {
        Ok(match kind {
            0 => Self::Unsigned(u8::from_le_bytes(cursor.array()?).into()),
            1 => Self::signed(i8::from_le_bytes(cursor.array()?).into()),
            2 => Self::Unsigned(u16::from_le_bytes(cursor.array()?).into()),
            3 => Self::signed(i16::from_le_bytes(cursor.array()?).into()),
            4 => Self::Unsigned(cursor.u32()?.into()),
            5 => Self::signed(i32::from_le_bytes(cursor.array()?).into()),
            6 => Self::Float(f32::from_le_bytes(cursor.array()?).into()),
            7 => match cursor.array()? {
                [0] => Self::Bool(false),
                [1] => Self::Bool(true),
                [other] => return Err(cursor.bad(format!("0 or 1 for {key}"), other.to_string())),
            },
            8 => Self::String(cursor.string()?),
            9 => Self::parse_array(cursor, key, 1)?,
            10 => Self::Unsigned(cursor.u64()?),
            11 => Self::signed(i64::from_le_bytes(cursor.array()?)),
            12 => Self::Float(f64::from_le_bytes(cursor.array()?)),
            _ => return Err(cursor.bad(format!("a value type from 0 to 12 for {key}"), kind.to_string())),
        })
    }

    fn parse_array(cursor: &mut Cursor, key: &str, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(cursor.bad(format!("arrays at most {MAX_DEPTH} deep for {key}"), "a deeper one"));
        }
        let kind = cursor.u32()?;
        let len = cursor.u64()?;
        let what = format!("values of {key}");
        Ok(match kind {
            6 => {
                let len = cursor.claim(len, 4, 4, &what)?;
                Self::Floats(collect(len, || cursor.u32().map(f32::from_bits))?)
            }
            7 => {
                let len = cursor.claim(len, 1, 1, &what)?;
                let truth = || Ok(matches!(Self::parse(cursor, kind, key)?, Self::Bool(true)));
                Self::Bools(collect(len, truth)?)
            }
            8 => {
                let len = cursor.claim(len, 8, size_of::<String>(), &what)?;
                Self::Strings(collect(len, || cursor.string())?)
            }
            9 => {
                for _ in 0..cursor.claim(len, 4 + 8, 0, &what)? {
                    Self::parse_array(cursor, key, depth + 1)?;
                }
                Self::OtherArray(len)
            }
            0..=5 | 10 | 11 => {
                let size = [1, 1, 2, 2, 4, 4].get(kind as usize).copied().unwrap_or(8);
                let count = cursor.claim(len, size, 4, &what)?;
                let mut fits = true;
                let values = collect(count, || {
                    let value = match Self::parse(cursor, kind, key)? {
                        Self::Unsigned(value) => i32::try_from(value).ok(),
                        Self::Negative(value) => i32::try_from(value).ok(),
                        _ => None,
                    };
                    fits &= value.is_some();
                    Ok(value.unwrap_or_default())
                })?;
                if fits { Self::Ints(values) } else { Self::OtherArray(len) }
            }
            _ => {
                // 64-bit floats, or an unknown type, which the first value refuses.
                for _ in 0..cursor.claim(len, 8, 0, &what)? {
                    Self::parse(cursor, kind, key)?;
                }
                Self::OtherArray(len)
            }
        })
    }
}

/// `len` values, into memory that is had before the first is read.
fn collect<T>(len: usize, mut read: impl FnMut() -> Result<T>) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| Error::OutOfMemory {
        what: "the header of the model file".to_string(),
        needed: (len as u64).saturating_mul(size_of::<T>() as u64),
    })?;
    for _ in 0..len {
        values.push(read()?);
    }
    Ok(values)
}
