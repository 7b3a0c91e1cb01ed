//! The lanes as SSE2, which every x86-64 processor has.

use std::arch::x86_64::*;

/// Eight i16.
#[derive(Clone, Copy)]
pub struct Shorts(__m128i);

/// Four i32.
#[derive(Clone, Copy)]
pub struct Ints(__m128i);

/// Four f32.
#[derive(Clone, Copy)]
pub struct Floats(__m128);

impl Shorts {
    /// Eight i8.
    #[inline(always)]
    pub fn widen(bytes: &[u8; 8]) -> Self {
        // SAFETY: eight bytes are read, at any alignment; SSE2 is part of x86-64.
        unsafe {
            let bytes = _mm_loadl_epi64(bytes.as_ptr().cast());
            Self(_mm_srai_epi16::<8>(_mm_unpacklo_epi8(bytes, bytes)))
        }
    }

    /// The same four twice.
    #[inline(always)]
    pub fn repeat(quad: &[i16; 4]) -> Self {
        // SAFETY: eight bytes are read, at any alignment; SSE2 is part of x86-64.
        unsafe {
            let quad = _mm_loadl_epi64(quad.as_ptr().cast());
            Self(_mm_unpacklo_epi64(quad, quad))
        }
    }

    /// The same two four times.
    #[inline(always)]
    pub fn pair(pair: &[i16; 2]) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_set1_epi32(bytemuck::cast(*pair)) })
    }

    #[inline(always)]
    pub fn of_array(values: &[i16; 8]) -> Self {
        // SAFETY: sixteen bytes are read, at any alignment; SSE2 is part of x86-64.
        Self(unsafe { _mm_loadu_si128(values.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn to_array(self) -> [i16; 8] {
        let mut out = [0; 8];
        // SAFETY: sixteen bytes are written, at any alignment; SSE2 is part of x86-64.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), self.0) };
        out
    }

    /// The first of every two pairs of `self` and then of `other`, and the second of them.
    #[inline(always)]
    pub fn unzip(self, other: Self) -> [Self; 2] {
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let (a, b) = (_mm_castsi128_ps(self.0), _mm_castsi128_ps(other.0));
            let first = _mm_castps_si128(_mm_shuffle_ps::<0b10_00_10_00>(a, b));
            [Self(first), Self(_mm_castps_si128(_mm_shuffle_ps::<0b11_01_11_01>(a, b)))]
        }
    }

    /// The four halves of each of eight little-endian 16-bit words, the lowest first: values from 0 to 15, the second times
    /// 16 and the third times 256, as they stand in the word.
    #[inline(always)]
    pub fn nibbles(words: &[u8; 16]) -> [Self; 4] {
        // SAFETY: sixteen bytes are read, at any alignment; SSE2 is part of x86-64.
        unsafe {
            let words = _mm_loadu_si128(words.as_ptr().cast());
            [
                Self(_mm_and_si128(words, _mm_set1_epi16(0x000f))),
                Self(_mm_and_si128(words, _mm_set1_epi16(0x00f0))),
                Self(_mm_and_si128(words, _mm_set1_epi16(0x0f00))),
                Self(_mm_srli_epi16::<12>(words)),
            ]
        }
    }
}

impl Ints {
    #[inline(always)]
    pub fn all(value: i32) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_set1_epi32(value) })
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_sub_epi32(self.0, other.0) })
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_add_epi32(self.0, other.0) })
    }

    /// Divided by 2ⁿ, rounded down.
    #[inline(always)]
    pub fn divided<const N: i32>(self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_srai_epi32::<N>(self.0) })
    }

    /// Adds the products of neighbours: lane `i` gets `a[2i] · b[2i] + a[2i + 1] · b[2i + 1]`.
    #[inline(always)]
    pub fn add_dot(self, a: Shorts, b: Shorts) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_add_epi32(self.0, _mm_madd_epi16(a.0, b.0)) })
    }

    /// Sums of neighbours: the two of `self`, then the two of `other`.
    #[inline(always)]
    pub fn pairs(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let (a, b) = (_mm_castsi128_ps(self.0), _mm_castsi128_ps(other.0));
            let even = _mm_castps_si128(_mm_shuffle_ps::<0b10_00_10_00>(a, b));
            let odd = _mm_castps_si128(_mm_shuffle_ps::<0b11_01_11_01>(a, b));
            Self(_mm_add_epi32(even, odd))
        }
    }
}

