//! The words of a corpus and how often each occurs: what byte-pair encoding merges within.

use crate::text::{GPT2, Words};
use crate::{Error, Result};
use std::collections::HashMap;
use tokenizers::pattern::Pattern;

/// Text is cut in parts of about this many bytes, so that no step needs memory for a whole book.
const PART: usize = 64 << 10;

/// Longer words (a text without spaces, a line of code) are counted in pieces, in bytes: merging takes time that grows
/// with the square of a word's length.
const LONGEST: usize = 1 << 10;

/// Cuts text as GPT-2 does: words with the space before them, numbers, punctuation, runs of white space.
pub(super) struct Cutter(Words);

impl Cutter {
    pub(super) fn new() -> Result<Self> {
        Words::new(GPT2).map(Self)
    }

    /// Calls `each` with every word of `text` in order; the words together are the text.
    pub(super) fn cut<'a>(&self, text: &'a str, mut each: impl FnMut(&'a str)) -> Result<()> {
        for part in parts(text) {
            let words = (&self.0).find_matches(part).map_err(|e| Error::BadTokenizer {
                expected: "text that can be cut into words".to_string(),
                found: e.to_string(),
            })?;
            for ((start, end), _) in words {
                each(part.get(start..end).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// The different words of `documents` with their counts, in no order.
    pub(super) fn count<'a>(&self, documents: impl Iterator<Item = &'a str>) -> Result<Vec<(String, u64)>> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for document in documents {
            self.cut(document, |mut word| {
                while !word.is_empty() {
                    let (piece, rest) = word.split_at(word.floor_char_boundary(LONGEST));
                    word = rest;
                    match counts.get_mut(piece) {
                        Some(count) => *count += 1,
                        None => _ = counts.insert(piece.to_string(), 1),
                    }
                }
            })?;
        }
        Ok(counts.into_iter().collect())
    }
}

/// `text` in parts that are encoded on their own as they are within the whole: each but the first begins with white
/// space after a word, or with a Chinese character after a punctuation mark. Where there is neither for [`PART`] bytes,
/// anywhere.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, after) = rest.split_at(end_of_part(rest));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

fn end_of_part(text: &str) -> usize {
    if text.len() <= PART {
        return text.len();
    }
    let end = text.floor_char_boundary(PART);
    let (part, _) = text.split_at(end);
    let last = |is_border: fn(char, char) -> bool| {
        let pairs = part.char_indices().rev().zip(part.chars().rev().skip(1));
        pairs.map(|((at, after), before)| (at, before, after)).find(|(_, before, after)| is_border(*before, *after))
    };
    let border = last(|before, after| !before.is_whitespace() && after.is_whitespace())
        .or_else(|| last(|before, after| "。！？，、；：".contains(before) && ('一'..='鿿').contains(&after)));
    border.map_or(end, |(at, ..)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_change_the_words() {
        let cutter = Cutter::new().unwrap();
        let english = "It's 3.5 miles,  they'll say;\n\n  \tand \u{3000} don't (you know) stop... ".repeat(3000);
        let chinese = "从前有一个小女孩，她很喜欢读书。「你好！」她说：再见。".repeat(3000);
        for text in [english, chinese] {
            assert!(parts(&text).count() > 2);
            let mut words = Vec::new();
            cutter.cut(&text, |word| words.push(word.to_string())).unwrap();
            let whole = (&cutter.0).find_matches(&text).unwrap();
            assert!(words.iter().eq(whole.iter().map(|((start, end), _)| &text[*start..*end])));
        }
    }

    #[test]
    fn words_are_counted_and_long_ones_in_pieces() {
        let cutter = Cutter::new().unwrap();
        let mut counts = cutter.count(["a cat, a dog", "a cat"].into_iter()).unwrap();
        counts.sort();
        let expected = [(" a", 1), (" cat", 2), (" dog", 1), (",", 1), ("a", 2)].map(|(w, n)| (w.to_string(), n));
        assert_eq!(counts, expected);
        let long = "你".repeat(100_000);
        let counts = cutter.count([long.as_str()].into_iter()).unwrap();
        assert!(counts.iter().all(|(word, _)| word.len() <= LONGEST));
        assert_eq!(counts.iter().map(|(word, n)| word.len() as u64 * n).sum::<u64>(), long.len() as u64);
    }
}
