//! The loss of next-token prediction.

use super::embedding::check_ids;
use super::{Output, gradient, lend, output, values, zeros};
use crate::error::{Error, Result};
use crate::kernels::exp::exp;
use crate::kernels::parallel;
use crate::kernels::reduce::{max, total};
use candle_core::{CpuStorage, CustomOp1, Layout, Tensor};

/// The mean over rows of `−ln softmax(logits)[target]`, in nats, as a scalar. `logits` is `[n, vocabulary]`, and there
/// are `n` targets.
///
/// # Errors
/// [`Error::BadParameter`] when there are not as many targets as rows, or one is not in the vocabulary.
pub fn cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let (n, vocabulary) = logits.dims2()?;
    if targets.len() != n || n == 0 {
        return Err(Error::BadParameter {
            name: "targets".into(),
            expected: format!("one for each of {n} rows, and at least one"),
            found: targets.len().to_string(),
        });
    }
    check_ids("targets", targets, vocabulary)?;
    Ok(logits.contiguous()?.apply_op1(CrossEntropy(targets.to_vec()))?)
}

struct CrossEntropy(Vec<u32>);

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Output {
        let (logits, width) = (values(logits, layout)?, layout.dims()[1]);
        let rows = parallel::rows(width);
        let mut losses = vec![0f64; self.0.len()];
        let parts = logits.chunks(rows * width).zip(self.0.chunks(rows)).zip(losses.chunks_mut(rows));
        parallel::for_each(parts, |((logits, targets), losses)| {
            for ((row, &target), loss) in logits.chunks_exact(width).zip(targets).zip(losses) {
                let max = max(row);
                let sum = total([row], |[x]| exp(x - max));
                *loss = f64::from(max) + libm::log(f64::from(sum)) - f64::from(row[target as usize]);
            }
        });
        let mean = losses.iter().sum::<f64>() / self.0.len() as f64;
        output(Ok(vec![mean as f32]), ())
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let width = logits.dims2()?.1;
        let scale = dy.to_scalar::<f32>()? / self.0.len() as f32;
        let found = lend([logits], |[logits]| {
            let mut out = zeros(logits.len())?;
            let rows = parallel::rows(width);
            let parts = logits.chunks(rows * width).zip(out.chunks_mut(rows * width)).zip(self.0.chunks(rows));
            parallel::for_each(parts, |((logits, out), targets)| {
                for ((row, out), &target) in logits.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(targets) {
                    let max = max(row);
                    for (out, x) in out.iter_mut().zip(row) {
                        *out = exp(x - max);
                    }
                    let factor = scale / total([out], |[x]| x);
                    out.iter_mut().for_each(|out| *out *= factor);
                    out[target as usize] -= scale;
                }
            });
            Ok(out)
        })?;
        Ok(Some(gradient(found, logits)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;
    use candle_core::Device;

    #[test]
    fn cross_entropy_is_its_plain_twin() {
        for (targets, vocabulary) in [(vec![2], 3), (vec![0, 36, 5, 5], 37), (vec![1; 40], 1000)] {
            let logits = random((targets.len(), vocabulary), 1).affine(8.0, 0.0).unwrap();
            let ids = Tensor::new(targets.as_slice(), &Device::Cpu).unwrap();
            check(&[logits], |t| cross_entropy(&t[0], &targets), |t| candle_nn::loss::cross_entropy(&t[0], &ids));
        }
    }

    #[test]
    fn targets_must_fit() {
        let logits = random((2, 4), 1);
        for targets in [&[0][..], &[0, 4], &[]] {
            assert_eq!(cross_entropy(&logits, targets).unwrap_err().code(), "bad_parameter");
        }
    }

    #[test]
    fn what_is_not_a_number_stays_none() {
        let logits = Tensor::new(&[[0.5f32, f32::NAN, 1.0]], &Device::Cpu).unwrap();
        assert!(cross_entropy(&logits, &[0]).unwrap().to_scalar::<f32>().unwrap().is_nan());
    }
}
