//! The lanes as arrays, for processors without a set of their own; the reference of the others.

/// Eight i16.
#[derive(Clone, Copy)]
pub struct Shorts([i16; 8]);

/// Four i32.
#[derive(Clone, Copy)]
pub struct Ints([i32; 4]);

/// Four f32.
#[derive(Clone, Copy)]
pub struct Floats([f32; 4]);

impl Shorts {
    /// Eight i8.
    #[inline(always)]
    pub fn widen(bytes: &[u8; 8]) -> Self {
        Self(bytes.map(|b| i16::from(b as i8)))
    }

    /// The same four twice.
    #[inline(always)]
    pub fn repeat(quad: &[i16; 4]) -> Self {
        Self(std::array::from_fn(|i| quad[i % 4]))
    }
}

impl Ints {
    #[inline(always)]
    pub fn zero() -> Self {
        Self([0; 4])
    }

    /// Adds the products of neighbours: lane `i` gets `a[2i] · b[2i] + a[2i + 1] · b[2i + 1]`.
    #[inline(always)]
    pub fn add_dot(self, a: Shorts, b: Shorts) -> Self {
        let product = |i: usize| i32::from(a.0[i]) * i32::from(b.0[i]);
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(product(2 * i)).wrapping_add(product(2 * i + 1))))
    }

    /// Sums of neighbours: the two of `self`, then the two of `other`.
    #[inline(always)]
    pub fn pairs(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.wrapping_add(b), c.wrapping_add(d), e.wrapping_add(f), g.wrapping_add(h)])
    }
}

impl Floats {
    #[inline(always)]
    pub fn all(value: f32) -> Self {
        Self([value; 4])
    }

    /// Rounded to nearest, ties to even.
    #[inline(always)]
    pub fn of(ints: Ints) -> Self {
        Self(ints.0.map(|v| v as f32))
    }

    /// Four finite little-endian f16, exactly; those that are not finite become large numbers.
    #[inline(always)]
    pub fn halves(bytes: &[u8; 8]) -> Self {
        Self(std::array::from_fn(|i| {
            let bits = u32::from(u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]));
            let magnitude = f32::from_bits((bits & 0x7fff) << 13) * super::REBIAS;
            f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
        }))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        self.0
    }
}
