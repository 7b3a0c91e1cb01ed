//! `sw-files.js`: what the site consists of, for its service worker, which keeps just these files and no others of the same
//! name. Its version is that of all their contents together.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use inkling::files::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::compress;

const NAME: &str = "sw-files.js";
/// Files of a site that a page without a network does not ask for.
const LEFT_OUT: [&str; 3] = ["sw.js", NAME, "README.md"];

/// Larger files are not kept beforehand: models that somebody has added to the ones that ship, in bytes.
const LARGEST: u64 = 32 << 20;

/// Writes the list of a folder into it.
pub fn write(site: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    add(site, "", &mut files)?;
    let list = serde_json::to_string(&files).context("writing the list of files")?;
    let version = &hex(&Sha256::digest(&list))[..16];
    let site_files = json!({ "version": version, "files": files });
    let place = site.join(NAME);
    fs::write(&place, format!("self.site = {site_files};\n")).with_context(|| format!("writing {}", place.display()))
}

/// Adds the files of a folder with their hashes, by their paths in the site.
fn add(folder: &Path, path: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    let reading = || format!("reading the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (file, path) = (entry.path(), format!("{path}{name}"));
        if file.is_dir() {
            add(&file, &format!("{path}/"), files)?;
        } else if !LEFT_OUT.contains(&name.as_str())
            && !compress::is_compressed(&name)
            && entry.metadata().with_context(reading)?.len() <= LARGEST
        {
            let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            files.insert(path, hex(&Sha256::digest(&bytes)));
        }
    }
    Ok(())
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
