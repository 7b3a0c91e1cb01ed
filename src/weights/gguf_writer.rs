//! Writes the GGUF container, version 3: key/value pairs, the table of tensors, then the tensors one after the other.

use std::io::Write;

use super::gguf::{DEFAULT_ALIGNMENT, MAX_DIMS};
use crate::error::{Error, Result};
use crate::kernels::Format;

/// A value under a key. The types are those that llama.cpp expects of its keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    String(String),
    Strings(Vec<String>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
    Bools(Vec<bool>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_string())
    }
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        /// The number of an array.
        const ARRAY: u32 = 9;
        let mut array = |kind: u32, len: usize| {
            out.extend(ARRAY.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend((len as u64).to_le_bytes());
        };
        match self {
            Self::U32(value) => typed(out, 4, &value.to_le_bytes()),
            Self::F32(value) => typed(out, 6, &value.to_le_bytes()),
            Self::Bool(value) => typed(out, 7, &[u8::from(*value)]),
            Self::String(value) => {
                typed(out, 8, &[]);
                string(out, value);
            }
            Self::Strings(values) => {
                array(8, values.len());
                values.iter().for_each(|value| string(out, value));
            }
            Self::F32s(values) => {
                array(6, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::I32s(values) => {
                array(5, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Bools(values) => {
                array(7, values.len());
                out.extend(values.iter().map(|value| u8::from(*value)));
            }
        }
    }
}

fn typed(out: &mut Vec<u8>, kind: u32, bytes: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend(bytes);
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A tensor that is to be written.
#[derive(Clone, Debug)]
pub struct Planned {
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    pub format: Format,
}

impl Planned {
    /// The bytes the tensor takes.
    ///
    /// # Errors
    /// [`Error::BadTensor`] when its rows are not whole blocks or it is too large to count.
    pub fn bytes(&self) -> Result<usize> {
        let rows =
            self.shape.split_last().map_or(Some(1), |(_, rows)| rows.iter().try_fold(1usize, |n, d| n.checked_mul(*d)));
        let row = self.format.row_bytes(self.shape.last().copied().unwrap_or(1));
        rows.zip(row).and_then(|(rows, row)| rows.checked_mul(row)).ok_or_else(|| Error::BadTensor {
            name: self.name.clone(),
            expected: format!("rows of a multiple of {} values for {}", self.format.block_len(), self.format.name()),
            found: format!("shape {:?}", self.shape),
        })
    }
}

/// A GGUF file whose header is written and whose tensors are awaited in the order of its table.
pub struct GgufWriter<'w> {
    out: &'w mut dyn Write,
    /// Bytes of the tensors still awaited, the next one last.
    awaited: Vec<(String, usize)>,
}

impl<'w> GgufWriter<'w> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`Error::BadTensor`] for a tensor the format cannot hold, [`Error::Write`].
    pub fn start(out: &'w mut dyn Write, pairs: &[(String, Value)], tensors: &[Planned]) -> Result<Self> {
        let mut header = b"GGUF".to_vec();
        header.extend(3u32.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((pairs.len() as u64).to_le_bytes());
        for (key, value) in pairs {
            string(&mut header, key);
            value.write(&mut header);
        }
        let mut offset = 0u64;
        let mut awaited = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            if tensor.shape.len() > MAX_DIMS as usize {
                return Err(Error::BadTensor {
                    name: tensor.name.clone(),
                    expected: format!("at most {MAX_DIMS} dimensions"),
                    found: tensor.shape.len().to_string(),
                });
            }
            string(&mut header, &tensor.name);
            header.extend((tensor.shape.len() as u32).to_le_bytes());
            // GGUF lists the innermost dimension first.
            header.extend(tensor.shape.iter().rev().flat_map(|dim| (*dim as u64).to_le_bytes()));
            header.extend(tensor.format.to_ggml().to_le_bytes());
            header.extend(offset.to_le_bytes());
            let len = tensor.bytes()?;
            awaited.push((tensor.name.clone(), len));
            offset += (len as u64).next_multiple_of(DEFAULT_ALIGNMENT);
        }
        awaited.reverse();
        let mut writer = Self { out, awaited };
        writer.aligned(&header)?;
        Ok(writer)
    }

    /// Writes the bytes of the next tensor of the table.
    ///
    /// # Errors
    /// [`Error::BadTensor`] when it is not as long as the table says, [`Error::Write`].
    pub fn tensor(&mut self, bytes: &[u8]) -> Result<()> {
        let (name, len) = self.awaited.pop().unwrap_or_default();
        if bytes.len() != len {
            return Err(Error::BadTensor { name, expected: format!("{len} bytes"), found: bytes.len().to_string() });
        }
        self.aligned(bytes)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] when the table promises more, [`Error::Write`].
    pub fn finish(self) -> Result<()> {
        if let Some((name, _)) = self.awaited.last() {
            let (expected, found) = ("its bytes".to_string(), "the end".to_string());
            return Err(Error::MissingTensor { name: name.clone(), expected, found });
        }
        self.out.flush().map_err(writing)
    }

    /// Writes bytes and zeros up to the next aligned place. Everything before them ended at one.
    fn aligned(&mut self, bytes: &[u8]) -> Result<()> {
        let alignment = DEFAULT_ALIGNMENT as usize;
        let padding = bytes.len().next_multiple_of(alignment) - bytes.len();
        self.out.write_all(bytes).map_err(writing)?;
        self.out.write_all(&[0; DEFAULT_ALIGNMENT as usize][..padding]).map_err(writing)
    }
}

/// The error for a failed write.
pub(crate) fn writing(source: std::io::Error) -> Error {
    Error::Write { file: "the model".to_string(), source }
}
