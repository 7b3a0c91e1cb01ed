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

/// `Φ(x)`, the part of a normal distribution below `x`: half of the complementary error function of `-x / √2`, by the
/// Chebyshev fit of Press et al. (Numerical Recipes, 1992, section 6.2), whose fractional error is below 1.2e-7.
#[inline(always)]
pub fn normal(x: f32) -> f32 {
    /// The fit, its highest power first.
    const FIT: [f32; 9] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
    ];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let fit = FIT.into_iter().fold(0.0, |sum, factor| sum * t + factor);
    let beyond = 0.5 * t * exp(fit * t - 1.265_512_2 - z * z);
    if x > 0.0 { 1.0 - beyond } else { beyond }
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

    #[test]
    fn normal_is_that_of_f64() {
        for i in -9_000..9_000 {
            let x = i as f32 * 1e-3;
            let (found, wanted) = (f64::from(normal(x)), 0.5 * libm::erfc(-f64::from(x) / std::f64::consts::SQRT_2));
            // Far below zero the square that is an exponent has few digits after the point.
            let limit = 4e-7 + 1.5e-7 * f64::from(x * x);
            assert!((found / wanted - 1.0).abs() < limit, "normal({x}): expected {wanted}, found {found}");
        }
        assert!(normal(f32::NAN).is_nan());
        assert!(normal(-1e30) < 1e-37 && normal(1e30) == 1.0);
    }
}
