//! Cutting text into words before the vocabulary is applied ("pre-tokenization"). The regular expressions are run
//! here and not by the `tokenizers` crate, which takes a failed match for the end of the text: one megabyte of spaces
//! would be cut wrongly without a word. The usual expressions run in linear time, others in bounded time.

use super::{bad, unsupported};
use crate::Result;
use fancy_regex::Regex;
use serde_json::Value;
use tokenizers::pattern::{Invert, Pattern};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Offsets, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper, SplitDelimiterBehavior};

/// GPT-2's expression, which byte-level pre-tokenizers use unless told otherwise.
pub(crate) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// One way of cutting text.
#[derive(Debug)]
pub(super) enum PreTokenizer {
    Sequence(Vec<PreTokenizer>),
    ByteLevel { add_prefix_space: bool, words: Option<Words> },
    Split { words: Words, behavior: SplitDelimiterBehavior, invert: bool },
    Other(PreTokenizerWrapper),
}

impl PreTokenizer {
    /// Cuts at every match of each expression in turn, then goes over to the byte-level alphabet.
    pub(super) fn byte_level(expressions: &[&str]) -> Result<Self> {
        let split = |e: &&str| {
            Words::new(e).map(|words| Self::Split { words, behavior: SplitDelimiterBehavior::Isolated, invert: false })
        };
        let mut steps = expressions.iter().map(split).collect::<Result<Vec<_>>>()?;
        steps.push(Self::ByteLevel { add_prefix_space: false, words: None });
        Ok(Self::Sequence(steps))
    }

    /// From the `pre_tokenizer` part of a `tokenizer.json`.
    pub(super) fn from_json(json: &Value) -> Result<Self> {
        let flag = |name: &str, default| json.get(name).and_then(Value::as_bool).unwrap_or(default);
        let kind = json.get("type").and_then(Value::as_str);
        match kind.ok_or_else(|| bad("a pre-tokenizer with a type", "one without"))? {
            "Sequence" => {
                let steps = json.get("pretokenizers").and_then(Value::as_array);
                let steps = steps.ok_or_else(|| bad("a list of pretokenizers in a Sequence", "none"))?;
                Ok(Self::Sequence(steps.iter().map(Self::from_json).collect::<Result<_>>()?))
            }
            "ByteLevel" => Ok(Self::ByteLevel {
                add_prefix_space: flag("add_prefix_space", true),
                words: flag("use_regex", true).then(|| Words::new(GPT2)).transpose()?,
            }),
            "Split" => {
                let behavior = json.get("behavior").cloned().unwrap_or_default();
                let behavior = serde_json::from_value(behavior)
                    .map_err(|e| bad("a known behavior in a Split pre-tokenizer", &e.to_string()))?;
                Ok(Self::Split {
                    words: Words::from_json(json.get("pattern"))?,
                    behavior,
                    invert: flag("invert", false),
                })
            }
            "FixedLength" if json.get("length").and_then(Value::as_u64).is_some_and(|n| n == 0) => {
                Err(bad("a length of at least 1 in a FixedLength pre-tokenizer", "0"))
            }
            kind => {
                let other = by_type(kind, json.clone());
                other.map(Self::Other).map_err(|e| bad("a pre-tokenizer of a known type", &format!("{kind}: {e}")))
            }
        }
    }

    pub(super) fn apply(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        match self {
            Self::Sequence(steps) => steps.iter().try_for_each(|step| step.apply(text)),
            Self::ByteLevel { add_prefix_space, words } => {
                text.split(|_, mut part| {
                    if *add_prefix_space && !part.get().starts_with(' ') {
                        part.prepend(" ");
                    }
                    match words {
                        Some(words) => part.split(words, SplitDelimiterBehavior::Isolated),
                        None => Ok(vec![part]),
                    }
                })?;
                ByteLevel::new(false, false, false).pre_tokenize(text)
            }
            Self::Split { words, behavior, invert: false } => text.split(|_, part| part.split(words, *behavior)),
            Self::Split { words, behavior, invert: true } => text.split(|_, part| part.split(Invert(words), *behavior)),
            Self::Other(wrapper) => wrapper.pre_tokenize(text),
        }
    }
}

