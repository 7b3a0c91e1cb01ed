//! Everything JavaScript sees of the engine. Only www/worker.js imports it; nothing else in the crate knows that
//! JavaScript exists.

mod hash;
mod inspect;
mod loading;
mod measure;
#[cfg(target_feature = "atomics")]
mod threads;
mod train;

use crate::engine::Engine as Inner;
use crate::error::Error;
use crate::generate::{Event, Generation};
use crate::sample::GenerationConfig;
use js_sys::{Function, Reflect};
use loading::Loading;
use serde::Serialize;
use serde_json::json;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;

/// Aimed-at time of one slice of the prompt: as long as a person may wait for "stop".
const SLICE_MS: f64 = 250.0;
/// Slices are whole multiples of this, where they are not smaller: kernels take several tokens at once.
const WHOLE: usize = 16;
/// Smaller slices cost more than they give: every slice decodes all weights once. A model for which this many tokens
/// take longer writes about as slowly, so a stop still comes within a few tokens' time.
const SMALLEST_SLICE: usize = 4;
/// Parameters times tokens of the first slice, when the speed is not known yet: a tenth of a second on a good machine.
const FIRST_SLICE: u64 = 4 << 30;
const LARGEST_SLICE: usize = 512;

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// A loaded model in a worker.
#[wasm_bindgen]
pub struct Engine {
    inner: Inner,
    generation: Option<Generation>,
    /// Tokens of the prompt to read at once. How it is sliced does not change the result.
    slice: usize,
}

#[wasm_bindgen]
impl Engine {
    /// Opens the model whose files have arrived: a Hugging Face folder or one GGUF file. `on_progress(loaded, total)` is
    /// called while the weights are laid out. Throws an `Error` with a `code`.
    pub fn open(loading: Loading, on_progress: Function) -> Result<Engine, JsValue> {
        let files = loading.files().map_err(thrown)?;
        let report = move |loaded: u64, total: u64| {
            // What a listener throws is its own affair.
            let _ = on_progress.call2(&JsValue::NULL, &(loaded as f64).into(), &(total as f64).into());
        };
        let inner = Inner::open_with_progress(files, Box::new(report)).map_err(thrown)?;
        let first = FIRST_SLICE / inner.spec().parameters.max(1);
        let slice = whole(usize::try_from(first).unwrap_or(LARGEST_SLICE));
        Ok(Self { inner, generation: None, slice })
    }

    /// Keeps keys and values as `f32`, `f16` or `q8`; forgets what was read.
    #[wasm_bindgen(js_name = setCacheType)]
    pub fn set_cache_type(&mut self, name: &str) -> Result<(), JsValue> {
        self.generation = None;
        self.inner.set_cache_type(name.parse().map_err(thrown)?);
        Ok(())
    }

