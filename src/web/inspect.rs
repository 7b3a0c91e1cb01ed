//! Looking inside a model: what src/inspect gives, with large arrays as typed ones.

use super::{Engine, thrown, to_js, utf16_offsets};
use crate::error::Error;
use crate::inspect::{self, Wish, report};
use crate::reader::{Opened, Tokens};
use crate::sample::GenerationConfig;
use js_sys::{Float32Array, Reflect};
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
impl Engine {
    /// What the model computes on a text (a string or an array of ids); see `inspect::Wish` for the options.
    pub fn inspect(&mut self, prompt: JsValue, options: JsValue) -> Result<JsValue, JsValue> {
        let ids = self.ids(prompt)?;
        let wish = Wish::from_json(&object(options, "options")?).map_err(thrown)?;
        let found = match &mut self.inner {
            Opened::Writer(writer) => inspect::inspect(writer, &ids, &wish),
            Opened::Reader(reader) => inspect::inspect_reading(reader, &Tokens { ids, kinds: Vec::new() }, &wish),
        };
        let found = found.map_err(thrown)?;
        let model = self.inner.shown();
        let out = to_js(&report::json(model, &found))?;
        for array in report::arrays(model, &found) {
            let Some((last, before)) = array.path.split_last() else { continue };
            let place = before.iter().try_fold(out.clone(), |place, key| Reflect::get(&place, &key.as_str().into()))?;
            Reflect::set(&place, &last.as_str().into(), &Float32Array::from(array.values).into())?;
        }
        Ok(out)
    }

    /// How the next token after a text of which the last `new_tokens` tokens are new is chosen under a config.
    pub fn choice(
        &mut self,
        prompt: JsValue,
        new_tokens: u32,
        config: JsValue,
        shown: u32,
    ) -> Result<JsValue, JsValue> {
        let ids = self.ids(prompt)?;
        let mut own: GenerationConfig = self.writer()?.defaults().clone();
        own.merge(&object(config, "config")?).map_err(thrown)?;
        let writer = self.inner.writer_mut().map_err(thrown)?;
        let found = writer.choice(&ids, new_tokens as usize, &own, shown as usize).map_err(thrown)?;
        to_js(&report::choice(self.writer()?, &found))
    }

    /// How likely each token of a text was, with the `top` likeliest in its place.
    pub fn score(&mut self, prompt: JsValue, top: u32) -> Result<JsValue, JsValue> {
        let ids = self.ids(prompt)?;
        let found = inspect::score(self.inner.writer_mut().map_err(thrown)?, &ids, top as usize).map_err(thrown)?;
        to_js(&report::scored(self.writer()?, &found))
    }

    /// The natural logarithms of the probabilities with which a text goes on in each of these ways.
    pub fn continuations(&mut self, prompt: JsValue, ways: Vec<String>) -> Result<Vec<f32>, JsValue> {
        let ids = self.ids(prompt)?;
        let ways: Result<Vec<_>, _> = ways.iter().map(|way| self.inner.tokenizer().encode(way, false)).collect();
        inspect::continuations(self.inner.writer_mut().map_err(thrown)?, &ids, &ways.map_err(thrown)?).map_err(thrown)
    }

    /// The tokens most like one.
    pub fn neighbors(&self, id: u32, count: u32) -> Result<JsValue, JsValue> {
        let writer = self.writer()?;
        let found = writer.neighbors(id, count as usize).map_err(thrown)?;
        to_js(&report::neighbors(writer, &found))
    }

    /// How a text becomes tokens: the bytes of each, and the merges that made it.
    pub fn explain(&self, text: &str) -> Result<JsValue, JsValue> {
        let tokens = self.inner.tokenizer().explain(text).map_err(thrown)?;
        let units = utf16_offsets(text);
        to_js(&report::explained(&tokens, &|at| units.get(at).map_or(0, |unit| *unit as usize)))
    }

    /// The parts of the model with their shapes, and what tells it from others.
    pub fn form(&self) -> Result<JsValue, JsValue> {
        to_js(&report::form(self.inner.shown()))
    }
}

/// An object of options; nothing is one without any.
pub(super) fn object(value: JsValue, name: &str) -> Result<Map<String, Value>, JsValue> {
    let given: Option<Map<String, Value>> = serde_wasm_bindgen::from_value(value).map_err(|error| {
        let found = error.to_string();
        thrown(Error::BadParameter { name: name.into(), expected: "an object of options".into(), found })
    })?;
    Ok(given.unwrap_or_default())
}
