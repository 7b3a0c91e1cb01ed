//! An encoder opened from its files and ready to read: the model, its tokenizer, and how it makes one vector of a text.

use crate::checkpoint::Checkpoint;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::inspect::Shown;
use crate::model::encoder::{self, Encoder, Head};
use crate::model::{Pass, Probe, Spec};
use crate::text::Tokenizer;
use crate::weights::Progress;
use candle_core::Tensor;
use pooling::Pooled;
pub use pooling::Pooling;
use serde_json::{Map, Value};

mod pooling;

/// No configuration file is larger.
const SMALL_FILE: u64 = 1 << 20;

/// A loaded encoder.
pub struct Reader {
    pub(crate) encoder: Box<dyn Encoder>,
    pub(crate) tokenizer: Tokenizer,
    /// Whether token types are those of the tokenizer; else all are 0.
    kinds: bool,
    pooled: Pooled,
    longest: usize,
    name: Option<String>,
    sha256: Option<String>,
}

/// A text as the model reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    pub ids: Vec<u32>,
    /// The token type of each; empty where all are 0.
    pub kinds: Vec<u32>,
}

impl Reader {
    /// Opens a Hugging Face folder or such a folder in one GGUF file.
    ///
    /// # Errors
    /// Any [`Error`] that says what is missing, damaged or not supported; [`Error::WrongTask`] for a model that is no
    /// encoder.
    pub fn open(files: Files) -> Result<Self> {
        Self::of(Checkpoint::open(files, Box::new(|_, _| {}))?)
    }

    /// The model of a checkpoint.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(mut checkpoint: Checkpoint) -> Result<Self> {
        let name = checkpoint.name()?;
        let model_type = checkpoint.model_type()?.to_string();
        let Checkpoint { files, config, weights } = &mut checkpoint;
        let Some(config) = config.as_ref().filter(|_| encoder::find(&model_type).is_some()) else {
            return Err(match crate::model::architecture(&model_type) {
                Ok(other) => Error::WrongTask {
                    expected: "one that reads a text as a whole".into(),
                    found: format!("{}, which continues a text", other.name),
                },
                Err(error) => error,
            });
        };
        let tokenizer = Tokenizer::from_files(files)?;
        let (pooled, longest) = pooling::of(files)?;
        let encoder = encoder::load(config, weights)?;
        let vocab_size = encoder.spec().vocab_size;
        if let Some(id) = tokenizer.largest_id().filter(|&id| id as usize >= vocab_size) {
            return Err(Error::BadTokenizer {
                expected: format!("token ids below the model's vocabulary of {vocab_size}"),
                found: format!("token id {id}"),
            });
        }
        let kinds = kinds_of(files)?.unwrap_or(encoder.has_kinds());
        let longest =
            longest.map_or(encoder.spec().context_length, |longest| longest.min(encoder.spec().context_length));
        let sha256 = weights.sha256();
        Ok(Self { encoder, tokenizer, kinds, pooled, longest, name, sha256 })
    }

    /// The model's shape and size.
    pub fn spec(&self) -> &Spec {
        self.encoder.spec()
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The name the file gives itself.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// SHA-256 in hexadecimal of the weights file; see [`Engine::sha256`].
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// What the model can do, by the names of transformers' pipelines; the first is what it was trained for.
    pub fn tasks(&self) -> &'static [&'static str] {
        self.encoder.head().tasks()
    }

    /// How a text becomes one vector where the caller does not say.
    pub fn pooling(&self) -> Pooling {
        self.pooled.pooling
    }

    /// Whether that vector is then given length 1.
    pub fn normalizes(&self) -> bool {
        self.pooled.normalize
    }

    /// The most tokens of a text that becomes a vector: what the model was trained for, which may be less than its context.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// A text with the special tokens around it.
    ///
    /// # Errors
    /// Those of encoding.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        Ok(Tokens { ids: self.tokenizer.encode(text, true)?, kinds: Vec::new() })
    }

    /// Two texts, each as ids without special tokens, as one; and where the second begins.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a tokenizer that does not say how.
    pub fn join(&self, first: &[u32], second: &[u32]) -> Result<(Tokens, usize)> {
        let joined = self.tokenizer.join(first, second)?;
        let kinds = if self.kinds { joined.kinds } else { Vec::new() };
        Ok((Tokens { ids: joined.ids, kinds }, joined.second))
    }

    /// Reads texts and returns the hidden states of all their tokens, `[rows, hidden_size]`, one text after the other.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`] for a text without tokens, [`Error::ContextFull`].
    pub fn read(&self, texts: &[Tokens]) -> Result<Tensor> {
        self.pass(texts, None)
    }

    /// What the model predicts of a text.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn predictions(&self, text: &Tokens) -> Result<Predictions<'_>> {
        Ok(Predictions { head: self.encoder.head(), hidden: self.read(std::slice::from_ref(text))? })
    }

    /// [`read`](Self::read) of one text, looked at.
    pub(crate) fn read_seen(&self, text: &Tokens, probe: &mut Probe) -> Result<Tensor> {
        self.pass(std::slice::from_ref(text), Some(probe))
    }

    fn pass(&self, texts: &[Tokens], probe: Option<&mut Probe>) -> Result<Tensor> {
        if texts.is_empty() || texts.iter().any(|text| text.ids.is_empty()) {
            return Err(Error::EmptyPrompt);
        }
        let mut kinds = Vec::new();
        if texts.iter().any(|text| !text.kinds.is_empty()) {
            for text in texts {
                kinds.extend_from_slice(&text.kinds);
                kinds.resize(kinds.len() + text.ids.len() - text.kinds.len(), 0);
            }
        }
        let pass = Pass::whole(texts.iter().map(|text| text.ids.as_slice()), None);
        match probe {
            Some(probe) => self.encoder.forward(&mut pass.seen_by(probe), &kinds),
            None => self.encoder.forward(&mut { pass }, &kinds),
        }
    }

    /// The error for a task that is none of the model's.
    pub fn cannot(&self, task: &str) -> Error {
        cannot(task, self.spec().architecture, self.tasks())
    }
}

