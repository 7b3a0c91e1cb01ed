//! A trained model as the files of an ordinary Hugging Face folder.

use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::kernels::Format;
use crate::weights::{Planned, write_safetensors};
use serde_json::{Value, json};

/// A file of the folder.
pub struct File {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

impl Trainer {
    /// `model.safetensors` with the best weights so far (the present ones before the first measurement), and the files
    /// that make `transformers` load them.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn export(&self) -> Result<Vec<File>> {
        let present;
        let values = match &self.best {
            Some(best) => best,
            None => {
                present = self.values()?;
                &present
            }
        };
        let named = self.variables.iter().zip(values);
        let tensors = named.map(|((name, var), values)| (name.to_string(), var.dims(), values.as_slice()));
        let mut config = self.setup.config.clone();
        config.remove("torch_dtype");
        config.insert("dtype".into(), "float32".into());
        let special = |id: Option<u32>| id.and_then(|id| self.tokenizer().token(id)).map_or(Value::Null, Value::from);
        let unknown = serde_json::from_str::<Value>(&self.setup.tokenizer).ok();
        let tokenizer_config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": special(self.setup.bos_token_id),
            "eos_token": special(self.setup.eos_token_id),
            "unk_token": unknown.as_ref().and_then(|tokenizer| tokenizer.pointer("/model/unk_token")),
            "clean_up_tokenization_spaces": false,
        });
        let generation_config =
            json!({ "bos_token_id": self.setup.bos_token_id, "eos_token_id": self.setup.eos_token_id });
        Ok(vec![
            File { name: "config.json", bytes: pretty(&Value::Object(config)) },
            File { name: "generation_config.json", bytes: pretty(&generation_config) },
            File { name: "tokenizer.json", bytes: self.setup.tokenizer.clone().into_bytes() },
            File { name: "tokenizer_config.json", bytes: pretty(&tokenizer_config) },
            File { name: "model.safetensors", bytes: safetensors(&[("format", "pt")], tensors)? },
        ])
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A safetensors file of f32 tensors.
pub(super) fn safetensors<'a>(
    metadata: &[(&str, &str)],
    tensors: impl Iterator<Item = (String, &'a [usize], &'a [f32])>,
) -> Result<Vec<u8>> {
    let (mut planned, mut values) = (Vec::new(), Vec::new());
    for (name, shape, tensor) in tensors {
        planned.push(Planned { name, shape: shape.to_vec(), format: Format::F32 });
        values.push(tensor);
    }
    let bytes: usize = values.iter().map(|tensor| size_of_val(*tensor)).sum();
    let header: usize = metadata.iter().map(|(_, value)| 2 * value.len()).sum::<usize>() + 256 * planned.len();
    let mut file = Vec::new();
    let needed = bytes + header;
    file.try_reserve_exact(needed)
        .map_err(|_| Error::OutOfMemory { what: "saving the weights".into(), needed: needed as u64 })?;
    write_safetensors(&mut file, metadata, &planned, |i| Ok(bytemuck::cast_slice(values[i]).to_vec()))?;
    Ok(file)
}
