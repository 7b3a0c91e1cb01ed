//! Cleaning a text as the options say, with a tally of what was changed or removed and examples of each. Unicode's
//! tables are those that the `tokenizers` crate brings along (version 9), so that the page does not carry them twice.

use super::recipe::{CorpusOptions, Rare, Unicode, Whitespace};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use unicode_normalization_alignments::char::canonical_combining_class;
use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// How many different examples are kept of each kind.
const EXAMPLES: usize = 8;

/// How much of an example is shown, in characters.
const EXAMPLE_LENGTH: usize = 24;

/// Kinds of things that cleaning removes or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Byte sequences of no or another encoding, and lines of a table that cannot be read.
    Invalid,
    /// Control characters and byte order marks, removed.
    Control,
    /// Runs of white space, shortened.
    Whitespace,
    /// Characters, with the marks on them, that Unicode writes otherwise.
    Normalized,
    /// Capital letters.
    Lowercased,
    /// Characters outside the alphabet, removed.
    Rare,
    /// Documents with nothing in them.
    Empty,
    /// Documents that are held out and so must not be trained on.
    Duplicate,
}

const KINDS: [What; 8] = [
    What::Invalid,
    What::Control,
    What::Whitespace,
    What::Normalized,
    What::Lowercased,
    What::Rare,
    What::Empty,
    What::Duplicate,
];

/// How often something was removed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub what: What,
    pub count: u64,
    /// The first few that differ, readable.
    pub examples: Vec<String>,
}

/// Counts of everything removed or changed.
pub(super) struct Tally([Removed; KINDS.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self(KINDS.map(|what| Removed { what, count: 0, examples: Vec::new() }))
    }
}

impl Tally {
    pub(super) fn add(&mut self, what: What, count: u64, example: impl FnOnce() -> String) {
        let Some(removed) = self.0.iter_mut().find(|removed| removed.what == what) else { return };
        removed.count += count;
        if removed.examples.len() < EXAMPLES {
            let example = example();
            if !example.is_empty() && !removed.examples.contains(&example) {
                removed.examples.push(example);
            }
        }
    }

    /// What there was any of.
    pub(super) fn into_removed(self) -> Vec<Removed> {
        self.0.into_iter().filter(|removed| removed.count > 0).collect()
    }
}

/// How often each character occurs.
pub(super) struct Alphabet(Vec<u32>);

impl Alphabet {
    pub(super) fn new() -> Self {
        Self(vec![0; char::MAX as usize + 1])
    }

    pub(super) fn add(&mut self, c: char) {
        if let Some(count) = self.0.get_mut(c as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn count(&self, c: char) -> usize {
        self.0.get(c as usize).map_or(0, |count| *count as usize)
    }

    /// How many different characters there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().filter(|count| **count > 0).count()
    }

    /// Drops from `text` all characters seen fewer than `least` times, or the whole text for one of them. White space is
    /// never rare: words would run together.
    pub(super) fn drop_rare(&self, text: &mut String, least: usize, rare: Rare, tally: &mut Tally) {
        let before = text.len();
        text.retain(|c| {
            let keep = self.count(c) >= least || c.is_whitespace();
            if !keep {
                tally.add(What::Rare, 1, || c.to_string());
            }
            keep
        });
        if rare == Rare::DropDocument && text.len() < before {
            text.clear();
        }
    }
}

/// The document in `raw`: normalised, without control characters, in lower case if so wished. White space within is as
/// before, and characters are counted, because which ones are rare is only known when all are.
pub(super) fn characters(raw: &str, options: &CorpusOptions, alphabet: &mut Alphabet, tally: &mut Tally) -> String {
    let raw = skip_lines(raw.trim(), options.skip_lines);
    let raw = normalized(raw.trim(), options.unicode, tally);
    let mut text = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '\n' | '\t' => text.push(c),
            // Next line, line separator and paragraph separator.
            '\u{85}' | '\u{2028}' | '\u{2029}' => text.push('\n'),
            _ if c.is_control() || c == '\u{FEFF}' => tally.add(What::Control, 1, || format!("U+{:04X}", c as u32)),
            _ if options.lowercase && c.is_uppercase() => {
                text.extend(c.to_lowercase());
                tally.add(What::Lowercased, 1, || format!("{c} → {}", c.to_lowercase()));
            }
            _ => text.push(c),
        }
    }
    text.chars().for_each(|c| alphabet.add(c));
    text
}

