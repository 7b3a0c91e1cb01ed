//! What training computes with, and norms, activations and rotation for reading too: operations on f32 tensors
//! `[rows, width]` on the CPU, each with its gradient written by hand and each in a file of its own. Sums are taken in an
//! order that does not depend on the number of cores, so that a run can be repeated bit for bit. The tests compare each
//! with candle's plain operations and with finite differences.

mod activation;
mod attention;
mod cross_entropy;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod rotate;

pub use activation::{Unary, swiglu};
pub use attention::{causal_attention, joined_causal_attention};
pub use cross_entropy::cross_entropy;
pub use dropout::{Mask, dropout};
pub use embedding::embedding;
pub use linear::linear;
pub use norm::{layer_norm, rms_norm};
pub use rotate::rotate;

use super::parallel;
use crate::error::{Error, Result, try_vec};
use candle_core::{CpuStorage, Device, Layout, Shape, Storage, Tensor};

/// What candle expects of an operation.
type Output = candle_core::Result<(CpuStorage, Shape)>;

/// The values of a contiguous operand.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let (start, end) =
        layout.contiguous_offsets().ok_or_else(|| candle_core::Error::msg("expected a contiguous operand"))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// The same, to be written over.
fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> candle_core::Result<&'a mut [f32]> {
    let (start, end) =
        layout.contiguous_offsets().ok_or_else(|| candle_core::Error::msg("expected a contiguous operand"))?;
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[start..end]),
        _ => Err(candle_core::Error::msg("expected values of 32 bits")),
    }
}

/// Lends the values of tensors, row-major, to `f`.
fn lend<const N: usize, R>(tensors: [&Tensor; N], f: impl FnOnce([&[f32]; N]) -> Result<R>) -> candle_core::Result<R> {
    let tensors = tensors.into_iter().map(Tensor::contiguous).collect::<candle_core::Result<Vec<_>>>()?;
    let held: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut lent = [&[][..]; N];
    for (lent, (storage, layout)) in lent.iter_mut().zip(&held) {
        let Storage::Cpu(storage) = &**storage else {
            return Err(candle_core::Error::msg("expected a tensor on the CPU"));
        };
        *lent = values(storage, layout)?;
    }
    f(lent).map_err(to_candle)
}

/// The result of an operation.
fn output(values: Result<Vec<f32>>, shape: impl Into<Shape>) -> Output {
    Ok((CpuStorage::F32(values.map_err(to_candle)?), shape.into()))
}

/// A gradient of the shape of `like`.
fn gradient(values: Vec<f32>, like: &Tensor) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}

fn to_candle(error: Error) -> candle_core::Error {
    match error {
        Error::Engine(error) => error,
        error => candle_core::Error::wrap(error),
    }
}

/// A buffer of zeros.
fn zeros(len: usize) -> Result<Vec<f32>> {
    try_vec(0f32, len, "training")
}

/// The sums of the columns of partial sums `[parts, width]`.
fn sum_parts(parts: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0f32; width];
    for part in parts.chunks_exact(width.max(1)) {
        accumulate(&mut sum, part);
    }
    sum
}

/// `sum += row`.
#[inline]
fn accumulate(sum: &mut [f32], row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}

/// The sums of the columns of `[rows, width]`.
fn column_sums(x: &[f32], width: usize) -> Result<Vec<f32>> {
    let rows = parallel::rows(width);
    let mut parts = zeros(x.len().div_ceil(rows * width.max(1)) * width)?;
    parallel::for_each(x.chunks(rows * width.max(1)).zip(parts.chunks_mut(width.max(1))), |(x, part)| {
        for row in x.chunks_exact(width) {
            accumulate(part, row);
        }
    });
    Ok(sum_parts(&parts, width))
}

/// `out[i] = f(x[i])` with several operands, on all cores.
fn map<const N: usize>(x: [&[f32]; N], f: impl Fn([f32; N]) -> f32 + Send + Sync) -> Result<Vec<f32>> {
    let len = x.first().map_or(0, |x| x.len());
    let mut out = zeros(len)?;
    parallel::for_each(out.chunks_mut(parallel::PART).zip((0..).step_by(parallel::PART)), |(out, start)| {
        let x = x.map(|x| &x[start..start + out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            *out = f(x.map(|x| x[i]));
        }
    });
    Ok(out)
}

/// [`map`] of one operand, which the results take the place of.
fn map_in_place(x: &mut [f32], f: impl Fn(f32) -> f32 + Send + Sync) {
    parallel::for_each(x.chunks_mut(parallel::PART), |part| part.iter_mut().for_each(|x| *x = f(*x)));
}

#[cfg(test)]
mod check;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::check::random;
    use super::*;
    use crate::kernels::attention::{Heads, Reach};
    use candle_core::Var;

    /// A pass through most operations and back, on one thread or several: the same bits.
    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let var = |shape: &[usize], seed| Var::from_tensor(&random(shape, seed)).unwrap();
        let vars = [var(&[1000, 96], 1), var(&[96], 2), var(&[96], 3), var(&[192, 96], 4), var(&[192], 5)];
        let [x, weight, bias, matrix, offsets] = &vars;
        let heads = Heads { query: 4, key_value: 4, dim: 48, scale: 0.1, reach: Reach::Causal };
        let mask = Some(Mask { p: 0.2, stream: crate::train::Random::new(1, "dropout") });
        let gradients = || {
            let normed = layer_norm(x, weight, bias, 1e-5).unwrap();
            let y = linear(&normed, matrix, Some(offsets)).unwrap();
            let y = causal_attention(heads, [&y, &y, &y], &[300, 700], mask).unwrap();
            let loss = cross_entropy(&swiglu(&y, &y).unwrap(), &[7; 1000]).unwrap();
            let store = loss.backward().unwrap();
            let bits = |var: &Var| lend([store.get(var).unwrap()], |[values]| Ok(values.to_vec())).unwrap();
            vars.iter().map(bits).collect::<Vec<_>>()
        };
        let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(gradients);
        let one = with(1);
        for threads in [2, 5] {
            assert!(with(threads) == one, "{threads} threads");
        }
    }
}
