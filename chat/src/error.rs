//! What can be wrong with a template or a conversation.

use minijinja::ErrorKind;
use std::fmt;

/// Why there is no text. [`code`](Error::code) is stable; the message says what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The messages are not what a conversation is made of.
    BadContext { expected: String, found: String },
    /// A fault of the template, or something it calls that does not exist.
    Template { line: Option<usize>, message: String },
    /// The template itself turns the conversation down, in its own words.
    Raised { message: String },
    /// Longer than it may be.
    TooLarge { what: &'static str, limit: usize, found: usize },
    /// The template does not come to an end within its share of work.
    TooLong { line: Option<usize> },
}

impl Error {
    /// A stable name for this kind of error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadContext { .. } => "bad_messages",
            Self::Template { .. } => "bad_template",
            Self::Raised { .. } => "template_refused",
            Self::TooLarge { .. } | Self::TooLong { .. } => "template_limit",
        }
    }

    pub(crate) fn context(expected: &str, found: impl fmt::Display) -> Self {
        Self::BadContext { expected: expected.into(), found: found.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |line: &Option<usize>| line.map(|line| format!(", line {line}")).unwrap_or_default();
        match self {
            Self::BadContext { expected, found } => write!(f, "messages: expected {expected}, found {found}"),
            Self::Template { line, message } => write!(f, "chat template{}: {message}", at(line)),
            Self::Raised { message } => write!(f, "the chat template refuses this conversation: {message}"),
            Self::TooLarge { what, limit, found } => {
                write!(f, "chat template: expected at most {limit} bytes of {what}, found {found}")
            }
            Self::TooLong { line } => {
                write!(
                    f,
                    "chat template{}: expected it to end, found it still running after its share of work",
                    at(line)
                )
            }
        }
    }
}

impl std::error::Error for Error {}

/// # Errors
/// [`Error::TooLarge`].
pub(crate) fn bounded(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooLarge { what, limit, found }) } else { Ok(()) }
}

/// An error of this crate on its way through the template engine.
pub(crate) fn wrapped(error: Error) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, "").with_source(error)
}

/// An error as the engine of templates words it.
pub(crate) fn operation(message: impl Into<std::borrow::Cow<'static, str>>) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, message)
}

impl From<minijinja::Error> for Error {
    fn from(error: minijinja::Error) -> Self {
        let mut at: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        let mut line = None;
        while let Some(cause) = at {
            if let Some(own) = cause.downcast_ref::<Self>() {
                return own.clone();
            }
            if let Some(cause) = cause.downcast_ref::<minijinja::Error>() {
                line = cause.line().or(line);
                if cause.kind() == ErrorKind::OutOfFuel {
                    return Self::TooLong { line };
                }
            }
            at = cause.source();
        }
        let mut message = error.kind().to_string();
        if let Some(detail) = error.detail() {
            message = format!("{message}: {detail}");
        }
        Self::Template { line: error.line(), message }
    }
}
