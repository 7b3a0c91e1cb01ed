//! The arguments of a task, as JavaScript and the command line give them.

use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// Arguments by name. Null counts as not given.
pub struct Arguments<'a>(&'a Map<String, Value>);

impl<'a> Arguments<'a> {
    pub fn new(values: &'a Map<String, Value>) -> Self {
        Self(values)
    }

    fn get<T>(&self, name: &str, expected: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let value = self.0.get(name).filter(|value| !value.is_null());
        value.map(|value| read(value).ok_or_else(|| bad(name, expected, value))).transpose()
    }

    /// Refuses arguments that are none of these.
    ///
    /// # Errors
    /// [`Error::BadParameter`] naming the first.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, value)) => Err(bad(name, &format!("one of {}", known.join(", ")), value)),
            None => Ok(()),
        }
    }

    /// A text that must be given.
    ///
    /// # Errors
    /// [`Error::BadParameter`], as with the others.
    pub fn text(&self, name: &str) -> Result<&'a str> {
        self.optional_text(name)?.ok_or_else(|| bad(name, "a text", &Value::Null))
    }

    /// A text.
    pub fn optional_text(&self, name: &str) -> Result<Option<&'a str>> {
        self.get(name, "a text", Value::as_str)
    }

    /// A text, or a list of them.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        self.get(name, "a text or a list of texts", |value| match value {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(all) => all.iter().map(|text| text.as_str().map(str::to_string)).collect(),
            _ => None,
        })
    }

    /// A whole number of at least one.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        self.whole(name, 1, "a whole number of at least 1")
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<usize>> {
        self.whole(name, 0, "a whole number of at least 0")
    }

    fn whole(&self, name: &str, least: usize, expected: &str) -> Result<Option<usize>> {
        self.get(name, expected, |value| {
            // JavaScript has no other numbers than these.
            let whole = value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..4e9).contains(n)).map(|n| n as u64);
            let number = value.as_u64().or(whole).and_then(|n| usize::try_from(n).ok());
            number.filter(|number| *number >= least)
        })
    }

    /// True or false.
    pub fn truth(&self, name: &str) -> Result<Option<bool>> {
        self.get(name, "true or false", Value::as_bool)
    }
}

fn bad(name: &str, expected: &str, found: &Value) -> Error {
    let found = found.to_string().chars().take(80).collect();
    Error::BadParameter { name: name.into(), expected: expected.into(), found }
}
