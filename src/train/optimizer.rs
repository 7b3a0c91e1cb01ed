//! The update of the weights: AdamW, and Muon for the matrices of the layers.

use super::recipe::{Optim, TrainingOptions};
use super::schedule::learning_rate;
use crate::error::{Error, Result, try_vec};
use crate::kernels::gemm::{Cores, View, multiply};
use crate::kernels::parallel::{self, PART};
use crate::layers::with_values;
use crate::model::Variables;
use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor, Var};
use std::sync::Mutex;

/// The state of the optimizer for one variable.
#[derive(Default)]
pub struct Moments {
    /// The running mean of the gradient: Adam's first moment, or Muon's momentum.
    pub first: Vec<f32>,
    /// The running mean of its square; empty where Muon does without.
    pub second: Vec<f32>,
}

/// AdamW or Muon over a model's variables.
pub struct Optimizer {
    /// One for each variable, in their order.
    pub moments: Vec<Moments>,
}

/// Whether Muon updates this variable: a matrix inside a layer. Embeddings and the head are AdamW's.
fn is_muons(options: &TrainingOptions, name: &str, shape: &[usize]) -> bool {
    options.optim == Optim::Muon && shape.len() == 2 && (name.contains(".layers.") || name.contains(".h."))
}

impl Optimizer {
    /// An optimizer that has taken no step.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(options: &TrainingOptions, variables: &Variables) -> Result<Self> {
        let mut moments = Vec::with_capacity(variables.len());
        for (name, var) in variables.iter() {
            let second = if is_muons(options, name, var.dims()) { 0 } else { var.elem_count() };
            moments.push(Moments {
                first: try_vec(0f32, var.elem_count(), "the optimizer")?,
                second: try_vec(0f32, second, "the optimizer")?,
            });
        }
        Ok(Self { moments })
    }

    /// Takes `step`, counted from 1, along `gradients` (one for each variable, in their order), scaled by `scale`.
    pub fn step(
        &mut self,
        options: &TrainingOptions,
        step: usize,
        variables: &Variables,
        gradients: &[Tensor],
        scale: f32,
    ) -> Result<()> {
        let rate = learning_rate(options, step);
        for (((name, var), gradient), moments) in variables.iter().zip(gradients).zip(&mut self.moments) {
            let decay = if var.dims().len() == 2 { 1.0 - rate * options.weight_decay } else { 1.0 } as f32;
            if is_muons(options, name, var.dims()) {
                muon(options, rate, decay, var, gradient, scale, moments)?;
            } else {
                adamw(options, step, rate, decay, var, gradient, scale, moments)?;
            }
        }
        Ok(())
    }
}

