//! Four f32 lanes: the few instructions that the product is written in. Natively they only stand in for those of wasm,
//! so that the tests of this machine cover the product.

#[cfg(target_arch = "wasm32")]
use std::arch::wasm32::*;

#[cfg(target_arch = "wasm32")]
#[derive(Clone, Copy)]
pub struct Quad(v128);

#[cfg(target_arch = "wasm32")]
impl Quad {
    #[inline(always)]
    pub fn zero() -> Self {
        Self(f32x4_splat(0.0))
    }

    #[inline(always)]
    pub fn of(values: &[f32; 4]) -> Self {
        // SAFETY: four f32 are sixteen bytes, and loads need no alignment.
        Self(unsafe { v128_load(values.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn store(self, to: &mut [f32; 4]) {
        // SAFETY: as for loads.
        unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
    }

    /// The value at `from` in every lane.
    ///
    /// # Safety
    /// `from` may be read.
    #[inline(always)]
    pub unsafe fn repeat(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { v128_load32_splat(from.cast()) })
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }

    /// `self + a · b`, rounded once where the build and the processor can.
    #[inline(always)]
    pub fn plus_product(self, a: Self, b: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(f32x4_relaxed_madd(a.0, b.0, self.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        return Self(f32x4_add(self.0, f32x4_mul(a.0, b.0)));
    }

    /// Rows as columns.
    #[inline(always)]
    pub fn transposed([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a.0, b.0), i32x4_shuffle::<0, 4, 1, 5>(c.0, d.0));
        let (ef, gh) = (i32x4_shuffle::<2, 6, 3, 7>(a.0, b.0), i32x4_shuffle::<2, 6, 3, 7>(c.0, d.0));
        let (low, high) = (i64x2_shuffle::<0, 2>, i64x2_shuffle::<1, 3>);
        [Self(low(ab, cd)), Self(high(ab, cd)), Self(low(ef, gh)), Self(high(ef, gh))]
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy)]
pub struct Quad([f32; 4]);

#[cfg(not(target_arch = "wasm32"))]
impl Quad {
    pub fn zero() -> Self {
        Self([0.0; 4])
    }

    pub fn of(values: &[f32; 4]) -> Self {
        Self(*values)
    }

    pub fn store(self, to: &mut [f32; 4]) {
        *to = self.0;
    }

    /// # Safety
    /// `from` may be read.
    pub unsafe fn repeat(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Self([unsafe { from.read() }; 4])
    }

    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    pub fn plus_product(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }

    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        std::array::from_fn(|i| Self(rows.map(|row| row.0[i])))
    }
}
