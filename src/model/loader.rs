//! Takes tensors out of a checkpoint under their Hugging Face names, checks their shapes and keeps count.

use crate::error::{Error, Result, try_vec};
use crate::kernels::matrix::transpose;
use crate::kernels::{Format, Matrix};
use crate::layers::{Embedding, Linear, Norm, Weight};
use crate::weights::{Metadata, Weights};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a linear layer's matrix lies in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[outputs, inputs]`.
    OutputMajor,
    /// `[inputs, outputs]`, GPT-2's Conv1D.
    InputMajor,
}

/// Whether a layer has a bias.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    Yes,
    No,
    /// As the file has it; GGUF metadata do not say.
    IfPresent,
}

/// A checkpoint being turned into a model.
pub struct Loader<'a> {
    weights: &'a mut Weights,
    /// The table of GGUF names when the checkpoint is a GGUF file.
    gguf_names: Option<&'static [(&'static str, &'static str)]>,
    prefix: &'static str,
    parameters: u64,
    bytes_by_format: BTreeMap<&'static str, u64>,
}

impl<'a> Loader<'a> {
    /// `gguf_names` is the architecture's table when the checkpoint is a GGUF file.
    pub fn new(weights: &'a mut Weights, gguf_names: Option<&'static [(&'static str, &'static str)]>) -> Self {
        Self { weights, gguf_names, prefix: "", parameters: 0, bytes_by_format: BTreeMap::new() }
    }

    /// Names are looked up below `prefix` if the file has `probe` there.
    pub fn set_prefix(&mut self, prefix: &'static str, probe: &str) {
        if self.gguf_names.is_none() && self.weights.contains(&format!("{prefix}{probe}")) {
            self.prefix = prefix;
        }
    }

    /// Whether the checkpoint is a GGUF file.
    pub fn is_gguf(&self) -> bool {
        self.gguf_names.is_some()
    }

    /// GGUF metadata; empty for safetensors.
    pub fn metadata(&self) -> &Metadata {
        self.weights.metadata()
    }

    /// Trained values read so far.
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Bytes of weights read so far.
    pub fn weight_bytes(&self) -> u64 {
        self.bytes_by_format.values().sum()
    }

    /// The format of most of the weights read so far.
    pub fn quantization(&self) -> String {
        let most = self.bytes_by_format.iter().max_by_key(|(_, bytes)| **bytes);
        most.map_or_else(String::new, |(name, _)| (*name).to_string())
    }