/// Decoupled weight decay and Adam's step (Loshchilov and Hutter 2019), as `torch.optim.AdamW` computes it.
#[allow(clippy::too_many_arguments, reason = "one update needs all of them, and there is one caller")]
fn adamw(
    options: &TrainingOptions,
    step: usize,
    rate: f64,
    decay: f32,
    var: &Var,
    gradient: &Tensor,
    scale: f32,
    moments: &mut Moments,
) -> Result<()> {
    let (b1, b2) = (options.adam_beta1, options.adam_beta2);
    let corrected = |b: f64| 1.0 - libm::pow(b, step as f64);
    let (rate, unbias) = ((rate / corrected(b1)) as f32, (1.0 / corrected(b2)) as f32);
    let (b1, b2, epsilon) = (b1 as f32, b2 as f32, options.adam_epsilon as f32);
    let Moments { first, second } = moments;
    let parts = first.chunks_mut(PART).zip(second.chunks_mut(PART));
    with_values(gradient, |gradient| {
        update(var, |weights| {
            let parts = weights.chunks_mut(PART).zip(gradient.chunks(PART)).zip(parts);
            parallel::for_each(parts, |((weights, gradient), (first, second))| {
                for (((w, g), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
                    let g = g * scale;
                    *m += (g - *m) * (1.0 - b1);
                    *v = *v * b2 + g * g * (1.0 - b2);
                    *w = *w * decay - rate * (*m / ((*v * unbias).sqrt() + epsilon));
                }
            });
        })
    })
}

/// Muon (Jordan et al. 2024): the momentum's nearest orthogonal matrix, at the length of an AdamW step (Liu et al. 2025).
fn muon(
    options: &TrainingOptions,
    rate: f64,
    decay: f32,
    var: &Var,
    gradient: &Tensor,
    scale: f32,
    moments: &mut Moments,
) -> Result<()> {
    let (rows, cols) = var.dims2()?;
    let momentum = options.muon_momentum as f32;
    let direction = with_values(gradient, |gradient| {
        let mut direction = try_vec(0f32, gradient.len(), "the optimizer")?;
        for ((d, g), m) in direction.iter_mut().zip(gradient).zip(&mut moments.first) {
            let g = g * scale;
            *m = *m * momentum + g;
            *d = g + momentum * *m;
        }
        Ok(direction)
    })?;
    let direction = orthogonalize(direction, rows, cols)?;
    let length = (rate * 0.2 * (rows.max(cols) as f64).sqrt()) as f32;
    update(var, |weights| {
        for (w, d) in weights.iter_mut().zip(&direction) {
            *w = *w * decay - length * d;
        }
    })
}

/// The orthogonal matrix nearest to `x` (`[rows, cols]`), roughly, by five Newton-Schulz steps with Muon's coefficients.
fn orthogonalize(mut x: Vec<f32>, rows: usize, cols: usize) -> Result<Vec<f32>> {
    const A: f32 = 3.4445;
    const B: f32 = -4.7750;
    const C: f32 = 2.0315;
    let norm = squares(&x).sqrt() as f32 + 1e-7;
    x.iter_mut().for_each(|v| *v /= norm);
    // A wide matrix is multiplied from the left and a tall one from the right, where the Gram matrix is the smaller one.
    let tall = rows > cols;
    let n = rows.min(cols);
    let buffer = |len| try_vec(0f32, len, "the optimizer");
    let (mut gram, mut mixed, mut pushed) = (buffer(n * n)?, buffer(n * n)?, buffer(x.len())?);
    for _ in 0..5 {
        let (by, square) = (View::new(&x, rows, cols), |values| View::new(values, n, n));
        let (a, b) = if tall { (by.t(), by) } else { (by, by.t()) };
        multiply(a, b, &mut gram, false, Cores::All);
        multiply(square(&gram), square(&gram), &mut mixed, false, Cores::All);
        for (mixed, gram) in mixed.iter_mut().zip(&gram) {
            *mixed = B * gram + C * *mixed;
        }
        let (a, b) = if tall { (by, square(&mixed)) } else { (square(&mixed), by) };
        multiply(a, b, &mut pushed, false, Cores::All);
        for (x, pushed) in x.iter_mut().zip(&pushed) {
            *x = A * *x + pushed;
        }
    }
    Ok(x)
}

/// Gradient norm over all variables, in f64.
pub fn norm(gradients: &[Tensor]) -> Result<f64> {
    let mut total = 0f64;
    for gradient in gradients {
        total += with_values(gradient, |values| Ok(squares(values)))?;
    }
    Ok(total.sqrt())
}

/// The sum of the squares, in f64: several sums side by side, none of which waits for another.
fn squares(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0f64; 8];
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*v) * f64::from(*v);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>()
}

/// Changes a variable's values in place.
fn update(var: &Var, change: impl FnOnce(&mut [f32]) + Send) -> Result<()> {
    Ok(var.inplace_op1(&Change(Mutex::new(Some(change))))?)
}

/// candle lends a tensor's values for changing to an operation only.
struct Change<F>(Mutex<Option<F>>);

impl<F: FnOnce(&mut [f32]) + Send> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let refused =
            |found: &str| candle_core::Error::Msg(format!("expected a contiguous f32 variable, found {found}"));
        let (start, end) = layout.contiguous_offsets().ok_or_else(|| refused("a strided one"))?;
        let CpuStorage::F32(values) = storage else { return Err(refused("another type")) };
        let change = self.0.lock().ok().and_then(|mut change| change.take());
        change.ok_or_else(|| refused("one that has changed"))?(&mut values[start..end]);
        Ok(())
    }
}

/// Sets a variable's values.
///
/// # Errors
/// [`Error::BadTensor`] when there are not as many.
pub fn set(name: &str, var: &Var, values: &[f32]) -> Result<()> {
    if values.len() != var.elem_count() {
        return Err(Error::BadTensor {
            name: name.into(),
            expected: format!("{} values", var.elem_count()),
            found: values.len().to_string(),
        });
    }
    update(var, |weights| weights.copy_from_slice(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newton_schulz_brings_singular_values_near_one() {
        for (rows, cols) in [(6, 10), (10, 6), (8, 8)] {
            let g: Vec<f32> = (0..rows * cols).map(|i| ((i * 37 % 101) as f32 * 0.7).sin()).collect();
            let x = orthogonalize(g, rows, cols).unwrap();
            // The trace of the Gram matrix is the sum of the squared singular values, and each lies in 0.7² to 1.2².
            let trace: f32 = x.iter().map(|v| v * v).sum();
            let rank = rows.min(cols) as f32;
            assert!((0.45 * rank..1.5 * rank).contains(&trace), "{rows}x{cols}: {trace}");
        }
    }
}
