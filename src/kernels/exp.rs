//! The exponential function in a form that loops turn into SIMD, with the same bits on every platform.

/// `e^x` within two units in the last place. Beyond `-87..=88` the result is that of the limit; of NaN it is NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first of which has few enough bits that its multiples are exact.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // x = n ln 2 + r with |r| ≤ ln 2 / 2, and the Taylor series of e^r as far as f32 can tell.
    let r = (x - n * LN_2.0) - n * LN_2.1;
    let mut sum = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * r + factor;
    }
    sum * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()))
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_f64() {
        for i in -86_999..88_000 {
            let x = i as f32 * 1e-3;
            let (found, wanted) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found / wanted - 1.0).abs() < 2.5e-7, "exp({x}): expected {wanted}, found {found}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e30) < 1e-37 && exp(1e30) > 1e38);
    }
}