    /// The name in the file of the tensor `name` (`h.3.attn.c_attn` and an ending such as `weight`).
    fn resolve(&self, name: &str, ending: &str) -> String {
        let Some(table) = self.gguf_names else {
            // The output head stands beside the model in Hugging Face's files, not below it.
            let prefix = if name == "lm_head" { "" } else { self.prefix };
            return format!("{prefix}{name}.{ending}");
        };
        let translate = |part: &str| table.iter().find(|(theirs, _)| *theirs == part).map_or("", |(_, gguf)| *gguf);
        let mut parts = name.splitn(3, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(layer), Some(rest)) if layer.parse::<usize>().is_ok() => {
                format!("blk.{layer}.{}.{ending}", translate(rest))
            }
            _ => format!("{}.{ending}", translate(name)),
        }
    }

    /// Whether the file has this tensor.
    pub fn contains(&self, name: &str, ending: &str) -> bool {
        self.weights.contains(&self.resolve(name, ending))
    }

    /// The bytes and format of a tensor that must have this shape.
    fn read(&mut self, name: &str, shape: &[usize]) -> Result<(Format, Vec<u8>)> {
        let info = self.weights.expect(name)?;
        if info.shape != shape {
            return Err(Error::BadTensor {
                name: name.into(),
                expected: format!("shape {shape:?}"),
                found: format!("shape {:?}", info.shape),
            });
        }
        let format = info.format;
        let bytes = self.weights.read(name)?;
        self.parameters += shape.iter().map(|&n| n as u64).product::<u64>();
        *self.bytes_by_format.entry(format.name()).or_default() += bytes.len() as u64;
        Ok((format, bytes))
    }

    /// A matrix `[rows, cols]`.
    pub fn matrix(&mut self, name: &str, layout: Layout, rows: usize, cols: usize) -> Result<Matrix> {
        let file_name = self.resolve(name, "weight");
        // GGUF has every matrix output-major.
        if layout == Layout::OutputMajor || self.is_gguf() {
            let (format, bytes) = self.read(&file_name, &[rows, cols])?;
            return Matrix::new(&file_name, format, rows, cols, bytes);
        }
        let (format, bytes) = self.read(&file_name, &[cols, rows])?;
        let bytes = transpose(&bytes, cols, rows, format.block_bytes())?;
        Matrix::new(&file_name, format, rows, cols, bytes)
    }

    /// A vector of f32.
    pub fn vector(&mut self, name: &str, ending: &str, len: usize) -> Result<Tensor> {
        let values = self.values(&self.resolve(name, ending), len)?;
        Ok(Tensor::from_vec(values, len, &Device::Cpu)?)
    }

    /// A vector whose length the file decides, when there is one.
    pub fn optional_vector(&mut self, file_name: &str) -> Result<Option<Vec<f32>>> {
        if !self.weights.contains(file_name) {
            return Ok(None);
        }
        let len = self.weights.expect(file_name)?.shape.iter().product();
        self.values(file_name, len).map(Some)
    }

    /// The values of a tensor of one dimension.
    fn values(&mut self, file_name: &str, len: usize) -> Result<Vec<f32>> {
        let (format, bytes) = self.read(file_name, &[len])?;
        let mut values = try_vec(0f32, len, "a vector")?;
        format.dequantize(&bytes, &mut values);
        Ok(values)
    }

    /// A linear layer from `inputs` to `outputs`.
    pub fn linear(&mut self, name: &str, layout: Layout, inputs: usize, outputs: usize, bias: Bias) -> Result<Linear> {
        let matrix = self.matrix(name, layout, outputs, inputs)?;
        self.linear_of(matrix, name, bias)
    }

    /// A linear layer of a matrix already read.
    pub fn linear_of(&mut self, matrix: Matrix, name: &str, bias: Bias) -> Result<Linear> {
        let has_bias = match bias {
            Bias::Yes => true,
            Bias::No => false,
            Bias::IfPresent => self.contains(name, "bias"),
        };
        let bias = if has_bias { Some(self.vector(name, "bias", matrix.rows())?) } else { None };
        Ok(Linear::new(Weight::Packed(Arc::new(matrix)), bias))
    }

    /// The output head. One that is tied shares the embedding, unless the file has another one beside it: transformers
    /// then uses that.
    pub fn head(&mut self, tied: bool, embedding: &Embedding, width: usize, vocab_size: usize) -> Result<Linear> {
        if tied && !self.contains("lm_head", "weight") {
            return Ok(Linear::new(embedding.weight(), None));
        }
        let (parameters, bytes) = (self.parameters, self.bytes_by_format.clone());
        let head = self.matrix("lm_head", Layout::OutputMajor, vocab_size, width)?;
        if tied && embedding.weight().is(&head) {
            (self.parameters, self.bytes_by_format) = (parameters, bytes);
            return Ok(Linear::new(embedding.weight(), None));
        }
        self.linear_of(head, "lm_head", Bias::No)
    }

    /// An embedding table.
    pub fn embedding(&mut self, name: &str, entries: usize, width: usize) -> Result<Embedding> {
        let matrix = self.matrix(name, Layout::OutputMajor, entries, width)?;
        Ok(Embedding::new(Weight::Packed(Arc::new(matrix))))
    }

    /// A LayerNorm.
    pub fn layer_norm(&mut self, name: &str, width: usize, eps: f32) -> Result<Norm> {
        let (weight, bias) = (self.vector(name, "weight", width)?, self.vector(name, "bias", width)?);
        Ok(Norm::Layer { weight, bias, eps })
    }

    /// An RMSNorm.
    pub fn rms_norm(&mut self, name: &str, width: usize, eps: f32) -> Result<Norm> {
        Ok(Norm::Rms { weight: self.vector(name, "weight", width)?, eps })
    }
}
