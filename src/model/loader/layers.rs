//! The layers that a model is loaded as: linear ones, several that a file has as one, the output head, tables and norms.

use super::{Bias, HEADS, Layout, Loader, Source};
use crate::error::{Result, try_vec};
use crate::kernels::{Format, Matrix, Order};
use crate::layers::{Embedding, Linear, Norm, Outputs, Weight};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

impl Loader<'_> {
    /// A linear layer from `inputs` to `outputs`.
    pub fn linear(&mut self, name: &str, layout: Layout, inputs: usize, outputs: usize, bias: Bias) -> Result<Linear> {
        self.linear_in(None, name, layout, inputs, outputs, bias)
    }

    /// A linear layer whose outputs the file has in another order.
    pub fn linear_in(
        &mut self,
        order: Option<Order>,
        name: &str,
        layout: Layout,
        inputs: usize,
        outputs: usize,
        bias: Bias,
    ) -> Result<Linear> {
        let weight = self.weight(name, layout, outputs, inputs, order)?;
        let has_bias = self.has_bias(name, bias);
        let bias = if has_bias { Some(self.vector(name, "bias", outputs, order)?) } else { None };
        Ok(Linear::new(weight, bias))
    }

    /// Linear layers that a file of Hugging Face's has as one, of which each has these `outputs`. GGUF has the outputs of
    /// each together.
    pub fn linears<const N: usize>(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: [Outputs; N],
        bias: Bias,
    ) -> Result<[Linear; N]> {
        let all = outputs.iter().map(|outputs| outputs.count()).sum();
        let shape = [all, inputs];
        let has_bias = self.has_bias(name, bias);
        let dense = match self.given(name, "weight", &shape)? {
            Some(tensor) => Some(tensor),
            None if self.variables.is_none() => None,
            None => {
                // From GGUF's order to that of Hugging Face.
                let mut order = vec![0; all];
                let own = outputs.iter().flat_map(|outputs| (0..outputs.count()).map(|i| outputs.place(i, all)));
                own.enumerate().for_each(|(gguf, hub)| order[hub] = gguf);
                let to_hub: Order = &|row| order[row];
                let order = self.is_gguf().then_some(to_hub);
                let matrix = self.matrix(name, Layout::OutputMajor, all, inputs, order)?;
                self.took(name, "weight", &shape, matrix.format());
                let Weight::Dense(whole) = self.weight_of(matrix, name, Layout::OutputMajor)? else {
                    return Err(candle_core::Error::Msg(format!("{name} is to be trained and is packed")).into());
                };
                let bias = if has_bias { Some(self.vector(name, "bias", all, order)?) } else { None };
                return Ok(outputs.map(|outputs| Linear::part(whole.clone(), bias.clone(), outputs)));
            }
        };
        if let Some(whole) = dense {
            self.took(name, "weight", &shape, Format::F32);
            let bias = if has_bias { Some(self.vector(name, "bias", all, None)?) } else { None };
            return Ok(outputs.map(|outputs| Linear::part(whole.clone(), bias.clone(), outputs)));
        }
        let file_name = self.resolve(name, "weight");
        let (format, bytes) = self.read(&file_name, &shape)?;
        self.took(name, "weight", &shape, format);
        let bias = if has_bias { Some(self.vector(name, "bias", all, None)?) } else { None };
        // In GGUF they follow one another.
        let in_file = if self.is_gguf() { Outputs::in_turn(outputs.map(Outputs::count)) } else { outputs };
        let row_bytes = bytes.len() / all.max(1);
        let linears = in_file.map(|outputs| {
            let mut own = try_vec(0u8, outputs.count() * row_bytes, name)?;
            for (i, row) in own.chunks_exact_mut(row_bytes.max(1)).enumerate() {
                row.copy_from_slice(&bytes[outputs.place(i, all) * row_bytes..][..row_bytes]);
            }
            let matrix = Matrix::new(&file_name, format, outputs.count(), inputs, own)?;
            if matrix.is_decoded() {
                self.decoded_formats.insert(format.name());
            }
            let bias = bias.as_ref().map(|bias| outputs.of(bias)).transpose()?;
            Ok(Linear::new(Weight::Packed(Arc::new(matrix)), bias))
        });
        let linears = linears.into_iter().collect::<Result<Vec<_>>>()?;
        linears.try_into().map_err(|_| candle_core::Error::Msg(format!("{name} in {N} parts")).into())
    }

    fn has_bias(&self, name: &str, bias: Bias) -> bool {
        match bias {
            Bias::Yes => true,
            Bias::No => false,
            Bias::IfPresent => self.contains(name, "bias"),
        }
    }

    /// The output head. One that is tied shares the embedding, unless the file has another one beside it: transformers
    /// then uses that.
    pub fn head(&mut self, tied: bool, embedding: &Embedding, width: usize, vocab_size: usize) -> Result<Linear> {
        self.head_named(HEADS[0], tied, embedding, width, vocab_size)
    }

    /// [`Self::head`] under the name that it has in files of Hugging Face's.
    pub fn head_named(
        &mut self,
        name: &'static str,
        tied: bool,
        embedding: &Embedding,
        width: usize,
        vocab_size: usize,
    ) -> Result<Linear> {
        Ok(Linear::new(self.head_weight(name, tied, embedding, width, vocab_size)?, None))
    }

    /// The matrix of a [`head`](Self::head) of any name.
    pub fn head_weight(
        &mut self,
        name: &str,
        tied: bool,
        embedding: &Embedding,
        width: usize,
        vocab_size: usize,
    ) -> Result<Weight> {
        if tied && !self.contains(name, "weight") {
            return Ok(embedding.weight());
        }
        if !tied || matches!(self.source, Source::Shared(_) | Source::Outline { .. }) {
            return self.weight(name, Layout::OutputMajor, vocab_size, width, None);
        }
        let (parameters, bytes) = (self.parameters, self.bytes_by_format.clone());
        let head = self.matrix(name, Layout::OutputMajor, vocab_size, width, None)?;
        if embedding.weight().is(&head)? {
            (self.parameters, self.bytes_by_format) = (parameters, bytes);
            return Ok(embedding.weight());
        }
        self.took(name, "weight", &[vocab_size, width], head.format());
        self.weight_of(head, name, Layout::OutputMajor)
    }

    /// An embedding table.
    pub fn embedding(&mut self, name: &str, entries: usize, width: usize) -> Result<Embedding> {
        Ok(Embedding::new(self.weight(name, Layout::OutputMajor, entries, width, None)?))
    }

    /// A LayerNorm. Files that once were TensorFlow's call its vectors gamma and beta.
    pub fn layer_norm(&mut self, name: &str, width: usize, eps: f32) -> Result<Norm> {
        let (weight, bias) = if self.contains(name, "gamma") { ("gamma", "beta") } else { ("weight", "bias") };
        let weight = self.vector(name, weight, width, None)?;
        Ok(Norm::Layer { weight, bias: self.vector(name, bias, width, None)?, eps })
    }

    /// A LayerNorm that adds nothing.
    pub fn layer_norm_unbiased(&mut self, name: &str, width: usize, eps: f32) -> Result<Norm> {
        let weight = self.vector(name, "weight", width, None)?;
        Ok(Norm::Layer { weight, bias: Tensor::zeros(width, DType::F32, &Device::Cpu)?, eps })
    }

    /// An RMSNorm.
    pub fn rms_norm(&mut self, name: &str, width: usize, eps: f32) -> Result<Norm> {
        Ok(Norm::Rms { weight: self.vector(name, "weight", width, None)?, shift: 0.0, eps })
    }

    /// An RMSNorm whose weights files of Hugging Face's have less one, and variables too. GGUF has them as they are.
    pub fn rms_norm_from_one(&mut self, name: &str, width: usize, eps: f32) -> Result<Norm> {
        let shift = match self.source {
            Source::Shared(_) | Source::Outline { .. } => 1.0,
            _ if self.variables.is_some() => 1.0,
            _ => 0.0,
        };
        let in_file = if self.is_gguf() || matches!(self.source, Source::Initial(_)) { 0.0 } else { 1.0 };
        Ok(Norm::Rms { weight: self.shifted(name, "weight", width, None, in_file - shift)?, shift, eps })
    }
}
