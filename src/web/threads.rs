//! What the workers of the threads build call: www/thread.js is such a worker.

use crate::kernels::pool;
use wasm_bindgen::prelude::*;

/// Gives the calling worker to the engine, for good.
#[wasm_bindgen(js_name = serveThread)]
pub fn serve_thread() {
    pool::serve()
}

/// How many threads work, the engine's own worker among them.
#[wasm_bindgen(js_name = threads)]
pub fn threads() -> u32 {
    pool::threads()
}
