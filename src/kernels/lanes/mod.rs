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

/// 2¹¹²: what the exponent of an f16 lacks when its bits are read as those of an f32.
const REBIAS: f32 = f32::from_bits((127 + 112) << 23);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_computes_the_same() {
        let bytes: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x81, 5, 0xf0];
        let quad = [-8192i16, 8191, 77, -3];
        let halves: [u8; 8] = [0x00, 0x3c, 0x01, 0x00, 0xff, 0x83, 0xff, 0xfb];
        let here = {
            let sums = Ints::zero().add_dot(Shorts::widen(&bytes), Shorts::repeat(&quad));
            let other = Ints::zero().add_dot(Shorts::widen(&halves), Shorts::repeat(&quad));
            let scale = Floats::halves(&halves).times(Floats::all(0.1));
            let total = Floats::of(sums.pairs(other));
            (total.to_array(), Floats::all(0.5).plus(total.times(scale)).to_array())
        };
        let plain = {
            use portable::{Floats, Ints, Shorts};
            let sums = Ints::zero().add_dot(Shorts::widen(&bytes), Shorts::repeat(&quad));
            let other = Ints::zero().add_dot(Shorts::widen(&halves), Shorts::repeat(&quad));
            let scale = Floats::halves(&halves).times(Floats::all(0.1));
            let total = Floats::of(sums.pairs(other));
            (total.to_array(), Floats::all(0.5).plus(total.times(scale)).to_array())
        };
        assert_eq!(here, plain);
        let dot = |bytes: &[u8]| bytes.iter().zip(quad).map(|(b, x)| i32::from(*b as i8) * i32::from(x)).sum::<i32>();
        let wanted = [&bytes[..4], &bytes[4..], &halves[..4], &halves[4..]].map(|half| dot(half) as f32);
        assert_eq!(here.0, wanted);
    }

    #[test]
    fn halves_are_decoded_exactly() {
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7c00 != 0x7c00) {
            let wanted = half::f16::from_bits(bits).to_f32();
            let [low, high] = bits.to_le_bytes();
            let found = Floats::halves(&[low, high, low, high, low, high, low, high]).to_array();
            assert!(found.iter().all(|v| v.to_bits() == wanted.to_bits()), "{bits:04x}: {wanted}, found {found:?}");
        }
    }
}
