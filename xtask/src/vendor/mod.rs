//! `cargo xtask vendor owner/name`: a model of a hub into `dist/` and its catalogue, now and at every later build, for
//! hosts and classrooms without a network. What was fetched is kept in a cache and gone on with where it broke off.
mod catalog;
mod download;
mod hub;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use inkling::convert::Model;
use inkling::files::Files;
use inkling::kernels::Format;
use serde_json::Value;

use crate::foreign::Folder;
use crate::model::convert;
use crate::{folder, model, precache, process, tools};
use hub::{Hub, Listing};

#[derive(clap::Args)]
pub struct Args {
    /// owner/name, or owner/name@revision
    repository: String,
    /// One file of the repository, such as model-q8_0.gguf, instead of its safetensors
    #[arg(long)]
    file: Option<String>,
    /// Write it as GGUF in this format: f16, q8_0, q4_0, q4_k, …
    #[arg(long, value_parser = convert::format)]
    quantize: Option<Format>,
    /// The address of the hub, or of a mirror
    #[arg(long, env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
    hub: String,
    /// What the model is called in the list of the page; its name in the repository if not said
    #[arg(long)]
    title: Option<String>,
}

pub fn run(args: Args) -> Result<()> {
    let (name, revision) = args.repository.split_once('@').unwrap_or((&args.repository, "main"));
    let hub = Hub::new(&args.hub);
    let listing = hub.list(name, revision)?;
    let wanted = listing.choose(args.file.as_deref())?;
    let cache = tools::cache()?.join("hub").join(name.replace('/', "--")).join(&listing.commit);
    for file in &wanted {
        download::file(&hub.address(name, &listing.commit, &file.name), &cache.join(&file.name), file)?;
    }

    let id = id_of(name, args.file.as_deref(), args.quantize);
    let place = home()?.join(&id);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("emptying {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("making the folder {}", place.display()))?;
    install(&cache, &wanted, args.quantize, &place)?;
    let spec = model::open_any(&place)?.spec().clone();
    let title = args.title.as_deref().unwrap_or(name.rsplit('/').next().unwrap_or(name));
    let entry = catalog::entry(&id, title, &place, spec.parameters, &describe(&listing, &hub, name))?;
    let note = home()?.join(format!("{id}.json"));
    fs::write(&note, entry.to_string()).with_context(|| format!("writing {}", note.display()))?;
    println!("{name} is in {}: {} parameters, {}", place.display(), spec.parameters, spec.quantization);
    let site = process::root().join("dist");
    if site.join("models/catalog.json").is_file() {
        add_to(&site)?;
        precache::write(&site)?;
        println!("{} has it, and so has every build from now on", site.display());
    } else {
        println!("Every build has it from now on");
    }
    println!("To take it out again, delete {} and {}", place.display(), note.display());
    Ok(())
}

/// Where models are kept that every build of the site takes along.
fn home() -> Result<PathBuf> {
    Ok(process::target_dir()?.join("vendored"))
}

/// What a model is called in the catalogue: one for each repository, file and format.
fn id_of(name: &str, file: Option<&str>, quantize: Option<Format>) -> String {
    let file = file.map(|file| file.trim_end_matches(".gguf").to_string());
    let format = quantize.map(|format| format.name().to_string());
    let parts: Vec<String> = [Some(name.to_string()), file, format].into_iter().flatten().collect();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    parts.join("-").chars().map(allowed).collect()
}

/// Puts every model that is kept into a site and its list.
pub fn add_to(site: &Path) -> Result<()> {
    let home = home()?;
    let Ok(entries) = fs::read_dir(&home) else { return Ok(()) };
    let mut notes: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    notes.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    notes.sort();
    for note in notes {
        let text = fs::read_to_string(&note).with_context(|| format!("reading {}", note.display()))?;
        let entry: Value = serde_json::from_str(&text).with_context(|| format!("{}: expected JSON", note.display()))?;
        let id = note.file_stem().unwrap_or_default();
        folder::link(&note.with_extension(""), &site.join("models").join(id))?;
        catalog::add(site, entry)?;
    }
    Ok(())
}

/// Where it is from and under which licence, for the page to say.
fn describe(listing: &Listing, hub: &Hub, name: &str) -> catalog::Credit {
    let license = listing.license.clone().unwrap_or_else(|| "no licence named".into());
    catalog::Credit {
        words: format!("{name} at {}, {license}", &listing.commit[..listing.commit.len().min(12)]),
        link: hub.page(name),
    }
}

/// Puts what was fetched into its place, converted where that is asked for.
fn install(cache: &Path, wanted: &[hub::Remote], quantize: Option<Format>, place: &Path) -> Result<()> {
    let gguf = wanted.iter().find(|file| file.name.to_lowercase().ends_with(".gguf"));
    match (gguf, quantize) {
        (Some(_), Some(_)) => {
            bail!("--quantize: expected safetensors to quantize, found a .gguf file; choose another with --file")
        }
        (Some(file), None) => copy(&cache.join(&file.name), &place.join("model.gguf")),
        (None, Some(format)) => {
            let foreign = Folder::of(cache)?;
            let files = Files::open(foreign.as_ref().map_or(cache, Folder::path))?;
            let target = place.join("model.gguf");
            let mut out =
                BufWriter::new(File::create(&target).with_context(|| format!("writing {}", target.display()))?);
            let report = Model::open(files)?.write_gguf(format, "model", &mut out)?;
            report.notes.iter().for_each(|note| println!("note: {note}"));
            Ok(())
        }
        (None, None) => {
            let foreign = Folder::of(cache)?;
            folder::copy(foreign.as_ref().map_or(cache, Folder::path), place, |_| true)
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_has_an_id_of_its_own() {
        let ids = [
            id_of("who/stories", None, None),
            id_of("other/stories", None, None),
            id_of("who/stories", None, Some(Format::Q8_0)),
            id_of("who/stories", Some("Stories Q8_0.gguf"), None),
        ];
        assert_eq!(ids, ["who-stories", "other-stories", "who-stories-q8_0", "who-stories-stories-q8_0"]);
    }
}
