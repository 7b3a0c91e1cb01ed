//! inkling: a language model in Rust that runs natively and inside a web page.
//!
//! From the outside in:
//!
//! - [`engine`]: opens a model that writes from its [`files`], by way of [`checkpoint`], and holds what it needs to run;
//!   [`reader`]: the same for models that read, and [`open`] for either kind.
//! - [`abilities`]: what a model can be used for.
//! - [`generate`]: the only generation loop; [`sample`] has its parameters and rules.
//! - [`tasks`]: what is done with models that read: filling masks, finding answers, making vectors.
//! - [`model`]: one file per architecture, built of [`layers`], which rest on [`kernels`].
//! - [`inspect`]: what a model computes, shown: attention, layers, choices.
//! - [`train`]: from a text to a trained model, natively and in the page.
//! - [`convert`]: a model's files as GGUF or as a Hugging Face folder.
//! - [`weights`]: tensors by name from safetensors and GGUF; [`text`]: tokenizers and streaming decode.
//! - [`error`]: the one error type.
//!
//! `web` (wasm32 only) has every export to JavaScript; nothing else knows that JavaScript exists.

// The one instruction of the threads build that is not stable yet: sleeping until a value in memory changes.
#![cfg_attr(all(target_arch = "wasm32", target_feature = "atomics"), feature(stdarch_wasm_atomic_wait))]

pub mod abilities;
pub mod checkpoint;
pub mod convert;
pub mod engine;
pub mod error;
pub mod files;
pub mod generate;
pub mod inspect;
pub mod kernels;
pub mod layers;
pub mod model;
pub mod reader;
pub mod sample;
pub mod tasks;
pub mod text;
pub mod train;
#[cfg(target_arch = "wasm32")]
mod web;
pub mod weights;

pub use engine::Engine;
pub use error::{Error, Result};
pub use reader::{Opened, Reader, open, open_with_progress};
