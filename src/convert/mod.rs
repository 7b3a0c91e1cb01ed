//! A model's files as another kind of file: Hugging Face's folder as GGUF, GGUF as a folder, each in a format of choice.
//! Nothing here knows a file system: it reads [`Files`] and writes to what it is given, one tensor in memory at a time.

mod folder;
mod formats;
mod tensors;

pub use folder::Folder;
pub use formats::file_type;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::files::{COMPANIONS, Files};
use crate::kernels::Format;
use crate::model::{ARCHITECTURES, Architecture, Fields, Loader, architecture, encoder, gguf_architecture};
use crate::text;
use crate::weights::{GgufWriter, Planned, Value as Pair, Weights, write_safetensors};
use formats::{choose, quantization_version};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Write;
use tensors::{Plan, Side};

/// No configuration file is larger.
const SMALL_FILE: u64 = 1 << 20;
/// No tokenizer file is larger.
const TOKENIZER_FILE: u64 = 256 << 20;

/// A model that is about to be written as other files.
pub struct Source {
    files: Files,
    weights: Weights,
    side: Side,
    architecture: &'static Architecture,
    /// Its config.json, which a GGUF file's metadata are turned into.
    config: Fields,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Report {
    /// How many tensors have which format.
    pub formats: BTreeMap<&'static str, usize>,
    /// In words, what the new files do not say of the old ones.
    pub notes: Vec<String>,
}

impl Source {
    /// Opens a Hugging Face folder or a GGUF file.
    ///
    /// # Errors
    /// Those of opening a model, and [`Error::Unsupported`] for a configuration that a config.json cannot say.
    pub fn open(mut files: Files) -> Result<Self> {
        let Some(name) = files.gguf() else {
            if !files.contains("config.json") {
                return Err(files.missing("config.json beside the weights, or a .gguf file".into()));
            }
            let config = Fields::new(files.read_json("config.json", SMALL_FILE)?);
            let architecture = architecture(config.str(&["model_type"])?.unwrap_or_default())?;
            let weights = Weights::safetensors(&mut files)?;
            return Ok(Self { files, weights, side: Side::Hub, architecture, config });
        };
        let weights = Weights::gguf(&mut files, &name)?;
        Self::of_gguf(files, weights)
    }

    /// The model of llama.cpp's kind of GGUF file.
    fn of_gguf(files: Files, mut weights: Weights) -> Result<Self> {
        let own = gguf_architecture(weights.metadata().get_str("general.architecture")?.unwrap_or_default())?;
        let mut loader = Loader::new(&mut weights, Some(own.gguf_names));
        let config = Fields::new((own.conversion.to_json)(&mut loader)?);
        // A name in GGUF may stand for several in Hugging Face's files.
        let architecture = architecture(config.str(&["model_type"])?.unwrap_or_default())?;
        Ok(Self { files, weights, side: Side::Gguf, architecture, config })
    }

    /// Writes a GGUF file whose matrices are in this format, as far as they can be ([`file_type`] has the table).
    /// `name` is what the model is called where its own files do not say.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for what GGUF cannot say of the model; [`Error::BadTensor`] for values out of the format's
    /// range; [`Error::Write`]; those of reading.
    pub fn write_gguf(&mut self, format: Format, name: &str, out: &mut dyn Write) -> Result<Report> {
        let plan = self.plan()?;
        let form = (self.architecture.conversion.to_gguf)(&self.config)?;
        let text::GgufVocabulary { pairs: vocabulary, notes } = self.vocabulary()?;
        let head = if plan.iter().any(|tensor| tensor.twin.gguf == "output.weight") {
            "output.weight"
        } else {
            "token_embd.weight"
        };
        let planned = |tensor: &Plan| {
            let shape = tensor.shape(Side::Gguf);
            Planned { name: tensor.twin.gguf.clone(), format: choose(format, &tensor.twin.gguf, &shape, head), shape }
        };
        let vectors = form.vectors.iter().map(|(name, values)| Planned {
            name: name.to_string(),
            shape: vec![values.len()],
            format: Format::F32,
        });
        let table: Vec<Planned> = vectors.chain(plan.iter().map(planned)).collect();
        let mut pairs = self.general(format, name)?;
        let own = self.architecture.gguf;
        pairs.extend(form.pairs.iter().map(|(key, value)| (format!("{own}.{key}"), value.clone())));
        pairs.extend(vocabulary);
        let mut writer = GgufWriter::start(out, &pairs, &table)?;
        for (_, values) in &form.vectors {
            writer.tensor(bytemuck::cast_slice(values))?;
        }
        for (tensor, planned) in plan.iter().zip(table.iter().skip(form.vectors.len())) {
            writer.tensor(&tensor.read(&mut self.weights, Side::Gguf, planned.format)?)?;
        }
        writer.finish()?;
        Ok(Report { formats: count(&table), notes })
    }

