//! The lanes as arrays, for processors without a set of their own; the reference of the others.
#![cfg_attr(test, allow(dead_code, reason = "the tests need not call all of it"))]

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

    /// The same two four times.
    #[inline(always)]
    pub fn pair(pair: &[i16; 2]) -> Self {
        Self(std::array::from_fn(|i| pair[i % 2]))
    }

    #[inline(always)]
    pub fn of_array(values: &[i16; 8]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    pub fn to_array(self) -> [i16; 8] {
        self.0
    }

    /// The first of every two pairs of `self` and then of `other`, and the second of them.
    #[inline(always)]
    pub fn unzip(self, other: Self) -> [Self; 2] {
        let of = |i: usize| if i < 8 { self.0[i] } else { other.0[i - 8] };
        [0, 1].map(|which| Self(std::array::from_fn(|i| of(i / 2 * 4 + 2 * which + i % 2))))
    }

    /// The four halves of each of eight little-endian 16-bit words, the lowest first: values from 0 to 15, the second times
    /// 16 and the third times 256, as they stand in the word.
    #[inline(always)]
    pub fn nibbles(words: &[u8; 16]) -> [Self; 4] {
        let word = |i: usize| u16::from_le_bytes([words[2 * i], words[2 * i + 1]]);
        let masks = [0x000f, 0x00f0, 0x0f00];
        let [a, b, c] = masks.map(|mask| Self(std::array::from_fn(|i| (word(i) & mask) as i16)));
        [a, b, c, Self(std::array::from_fn(|i| (word(i) >> 12) as i16))]
    }
}

impl Ints {
    #[inline(always)]
    pub fn all(value: i32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_sub(other.0[i])))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
    }

    /// Divided by 2ⁿ, rounded down.
    #[inline(always)]
    pub fn divided<const N: i32>(self) -> Self {
        Self(self.0.map(|value| value >> N))
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

    /// Four little-endian f16 that were [raised](crate::kernels::raised), exactly.
    #[inline(always)]
    pub fn halves(bytes: &[u8; 8]) -> Self {
        Self(std::array::from_fn(|i| {
            let bits = i32::from(i16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]));
            f32::from_bits((bits << 13) as u32 & super::SIGN_AND_HALF) * super::REBIAS
        }))
    }

    /// Four i8.
    #[inline(always)]
    pub fn bytes(bytes: &[u8; 4]) -> Self {
        Self(bytes.map(|b| f32::from(b as i8)))
    }

    /// Eight i8.
    #[inline(always)]
    pub fn eight_bytes(bytes: &[u8; 8]) -> [Self; 2] {
        std::array::from_fn(|half| Self(std::array::from_fn(|i| f32::from(bytes[4 * half + i] as i8))))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    /// Sums of neighbours: the two of `self`, then the two of `other`.
    #[inline(always)]
    pub fn pairs(self, other: Self) -> Self {
        Self([self.0[0] + self.0[1], self.0[2] + self.0[3], other.0[0] + other.0[1], other.0[2] + other.0[3]])
    }

    /// Four little-endian f32.
    #[inline(always)]
    pub fn of_bytes(bytes: &[u8; 16]) -> Self {
        Self(std::array::from_fn(|i| f32::from_le_bytes(std::array::from_fn(|b| bytes[4 * i + b]))))
    }

    /// Four little-endian bf16: the upper halves of f32.
    #[inline(always)]
    pub fn upper_halves(bytes: &[u8; 8]) -> Self {
        Self(std::array::from_fn(|i| f32::from_le_bytes([0, 0, bytes[2 * i], bytes[2 * i + 1]])))
    }

    #[inline(always)]
    pub fn of_array(values: &[f32; 4]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        self.0
    }
}
