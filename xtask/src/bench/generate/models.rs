//! The files of the models that are measured, made when they are first needed and kept outside the project: a Hugging
//! Face folder for each shape, from it GGUF files, and with a Python the graphs that transformers.js loads. All hold the
//! same weights.
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use inkling::convert::Model;
use inkling::files::Files;
use inkling::kernels::Format;
use inkling::model::{self, Fields};
use inkling::weights::{Planned, write_safetensors};
use serde_json::{Value, json};

use super::mixture;
use super::shapes::{Shape, Storage};
use super::vocabulary::{END, Vocabulary};
use crate::bench::peers::Python;
use crate::{process, tools};

/// Changes when the files would come out different.
const EDITION: &str = "models-1";
const SEED: u64 = 1234;

/// The folder that holds them all.
pub fn home() -> Result<PathBuf> {
    Ok(tools::cache()?.join("peers").join(EDITION))
}

/// The Hugging Face folder of a shape.
pub fn folder(shape: &Shape) -> Result<PathBuf> {
    let folder = home()?.join(shape.name);
    if !folder.join("model.safetensors").is_file() {
        eprintln!("Making {} with random weights, once for all projects: {}", shape.title, folder.display());
        fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
        write_folder(shape, &folder)?;
    }
    Ok(folder)
}

/// A GGUF file of a shape, named `SHAPE-FORMAT.gguf`.
pub fn gguf(shape: &Shape, storage: Storage) -> Result<PathBuf> {
    let place = home()?.join(file_name(shape, storage));
    if place.is_file() {
        return Ok(place);
    }
    let source = match storage {
        Storage::Plain(_) => folder(shape)?,
        Storage::Q4KM => gguf(shape, Storage::Plain(Format::F32))?,
    };
    eprintln!("Making {}", place.display());
    whole(&place, |part| match storage {
        Storage::Plain(format) => {
            let mut out = BufWriter::new(File::create(part)?);
            Model::open(Files::open(&source)?)?.write_gguf(format, shape.title, &mut out)?;
            Ok(())
        }
        Storage::Q4KM => mixture::write(&source, part),
    })?;
    Ok(place)
}

pub fn file_name(shape: &Shape, storage: Storage) -> String {
    format!("{}-{}.gguf", shape.name, storage.name())
}

/// The folder of a shape with the graphs of transformers.js in it, such as `onnx/model.onnx` and
/// `onnx/model_quantized.onnx`.
pub fn onnx(shape: &Shape) -> Result<PathBuf> {
    let folder = folder(shape)?;
    let graphs = folder.join("onnx");
    if shape.export.is_none() && !graphs.join("model_quantized.onnx").is_file() {
        let python = Python::with(&["numpy", "onnx", "onnxruntime", "safetensors"])?;
        eprintln!("Making the graphs of {} for transformers.js: {}", shape.title, graphs.display());
        let script = process::root().join("xtask/bench/generate/make_onnx.py");
        process::output(Command::new(python.program).arg(script).arg(&folder))?;
    }
    Ok(folder)
}

fn write_folder(shape: &Shape, folder: &Path) -> Result<()> {
    let vocabulary = Vocabulary::new(shape.vocabulary);
    vocabulary.check()?;
    let config = shape.config();
    let ends = json!({ "bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"] });
    let tokenizer = json!({
        "tokenizer_class": "GPT2Tokenizer", "bos_token": END, "eos_token": END, "unk_token": END,
        "add_prefix_space": false, "clean_up_tokenization_spaces": false,
    });
    let files = [
        ("config.json", Value::Object(config.clone()).to_string()),
        ("generation_config.json", ends.to_string()),
        ("tokenizer_config.json", tokenizer.to_string()),
        ("tokenizer.json", vocabulary.tokenizer_json()),
    ];
    for (name, text) in files {
        let place = folder.join(name);
        fs::write(&place, text).with_context(|| format!("writing {}", place.display()))?;
    }
    if let Some(task) = shape.export {
        let python = Python::with(&["optimum-onnx", "onnxruntime", "torch", "transformers"])?;
        let script = process::root().join("xtask/bench/generate/make_export.py");
        process::output(Command::new(python.program).arg(script).arg(folder).arg(task))?;
        return Ok(());
    }
    let (_, variables) = model::initial(&Fields::new(config), SEED)?;
    let tensors: Vec<_> = variables.iter().collect();
    let planned = tensors.iter().map(|(name, values)| Planned {
        name: name.to_string(),
        shape: values.dims().to_vec(),
        format: Format::F32,
    });
    let table: Vec<Planned> = planned.collect();
    // Whoever finds this file takes the folder to be complete.
    whole(&folder.join("model.safetensors"), |part| {
        let mut out = BufWriter::new(File::create(part)?);
        write_safetensors(&mut out, &[("format", "pt")], &table, |i| {
            let values: Vec<f32> = tensors[i].1.flatten_all()?.to_vec1()?;
            let mut bytes = vec![0; 4 * values.len()];
            Format::F32.quantize(&values, &mut bytes);
            Ok(bytes)
        })?;
        Ok(out.flush()?)
    })
}

/// Lets `write` make a file beside its place, and puts it there when it is whole.
fn whole(place: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = place.with_extension("part");
    write(&part).with_context(|| format!("making {}", place.display()))?;
    fs::rename(&part, place).with_context(|| format!("putting {} in its place", place.display()))
}
