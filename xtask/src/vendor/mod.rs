//! `cargo xtask vendor owner/name`: a model of a hub into `dist/` and its catalogue, for hosts and classrooms without a
//! network. What was fetched is kept in a cache and gone on with where it broke off.
mod catalog;
mod download;
mod hub;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use inkling::convert::Source;
use inkling::files::Files;
use inkling::kernels::Format;

use crate::foreign::Folder;
use crate::model::convert;
use crate::{model, precache, process, tools};
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
    /// The built site to put it into
    #[arg(long, default_value = "dist")]
    site: PathBuf,
}

pub fn run(args: Args) -> Result<()> {
    let site = if args.site.is_absolute() { args.site.clone() } else { process::root().join(&args.site) };
    ensure!(
        site.join("models/catalog.json").is_file(),
        "expected a built site in {}, found none; cargo xtask build makes it",
        site.display()
    );
    let (name, revision) = args.repository.split_once('@').unwrap_or((&args.repository, "main"));
    let hub = Hub::new(&args.hub);
    let listing = hub.list(name, revision)?;
    let wanted = listing.choose(args.file.as_deref())?;
    let cache = tools::cache()?.join("hub").join(name.replace('/', "--")).join(&listing.commit);
    for file in &wanted {
        download::file(&hub.address(name, &listing.commit, &file.name), &cache.join(&file.name), file)?;
    }

    let id = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let place = site.join("models").join(&id);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("emptying {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("making the folder {}", place.display()))?;
    install(&cache, &wanted, args.quantize, &place)?;
    let spec = model::open(&place)?.spec().clone();
    let title = args.title.as_deref().unwrap_or(name.rsplit('/').next().unwrap_or(name));
    let entry = catalog::entry(&id, title, &place, spec.parameters, &describe(&listing, &hub, name))?;
    catalog::add(&site, entry)?;
    precache::write(&site)?;
    println!("{} is in {}: {} parameters, {}", name, place.display(), spec.parameters, spec.quantization);
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
            let report = Source::open(files)?.write_gguf(format, "model", &mut out)?;
            report.notes.iter().for_each(|note| println!("note: {note}"));
            Ok(())
        }
        (None, None) => {
            let foreign = Folder::of(cache)?;
            let from = foreign.as_ref().map_or(cache, Folder::path);
            for entry in fs::read_dir(from).with_context(|| format!("reading the folder {}", from.display()))? {
                let path = entry?.path();
                if path.is_file() {
                    copy(&path, &place.join(path.file_name().unwrap_or_default()))?;
                }
            }
            Ok(())
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}
