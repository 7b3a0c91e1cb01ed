//! LayerNorm and RMSNorm over the last dimension.

use super::{Output, gradient, lend, output, sum_parts, values, zeros};
use crate::error::Result;
use crate::kernels::parallel;
use crate::kernels::reduce::total;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Tensor};

/// `(x − mean) / sqrt(variance + eps) · weight + bias` for each row of `x`.
///
/// # Errors
/// Those of candle when the shapes do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    check_widths(x, &[weight, bias])?;
    Ok(x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Norm { eps })?)
}

/// `x / sqrt(mean(x²) + eps) · weight` for each row of `x`.
///
/// # Errors
/// Those of candle when the shapes do not fit.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    check_widths(x, &[weight])?;
    Ok(x.contiguous()?.apply_op2(&weight.contiguous()?, Norm { eps })?)
}

fn check_widths(x: &Tensor, vectors: &[&Tensor]) -> Result<()> {
    let width = x.dims2()?.1;
    match vectors.iter().find(|vector| vector.dims() != [width]) {
        Some(vector) => {
            Err(candle_core::Error::msg(format!("norm: {:?} with a vector of {:?}", x.shape(), vector.shape())).into())
        }
        None => Ok(()),
    }
}

/// RMSNorm with two operands; LayerNorm, which also subtracts the mean, with three.
struct Norm {
    eps: f32,
}

impl Norm {
    /// What is subtracted from the values of a row, and what they are then multiplied by.
    fn moments(&self, row: &[f32], centred: bool) -> (f32, f32) {
        let n = row.len() as f32;
        let mean = if centred { total([row], |[x]| x) / n } else { 0.0 };
        let variance = total([row], |[x]| (x - mean) * (x - mean)) / n;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }

    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &Layout) -> Output {
        let width = weight.len().max(1);
        let part = parallel::rows(width) * width;
        let compute = || {
            let mut out = zeros(x.len())?;
            parallel::for_each(x.chunks(part).zip(out.chunks_mut(part)), |(x, out)| {
                for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                    let (mean, factor) = self.moments(x, bias.is_some());
                    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                        *out = (x - mean) * factor * weight;
                    }
                    if let Some(bias) = bias {
                        super::accumulate(out, bias);
                    }
                }
            });
            Ok(out)
        };
        output(compute(), shape.shape())
    }

    /// The gradients of `x`, of the weight and, for LayerNorm, of the bias.
    fn backward(&self, x: &[f32], weight: &[f32], dy: &[f32], centred: bool) -> Result<[Vec<f32>; 3]> {
        let width = weight.len().max(1);
        let part = parallel::rows(width) * width;
        let parts = x.len().div_ceil(part);
        let mut dx = zeros(x.len())?;
        let (mut dw, mut db) = (zeros(parts * width)?, zeros(if centred { parts * width } else { 0 })?);
        let biases = db.chunks_mut(width).map(Some).chain(std::iter::repeat_with(|| None));
        let work = x.chunks(part).zip(dy.chunks(part)).zip(dx.chunks_mut(part)).zip(dw.chunks_mut(width)).zip(biases);
        parallel::for_each(work, |((((x, dy), dx), dw), mut db)| {
            let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
            for ((x, dy), dx) in rows {
                let (mean, factor) = self.moments(x, centred);
                // dx holds the normalised values first.
                for ((dx, x), (dw, dy)) in dx.iter_mut().zip(x).zip(dw.iter_mut().zip(dy)) {
                    *dx = (x - mean) * factor;
                    *dw += *dx * dy;
                }
                if let Some(db) = &mut db {
                    super::accumulate(db, dy);
                }
                let n = width as f32;
                let shift = if centred { total([dy, weight], |[dy, w]| dy * w) / n } else { 0.0 };
                let along = total([dy, weight, dx], |[dy, w, x]| dy * w * x) / n;
                for ((dx, dy), weight) in dx.iter_mut().zip(dy).zip(weight) {
                    *dx = factor * (dy * weight - shift - *dx * along);
                }
            }
        });
        Ok([dx, sum_parts(&dw, width), if centred { sum_parts(&db, width) } else { db }])
    }
}

impl CustomOp2 for Norm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_layout: &Layout, w: &CpuStorage, w_layout: &Layout) -> Output {
        self.forward(values(x, x_layout)?, values(w, w_layout)?, None, x_layout)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = lend([x, weight, dy], |[x, weight, dy]| self.backward(x, weight, dy, false))?;
        Ok((Some(gradient(dx, x)?), Some(gradient(dw, weight)?)))
    }
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "layer_norm"
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
        self.forward(values(x, x_layout)?, values(w, w_layout)?, Some(values(b, b_layout)?), x_layout)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = lend([x, weight, dy], |[x, weight, dy]| self.backward(x, weight, dy, true))?;
        Ok((Some(gradient(dx, x)?), Some(gradient(dw, weight)?), Some(gradient(db, bias)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;
    use candle_nn::ops;

    #[test]
    fn norms_are_their_plain_twins() {
        for (n, width) in [(1, 2), (5, 7), (3, 33), (2000, 40)] {
            let vector = |seed| random((width,), seed).affine(0.5, 1.0).unwrap();
            let operands = [random((n, width), 1).affine(1.0, 0.3).unwrap(), vector(2), vector(3)];
            check(
                &operands,
                |t| layer_norm(&t[0], &t[1], &t[2], 1e-2),
                |t| ops::layer_norm_slow(&t[0], &t[1], &t[2], 1e-2),
            );
            check(&operands[..2], |t| rms_norm(&t[0], &t[1], 1e-2), |t| ops::rms_norm_slow(&t[0], &t[1], 1e-2));
        }
    }
}
