//! LayerNorm and RMSNorm over the last dimension.

use crate::error::Result;
use crate::kernels::tracked;
use candle_core::Tensor;

/// A normalisation with its learned vectors, each of the width of the activations.
pub enum Norm {
    /// `(x − mean) / sqrt(variance + eps) · weight + bias` (Ba et al. 2016).
    Layer { weight: Tensor, bias: Tensor, eps: f32 },
    /// `x / sqrt(mean(x²) + eps) · weight` (Zhang and Sennrich 2019).
    Rms { weight: Tensor, eps: f32 },
}

impl Norm {
    /// `[n, width]` to the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Layer { weight, bias, eps } => tracked::layer_norm(x, weight, bias, *eps),
            Self::Rms { weight, eps } => tracked::rms_norm(x, weight, *eps),
        }
    }
}
