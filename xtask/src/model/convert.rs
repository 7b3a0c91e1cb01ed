//! `cargo xtask convert`: a model's files as GGUF or as a Hugging Face folder. What is being written lies beside its place
//! under another name until it is whole, so that a fault never costs a good file.

use crate::foreign::Folder;
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use inkling::convert::{Model, Report};
use inkling::files::Files;
use inkling::kernels::Format;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// A folder (config.json, *.safetensors or pytorch_model.bin, tokenizer; or OpenAI's TensorFlow checkpoint with
    /// hparams.json) or a .gguf file
    #[arg(long)]
    model: PathBuf,
    /// The kind of files to write
    #[arg(long)]
    to: Kind,
    /// The format of the matrices: f32, f16, bf16, or for GGUF q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k
    #[arg(long, default_value = "f16", value_parser = format)]
    quantize: Format,
    /// The .gguf file or the folder to write
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// One GGUF file, for llama.cpp and this engine
    Gguf,
    /// A Hugging Face folder, for transformers and this engine
    Safetensors,
}

/// A format by its name, in any case.
pub fn format(text: &str) -> Result<Format, String> {
    let found = Format::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("expected one of {}", Format::ALL.map(|f| f.name().to_lowercase()).join(", ")))
}

pub fn run(args: Args) -> Result<()> {
    // What other frameworks have written is first turned into a folder that the engine reads.
    let foreign = Folder::of(&args.model)?;
    let model = foreign.as_ref().map_or(args.model.as_path(), Folder::path);
    let files = Files::open(model).with_context(|| format!("opening {}", args.model.display()))?;
    let mut source = Model::open(files).with_context(|| format!("opening {}", args.model.display()))?;
    let report = match args.to {
        Kind::Gguf => write_file(&mut source, &args),
        Kind::Safetensors => write_folder(&mut source, &args),
    };
    let Report { formats, notes } = report.with_context(|| format!("writing {}", args.out.display()))?;
    let formats: Vec<String> = formats.iter().map(|(format, count)| format!("{count} × {format}")).collect();
    println!("{}: {} tensors", args.out.display(), formats.join(", "));
    notes.iter().for_each(|note| println!("note: {note}"));
    Ok(())
}

fn write_file(source: &mut Model, args: &Args) -> Result<Report> {
    ensure!(!args.out.is_dir(), "expected the name of a .gguf file, found a folder");
    let name = args.model.canonicalize()?;
    let name = name.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut parts = Parts::new();
    let mut out = BufWriter::new(parts.create(&args.out)?);
    let report = source.write_gguf(args.quantize, &name, &mut out)?;
    drop(out);
    parts.finish()?;
    Ok(report)
}

fn write_folder(source: &mut Model, args: &Args) -> Result<Report> {
    if args.out.is_file() {
        bail!("expected the name of a folder, found a file");
    }
    let is_new = !args.out.exists();
    fs::create_dir_all(&args.out)?;
    let mut parts = Parts::new();
    let written = source.write_folder(args.quantize, &mut |name| {
        let place = args.out.join(name);
        // Some files lie in a folder of their own.
        if let Some(inner) = place.parent().filter(|inner| *inner != args.out) {
            fs::create_dir_all(inner)?;
        }
        Ok(Box::new(BufWriter::new(parts.create(&place)?)))
    });
    match written {
        Ok(report) => {
            parts.finish()?;
            Ok(report)
        }
        Err(error) => {
            drop(parts);
            if is_new {
                // Only ever empty here.
                fs::remove_dir(&args.out).ok();
            }
            Err(error.into())
        }
    }
}

/// Files that are being written beside their places; removed again unless they are finished.
struct Parts(Vec<(PathBuf, PathBuf)>);

impl Parts {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn create(&mut self, place: &Path) -> std::io::Result<File> {
        let mut name = place.file_name().unwrap_or_default().to_os_string();
        name.push(".part");
        let part = place.with_file_name(name);
        let file = File::create(&part)?;
        self.0.push((part, place.to_path_buf()));
        Ok(file)
    }

    /// Puts every file in its place.
    fn finish(mut self) -> std::io::Result<()> {
        for (part, place) in self.0.drain(..) {
            File::open(&part)?.sync_all()?;
            fs::rename(part, place)?;
        }
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for (part, _) in &self.0 {
            fs::remove_file(part).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_format_is_answered_with_the_list() {
        assert_eq!(format("Q4_K"), Ok(Format::Q4_K));
        let error = format("q3_k").unwrap_err();
        assert!(error.contains("f32, f16, bf16, q8_0") && error.contains("q6_k"), "{error}");
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_and_replaces_nothing() {
        let folder = std::env::temp_dir().join(format!("inkling-convert-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let place = folder.join("model.gguf");
        fs::write(&place, "good").unwrap();
        let mut parts = Parts::new();
        parts.create(&place).unwrap();
        drop(parts);
        assert_eq!(fs::read_to_string(&place).unwrap(), "good");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

        let mut parts = Parts::new();
        std::io::Write::write_all(&mut parts.create(&place).unwrap(), b"better").unwrap();
        parts.finish().unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "better");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

        assert!(Parts::new().create(&folder.join("absent/model.gguf")).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
