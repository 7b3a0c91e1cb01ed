//! The tags of a template as minijinja is to read them: `{% generation %}`, which transformers adds to Jinja, becomes a
//! scope of its own; and whatever a tag sets goes through [`namespace`](crate::namespace), which bounds it. Lines stay
//! where they are.

use crate::error::Error;
use crate::namespace::{ASSIGN, KEEP};

/// The longest tag, its texts in quotes not counted: every operator of an expression lies in another one.
const LONGEST_TAG: usize = 4 << 10;

/// A `{% set %}` whose `{% endset %}` is to come: what to set then, if minijinja cannot.
type OpenSet = Option<Assignment>;

struct Assignment {
    namespace: String,
    name: String,
    /// The variable that holds the text meanwhile.
    held: String,
}

/// The rewritten template.
///
/// # Errors
/// [`Error::TooLarge`] for a tag that is too long.
pub fn rewritten(template: &str) -> Result<String, Error> {
    // As Jinja reads them.
    let template = template.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(template.len() + template.len() / 8);
    let mut rest = template.as_str();
    let mut open: Vec<OpenSet> = Vec::new();
    while let Some(start) = rest.find('{') {
        let (before, at) = rest.split_at(start);
        out.push_str(before);
        let kind = at.get(..2).unwrap_or(at);
        let len = match kind {
            "{#" => at.find("#}").map_or(at.len(), |end| end + 2),
            "{{" => tag_length(at, "}}")?,
            "{%" => tag_length(at, "%}")?,
            _ => 1,
        };
        let (tag, after) = at.split_at(len);
        rest = after;
        if kind != "{%" || !tag.ends_with("%}") || tag.len() < 4 {
            out.push_str(tag);
            continue;
        }
        let inner = &tag[2..tag.len() - 2];
        if inner.trim_matches(['-', '+']).trim() == "raw" {
            out.push_str(tag);
            let end = end_of_raw(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        out.push_str(&statement(inner, &mut open).unwrap_or_else(|| tag.to_string()));
    }
    out.push_str(rest);
    Ok(out)
}

/// What is written instead of a tag, given what is between its delimiters; nothing where it stays.
fn statement(inner: &str, open: &mut Vec<OpenSet>) -> Option<String> {
    let left = inner.get(..1).filter(|sign| ["-", "+"].contains(sign)).unwrap_or("");
    let body = &inner[left.len()..];
    let right = body.char_indices().last().filter(|(_, c)| ['-', '+'].contains(c)).map_or("", |(at, _)| &body[at..]);
    let body = &body[..body.len() - right.len()];
    let word = body.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
    let named = body.trim_start().get(word.len()..).unwrap_or("");
    let space = &body[..body.len() - body.trim_start().len()];
    let tag = |statement: String| Some(format!("{{%{left}{space}{statement}{right}%}}"));
    match word {
        "generation" => tag(format!("with{named}")),
        "endgeneration" => tag(format!("endwith{named}")),
        "endset" => {
            let Assignment { namespace, name, held } = open.pop().flatten()?;
            let assign = assignment(&namespace, &name, &held);
            Some(format!("{{%{left}{space}endset{named}%}}{{% {assign}{right}%}}"))
        }
        "set" => match split_assignment(named) {
            Some((target, value)) => tag(match member(target) {
                Some((namespace, name)) => assignment(namespace, name, value),
                None => format!("set{target}= {KEEP}(({value})) "),
            }),
            None => {
                let (target, filters) =
                    named.split_once('|').map_or((named, ""), |(target, _)| (target, &named[target.len()..]));
                let held = format!("__held{}__", open.len());
                let assign = member(target).map(|(namespace, name)| Assignment {
                    namespace: namespace.to_string(),
                    name: name.to_string(),
                    held: held.clone(),
                });
                let is_member = assign.is_some();
                open.push(assign);
                if is_member { tag(format!("set {held} {filters}")) } else { None }
            }
        },
        _ => None,
    }
}

fn assignment(namespace: &str, name: &str, value: &str) -> String {
    format!("do {namespace}.{ASSIGN}(\"{name}\", ({value})) ")
}

/// The namespace and the name in it, where a target is such a place.
fn member(target: &str) -> Option<(&str, &str)> {
    let (namespace, name) = target.trim().rsplit_once('.')?;
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_name(name.trim()) && namespace.trim().split('.').all(|part| is_name(part.trim())))
        .then_some((namespace.trim(), name.trim()))
}

/// The two sides of the first `=` that is not part of a comparison, a call or a text.
fn split_assignment(body: &str) -> Option<(&str, &str)> {
    let bytes = body.as_bytes();
    let (mut quote, mut escaped, mut depth) = (None, false, 0usize);
    for (i, &byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            (None, b'=') if depth == 0 => {
                let next = bytes.get(i + 1) == Some(&b'=');
                return if next { None } else { Some((body.get(..i)?, body.get(i + 1..)?)) };
            }
            (None, _) => {}
        }
    }
    None
}

