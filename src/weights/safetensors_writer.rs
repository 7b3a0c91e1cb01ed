//! Writes the safetensors container: eight bytes of length, a JSON header, then the tensors one after the other.

use std::io::Write;

use serde_json::{Map, json};

use super::gguf_writer::{Planned, writing};
use crate::error::{Error, Result};

/// Writes a file whose tensors `bytes` gives, in the order of the plan. `metadata` are strings by name; `transformers`
/// wants `format: pt` among them.
///
/// # Errors
/// [`Error::BadTensor`] for a tensor that is quantized or not as long as planned, [`Error::Write`], and those of `bytes`.
pub fn write_safetensors(
    out: &mut dyn Write,
    metadata: &[(&str, &str)],
    tensors: &[Planned],
    mut bytes: impl FnMut(usize) -> Result<Vec<u8>>,
) -> Result<()> {
    let mut header = Map::new();
    let metadata: Map<_, _> = metadata.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    header.insert("__metadata__".to_string(), json!(metadata));
    let mut lens = Vec::with_capacity(tensors.len());
    let mut at = 0u64;
    for tensor in tensors {
        if tensor.format.block_len() != 1 {
            return Err(Error::BadTensor {
                name: tensor.name.clone(),
                expected: "F32, F16 or BF16 in a safetensors file".to_string(),
                found: tensor.format.name().to_string(),
            });
        }
        let len = tensor.bytes()?;
        let end = at + len as u64;
        let entry = json!({ "dtype": tensor.format.name(), "shape": tensor.shape, "data_offsets": [at, end] });
        header.insert(tensor.name.clone(), entry);
        lens.push(len);
        at = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // Readers want the data aligned to eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(writing)?;
    out.write_all(&header).map_err(writing)?;
    for (i, (tensor, len)) in tensors.iter().zip(lens).enumerate() {
        let bytes = bytes(i)?;
        if bytes.len() != len {
            let (expected, found) = (format!("{len} bytes"), bytes.len().to_string());
            return Err(Error::BadTensor { name: tensor.name.clone(), expected, found });
        }
        out.write_all(&bytes).map_err(writing)?;
    }
    out.flush().map_err(writing)
}
