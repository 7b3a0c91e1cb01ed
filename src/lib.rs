//! inkling: a language model in Rust that runs natively and inside a web page.
//!
//! From the outside in:
//!
//! - [`engine`]: opens a model from its [`files`] and holds what a running model needs.
//! - [`abilities`]: what a model can be used for.
//! - [`generate`]: the only generation loop; [`sample`] has its parameters and rules.
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
pub mod convert;
pub mod engine;
pub mod error;
pub mod files;
pub mod generate;
pub mod inspect;
pub mod kernels;
pub mod layers;
pub mod model;
pub mod sample;
pub mod text;
pub mod train;
#[cfg(target_arch = "wasm32")]
mod web;
pub mod weights;

pub use engine::Engine;
pub use error::{Error, Result};
