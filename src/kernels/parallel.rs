//! Work on parts of slices: natively on all cores, in wasm on the threads of the [pool](super::pool) where the build has
//! one. The results must depend neither on the number of threads nor on what the parts are.

use std::ops::Range;

/// Values that make a part worth handing to another core.
pub const PART: usize = 1 << 14;

/// Does `work` on every part, in no order.
pub fn for_each<P: Send>(parts: impl Iterator<Item = P>, work: impl Fn(P) + Send + Sync) {
    let done: Result<(), std::convert::Infallible> = try_for_each(parts, |part| {
        work(part);
        Ok(())
    });
    let Ok(()) = done;
}

/// Does `work` on every part, in no order, until one fails.
///
/// # Errors
/// That of a part that failed.
#[cfg(not(target_arch = "wasm32"))]
pub fn try_for_each<P: Send, E: Send>(
    parts: impl Iterator<Item = P>,
    work: impl Fn(P) -> Result<(), E> + Send + Sync,
) -> Result<(), E> {
    use rayon::prelude::*;
    let mut parts: Vec<_> = parts.collect();
    match parts.len() {
        // One part is not worth the way to another thread.
        0 | 1 => parts.pop().map_or(Ok(()), work),
        _ => parts.into_par_iter().try_for_each(work),
    }
}

/// Does `work` on every part, in no order, until one fails.
///
/// # Errors
/// That of a part that failed.
#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub fn try_for_each<P: Send, E: Send>(
    parts: impl Iterator<Item = P>,
    work: impl Fn(P) -> Result<(), E> + Send + Sync,
) -> Result<(), E> {
    use std::sync::{Mutex, PoisonError};
    let parts: Vec<_> = parts.map(|part| Mutex::new(Some(part))).collect();
    try_each(parts.len(), |i| parts[i].lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), &work))
}

/// Does `work` on every part until one fails.
///
/// # Errors
/// That of the part that failed.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
pub fn try_for_each<P: Send, E: Send>(
    mut parts: impl Iterator<Item = P>,
    work: impl Fn(P) -> Result<(), E> + Send + Sync,
) -> Result<(), E> {
    parts.try_for_each(work)
}

/// Does `work` on ranges that make up `0..count`, in no order, until one fails. They have `most` places, and fewer and
/// fewer, down to `least` (above 0), towards the end: then no thread waits long for the last. All but the last range have
/// a multiple of `least`.
///
/// # Errors
/// That of a range that failed.
pub fn try_ranges<E: Send>(
    count: usize,
    most: usize,
    least: usize,
    work: impl Fn(Range<usize>) -> Result<(), E> + Send + Sync,
) -> Result<(), E> {
    let bounds = bounds(count, most, least, threads());
    try_each(bounds.len() - 1, |i| work(bounds[i]..bounds[i + 1]))
}

/// Where the ranges of [`try_ranges`] meet, from 0 to `count`.
fn bounds(count: usize, most: usize, least: usize, threads: usize) -> Vec<usize> {
    let mut bounds = vec![0];
    let mut at = 0;
    while at < count {
        // Each thread still has two ranges to come.
        let share = if threads > 1 { (count - at) / (2 * threads) } else { most };
        at = count.min(at + share.clamp(least, most.max(least)).next_multiple_of(least));
        bounds.push(at);
    }
    bounds
}

#[cfg(not(target_arch = "wasm32"))]
fn threads() -> usize {
    rayon::current_num_threads()
}

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
fn threads() -> usize {
    super::pool::threads() as usize
}

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
fn threads() -> usize {
    1
}

/// Does `work` on all numbers below `count`.
#[cfg(not(target_arch = "wasm32"))]
fn try_each<E: Send>(count: usize, work: impl Fn(usize) -> Result<(), E> + Send + Sync) -> Result<(), E> {
    try_for_each(0..count, work)
}

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
fn try_each<E: Send>(count: usize, work: impl Fn(usize) -> Result<(), E> + Send + Sync) -> Result<(), E> {
    use std::sync::{Mutex, PoisonError};
    let failed = Mutex::new(Ok(()));
    super::pool::run(count, &|i| {
        if let Err(error) = work(i) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
fn try_each<E: Send>(count: usize, work: impl Fn(usize) -> Result<(), E> + Send + Sync) -> Result<(), E> {
    (0..count).try_for_each(work)
}

/// How many rows of this width make a part.
pub fn rows(width: usize) -> usize {
    (PART / width.max(1)).max(1)
}

/// A slice whose parts are written by several threads where they do not lie side by side.
pub struct Shared<'a> {
    start: *mut f32,
    len: usize,
    slice: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: it gives access to the values only through `write`, whose callers see to it that no two threads meet.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: std::marker::PhantomData }
    }

    /// Copies `values` to `at` and what follows.
    ///
    /// # Safety
    /// While one thread writes some values, no other writes the same.
    #[inline(always)]
    pub unsafe fn write(&self, at: usize, values: &[f32]) {
        assert!(at <= self.len && values.len() <= self.len - at, "{at} of {}", self.len);
        for (i, value) in values.iter().enumerate() {
            // One by one: they are few, and for those copying memory as a whole is a slow call in wasm.
            // SAFETY: within the slice, which is borrowed mutably for as long as this lives; the caller sees to the rest.
            unsafe { self.start.add(at + i).write(*value) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_smaller_and_leave_nothing_out() {
        assert_eq!(bounds(0, 8, 2, 2), [0]);
        assert_eq!(bounds(3, 8, 4, 2), [0, 3]);
        assert_eq!(bounds(20, 8, 4, 1), [0, 8, 16, 20]);
        assert_eq!(bounds(64, 8, 2, 2), [0, 8, 16, 24, 32, 40, 46, 50, 54, 56, 58, 60, 62, 64]);
        for (count, most, least, threads) in [(1, 1, 1, 3), (100, 7, 3, 4), (1000, 64, 8, 8), (12, 3, 5, 2)] {
            let bounds = bounds(count, most, least, threads);
            assert_eq!((bounds[0], bounds[bounds.len() - 1]), (0, count));
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
        }
    }
}
