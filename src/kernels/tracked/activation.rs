//! The activation functions that most decoders have, and the gated form of Llama's.

use super::{Output, gradient, lend, map, map_in_place, output, to_candle, values, values_mut, zeros};
use crate::error::Result;
use crate::kernels::exp::{exp, normal, sigmoid};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, InplaceOp1, Layout, Tensor};

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

/// A function of each value.
#[derive(Clone, Copy)]
pub enum Unary {
    /// `x · σ(x)`.
    Silu,
    /// `x · Φ(x)` (Hendrycks and Gimpel 2016).
    Gelu,
    /// `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks and Gimpel 2016).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

impl Unary {
    /// The function of all of `x`; in its place, if no gradient is to pass. So nobody else may have `x`.
    ///
    /// # Errors
    /// Those of candle.
    pub fn forward(self, x: Tensor) -> Result<Tensor> {
        if x.track_op() || !x.is_contiguous() {
            return Ok(x.contiguous()?.apply_op1(self)?);
        }
        x.inplace_op1(&self)?;
        Ok(x)
    }

    /// Each by itself: a loop with a choice in it is slow.
    fn apply(self, x: &mut [f32]) {
        match self {
            Self::Silu => map_in_place(x, |x| x * sigmoid(x)),
            Self::Gelu => map_in_place(x, |x| x * normal(x)),
            Self::GeluTanh => map_in_place(x, |x| x * sigmoid(GELU.0 * (x + GELU.1 * x * x * x))),
            Self::Relu => map_in_place(x, |x| x.max(0.0)),
        }
    }
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
            Self::Relu => "relu",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Output {
        let x = values(x, layout)?;
        let mut y = zeros(x.len()).map_err(to_candle)?;
        y.copy_from_slice(x);
        self.apply(&mut y);
        output(Ok(y), layout.shape())
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let dx = lend([x, dy], |operands| match self {
            Self::Silu => map(operands, |[x, dy]| dy * silu_slope(x, sigmoid(x))),
            Self::Gelu => map(operands, |[x, dy]| dy * (normal(x) + x * DENSITY * exp(-0.5 * x * x))),
            Self::GeluTanh => map(operands, |[x, dy]| {
                let s = sigmoid(GELU.0 * (x + GELU.1 * x * x * x));
                dy * (s + x * s * (1.0 - s) * GELU.0 * (1.0 + 3.0 * GELU.1 * x * x))
            }),
            Self::Relu => map(operands, |[x, dy]| if x > 0.0 { dy } else { 0.0 }),
        })?;
        Ok(Some(gradient(dx, x)?))
    }
}

impl InplaceOp1 for Unary {
    fn name(&self) -> &'static str {
        CustomOp1::name(self)
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        self.apply(values_mut(x, layout)?);
        Ok(())
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
            check(&operands[..1], |t| Unary::Silu.forward(t[0].copy()?), |t| t[0].silu());
            check(&operands[..1], |t| Unary::Gelu.forward(t[0].copy()?), |t| t[0].gelu_erf());
            check(&operands[..1], |t| Unary::GeluTanh.forward(t[0].copy()?), |t| t[0].gelu());
            check(&operands[..1], |t| Unary::Relu.forward(t[0].copy()?), |t| t[0].relu());
            check(&operands, |t| swiglu(&t[0], &t[1]), |t| t[0].silu()?.mul(&t[1]));
        }
    }

    #[test]
    fn in_place_is_the_same() {
        let x = random((40, 900), 3);
        for f in [Unary::Silu, Unary::Gelu, Unary::GeluTanh, Unary::Relu] {
            let wanted = x.apply_op1(f).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(f.forward(x.copy().unwrap()).unwrap().to_vec2::<f32>().unwrap(), wanted);
        }
    }

    /// Far from zero the functions are the line or nothing, and their slopes one or nothing.
    #[test]
    fn limits_are_kept() {
        let x = candle_core::Var::new(&[[-1e4f32, -100.0, 100.0, 1e4]], &candle_core::Device::Cpu).unwrap();
        for f in [Unary::Silu, Unary::Gelu, Unary::GeluTanh, Unary::Relu] {
            let y = f.forward(x.as_tensor().clone()).unwrap();
            assert!(
                y.to_vec2::<f32>().unwrap()[0].iter().zip([0.0, 0.0, 100.0, 1e4]).all(|(y, w)| (y - w).abs() < 1e-20)
            );
            let slopes = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec2::<f32>().unwrap();
            assert!(slopes[0].iter().zip([0.0, 0.0, 1.0, 1.0]).all(|(s, w)| (s - w).abs() < 1e-20), "{slopes:?}");
        }
    }
}
