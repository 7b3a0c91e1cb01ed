//! Linear layers and embeddings over packed or dense weights.

use super::{rows, with_values};
use crate::error::{Error, Result, try_vec};
use crate::kernels::{Matrix, Rounded, tracked};
use candle_core::Tensor;
use std::sync::Arc;

/// The weights `[outputs, inputs]` of a linear layer, or `[entries, width]` of an embedding. Cloning shares them, which
/// is how a tied output head costs nothing.
#[derive(Clone)]
pub enum Weight {
    /// Kept as the file has them; for inference.
    Packed(Arc<Matrix>),
    /// An f32 tensor; gradients flow through it.
    Dense(Tensor),
}

impl Weight {
    /// The number of outputs (or entries).
    pub fn rows(&self) -> usize {
        match self {
            Self::Packed(matrix) => matrix.rows(),
            Self::Dense(tensor) => tensor.dims().first().copied().unwrap_or(0),
        }
    }

    /// Rows by their numbers, one after the other; only those are decoded.
    fn rows_at(&self, at: &[u32]) -> Result<Vec<f32>> {
        match self {
            Self::Packed(matrix) => {
                let mut out = try_vec(0f32, at.len() * matrix.cols(), "rows of a table")?;
                for (&row, out) in at.iter().zip(out.chunks_exact_mut(matrix.cols().max(1))) {
                    matrix.row(row as usize, out)?;
                }
                Ok(out)
            }
            Self::Dense(tensor) => with_values(tensor, |values| {
                let width = tensor.dim(1)?;
                Ok(at.iter().flat_map(|&row| &values[row as usize * width..][..width]).copied().collect())
            }),
        }
    }

    /// Whether this is the same matrix, value for value (packed: in the same format).
    pub fn is(&self, other: &Matrix) -> Result<bool> {
        match self {
            Self::Packed(matrix) => Ok(**matrix == *other),
            Self::Dense(tensor) => {
                let other = other.to_tensor()?;
                with_values(tensor, |a| with_values(&other, |b| Ok(a == b)))
            }
        }
    }

    /// `x · selfᵀ + bias` for `x` of shape `[n, inputs]`.
    fn matmul(&self, input: &Input, bias: Option<&Tensor>) -> Result<Tensor> {
        let Input { x, rounded } = input;
        match self {
            // Packed products have no gradient; losing it unsaid would be worse than failing.
            Self::Packed(_) if x.track_op() => {
                Err(candle_core::Error::Msg("packed weights cannot be trained through".into()).into())
            }
            Self::Packed(matrix) => plus(with_values(x, |x| matrix.matmul_rounded(x, rounded))?, bias, x.dim(0)?),
            Self::Dense(tensor) => tracked::linear(x, tensor, bias),
        }
    }
}

/// Some of the outputs of a larger layer, which falls into groups of equal size: of each, `len` from `start` on.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    pub groups: usize,
    pub start: usize,
    pub len: usize,
}

impl Outputs {
    /// Layers of so many outputs each, one after the other.
    pub fn in_turn<const N: usize>(counts: [usize; N]) -> [Self; N] {
        let mut before = 0;
        counts.map(|len| {
            let start = before;
            before += len;
            Self { groups: 1, start, len }
        })
    }

    /// How many they are.
    pub fn count(self) -> usize {
        self.groups * self.len
    }

    /// The place of output `i` among the `all` of the larger layer.
    pub fn place(self, i: usize, all: usize) -> usize {
        i / self.len * (all / self.groups) + self.start + i % self.len
    }

    /// Their part of a dense `[all, …]`.
    pub fn of(self, whole: &Tensor) -> Result<Tensor> {
        let Self { groups, start, len } = self;
        let dims = whole.dims();
        let (all, rest) = dims.split_first().map_or((0, &[][..]), |(all, rest)| (*all, rest));
        let grouped = [&[groups, all / groups], rest].concat();
        Ok(whole.reshape(grouped)?.narrow(1, start, len)?.reshape([&[self.count()], rest].concat())?)
    }
}

/// `[n, outputs]` of these values, the bias added to each row.
fn plus(mut y: Vec<f32>, bias: Option<&Tensor>, n: usize) -> Result<Tensor> {
    if let Some(bias) = bias {
        with_values(bias, |bias| {
            let rows = y.chunks_exact_mut(bias.len().max(1));
            rows.for_each(|row| row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
            Ok(())
        })?;
    }
    rows(y, n)
}

/// What several layers read, `[n, inputs]`: what each needs of it alike is computed once.
pub struct Input<'x> {
    x: &'x Tensor,
    rounded: Rounded,
}

impl<'x> Input<'x> {
    pub fn new(x: &'x Tensor) -> Self {
        Self { x, rounded: Rounded::default() }
    }
}

/// `y = x Wᵀ + b`.
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
    /// Of a larger layer that is trained as a whole.
    outputs: Option<Outputs>,
}

impl Linear {
    pub fn new(weight: Weight, bias: Option<Tensor>) -> Self {
        Self { weight, bias, outputs: None }
    }

