//! f16 as the kernels keep them: times 1,024, which is exact and leaves none of them subnormal. Computing with those costs
//! ten times as much as with others, and the scales of small weights are subnormal often.

/// The magnitude from which an f16 cannot be raised: 64. Infinity and NaN are above it.
const LIMIT: u16 = 0x5400;

/// Whether a little-endian f16 is small enough.
pub fn can_be_raised(half: [u8; 2]) -> bool {
    u16::from_le_bytes(half) & 0x7fff < LIMIT
}

/// A little-endian f16 that can be raised, times 1,024.
pub fn raise(half: [u8; 2]) -> [u8; 2] {
    let bits = u16::from_le_bytes(half);
    let (sign, magnitude) = (bits & 0x8000, bits & 0x7fff);
    let raised = match magnitude {
        0 => 0,
        // A subnormal is its bits times 2⁻²⁴: the first of them becomes the implicit one.
        1..0x400 => {
            let first = magnitude.ilog2() as u16;
            (first + 1) << 10 | magnitude << (10 - first) & 0x3ff
        }
        normal => normal + (10 << 10),
    };
    (sign | raised).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    #[test]
    fn raised_is_times_1024() {
        for half in (0..=u16::MAX).map(u16::to_le_bytes) {
            let value = f16::from_le_bytes(half).to_f32();
            assert_eq!(can_be_raised(half), value.abs() < 64.0, "{value}");
            if can_be_raised(half) {
                let raised = f16::from_le_bytes(raise(half));
                assert_eq!(raised.to_f32(), value * 1024.0);
                assert!(raised.to_f32() == 0.0 || raised.is_normal(), "{value}");
            }
        }
    }
}
