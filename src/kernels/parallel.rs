//! Work on parts of slices: natively on all cores, in wasm on the threads of the [pool](super::pool) where the build has
//! one. What the parts are must not depend on the number of threads; then neither do the results.

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
    let failed = Mutex::new(Ok(()));
    super::pool::run(parts.len(), &|i| {
        let part = parts[i].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = part.map(&work) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
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
