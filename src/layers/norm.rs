//! LayerNorm and RMSNorm over the last dimension.

use super::with_values;
use crate::error::Result;
use crate::kernels::tracked;
use candle_core::Tensor;

/// A normalisation with its learned vectors, each of the width of the activations.
pub enum Norm {
    /// `(x − mean) / sqrt(variance + eps) · weight + bias` (Ba et al. 2016).
    Layer { weight: Tensor, bias: Tensor, eps: f32 },
    /// `x / sqrt(mean(x²) + eps) · (weight + shift)` (Zhang and Sennrich 2019); Gemma's weights are shifted by one while
    /// they are trained.
    Rms { weight: Tensor, shift: f32, eps: f32 },
    /// `x` as it is: what follows the last block of a model whose blocks end with a norm.
    None,
}

impl Norm {
    /// `[n, width]` to the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Layer { weight, bias, eps } => tracked::layer_norm(x, weight, bias, *eps),
            Self::Rms { weight, shift: 0.0, eps } => tracked::rms_norm(x, weight, *eps),
            Self::Rms { weight, shift, eps } => tracked::rms_norm(x, &(weight + f64::from(*shift))?, *eps),
            Self::None => Ok(x.clone()),
        }
    }

    /// [`Self::forward`] of every head of `[n, heads · dim]`, whose width is the norm's.
    pub fn by_head(&self, x: &Tensor, dim: usize) -> Result<Tensor> {
        Ok(self.forward(&x.reshape(((), dim))?)?.reshape(x.shape())?)
    }

    /// What `part` of a row becomes when the whole row `x` is normed, and what the norm adds of itself: with the scale of
    /// the whole held fixed a norm is linear, so that for parts which add up to `x` the results and one `bias` add up to
    /// the norm of `x`. Both of the width of `x`.
    pub fn of_part(&self, x: &[f32], part: &[f32]) -> Result<Vec<f32>> {
        let n = x.len().max(1) as f32;
        let mean_of = |x: &[f32]| x.iter().sum::<f32>() / n;
        let (weight, shift, eps, centred) = match self {
            Self::Layer { weight, eps, .. } => (weight, 0.0, eps, true),
            Self::Rms { weight, shift, eps } => (weight, *shift, eps, false),
            Self::None => return Ok(part.to_vec()),
        };
        let (whole_mean, part_mean) = if centred { (mean_of(x), mean_of(part)) } else { (0.0, 0.0) };
        let variance = x.iter().map(|x| (x - whole_mean) * (x - whole_mean)).sum::<f32>() / n;
        let factor = 1.0 / (variance + eps).sqrt();
        with_values(weight, |weight| {
            Ok(part.iter().zip(weight).map(|(x, weight)| (x - part_mean) * factor * (weight + shift)).collect())
        })
    }

    /// What it adds whatever it is given; nothing for RMSNorm.
    pub fn bias(&self) -> Result<Option<Vec<f32>>> {
        match self {
            Self::Layer { bias, .. } => with_values(bias, |bias| Ok(Some(bias.to_vec()))),
            Self::Rms { .. } | Self::None => Ok(None),
        }
    }
}
