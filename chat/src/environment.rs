//! The Jinja that transformers renders chat templates with: its whitespace, functions and filters; and what of it a
//! template may use up.

use crate::error::{Error, bounded};
use crate::namespace::{KEEP, kept, namespace};
use crate::{LONGEST_OUTPUT, date, json, python, tags};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Output, State, Value};
use std::fmt;

/// Instructions of a template, and sixty-fourths of the bytes it makes. A long conversation takes some ten thousand.
const FUEL: u64 = 2_000_000;
/// Macros that call each other, and loops in each other.
const DEEPEST: usize = 200;

/// The text that a template makes of these variables.
pub fn render(template: &str, variables: Value, now: i64) -> Result<String, Error> {
    let template = tags::rewritten(template)?;
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    environment.set_formatter(write);
    environment.set_unknown_method_callback(python::method);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("trim", python::trim);
    environment.add_test("sequence", python::is_sequence);
    environment.add_test("iterable", python::is_iterable);
    environment.add_function("raise_exception", python::raise_exception);
    environment.add_function("strftime_now", move |format: &str| date::strftime(format, now));
    environment.add_function("namespace", namespace);
    environment.add_function(KEEP, |state: &State, value: &Value| kept(state, value));
    let text = environment.template_from_str(&template)?.render(variables)?;
    bounded("text", text.len(), LONGEST_OUTPUT)?;
    Ok(text)
}

/// Writes what stands between double braces, as long as there is room for it.
fn write(out: &mut Output, state: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    if let Some(text) = value.as_str() {
        state.consume_fuel((text.len() / 64) as u64)?;
        return Ok(out.write_str(text)?);
    }
    if value.is_undefined() {
        return Ok(());
    }
    let mut bounded = Bounded { text: String::new() };
    if fmt::write(&mut bounded, format_args!("{value}")).is_err() {
        return Err(crate::error::wrapped(Error::TooLong { line: None }));
    }
    state.consume_fuel((bounded.text.len() / 16) as u64)?;
    Ok(out.write_str(&bounded.text)?)
}

/// A text that does not grow beyond what a template may write.
struct Bounded {
    text: String,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > LONGEST_OUTPUT {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}
