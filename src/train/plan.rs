//! What a training run will take, before it begins.

use super::recipe::{Optim, TrainingOptions};
use crate::error::{Error, Result};
use crate::model::{self, Fields, Spec};
use serde::Serialize;
use serde_json::{Map, Value};

/// No run needs more tokens in a step, nor more steps.
const MOST_TOKENS: usize = 1 << 28;

/// A tensor of the model to be.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedTensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub parameters: u64,
}

/// The size of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub parameters: u64,
    pub tensors: Vec<PlannedTensor>,
    /// Memory at the peak of a step: weights, gradients, optimizer, best weights so far, activations.
    pub memory_bytes: u64,
    /// Tokens in an epoch.
    pub tokens: u64,
    pub tokens_per_step: u64,
    pub steps: u64,
    pub epochs: f64,
}

impl Plan {
    /// The plan for a complete config.json and a corpus of this many tokens.
    ///
    /// # Errors
    /// Those of the configuration; [`Error::BadParameter`] naming a training option that cannot be.
    pub fn new(config: &Map<String, Value>, options: &TrainingOptions, tokens: usize) -> Result<Self> {
        let fields = Fields::new(config.clone());
        let (spec, shapes) = model::outline(&fields)?;
        check(&spec, options)?;
        let tensors: Vec<PlannedTensor> = shapes
            .into_iter()
            .map(|(name, shape)| {
                let parameters = shape.iter().fold(1u64, |all, &n| all.saturating_mul(n as u64));
                PlannedTensor { name, shape, parameters }
            })
            .collect();
        let pass_tokens = options.batch_size.saturating_mul(options.sequence_length) as u64;
        let tokens_per_step = pass_tokens.saturating_mul(options.gradient_accumulation_steps as u64);
        let tokens = tokens as u64;
        Ok(Self {
            memory_bytes: memory(&spec, &tensors, options, pass_tokens, tokens),
            parameters: spec.parameters,
            tensors,
            tokens,
            tokens_per_step,
            steps: options.max_steps as u64,
            epochs: (options.max_steps as u64).saturating_mul(tokens_per_step) as f64 / tokens.max(1) as f64,
        })
    }

    /// Refuses a run that needs more memory than there is.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] with the numbers.
    pub fn check_memory(&self, available: u64) -> Result<()> {
        if self.memory_bytes <= available {
            return Ok(());
        }
        let what = format!(
            "training {} parameters with {} tokens a step ({available} bytes are available; take fewer layers, a \
             smaller width, or a smaller batch)",
            self.parameters, self.tokens_per_step
        );
        Err(Error::OutOfMemory { what, needed: self.memory_bytes })
    }
}

/// Floats that one token leaves behind in a forward pass for the backward pass.
fn activations(spec: &Spec, tensors: &[PlannedTensor]) -> u64 {
    // Each matrix leaves its output and, beside it, about as much in norms, rotations, activations and sums.
    let output = |t: &PlannedTensor| match t.shape[..] {
        [rows, cols] if rows == spec.vocab_size => cols as u64,
        [rows, cols] => rows.max(cols) as u64,
        _ => 0,
    };
    let outputs = tensors.iter().map(output).fold(0u64, u64::saturating_add);
    // The logits, their softmax and their gradient.
    outputs.saturating_mul(2).saturating_add(3 * spec.vocab_size as u64)
}

fn memory(spec: &Spec, tensors: &[PlannedTensor], options: &TrainingOptions, pass_tokens: u64, tokens: u64) -> u64 {
    // Weights, the best ones so far, and the moments; a checkpoint holds them once more beside a copy of the weights.
    let kept = if options.optim == Optim::Muon { 3 } else { 4 };
    let saving = spec.parameters.saturating_mul(2 * kept + 1);
    // Gradients, twice while they are summed.
    let passing = activations(spec, tensors).saturating_mul(pass_tokens).saturating_mul(3) / 2;
    let stepping = spec.parameters.saturating_mul(kept + 2).saturating_add(passing);
    // Token ids, in the order of the text and in that of the epoch, and a copy of them in a checkpoint.
    saving.max(stepping).saturating_add(tokens.saturating_mul(4)).saturating_mul(4)
}

/// Refuses training options that cannot be.
pub(super) fn check(spec: &Spec, options: &TrainingOptions) -> Result<()> {
    let bad =
        |name: &str, expected: String, found: String| Err(Error::BadParameter { name: name.into(), expected, found });
    for (name, value) in [
        ("max_steps", options.max_steps),
        ("batch_size", options.batch_size),
        ("gradient_accumulation_steps", options.gradient_accumulation_steps),
        ("eval_steps", options.eval_steps),
        ("sequence_length", options.sequence_length),
    ] {
        if value == 0 {
            return bad(name, "at least 1".into(), "0".into());
        }
    }
    let tokens = [options.batch_size, options.gradient_accumulation_steps, options.sequence_length];
    if tokens.iter().fold(1usize, |all, &n| all.saturating_mul(n)) > MOST_TOKENS || options.max_steps > MOST_TOKENS {
        return bad(
            "batch_size",
            format!("at most {MOST_TOKENS} tokens a step, and as many steps"),
            format!("{tokens:?}"),
        );
    }
    if options.sequence_length > spec.context_length {
        let expected = format!("at most the model's context of {}", spec.context_length);
        return bad("sequence_length", expected, options.sequence_length.to_string());
    }
    let within = |name: &str, value: f64, low: f64, high: f64| {
        let fits = (low..=high).contains(&value);
        if fits { Ok(()) } else { bad(name, format!("a number from {low} to {high}"), value.to_string()) }
    };
    within("learning_rate", options.learning_rate, 0.0, 10.0)?;
    within("min_learning_rate", options.min_learning_rate, 0.0, options.learning_rate)?;
    within("weight_decay", options.weight_decay, 0.0, 10.0)?;
    within("adam_beta1", options.adam_beta1, 0.0, 0.9999999)?;
    within("adam_beta2", options.adam_beta2, 0.0, 0.9999999)?;
    within("adam_epsilon", options.adam_epsilon, 1e-30, 1.0)?;
    within("muon_momentum", options.muon_momentum, 0.0, 0.9999999)?;
    within("max_grad_norm", options.max_grad_norm, 0.0, f64::MAX)?;
    Ok(())
}
