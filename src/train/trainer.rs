//! The training run: a step, a measurement on the held-out text, a sample, again and again. Whoever drives it may stop
//! between any two calls.

use super::batches::Batches;
use super::data::Data;
use super::held_out::{self, Measured};
use super::optimizer::{self, Optimizer};
use super::plan;
use super::schedule::learning_rate;
use super::setup::Setup;
use crate::convert::Source;
use crate::engine::Engine;
use crate::error::{Error, Result, try_vec};
use crate::generate::{Event, Generation};
use crate::kernels::tracked::cross_entropy;
use crate::layers::with_values;
use crate::model::{self, Decoder, Dropout, Fields, Pass, Variables};
use crate::sample::GenerationConfig;
use crate::text::Tokenizer;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

/// One step, as it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Counted from 1.
    pub step: usize,
    /// Nats per token over the step's rows.
    pub loss: f64,
    /// Of all gradients together, before it is limited.
    pub grad_norm: f64,
    pub learning_rate: f64,
}

/// A measurement on the held-out text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    pub step: usize,
    pub nats_per_token: f64,
    /// Comparable between vocabularies.
    pub bits_per_byte: f64,
    /// Whether it is the best so far.
    pub best: bool,
}

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finished {
    MaxSteps,
    EarlyStopping,
}

/// What has been measured so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Curve {
    pub train: Vec<Step>,
    pub held_out: Vec<Evaluation>,
}

/// A model being trained.
pub struct Trainer {
    pub(super) setup: Setup,
    pub(super) batches: Batches,
    pub(super) held_out: Vec<Vec<u32>>,
    pub(super) held_out_bytes: usize,
    decoder: Box<dyn Decoder>,
    /// The same weights, read without gradients.
    reader: Engine,
    pub(super) variables: Variables,
    pub(super) optimizer: Optimizer,
    pub(super) step: usize,
    pub(super) curve: Curve,
    /// The weights of the best measurement, in the order of the variables.
    pub(super) best: Option<Vec<Vec<f32>>>,
}

impl Trainer {
    /// A model with its first values, ready for the first step.
    ///
    /// # Errors
    /// Any [`Error`] that names the field or option that cannot be.
    pub fn new(setup: Setup, data: Data) -> Result<Self> {
        let (decoder, variables) = model::initial(&Fields::new(setup.config.clone()), setup.recipe.training.seed)?;
        Self::of(setup, data, decoder, variables)
    }

    /// Trains on from the weights of `model`, which `setup` was made for.
    ///
    /// # Errors
    /// Any [`Error`] that says what is missing, damaged or not supported.
    pub fn from_model(setup: Setup, data: Data, model: Source) -> Result<Self> {
        let fields = Fields::new(setup.config.clone());
        let (decoder, variables) = model::load_trained(&fields, &mut model.into_weights())?;
        Self::of(setup, data, decoder, variables)
    }

    /// A run over a model that is there already.
    pub(super) fn of(setup: Setup, data: Data, decoder: Box<dyn Decoder>, variables: Variables) -> Result<Self> {
        let options = &setup.recipe.training;
        let fields = Fields::new(setup.config.clone());
        plan::check(decoder.spec(), options)?;
        data.check()?;
        let reading = model::reading(&fields, &variables)?;
        let tokenizer = setup.open_tokenizer()?;
        let mut defaults = GenerationConfig::default();
        defaults.eos_token_id.extend(setup.eos_token_id);
        Ok(Self {
            optimizer: Optimizer::new(options, &variables)?,
            reader: Engine::of(reading, tokenizer, defaults, setup.bos_token_id)?,
            batches: Batches::new(data.tokens, data.ends, options.sequence_length, options.seed),
            held_out: data.held_out,
            held_out_bytes: data.held_out_bytes,
            setup,
            decoder,
            variables,
            step: 0,
            curve: Curve::default(),
            best: None,
        })
    }

