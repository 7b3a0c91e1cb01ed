//! Keys and values as a cache keeps them: in f32, or smaller with a scale for each row.

use super::float::from_f16;
use super::lanes::Floats;
use crate::error::{Error, Result};
use half::f16;
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// How a cache keeps keys and values. A row is one position of one head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// As they are computed.
    #[default]
    F32,
    /// Half the memory: f16 times a power of two for each row, so that none is too large or too small for it.
    F16,
    /// A quarter: 8-bit integers times the row's scale.
    Q8,
}

impl CacheType {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Q8];

    /// Its name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
        }
    }
}

impl Display for CacheType {
    fn fmt(&self, f: &mut Formatter) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CacheType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| Error::BadParameter {
            name: "cacheType".into(),
            expected: Self::ALL.map(Self::name).join(", "),
            found: name.into(),
        })
    }
}

/// A value as it is kept, before its row's scale.
pub trait Kept: Copy {
    fn eight(values: &[Self; 8]) -> [Floats; 2];

    fn value(self) -> f32;
}

impl Kept for f32 {
    #[inline(always)]
    fn eight(values: &[Self; 8]) -> [Floats; 2] {
        bytemuck::cast_ref::<_, [[f32; 4]; 2]>(values).each_ref().map(Floats::of_array)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// What [`Floats::halves`] takes from an f16.
const RAISED: f32 = 1024.0;

/// The bits of an f16 that is zero or normal, and finite; worth a 1,024th of it.
pub type Half = [u8; 2];

impl Kept for Half {
    #[inline(always)]
    fn eight(values: &[Self; 8]) -> [Floats; 2] {
        bytemuck::cast_ref::<_, [[u8; 8]; 2]>(values).each_ref().map(Floats::halves)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        from_f16(self) / RAISED
    }
}

/// The bits of an i8.
pub type Byte = u8;

impl Kept for Byte {
    #[inline(always)]
    fn eight(values: &[Self; 8]) -> [Floats; 2] {
        Floats::eight_bytes(values)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self as i8)
    }
}

/// Values of rows, and the scale of each row.
#[derive(Clone)]
pub struct Scaled<K> {
    pub values: Vec<K>,
    pub scales: Vec<f32>,
}

impl<K: Kept> Scaled<K> {
    const NONE: Self = Self { values: Vec::new(), scales: Vec::new() };

    /// Adds a row, a scale of NaN in place of one with a value that is not finite.
    fn push(&mut self, row: &[f32], scale: impl Fn(f32) -> f32, kept: impl Fn(f32) -> K, worth: f32) {
        let scale = scale(row.iter().fold(0f32, |most, value| most.max(value.abs())));
        self.values.extend(row.iter().map(|value| kept(value / scale)));
        let finite = row.iter().all(|value| value.is_finite());
        self.scales.push(if finite { scale * worth } else { f32::NAN });
    }

    fn truncate(&mut self, rows: usize, dim: usize) {
        self.values.truncate(rows * dim);
        self.scales.truncate(rows);
    }

    fn grow(&mut self, rows: usize, dim: usize) -> Result<()> {
        grow(&mut self.values, rows * dim, dim)?;
        grow(&mut self.scales, rows, 1)
    }

    fn extend(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
        self.scales.extend_from_slice(&other.scales);
    }

    fn size_in_bytes(&self) -> usize {
        size(&self.values) + size(&self.scales)
    }
}

/// Rows of one head, one after the other.
#[derive(Clone)]
pub enum Rows {
    F32(Vec<f32>),
    F16(Scaled<Half>),
    Q8(Scaled<Byte>),
}

impl Rows {
    /// No rows.
    pub fn new(kind: CacheType) -> Self {
        match kind {
            CacheType::F32 => Self::F32(Vec::new()),
            CacheType::F16 => Self::F16(Scaled::NONE),
            CacheType::Q8 => Self::Q8(Scaled::NONE),
        }
    }

    /// How many values all rows have.
    pub fn values(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(rows) => rows.values.len(),
            Self::Q8(rows) => rows.values.len(),
        }
    }

    /// The memory they take, with what is set aside for more.
    pub fn size_in_bytes(&self) -> usize {
        match self {
            Self::F32(values) => size(values),
            Self::F16(rows) => rows.size_in_bytes(),
            Self::Q8(rows) => rows.size_in_bytes(),
        }
    }

    /// Forgets all rows of `dim` values from row `rows` on.
    pub fn truncate(&mut self, rows: usize, dim: usize) {
        match self {
            Self::F32(values) => values.truncate(rows * dim),
            Self::F16(held) => held.truncate(rows, dim),
            Self::Q8(held) => held.truncate(rows, dim),
        }
    }

