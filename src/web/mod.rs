//! Everything JavaScript sees of the engine. Only www/worker.js imports it; nothing else in the crate knows that
//! JavaScript exists.

mod hash;
mod inspect;
mod loading;
mod measure;
mod tasks;
#[cfg(target_feature = "atomics")]
mod threads;
mod train;

use crate::engine::Engine as Writer;
use crate::error::Error;
use crate::generate::{Event, Generation};
use crate::reader::{Opened, open_with_progress};
use crate::sample::GenerationConfig;
use crate::text::Piece;
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
    inner: Opened,
    generation: Option<Generation>,
    /// A task of a model that reads.
    running: Option<tasks::Running>,
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
        let inner = open_with_progress(files, Box::new(report)).map_err(thrown)?;
        let first = FIRST_SLICE / inner.spec().parameters.max(1);
        let slice = whole(usize::try_from(first).unwrap_or(LARGEST_SLICE));
        Ok(Self { inner, generation: None, running: None, slice })
    }

    /// Keeps keys and values as `f32`, `f16` or `q8`; forgets what was read.
    #[wasm_bindgen(js_name = setCacheType)]
    pub fn set_cache_type(&mut self, name: &str) -> Result<(), JsValue> {
        self.generation = None;
        let kind = name.parse().map_err(thrown)?;
        // A model that reads keeps nothing.
        if let Opened::Writer(writer) = &mut self.inner {
            writer.set_cache_type(kind);
        }
        Ok(())
    }

    /// What is known of the model.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let (spec, writer) = (self.inner.spec(), self.inner.writer().ok());
        to_js(&json!({
            "architecture": spec.architecture,
            "tasks": self.inner.tasks(),
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
            "maskToken": self.mask(),
            "decodedFormats": spec.decoded_formats,
            "weightBytes": spec.weight_bytes,
            "sha256": self.inner.sha256(),
            "cacheType": writer.map(|writer| writer.cache_type().name()),
            "languages": writer.map(Writer::languages),
            "encoder": writer.and_then(Writer::encoder).map(|encoder| json!({
                "layers": encoder.layers,
                "heads": encoder.heads,
                "contextLength": encoder.context_length,
                "prefixes": encoder.tasks.iter().map(|(name, prefix)| json!({ "name": name, "prefix": prefix })).collect::<Vec<_>>(),
            })),
        }))
    }

    /// The generation parameters in the order people should meet them, with the model's own values as `default`; none of a
    /// model that writes nothing.
    pub fn parameters(&self) -> Result<JsValue, JsValue> {
        match &self.inner {
            Opened::Writer(writer) => {
                to_js(&writer.defaults().describe(writer.spec().context_length, writer.encoder().is_some()))
            }
            Opened::Reader(_) => to_js(&json!([])),
        }
    }

    /// The tokens of `text`: `[{id, text, start, end, unknown, special}]`, with offsets in UTF-16 units.
    pub fn tokenize(&self, text: &str) -> Result<JsValue, JsValue> {
        self.shown(text, &self.inner.tokenizer().encode_with_offsets(text).map_err(thrown)?)
    }

    /// The model's chat template: `{template, special_tokens, end_of_turn}`, or null where it has none.
    pub fn chat(&self) -> Result<JsValue, JsValue> {
        let Opened::Writer(writer) = &self.inner else { return Ok(JsValue::NULL) };
        to_js(&writer.chat().map(|chat| {
            json!({ "template": chat.template, "special_tokens": chat.special_tokens, "end_of_turn": chat.end_of_turn })
        }))
    }

    /// The tokens of a text that a chat template made, as [`tokenize`](Self::tokenize) has them and with `special`; none
    /// is added.
    #[wasm_bindgen(js_name = tokenizeChat)]
    pub fn tokenize_chat(&self, text: &str) -> Result<JsValue, JsValue> {
        self.shown(text, &self.inner.tokenizer().pieces(text).map_err(thrown)?)
    }

    /// Begins a generation. `prompt` is a string or an array of ids, `config` an object of GenerationConfig parameters.
    /// Returns `{promptTokens, reusedTokens, seed}`. Throws on a bad parameter; a generation under way is dropped.
    pub fn start(&mut self, prompt: JsValue, config: JsValue) -> Result<JsValue, JsValue> {
        self.generation = None;
        let given = inspect::object(config, "config")?;
        let mut config: GenerationConfig = self.writer()?.defaults().clone();
        config.merge(&given).map_err(thrown)?;
        let seed = *config.seed.get_or_insert_with(|| (js_sys::Math::random() * 4294967296.0) as u64);
        let ids = self.ids(prompt)?;
        let generation = Generation::start(self.inner.writer_mut().map_err(thrown)?, ids, config).map_err(thrown)?;
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
        let writer = self.inner.writer_mut().map_err(thrown)?;
        let event = match generation.advance(writer, self.slice) {
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

    /// Drops the generation or the task under way. What was read stays in the cache.
    pub fn cancel(&mut self) {
        self.generation = None;
        self.running = None;
    }
}

impl Engine {
    /// What stands for a gap in the text of a model that fills them.
    fn mask(&self) -> Option<String> {
        let tokenizer = self.inner.tokenizer();
        let fills = self.inner.tasks().contains(&"fill-mask");
        tokenizer.mask_token_id().filter(|_| fills).and_then(|id| tokenizer.token(id))
    }

    /// The model as one that writes.
    fn writer(&self) -> Result<&Writer, JsValue> {
        self.inner.writer().map_err(thrown)
    }

    /// Tokens of a text for JavaScript.
    fn shown(&self, text: &str, pieces: &[Piece]) -> Result<JsValue, JsValue> {
        let tokenizer = self.inner.tokenizer();
        let units = utf16_offsets(text);
        let mut out = Vec::with_capacity(pieces.len());
        for &piece in pieces {
            let special = tokenizer.is_special(piece.id);
            let shown = if special {
                tokenizer.token(piece.id).unwrap_or_default()
            } else {
                tokenizer.decode(&[piece.id], false).map_err(thrown)?
            };
            let (start, end) = (units[piece.start], units[piece.end]);
            let unknown = tokenizer.is_unknown(piece, text);
            let id = piece.id;
            out.push(
                json!({ "id": id, "text": shown, "start": start, "end": end, "unknown": unknown, "special": special }),
            );
        }
        to_js(&out)
    }

    /// The ids of a prompt: a text, or ids already.
    fn ids(&self, prompt: JsValue) -> Result<Vec<u32>, JsValue> {
        match prompt.as_string() {
            Some(text) => match &self.inner {
                Opened::Writer(writer) => writer.encode_prompt(&text).map_err(thrown),
                Opened::Reader(reader) => Ok(reader.encode(&text).map_err(thrown)?.ids),
            },
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