    /// What is known of the model.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let spec = self.inner.spec();
        to_js(&json!({
            "architecture": spec.architecture,
            "name": self.inner.name(),
            "parameters": spec.parameters,
            "vocabSize": spec.vocab_size,
            "contextLength": spec.context_length,
            "layers": spec.layers,
            "heads": spec.heads,
            "keyValueHeads": spec.key_value_heads,
            "headDim": spec.head_dim,
            "hiddenSize": spec.hidden_size,
            "quantization": spec.quantization,
            "tokenizer": self.inner.tokenizer().kind(),
            "decodedFormats": spec.decoded_formats,
            "weightBytes": spec.weight_bytes,
            "sha256": self.inner.sha256(),
            "cacheType": self.inner.cache_type().name(),
            "tasks": self.inner.tasks(),
            "languages": self.inner.languages(),
            "encoder": self.inner.encoder().map(|encoder| json!({
                "layers": encoder.layers,
                "heads": encoder.heads,
                "contextLength": encoder.context_length,
                "prefixes": encoder.tasks.iter().map(|(name, prefix)| json!({ "name": name, "prefix": prefix })).collect::<Vec<_>>(),
            })),
        }))
    }

    /// The generation parameters in the order people should meet them, with the model's own values as `default`.
    pub fn parameters(&self) -> Result<JsValue, JsValue> {
        to_js(&self.inner.defaults().describe(self.inner.spec().context_length, self.inner.encoder().is_some()))
    }

    /// The tokens of `text`: `[{id, text, start, end, unknown}]`, with offsets in UTF-16 units.
    pub fn tokenize(&self, text: &str) -> Result<JsValue, JsValue> {
        let tokenizer = self.inner.tokenizer();
        let pieces = tokenizer.encode_with_offsets(text).map_err(thrown)?;
        let units = utf16_offsets(text);
        let mut out = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let shown = if tokenizer.is_special(piece.id) {
                tokenizer.token(piece.id).unwrap_or_default()
            } else {
                tokenizer.decode(&[piece.id], false).map_err(thrown)?
            };
            let (start, end) = (units[piece.start], units[piece.end]);
            let unknown = tokenizer.is_unknown(piece, text);
            out.push(json!({ "id": piece.id, "text": shown, "start": start, "end": end, "unknown": unknown }));
        }
        to_js(&out)
    }

    /// Begins a generation. `prompt` is a string or an array of ids, `config` an object of GenerationConfig parameters.
    /// Returns `{promptTokens, reusedTokens, seed}`. Throws on a bad parameter; a generation under way is dropped.
    pub fn start(&mut self, prompt: JsValue, config: JsValue) -> Result<JsValue, JsValue> {
        self.generation = None;
        let given = inspect::object(config, "config")?;
        let mut config: GenerationConfig = self.inner.defaults().clone();
        config.merge(&given).map_err(thrown)?;
        let seed = *config.seed.get_or_insert_with(|| (js_sys::Math::random() * 4294967296.0) as u64);
        let ids = self.ids(prompt)?;
        let generation = Generation::start(&mut self.inner, ids, config).map_err(thrown)?;
        let (prompt_tokens, reused_tokens) = generation.prompt_tokens();
        self.generation = Some(generation);
        to_js(&json!({ "promptTokens": prompt_tokens, "reusedTokens": reused_tokens, "seed": seed }))
    }

    /// Does one unit of work, a slice of the prompt or a token, and returns what came of it (see `generate::Event`).
    pub fn advance(&mut self) -> Result<JsValue, JsValue> {
        let Some(generation) = &mut self.generation else {
            return Err(thrown(Error::BadParameter {
                name: "advance".into(),
                expected: "a generation that was started".into(),
                found: "none".into(),
            }));
        };
        let began = js_sys::Date::now();
        let event = match generation.advance(&mut self.inner, self.slice) {
            Ok(event) => event,
            Err(error) => {
                self.generation = None;
                return Err(thrown(error));
            }
        };
        match event {
            Event::Prefill { done, total } if done < total => {
                let spent = (js_sys::Date::now() - began).max(1.0);
                let wanted = (self.slice as f64 * SLICE_MS / spent) as usize;
                self.slice = whole(wanted.clamp(self.slice / 2, self.slice * 2));
            }
            Event::Done { .. } => self.generation = None,
            _ => {}
        }
        to_js(&event)
    }

    /// Drops the generation under way. What was read stays in the cache.
    pub fn cancel(&mut self) {
        self.generation = None;
    }
}

impl Engine {
    /// The ids of a prompt: a text, or ids already.
    fn ids(&self, prompt: JsValue) -> Result<Vec<u32>, JsValue> {
        match prompt.as_string() {
            Some(text) => self.inner.encode_prompt(&text).map_err(thrown),
            None => serde_wasm_bindgen::from_value(prompt).map_err(|error| {
                let expected = "a text or an array of token ids".into();
                thrown(Error::BadParameter { name: "prompt".into(), expected, found: error.to_string() })
            }),
        }
    }
}

/// A slice of about so many tokens.
fn whole(tokens: usize) -> usize {
    let tokens = tokens.clamp(SMALLEST_SLICE, LARGEST_SLICE);
    let step = if tokens < WHOLE { SMALLEST_SLICE } else { WHOLE };
    tokens / step * step
}

/// For every byte offset of `text`, and its end, the offset in UTF-16 units.
fn utf16_offsets(text: &str) -> Vec<u32> {
    let mut units = Vec::with_capacity(text.len() + 1);
    let mut at = 0;
    for c in text.chars() {
        units.extend(std::iter::repeat_n(at, c.len_utf8()));
        at += c.len_utf16() as u32;
    }
    units.push(at);
    units
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(value.serialize(&Serializer::json_compatible())?)
}

/// The error as JavaScript throws it: an `Error` with a `code`.
fn thrown(error: Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    // Setting a property of a fresh object does not fail.
    let _ = Reflect::set(&thrown, &"code".into(), &error.code().into());
    thrown.into()
}