/// What follows the first `lines` lines.
fn skip_lines(text: &str, lines: usize) -> &str {
    (0..lines).fold(text, |rest, _| rest.split_once('\n').map_or("", |(_, after)| after))
}

/// White space as the options say, and none around the text.
pub(super) fn spaces(text: &mut String, whitespace: Whitespace, tally: &mut Tally) {
    if whitespace == Whitespace::Collapse {
        *text = collapsed(text, tally);
    }
    text.truncate(text.trim_end().len());
    text.drain(..text.len() - text.trim_start().len());
}

/// Every run of white space is one space, or one or two line ends and at most one space.
fn collapsed(text: &str, tally: &mut Tally) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_whitespace) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_whitespace()).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        let lines = run.matches('\n').count();
        let new = match (lines, run.ends_with('\n')) {
            (0, _) => " ",
            (1, true) => "\n",
            (1, false) => "\n ",
            (_, true) => "\n\n",
            (_, false) => "\n\n ",
        };
        if new != run {
            tally.add(What::Whitespace, 1, || format!("{} → {}", shown(run), shown(new)));
        }
        out.push_str(before);
        out.push_str(new);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A string with its white space visible.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(EXAMPLE_LENGTH).collect();
    format!("{start:?}{}", if start.len() < text.len() { "…" } else { "" })
}

