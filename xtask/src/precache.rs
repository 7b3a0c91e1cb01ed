//! `sw-files.js`: what the site consists of, for its service worker, which keeps just these files and no others of the same
//! name. Its version is that of all their contents together.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use inkling::files::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{compress, folder};

const NAME: &str = "sw-files.js";
/// Files of a site that a page without a network does not ask for.
const LEFT_OUT: [&str; 3] = ["sw.js", NAME, "README.md"];

/// Larger files are not kept beforehand: models that somebody has added to the ones that ship, in bytes.
const LARGEST: u64 = 32 << 20;

/// Writes the list of a folder into it.
pub fn write(site: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    for path in folder::files(site)? {
        let (file, name) = (site.join(&path), path.rsplit('/').next().unwrap_or(&path));
        let reading = || format!("reading {}", file.display());
        let kept = !LEFT_OUT.contains(&name) && !compress::is_compressed(name);
        if kept && fs::metadata(&file).with_context(reading)?.len() <= LARGEST {
            files.insert(path, hex(&Sha256::digest(fs::read(&file).with_context(reading)?)));
        }
    }
    let list = serde_json::to_string(&files).context("writing the list of files")?;
    let version = &hex(&Sha256::digest(&list))[..16];
    let site_files = json!({ "version": version, "files": files });
    let place = site.join(NAME);
    fs::write(&place, format!("self.site = {site_files};\n")).with_context(|| format!("writing {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_contents() {
        let site = std::env::temp_dir().join(format!("inkling-precache-{}", std::process::id()));
        fs::create_dir_all(site.join("engine/simd128")).unwrap();
        let version = |text: &str| {
            fs::write(site.join("index.html"), text).unwrap();
            for other in ["sw.js", "a.js.br", "engine/simd128/inkling.js"] {
                fs::write(site.join(other), "x").unwrap();
            }
            super::write(&site).unwrap();
            let written = fs::read_to_string(site.join(NAME)).unwrap();
            let value: serde_json::Value =
                serde_json::from_str(written.strip_prefix("self.site = ").unwrap().trim_end_matches(";\n")).unwrap();
            let names: Vec<&String> = value["files"].as_object().unwrap().keys().collect();
            assert_eq!(names, ["engine/simd128/inkling.js", "index.html"]);
            value["version"].as_str().unwrap().to_string()
        };
        let first = version("one");
        assert_eq!(version("one"), first);
        assert_ne!(version("two"), first);
        fs::remove_dir_all(site).unwrap();
    }
}
