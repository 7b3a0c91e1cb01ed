//! What a page has to download before a model can run: the files that the browser did ask for, as they are and as a host
//! would compress them.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::compress::{brotli, gzip};

/// The best, as engines are compressed once and downloaded often; it takes a second for every 300 KB.
const BROTLI_QUALITY: u32 = 11;

/// Bytes of some files.
#[derive(Clone, Copy, Default)]
pub struct Download {
    pub files: usize,
    pub raw: usize,
    pub gzip: usize,
    pub brotli: usize,
}

impl Download {
    /// Of what was fetched of the site and of packages, the models aside.
    pub fn of(fetched: &BTreeSet<String>, dist: &Path, packages: Option<&Path>) -> Result<Self> {
        let mut sum = Self::default();
        for file in fetched.iter().filter_map(|path| place(path, dist, packages)).filter(|file| file.is_file()) {
            let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            sum.files += 1;
            sum.raw += bytes.len();
            sum.gzip += gzip(&bytes).context("compressing")?.len();
            sum.brotli += brotli(&bytes, BROTLI_QUALITY).context("compressing")?.len();
        }
        Ok(sum)
    }

    pub fn json(self) -> Value {
        json!({ "files": self.files, "raw": self.raw, "gzip": self.gzip, "brotli": self.brotli })
    }
}

/// The file behind a path, if it is part of an engine.
fn place(path: &str, dist: &Path, packages: Option<&Path>) -> Option<PathBuf> {
    match (path.strip_prefix("/dist/"), path.strip_prefix("/npm/")) {
        (Some(path), _) if !path.starts_with("models/") => Some(dist.join(path)),
        (_, Some(path)) => Some(packages?.join(path)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_engines_count() {
        let (dist, npm) = (Path::new("d"), Path::new("n"));
        assert_eq!(place("/dist/inkling.js", dist, Some(npm)), Some(PathBuf::from("d/inkling.js")));
        assert_eq!(place("/npm/a/b.wasm", dist, Some(npm)), Some(PathBuf::from("n/a/b.wasm")));
        for other in ["/dist/models/stories/model.gguf", "/models/gpt2-q8_0.gguf", "/peer.html"] {
            assert_eq!(place(other, dist, Some(npm)), None);
        }
    }
}
