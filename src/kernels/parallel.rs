//! Work on parts of slices: natively on all cores, in wasm on the one there is. What the parts are must not depend on
//! the number of cores; then neither do the results.

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
    parts.collect::<Vec<_>>().into_par_iter().try_for_each(work)
}

/// Does `work` on every part until one fails.
///
/// # Errors
/// That of the part that failed.
#[cfg(target_arch = "wasm32")]
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
