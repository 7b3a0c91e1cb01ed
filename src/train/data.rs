//! What a run trains on and is measured with: the tokens of the documents, and of those held out.

use crate::error::{Error, Result};

/// A corpus as tokens. Every document begins with the token that begins a text, and ends with the one that ends it where
/// that is another: a model then learns to begin after the one, and to write the other where a text is over.
#[derive(Clone, Default)]
pub struct Data {
    /// The training documents, end to end.
    pub tokens: Vec<u32>,
    /// Where each ends in `tokens`.
    pub ends: Vec<usize>,
    /// The held-out documents.
    pub held_out: Vec<Vec<u32>>,
    /// Bytes of text in `held_out`.
    pub held_out_bytes: usize,
}

impl Data {
    /// The tokens of these documents as `encode` gives them; `around` are the tokens that a text begins and ends with.
    ///
    /// # Errors
    /// [`Error::BadCorpus`] when nothing is left to train on, or to measure with.
    pub fn new(
        encode: impl Fn(&str) -> Result<Vec<u32>>,
        around: (Option<u32>, Option<u32>),
        documents: &[String],
        held_out: &[String],
    ) -> Result<Self> {
        let encode = |document: &str| -> Result<Vec<u32>> {
            let mut ids = encode(document)?;
            let (first, last) = around;
            if let Some(first) = first {
                ids.insert(0, first);
            }
            ids.extend(last.filter(|_| last != first));
            Ok(ids)
        };
        let mut data = Self::default();
        for document in documents {
            data.tokens.extend(encode(document)?);
            data.ends.push(data.tokens.len());
        }
        for document in held_out {
            data.held_out.push(encode(document)?);
            data.held_out_bytes += document.len();
        }
        data.check()?;
        Ok(data)
    }

    /// Refuses a corpus that cannot be trained on, or not measured with.
    pub(super) fn check(&self) -> Result<()> {
        if self.tokens.len() >= 2 && self.held_out.iter().any(|ids| ids.len() > 1) {
            return Ok(());
        }
        Err(Error::BadCorpus {
            expected: "at least two tokens to train on and two held out".into(),
            found: format!("{} and {}", self.tokens.len(), self.held_out.iter().map(Vec::len).sum::<usize>()),
        })
    }
}
