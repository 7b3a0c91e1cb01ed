//! A run in one file, from which it goes on as if it had never stopped: weights, optimizer, the best weights so far, the
//! tokens, the curve, and everything of the [`Setup`]. It is a safetensors file with the rest as metadata.

use super::data::Data;
use super::export::safetensors;
use super::optimizer::{Moments, set};
use super::recipe::Recipe;
use super::setup::Setup;
use super::trainer::{Curve, Trainer};
use crate::error::{Error, Result};
use crate::model::{self, Fields};
use safetensors::{SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The metadata key of [`Rest`].
const KEY: &str = "inkling.training";

/// What is not a tensor.
#[derive(Serialize, Deserialize)]
struct Rest {
    recipe: Recipe,
    config: Map<String, Value>,
    tokenizer: String,
    bos_token_id: Option<u32>,
    eos_token_id: Option<u32>,
    held_out_bytes: usize,
    step: usize,
    curve: Curve,
    /// What the caller wants to find again; the page keeps its reports of the first two stages here.
    notes: Value,
}

/// Kinds of values kept for each variable.
const WEIGHTS: &str = "weights";
const BEST: &str = "best";
const FIRST: &str = "first_moment";
const SECOND: &str = "second_moment";

impl Trainer {
    /// The run as it is now, with `notes` of the caller.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn checkpoint(&self, notes: Value) -> Result<Vec<u8>> {
        let rest = Rest {
            recipe: self.setup.recipe.clone(),
            config: self.setup.config.clone(),
            tokenizer: self.setup.tokenizer.clone(),
            bos_token_id: self.setup.bos_token_id,
            eos_token_id: self.setup.eos_token_id,
            held_out_bytes: self.held_out_bytes,
            step: self.step,
            curve: self.curve.clone(),
            notes,
        };
        let present = self.values()?;
        let mut tensors: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
        for (i, (name, var)) in self.variables.iter().enumerate() {
            let Moments { first, second } = &self.optimizer.moments[i];
            let mut add = |kind: &str, values| tensors.push((format!("{kind}/{name}"), var.dims().to_vec(), values));
            add(WEIGHTS, present[i].as_slice());
            add(FIRST, first.as_slice());
            if !second.is_empty() {
                add(SECOND, second.as_slice());
            }
            if let Some(best) = &self.best {
                add(BEST, best[i].as_slice());
            }
        }
        // Token ids and lengths are 32-bit words like the rest; as floats they would be no less exact.
        let words = |values: &[u32]| bytemuck::cast_slice::<u32, f32>(values).to_vec();
        let ends: Vec<u32> = self.batches.ends().iter().map(|&end| end as u32).collect();
        let held_out: Vec<u32> = self.held_out.concat();
        let lengths: Vec<u32> = self.held_out.iter().map(|document| document.len() as u32).collect();
        let corpus = [
            ("tokens", words(self.batches.tokens())),
            ("ends", words(&ends)),
            ("held_out", words(&held_out)),
            ("held_out_lengths", words(&lengths)),
        ];
        for (name, values) in &corpus {
            tensors.push((format!("corpus/{name}"), vec![values.len()], values));
        }
        let rest = serde_json::to_string(&rest).map_err(|error| damaged(&error.to_string()))?;
        let views = tensors.iter().map(|(name, shape, values)| (name.clone(), shape.as_slice(), *values));
        safetensors(&[(KEY, &rest)], views)
    }

    /// The run that [`Self::checkpoint`] saved, and the caller's notes.
    ///
    /// # Errors
    /// [`Error::BadFile`] for anything else.
    pub fn resume(bytes: &[u8]) -> Result<(Self, Value)> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let rest: Rest = parse(text.ok_or_else(|| damaged("no training in it"))?)?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let values = |name: &str| -> Result<Vec<f32>> {
            let view = file.tensor(name).map_err(|_| damaged(&format!("no {name}")))?;
            Ok(view.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect())
        };
        let words = |name: &str| -> Result<Vec<u32>> {
            Ok(values(&format!("corpus/{name}"))?.into_iter().map(f32::to_bits).collect())
        };
        let ends: Vec<usize> = words("ends")?.into_iter().map(|end| end as usize).collect();
        let tokens = words("tokens")?;
        let vocabulary = rest.config.get("vocab_size").and_then(Value::as_u64).unwrap_or_default();
        let mut held = words("held_out")?;
        let known = |ids: &[u32]| ids.iter().all(|&id| u64::from(id) < vocabulary);
        if ends.last() != Some(&tokens.len()) || !ends.is_sorted() || !known(&tokens) || !known(&held) {
            return Err(damaged("documents that do not fit their tokens"));
        }
        let mut held_out = Vec::new();
        for length in words("held_out_lengths")? {
            let length = length as usize;
            if length > held.len() {
                return Err(damaged("held-out documents longer than their tokens"));
            }
            let after = held.split_off(length);
            held_out.push(std::mem::replace(&mut held, after));
        }
        let data = Data { tokens, ends, held_out, held_out_bytes: rest.held_out_bytes };
        let setup = Setup {
            recipe: rest.recipe,
            config: rest.config,
            tokenizer: rest.tokenizer,
            bos_token_id: rest.bos_token_id,
            eos_token_id: rest.eos_token_id,
        };
        if rest.step > setup.recipe.training.max_steps {
            return Err(damaged(&format!("step {} of {}", rest.step, setup.recipe.training.max_steps)));
        }
        // The header may say anything: only a model whose weights and moments are all there is made.
        let (spec, _) = model::outline(&Fields::new(setup.config.clone()))?;
        if spec.parameters.saturating_mul(8) > bytes.len() as u64 {
            return Err(damaged(&format!("{} bytes for {} parameters", bytes.len(), spec.parameters)));
        }
        let (decoder, variables) = model::initial(&Fields::new(setup.config.clone()), setup.recipe.training.seed)?;
        let mut trainer = Self::of(setup, data, decoder, variables)?;
        let mut best = Vec::new();
        for ((name, var), moments) in trainer.variables.iter().zip(&mut trainer.optimizer.moments) {
            set(name, var, &values(&format!("{WEIGHTS}/{name}"))?)?;
            let fill = |kind: &str, into: &mut Vec<f32>| {
                let found = values(&format!("{kind}/{name}"))?;
                if found.len() != into.len() {
                    return Err(damaged(&format!("a {kind} of {name} of another size")));
                }
                *into = found;
                Ok(())
            };
            fill(FIRST, &mut moments.first)?;
            if !moments.second.is_empty() {
                fill(SECOND, &mut moments.second)?;
            }
            if file.tensor(&format!("{BEST}/{name}")).is_ok() {
                let mut kept = vec![0f32; var.elem_count()];
                fill(BEST, &mut kept)?;
                best.push(kept);
            }
        }
        trainer.best = (best.len() == trainer.variables.len()).then_some(best);
        trainer.step = rest.step;
        trainer.curve = rest.curve;
        Ok((trainer, rest.notes))
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))
}

fn unreadable(error: SafeTensorError) -> Error {
    damaged(&error.to_string())
}

fn damaged(found: &str) -> Error {
    let expected = "a checkpoint of a training run, as it was saved".into();
    Error::BadFile { file: "checkpoint".into(), expected, found: found.into() }
}