/// One of the crate's own. Each by its own type: reading "any of them" would bring its older forms along.
fn by_type(kind: &str, json: Value) -> serde_json::Result<PreTokenizerWrapper> {
    use serde_json::from_value as read;
    match kind {
        "BertPreTokenizer" => read(json).map(PreTokenizerWrapper::BertPreTokenizer),
        "CharDelimiterSplit" => read(json).map(PreTokenizerWrapper::Delimiter),
        "Digits" => read(json).map(PreTokenizerWrapper::Digits),
        "FixedLength" => read(json).map(PreTokenizerWrapper::FixedLength),
        "Metaspace" => read(json).map(PreTokenizerWrapper::Metaspace),
        "Punctuation" => read(json).map(PreTokenizerWrapper::Punctuation),
        "UnicodeScripts" => read(json).map(PreTokenizerWrapper::UnicodeScripts),
        "Whitespace" => read(json).map(PreTokenizerWrapper::Whitespace),
        "WhitespaceSplit" => read(json).map(PreTokenizerWrapper::WhitespaceSplit),
        _ => Err(serde::de::Error::custom("it is not one of the tokenizers crate")),
    }
}

/// Finds the matches of a regular expression.
#[derive(Debug)]
pub(crate) struct Words {
    regex: Regex,
    /// For an expression that ends in `\s+(?!\S)|\s+` or the like, its beginning, anchored. `\s+` alone then stands in `regex`,
    /// which has no look-ahead left and runs in linear time; the last space is given back afterwards.
    before_spaces: Option<Regex>,
}

impl Words {
    pub(crate) fn new(expression: &str) -> Result<Self> {
        let compile = |e: &str| {
            Regex::new(e).map_err(|error| {
                let found = format!("{expression:?}: {error}");
                unsupported("the tokenizer's regular expression", "one that fancy-regex understands", &found)
            })
        };
        let tails = [r"|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s", r"|\s+(?!\S)"];
        match tails.iter().find_map(|tail| expression.strip_suffix(tail)) {
            Some(head) => Ok(Self {
                regex: compile(&format!(r"{head}|\s+"))?,
                before_spaces: Some(compile(&format!(r"\A(?:{head})"))?),
            }),
            None => Ok(Self { regex: compile(expression)?, before_spaces: None }),
        }
    }

    /// From a pattern of a `tokenizer.json`: `{"Regex": …}`, or `{"String": …}` taken literally.
    pub(super) fn from_json(pattern: Option<&Value>) -> Result<Self> {
        let kind = |name| pattern.and_then(|p| p.get(name)).and_then(Value::as_str);
        match (kind("Regex"), kind("String")) {
            (Some(regex), _) => Self::new(regex),
            (None, Some(literal)) => Self::new(&fancy_regex::escape(literal)),
            (None, None) => Err(bad("a pattern, as Regex or String", "none")),
        }
    }

    /// The end of the match at `start..end` once the look-ahead is heeded: a run of spaces leaves its last one to the
    /// word that follows.
    fn end(&self, text: &str, start: usize, end: usize) -> tokenizers::Result<usize> {
        let Some(before_spaces) = &self.before_spaces else { return Ok(end) };
        let run = text.get(start..end).unwrap_or_default();
        let Some((last, _)) = run.char_indices().next_back() else { return Ok(end) };
        let whole_run = last > 0 && end < text.len() && run.starts_with(char::is_whitespace);
        let gives_back = whole_run
            && run.chars().all(char::is_whitespace)
            && !before_spaces.is_match(text.get(start..).unwrap_or_default())?;
        Ok(if gives_back { start + last } else { end })
    }
}

impl Pattern for &Words {
    fn find_matches(&self, text: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        let mut parts = Vec::new();
        let (mut from, mut search) = (0, 0);
        while search <= text.len() {
            let Some(found) = self.regex.find_from_pos(text, search)? else { break };
            let (start, end) = (found.start(), self.end(text, found.start(), found.end())?);
            if start == end {
                // A match of nothing cuts nothing.
                search = end + text.get(end..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
                continue;
            }
            if from < start {
                parts.push(((from, start), false));
            }
            parts.push(((start, end), true));
            (from, search) = (end, end);
        }
        if from < text.len() || parts.is_empty() {
            parts.push(((from, text.len()), false));
        }
        Ok(parts)
    }
}
