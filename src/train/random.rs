//! Random numbers that anyone can compute again: a stream is named, and its numbers are counted. Nothing has to be saved
//! to go on where a run stopped, and models/train.py draws the same ones in a few lines.

/// SplitMix64's increment (Steele, Lea and Flood 2014).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of random numbers, each found by its index.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    key: u64,
}

impl Random {
    /// The stream of this name (`split`, `epoch 3 rows`, `init lm_head.weight`) under `seed`.
    pub fn new(seed: u64, stream: &str) -> Self {
        // FNV-1a.
        let name = stream
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
        Self { key: mix(seed.wrapping_add(GOLDEN)) ^ name }
    }

    /// The word at `index`, all 64 bits random.
    pub fn word(&self, index: u64) -> u64 {
        mix(self.key.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// A number in `0.0..1.0` with 53 random bits.
    pub fn unit(&self, index: u64) -> f64 {
        (self.word(index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether the [number](Self::unit) at an index is below `p`, found without leaving the integers.
    pub fn below(self, p: f64) -> impl Fn(u64) -> bool {
        // Exact: a product with a power of two.
        let limit = (p * (1u64 << 53) as f64).ceil() as u64;
        move |index| self.word(index) >> 11 < limit
    }

    /// A number of the standard normal distribution (Box and Muller 1958).
    pub fn normal(&self, index: u64) -> f64 {
        let (a, b) = (self.unit(2 * index), self.unit(2 * index + 1));
        libm::sqrt(-2.0 * libm::log(1.0 - a)) * libm::cos(std::f64::consts::TAU * b)
    }

    /// The numbers `0..count` in random order.
    pub fn permutation(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&i| self.word(i as u64));
        order
    }
}

/// The finalizer of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_are_those_of_splitmix64() {
        // The generator's published first outputs for the state 0.
        let zero = Random { key: 0 };
        assert_eq!([zero.word(0), zero.word(1)], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
    }

    #[test]
    fn below_agrees_with_the_number() {
        let stream = Random::new(1, "below");
        for p in [0.0, 0.1, f64::from(0.1f32), stream.unit(3), 0.999, 1.0] {
            let below = stream.below(p);
            assert!((0..1000).all(|i| below(i) == (stream.unit(i) < p)), "{p}");
        }
    }

    #[test]
    fn streams_differ_and_orders_are_complete() {
        let (a, b) = (Random::new(1, "rows"), Random::new(1, "documents"));
        assert_ne!(a.word(0), b.word(0));
        let mut order = a.permutation(100);
        assert_ne!(order, b.permutation(100));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100));
        let mean = (0..10_000).map(|i| a.normal(i)).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.05, "mean {mean}");
    }
}
