//! Takes tensors out of a checkpoint under their Hugging Face names, checks their shapes and keeps count; or makes the
//! first values of a model that is to be trained.

mod layers;

use super::variables::{Initial, Variables};
use super::{Shapes, Spec};
use crate::error::{Error, Result, try_vec};
use crate::kernels::matrix::transpose;
use crate::kernels::{Format, Matrix, Order};
use crate::layers::Weight;
use crate::weights::{Metadata, Weights};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};
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

/// The output head by the names it has in files, in which it is not below the model: GPT-NeoX's is the second.
pub const HEADS: [&str; 2] = ["lm_head", "embed_out"];

/// A tensor of a model.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in Hugging Face's files, below the model's own prefix.
    pub name: String,
    /// `[outputs, inputs]` of a matrix, `[entries, width]` of a table.
    pub shape: Vec<usize>,
    /// The format of its values, by GGUF's names.
    pub format: &'static str,
}

/// Where the values of a model come from.
enum Source<'a> {
    File {
        weights: &'a mut Weights,
        /// The table of GGUF names when the checkpoint is a GGUF file.
        gguf_names: Option<&'static [(&'static str, &'static str)]>,
    },
    /// A model that has not been trained yet.
    Initial(Initial),
    /// The variables of a model that is being trained, which this one reads without gradients.
    Shared(&'a Variables),
    /// Nothing: only the names and shapes that the model would have are wanted. Of weights it is told which there are.
    Outline { shapes: Shapes, weights: Option<&'a Weights> },
}

/// A checkpoint being turned into a model.
pub struct Loader<'a> {
    source: Source<'a>,
    /// Filled when the model is to be trained; its weights are then dense.
    variables: Option<Variables>,
    /// What precedes the names in the file.
    prefix: &'static str,
    /// What precedes them in the files of Hugging Face.
    own_prefix: &'static str,
    parameters: u64,
    bytes_by_format: BTreeMap<&'static str, u64>,
    decoded_formats: BTreeSet<&'static str>,
    parts: Vec<Part>,
}

impl<'a> Loader<'a> {
    fn with(source: Source<'a>, trained: bool) -> Self {
        let variables = trained.then(Variables::default);
        Self {
            source,
            variables,
            prefix: "",
            own_prefix: "",
            parameters: 0,
            bytes_by_format: BTreeMap::new(),
            decoded_formats: BTreeSet::new(),
            parts: Vec::new(),
        }
    }

    /// For reading. `gguf_names` is the architecture's table when the checkpoint is a GGUF file.
    pub fn new(weights: &'a mut Weights, gguf_names: Option<&'static [(&'static str, &'static str)]>) -> Self {
        Self::with(Source::File { weights, gguf_names }, false)
    }

    /// For training on from a checkpoint.
    pub fn trained(weights: &'a mut Weights, gguf_names: Option<&'static [(&'static str, &'static str)]>) -> Self {
        Self::with(Source::File { weights, gguf_names }, true)
    }

    /// For training from nothing.
    pub fn initial(initial: Initial) -> Self {
        Self::with(Source::Initial(initial), true)
    }

    /// For reading the variables of a model that is being trained, as they are at each moment.
    pub fn shared(variables: &'a Variables) -> Self {
        Self::with(Source::Shared(variables), false)
    }

    /// For the names and shapes of a model that is not made.
    pub fn outline() -> Self {
        Self::with(Source::Outline { shapes: Vec::new(), weights: None }, false)
    }

    /// For the names and shapes of what would be taken out of these weights.
    pub fn outline_of(weights: &'a Weights) -> Self {
        Self::with(Source::Outline { shapes: Vec::new(), weights: Some(weights) }, false)
    }

    /// The names and shapes that were asked of [`Self::outline`].
    pub fn into_outline(self) -> Shapes {
        if let Source::Outline { shapes, .. } = self.source { shapes } else { Vec::new() }
    }

    /// The variables of the model that was loaded, when it is to be trained.
    pub fn into_variables(self) -> Variables {
        self.variables.unwrap_or_default()
    }

