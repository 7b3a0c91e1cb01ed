//! The weights of a model that is being trained: candle variables by their Hugging Face names, and their first values.

use crate::error::{Result, try_vec};
use crate::train::Random;
use candle_core::{Tensor, Var};

/// Variables in the order the model asked for them, each in the layout of Hugging Face's files.
#[derive(Default)]
pub struct Variables {
    list: Vec<(String, Var)>,
}

impl Variables {
    /// Adds a variable with these values and returns it as a tensor that gradients reach.
    pub(super) fn add(&mut self, name: String, values: &Tensor) -> Result<Tensor> {
        let var = Var::from_tensor(values)?;
        let tensor = var.as_tensor().clone();
        self.list.push((name, var));
        Ok(tensor)
    }

    /// The variable of that name.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.list.iter().find(|(known, _)| known == name).map(|(_, var)| var)
    }

    /// All variables with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.list.iter().map(|(name, var)| (name.as_str(), var))
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The first values of a model, as in the GPT-2 paper: matrices normal with deviation `initializer_range`, those that
/// write to the residual stream scaled by `1 / sqrt(2 · layers)`; norms one, biases zero.
pub struct Initial {
    pub seed: u64,
    pub layers: usize,
    /// `initializer_range` of the configuration.
    pub range: f32,
}

/// The projections whose outputs are added to the residual stream.
const RESIDUAL: [&str; 3] = ["o_proj.weight", "down_proj.weight", "c_proj.weight"];

impl Initial {
    /// The values of the tensor `name` (as in Hugging Face's files).
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let len = shape.iter().product();
        if shape.len() == 1 {
            return try_vec(if name.ends_with("bias") { 0.0 } else { 1.0 }, len, name);
        }
        let residual = RESIDUAL.iter().any(|ending| name.ends_with(ending));
        let scale = if residual { 1.0 / (2.0 * self.layers as f64).sqrt() } else { 1.0 };
        let deviation = (f64::from(self.range) * scale) as f32;
        let random = Random::new(self.seed, &format!("init {name}"));
        let mut values = try_vec(0f32, len, name)?;
        for (i, value) in values.iter_mut().enumerate() {
            *value = random.normal(i as u64) as f32 * deviation;
        }
        Ok(values)
    }
}