/// The length of a tag with its delimiters; all that is left where it has no end.
fn tag_length(text: &str, end: &str) -> Result<usize, Error> {
    let bytes = text.as_bytes();
    let (mut quote, mut escaped, mut depth, mut outside) = (None, false, 0usize, 0);
    let mut i = 2;
    while i < bytes.len() {
        let byte = bytes[i];
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if byte == b'\\' => escaped = true,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None => {
                outside += 1;
                if outside > LONGEST_TAG {
                    return Err(Error::TooLarge { what: "one tag", limit: LONGEST_TAG, found: outside });
                }
                if bytes[i..].starts_with(end.as_bytes()) && (depth == 0 || end == "%}") {
                    return Ok(i + 2);
                }
                match byte {
                    b'"' | b'\'' => quote = Some(byte),
                    b'{' => depth += 1,
                    b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
        }
        i += 1;
    }
    Ok(text.len())
}

/// Where what comes after `{% raw %}` ends, its own end included.
fn end_of_raw(text: &str) -> usize {
    let mut from = 0;
    while let Some(start) = text[from..].find("{%") {
        let start = from + start;
        let Some(len) = text[start..].find("%}") else { break };
        let end = start + len + 2;
        if text[start + 2..end - 2].trim_matches(['-', '+']).trim() == "endraw" {
            return end;
        }
        from = start + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::rewritten;

    #[test]
    fn only_what_sets_and_generation_are_rewritten() {
        for (template, found) in [
            ("{%- set ns.a = b == c -%}\nx", "{%- do ns.__assign__(\"a\", ( b == c )) -%}\nx"),
            ("{% set x = {'a': '%}'} %}", "{% set x = __keep__(( {'a': '%}'} )) %}"),
            ("{% set x, y = 1, 2 %}", "{% set x, y = __keep__(( 1, 2 )) %}"),
            ("{%generation%}a{% endgeneration -%}", "{%with%}a{% endwith -%}"),
            ("{{ '{% set x = 1 %}' }}{# {% set x = 1 %} #}", "{{ '{% set x = 1 %}' }}{# {% set x = 1 %} #}"),
            ("{% raw %}{% set x = 1 %}{%- endraw %}", "{% raw %}{% set x = 1 %}{%- endraw %}"),
            ("{% set x %}a{% endset %}", "{% set x %}a{% endset %}"),
            (
                "{% set ns.x %}a{% endset -%}",
                "{% set __held0__ %}a{% endset %}{% do ns.__assign__(\"x\", (__held0__)) -%}",
            ),
            ("{ {% if a=={} %}é{", "{ {% if a=={} %}é{"),
            ("a\r\nb\rc\n", "a\nb\nc\n"),
            ("{% set x = 1", "{% set x = 1"),
            ("{%", "{%"),
            ("{%%}{%-%}{{", "{%%}{%-%}{{"),
        ] {
            assert_eq!(rewritten(template).unwrap(), found);
        }
    }
}
