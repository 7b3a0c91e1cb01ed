//! Inverted dropout (Srivastava et al. 2014).

use super::{Output, gradient, lend, output, values, zeros};
use crate::error::Result;
use crate::kernels::parallel;
use crate::train::Random;
use candle_core::{CpuStorage, CustomOp1, Layout, Tensor};

/// What is dropped: value `i` when number `i` of `stream` is below `p`. Nothing of it is kept; it is drawn again where it
/// is needed again.
#[derive(Clone, Copy)]
pub struct Mask {
    /// The probability, above 0.
    pub p: f32,
    pub stream: Random,
}

impl Mask {
    /// Multiplies the values, of which the first is number `first`, by 0 or by `1 / (1 − p)`.
    pub(super) fn apply(&self, values: &mut [f32], first: u64) {
        let scale = if self.p < 1.0 { 1.0 / (1.0 - self.p) } else { 0.0 };
        let below = self.stream.below(f64::from(self.p));
        for (value, i) in values.iter_mut().zip(first..) {
            // Always a product, so that a value which is not a number stays one.
            *value *= if below(i) { 0.0 } else { scale };
        }
    }
}

/// Each value, row-major, zero with the mask's probability `p`, else divided by `1 − p`.
///
/// # Errors
/// Those of candle.
pub fn dropout(x: &Tensor, mask: Mask) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1(Dropout { mask })?)
}

struct Dropout {
    mask: Mask,
}

impl Dropout {
    fn apply(&self, x: &[f32]) -> Result<Vec<f32>> {
        let mut out = zeros(x.len())?;
        let parts = x.chunks(parallel::PART).zip(out.chunks_mut(parallel::PART)).zip((0..).step_by(parallel::PART));
        parallel::for_each(parts, |((x, out), first)| {
            out.copy_from_slice(x);
            self.mask.apply(out, first);
        });
        Ok(out)
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Output {
        output(self.apply(values(x, layout)?), layout.shape())
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(gradient(lend([dy], |[dy]| self.apply(dy))?, x)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;
    use candle_core::Device;

    #[test]
    fn dropout_is_a_product_with_its_mask() {
        let (p, stream) = (0.3, Random::new(5, "dropout"));
        let x = random((9, 2500), 1);
        let mask: Vec<f32> =
            (0..9 * 2500).map(|i| if stream.unit(i) < f64::from(p) { 0.0 } else { 1.0 / (1.0 - p) }).collect();
        let dropped = mask.iter().filter(|&&m| m == 0.0).count() as f64 / 22_500.0;
        assert!((dropped - 0.3).abs() < 0.02, "{dropped} dropped");
        let mask = Tensor::from_vec(mask, (9, 2500), &Device::Cpu).unwrap();
        check(&[x], |t| dropout(&t[0], Mask { p, stream }), |t| t[0].mul(&mask));
        let all = dropout(&random((2, 2), 1), Mask { p: 1.0, stream }).unwrap();
        assert_eq!(all.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
    }
}
