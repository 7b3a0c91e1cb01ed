//! inkling: a language model in Rust that runs natively and inside a web page.
pub mod error;
pub use error::{Error, Result};
