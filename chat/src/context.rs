//! What a template sees: messages and variables, prepared as transformers prepares them, and the end of a reply that is
//! to be continued.

use crate::environment;
use crate::error::Error;
use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::ValueKind;

/// The names under which what a model thought before its reply is given; the first is the one templates read now.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];
/// Variables that are always there.
const ALWAYS: [&str; 3] = ["tools", "documents", "add_generation_prompt"];
/// Stands for the place to go on at; what a person writes does not hold it.
const HERE: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

type Entries = Vec<(Value, Value)>;

/// See [`crate::render`].
pub fn render(template: &str, context: &str, now: i64) -> Result<String, Error> {
    let context: Value = serde_json::from_str(context).map_err(|error| Error::context("JSON", error))?;
    let mut variables = entries(&context, "an object with messages")?;
    let given = context.get_attr("messages")?;
    let list = if given.kind() == ValueKind::Seq { given.try_iter()?.collect() } else { Vec::new() };
    if list.is_empty() {
        let found = if given.kind() == ValueKind::Seq { "an empty list".to_string() } else { given.kind().to_string() };
        return Err(Error::context("messages as a list of at least one", found));
    }
    let messages: Result<Vec<Entries>, Error> = list.iter().map(message).collect();
    let mut messages = messages?;
    let continued = continued(&variables)?;
    if let Some(field) = &continued {
        if context.get_attr("add_generation_prompt")?.is_true() {
            let expected = "add_generation_prompt or continue_final_message";
            return Err(Error::context(expected, "both"));
        }
        mark(template, &mut messages, field)?;
    }
    let last = messages.last().cloned().unwrap_or_default();
    variables.retain(|(name, _)| !["messages", "continue_final_message"].contains(&name.as_str().unwrap_or_default()));
    for name in ALWAYS {
        if context.get_attr(name)?.is_undefined() {
            let default = if name == "add_generation_prompt" { Value::from(false) } else { Value::from(()) };
            variables.push((name.into(), default));
        }
    }
    let messages: Vec<Value> = messages.into_iter().map(map_of).collect();
    variables.push(("messages".into(), Value::from(messages)));
    let text = environment::render(template, map_of(variables), now)?;
    if continued.is_some() { cut(text, &last) } else { Ok(text) }
}

/// Entries as a map that keeps their order.
fn map_of(entries: Entries) -> Value {
    Value::from_object(entries.into_iter().collect::<IndexMap<Value, Value>>())
}

/// The keys and values of a JSON object, in their order.
fn entries(value: &Value, expected: &str) -> Result<Entries, Error> {
    if value.kind() != ValueKind::Map {
        return Err(Error::context(expected, value.kind()));
    }
    value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect()
}

/// A message without what is null, and with its thoughts under the name that the template may ask for.
fn message(value: &Value) -> Result<Entries, Error> {
    let mut fields = entries(value, "each message as an object with role and content")?;
    fields.retain(|(_, value)| !value.is_none());
    let thought = REASONING.iter().find_map(|name| field(&fields, name).cloned());
    if let Some(thought) = thought {
        if field(&fields, "thinking").is_none() {
            fields.insert(0, ("thinking".into(), thought.clone()));
        }
        set(&mut fields, REASONING[0], thought);
    }
    Ok(fields)
}

fn field<'a>(fields: &'a Entries, name: &str) -> Option<&'a Value> {
    fields.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn set(fields: &mut Entries, name: &str, value: Value) {
    match fields.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
        Some((_, held)) => *held = value,
        None => fields.push((name.into(), value)),
    }
}

/// The field of the last message that is to be continued, if it is.
fn continued(variables: &Entries) -> Result<Option<String>, Error> {
    match field(variables, "continue_final_message") {
        Some(value) if value.kind() == ValueKind::String => Ok(Some(value.to_string())),
        Some(value) if value.kind() == ValueKind::Bool => Ok(value.is_true().then(|| "content".to_string())),
        Some(value) if !value.is_none() => {
            Err(Error::context("continue_final_message as true, false or the name of a field", value.kind()))
        }
        _ => Ok(None),
    }
}

/// Puts the mark at the end of the text to continue.
fn mark(template: &str, messages: &mut [Entries], name: &str) -> Result<(), Error> {
    let Some(last) = messages.last_mut() else { return Ok(()) };
    let Some(text) = field(last, name).filter(|value| value.kind() == ValueKind::String) else {
        return Err(Error::context(&format!("a last message with a text as {name}, to continue it"), "none"));
    };
    // Thoughts are there under several names; the template reads one of them.
    let text = text.to_string();
    let is_copy =
        |other: &&str| REASONING.contains(&name) && field(last, other).is_some_and(|v| v.as_str() == Some(&text));
    let names: Vec<&str> = REASONING.into_iter().filter(|other| *other == name || is_copy(other)).collect();
    let names = if names.is_empty() { vec![name] } else { names };
    if !names.iter().any(|name| template.contains(name)) {
        return Err(Error::context(&format!("a template that reads {name}"), "one that does not"));
    }
    let marked = Value::from(format!("{text}{HERE}"));
    names.into_iter().for_each(|name| set(last, name, marked.clone()));
    Ok(())
}

/// The text up to the mark, which the template may have trimmed.
fn cut(text: String, last: &Entries) -> Result<String, Error> {
    let tag = HERE.trim_end();
    let at = text.rfind(tag).ok_or_else(|| {
        let fields = last.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ");
        Error::context(&format!("a template that writes the last message ({fields})"), "one that leaves it out")
    })?;
    let before = &text[..at];
    Ok(if text[at..].starts_with(HERE) { before } else { before.trim_end() }.to_string())
}
