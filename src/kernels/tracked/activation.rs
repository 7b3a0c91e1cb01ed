//! The activation functions that most decoders have, and the gated form of Llama's.

use super::{Output, gradient, lend, map, output, values};
use crate::error::Result;
use crate::kernels::exp::{exp, normal, sigmoid};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Tensor};

/// `x · σ(x)`.
///
/// # Errors
/// Those of candle.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1(Unary::Silu)?)
}

/// `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks and Gimpel 2016).
///
/// # Errors
/// Those of candle.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1(Unary::GeluTanh)?)
}

/// `x · Φ(x)` (Hendrycks and Gimpel 2016).
///
/// # Errors
/// Those of candle.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1(Unary::Gelu)?)
}

/// `gate · σ(gate) · up` (Shazeer 2020).
///
/// # Errors
/// Those of candle when the shapes differ.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.dims() != up.dims() {
        return Err(candle_core::Error::msg(format!("swiglu: {:?} and {:?}", gate.shape(), up.shape())).into());
    }
    Ok(gate.contiguous()?.apply_op2(&up.contiguous()?, SwiGlu)?)
}

#[derive(Clone, Copy)]
enum Unary {
    Silu,
    Gelu,
    GeluTanh,
}

/// `1 / √(2π)`.
const DENSITY: f32 = 0.398_942_3;

/// `2 √(2/π)`, and the factor of the cube: `1 + tanh(u)` is `2 σ(2 u)`.
const GELU: (f32, f32) = (1.595_769, 0.044_715);

impl CustomOp1 for Unary {
    fn name(&self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Output {
        let x = values(x, layout)?;
        let y = match self {
            Self::Silu => map([x], |[x]| x * sigmoid(x)),
            Self::Gelu => map([x], |[x]| x * normal(x)),
            Self::GeluTanh => map([x], |[x]| x * sigmoid(GELU.0 * (x + GELU.1 * x * x * x))),
        };
        output(y, layout.shape())
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let dx = lend([x, dy], |operands| match self {
            Self::Silu => map(operands, |[x, dy]| dy * silu_slope(x, sigmoid(x))),
            Self::Gelu => map(operands, |[x, dy]| dy * (normal(x) + x * DENSITY * exp(-0.5 * x * x))),
            Self::GeluTanh => map(operands, |[x, dy]| {
                let s = sigmoid(GELU.0 * (x + GELU.1 * x * x * x));
                dy * (s + x * s * (1.0 - s) * GELU.0 * (1.0 + 3.0 * GELU.1 * x * x))
            }),
        })?;
        Ok(Some(gradient(dx, x)?))
    }
}

/// The derivative of `x · σ(x)`, given `s = σ(x)`.
#[inline(always)]
fn silu_slope(x: f32, s: f32) -> f32 {
    s * (1.0 + x * (1.0 - s))
}

struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, gate: &CpuStorage, gate_layout: &Layout, up: &CpuStorage, up_layout: &Layout) -> Output {
        let operands = [values(gate, gate_layout)?, values(up, up_layout)?];
        output(map(operands, |[gate, up]| gate * sigmoid(gate) * up), gate_layout.shape())
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (d_gate, d_up) = lend([gate, up, dy], |[gate, up, dy]| {
            let d_gate = map([gate, up, dy], |[gate, up, dy]| dy * up * silu_slope(gate, sigmoid(gate)))?;
            Ok((d_gate, map([gate, dy], |[gate, dy]| dy * gate * sigmoid(gate))?))
        })?;
        Ok((Some(gradient(d_gate, gate)?), Some(gradient(d_up, up)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;

    #[test]
    fn activations_are_their_plain_twins() {
        let wide = |shape, seed| random(shape, seed).affine(10.0, 0.0).unwrap();
        for shape in [(1, 1), (5, 7), (40, 900)] {
            let operands = [wide(shape, 1), wide(shape, 2)];
            check(&operands[..1], |t| silu(&t[0]), |t| t[0].silu());
            check(&operands[..1], |t| gelu(&t[0]), |t| t[0].gelu_erf());
            check(&operands[..1], |t| gelu_tanh(&t[0]), |t| t[0].gelu());
            check(&operands, |t| swiglu(&t[0], &t[1]), |t| t[0].silu()?.mul(&t[1]));
        }
    }

    /// Far from zero the functions are the line or nothing, and their slopes one or nothing.
    #[test]
    fn limits_are_kept() {
        let x = candle_core::Var::new(&[[-1e4f32, -100.0, 100.0, 1e4]], &candle_core::Device::Cpu).unwrap();
        for f in [silu, gelu, gelu_tanh] {
            let y = f(&x).unwrap();
            assert!(
                y.to_vec2::<f32>().unwrap()[0].iter().zip([0.0, 0.0, 100.0, 1e4]).all(|(y, w)| (y - w).abs() < 1e-20)
            );
            let slopes = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec2::<f32>().unwrap();
            assert!(slopes[0].iter().zip([0.0, 0.0, 1.0, 1.0]).all(|(s, w)| (s - w).abs() < 1e-20), "{slopes:?}");
        }
    }
}
