//! Rows of tokens to train on. Each epoch lays the documents end to end in a new order, cuts the ring they form into rows
//! from a random point on, and takes the rows in a random order: every token is seen once an epoch, and any row can be
//! found from its number alone.

use super::random::Random;

/// The training tokens and the order in which they come.
pub struct Batches {
    tokens: Vec<u32>,
    /// Where each document ends in `tokens`.
    ends: Vec<usize>,
    /// Tokens in a row.
    length: usize,
    seed: u64,
    epoch: Option<Epoch>,
}

/// The order of one epoch.
struct Epoch {
    number: u64,
    ring: Vec<u32>,
    offset: usize,
    order: Vec<usize>,
}

impl Batches {
    /// Rows of `length` tokens and their successors, from `documents` laid end to end in `tokens`.
    pub fn new(tokens: Vec<u32>, ends: Vec<usize>, length: usize, seed: u64) -> Self {
        Self { tokens, ends, length: length.max(1), seed, epoch: None }
    }

    /// All training tokens, document by document.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Where each document ends in [`Self::tokens`].
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// Rows in an epoch.
    pub fn rows(&self) -> usize {
        (self.tokens.len() / self.length).max(1)
    }

    /// Row `index` of the run: `length + 1` tokens, of which the last `length` are to be predicted.
    pub fn row(&mut self, index: u64) -> Vec<u32> {
        let (length, rows) = (self.length, self.rows() as u64);
        let epoch = self.epoch(index / rows);
        let start = epoch.offset + epoch.order[(index % rows) as usize] * length;
        (start..=start + length).map(|at| epoch.ring[at % epoch.ring.len()]).collect()
    }

    fn epoch(&mut self, number: u64) -> &Epoch {
        if self.epoch.as_ref().is_none_or(|epoch| epoch.number != number) {
            self.epoch = None;
        }
        let (tokens, ends, seed, rows) =
            (&self.tokens, &self.ends, self.seed, (self.tokens.len() / self.length).max(1));
        self.epoch.get_or_insert_with(|| {
            let stream = |what: &str| Random::new(seed, &format!("epoch {number} {what}"));
            let mut ring = Vec::with_capacity(tokens.len());
            for document in stream("documents").permutation(ends.len()) {
                let start = document.checked_sub(1).map_or(0, |before| ends[before]);
                ring.extend_from_slice(&tokens[start..ends[document]]);
            }
            let offset = (stream("offset").word(0) % ring.len().max(1) as u64) as usize;
            Epoch { number, ring, offset, order: stream("rows").permutation(rows) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_token_once() {
        let tokens: Vec<u32> = (0..120).collect();
        let mut batches = Batches::new(tokens.clone(), vec![10, 50, 90, 120], 12, 7);
        for epoch in 0..3 {
            let rows: Vec<Vec<u32>> = (0..10).map(|i| batches.row(epoch * 10 + i)).collect();
            let mut seen: Vec<u32> = rows.iter().flat_map(|row| row[..12].to_vec()).collect();
            seen.sort_unstable();
            assert_eq!(seen, tokens);
        }
        assert_ne!(batches.row(0), batches.row(10));
        // Inside a document each token is followed by its successor, at its end by some document's beginning.
        let begins = [0, 10, 50, 90];
        for pair in batches.row(3).windows(2) {
            assert!(pair[1] == pair[0] + 1 || begins.contains(&pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_text_shorter_than_a_row_goes_round() {
        let mut batches = Batches::new(vec![1, 2, 3], vec![3], 8, 1);
        assert_eq!(batches.rows(), 1);
        assert_eq!(batches.row(5).len(), 9);
    }
}
