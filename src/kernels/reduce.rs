//! Sums and maxima of rows in one fixed order that SIMD can follow.

/// Partial results that are kept; a multiple of every SIMD width in use.
pub const LANES: usize = 16;

/// The sum of `f` over rows of equal length, value by value.
#[inline(always)]
pub fn total<const N: usize>(rows: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    let len = rows.first().map_or(0, |row| row.len());
    let rows = rows.map(|row| &row[..len]);
    let whole = len - len % LANES;
    let mut sums = [0f32; LANES];
    for i in (0..whole).step_by(LANES) {
        let chunks: [&[f32]; N] = rows.map(|row| &row[i..i + LANES]);
        for lane in 0..LANES {
            sums[lane] += f(chunks.map(|chunk| chunk[lane]));
        }
    }
    sums.iter().sum::<f32>() + (whole..len).map(|i| f(rows.map(|row| row[i]))).sum::<f32>()
}

/// The largest value of a row; those that are not numbers are passed over.
#[inline]
pub fn max(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    // f32::max would be a call for each value in wasm.
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut found = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            found[lane] = larger(found[lane], chunk[lane]);
        }
    }
    found.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| larger(a, b))
}
