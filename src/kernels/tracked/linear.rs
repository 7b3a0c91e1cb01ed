//! `y = x Wᵀ + b`.

use super::{Output, column_sums, gradient, lend, output, values, zeros};
use crate::error::Result;
use crate::kernels::gemm::{Cores, View, multiply};
use crate::kernels::parallel;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Tensor};

/// `[n, inputs]` to `[n, outputs]`; `weight` is `[outputs, inputs]`, `bias` `[outputs]`. A weight that is the transpose
/// of a contiguous tensor (GPT-2's Conv1D) is read as it lies.
///
/// # Errors
/// Those of candle when the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (weight, input_major) = as_it_lies(weight)?;
    let (outputs, inputs) = if input_major { weight.t()?.dims2()? } else { weight.dims2()? };
    let fits = x.dims2()?.1 == inputs && bias.is_none_or(|bias| bias.dims() == [outputs]);
    if !fits {
        return Err(candle_core::Error::msg(format!("linear: {:?} by {outputs}x{inputs}", x.shape())).into());
    }
    let (x, op) = (x.contiguous()?, Linear { inputs, outputs, input_major });
    Ok(match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op)?,
        None => x.apply_op2(&weight, op)?,
    })
}

/// The contiguous tensor behind a weight, and whether it is `[inputs, outputs]`.
fn as_it_lies(weight: &Tensor) -> Result<(Tensor, bool)> {
    if weight.is_contiguous() || !weight.t()?.is_contiguous() {
        return Ok((weight.contiguous()?, false));
    }
    // A gradient for the variable itself spares candle from turning one for its transpose back, value by value. The only
    // way in one step from a variable to strides like these is to transpose it.
    if let [_, var] = weight.sorted_nodes()[..]
        && var.is_variable()
        && var.is_contiguous()
    {
        return Ok((var.clone(), true));
    }
    Ok((weight.t()?, true))
}

struct Linear {
    inputs: usize,
    outputs: usize,
    input_major: bool,
}

impl Linear {
    /// The weight as `[inputs, outputs]`.
    fn weight<'a>(&self, values: &'a [f32]) -> View<'a> {
        if self.input_major {
            View::new(values, self.inputs, self.outputs)
        } else {
            View::new(values, self.outputs, self.inputs).t()
        }
    }

    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Output {
        let n = x.len() / self.inputs.max(1);
        let compute = || {
            let mut out = zeros(n * self.outputs)?;
            if let Some(bias) = bias {
                let width = self.outputs.max(1);
                parallel::for_each(out.chunks_mut(parallel::rows(width) * width), |rows| {
                    rows.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(bias));
                });
            }
            multiply(View::new(x, n, self.inputs), self.weight(weight), &mut out, bias.is_some(), Cores::All);
            Ok(out)
        };
        output(compute(), (n, self.outputs))
    }

    /// The gradients of `x` and `weight`, each where one is wanted.
    fn backward(&self, x: &Tensor, weight: &Tensor, dy: &Tensor) -> candle_core::Result<[Option<Tensor>; 2]> {
        let (n, inputs, outputs) = (x.dim(0)?, self.inputs, self.outputs);
        let (dx, dw) = lend([x, weight, dy], |[x_values, w, dy]| {
            let dy = View::new(dy, n, outputs);
            let mut dx = Vec::new();
            if x.track_op() {
                dx = zeros(n * inputs)?;
                multiply(dy, self.weight(w).t(), &mut dx, false, Cores::All);
            }
            let mut dw = Vec::new();
            if weight.track_op() {
                dw = zeros(inputs * outputs)?;
                let x = View::new(x_values, n, inputs);
                let (a, b) = if self.input_major { (x.t(), dy) } else { (dy.t(), x) };
                multiply(a, b, &mut dw, false, Cores::All);
            }
            Ok((dx, dw))
        })?;
        let wanted = |of: &Tensor, values| if of.track_op() { gradient(values, of).map(Some) } else { Ok(None) };
        Ok([wanted(x, dx)?, wanted(weight, dw)?])
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_layout: &Layout, w: &CpuStorage, w_layout: &Layout) -> Output {
        self.forward(values(x, x_layout)?, values(w, w_layout)?, None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, weight, dy).map(<(_, _)>::from)
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Output {
        self.forward(values(x, x_layout)?, values(w, w_layout)?, Some(values(b, b_layout)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw] = self.backward(x, weight, dy)?;
        let db = lend([dy], |[dy]| column_sums(dy, self.outputs))?;
        Ok((dx, dw, Some(gradient(db, bias)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;

    #[test]
    fn linear_is_its_plain_twin() {
        for (n, inputs, outputs) in [(1, 1, 1), (5, 7, 3), (2, 16, 9), (13, 6, 31)] {
            let operands = [random((n, inputs), 1), random((outputs, inputs), 2), random((outputs,), 3)];
            check(&operands, |t| linear(&t[0], &t[1], Some(&t[2])), |t| t[0].matmul(&t[1].t()?)?.broadcast_add(&t[2]));
            check(&operands[..2], |t| linear(&t[0], &t[1], None), |t| t[0].matmul(&t[1].t()?));
        }
    }

    #[test]
    fn a_transposed_weight_is_read_as_it_lies() {
        let operands = [random((5, 7), 1), random((7, 3), 2), random((3,), 3)];
        let turned = |t: &[Tensor]| linear(&t[0], &t[1].t()?, Some(&t[2]));
        check(&operands, turned, |t| t[0].matmul(&t[1])?.broadcast_add(&t[2]));
        // The variable itself is the operand, not a copy and not its transpose.
        let var = candle_core::Var::from_tensor(&operands[1]).unwrap();
        let (found, input_major) = as_it_lies(&var.t().unwrap()).unwrap();
        assert!(input_major && found.id() == var.id());
        // A transpose of something computed has no variable to go back to.
        let square = |t: &Tensor| t.sqr()?.t();
        check(
            &operands,
            |t| linear(&t[0], &square(&t[1])?, Some(&t[2])),
            |t| t[0].matmul(&t[1].sqr()?)?.broadcast_add(&t[2]),
        );
    }
}
