//! How a text became tokens: the bytes of each token and, where pairs are merged, the merges that led to it in their order.

use super::{Model, Tokenizer, stream};
use crate::Result;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Longer words are not taken apart: nobody reads so many merges.
const LONGEST: usize = 64;

/// Two neighbours that became one.
#[derive(Debug, PartialEq)]
pub(super) struct Merge {
    pub left: String,
    pub right: String,
    /// Its place in the list of merges, 0 the first that was learned; of a vocabulary with scores, the new token's id.
    pub rank: u32,
}

/// How good each pair is: the lower, the earlier it is merged.
pub(super) type Ranks = HashMap<(String, String), u32>;

impl Tokenizer {
    /// Every token of `text` with special tokens: its id, its text where it is some, its bytes, its place in the text (byte
    /// offsets), and its merges (none where the vocabulary has none).
    ///
    /// # Errors
    /// Those of encoding.
    pub fn explain(&self, text: &str) -> Result<Value> {
        let pieces = self.encode_with_offsets(text)?;
        let ranks = self.ranks();
        let one = |piece: &super::Piece| {
            let special = self.is_special(piece.id);
            let token = self.token(piece.id).unwrap_or_default();
            let merges = match (special, &ranks) {
                (false, Some(ranks)) => self.merges_of(&token, ranks),
                _ => Vec::new(),
            };
            let readable =
                |symbol: &str| String::from_utf8_lossy(&stream::bytes_of(&self.inner.decoder, symbol)).into_owned();
            let merges: Vec<Value> = merges
                .iter()
                .map(|m| json!({ "left": readable(&m.left), "right": readable(&m.right), "rank": m.rank }))
                .collect();
            json!({
                "id": piece.id, "token": token, "special": special, "bytes": self.token_bytes(piece.id),
                "start": piece.start, "end": piece.end, "merges": merges,
            })
        };
        Ok(pieces.iter().map(one).collect())
    }

    /// The merges of the vocabulary, if it has any.
    fn ranks(&self) -> Option<Ranks> {
        match &self.inner.model {
            Model::Pipeline(p) => p.ranks(),
            Model::Sentencepiece(_) => None,
        }
    }

    /// The merges that make a token of its first symbols; none where they do not lead to it.
    fn merges_of(&self, token: &str, ranks: &Ranks) -> Vec<Merge> {
        let symbols: Vec<String> = token.chars().map(String::from).collect();
        if symbols.len() > LONGEST {
            return Vec::new();
        }
        let (merges, left) = merged(symbols, ranks);
        if left.len() == 1 { merges } else { Vec::new() }
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
