//! Texts as vectors, of which those of like meaning point the same way (transformers' `feature-extraction`, with the pooling
//! and normalisation of sentence-transformers).

use super::{Arguments, Outcome, Step, Task};
use crate::error::{Error, Result};
use crate::layers::with_values;
use crate::reader::{Pooling, Reader, Tokens};
use std::ops::Range;

/// Tokens of the texts that are read at once.
const AT_ONCE: usize = 256;

/// How vectors are made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedOptions {
    /// None: as the model's files say.
    pub pooling: Option<Pooling>,
    /// Whether vectors get length 1. None: as the model's files say.
    pub normalize: Option<bool>,
    /// Whether a text that is too long is cut off, as sentence-transformers does; else it is refused.
    pub truncate: bool,
}

/// Texts that are becoming vectors.
pub struct Embedding {
    texts: Vec<Tokens>,
    pooling: Pooling,
    normalize: bool,
    vectors: Vec<Vec<f32>>,
}

impl Embedding {
    /// Vectors of `texts`.
    ///
    /// # Errors
    /// [`Error::ContextFull`] for a text that is too long, [`Error::EmptyPrompt`] for one without tokens.
    pub fn new(reader: &Reader, texts: &[String], options: &EmbedOptions) -> Result<Self> {
        let limit = reader.spec().context_length;
        let read = |text: &String| {
            let mut tokens = reader.encode(text)?;
            if options.truncate && tokens.ids.len() > reader.longest() {
                let mut ids = reader.tokenizer.encode(text, false)?;
                let around = tokens.ids.len() - ids.len();
                ids.truncate(reader.longest().saturating_sub(around));
                tokens.ids = reader.tokenizer.surround(&ids);
            }
            match tokens.ids.len() {
                0 => Err(Error::EmptyPrompt),
                found if found > limit => Err(Error::ContextFull { limit, found }),
                _ => Ok(tokens),
            }
        };
        Ok(Self {
            texts: texts.iter().map(read).collect::<Result<_>>()?,
            pooling: options.pooling.unwrap_or(reader.pooling()),
            normalize: options.normalize.unwrap_or(reader.normalizes()),
            vectors: Vec::new(),
        })
    }

    /// From `texts`, `pooling`, `normalize` and `truncate`.
    pub(super) fn from_arguments(reader: &Reader, arguments: &Arguments) -> Result<Self> {
        arguments.only(&["texts", "pooling", "normalize", "truncate"])?;
        let texts = arguments.texts("texts")?.unwrap_or_default();
        let options = EmbedOptions {
            pooling: arguments.optional_text("pooling")?.map(Pooling::parse).transpose()?,
            normalize: arguments.truth("normalize")?,
            truncate: arguments.truth("truncate")?.unwrap_or(false),
        };
        Self::new(reader, &texts, &options)
    }

    /// The next texts that are read at once.
    fn batch(&self) -> Range<usize> {
        let first = self.vectors.len();
        let mut tokens = 0;
        let fits = |text: &&Tokens| {
            tokens += text.ids.len();
            tokens <= AT_ONCE
        };
        let more = self.texts.iter().skip(first).take_while(fits).count();
        first..(first + more.max(1)).min(self.texts.len())
    }
}

impl Task for Embedding {
    fn step(&mut self, reader: &Reader) -> Result<Step> {
        let batch = &self.texts[self.batch()];
        if !batch.is_empty() {
            let width = reader.spec().hidden_size;
            let vectors = with_values(&reader.read(batch)?, |mut rows| {
                let one = |text: &Tokens| {
                    let (own, rest) = rows.split_at(text.ids.len() * width);
                    rows = rest;
                    let vector = self.pooling.of(own, width);
                    if self.normalize { normalized(vector) } else { vector }
                };
                Ok(batch.iter().map(one).collect::<Vec<_>>())
            })?;
            self.vectors.extend(vectors);
        }
        let (done, total) = (self.vectors.len(), self.texts.len());
        if done < total {
            return Ok(Step::Going { done, total });
        }
        Ok(Step::Done(Outcome::Embedded(std::mem::take(&mut self.vectors))))
    }
}

/// The vector with length 1.
fn normalized(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}
