//! Tasks of a model that reads, one step at a time, so that a worker can say how far it is and hear a stop in between.

use super::inspect::object;
use super::{Engine, thrown, to_js, utf16_offsets};
use crate::error::Error;
use crate::tasks::{self, Outcome, Step, Task};
use js_sys::{Array, Float32Array, Object, Reflect};
use serde_json::json;
use wasm_bindgen::prelude::*;

/// A task under way.
pub(super) struct Running {
    task: Box<dyn Task>,
    /// Of a task that tells places in a text, for each byte of it the offset in UTF-16 units.
    units: Vec<u32>,
}

#[wasm_bindgen]
impl Engine {
    /// Begins a task by the name and with the arguments of transformers' pipeline; one under way is dropped. Throws an error
    /// of code `wrong_task` where the model does something else.
    pub fn begin(&mut self, task: &str, arguments: JsValue) -> Result<(), JsValue> {
        self.running = None;
        let arguments = object(arguments, "args")?;
        let reader = self.inner.reader(task).map_err(thrown)?;
        let begun = tasks::begin(reader, task, &arguments).map_err(thrown)?;
        let context = arguments.get("context").and_then(|context| context.as_str()).unwrap_or_default();
        self.running = Some(Running { task: begun, units: utf16_offsets(context) });
        Ok(())
    }

    /// Does one step: `{done, total}` while there is more to do, and `{result}` at the end.
    pub fn step(&mut self) -> Result<JsValue, JsValue> {
        let none = || Error::BadParameter {
            name: "step".into(),
            expected: "a task that was begun".into(),
            found: "none".into(),
        };
        let mut running = self.running.take().ok_or_else(|| thrown(none()))?;
        let reader = self.inner.reader("step").map_err(thrown)?;
        match running.task.step(reader).map_err(thrown)? {
            Step::Going { done, total } => {
                self.running = Some(running);
                to_js(&json!({ "done": done, "total": total }))
            }
            Step::Done(outcome) => {
                let result = given(&outcome, &running.units)?;
                let out = Object::new();
                Reflect::set(&out, &"result".into(), &result)?;
                Ok(out.into())
            }
        }
    }
}

/// What came of a task; vectors as typed arrays.
fn given(outcome: &Outcome, units: &[u32]) -> Result<JsValue, JsValue> {
    match outcome {
        Outcome::Embedded(vectors) => {
            Ok(vectors.iter().map(|vector| Float32Array::from(vector.as_slice())).collect::<Array>().into())
        }
        _ => to_js(&outcome.json(&|byte| units.get(byte).map_or(0, |unit| *unit as usize))),
    }
}