    /// What the run is made of.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The tokenizer of the model.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.reader.tokenizer()
    }

    /// The training documents, as far as their tokens tell.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn documents(&self) -> Result<Vec<String>> {
        let starts = std::iter::once(&0).chain(self.batches.ends());
        let spans = starts.zip(self.batches.ends());
        spans.map(|(&start, &end)| self.tokenizer().decode(&self.batches.tokens()[start..end], true)).collect()
    }

    /// Steps taken.
    pub fn steps_taken(&self) -> usize {
        self.step
    }

    /// What has been measured so far.
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// The weights as they are now.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Tokens that each step reads.
    pub fn tokens_per_step(&self) -> usize {
        let options = &self.setup.recipe.training;
        options.batch_size * options.gradient_accumulation_steps * options.sequence_length
    }

    /// Tokens in an epoch.
    pub fn tokens_per_epoch(&self) -> usize {
        self.batches.tokens().len()
    }

    /// How much of the held-out text a measurement reads.
    pub fn measured(&self) -> Measured {
        self.pieces().1
    }

    /// Whether a measurement is due.
    pub fn evaluation_due(&self) -> bool {
        let options = &self.setup.recipe.training;
        let measured = self.curve.held_out.last().is_some_and(|last| last.step == self.step);
        !measured && (self.step.is_multiple_of(options.eval_steps) || self.step >= options.max_steps)
    }

    /// Whether the run is over, and why. It may be taken further by hand.
    pub fn finished(&self) -> Option<Finished> {
        let options = &self.setup.recipe.training;
        if self.step >= options.max_steps {
            return Some(Finished::MaxSteps);
        }
        let since_best = self.curve.held_out.iter().rev().take_while(|evaluation| !evaluation.best).count();
        let patience = options.early_stopping_patience;
        (patience > 0 && since_best >= patience).then_some(Finished::EarlyStopping)
    }

    /// Takes one step.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss or the gradient is not a number; nothing has changed then.
    pub fn step(&mut self) -> Result<Step> {
        let step = self.step + 1;
        let (gradients, loss) = self.gradients(self.step)?;
        let grad_norm = optimizer::norm(&gradients)?;
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(Error::Diverged { step, found: format!("loss {loss}, gradient norm {grad_norm}") });
        }
        let options = &self.setup.recipe.training;
        let limit = options.max_grad_norm;
        let scale = if limit > 0.0 && grad_norm > limit { limit / (grad_norm + 1e-6) } else { 1.0 };
        self.optimizer.step(options, step, &self.variables, &gradients, scale as f32)?;
        self.step = step;
        let taken = Step { step, loss, grad_norm, learning_rate: learning_rate(options, step) };
        self.curve.train.push(taken.clone());
        Ok(taken)
    }

    /// The gradients of the rows that come after `step` steps, one for each variable, and the mean loss.
    ///
    /// # Errors
    /// Those of the forward pass.
    pub fn gradients(&mut self, step: usize) -> Result<(Vec<Tensor>, f64)> {
        let options = self.setup.recipe.training.clone();
        let parts = options.gradient_accumulation_steps;
        let mut sums: Vec<Option<Tensor>> = vec![None; self.variables.len()];
        let mut total = 0f64;
        for part in 0..parts {
            let pass = (step * parts + part) as u64;
            let first = pass * options.batch_size as u64;
            let rows: Vec<Vec<u32>> = (0..options.batch_size as u64).map(|i| self.batches.row(first + i)).collect();
            let inputs = rows.iter().map(|row| &row[..row.len() - 1]);
            let targets: Vec<u32> = rows.iter().flat_map(|row| row[1..].iter().copied()).collect();
            let mut pass = Pass::whole(inputs, Some(Dropout { seed: options.seed, pass }));
            let hidden = self.decoder.forward(&mut pass)?;
            let loss = cross_entropy(&self.decoder.logits(&hidden)?, &targets)?;
            total += f64::from(loss.to_scalar::<f32>()?) / parts as f64;
            let mut store = loss.backward()?;
            for ((name, var), sum) in self.variables.iter().zip(&mut sums) {
                let found = store.remove(var.as_tensor());
                let gradient = found.ok_or_else(|| candle_core::Error::Msg(format!("{name} has no gradient")))?;
                *sum = Some(match sum.take() {
                    Some(sum) => (&sum + &gradient)?,
                    None => gradient,
                });
            }
        }
        let share = 1.0 / parts as f64;
        let mean = |sum: Tensor| if parts == 1 { Ok(sum) } else { sum.affine(share, 0.0) };
        let gradients = sums.into_iter().flatten().map(mean).collect::<candle_core::Result<_>>()?;
        Ok((gradients, total))
    }

    /// Measures the model on the held-out text, each document from a fresh context, and keeps the weights when they are
    /// the best so far. A long text is read in a sample, whose bytes are taken to be its share of all.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss is not a number, and those of the forward pass.
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        let (nats, tokens, bytes) = self.held_out_loss()?;
        let nats_per_token = nats / tokens as f64;
        if !nats_per_token.is_finite() {
            return Err(Error::Diverged { step: self.step, found: format!("held-out loss {nats_per_token}") });
        }
        let best = self.curve.held_out.iter().all(|before| nats_per_token < before.nats_per_token);
        let bits_per_byte = nats / bytes / std::f64::consts::LN_2;
        let evaluation = Evaluation { step: self.step, nats_per_token, bits_per_byte, best };
        if best {
            self.best = Some(self.values()?);
        }
        self.curve.held_out.push(evaluation.clone());
        Ok(evaluation)
    }

    /// What a measurement reads.
    fn pieces(&self) -> (Vec<&[u32]>, Measured) {
        held_out::pieces(&self.held_out, self.setup.recipe.training.sequence_length, held_out::MOST)
    }

    /// Nats, and the tokens and bytes they are of.
    fn held_out_loss(&self) -> Result<(f64, usize, f64)> {
        let (pieces, Measured { tokens, of }) = self.pieces();
        let mut nats = 0f64;
        for batch in pieces.chunks(self.setup.recipe.training.batch_size) {
            let targets: Vec<u32> = batch.iter().flat_map(|piece| piece[1..].iter().copied()).collect();
            let mut pass = Pass::whole(batch.iter().map(|piece| &piece[..piece.len() - 1]), None);
            let hidden = self.reader.decoder.forward(&mut pass)?;
            let loss = cross_entropy(&self.reader.decoder.logits(&hidden)?, &targets)?;
            nats += f64::from(loss.to_scalar::<f32>()?) * targets.len() as f64;
        }
        let bytes = self.held_out_bytes as f64 * tokens as f64 / of as f64;
        Ok((nats, tokens, bytes))
    }

    /// A continuation of `prompt` by the model as it is now, drawn at temperature 0.8 from the 40 likeliest tokens.
    ///
    /// # Errors
    /// Those of a generation; a prompt the vocabulary has no token for is begun from nothing.
    pub fn sample(&mut self, prompt: &str, max_new_tokens: usize, seed: u64) -> Result<String> {
        // What was read was read by other weights.
        self.reader.forget(0);
        let mut ids: Vec<u32> = self.setup.bos_token_id.into_iter().collect();
        ids.extend(self.reader.tokenizer().encode_plain(prompt)?);
        if ids.is_empty() {
            ids.push(0);
        }
        let mut config = self.reader.defaults().clone();
        let values = json!({
            "do_sample": true, "temperature": 0.8, "top_k": 40, "seed": seed, "max_new_tokens": max_new_tokens,
        });
        config.merge(values.as_object().unwrap_or(&Map::new()))?;
        let mut generation = Generation::start(&mut self.reader, ids, config)?;
        loop {
            if let Event::Done { sequences, .. } = generation.advance(&mut self.reader, usize::MAX)? {
                return Ok(sequences.into_iter().next().map(|sequence| sequence.text).unwrap_or_default());
            }
        }
    }

    /// The values of all variables, in their order.
    pub(super) fn values(&self) -> Result<Vec<Vec<f32>>> {
        let copy = |values: &[f32]| {
            let mut copied = try_vec(0f32, values.len(), "a copy of the weights")?;
            copied.copy_from_slice(values);
            Ok(copied)
        };
        self.variables.iter().map(|(_, var)| with_values(var.as_tensor(), copy)).collect()
    }
}
