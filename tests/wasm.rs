//! The engine as wasm, in a browser: `cargo xtask test wasm` runs it.
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn errors_keep_their_code_and_their_words() {
    let error = inkling::Error::ContextFull { limit: 512, found: 600 };
    assert_eq!(error.code(), "context_full");
    assert!(error.to_string().contains("expected at most 512 tokens, found 600"));
}
