//! The rotation of queries and keys by their positions (Su et al. 2021).

use super::{Output, gradient, lend, output, values, zeros};
use crate::error::Result;
use crate::kernels::parallel;
use candle_core::{CpuStorage, CustomOp3, Layout, Tensor};

/// Rotates the pairs `(i, i + half)` of every head of `x` (`[rows, heads · dim]`) by the angles with these cosines and
/// sines, `half` for each row. What is left of a head stays as it is.
///
/// # Errors
/// Those of candle when the shapes do not fit.
pub fn rotate(x: &Tensor, dim: usize, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let half = cos.elem_count() / rows.max(1);
    let fits = cos.elem_count() == rows * half && sin.elem_count() == rows * half;
    if !fits || half == 0 || dim < 2 * half || !width.is_multiple_of(dim) {
        let shapes = format!("{:?} in heads of {dim} by {:?} and {:?}", x.shape(), cos.shape(), sin.shape());
        return Err(candle_core::Error::msg(format!("rotate: {shapes}")).into());
    }
    Ok(x.contiguous()?.apply_op3(&cos.contiguous()?, &sin.contiguous()?, Rotate { width, dim, half })?)
}

struct Rotate {
    width: usize,
    dim: usize,
    half: usize,
}

impl Rotate {
    /// Turns forward, or with `sign` −1 back, which is the transpose.
    fn apply(&self, x: &[f32], cos: &[f32], sin: &[f32], sign: f32) -> Result<Vec<f32>> {
        let Self { width, dim, half } = *self;
        let rows = parallel::rows(width);
        let mut out = zeros(x.len())?;
        let parts = x.chunks(rows * width).zip(out.chunks_mut(rows * width));
        parallel::for_each(
            parts.zip(cos.chunks(rows * half).zip(sin.chunks(rows * half))),
            |((x, out), (cos, sin))| {
                let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
                for ((x, out), (cos, sin)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(angles) {
                    for (x, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
                        let ((x, still), (out, kept)) = (x.split_at(2 * half), out.split_at_mut(2 * half));
                        kept.copy_from_slice(still);
                        let ((a, b), (first, second)) = (x.split_at(half), out.split_at_mut(half));
                        for i in 0..half {
                            let (cos, sin) = (cos[i], sin[i] * sign);
                            first[i] = a[i] * cos - b[i] * sin;
                            second[i] = b[i] * cos + a[i] * sin;
                        }
                    }
                }
            },
        );
        Ok(out)
    }
}

impl CustomOp3 for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        cos: &CpuStorage,
        cos_layout: &Layout,
        sin: &CpuStorage,
        sin_layout: &Layout,
    ) -> Output {
        let (cos, sin) = (values(cos, cos_layout)?, values(sin, sin_layout)?);
        output(self.apply(values(x, x_layout)?, cos, sin, 1.0), x_layout.shape())
    }

    fn bwd(
        &self,
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dx = lend([dy, cos, sin], |[dy, cos, sin]| self.apply(dy, cos, sin, -1.0))?;
        Ok((Some(gradient(dx, x)?), None, None))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;

    #[test]
    fn rotate_is_its_plain_twin() {
        for (rows, heads, half, still) in [(1, 1, 1, 0), (5, 3, 7, 0), (5, 3, 2, 5), (300, 4, 32, 0)] {
            let dim = 2 * half + still;
            let angles = random((rows, 1, half), 2).affine(6.0, 0.0).unwrap();
            let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
            check(
                &[random((rows, heads * dim), 1)],
                |t| rotate(&t[0], dim, &cos, &sin),
                |t| {
                    let x = t[0].reshape((rows, heads, dim))?;
                    let (a, b) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
                    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
                    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
                    let parts = [first, second, x.narrow(2, 2 * half, still)?];
                    Tensor::cat(&parts[..if still > 0 { 3 } else { 2 }], 2)?.reshape((rows, heads * dim))
                },
            );
        }
    }
}
