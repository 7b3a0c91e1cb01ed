//! A trained model as the files of an ordinary Hugging Face folder.

use super::trainer::Trainer;
use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::collections::HashMap;

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
        let tensors = self.variables.iter().zip(values).map(|((name, var), values)| (name, var.dims(), values.as_slice()));
        // transformers asks for the format.
        let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
        let mut config = self.setup.config.clone();
        config.insert("dtype".into(), "float32".into());
        let special = |id: Option<u32>| id.and_then(|id| self.tokenizer().token(id)).map_or(Value::Null, Value::from);
        let tokenizer_config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": special(self.setup.bos_token_id),
            "eos_token": special(self.setup.eos_token_id),
            "clean_up_tokenization_spaces": false,
        });
        let generation_config =
            json!({ "bos_token_id": self.setup.bos_token_id, "eos_token_id": self.setup.eos_token_id });
        Ok(vec![
            File { name: "config.json", bytes: pretty(&Value::Object(config)) },
            File { name: "generation_config.json", bytes: pretty(&generation_config) },
            File { name: "tokenizer.json", bytes: self.setup.tokenizer.clone().into_bytes() },
            File { name: "tokenizer_config.json", bytes: pretty(&tokenizer_config) },
            File { name: "model.safetensors", bytes: safetensors_of(tensors, metadata)? },
        ])
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A safetensors file of f32 tensors.
pub(super) fn safetensors_of<'a, N: AsRef<str> + Ord + std::fmt::Display>(
    tensors: impl Iterator<Item = (N, &'a [usize], &'a [f32])>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let views = tensors
        .map(|(name, shape, values)| {
            Ok((name, TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(values)).map_err(failed)?))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}

pub(super) fn failed(error: safetensors::SafeTensorError) -> Error {
    let (expected, found) = ("tensors that safetensors can hold".into(), error.to_string());
    Error::BadFile { file: "safetensors".into(), expected, found }
}
