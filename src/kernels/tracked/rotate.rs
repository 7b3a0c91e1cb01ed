//! The rotation of queries and keys by their positions (Su et al. 2021).

use super::{Output, gradient, lend, output, values, zeros};
use crate::error::Result;
use crate::kernels::parallel;
use candle_core::{CpuStorage, CustomOp3, Layout, Tensor};

/// Rotates the pairs `(i, i + half)` of every head of `x` (`[rows, heads · 2 · half]`) by the angles with these cosines
/// and sines, `half` for each row.
///
/// # Errors
/// Those of candle when the shapes do not fit.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let half = cos.elem_count() / rows.max(1);
    let fits = cos.elem_count() == rows * half && sin.elem_count() == rows * half;
    if !fits || half == 0 || !width.is_multiple_of(2 * half) {
        let shapes = format!("{:?} by {:?} and {:?}", x.shape(), cos.shape(), sin.shape());
        return Err(candle_core::Error::msg(format!("rotate: {shapes}")).into());
    }
    Ok(x.contiguous()?.apply_op3(&cos.contiguous()?, &sin.contiguous()?, Rotate { width, half })?)
}

struct Rotate {
    width: usize,
    half: usize,
}

impl Rotate {
    /// Turns forward, or with `sign` −1 back, which is the transpose.
    fn apply(&self, x: &[f32], cos: &[f32], sin: &[f32], sign: f32) -> Result<Vec<f32>> {
        let Self { width, half } = *self;
        let rows = parallel::rows(width);
        let mut out = zeros(x.len())?;
        let parts = x.chunks(rows * width).zip(out.chunks_mut(rows * width));
        parallel::for_each(
            parts.zip(cos.chunks(rows * half).zip(sin.chunks(rows * half))),
            |((x, out), (cos, sin))| {
                let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
                for ((x, out), (cos, sin)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(angles) {
                    for (x, out) in x.chunks_exact(2 * half).zip(out.chunks_exact_mut(2 * half)) {
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
        for (rows, heads, half) in [(1, 1, 1), (5, 3, 7), (300, 4, 32)] {
            let angles = random((rows, 1, half), 2).affine(6.0, 0.0).unwrap();
            let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
            check(
                &[random((rows, heads * 2 * half), 1)],
                |t| rotate(&t[0], &cos, &sin),
                |t| {
                    let x = t[0].reshape((rows, heads, 2, half))?;
                    let (a, b) = (x.narrow(2, 0, 1)?.squeeze(2)?, x.narrow(2, 1, 1)?.squeeze(2)?);
                    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
                    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
                    Tensor::cat(&[first, second], 2)?.reshape((rows, heads * 2 * half))
                },
            );
        }
    }
}
