//! What a repository of a hub holds, as `GET /api/models/{name}/revision/{revision}?blobs=true` says it.
use anyhow::{Context, Result, bail, ensure};
use inkling::files::COMPANIONS;
use serde_json::Value;

use super::download;

pub struct Hub(String);

/// A file that can be fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    pub name: String,
    pub size: u64,
    /// In hexadecimal, where the hub knows it.
    pub sha256: Option<String>,
}

#[derive(Debug)]
pub struct Listing {
    pub commit: String,
    pub license: Option<String>,
    files: Vec<Remote>,
}

impl Hub {
    pub fn new(address: &str) -> Self {
        Self(address.trim_end_matches('/').to_string())
    }

    pub fn page(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// Where a file is.
    pub fn address(&self, name: &str, commit: &str, file: &str) -> String {
        format!("{}/{name}/resolve/{commit}/{file}", self.0)
    }

    pub fn list(&self, name: &str, revision: &str) -> Result<Listing> {
        let address = format!("{}/api/models/{name}/revision/{revision}?blobs=true", self.0);
        let text = download::text(&address).with_context(|| format!("looking for {name}"))?;
        Listing::read(&text).with_context(|| format!("{address}: expected the listing of a repository"))
    }
}

impl Listing {
    fn read(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("expected JSON")?;
        let commit = value["sha"].as_str().context("expected a commit as sha")?.to_string();
        ensure!(commit.chars().all(|c| c.is_ascii_alphanumeric()), "expected a commit as sha, found {commit:?}");
        let siblings = value["siblings"].as_array().context("expected a list siblings")?;
        let files = siblings.iter().filter_map(|file| {
            let sha256 = file["lfs"]["sha256"].as_str().map(str::to_lowercase);
            Some(Remote { name: file["rfilename"].as_str()?.to_string(), size: file["size"].as_u64()?, sha256 })
        });
        // What is in folders is not part of a checkpoint, and a name must stay where it is put.
        let files = files.filter(|file| !file.name.contains(['/', '\\']) && !file.name.starts_with('.')).collect();
        Ok(Self { commit, license: value["cardData"]["license"].as_str().map(str::to_string), files })
    }

    fn named(&self, name: &str) -> Option<&Remote> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The files of the model to take: a .gguf, or a checkpoint with its weights in safetensors, else as PyTorch has them.
    pub fn choose(&self, file: Option<&str>) -> Result<Vec<Remote>> {
        let names = || self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(name) = file {
            let found =
                self.named(name).with_context(|| format!("expected {name} in the repository, found {}", names()))?;
            return Ok(vec![found.clone()]);
        }
        let small = ["config.json"].iter().chain(&COMPANIONS).filter_map(|name| self.named(name));
        for kind in [("model", ".safetensors"), ("pytorch_model", ".bin")] {
            let weights = self.weights(kind);
            if !weights.is_empty() && self.named("config.json").is_some() {
                return Ok(small.chain(weights).cloned().collect());
            }
        }
        let ggufs: Vec<&Remote> =
            self.files.iter().filter(|file| file.name.to_lowercase().ends_with(".gguf")).collect();
        match ggufs[..] {
            [one] => Ok(vec![one.clone()]),
            [] => bail!("expected config.json with weights, or a .gguf file, found {}", names()),
            _ => bail!(
                "expected --file to name one of {}",
                ggufs.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// One file of weights, or an index with its shards.
    fn weights(&self, (stem, ending): (&str, &str)) -> Vec<&Remote> {
        if let Some(one) = self.named(&format!("{stem}{ending}")) {
            return vec![one];
        }
        let Some(index) = self.named(&format!("{stem}{ending}.index.json")) else { return Vec::new() };
        let shards = self.files.iter().filter(|file| {
            let middle = file.name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(ending));
            middle.is_some_and(|middle| middle.starts_with('-'))
        });
        std::iter::once(index).chain(shards).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let siblings: Vec<_> = names.iter().map(|name| serde_json::json!({ "rfilename": name, "size": 1 })).collect();
        Listing::read(&serde_json::json!({ "sha": "abc", "siblings": siblings }).to_string()).unwrap()
    }

    fn chosen(names: &[&str], file: Option<&str>) -> Result<Vec<String>> {
        Ok(listing(names).choose(file)?.into_iter().map(|file| file.name).collect())
    }

    #[test]
    fn safetensors_go_before_pytorch_and_gguf() {
        let all = ["config.json", "model.safetensors", "pytorch_model.bin", "a.gguf", "onnx/model.onnx", "merges.txt"];
        assert_eq!(chosen(&all, None).unwrap(), ["config.json", "merges.txt", "model.safetensors"]);
        assert_eq!(chosen(&all, Some("a.gguf")).unwrap(), ["a.gguf"]);
        assert_eq!(chosen(&["config.json", "pytorch_model.bin"], None).unwrap(), ["config.json", "pytorch_model.bin"]);
        let sharded = [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ];
        assert_eq!(chosen(&sharded, None).unwrap().len(), 4);
    }

    #[test]
    fn what_cannot_be_chosen_is_named() {
        let error = chosen(&["a-q4.gguf", "a-q8.gguf"], None).unwrap_err().to_string();
        assert!(error.contains("a-q4.gguf, a-q8.gguf"), "{error}");
        assert!(chosen(&["README.md"], None).is_err());
        assert!(chosen(&["a.gguf"], Some("b.gguf")).is_err());
        assert!(listing(&["../../etc/passwd", "..\\x", ".bashrc"]).files.is_empty());
    }
}
