//! `cargo xtask assemble`: the part of the site that Trunk has no words for. Trunk's hook calls it while `dist/` is
//! still being staged, so a failure here leaves the last good `dist/` alone.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::engine::{ARTIFACTS, Artifact, CHAT, QR};
use crate::tools::{self, Toolbox, WASM_BINDGEN};
use crate::{compress, folder, precache, process, vendor};

#[derive(clap::Args)]
pub struct Args {
    /// The folder to put them in; Trunk says it
    #[arg(long, env = "TRUNK_STAGING_DIR")]
    staging: PathBuf,
}

pub fn run(args: Args) -> Result<()> {
    let tools = Toolbox::with(&[WASM_BINDGEN])?;
    tools::rust_src()?;
    let target = process::target_dir()?;
    let put = |artifact: &Artifact, place: &str| {
        let built = artifact.build(&tools, &target)?;
        folder::copy(&built, &args.staging.join(place).join(artifact.name), |name| name != "stamp")
    };
    // Two at a time: most of what an engine takes is optimising the whole of it, on a single core.
    for pair in ARTIFACTS.chunks(2) {
        std::thread::scope(|scope| {
            let builds: Vec<_> = pair.iter().map(|artifact| scope.spawn(|| put(artifact, "engine"))).collect();
            builds
                .into_iter()
                .try_for_each(|build| build.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
    }
    for artifact in [&QR, &CHAT] {
        put(artifact, ".")?;
    }
    folder::copy(&process::root().join("models"), &args.staging.join("models"), is_published)?;
    vendor::add_to(&args.staging)?;
    clean(&args.staging.join("index.html"))?;
    compress_texts(&args.staging)?;
    precache::write(&args.staging)
}

/// Writes the compressed forms of the page's own files; those of the engines are there already.
fn compress_texts(site: &Path) -> Result<()> {
    const QUALITY: u32 = 9;
    const TEXTS: [&str; 7] = ["html", "css", "js", "json", "txt", "svg", "webmanifest"];
    let is_text = |path: &str| path.rsplit_once('.').is_some_and(|(_, ending)| TEXTS.contains(&ending));
    let files = folder::files(site)?;
    let mut own = files.iter().filter(|path| !path.starts_with("engine/") && is_text(path));
    own.try_for_each(|path| compress::beside(&site.join(path), QUALITY))
}

/// Takes out of the page the lines that are only for Trunk, and that Trunk leaves in.
fn clean(page: &Path) -> Result<()> {
    let html = fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))?;
    let kept: String = html.split_inclusive('\n').filter(|line| !is_for_trunk(line)).collect();
    fs::write(page, kept).with_context(|| format!("writing {}", page.display()))
}

fn is_for_trunk(line: &str) -> bool {
    line.contains("data-trunk-skip") || line.contains("<!-- For Trunk")
}

/// Whether a file of models/ belongs on the site: the recipes that made a model do not.
fn is_published(path: &str) -> bool {
    let named = |name: &str| name.ends_with(".py") || name.ends_with(".toml") || name.starts_with(['.', '_']);
    !path.split('/').any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_stay_at_home() {
        for kept in ["config.json", "stories/model.safetensors", "README.md"] {
            assert!(is_published(kept), "{kept}");
        }
        for left in ["train.py", "stories/recipe.toml", ".DS_Store", "__pycache__/train.pyc"] {
            assert!(!is_published(left), "{left}");
        }
    }
}
