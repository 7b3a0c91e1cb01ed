//! LayerNorm and RMSNorm over the last dimension.

use crate::error::Result;
use crate::kernels::tracked;
use candle_core::Tensor;
use candle_nn::ops;

/// A normalisation with its learned vectors, each of the width of the activations.
pub enum Norm {
    /// `(x − mean) / sqrt(variance + eps) · weight + bias` (Ba et al. 2016).
    Layer { weight: Tensor, bias: Tensor, eps: f32 },
    /// `x / sqrt(mean(x²) + eps) · weight` (Zhang and Sennrich 2019).
    Rms { weight: Tensor, eps: f32 },
}

impl Norm {
    /// `[n, width]` to the same shape. candle's fused operations have no gradient.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (Self::Layer { weight, .. } | Self::Rms { weight, .. }) = self;
        let tracked = x.track_op() || weight.track_op();
        Ok(match self {
            Self::Layer { weight, bias, eps } if tracked => tracked::layer_norm(x, weight, bias, *eps)?,
            Self::Layer { weight, bias, eps } => ops::layer_norm(x, weight, bias, *eps)?,
            Self::Rms { weight, eps } if tracked => tracked::rms_norm(x, weight, *eps)?,
            Self::Rms { weight, eps } => ops::rms_norm(x, weight, *eps)?,
        })
    }
}