    /// Writes the files of a Hugging Face folder, each to what `create` gives for its name. Matrices are in this format,
    /// one of F32, F16 and BF16, and so is everything else.
    ///
    /// # Errors
    /// As [`write_gguf`](Self::write_gguf), and [`Error::Unsupported`] for a tokenizer that tokenizer.json cannot say.
    pub fn write_folder<'w>(
        &mut self,
        format: Format,
        create: &mut dyn FnMut(&str) -> std::io::Result<Box<dyn Write + 'w>>,
    ) -> Result<Report> {
        let dtype = dtype_of(format)?;
        let mut config = self.config.values().clone();
        config.remove("torch_dtype");
        config.insert("dtype".into(), dtype.into());
        let mut texts: Vec<(&str, Vec<u8>)> = Vec::new();
        if self.side == Side::Hub {
            for name in COMPANIONS.into_iter().filter(|name| self.files.contains(name)).collect::<Vec<_>>() {
                texts.push((name, self.files.read_all(name, TOKENIZER_FILE)?));
            }
        } else {
            let vocabulary = text::to_hub(self.weights.metadata())?;
            config.extend(vocabulary.ends());
            texts.push(("generation_config.json", pretty(&Value::Object(vocabulary.ends()))));
            texts.push(("tokenizer.json", vocabulary.tokenizer.to_string().into_bytes()));
            texts.push(("tokenizer_config.json", pretty(&vocabulary.config)));
        }
        texts.push(("config.json", pretty(&Value::Object(config))));
        let plan = self.plan()?;
        let table: Vec<Planned> = plan
            .iter()
            .map(|tensor| Planned { name: tensor.twin.hub.clone(), shape: tensor.shape(Side::Hub), format })
            .collect();
        for (name, bytes) in &texts {
            write(create, name, |out| out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| writing(name, e)))?;
        }
        write(create, "model.safetensors", |out| {
            write_safetensors(out, &[("format", "pt")], &table, |i| plan[i].read(&mut self.weights, Side::Hub, format))
        })?;
        Ok(Report { formats: count(&table), notes: Vec::new() })
    }

    /// The configuration, with the ids of the first and last token, and the tokenizer, as the text of a config.json and of
    /// a tokenizer.json: what a model trained on from this one has too.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a tokenizer that tokenizer.json cannot say, and those of reading it.
    pub fn hub_texts(&mut self) -> Result<(Map<String, Value>, String)> {
        let mut config = self.config.values().clone();
        if self.side == Side::Hub {
            return Ok((config, text::tokenizer_json(&mut self.files)?));
        }
        let vocabulary = text::to_hub(self.weights.metadata())?;
        config.extend(vocabulary.ends());
        Ok((config, vocabulary.tokenizer.to_string()))
    }

    /// The weights, in whatever file they are.
    pub fn into_weights(self) -> Weights {
        self.weights
    }

    /// The tensors of the model, and how each comes out of its file.
    fn plan(&mut self) -> Result<Vec<Plan>> {
        tensors::plan(self.architecture, &self.config, &mut self.weights, self.side)
    }

    /// The tokenizer as GGUF has it.
    fn vocabulary(&mut self) -> Result<text::GgufVocabulary> {
        if self.side == Side::Gguf {
            return Ok(text::GgufVocabulary { pairs: text::copy(self.weights.metadata())?, notes: Vec::new() });
        }
        let vocab_size = self.config.count(&["vocab_size"], None)?;
        let ends = if self.files.contains("generation_config.json") {
            Fields::new(self.files.read_json("generation_config.json", SMALL_FILE)?)
        } else {
            // A config.json that does not name its first and last token means those of its architecture.
            let mut ends = self.config.values().clone();
            let own = self.architecture;
            for (name, id) in [("bos_token_id", own.bos_token_id), ("eos_token_id", own.eos_token_id)] {
                if let Some(id) = id {
                    ends.entry(name).or_insert(id.into());
                }
            }
            Fields::new(ends)
        };
        let ids = |name: &str| -> Vec<u32> {
            let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
            match ends.values().get(name) {
                Some(Value::Array(several)) => several.iter().filter_map(id).collect(),
                Some(one) => id(one).into_iter().collect(),
                None => Vec::new(),
            }
        };
        let inside = |mut ids: Vec<u32>| {
            ids.retain(|id| (*id as usize) < vocab_size);
            ids
        };
        let (bos, eos) = (inside(ids("bos_token_id")), inside(ids("eos_token_id")));
        text::to_gguf(&mut self.files, bos.first().copied(), &eos, vocab_size)
    }

    /// The pairs that every GGUF file begins with.
    fn general(&self, format: Format, name: &str) -> Result<Vec<(String, Pair)>> {
        let own = self.weights.metadata().get_str("general.name")?;
        let pairs = [
            ("architecture", self.architecture.gguf.into()),
            ("type", "model".into()),
            ("name", own.unwrap_or(name).into()),
            ("file_type", Pair::U32(file_type(format))),
            ("quantization_version", Pair::U32(quantization_version())),
            ("alignment", Pair::U32(32)),
        ];
        Ok(pairs.into_iter().map(|(key, value)| (format!("general.{key}"), value)).collect())
    }
}

