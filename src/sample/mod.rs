//! From logits to the next token: the [parameters](parameters), the ordered [rules](rules) that act on the scores, and
//! the draw.

mod parameters;
mod rules;

pub use parameters::{EarlyStopping, GenerationConfig, Kind, PARAMETERS, Parameter};
pub use rules::{Context, RULES, Rule, apply_rules};

use crate::error::{Error, Result};
use crate::kernels::max;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The source of chance of one sequence: the same on every platform.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Sequences of one call share the seed and differ in the stream.
    pub fn new(seed: u64, sequence: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(sequence as u64);
        Self(rng)
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The highest score; the first of equals.
pub fn argmax(scores: &[f32]) -> Result<u32> {
    let best = max(scores);
    let place = scores.iter().position(|&score| score == best).filter(|_| best > f32::NEG_INFINITY);
    place.map(|i| i as u32).ok_or_else(|| no_candidate(scores))
}

/// Probabilities of the scores; what is `-inf` gets zero.
pub fn softmax(scores: &[f32]) -> Result<Vec<f32>> {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut out: Vec<f32> = scores.iter().map(|s| libm::expf(s - max)).collect();
    let sum: f64 = out.iter().map(|&p| f64::from(p)).sum();
    if !max.is_finite() || !sum.is_finite() {
        return Err(no_candidate(scores));
    }
    out.iter_mut().for_each(|p| *p = (f64::from(*p) / sum) as f32);
    Ok(out)
}

/// Logarithms of the probabilities of the scores.
pub fn log_softmax(scores: &mut [f32]) -> Result<()> {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|s| f64::from(libm::expf(s - max))).sum();
    if !max.is_finite() || !sum.is_finite() {
        return Err(no_candidate(scores));
    }
    let log_sum = libm::log(sum) as f32;
    scores.iter_mut().for_each(|s| *s = *s - max - log_sum);
    Ok(())
}

/// Draws a token from the distribution of the scores.
pub fn draw(scores: &[f32], dice: &mut Dice) -> Result<u32> {
    Ok(fall(&softmax(scores)?, dice.uniform()))
}

/// The token on which a number from 0 to 1 falls when all lie on a line in the order of their ids, each as long as it is
/// likely.
pub fn fall(probabilities: &[f32], uniform: f64) -> u32 {
    let mut left = uniform;
    let mut last = 0;
    for (i, &p) in probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        left -= f64::from(p);
        last = i;
        if left < 0.0 {
            break;
        }
    }
    last as u32
}

fn no_candidate(scores: &[f32]) -> Error {
    let nans = scores.iter().filter(|s| s.is_nan()).count();
    let found = if nans > 0 {
        format!("{nans} of {} scores are not numbers: the weights are damaged", scores.len())
    } else {
        "every token is forbidden by the settings".into()
    };
    Error::NoCandidate { found }
}
