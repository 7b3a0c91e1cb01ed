//! `tojson` as transformers defines it: Python's `json.dumps`, with keys in their order and nothing escaped for HTML.

use crate::error::operation;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, State, Value};
use std::fmt::Write;

/// How deep lists and maps may lie in each other.
const DEEPEST: usize = 200;
/// How many bytes are written between two looks at the fuel.
const METERED: usize = 4096;

struct Writer<'a, 'b> {
    state: &'a State<'b, 'b>,
    out: String,
    /// Bytes that are paid for.
    paid: usize,
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    between: String,
    after_key: String,
}

/// The filter. Options are those of transformers' `tojson`.
pub fn tojson(state: &State, value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<Value> = options.get("indent")?;
    let indent = indent.filter(|value| !value.is_none() && !value.is_undefined());
    let indent = indent.map(|value| match (value.as_str(), value.as_usize()) {
        (Some(text), _) => Ok(text.to_string()),
        (None, Some(width)) => Ok(" ".repeat(width.min(64))),
        _ => Err(operation("tojson: expected indent as a number of spaces or a text")),
    });
    let indent = indent.transpose()?;
    let separators: Option<Value> = options.get("separators")?;
    let separators: Vec<String> = match separators.filter(|value| !value.is_none() && !value.is_undefined()) {
        Some(pair) => pair.try_iter()?.map(|text| text.to_string()).collect(),
        None if indent.is_some() => vec![",".into(), ": ".into()],
        None => vec![", ".into(), ": ".into()],
    };
    let [between, after_key] = <[String; 2]>::try_from(separators)
        .map_err(|found| operation(format!("tojson: expected two separators, found {}", found.len())))?;
    let flag = |name| options.get::<Option<bool>>(name).map(|flag| flag.unwrap_or(false));
    let (ensure_ascii, sort_keys) = (flag("ensure_ascii")?, flag("sort_keys")?);
    options.assert_all_used()?;
    let mut writer = Writer { state, out: String::new(), paid: 0, ensure_ascii, sort_keys, indent, between, after_key };
    writer.value(value, 0)?;
    Ok(writer.out)
}

impl Writer<'_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(operation(format!("tojson: expected values nested at most {DEEPEST} deep")));
        }
        if self.out.len() > self.paid + METERED {
            self.state.consume_fuel(((self.out.len() - self.paid) / 16) as u64)?;
            self.paid = self.out.len();
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                self.list(value.try_iter()?, depth, ['[', ']'], |writer, item| writer.value(&item, depth + 1))?;
            }
            ValueKind::Map => {
                let mut entries = Vec::new();
                for key in value.try_iter()? {
                    let item = value.get_item(&key)?;
                    entries.push((name(&key)?, item));
                }
                if self.sort_keys {
                    entries.sort_by(|a, b| a.0.cmp(&b.0));
                }
                self.list(entries.into_iter(), depth, ['{', '}'], |writer, (key, item)| {
                    writer.text(&key);
                    let after = writer.after_key.clone();
                    writer.out.push_str(&after);
                    writer.value(&item, depth + 1)
                })?;
            }
            other => return Err(operation(format!("tojson: expected a value that JSON has, found {other}"))),
        }
        Ok(())
    }

    fn list<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        depth: usize,
        [open, close]: [char; 2],
        write: impl Fn(&mut Self, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        let mut any = false;
        for item in items {
            if any {
                let between = self.between.clone();
                self.out.push_str(&between);
            }
            any = true;
            self.line(depth + 1);
            write(self, item)?;
        }
        if any {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || (self.ensure_ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a text does not fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// A key as Python's `json` writes it.
fn name(key: &Value) -> Result<String, Error> {
    Ok(match key.kind() {
        ValueKind::String => key.as_str().unwrap_or_default().to_string(),
        ValueKind::None => "null".into(),
        ValueKind::Bool => (if key.is_true() { "true" } else { "false" }).into(),
        ValueKind::Number => number(key),
        other => return Err(operation(format!("tojson: expected keys that JSON has, found {other}"))),
    })
}

/// A number as Python writes it: a float always shows that it is one.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(float) = f64::try_from(value.clone()) else { return value.to_string() };
    if float.is_nan() {
        return "NaN".into();
    }
    if float.is_infinite() {
        return (if float > 0.0 { "Infinity" } else { "-Infinity" }).into();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..16 => {
            let _ = exponent;
            let plain = format!("{float}");
            if plain.contains('.') { plain } else { plain + ".0" }
        }
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}
