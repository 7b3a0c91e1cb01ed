//! The activation functions that transformers names in `ACT2FN`.

use super::with_values;
use crate::error::{Error, Result};
use crate::kernels::tracked::{self, Unary};
use candle_core::Tensor;
use candle_nn::ops::sigmoid;

/// An element-wise function between the two matrices of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · Φ(x)`, exact.
    Gelu,
    /// [`Self::Gelu`] clipped to ±10.
    Gelu10,
    /// The tanh approximation of Hendrycks and Gimpel 2016, which GPT-2 uses.
    GeluTanh,
    /// `x · σ(1.702 x)`.
    QuickGelu,
    /// `x · σ(x)`.
    Silu,
    Relu,
    /// `relu(x)²` (So et al. 2021).
    Relu2,
    /// `min(relu(x), 6)`.
    Relu6,
    /// Slope 0.01 below zero.
    LeakyRelu,
    Sigmoid,
    Tanh,
    /// `x · tanh(softplus(x))` (Misra 2019).
    Mish,
    /// `x · relu6(x + 3) / 6`.
    HardSwish,
    /// The cumulative distribution of a normal with mean 0.707107 and deviation 0.282095 (Ma et al. 2022).
    Laplace,
    /// `sqrt(softplus(x))`.
    SqrtSoftplus,
    Linear,
}

/// As transformers has it: six digits of √½.
#[allow(clippy::approx_constant, reason = "the exact value gives other results")]
const LAPLACE_MEAN: f64 = 0.707107;

/// Every name transformers gives them.
const NAMES: &[(&str, Activation)] = &[
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_10", Activation::Gelu10),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("quick_gelu", Activation::QuickGelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("relu", Activation::Relu),
    ("relu2", Activation::Relu2),
    ("relu6", Activation::Relu6),
    ("leaky_relu", Activation::LeakyRelu),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
    ("mish", Activation::Mish),
    ("hardswish", Activation::HardSwish),
    ("laplace", Activation::Laplace),
    ("sqrtsoftplus", Activation::SqrtSoftplus),
    ("linear", Activation::Linear),
];

impl Activation {
    /// The first of the names transformers gives it.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, activation)| *activation == self).map_or("", |(name, _)| name)
    }

    /// The function of that name in the configuration field `field`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a name that is not in the list.
    pub fn parse(field: &str, name: &str) -> Result<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(known, _)| *known).collect();
            Error::Unsupported {
                what: format!("config field {field}"),
                expected: format!("one of {}", known.join(", ")),
                found: name.to_string(),
            }
        })
    }

    /// Applies the function to every element, in its place where that can be: nobody else may have `x`.
    pub fn forward(self, x: Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Gelu => Unary::Gelu.forward(x)?,
            Self::Gelu10 => Unary::Gelu.forward(x)?.clamp(-10f32, 10f32)?,
            Self::GeluTanh => Unary::GeluTanh.forward(x)?,
            Self::QuickGelu => (&x * sigmoid(&(&x * 1.702)?)?)?,
            Self::Silu => Unary::Silu.forward(x)?,
            Self::Relu => Unary::Relu.forward(x)?,
            Self::Relu2 => Unary::Relu.forward(x)?.sqr()?,
            Self::Relu6 => x.clamp(0f32, 6f32)?,
            Self::LeakyRelu => candle_nn::ops::leaky_relu(&x, 0.01)?,
            Self::Sigmoid => sigmoid(&x)?,
            Self::Tanh => x.tanh()?,
            Self::Mish => candle_nn::ops::mish(&x)?,
            Self::HardSwish => (&x * (&x + 3.0)?.clamp(0f32, 6f32)?)?.affine(1.0 / 6.0, 0.0)?,
            Self::Laplace => ((x - LAPLACE_MEAN)? / (0.282095 * std::f64::consts::SQRT_2))?.erf()?.affine(0.5, 0.5)?,
            // candle has no log1p, so this one has no gradient.
            Self::SqrtSoftplus => {
                let softplus = |x: &f32| x.max(0.0) + libm::log1pf(libm::expf(-x.abs()));
                let values = with_values(&x, |x| Ok(x.iter().map(|x| softplus(x).sqrt()).collect::<Vec<f32>>()))?;
                Tensor::from_vec(values, x.shape(), x.device())?
            }
            Self::Linear => x,
        })
    }

    /// `self(gate) · up`, element by element; nobody else may have `gate`.
    pub fn gated(self, gate: Tensor, up: &Tensor) -> Result<Tensor> {
        if self == Self::Silu {
            return tracked::swiglu(&gate, up);
        }
        Ok((self.forward(gate)? * up)?)
    }
}
