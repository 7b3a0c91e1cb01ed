//! The text that a run is measured on: all of it, or of a long one a sample that is spread evenly over it.

use serde::Serialize;

/// Tokens that a measurement reads, about, at most: more would keep the run waiting.
pub(super) const MOST: usize = 1 << 16;

/// How much of the held-out text a measurement reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Tokens that are predicted in a measurement.
    pub tokens: usize,
    /// Those there are in the whole text.
    pub of: usize,
}

/// The documents in pieces of at most `length` tokens to predict, each of which begins with the token before it. Of more
/// than `most` tokens, a piece is taken wherever less than that share of what lies before has been.
pub(super) fn pieces(documents: &[Vec<u32>], length: usize, most: usize) -> (Vec<&[u32]>, Measured) {
    let of = documents.iter().map(|document| document.len().saturating_sub(1)).sum();
    let share = (most as f64 / of as f64).min(1.0);
    let (mut taken, mut tokens, mut seen) = (Vec::new(), 0, 0);
    for document in documents {
        let mut rest = document.as_slice();
        while rest.len() > 1 {
            let piece = &rest[..rest.len().min(length + 1)];
            rest = &rest[piece.len() - 1..];
            seen += piece.len() - 1;
            if (tokens as f64) < seen as f64 * share {
                tokens += piece.len() - 1;
                taken.push(piece);
            }
        }
    }
    (taken, Measured { tokens, of })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Documents whose tokens count on from one to the next.
    fn documents(lengths: &[usize]) -> Vec<Vec<u32>> {
        let mut next = 0..;
        lengths.iter().map(|&length| next.by_ref().take(length).collect()).collect()
    }

    #[test]
    fn a_short_text_is_measured_whole_and_each_token_once() {
        let documents = documents(&[1, 25, 0, 2, 11, 10]);
        let (pieces, measured) = pieces(&documents, 10, 100);
        assert_eq!(measured, Measured { tokens: 44, of: 44 });
        let predicted: Vec<u32> = pieces.iter().flat_map(|piece| piece[1..].iter().copied()).collect();
        let wanted: Vec<u32> = documents.iter().flat_map(|document| document.iter().skip(1).copied()).collect();
        assert_eq!(predicted, wanted);
        assert!(pieces.iter().all(|piece| piece.len() <= 11));
    }

    #[test]
    fn of_a_long_text_every_part_is_measured_alike() {
        // Short documents and one very long one.
        for lengths in [vec![40; 1000], [vec![7; 200], vec![30_000], vec![90; 100]].concat()] {
            let documents = documents(&lengths);
            let (pieces, measured) = pieces(&documents, 16, 4000);
            assert!((4000..4016).contains(&measured.tokens), "{measured:?}");
            let all = lengths.iter().sum::<usize>() as u32;
            for tenth in 0..10 {
                let part = tenth * all / 10..(tenth + 1) * all / 10;
                let count: usize = pieces.iter().filter(|piece| part.contains(&piece[0])).map(|p| p.len() - 1).sum();
                assert!((350..450).contains(&count), "tenth {tenth}: {count}");
            }
        }
    }
}