    fn gguf_names(&self) -> Option<&'static [(&'static str, &'static str)]> {
        if let Source::File { gguf_names, .. } = &self.source { *gguf_names } else { None }
    }

    fn has(&self, file_name: &str) -> bool {
        match &self.source {
            Source::File { weights, .. } => weights.contains(file_name),
            Source::Outline { weights: Some(weights), .. } => weights.contains(file_name),
            Source::Initial(_) | Source::Outline { .. } => false,
            Source::Shared(variables) => variables.get(file_name).is_some(),
        }
    }

    /// Names are looked up below `prefix` if the file has `probe` there.
    pub fn set_prefix(&mut self, prefix: &'static str, probe: &str) {
        self.set_prefixes(&[prefix], probe);
    }

    /// Names are looked up below the first of these prefixes at which the file has `probe`; the first of all is that of
    /// files yet to be written.
    pub fn set_prefixes(&mut self, prefixes: &[&'static str], probe: &str) {
        self.own_prefix = prefixes.first().copied().unwrap_or_default();
        let new = matches!(self.source, Source::Initial(_) | Source::Outline { weights: None, .. });
        let there = |prefix: &&&str| new || self.gguf_names().is_none() && self.has(&format!("{prefix}{probe}"));
        if let Some(prefix) = prefixes.iter().find(there) {
            self.prefix = prefix;
        }
    }

    /// Names are looked up as they are from here on: those of a head that stands beside the model.
    pub fn leave_prefix(&mut self) {
        (self.prefix, self.own_prefix) = ("", "");
    }

    /// Whether the checkpoint is a GGUF file.
    pub fn is_gguf(&self) -> bool {
        self.gguf_names().is_some()
    }

    /// GGUF metadata; empty for anything else.
    pub fn metadata(&self) -> &Metadata {
        static NONE: std::sync::LazyLock<Metadata> = std::sync::LazyLock::new(Metadata::default);
        if let Source::File { weights, .. } = &self.source { weights.metadata() } else { &NONE }
    }

    /// What a [`Spec`] says of the tensors taken so far; the rest is for the architecture to say.
    pub fn counted(&self) -> Spec {
        let most = self.bytes_by_format.iter().max_by_key(|(_, bytes)| **bytes);
        Spec {
            parameters: self.parameters,
            weight_bytes: self.bytes_by_format.values().copied().fold(0, u64::saturating_add),
            quantization: most.map_or_else(String::new, |(name, _)| (*name).to_string()),
            decoded_formats: self.decoded_formats.iter().copied().collect(),
            parts: self.parts.clone(),
            ..Spec::default()
        }
    }

    fn took(&mut self, name: &str, ending: &str, shape: &[usize], format: Format) {
        self.parts.push(Part { name: format!("{name}.{ending}"), shape: shape.to_vec(), format: format.name() });
    }

    /// The name of the tensor `name` (`h.3.attn.c_attn` and an ending such as `weight`) in Hugging Face's files, below
    /// `prefix`.
    fn name_below(prefix: &str, name: &str, ending: &str) -> String {
        // The output head stands beside the model in Hugging Face's files, not below it.
        let prefix = if HEADS.contains(&name) { "" } else { prefix };
        format!("{prefix}{name}.{ending}")
    }

    /// The name of a tensor in a file of Hugging Face's.
    fn in_folder(&self, name: &str, ending: &str) -> String {
        let usual = Self::name_below(self.prefix, name, ending);
        if !HEADS.contains(&name) || self.has(&usual) {
            return usual;
        }
        // Some files have the head under another name, or below a model that is itself below another.
        let outer = self.prefix.strip_suffix("model.").unwrap_or_default();
        let others = HEADS.iter().flat_map(|head| [format!("{head}.{ending}"), format!("{outer}{head}.{ending}")]);
        let mut others = others.filter(|name| self.has(name));
        others.next().unwrap_or(usual)
    }

    /// The name of a tensor in the file.
    fn resolve(&self, name: &str, ending: &str) -> String {
        let Some(table) = self.gguf_names() else { return self.in_folder(name, ending) };
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
        self.has(&self.resolve(name, ending))
    }

    fn count(&mut self, shape: &[usize], format: Format, bytes: u64) {
        let values = shape.iter().fold(1u64, |all, &n| all.saturating_mul(n as u64));
        self.parameters = self.parameters.saturating_add(values);
        let known = self.bytes_by_format.entry(format.name()).or_default();
        *known = known.saturating_add(bytes);
    }

    /// The bytes and format of a tensor that must have this shape.
    fn read(&mut self, name: &str, shape: &[usize]) -> Result<(Format, Vec<u8>)> {
        let (format, bytes) = match &mut self.source {
            Source::File { weights, .. } => {
                let info = weights.expect(name)?;
                check_shape(name, shape, &info.shape)?;
                (info.format, weights.take(name)?)
            }
            Source::Initial(initial) => (Format::F32, bytemuck::cast_slice(&initial.values(name, shape)?).to_vec()),
            Source::Shared(_) | Source::Outline { .. } => {
                return Err(candle_core::Error::Msg(format!("{name} has no file to be read from")).into());
            }
        };
        self.count(shape, format, bytes.len() as u64);
        Ok((format, bytes))
    }

    /// A tensor that need not be read, in the layout of Hugging Face's files: a variable of the model that is being
    /// trained, or a stand-in that takes no memory.
    fn given(&mut self, name: &str, ending: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let name = self.resolve(name, ending);
        let tensor = match &mut self.source {
            Source::Shared(variables) => match variables.get(&name) {
                Some(var) => var.as_tensor().detach(),
                None => {
                    let (expected, found) = ("it among the variables".into(), "none".into());
                    return Err(Error::MissingTensor { name, expected, found });
                }
            },
            Source::Outline { shapes, .. } => {
                shapes.push((name.clone(), shape.to_vec()));
                Tensor::zeros(1, DType::F32, &Device::Cpu)?.broadcast_as(shape)?
            }
            _ => return Ok(None),
        };
        check_shape(&name, shape, tensor.dims())?;
        let bytes = shape.iter().fold(4u64, |bytes, &n| bytes.saturating_mul(n as u64));
        self.count(shape, Format::F32, bytes);
        Ok(Some(tensor))
    }

    /// Makes the tensor a variable under its Hugging Face name when the model is to be trained.
    fn variable(&mut self, name: &str, ending: &str, tensor: Tensor) -> Result<Tensor> {
        let Some(variables) = &mut self.variables else { return Ok(tensor) };
        variables.add(Self::name_below(self.own_prefix, name, ending), &tensor)
    }

    /// A matrix `[rows, cols]`.
    fn matrix(&mut self, name: &str, layout: Layout, rows: usize, cols: usize, order: Option<Order>) -> Result<Matrix> {
        let file_name = self.resolve(name, "weight");
        // GGUF has every matrix output-major.
        let as_is = layout == Layout::OutputMajor || self.is_gguf();
        let shape = if as_is { [rows, cols] } else { [cols, rows] };
        let (format, mut bytes) = self.read(&file_name, &shape)?;
        if !as_is {
            bytes = transpose(&bytes, cols, rows, format.block_bytes())?;
        }
        let matrix = Matrix::ordered(&file_name, format, rows, cols, bytes, order)?;
        if matrix.is_decoded() {
            self.decoded_formats.insert(format.name());
        }
        Ok(matrix)
    }

    /// A weight `[rows, cols]`: packed for reading, dense for training.
    fn weight(&mut self, name: &str, layout: Layout, rows: usize, cols: usize, order: Option<Order>) -> Result<Weight> {
        let shape = if layout == Layout::OutputMajor { [rows, cols] } else { [cols, rows] };
        if let Some(tensor) = self.given(name, "weight", &shape)? {
            self.took(name, "weight", &[rows, cols], Format::F32);
            return Ok(Weight::Dense(if layout == Layout::OutputMajor { tensor } else { tensor.t()? }));
        }
        let matrix = self.matrix(name, layout, rows, cols, order)?;
        self.took(name, "weight", &[rows, cols], matrix.format());
        self.weight_of(matrix, name, layout)
    }

    fn weight_of(&mut self, matrix: Matrix, name: &str, layout: Layout) -> Result<Weight> {
        if self.variables.is_none() {
            return Ok(Weight::Packed(Arc::new(matrix)));
        }
        let tensor = matrix.to_tensor()?;
        if layout == Layout::OutputMajor {
            return Ok(Weight::Dense(self.variable(name, "weight", tensor)?));
        }
        Ok(Weight::Dense(self.variable(name, "weight", tensor.t()?.contiguous()?)?.t()?))
    }

    /// A vector of f32.
    pub(in crate::model) fn vector(
        &mut self,
        name: &str,
        ending: &str,
        len: usize,
        order: Option<Order>,
    ) -> Result<Tensor> {
        self.shifted(name, ending, len, order, 0.0)
    }

    /// A vector of f32, to the values of which in the file something is added.
    fn shifted(&mut self, name: &str, ending: &str, len: usize, order: Option<Order>, shift: f32) -> Result<Tensor> {
        self.took(name, ending, &[len], Format::F32);
        if let Some(tensor) = self.given(name, ending, &[len])? {
            return Ok(tensor);
        }
        let mut values = self.values(&self.resolve(name, ending), len)?;
        if let Some(order) = order {
            values = (0..len).map(|i| values[order(i)]).collect();
        }
        if shift != 0.0 {
            values.iter_mut().for_each(|value| *value += shift);
        }
        self.variable(name, ending, Tensor::from_vec(values, len, &Device::Cpu)?)
    }

    /// A vector whose length the file decides, when there is one.
    pub fn optional_vector(&mut self, file_name: &str) -> Result<Option<Vec<f32>>> {
        let Source::File { weights, .. } = &mut self.source else { return Ok(None) };
        if !weights.contains(file_name) {
            return Ok(None);
        }
        let len = weights.expect(file_name)?.shape.iter().product();
        self.values(file_name, len).map(Some)
    }

    /// A matrix of one row, `[1, len]`, when there is one; its name is the same with and without a prefix.
    pub fn optional_row(&mut self, file_name: &str, len: usize) -> Result<Option<Tensor>> {
        if !self.has(file_name) {
            return Ok(None);
        }
        let (format, bytes) = self.read(file_name, &[1, len])?;
        let mut values = try_vec(0f32, len, "a row")?;
        format.dequantize(&bytes, &mut values);
        Ok(Some(Tensor::from_vec(values, (1, len), &Device::Cpu)?))
    }

    /// The values of a tensor of one dimension.
    fn values(&mut self, file_name: &str, len: usize) -> Result<Vec<f32>> {
        let (format, bytes) = self.read(file_name, &[len])?;
        let mut values = try_vec(0f32, len, "a vector")?;
        format.dequantize(&bytes, &mut values);
        Ok(values)
    }
}

fn check_shape(name: &str, expected: &[usize], found: &[usize]) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::BadTensor {
        name: name.into(),
        expected: format!("shape {expected:?}"),
        found: format!("shape {found:?}"),
    })
}