/// The error for a task that is none of a model's.
fn cannot(task: &str, architecture: &str, tasks: &[&str]) -> Error {
    let found = format!("{architecture} for {}", tasks.join(" and "));
    Error::WrongTask { expected: format!("a model for {task}"), found }
}

/// A text that has been read, and the head that predicts.
pub struct Predictions<'a> {
    head: &'a Head,
    hidden: Tensor,
}

impl Predictions<'_> {
    /// Logits of the tokens that may stand in a place, `[vocab_size]`; none for a model without a head for masked tokens.
    ///
    /// # Errors
    /// Those of the tensor library, for a place that is not in the text.
    pub fn masked(&self, at: usize) -> Result<Option<Vec<f32>>> {
        let Head::Masked(head) = self.head else { return Ok(None) };
        Ok(Some(head.forward(&self.hidden.narrow(0, at, 1)?)?.flatten_all()?.to_vec1()?))
    }

    /// Logits of the beginning and of the end of an answer, `[tokens]` each; none for a model without a head for answers.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn ends(&self) -> Result<Option<[Vec<f32>; 2]>> {
        self.head.ends(&self.hidden)
    }

    /// The last hidden state of a place, `[hidden_size]`.
    ///
    /// # Errors
    /// Those of the tensor library, for a place that is not in the text.
    pub fn state(&self, at: usize) -> Result<Vec<f32>> {
        Ok(self.hidden.narrow(0, at, 1)?.flatten_all()?.to_vec1()?)
    }
}

/// Whether the tokenizer gives token types, where its configuration says.
fn kinds_of(files: &mut Files) -> Result<Option<bool>> {
    if !files.contains("tokenizer_config.json") {
        return Ok(None);
    }
    let config: Map<String, Value> = files.read_json("tokenizer_config.json", 64 * SMALL_FILE)?;
    let names = config.get("model_input_names").and_then(Value::as_array);
    Ok(names.map(|names| names.iter().any(|name| name.as_str() == Some("token_type_ids"))))
}

/// A model of either kind.
pub enum Opened {
    /// It writes: continues a text, or makes another one of it.
    Writer(Box<Engine>),
    /// It reads a text as a whole.
    Reader(Box<Reader>),
}

/// Opens a model, whichever kind its configuration says it is.
///
/// # Errors
/// Any [`Error`] that says what is missing, damaged or not supported.
pub fn open(files: Files) -> Result<Opened> {
    open_with_progress(files, Box::new(|_, _| {}))
}

/// [`open`], reporting the bytes of weights read.
///
/// # Errors
/// As there.
pub fn open_with_progress(files: Files, progress: Progress) -> Result<Opened> {
    let checkpoint = Checkpoint::open(files, progress)?;
    if checkpoint.config.is_some() && encoder::find(checkpoint.model_type()?).is_some() {
        return Ok(Opened::Reader(Box::new(Reader::of(checkpoint)?)));
    }
    Ok(Opened::Writer(Box::new(Engine::of_checkpoint(checkpoint)?)))
}

impl Opened {
    /// What the model can do, by the names of transformers' pipelines; the first is what it is for.
    pub fn tasks(&self) -> Vec<&'static str> {
        match self {
            Self::Writer(engine) => engine.tasks(),
            Self::Reader(reader) => reader.tasks().to_vec(),
        }
    }

    /// The model as one that is looked into.
    pub fn shown(&self) -> &dyn Shown {
        match self {
            Self::Writer(engine) => &**engine,
            Self::Reader(reader) => &**reader,
        }
    }

    /// The name the file gives itself.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Writer(engine) => engine.name(),
            Self::Reader(reader) => reader.name(),
        }
    }

    /// SHA-256 in hexadecimal of the weights file; see [`Engine::sha256`].
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::Writer(engine) => engine.sha256(),
            Self::Reader(reader) => reader.sha256(),
        }
    }

    /// The model's shape and size.
    pub fn spec(&self) -> &Spec {
        match self {
            Self::Writer(engine) => engine.spec(),
            Self::Reader(reader) => reader.spec(),
        }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        match self {
            Self::Writer(engine) => engine.tokenizer(),
            Self::Reader(reader) => reader.tokenizer(),
        }
    }

    /// The model as one that writes.
    ///
    /// # Errors
    /// [`Error::WrongTask`], naming what the model can do.
    pub fn writer(&self) -> Result<&Engine> {
        match self {
            Self::Writer(engine) => Ok(engine),
            Self::Reader(reader) => Err(reader.cannot("text-generation")),
        }
    }

    /// As [`writer`](Self::writer).
    ///
    /// # Errors
    /// As there.
    pub fn writer_mut(&mut self) -> Result<&mut Engine> {
        match self {
            Self::Writer(engine) => Ok(engine),
            Self::Reader(reader) => Err(reader.cannot("text-generation")),
        }
    }

    /// The model as one that reads.
    ///
    /// # Errors
    /// [`Error::WrongTask`], naming what the model is.
    pub fn reader(&self, task: &str) -> Result<&Reader> {
        match self {
            Self::Reader(reader) => Ok(reader),
            Self::Writer(engine) => Err(cannot(task, engine.spec().architecture, &engine.tasks())),
        }
    }
}
