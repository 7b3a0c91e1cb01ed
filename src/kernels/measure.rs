//! How quick the products are here: what `cargo xtask bench` asks, natively and in the page.

use super::lanes::Floats;
use super::{Format, Matrix};
use crate::error::{Error, Result, try_vec};
use crate::train::Random;
use std::hint::black_box;

/// Seconds that one product of a matrix `[rows, cols]` with `batch` rows of activations takes, the mean over about
/// `seconds`. Weights come from memory, as in a model, not from a cache: there are as many matrices as take `far` bytes,
/// and they take turns. `now` is a clock in seconds.
///
/// # Errors
/// [`Error::BadTensor`] when a row is not a whole number of blocks, and [`Error::OutOfMemory`].
pub fn product(
    format: Format,
    (rows, cols): (usize, usize),
    batch: usize,
    far: usize,
    seconds: f64,
    now: impl Fn() -> f64,
) -> Result<f64> {
    let random = Random::new(7, "kernels");
    let normal = |len: usize| -> Vec<f32> { (0..len).map(|i| random.normal(i as u64) as f32).collect() };
    let Some(row_bytes) = format.row_bytes(cols) else {
        let expected = format!("rows of a multiple of {} values for {}", format.block_len(), format.name());
        return Err(Error::BadTensor { name: "bench".into(), expected, found: cols.to_string() });
    };
    let mut row = try_vec(0u8, row_bytes, "a row of weights")?;
    format.quantize(&normal(cols), &mut row);
    let copies = (far / (rows * row_bytes).max(1)).max(2);
    let matrices = (0..copies)
        .map(|_| {
            let mut bytes = try_vec(0u8, rows * row_bytes, "weights")?;
            bytes.chunks_exact_mut(row_bytes).for_each(|out| out.copy_from_slice(&row));
            Matrix::new("bench", format, rows, cols, bytes)
        })
        .collect::<Result<Vec<_>>>()?;
    let x = normal(batch * cols);
    for matrix in &matrices {
        black_box(matrix.matmul(black_box(&x))?);
    }
    let (began, mut passes) = (now(), 0u32);
    for matrix in matrices.iter().cycle() {
        black_box(matrix.matmul(black_box(&x))?);
        passes += 1;
        if now() - began > seconds {
            break;
        }
    }
    Ok((now() - began) / f64::from(passes))
}

/// Bytes a second when all that is done with `bytes` of memory is to add it up, on one thread.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn read(bytes: usize, seconds: f64, now: impl Fn() -> f64) -> Result<f64> {
    let values = try_vec(1f32, bytes / 4, "memory to read")?;
    let pass = || {
        // Sums of their own, so that none has to wait for another.
        let [mut a, mut b, mut c, mut d] = [Floats::all(0.0); 4];
        for part in black_box(&values).as_chunks::<16>().0 {
            let [first, second, third, fourth] = bytemuck::cast_ref::<_, [[f32; 4]; 4]>(part);
            (a, b) = (a.plus(Floats::of_array(first)), b.plus(Floats::of_array(second)));
            (c, d) = (c.plus(Floats::of_array(third)), d.plus(Floats::of_array(fourth)));
        }
        black_box(a.plus(b).plus(c.plus(d)).to_array());
    };
    pass();
    let (began, mut passes) = (now(), 0u32);
    while now() - began < seconds {
        pass();
        passes += 1;
    }
    Ok(f64::from(passes) * bytes as f64 / (now() - began))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn a_product_takes_time() {
        let began = std::time::Instant::now();
        let now = || began.elapsed().as_secs_f64();
        let time = |cols: usize| product(Format::Q8_0, (8, cols), 1, 0, 1e-3, now);
        assert!(time(64).unwrap() > 0.0);
        assert!(time(33).is_err());
        assert!(read(1 << 12, 1e-3, now).unwrap() > 0.0);
    }
}
