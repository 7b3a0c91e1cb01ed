//! Four 32-bit lanes: the few instructions that the integer kernels are written in, once for each kind of processor.
//! Every set computes the same bits; the tests hold each against plain arithmetic.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm::{Floats, Ints, Shorts};

#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
pub use x86::{Floats, Ints, Shorts};

#[cfg(any(test, not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))))]
mod portable;
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
pub use portable::{Floats, Ints, Shorts};

/// 2¹¹², what the exponent of an f16 lacks when its bits are read as those of an f32, less the 2¹⁰ of
/// [raised](super::raised) ones.
const REBIAS: f32 = f32::from_bits((127 + 112 - 10) << 23);
/// The bits of an f32 that those of an f16 may take: the sign, and all below the upper three of the exponent.
const SIGN_AND_HALF: u32 = 0x8fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    /// What one set makes of some bytes.
    macro_rules! computed {
        ($set:path) => {{
            use $set as set;
            let words: [u8; 16] = std::array::from_fn(|i| (i * 37 + 11) as u8);
            let mut out = Vec::new();
            let widened = [BYTES, HALVES].map(|b| set::Shorts::widen(&b));
            let unzipped = widened[0].unzip(set::Shorts::of_array(&[-900, 900, 7, -7, 1, 2, 30000, -30000]));
            out.extend(unzipped.map(|shorts| shorts.to_array().as_chunks::<4>().0[1].map(f32::from)));
            for weights in set::Shorts::nibbles(&words).into_iter().chain(widened).chain(unzipped) {
                let sums = set::Ints::all(-7).add_dot(weights, set::Shorts::repeat(&QUAD));
                let sums = sums.add_dot(weights, set::Shorts::pair(&[QUAD[2], QUAD[3]]));
                let pairs = sums.pairs(set::Ints::all(3)).minus(set::Ints::all(5));
                out.push(set::Floats::of(sums).to_array());
                out.push(set::Floats::of(pairs).to_array());
                out.push(set::Floats::of(sums.divided::<4>().plus(pairs.divided::<8>())).to_array());
            }
            let scale = set::Floats::halves(&HALVES).times(set::Floats::all(0.1));
            out.push(set::Floats::all(0.5).plus(scale).minus(set::Floats::bytes(&[0, 127, 128, 255])).to_array());
            out.push(scale.pairs(set::Floats::all(0.1)).to_array());
            out.extend(set::Floats::eight_bytes(&BYTES).map(set::Floats::to_array));
            out
        }};
    }

    const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x81, 5, 0xf0];
    const HALVES: [u8; 8] = [0x00, 0x3c, 0x01, 0x00, 0xff, 0x83, 0xff, 0xfb];
    const QUAD: [i16; 4] = [-8192, 8191, 77, -3];

    #[test]
    fn every_set_computes_the_same() {
        let here = computed!(super);
        assert_eq!(here, computed!(portable));
        let product = |i: usize| i32::from(BYTES[i] as i8) * i32::from(QUAD[i % 4] + QUAD[2 + i % 2]);
        let wanted: [f32; 4] = std::array::from_fn(|i| (product(2 * i) + product(2 * i + 1) - 7) as f32);
        assert_eq!(here[2 + 12], wanted);
        assert_eq!(here[..2], [[-900.0, 900.0, 1.0, 2.0], [7.0, -7.0, 30000.0, -30000.0]]);
        assert_eq!(here.as_flattened()[here.len() * 4 - 8..], BYTES.map(|b| f32::from(b as i8)));
    }

    #[test]
    fn halves_are_decoded_exactly() {
        use crate::kernels::raised::{can_be_raised, raise};
        for half in (0..=u16::MAX).map(u16::to_le_bytes).filter(|half| can_be_raised(*half)) {
            let wanted = half::f16::from_le_bytes(half).to_f32();
            let [low, high] = raise(half);
            let found = Floats::halves(&[low, high, low, high, low, high, low, high]).to_array();
            assert!(found.iter().all(|v| v.to_bits() == wanted.to_bits()), "{half:?}: {wanted}, found {found:?}");
        }
    }
}