/// The text in its Unicode normal form. Only characters that could change are looked at, together with what they stand
/// on, so that each change can be counted and shown.
fn normalized<'a>(text: &'a str, form: Unicode, tally: &mut Tally) -> Cow<'a, str> {
    let quick = match form {
        Unicode::None => return Cow::Borrowed(text),
        Unicode::Nfc => is_nfc_quick,
        Unicode::Nfkc => is_nfkc_quick,
    };
    let compose = |text: &str| -> String {
        match form {
            Unicode::Nfkc => text.nfkc().map(|(c, _)| c).collect(),
            _ => text.nfc().map(|(c, _)| c).collect(),
        }
    };
    let is_plain = |c: char| {
        c.is_ascii() || canonical_combining_class(c) == 0 && matches!(quick(std::iter::once(c)), IsNormalized::Yes)
    };
    // What comes before a plain character is normalised whatever follows, and the other way round (UAX #15, 9.1).
    let begins = |c: char| is_plain(c) || compose(c.encode_utf8(&mut [0; 4])).starts_with(is_plain);
    let (mut out, mut copied) = (String::new(), 0);
    let (mut start, mut doubtful) = (0, false);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if !begins(c) {
            doubtful = true;
            continue;
        }
        if doubtful {
            let old = text.get(start..at).unwrap_or_default();
            let new = compose(old);
            if new != old {
                out.push_str(text.get(copied..start).unwrap_or_default());
                out.push_str(&new);
                copied = at;
                tally.add(What::Normalized, 1, || {
                    let start = |text: &str| text.chars().take(EXAMPLE_LENGTH).collect::<String>();
                    format!("{} → {}", start(old), start(&new))
                });
            }
        }
        (start, doubtful) = (at, !is_plain(c));
    }
    if copied == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(raw: &str, options: &CorpusOptions) -> (String, Vec<Removed>) {
        let (mut alphabet, mut tally) = (Alphabet::new(), Tally::default());
        let mut text = characters(raw, options, &mut alphabet, &mut tally);
        alphabet.drop_rare(&mut text, options.min_character_count, options.rare, &mut tally);
        spaces(&mut text, options.whitespace, &mut tally);
        (text, tally.into_removed())
    }

    fn removed(what: What, count: u64, examples: &[&str]) -> Removed {
        Removed { what, count, examples: examples.iter().map(|e| e.to_string()).collect() }
    }

    #[test]
    fn normal_forms_are_those_of_the_standard() {
        let text = "e\u{301} \u{212B} ﬁ ② ｆｕ，你 \u{1100}\u{1161}\u{11A8} q\u{307}\u{323}";
        let options = |unicode| CorpusOptions { unicode, ..CorpusOptions::default() };
        // Of Python's unicodedata.normalize.
        let nfc = "é Å ﬁ ② ｆｕ，你 각 q\u{323}\u{307}";
        let nfkc = "é Å fi 2 fu,你 각 q\u{323}\u{307}";
        assert_eq!(clean(text, &options(Unicode::None)), (text.to_string(), vec![]));
        assert_eq!(clean(text, &options(Unicode::Nfc)).0, nfc);
        let (clean, changes) = clean(text, &options(Unicode::Nfkc));
        assert_eq!(clean, nfkc);
        let examples = [
            "e\u{301} → é",
            "\u{212B} → Å",
            "ﬁ → fi",
            "② → 2",
            "ｆ → f",
            "ｕ → u",
            "， → ,",
            "\u{1100}\u{1161}\u{11A8} → 각",
        ];
        assert_eq!(changes, [removed(What::Normalized, 9, &examples)]);
    }

    #[test]
    fn normalising_in_parts_is_normalising_the_whole() {
        let marks = "\u{301}\u{323}\u{344}\u{308}\u{3099}\u{F71}\u{F72}\u{9C7}\u{9BE}\u{B4}\u{1100}\u{1161}\u{11A8}";
        let pool: Vec<char> = "aeéÅ\u{212B}ﬁ②，かｶﾞﾟ각ﷺ你 ".chars().chain(marks.chars()).collect();
        let random = crate::train::Random::new(1, "marks");
        for text in 0..2000u64 {
            let pick = |n: u64| pool[random.word(text * 16 + n) as usize % pool.len()];
            let text: String = (0..12).map(pick).collect();
            let whole: String = text.nfc().map(|(c, _)| c).collect();
            assert_eq!(normalized(&text, Unicode::Nfc, &mut Tally::default()), whole, "{text:?}");
            let whole: String = text.nfkc().map(|(c, _)| c).collect();
            assert_eq!(normalized(&text, Unicode::Nfkc, &mut Tally::default()), whole, "{text:?}");
        }
    }

    #[test]
    fn titles_and_documents_with_rare_characters_can_be_left_out() {
        let options = |rare| CorpusOptions { skip_lines: 2, min_character_count: 2, rare, ..CorpusOptions::default() };
        assert_eq!(clean("title\nauthor\nhaha ☃", &options(Rare::Drop)).0, "haha");
        let (text, removed) = clean("title\nauthor\nhaha ☃", &options(Rare::DropDocument));
        assert_eq!((text.as_str(), removed[0].count), ("", 1));
        assert_eq!(clean("only a title", &options(Rare::Drop)).0, "");
    }

    #[test]
    fn every_change_is_counted_and_shown() {
        let options = CorpusOptions {
            lowercase: true,
            whitespace: Whitespace::Collapse,
            min_character_count: 2,
            ..CorpusOptions::default()
        };
        let (text, changes) = clean(" \tHa  ha\u{7}, HA \n\n\n \tha☃h\u{A0}a \u{2028}h,a ", &options);
        assert_eq!(text, "ha ha, ha\n\n hah a\nh,a");
        let expected = [
            removed(What::Control, 1, &["U+0007"]),
            removed(
                What::Whitespace,
                4,
                &[r#""  " → " ""#, r#"" \n\n\n \t" → "\n\n ""#, r#""\u{a0}" → " ""#, r#"" \n" → "\n""#],
            ),
            removed(What::Lowercased, 3, &["H → h", "A → a"]),
            removed(What::Rare, 1, &["☃"]),
        ];
        assert_eq!(changes, expected);
    }
}
