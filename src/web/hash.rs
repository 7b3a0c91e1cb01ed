//! SHA-256 for the store of models: a page that came over plain http has no `crypto.subtle`, and that one takes no stream.

use crate::files::hex;
use sha2::Digest;
use wasm_bindgen::prelude::*;

/// SHA-256 of bytes that come in pieces.
#[wasm_bindgen]
#[derive(Default)]
pub struct Sha256(sha2::Sha256);

#[wasm_bindgen]
impl Sha256 {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash in hexadecimal; it is of no use afterwards.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}