/// A model of any kind that is about to be written as other files.
pub enum Model {
    /// GGUF has words for its configuration and names for its tensors.
    Known(Box<Source>),
    /// It has none.
    Folder(Box<Folder>),
}

impl Model {
    /// Opens a Hugging Face folder or a GGUF file.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open(mut files: Files) -> Result<Self> {
        let is_folder = |model_type: &str| {
            let known = ARCHITECTURES.iter().find(|known| known.name == model_type);
            encoder::find(model_type).is_some() || known.is_some_and(|known| known.gguf_names.is_empty())
        };
        if files.gguf().is_none() && files.contains("config.json") {
            let config = Fields::new(files.read_json("config.json", SMALL_FILE)?);
            if !is_folder(config.str(&["model_type"])?.unwrap_or_default()) {
                return Ok(Self::Known(Box::new(Source::open(files)?)));
            }
        }
        let checkpoint = Checkpoint::open(files, Box::new(|_, _| {}))?;
        let own = checkpoint.model_type()?.to_string();
        if checkpoint.config.is_none() {
            return Ok(Self::Known(Box::new(Source::of_gguf(checkpoint.files, checkpoint.weights)?)));
        }
        match Folder::of(checkpoint)? {
            Some(folder) => Ok(Self::Folder(Box::new(folder))),
            None => Err(crate::model::unknown(&own)),
        }
    }

    /// Writes a GGUF file; see [`Source::write_gguf`].
    ///
    /// # Errors
    /// As there.
    pub fn write_gguf(&mut self, format: Format, name: &str, out: &mut dyn Write) -> Result<Report> {
        match self {
            Self::Known(source) => source.write_gguf(format, name, out),
            Self::Folder(folder) => folder.write_gguf(format, name, out),
        }
    }

    /// Writes the files of a Hugging Face folder; see [`Source::write_folder`].
    ///
    /// # Errors
    /// As there.
    pub fn write_folder<'w>(
        &mut self,
        format: Format,
        create: &mut dyn FnMut(&str) -> std::io::Result<Box<dyn Write + 'w>>,
    ) -> Result<Report> {
        match self {
            Self::Known(source) => source.write_folder(format, create),
            Self::Folder(folder) => folder.write_folder(format, create),
        }
    }
}

/// What a config.json calls the format of a folder's tensors.
fn dtype_of(format: Format) -> Result<&'static str> {
    match format {
        Format::F32 => Ok("float32"),
        Format::F16 => Ok("float16"),
        Format::BF16 => Ok("bfloat16"),
        other => Err(Error::Unsupported {
            what: format!("{} in a Hugging Face folder", other.name()),
            expected: "f32, f16 or bf16".into(),
            found: other.name().to_lowercase(),
        }),
    }
}

fn write<'w>(
    create: &mut dyn FnMut(&str) -> std::io::Result<Box<dyn Write + 'w>>,
    name: &str,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut out = create(name).map_err(|source| writing(name, source))?;
    fill(&mut *out)
}

fn writing(name: &str, source: std::io::Error) -> Error {
    Error::Write { file: name.to_string(), source }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn count(table: &[Planned]) -> BTreeMap<&'static str, usize> {
    let mut formats = BTreeMap::new();
    for tensor in table {
        *formats.entry(tensor.format.name()).or_default() += 1;
    }
    formats
}
