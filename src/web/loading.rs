//! The files of a model as they come in, piece by piece: each piece is copied once, to where it stays.

use super::thrown;
use crate::error::{Result, try_vec};
use crate::files::Files;
use crate::weights::Arriving;
use js_sys::Uint8Array;
use std::io::Cursor;
use wasm_bindgen::prelude::*;

/// A file that is coming in.
enum Incoming {
    Weights(Box<Arriving>),
    /// Configuration or vocabulary.
    Other(Vec<u8>),
}

/// The files of one model.
#[wasm_bindgen]
#[derive(Default)]
pub struct Loading {
    files: Vec<(String, Incoming)>,
}

#[wasm_bindgen]
impl Loading {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects a file of `len` bytes; returns the number by which it is then called.
    pub fn file(&mut self, name: String, len: f64) -> std::result::Result<usize, JsValue> {
        let lower = name.to_lowercase();
        let incoming = if lower.ends_with(".gguf") || lower.ends_with(".safetensors") {
            Incoming::Weights(Box::new(Arriving::new(name.as_str(), len as u64)))
        } else {
            let mut bytes = try_vec(0u8, len as usize, &name).map_err(thrown)?;
            bytes.clear();
            Incoming::Other(bytes)
        };
        self.files.push((name, incoming));
        Ok(self.files.len() - 1)
    }

    /// Takes the next bytes of a file. Throws as soon as they show that the file cannot be used.
    pub fn write(&mut self, file: usize, bytes: &Uint8Array) -> std::result::Result<(), JsValue> {
        let Some((_, incoming)) = self.files.get_mut(file) else { return Ok(()) };
        match incoming {
            Incoming::Weights(arriving) => {
                let mut copy = |at: usize, out: &mut [u8]| {
                    bytes.subarray(at as u32, (at + out.len()) as u32).copy_to(out);
                };
                arriving.write(bytes.length() as usize, &mut copy).map_err(thrown)
            }
            Incoming::Other(held) => {
                held.extend(bytes.to_vec());
                Ok(())
            }
        }
    }
}

impl Loading {
    /// The files, once they are here.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] for one that is not here as a whole, or is damaged.
    pub fn files(self) -> Result<Files> {
        let mut files = Files::new();
        for (name, incoming) in self.files {
            match incoming {
                Incoming::Weights(mut arriving) => {
                    arriving.finish()?;
                    files.insert(name, arriving);
                }
                Incoming::Other(bytes) => files.insert(name, Box::new(Cursor::new(bytes))),
            }
        }
        Ok(files)
    }
}
