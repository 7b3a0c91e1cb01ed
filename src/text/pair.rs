//! Two texts as a model reads them together: a question and the text it is asked of, with special tokens around and between
//! them and a token type for each.

use super::{Model, Piece, Tokenizer, unsupported};
use crate::Result;

/// A place in the sequence of tokens made from two texts, with its token type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PairSlot {
    pub part: Part,
    pub kind: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    First,
    Second,
    Token(u32),
}

/// A token of a text, and the word of the text that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordPiece {
    pub piece: Piece,
    /// Counted from 0; none where the tokenizer knows no words.
    pub word: Option<u32>,
}

/// Two texts that have become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub ids: Vec<u32>,
    /// The token type of each.
    pub kinds: Vec<u32>,
    /// Where the tokens of the second text begin.
    pub second: usize,
}

fn wordless(pieces: Vec<Piece>) -> Vec<WordPiece> {
    pieces.into_iter().map(|piece| WordPiece { piece, word: None }).collect()
}

impl Tokenizer {
    /// The tokens of `text` without special ones around it, with their words.
    ///
    /// # Errors
    /// Those of encoding.
    pub fn encode_words(&self, text: &str) -> Result<Vec<WordPiece>> {
        let mut words = match &self.inner.model {
            Model::Pipeline(p) => p.encode_words(text)?,
            Model::Sentencepiece(s) => wordless(s.encode(text, false)),
            Model::Marian(m) => wordless(m.encode(text, false)),
        };
        if self.inner.trims {
            words.iter_mut().for_each(|word| word.piece = trimmed(word.piece, text));
        }
        Ok(words)
    }

    /// How many special tokens stand around and between two texts.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn tokens_around_pair(&self) -> Result<usize> {
        Ok(self.pair()?.iter().filter(|slot| matches!(slot.part, Part::Token(_))).count())
    }

    /// Two texts, each without special tokens, as one.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a tokenizer that does not say how.
    pub fn join(&self, first: &[u32], second: &[u32]) -> Result<Joined> {
        let slots = self.pair()?;
        let len = first.len() + second.len() + slots.len();
        let mut joined = Joined { ids: Vec::with_capacity(len), kinds: Vec::with_capacity(len), second: 0 };
        for slot in slots {
            match slot.part {
                Part::First => joined.ids.extend_from_slice(first),
                Part::Second => {
                    joined.second = joined.ids.len();
                    joined.ids.extend_from_slice(second);
                }
                Part::Token(id) => joined.ids.push(id),
            }
            joined.kinds.resize(joined.ids.len(), slot.kind);
        }
        Ok(joined)
    }

    /// Two texts as one, and the tokens of the second with their places in it.
    ///
    /// # Errors
    /// As [`join`](Self::join), and those of encoding.
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<(Joined, Vec<WordPiece>)> {
        let words = self.encode_words(second)?;
        let ids: Vec<u32> = words.iter().map(|word| word.piece.id).collect();
        Ok((self.join(&self.encode(first, false)?, &ids)?, words))
    }

    fn pair(&self) -> Result<&[PairSlot]> {
        match self.inner.pair.as_slice() {
            [] => Err(unsupported("two texts as one", "a tokenizer with a template for pairs", "one without")),
            slots => Ok(slots),
        }
    }
}

/// A piece without the spaces that a byte-level token has at its ends.
fn trimmed(piece: Piece, text: &str) -> Piece {
    let Some(own) = text.get(piece.start..piece.end) else { return piece };
    let left = own.len() - own.trim_start_matches(' ').len();
    let start = piece.start + left;
    Piece { start, end: start + own.trim_matches(' ').len(), ..piece }
}
