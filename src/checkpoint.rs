//! A model's files, opened: its configuration, its texts and its weights, whether they lie in a folder or in one file.
//!
//! A GGUF file is either llama.cpp's kind, whose metadata say in GGUF's own words what the model is, or a Hugging Face
//! folder in one file: the folder's texts are metadata, and tensors have the names they have there.

use crate::error::Result;
use crate::files::{Files, hex};
use crate::model::Fields;
use crate::weights::{Metadata, Progress, Value, Weights};
use std::io::Cursor;

/// No configuration file is larger.
const SMALL_FILE: u64 = 1 << 20;

/// Metadata that are a file of the folder, as text or, where it is none, in hexadecimal.
const TEXT: &str = "inkling.file.";
const HEX: &str = "inkling.hex.";

/// What a model is made from.
pub struct Checkpoint {
    /// The files beside the weights.
    pub files: Files,
    /// config.json; none for llama.cpp's kind of GGUF file.
    pub config: Option<Fields>,
    pub weights: Weights,
}

impl Checkpoint {
    /// Opens a Hugging Face folder (config.json with safetensors) or a GGUF file. `progress` is told of weights as they
    /// are read.
    ///
    /// # Errors
    /// [`Error::MissingFile`](crate::Error::MissingFile), [`Error::BadFile`](crate::Error::BadFile) and what else is wrong with headers.
    pub fn open(mut files: Files, progress: Progress) -> Result<Self> {
        let (config, mut weights) = match files.gguf() {
            Some(name) => {
                let mut weights = Weights::gguf(&mut files, &name)?;
                let folder = folder_of(weights.metadata_mut())?;
                if !folder.contains("config.json") {
                    (None, weights)
                } else {
                    files = folder;
                    (Some(files.read_json("config.json", SMALL_FILE)?), weights)
                }
            }
            None if !files.contains("config.json") => {
                return Err(files.missing("config.json beside the weights, or a .gguf file".into()));
            }
            None => (Some(files.read_json("config.json", SMALL_FILE)?), Weights::safetensors(&mut files)?),
        };
        weights.set_progress(progress);
        Ok(Self { files, config: config.map(Fields::new), weights })
    }

    /// What the configuration calls this kind of model; empty where it does not say.
    ///
    /// # Errors
    /// [`Error::BadConfig`](crate::Error::BadConfig) when it is not a text.
    pub fn model_type(&self) -> Result<&str> {
        let name = match &self.config {
            Some(config) => config.str(&["model_type"])?,
            None => self.weights.metadata().get_str("general.architecture")?,
        };
        Ok(name.unwrap_or_default())
    }

    /// The name the file gives itself.
    ///
    /// # Errors
    /// [`Error::BadConfig`](crate::Error::BadConfig) when it is not a text.
    pub fn name(&self) -> Result<Option<String>> {
        Ok(self.weights.metadata().get_str("general.name")?.map(str::to_string))
    }
}

/// A file of a folder as metadata.
pub(crate) fn pair(name: &str, bytes: Vec<u8>) -> (String, Value) {
    match String::from_utf8(bytes) {
        Ok(text) => (format!("{TEXT}{name}"), Value::String(text)),
        Err(other) => (format!("{HEX}{name}"), Value::String(hex(other.as_bytes()))),
    }
}

/// The files that are in the metadata, taken out of them: a vocabulary is large.
fn folder_of(metadata: &mut Metadata) -> Result<Files> {
    let mut files = Files::new();
    let keys: Vec<String> = metadata.keys().map(str::to_string).collect();
    for key in keys {
        let (name, bytes) = if let Some(name) = key.strip_prefix(TEXT) {
            (name, metadata.take_str(&key)?.unwrap_or_default().into_bytes())
        } else if let Some(name) = key.strip_prefix(HEX) {
            let bytes = metadata.get_str(&key)?.and_then(bytes_of);
            (name, bytes.ok_or_else(|| metadata.bad(&key, "bytes in hexadecimal"))?)
        } else {
            continue;
        };
        files.insert(name, Box::new(Cursor::new(bytes)));
    }
    Ok(files)
}

/// What [`hex`] was made from.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}
