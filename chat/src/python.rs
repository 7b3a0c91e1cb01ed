//! The methods of Python's texts, lists and dictionaries that templates call and minijinja's own set lacks or does
//! otherwise, and filters of Jinja likewise.

use crate::error::operation;
use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

/// Bytes of a text, or items of a list, that one unit of fuel pays for.
const FUEL_SHARE: usize = 64;

/// Calls a method of a value.
pub fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    // Methods look at the whole of what they are called on.
    let size = value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len);
    state.consume_fuel((size / FUEL_SHARE) as u64)?;
    let own = match value.kind() {
        ValueKind::String => text(value.as_str().unwrap_or_default(), name, args)?,
        ValueKind::Map => map(value, name, args)?,
        ValueKind::Seq => list(value, name, args)?,
        _ => None,
    };
    own.map_or_else(|| pycompat::unknown_method_callback(state, value, name, args), Ok)
}

/// What Python takes for white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// What ends a line in Python.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn text(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(args)?;
            let strips = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
            Value::from(match name {
                "strip" => text.trim_matches(strips),
                "lstrip" => text.trim_start_matches(strips),
                _ => text.trim_end_matches(strips),
            })
        }
        "split" | "rsplit" => {
            let (separator, most, named): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
            let separator = named.get::<Option<Value>>("sep")?.or(separator).filter(|value| !value.is_none());
            let most = named.get::<Option<i64>>("maxsplit")?.or(most).and_then(|most| usize::try_from(most).ok());
            named.assert_all_used()?;
            let separator = separator.as_ref().map(|value| {
                value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| operation("split: empty separator"))
            });
            let most = most.map_or(usize::MAX, |most| most.saturating_add(1));
            Value::from(match (separator.transpose()?, name) {
                (Some(separator), "split") => text.splitn(most, separator).map(Value::from).collect::<Vec<_>>(),
                (Some(separator), _) => reversed(text.rsplitn(most, separator)),
                (None, "split") => words(text, most),
                (None, _) => words_from_the_end(text, most),
            })
        }
        "splitlines" => {
            let (keep, named): (Option<bool>, Kwargs) = from_args(args)?;
            let keep = named.get::<Option<bool>>("keepends")?.or(keep).unwrap_or(false);
            Value::from(lines(text, keep))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let first = name == "partition";
            let cut = if first { text.split_once(separator) } else { text.rsplit_once(separator) };
            let parts = match cut {
                Some((before, after)) => [before, separator, after],
                None if first => [text, "", ""],
                None => ["", "", text],
            };
            Value::from(parts.map(Value::from).to_vec())
        }
        "index" | "rindex" => {
            let (what,): (&str,) = from_args(args)?;
            let at = if name == "index" { text.find(what) } else { text.rfind(what) };
            let at = at.ok_or_else(|| operation(format!("{name}: {what:?} is not in the text")))?;
            Value::from(text[..at].chars().count())
        }
        "swapcase" => {
            let () = from_args(args)?;
            let swap = |c: char| -> String {
                if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
            };
            Value::from(text.chars().map(swap).collect::<String>())
        }
        "isspace" => {
            let () = from_args(args)?;
            Value::from(!text.is_empty() && text.chars().all(is_space))
        }
        _ => return Ok(None),
    }))
}

fn reversed<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let mut parts: Vec<Value> = parts.map(Value::from).collect();
    parts.reverse();
    parts
}

/// At most so many words; the last has the rest of the text.
fn words(text: &str, most: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = if found.len() + 1 < most { rest.find(is_space) } else { None };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(Value::from(word));
        rest = after.trim_start_matches(is_space);
    }
    found
}

/// As [`words`], cut from the end: the first has the rest.
fn words_from_the_end(text: &str, most: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        let last = rest.char_indices().rev().find(|(_, c)| is_space(*c)).map(|(at, c)| at + c.len_utf8());
        let start = if found.len() + 1 < most { last } else { None };
        let (before, word) = rest.split_at(start.unwrap_or(0));
        found.push(Value::from(word));
        rest = before.trim_end_matches(is_space);
    }
    found.reverse();
    found
}

fn lines(text: &str, keep: bool) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, end)) = rest.char_indices().find(|(_, c)| is_line_end(*c)) {
        let after = if rest[at..].starts_with("\r\n") { at + 2 } else { at + end.len_utf8() };
        found.push(Value::from(&rest[..if keep { after } else { at }]));
        rest = &rest[after..];
    }
    if !rest.is_empty() {
        found.push(Value::from(rest));
    }
    found
}

fn map(value: &Value, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match name {
        "copy" => {
            let () = from_args(args)?;
            Ok(Some(value.clone()))
        }
        _ => Ok(None),
    }
}

fn list(value: &Value, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match name {
        "copy" => {
            let () = from_args(args)?;
            Ok(Some(value.clone()))
        }
        "index" => {
            let (what,): (Value,) = from_args(args)?;
            let at = value.try_iter()?.position(|item| item == what);
            let at = at.ok_or_else(|| operation(format!("index: {what} is not in the list")))?;
            Ok(Some(Value::from(at)))
        }
        // As in the sandbox of Jinja that transformers uses.
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a template cannot change a list; it may not call {name}"),
        )),
        _ => Ok(None),
    }
}

/// The filter `trim`.
pub fn trim(value: &Value, chars: Option<&str>) -> String {
    let strips = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    match value.as_str() {
        Some(text) => text.trim_matches(strips).to_string(),
        None => value.to_string().trim_matches(strips).to_string(),
    }
}

/// The test `sequence`: what has a length and items by number or name, as Jinja asks.
pub fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
}

/// The test `iterable`: none is not, and what is undefined is, with nothing in it.
pub fn is_iterable(value: &Value) -> bool {
    is_sequence(value) || matches!(value.kind(), ValueKind::Iterable | ValueKind::Undefined)
}

/// `raise_exception(message)`.
pub fn raise_exception(args: Rest<Value>) -> Result<Value, Error> {
    let message = args.first().map(Value::to_string).unwrap_or_default();
    Err(crate::error::wrapped(crate::Error::Raised { message }))
}
