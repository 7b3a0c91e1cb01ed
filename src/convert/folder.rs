//! Models that GGUF has no words for, encoders and encoder-decoders: a Hugging Face folder in one GGUF file, its texts as
//! metadata and its tensors under their own names ([`Checkpoint`] reads it), and such a file as a folder again.

use super::formats::{file_type, quantization_version};
use super::{Report, TOKENIZER_FILE, count, dtype_of, pretty, write, writing};
use crate::checkpoint::{self, Checkpoint};
use crate::error::Result;
use crate::files::{COMPANIONS, Files};
use crate::kernels::Format;
use crate::model::Fields;
use crate::weights::{GgufWriter, Planned, Value as Pair, Weights, write_safetensors};
use std::io::Write;

/// Files of a folder that are none of a model's but of this kind of file.
const CONFIG: &str = "config.json";

/// A matrix of fewer rows than this takes no room worth saving, and its values count for much.
const FEW_ROWS: usize = 16;

/// A model that is about to be written as other files.
pub struct Folder {
    files: Files,
    weights: Weights,
    config: Fields,
    model_type: String,
    name: Option<String>,
}

impl Folder {
    /// The model of a checkpoint; none for llama.cpp's kind of GGUF file.
    ///
    /// # Errors
    /// [`crate::Error::BadConfig`] for names that are no texts.
    pub fn of(checkpoint: Checkpoint) -> Result<Option<Self>> {
        let (name, model_type) = (checkpoint.name()?, checkpoint.model_type()?.to_string());
        let Checkpoint { files, config, weights } = checkpoint;
        Ok(config.map(|config| Self { files, weights, config, model_type, name }))
    }

    /// As [`Source::write_gguf`](super::Source::write_gguf).
    pub(super) fn write_gguf(&mut self, format: Format, name: &str, out: &mut dyn Write) -> Result<Report> {
        let table = self.table(|shape, name| choose(format, shape, name));
        let general = [
            ("architecture", Pair::from(self.model_type.as_str())),
            ("type", "model".into()),
            ("name", self.name.as_deref().unwrap_or(name).into()),
            ("file_type", Pair::U32(file_type(format))),
            ("quantization_version", Pair::U32(quantization_version())),
            ("alignment", Pair::U32(32)),
        ];
        let mut pairs: Vec<_> = general.into_iter().map(|(key, value)| (format!("general.{key}"), value)).collect();
        pairs.push(checkpoint::pair(CONFIG, pretty(&self.config.values().clone().into())));
        for (name, bytes) in self.companions()? {
            pairs.push(checkpoint::pair(name, bytes));
        }
        let mut writer = GgufWriter::start(out, &pairs, &table)?;
        for planned in &table {
            writer.tensor(&self.read(planned)?)?;
        }
        writer.finish()?;
        Ok(Report { formats: count(&table), notes: Vec::new() })
    }

    /// As [`Source::write_folder`](super::Source::write_folder).
    pub(super) fn write_folder<'w>(
        &mut self,
        format: Format,
        create: &mut dyn FnMut(&str) -> std::io::Result<Box<dyn Write + 'w>>,
    ) -> Result<Report> {
        let mut config = self.config.values().clone();
        config.remove("torch_dtype");
        config.insert("dtype".into(), dtype_of(format)?.into());
        let table = self.table(|_, _| format);
        let mut texts = self.companions()?;
        texts.push((CONFIG, pretty(&config.into())));
        for (name, bytes) in &texts {
            write(create, name, |out| out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| writing(name, e)))?;
        }
        write(create, "model.safetensors", |out| {
            write_safetensors(out, &[("format", "pt")], &table, |i| self.read(&table[i]))
        })?;
        Ok(Report { formats: count(&table), notes: Vec::new() })
    }

    /// Every tensor of numbers with a fraction; whole ones are buffers that can be made again.
    fn table(&self, choose: impl Fn(&[usize], &str) -> Format) -> Vec<Planned> {
        let planned = |name: &str| {
            let shape = self.weights.info(name)?.shape.clone();
            Some(Planned { name: name.to_string(), format: choose(&shape, name), shape })
        };
        self.weights.names().filter_map(planned).collect()
    }

    fn read(&mut self, planned: &Planned) -> Result<Vec<u8>> {
        let own = self.weights.expect(&planned.name)?.format;
        let bytes = self.weights.read(&planned.name)?;
        if own == planned.format {
            return Ok(bytes);
        }
        super::tensors::encode(&planned.name, &bytes, own, planned.format, planned.shape.last().copied().unwrap_or(1))
    }

    /// The texts beside the configuration.
    fn companions(&mut self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let there: Vec<_> = COMPANIONS.into_iter().filter(|name| self.files.contains(name)).collect();
        there.into_iter().map(|name| Ok((name, self.files.read_all(name, TOKENIZER_FILE)?))).collect()
    }
}

/// The format of a tensor of a file in `wanted`: vectors and small matrices stay as they are; beside a format of 4 or 5 bits
/// the tables of tokens, which may also be the head, get more. Rows that blocks do not divide get smaller blocks, or F16.
fn choose(wanted: Format, shape: &[usize], name: &str) -> Format {
    let &[rows, _] = shape else { return Format::F32 };
    if rows < FEW_ROWS {
        return Format::F32;
    }
    let is_table =
        ["embed", "shared.", "lm_head", "decoder.weight", "vocab_projector"].iter().any(|part| name.contains(part));
    super::formats::choose(wanted, name, shape, if is_table { name } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_get_more_bits_and_small_matrices_all() {
        let layer = "bert.encoder.layer.0.output.dense.weight";
        assert_eq!(choose(Format::Q4_0, &[64, 256], layer), Format::Q4_0);
        assert_eq!(choose(Format::Q4_0, &[64, 48], layer), Format::F16);
        assert_eq!(choose(Format::Q4_0, &[64, 256], "bert.embeddings.word_embeddings.weight"), Format::Q6_K);
        assert_eq!(choose(Format::Q8_0, &[64, 64], "embeddings.word_embeddings.weight"), Format::Q8_0);
        assert_eq!(choose(Format::Q8_0, &[2, 256], "qa_outputs.weight"), Format::F32);
        assert_eq!(choose(Format::Q8_0, &[256], "qa_outputs.bias"), Format::F32);
    }
}
