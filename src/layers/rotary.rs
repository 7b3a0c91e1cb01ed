//! Rotary position embeddings (Su et al. 2021) with the scaling kinds of transformers' `ROPE_INIT_FUNCTIONS`.

use crate::error::Result;
use crate::kernels::tracked;
use candle_core::{Device, Tensor};
use std::f32::consts::PI;

/// How the frequencies are changed for contexts longer than those the model was first trained on.
#[derive(Clone, Debug)]
pub enum Scaling {
    None,
    /// All frequencies divided by `factor` (position interpolation, Chen et al. 2023).
    Linear {
        factor: f32,
    },
    /// The base grows with the length of the text beyond `max_position` (NTK-aware, dynamic).
    Dynamic {
        factor: f32,
        max_position: usize,
    },
    /// YaRN (Peng et al. 2023): high frequencies kept, low ones interpolated, a ramp between them.
    Yarn {
        factor: f32,
        original: usize,
        beta_fast: f32,
        beta_slow: f32,
        truncate: bool,
        attention_factor: f32,
    },
    /// LongRoPE (Ding et al. 2024): one divisor per frequency, another set once the text is longer than `original`.
    LongRope {
        short: Vec<f32>,
        long: Vec<f32>,
        original: usize,
        attention_factor: f32,
    },
    /// Llama 3.1: long wavelengths divided by `factor`, a smooth passage between the two limits.
    Llama3 {
        factor: f32,
        low_freq_factor: f32,
        high_freq_factor: f32,
        original: usize,
    },
    /// Only the first `proportion` of the angles turn; the frequencies are divided by `factor`.
    Proportional {
        factor: f32,
        proportion: f32,
    },
    /// Divisors read from the file (GGUF's `rope_freqs.weight`).
    Divisors(Vec<f32>),
}

/// Rotates queries and keys by their positions. Pairs are `(i, i + dim/2)`, as in transformers.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// Width of a head.
    pub head_dim: usize,
    /// Values of a head that are rotated, from its first on; an odd number means one more.
    pub dim: usize,
    /// The base `rope_theta`.
    pub theta: f32,
    pub scaling: Scaling,
}

/// Cosines and sines of one forward pass, each `[rows, 1, pairs]`.
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Whether keys cached while a text grew to `longest` tokens are those it would get if read at once. Beyond the
    /// trained length some kinds change the frequencies of every position, and transformers then computes all keys anew.
    pub fn cache_fits(&self, longest: usize) -> bool {
        match &self.scaling {
            Scaling::Dynamic { max_position, .. } => longest <= *max_position,
            Scaling::LongRope { original, .. } => longest <= *original,
            _ => true,
        }
    }

    /// Pairs of a head that are rotated.
    pub fn pairs(&self) -> usize {
        self.dim.div_ceil(2)
    }

    /// Inverse frequencies, one for every pair, for a text of `length` tokens, and the factor on cosines and sines.
    fn frequencies(&self, length: usize) -> (Vec<f32>, f32) {
        let dim = self.dim as f32;
        let half = self.pairs();
        let powers = |theta: f32| -> Vec<f32> { (0..half).map(|i| libm::powf(theta, (2 * i) as f32 / dim)).collect() };
        let inverse = |theta: f32| -> Vec<f32> { powers(theta).into_iter().map(|p| 1.0 / p).collect() };
        match &self.scaling {
            Scaling::None => (inverse(self.theta), 1.0),
            Scaling::Linear { factor } => (inverse(self.theta).into_iter().map(|f| f / factor).collect(), 1.0),
            Scaling::Divisors(divisors) => {
                (inverse(self.theta).into_iter().zip(divisors).map(|(f, d)| f / d).collect(), 1.0)
            }
            Scaling::Dynamic { factor, max_position } => {
                let length = length.max(*max_position) as f32;
                let stretch = factor * length / *max_position as f32 - (factor - 1.0);
                (inverse(self.theta * libm::powf(stretch, dim / (dim - 2.0))), 1.0)
            }
            Scaling::Yarn { factor, original, beta_fast, beta_slow, truncate, attention_factor } => {
                let correction = |rotations: f32| {
                    dim * libm::logf(*original as f32 / (rotations * 2.0 * PI)) / (2.0 * libm::logf(self.theta))
                };
                let (mut low, mut high) = (correction(*beta_fast), correction(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                (low, high) = (low.max(0.0), high.min(dim - 1.0));
                if low == high {
                    high += 0.001;
                }
                let ramp = |i: usize| ((i as f32 - low) / (high - low)).clamp(0.0, 1.0);
                let mix = |(i, p): (usize, f32)| ramp(i) / (factor * p) + (1.0 - ramp(i)) / p;
                (powers(self.theta).into_iter().enumerate().map(mix).collect(), *attention_factor)
            }
            Scaling::LongRope { short, long, original, attention_factor } => {
                let divisors = if length > *original { long } else { short };
                let frequencies = powers(self.theta).into_iter().zip(divisors).map(|(p, d)| 1.0 / (d * p)).collect();
                (frequencies, *attention_factor)
            }
            Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => {
                let original = *original as f32;
                let scale = |f: f32| {
                    let wavelength = 2.0 * PI / f;
                    if wavelength < original / high_freq_factor {
                        f
                    } else if wavelength > original / low_freq_factor {
                        f / factor
                    } else {
                        let smooth = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                        (1.0 - smooth) * f / factor + smooth * f
                    }
                };
                (inverse(self.theta).into_iter().map(scale).collect(), 1.0)
            }
            Scaling::Proportional { factor, proportion } => {
                let turning = (proportion * dim / 2.0).floor() as usize;
                let scale = |(i, f): (usize, f32)| if i < turning { f / factor } else { 0.0 };
                (inverse(self.theta).into_iter().enumerate().map(scale).collect(), 1.0)
            }
        }
    }

    /// What the scaling divides each of the frequencies by.
    pub fn divisors(&self) -> Vec<f32> {
        let plain = Self { scaling: Scaling::None, ..self.clone() };
        plain.frequencies(0).0.iter().zip(self.frequencies(0).0).map(|(plain, scaled)| plain / scaled).collect()
    }

    /// The angles of these positions in a text that will be `length` tokens long when the pass is over.
    pub fn angles(&self, positions: &[u32], length: usize) -> Result<Angles> {
        let (frequencies, factor) = self.frequencies(length);
        let table = |f: fn(f32) -> f32| -> Result<Tensor> {
            let values: Vec<f32> = positions
                .iter()
                .flat_map(|&p| frequencies.iter().map(move |frequency| f(p as f32 * frequency) * factor))
                .collect();
            Ok(Tensor::from_vec(values, (positions.len(), 1, self.pairs()), &Device::Cpu)?)
        };
        Ok(Angles { cos: table(libm::cosf)?, sin: table(libm::sinf)? })
    }

    /// Rotates `[rows, heads · dim]`.
    pub fn forward(&self, x: &Tensor, angles: &Angles) -> Result<Tensor> {
        tracked::rotate(x, self.head_dim, &angles.cos, &angles.sin)
    }
}