impl Floats {
    #[inline(always)]
    pub fn all(value: f32) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_set1_ps(value) })
    }

    /// Rounded to nearest, ties to even.
    #[inline(always)]
    pub fn of(ints: Ints) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_cvtepi32_ps(ints.0) })
    }

    /// Four little-endian f16 that were [raised](crate::kernels::raised), exactly.
    #[inline(always)]
    pub fn halves(bytes: &[u8; 8]) -> Self {
        // SAFETY: eight bytes are read, at any alignment; SSE2 is part of x86-64.
        unsafe {
            let bits = _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(bytes.as_ptr().cast()));
            // The sign fills the upper bits; the exponent takes its place below the first of them.
            let moved = _mm_and_si128(_mm_srai_epi32::<3>(bits), _mm_set1_epi32(super::SIGN_AND_HALF as i32));
            Self(_mm_mul_ps(_mm_castsi128_ps(moved), _mm_set1_ps(super::REBIAS)))
        }
    }

    /// Four i8.
    #[inline(always)]
    pub fn bytes(bytes: &[u8; 4]) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let bytes = _mm_cvtsi32_si128(i32::from_le_bytes(*bytes));
            let doubled = _mm_unpacklo_epi8(bytes, bytes);
            Self(_mm_cvtepi32_ps(_mm_srai_epi32::<24>(_mm_unpacklo_epi16(doubled, doubled))))
        }
    }

    /// Eight i8.
    #[inline(always)]
    pub fn eight_bytes(bytes: &[u8; 8]) -> [Self; 2] {
        // SAFETY: eight bytes are read, at any alignment; SSE2 is part of x86-64.
        unsafe {
            let bytes = _mm_loadl_epi64(bytes.as_ptr().cast());
            let doubled = _mm_unpacklo_epi8(bytes, bytes);
            [_mm_unpacklo_epi16(doubled, doubled), _mm_unpackhi_epi16(doubled, doubled)]
                .map(|ints| Self(_mm_cvtepi32_ps(_mm_srai_epi32::<24>(ints))))
        }
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_mul_ps(self.0, other.0) })
    }

    /// Sums of neighbours: the two of `self`, then the two of `other`.
    #[inline(always)]
    pub fn pairs(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let even = _mm_shuffle_ps::<0b10_00_10_00>(self.0, other.0);
            Self(_mm_add_ps(even, _mm_shuffle_ps::<0b11_01_11_01>(self.0, other.0)))
        }
    }

    /// Four little-endian f32.
    #[inline(always)]
    pub fn of_bytes(bytes: &[u8; 16]) -> Self {
        // SAFETY: sixteen bytes are read, at any alignment; SSE2 is part of x86-64.
        Self(unsafe { _mm_loadu_ps(bytes.as_ptr().cast()) })
    }

    /// Four little-endian bf16: the upper halves of f32.
    #[inline(always)]
    pub fn upper_halves(bytes: &[u8; 8]) -> Self {
        // SAFETY: eight bytes are read, at any alignment; SSE2 is part of x86-64.
        let bits = unsafe { _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(bytes.as_ptr().cast())) };
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_castsi128_ps(bits) })
    }

    #[inline(always)]
    pub fn of_array(values: &[f32; 4]) -> Self {
        // SAFETY: sixteen bytes are read, at any alignment; SSE2 is part of x86-64.
        Self(unsafe { _mm_loadu_ps(values.as_ptr()) })
    }

    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut out = [0f32; 4];
        // SAFETY: sixteen bytes are written, at any alignment; SSE2 is part of x86-64.
        unsafe { _mm_storeu_ps(out.as_mut_ptr(), self.0) };
        out
    }
}
