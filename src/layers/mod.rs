//! The parts decoders are built from. Activations are candle tensors of shape `[rows, width]` in f32, where a row is one
//! position of one sequence; a weight is either packed (a [`Matrix`](crate::kernels::Matrix) in the format of its file)
//! or dense (a candle tensor, which can be trained).

mod activation;
mod cache;
mod linear;
mod norm;
mod rotary;

pub use activation::Activation;
pub use cache::{Crossed, KvCache};
pub use linear::{Embedding, Input, Linear, Outputs, Weight};
pub use norm::Norm;
pub use rotary::{Rotary, Scaling};

use crate::error::Result;
use candle_core::{Device, Storage, Tensor};

/// Lends the values of a CPU f32 tensor, row-major, to `f`.
pub(crate) fn with_values<R>(x: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(candle_core::Error::Msg("expected a tensor on the CPU".into()).into());
    };
    let (start, _) = layout.contiguous_offsets().unwrap_or_default();
    let values = storage.as_slice::<f32>()?;
    f(&values[start..start + layout.shape().elem_count()])
}

/// A CPU tensor `[rows, width]` of these values.
pub(crate) fn rows(values: Vec<f32>, rows: usize) -> Result<Tensor> {
    let width = values.len() / rows.max(1);
    Ok(Tensor::from_vec(values, (rows, width), &Device::Cpu)?)
}