    /// Makes room for more rows of `dim` values.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn grow(&mut self, rows: usize, dim: usize) -> Result<()> {
        match self {
            Self::F32(values) => grow(values, rows * dim, dim),
            Self::F16(held) => held.grow(rows, dim),
            Self::Q8(held) => held.grow(rows, dim),
        }
    }

    /// Adds a row. One with a value that is not finite becomes NaN as a whole where it has a scale.
    pub fn push(&mut self, row: &[f32]) {
        match self {
            Self::F32(values) => values.extend_from_slice(row),
            Self::F16(held) => held.push(row, power_of_two, normal_half, RAISED),
            Self::Q8(held) => {
                let scale = |largest: f32| (largest / f32::from(i8::MAX)).max(f32::MIN_POSITIVE);
                held.push(row, scale, |value| value.round() as i8 as Byte, 1.0);
            }
        }
    }

    /// Adds the rows of another one of the same type.
    pub fn extend(&mut self, other: &Self) {
        match (self, other) {
            (Self::F32(to), Self::F32(from)) => to.extend_from_slice(from),
            (Self::F16(to), Self::F16(from)) => to.extend(from),
            (Self::Q8(to), Self::Q8(from)) => to.extend(from),
            _ => debug_assert!(false, "rows of two types"),
        }
    }
}

/// Divided by it, the largest value lies from 2¹⁴ to 2¹⁵. A scale that is itself subnormal would cost time.
fn power_of_two(largest: f32) -> f32 {
    let exponent = (largest.to_bits() >> 23) as i32 - 127 - 14;
    f32::from_bits(((exponent.clamp(-100, 110) + 127) as u32) << 23)
}

fn normal_half(value: f32) -> Half {
    let half = f16::from_f32(value);
    if half.is_normal() { half.to_le_bytes() } else { [0; 2] }
}

/// The bytes that are set aside.
fn size<T>(values: &Vec<T>) -> usize {
    values.capacity() * size_of::<T>()
}

/// Makes room for `more` values: in steps of a quarter, and of 64 rows at least, so that little is left unused and little
/// is copied.
fn grow<T>(held: &mut Vec<T>, more: usize, dim: usize) -> Result<()> {
    let wanted = held.len() + more;
    if wanted <= held.capacity() {
        return Ok(());
    }
    let room = more.max(held.len() / 4).max(64 * dim);
    held.try_reserve_exact(room).map_err(|_| Error::OutOfMemory {
        what: "the context (KV cache)".into(),
        needed: (wanted as u64).saturating_mul(size_of::<T>() as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values;

    /// All values of rows of `dim`.
    fn kept(rows: &Rows, dim: usize) -> Vec<f32> {
        fn scaled<K: Kept>(rows: &Scaled<K>, dim: usize) -> Vec<f32> {
            let rows = rows.values.chunks(dim).zip(&rows.scales);
            rows.flat_map(|(row, scale)| row.iter().map(move |value| value.value() * scale)).collect()
        }
        match rows {
            Rows::F32(values) => values.clone(),
            Rows::F16(rows) => scaled(rows, dim),
            Rows::Q8(rows) => scaled(rows, dim),
        }
    }

    #[test]
    fn what_is_kept_is_near_whatever_its_size() {
        const DIM: usize = 24;
        for (kind, error) in [(CacheType::F32, 0.0), (CacheType::F16, 2f32.powi(-11)), (CacheType::Q8, 0.51 / 127.0)] {
            for size in [1e-30f32, 1e-7, 1.0, 300.0, 1e30] {
                let row: Vec<f32> = values(DIM, 3).iter().map(|value| value * size).collect();
                let largest = row.iter().fold(0f32, |most, value| most.max(value.abs()));
                let mut rows = Rows::new(kind);
                rows.grow(2, DIM).unwrap();
                rows.push(&[0.0; DIM]);
                rows.push(&row);
                assert_eq!(rows.values(), 2 * DIM);
                let found = kept(&rows, DIM);
                assert!(found[..DIM].iter().all(|value| *value == 0.0));
                for (found, wanted) in found[DIM..].iter().zip(&row) {
                    assert!((found - wanted).abs() <= error * largest, "{kind}: {found} for {wanted} of {largest}");
                }
                rows.truncate(1, DIM);
                assert_eq!(kept(&rows, DIM), [0.0; DIM]);
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_not_hidden() {
        for kind in CacheType::ALL {
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut rows = Rows::new(kind);
                rows.push(&[1.0, odd, 2.0]);
                assert!(kept(&rows, 3).iter().any(|value| !value.is_finite()), "{kind}: {odd}");
            }
        }
    }
}