    /// A part of a larger layer with dense weights, which gradients reach.
    pub fn part(whole: Tensor, bias: Option<Tensor>, outputs: Outputs) -> Self {
        Self { weight: Weight::Dense(whole), bias, outputs: Some(outputs) }
    }

    /// `[n, inputs]` to `[n, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.read(&Input::new(x))
    }

    /// [`Self::forward`] of what nobody reads after it: where that can be, it is let go before there is room for the result.
    pub fn last(&self, x: Tensor) -> Result<Tensor> {
        let (n, rounded) = (x.dim(0)?, Rounded::default());
        match &self.weight {
            Weight::Packed(matrix) if !x.track_op() && with_values(&x, |x| matrix.round(x, &rounded))? => {
                drop(x);
                plus(matrix.matmul_rounded(&[], &rounded)?, self.bias.as_ref(), n)
            }
            _ => self.forward(&x),
        }
    }

    /// [`Self::forward`] of what other layers read as well.
    pub fn read(&self, input: &Input) -> Result<Tensor> {
        let (Some(outputs), Weight::Dense(whole)) = (self.outputs, &self.weight) else {
            return self.weight.matmul(input, self.bias.as_ref());
        };
        let bias = self.bias.as_ref().map(|bias| outputs.of(bias)).transpose()?;
        tracked::linear(input.x, &outputs.of(whole)?, bias.as_ref())
    }

    /// The weights of one output, `[inputs]`.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for an output that is not there.
    pub fn row(&self, output: u32) -> Result<Vec<f32>> {
        let all = self.weight.rows();
        check_rows(&[output], self.outputs.map_or(all, Outputs::count))?;
        self.weight.rows_at(&[self.outputs.map_or(output, |outputs| outputs.place(output as usize, all) as u32)])
    }
}

/// A table of vectors, one per token or position.
pub struct Embedding {
    weight: Weight,
}

impl Embedding {
    pub fn new(weight: Weight) -> Self {
        Self { weight }
    }

    /// The table itself, for a tied output head.
    pub fn weight(&self) -> Weight {
        self.weight.clone()
    }

    /// `[n]` indices to `[n, width]`. Only the rows asked for are decoded.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for an index outside the table.
    pub fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        check_rows(ids, self.weight.rows())?;
        match &self.weight {
            Weight::Packed(_) => rows(self.weight.rows_at(ids)?, ids.len()),
            Weight::Dense(tensor) => tracked::embedding(tensor, ids),
        }
    }
}

fn check_rows(ids: &[u32], limit: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= limit) {
        None => Ok(()),
        Some(id) => Err(Error::BadParameter {
            name: "ids".into(),
            expected: format!("token ids below {limit}"),
            found: id.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Format;
    use candle_core::{Device, Var};

    #[test]
    fn dense_and_packed_weights_give_the_same() {
        let values: Vec<f32> = (0..6 * 5).map(|i| (i as f32 * 0.37).sin()).collect();
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let packed = Weight::Packed(Arc::new(Matrix::new("w", Format::F32, 6, 5, bytes).unwrap()));
        let dense = Weight::Dense(Tensor::from_vec(values, (6, 5), &Device::Cpu).unwrap());
        let x = Tensor::from_vec((0..15).map(|i| (i as f32).cos()).collect::<Vec<_>>(), (3, 5), &Device::Cpu).unwrap();
        let all = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let product = |weight: &Weight, x: &Tensor| weight.matmul(&Input::new(x), None);
        for (a, b) in all(&product(&packed, &x).unwrap()).iter().zip(all(&product(&dense, &x).unwrap())) {
            assert!((a - b).abs() < 1e-5);
        }
        let (a, b) = (Embedding::new(packed.clone()), Embedding::new(dense));
        assert_eq!(all(&a.forward(&[4, 0]).unwrap()), all(&b.forward(&[4, 0]).unwrap()));
        let tracked = Var::from_tensor(&x).unwrap();
        assert!(product(&packed, tracked.as_tensor()).is_err());
    }

    #[test]
    fn what_is_let_go_gives_the_same() {
        let values = |len: usize| (0..len).map(|i| (i as f32).sin()).collect::<Vec<_>>();
        let x = Tensor::from_vec(values(6 * 64), (6, 64), &Device::Cpu).unwrap();
        let bias = Tensor::from_vec(values(5), 5, &Device::Cpu).unwrap();
        for format in [Format::Q8_0, Format::F16] {
            let mut bytes = vec![0; 5 * format.row_bytes(64).unwrap()];
            format.quantize(&values(5 * 64), &mut bytes);
            let packed = Weight::Packed(Arc::new(Matrix::new("w", format, 5, 64, bytes).unwrap()));
            let linear = Linear::new(packed, Some(bias.clone()));
            let all = |y: Tensor| y.to_vec2::<f32>().unwrap();
            assert_eq!(all(linear.last(x.clone()).unwrap()), all(linear.forward(&x).unwrap()));
        }
    }
}
