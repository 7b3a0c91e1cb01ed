//! The lanes as WebAssembly SIMD.

use std::arch::wasm32::*;

/// Eight i16.
#[derive(Clone, Copy)]
pub struct Shorts(v128);

/// Four i32.
#[derive(Clone, Copy)]
pub struct Ints(v128);

/// Four f32.
#[derive(Clone, Copy)]
pub struct Floats(v128);

impl Shorts {
    /// Eight i8.
    #[inline(always)]
    pub fn widen(bytes: &[u8; 8]) -> Self {
        // SAFETY: eight bytes are read, at any alignment.
        Self(unsafe { i16x8_load_extend_i8x8(bytes.as_ptr().cast()) })
    }

    /// The same four twice.
    #[inline(always)]
    pub fn repeat(quad: &[i16; 4]) -> Self {
        // SAFETY: eight bytes are read, at any alignment.
        Self(unsafe { v128_load64_splat(quad.as_ptr().cast()) })
    }

    /// The same two four times.
    #[inline(always)]
    pub fn pair(pair: &[i16; 2]) -> Self {
        // SAFETY: four bytes are read, at any alignment.
        Self(unsafe { v128_load32_splat(pair.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn of_array(values: &[i16; 8]) -> Self {
        // SAFETY: sixteen bytes are read, at any alignment.
        Self(unsafe { v128_load(values.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn to_array(self) -> [i16; 8] {
        let mut out = [0; 8];
        // SAFETY: sixteen bytes are written, at any alignment.
        unsafe { v128_store(out.as_mut_ptr().cast(), self.0) };
        out
    }

    /// The first of every two pairs of `self` and then of `other`, and the second of them.
    #[inline(always)]
    pub fn unzip(self, other: Self) -> [Self; 2] {
        let first = i32x4_shuffle::<0, 2, 4, 6>(self.0, other.0);
        [Self(first), Self(i32x4_shuffle::<1, 3, 5, 7>(self.0, other.0))]
    }

    /// The four halves of each of eight little-endian 16-bit words, the lowest first: values from 0 to 15, the second times
    /// 16 and the third times 256, as they stand in the word.
    #[inline(always)]
    pub fn nibbles(words: &[u8; 16]) -> [Self; 4] {
        // SAFETY: sixteen bytes are read, at any alignment.
        let words = unsafe { v128_load(words.as_ptr().cast()) };
        [
            Self(v128_and(words, u16x8_splat(0x000f))),
            Self(v128_and(words, u16x8_splat(0x00f0))),
            Self(v128_and(words, u16x8_splat(0x0f00))),
            Self(u16x8_shr(words, 12)),
        ]
    }
}

impl Ints {
    #[inline(always)]
    pub fn all(value: i32) -> Self {
        Self(i32x4_splat(value))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(i32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(i32x4_add(self.0, other.0))
    }

    /// Divided by 2ⁿ, rounded down.
    #[inline(always)]
    pub fn divided<const N: i32>(self) -> Self {
        Self(i32x4_shr(self.0, N as u32))
    }

    /// Adds the products of neighbours: lane `i` gets `a[2i] · b[2i] + a[2i + 1] · b[2i + 1]`.
    #[inline(always)]
    pub fn add_dot(self, a: Shorts, b: Shorts) -> Self {
        Self(i32x4_add(self.0, i32x4_dot_i16x8(a.0, b.0)))
    }

    /// Sums of neighbours: the two of `self`, then the two of `other`.
    #[inline(always)]
    pub fn pairs(self, other: Self) -> Self {
        let even = i32x4_shuffle::<0, 2, 4, 6>(self.0, other.0);
        Self(i32x4_add(even, i32x4_shuffle::<1, 3, 5, 7>(self.0, other.0)))
    }
}

impl Floats {
    #[inline(always)]
    pub fn all(value: f32) -> Self {
        Self(f32x4_splat(value))
    }

    /// Rounded to nearest, ties to even.
    #[inline(always)]
    pub fn of(ints: Ints) -> Self {
        Self(f32x4_convert_i32x4(ints.0))
    }

    /// Four little-endian f16 that were [raised](crate::kernels::raised), exactly.
    #[inline(always)]
    pub fn halves(bytes: &[u8; 8]) -> Self {
        // SAFETY: eight bytes are read, at any alignment.
        let bits = unsafe { i32x4_load_extend_i16x4(bytes.as_ptr().cast()) };
        // The sign is in all upper bits now; the exponent takes its place below the first of them.
        let moved = v128_and(i32x4_shl(bits, 13), u32x4_splat(super::SIGN_AND_HALF));
        Self(f32x4_mul(moved, f32x4_splat(super::REBIAS)))
    }

    /// Four i8.
    #[inline(always)]
    pub fn bytes(bytes: &[u8; 4]) -> Self {
        // SAFETY: four bytes are read, at any alignment.
        let bytes = unsafe { v128_load32_zero(bytes.as_ptr().cast()) };
        Self(f32x4_convert_i32x4(i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(bytes))))
    }

    /// Eight i8.
    #[inline(always)]
    pub fn eight_bytes(bytes: &[u8; 8]) -> [Self; 2] {
        // SAFETY: eight bytes are read, at any alignment.
        let words = unsafe { i16x8_load_extend_i8x8(bytes.as_ptr().cast()) };
        [i32x4_extend_low_i16x8(words), i32x4_extend_high_i16x8(words)].map(|ints| Self(f32x4_convert_i32x4(ints)))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }

    /// Sums of neighbours: the two of `self`, then the two of `other`.
    #[inline(always)]
    pub fn pairs(self, other: Self) -> Self {
        let even = i32x4_shuffle::<0, 2, 4, 6>(self.0, other.0);
        Self(f32x4_add(even, i32x4_shuffle::<1, 3, 5, 7>(self.0, other.0)))
    }

    /// Four little-endian f32.
    #[inline(always)]
    pub fn of_bytes(bytes: &[u8; 16]) -> Self {
        // SAFETY: sixteen bytes are read, at any alignment.
        Self(unsafe { v128_load(bytes.as_ptr().cast()) })
    }

    /// Four little-endian bf16: the upper halves of f32.
    #[inline(always)]
    pub fn upper_halves(bytes: &[u8; 8]) -> Self {
        // SAFETY: eight bytes are read, at any alignment.
        Self(u32x4_shl(unsafe { u32x4_load_extend_u16x4(bytes.as_ptr().cast()) }, 16))
    }

    #[inline(always)]
    pub fn of_array(values: &[f32; 4]) -> Self {
        // SAFETY: sixteen bytes are read, at any alignment.
        Self(unsafe { v128_load(values.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut out = [0f32; 4];
        // SAFETY: sixteen bytes are written, at any alignment.
        unsafe { v128_store(out.as_mut_ptr().cast(), self.0) };
        out
    }
}
