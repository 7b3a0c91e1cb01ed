//! The one error type of the crate. Every variant has a stable [`code`](Error::code) that the page, the JavaScript
//! API and the command line pass on unchanged, and a message that says what was expected and what was found.

/// Anything that can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is damaged, cut short, or not of the kind its name promises.
    #[error("{file}: expected {expected}, found {found}")]
    BadFile { file: String, expected: String, found: String },

    /// A file that a model needs is not among those given.
    #[error("missing file: expected {expected}, found {found}")]
    MissingFile { expected: String, found: String },

    /// A tensor has a shape or type the configuration does not allow.
    #[error("tensor {name}: expected {expected}, found {found}")]
    BadTensor { name: String, expected: String, found: String },

    /// A tensor the architecture needs is not in the file.
    #[error("tensor {name} is missing: expected {expected}, found {found}")]
    MissingTensor { name: String, expected: String, found: String },

    /// A field of `config.json` or of the GGUF metadata has an impossible value.
    #[error("config field {field}: expected {expected}, found {found}")]
    BadConfig { field: String, expected: String, found: String },

    /// Something well-formed that this engine does not do.
    #[error("{what} is not supported: expected {expected}, found {found}")]
    Unsupported { what: String, expected: String, found: String },

    /// A tokenizer file is unusable, or does not fit the model.
    #[error("tokenizer: expected {expected}, found {found}")]
    BadTokenizer { expected: String, found: String },

    /// A generation parameter is out of its range or of the wrong type.
    #[error("{name}: expected {expected}, found {found}")]
    BadParameter { name: String, expected: String, found: String },

    /// The prompt has no tokens and the model has no token to begin with.
    #[error("the prompt is empty: expected at least one token, found none")]
    EmptyPrompt,

    /// The prompt alone does not fit the model's context.
    #[error("the text is too long for this model: expected at most {limit} tokens, found {found}")]
    ContextFull { limit: usize, found: usize },

    /// Every token has probability zero, or the model computed something that is not a number.
    #[error("no token can be chosen: expected at least one with a finite score, found none ({found})")]
    NoCandidate { found: String },

    /// A text that a model is to be trained on cannot be used.
    #[error("the text: expected {expected}, found {found}")]
    BadCorpus { expected: String, found: String },

    /// Training has come to a loss or gradient that is not a number. The best weights measured so far are kept.
    #[error(
        "training diverged at step {step}: expected a finite loss, found {found}. The best weights so far are \
         kept; train again with a lower learning rate or a longer warm-up"
    )]
    Diverged { step: usize, found: String },

    /// A model was asked for what models of its kind do not do.
    #[error("this model does not do that: expected {expected}, found {found}")]
    WrongTask { expected: String, found: String },

    /// Memory could not be had.
    #[error("not enough memory for {what}: needed {needed} bytes")]
    OutOfMemory { what: String, needed: u64 },

    /// Reading failed.
    #[error("reading {file}: {source}")]
    Io { file: String, source: std::io::Error },

    /// Writing failed.
    #[error("writing {file}: {source}")]
    Write { file: String, source: std::io::Error },

    /// The tensor library refused an operation; a fault of the engine, not of the input.
    #[error("engine: {0}")]
    Engine(#[from] candle_core::Error),
}

impl Error {
    /// A stable name for this kind of error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadFile { .. } => "bad_file",
            Self::MissingFile { .. } => "missing_file",
            Self::BadTensor { .. } => "bad_tensor",
            Self::MissingTensor { .. } => "missing_tensor",
            Self::BadConfig { .. } => "bad_config",
            Self::Unsupported { .. } => "unsupported",
            Self::BadTokenizer { .. } => "bad_tokenizer",
            Self::BadParameter { .. } => "bad_parameter",
            Self::EmptyPrompt => "empty_prompt",
            Self::ContextFull { .. } => "context_full",
            Self::NoCandidate { .. } => "no_candidate",
            Self::BadCorpus { .. } => "bad_corpus",
            Self::Diverged { .. } => "diverged",
            Self::WrongTask { .. } => "wrong_task",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::Io { .. } | Self::Write { .. } => "io",
            Self::Engine(_) => "engine",
        }
    }
}

/// The result of anything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A zeroed or reserved buffer, or [`Error::OutOfMemory`] instead of an abort.
pub(crate) fn try_vec<T: Clone>(value: T, len: usize, what: &str) -> Result<Vec<T>> {
    let mut v = Vec::new();
    v.try_reserve_exact(len).map_err(|_| Error::OutOfMemory {
        what: what.to_string(),
        needed: (len as u64).saturating_mul(size_of::<T>() as u64),
    })?;
    v.resize(len, value);
    Ok(v)
}
