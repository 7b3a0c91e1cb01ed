//! The scales of k-quants: of many that are tried, those that give a group its values back with the least error.
//!
//! For fixed codes the best scale (and offset) is a least-squares fit; for a fixed scale the best codes are the nearest.
//! Each start, a scale a little wider or narrower than the range of the values, gets both, and the best start wins.

/// How many starts are tried on each side of the plain range, and how far apart they are, in codes.
const STARTS: i32 = 12;
const STEP: f32 = 0.08;

/// The squared error, weighted by what a value counts for.
type Weights<const N: usize> = [f32; N];

/// What a value's error counts for: large values more, for they meet large products more often than not.
fn weights<const N: usize>(x: &[f32; N]) -> Weights<N> {
    let mean = (x.iter().map(|v| v * v).sum::<f32>() / N as f32).sqrt();
    x.map(|v| mean + v.abs())
}

/// The nearest code from 0 to `most`.
#[inline(always)]
pub(super) fn nearest(v: f32, most: u8) -> u8 {
    (v + 0.5).clamp(0.0, f32::from(most)) as u8
}

/// `scale` and `min`, neither below zero, with which `x ≈ scale · q − min` for codes `q` from 0 to `most`.
pub(super) fn affine<const N: usize>(x: &[f32; N], most: u8) -> (f32, f32) {
    let weights = weights(x);
    let (least, greatest) = super::q4_1::range(x);
    // The offset is only ever taken away: a group above zero begins at zero.
    let least = least.min(0.0);
    if greatest <= least {
        return (0.0, -least);
    }
    let mut best = ((greatest - least) / f32::from(most), -least);
    let mut least_error = affine_error(x, &weights, best, most);
    for start in -STARTS..=STARTS {
        let inverse = (f32::from(most) + STEP * start as f32) / (greatest - least);
        // Sums of the normal equations for `scale · q − min`.
        let [mut w, mut wq, mut wqq, mut wx, mut wqx] = [0f32; 5];
        for (v, weight) in x.iter().zip(&weights) {
            let q = f32::from(nearest((v - least) * inverse, most));
            w += weight;
            wq += weight * q;
            wqq += weight * q * q;
            wx += weight * v;
            wqx += weight * q * v;
        }
        let determinant = w * wqq - wq * wq;
        if determinant <= 0.0 {
            continue;
        }
        let mut fit = ((w * wqx - wq * wx) / determinant, (wq * wqx - wqq * wx) / determinant);
        if fit.1 < 0.0 {
            fit = (wqx / wqq, 0.0);
        }
        let error = affine_error(x, &weights, fit, most);
        if fit.0 > 0.0 && error < least_error {
            (best, least_error) = (fit, error);
        }
    }
    best
}

/// The error once every value has the nearest code.
fn affine_error<const N: usize>(x: &[f32; N], weights: &Weights<N>, (scale, min): (f32, f32), most: u8) -> f32 {
    let inverse = super::q8_0::inverse(scale);
    let error = |(v, weight): (&f32, &f32)| {
        let difference = scale * f32::from(nearest((v + min) * inverse, most)) - min - v;
        weight * difference * difference
    };
    x.iter().zip(weights).map(error).sum()
}

/// The nearest code from `-half` to `half − 1`.
#[inline(always)]
pub(super) fn nearest_signed(v: f32, half: i8) -> i8 {
    v.round().clamp(-f32::from(half), f32::from(half) - 1.0) as i8
}

/// The scale, of either sign, with which `x ≈ scale · q` for codes `q` from `-half` to `half − 1`.
pub(super) fn symmetric<const N: usize>(x: &[f32; N], half: i8) -> f32 {
    let extreme = super::q4_0::extreme(x);
    if extreme == 0.0 {
        return 0.0;
    }
    let mut best = (0f32, 0f32);
    for start in -STARTS..=STARTS {
        let inverse = -(f32::from(half) + STEP * start as f32) / extreme;
        let (mut wqx, mut wqq) = (0f32, 0f32);
        for v in x {
            // Errors count by the square of the value.
            let q = f32::from(nearest_signed(v * inverse, half));
            wqx += v * v * q * v;
            wqq += v * v * q * q;
        }
        // What the fit takes off the error.
        let gain = wqx * wqx / wqq;
        if wqq > 0.0 && gain > best.1 {
            best = (wqx / wqq, gain);
        }
    }
    best.0
}
