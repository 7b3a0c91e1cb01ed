//! Checkpoints of other frameworks, turned into a Hugging Face folder that the engine reads: PyTorch's
//! `pytorch_model.bin` and the TensorFlow checkpoints OpenAI published GPT-2 as. The folder is a temporary one, written
//! tensor by tensor and removed again when it is no longer needed.
mod pytorch;
mod tensorflow;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use inkling::files::COMPANIONS;
use inkling::kernels::Format;
use inkling::weights::{Planned, write_safetensors};

/// A tensor of a foreign file: its name and place in the folder to be, and how its bytes are had.
struct Foreign {
    planned: Planned,
    bytes: Box<dyn Fn() -> Result<Vec<u8>>>,
}

impl Foreign {
    fn new(name: String, shape: Vec<usize>, format: Format, bytes: impl Fn() -> Result<Vec<u8>> + 'static) -> Self {
        Self { planned: Planned { name, shape, format }, bytes: Box::new(bytes) }
    }
}

/// A folder that is there as long as this is.
pub struct Folder(PathBuf);

impl Folder {
    /// The checkpoint of another framework in this folder as a Hugging Face folder, or none where there is none.
    ///
    /// # Errors
    /// What is damaged, or of a kind that is not read.
    pub fn of(model: &Path) -> Result<Option<Self>> {
        if !model.is_dir() || has(model, ".safetensors")? || has(model, ".gguf")? {
            return Ok(None);
        }
        if model.join("hparams.json").is_file() {
            let folder = Self::make()?;
            folder.write(&tensorflow::tensors(model)?)?;
            tensorflow::companions(model, &folder.0)?;
            return Ok(Some(folder));
        }
        let files = pytorch::files(model)?;
        if files.is_empty() {
            return Ok(None);
        }
        let folder = Self::make()?;
        folder.write(&pytorch::tensors(&files)?)?;
        for name in COMPANIONS.iter().chain(&["config.json"]).filter(|name| model.join(name).is_file()) {
            let copied = folder.0.join(name);
            copied
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .with_context(|| format!("making the folder of {name}"))?;
            fs::copy(model.join(name), copied).with_context(|| format!("copying {name}"))?;
        }
        Ok(Some(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn make() -> Result<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("inkling-checkpoint-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("making the folder {}", path.display()))?;
        Ok(Self(path))
    }

    fn write(&self, tensors: &[Foreign]) -> Result<()> {
        ensure!(!tensors.is_empty(), "expected weights, found no tensor of numbers");
        let place = self.0.join("model.safetensors");
        let mut out = BufWriter::new(File::create(&place).with_context(|| format!("writing {}", place.display()))?);
        let table: Vec<Planned> = tensors.iter().map(|tensor| tensor.planned.clone()).collect();
        let mut failure = None;
        let written = write_safetensors(&mut out, &[("format", "pt")], &table, |i| {
            // The engine's writer knows no errors of files; what went wrong is told below.
            (tensors[i].bytes)().or_else(|error| {
                failure = Some(error);
                Ok(Vec::new())
            })
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(written?),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a folder has a file whose name ends so.
fn has(folder: &Path, ending: &str) -> Result<bool> {
    Ok(names(folder)?.iter().any(|name| name.ends_with(ending)))
}

/// The names of the files in a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading the folder {}", folder.display()))?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("reading the folder {}", folder.display()))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling::Engine;
    use inkling::files::Files;

    #[test]
    fn other_frameworks_checkpoints_are_the_model_they_hold() {
        let fixtures = crate::process::root().join("tests/fixtures");
        let open = |path: &Path| Engine::open(Files::open(path).unwrap()).unwrap();
        let mut wanted = open(&fixtures.join("models/gpt2-plain"));
        let text = "Once upon a time, 12 foxes\n\n didn't  rest.";
        let ids = wanted.encode_prompt(text).unwrap();
        let logits = wanted.logits(&ids).unwrap();
        for name in ["pytorch", "tensorflow"] {
            let folder = Folder::of(&fixtures.join("foreign").join(name)).unwrap().unwrap();
            let mut found = open(folder.path());
            assert_eq!(found.encode_prompt(text).unwrap(), ids, "{name}");
            assert_eq!(found.logits(&ids).unwrap(), logits, "{name}");
            assert_eq!(found.spec().parameters, wanted.spec().parameters, "{name}");
            let path = folder.path().to_path_buf();
            drop(folder);
            assert!(!path.exists(), "{name} leaves nothing");
        }
        assert!(Folder::of(&fixtures.join("models/gpt2-plain")).unwrap().is_none());
    }

    #[test]
    fn damaged_checkpoints_are_refused() {
        let fixtures = crate::process::root().join("tests/fixtures/foreign");
        for (name, damaged) in
            [("pytorch", "pytorch_model.bin"), ("tensorflow", "model.ckpt.index"), ("tensorflow", "hparams.json")]
        {
            let copy = std::env::temp_dir().join(format!("inkling-foreign-{}-{damaged}", std::process::id()));
            fs::create_dir_all(&copy).unwrap();
            for file in names(&fixtures.join(name)).unwrap() {
                fs::copy(fixtures.join(name).join(&file), copy.join(&file)).unwrap();
            }
            let bytes = fs::read(copy.join(damaged)).unwrap();
            for end in [0, 1, bytes.len() / 2, bytes.len() - 2] {
                fs::write(copy.join(damaged), &bytes[..end]).unwrap();
                assert!(Folder::of(&copy).is_err(), "{damaged} of {end} bytes");
            }
            fs::remove_dir_all(copy).unwrap();
        }
    }
}
