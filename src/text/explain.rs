//! How a text became tokens: the bytes of each token and, where pairs are merged, the merges that led to it in their order.

use super::{Model, Piece, Tokenizer, stream};
use crate::Result;
use std::collections::HashMap;

/// Longer words are not taken apart: nobody reads so many merges.
const LONGEST: usize = 64;

/// A token of a text, and how it came about.
#[derive(Clone, Debug)]
pub struct Explained {
    pub piece: Piece,
    /// As it stands in the vocabulary.
    pub token: String,
    pub special: bool,
    /// What it stands for wherever it is.
    pub bytes: Vec<u8>,
    /// From its first symbols to the token, in their order; none where the vocabulary has none.
    pub merges: Vec<Merge>,
}

/// Two neighbours that became one.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    pub left: String,
    pub right: String,
    /// Its place in the list of merges, 0 the first that was learned.
    pub rank: u32,
}

/// How good each pair is: the lower, the earlier it is merged.
pub(super) type Ranks = HashMap<(String, String), u32>;

impl Tokenizer {
    /// Every token of `text`, special ones included.
    ///
    /// # Errors
    /// Those of encoding.
    pub fn explain(&self, text: &str) -> Result<Vec<Explained>> {
        let pieces = self.encode_with_offsets(text)?;
        let ranks = self.ranks();
        let one = |piece: Piece| {
            let special = self.is_special(piece.id);
            let token = self.token(piece.id).unwrap_or_default();
            let merges = match (special, &ranks) {
                (false, Some(ranks)) => self.merges_of(&token, ranks),
                _ => Vec::new(),
            };
            Explained { piece, token, special, bytes: self.token_bytes(piece.id), merges }
        };
        Ok(pieces.into_iter().map(one).collect())
    }

    /// The merges of the vocabulary, if it has any.
    fn ranks(&self) -> Option<Ranks> {
        match &self.inner.model {
            Model::Pipeline(p) => p.ranks(),
            Model::Sentencepiece(_) | Model::Marian(_) => None,
        }
    }

    /// The merges that make a token of its first symbols, as they read; none where they do not lead to it.
    fn merges_of(&self, token: &str, ranks: &Ranks) -> Vec<Merge> {
        let symbols: Vec<String> = token.chars().map(String::from).collect();
        if symbols.len() > LONGEST {
            return Vec::new();
        }
        let (mut merges, left) = merged(symbols, ranks);
        if left.len() != 1 {
            return Vec::new();
        }
        for part in merges.iter_mut().flat_map(|merge| [&mut merge.left, &mut merge.right]) {
            *part = String::from_utf8_lossy(&stream::bytes_of(&self.inner.decoder, part)).into_owned();
        }
        merges
    }
}

/// Merges the best pair of neighbours, the first of equals, until none can be.
fn merged(mut symbols: Vec<String>, ranks: &Ranks) -> (Vec<Merge>, Vec<String>) {
    let mut merges = Vec::new();
    loop {
        let pairs = symbols.windows(2).enumerate().filter_map(|(at, pair)| match pair {
            [left, right] => ranks.get(&(left.clone(), right.clone())).map(|rank| (*rank, at)),
            _ => None,
        });
        let Some((rank, at)) = pairs.min() else { return (merges, symbols) };
        let right = symbols.remove(at + 1);
        let left = std::mem::take(&mut symbols[at]);
        symbols[at] = format!("{left}{right}");
        merges.push(Merge { left, right, rank });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_merge_goes_first() {
        let ranks: Ranks = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("e", "l")]
            .into_iter()
            .enumerate()
            .map(|(rank, (left, right))| ((left.to_string(), right.to_string()), rank as u32))
            .collect();
        let (merges, left) = merged("hello".chars().map(String::from).collect(), &ranks);
        assert_eq!(left, ["hello"]);
        let order: Vec<_> = merges.iter().map(|m| format!("{}+{}", m.left, m.right)).collect();
        assert_eq!(order, ["h+e", "l+l", "he+ll", "hell+o"]);
        assert_eq!(merged(vec!["x".into(), "y".into()], &ranks).1, ["x", "y"]);
    }
}
