//! `cargo xtask build`: leaves `dist/`, plain files with relative addresses, assembled by Trunk.
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tools::{self, Toolbox};
use crate::{archive, folder, process};

#[derive(clap::Args, Default)]
pub struct Args {
    /// The path the site will have on its host. The page's addresses are relative and do without; Trunk puts this in
    /// front of any address of its own
    #[arg(long, value_name = "/SUB/", value_parser = base_path)]
    base_path: Option<String>,
    /// Write dist.zip too: the site as one file
    #[arg(long)]
    zip: bool,
}

fn base_path(path: &str) -> Result<String, String> {
    match path.starts_with('/') && path.ends_with('/') {
        true => Ok(path.to_string()),
        false => Err("expected a path such as /sub/, with a slash at both ends".to_string()),
    }
}

pub fn run(args: Args) -> Result<()> {
    let dist = site(&args)?;
    let files = folder::files(&dist)?;
    let bytes = folder::bytes(&dist, &files)?;
    println!("{} is ready: {} files, {:.1} MB", dist.display(), files.len(), bytes as f64 / 1e6);
    if args.zip {
        let place = dist.with_extension("zip");
        archive::write(&dist, &place)?;
        let bytes = fs::metadata(&place).context("measuring the archive")?.len();
        println!(
            "{} is ready: {:.1} MB; it unpacks to a folder for any static host",
            place.display(),
            bytes as f64 / 1e6
        );
    }
    Ok(())
}

/// Builds the site; the folder it is in.
pub fn site(args: &Args) -> Result<PathBuf> {
    let tools = Toolbox::with(&tools::FOR_BUILD)?;
    let mut trunk = tools.command("trunk");
    trunk.args(["build", "--release", "--offline=true", "--skip-version-check"]);
    // Trunk takes NO_COLOR for a boolean, and stops at the usual NO_COLOR=1.
    trunk.env_remove("NO_COLOR");
    if let Some(path) = &args.base_path {
        trunk.args(["--public-url", path]);
    }
    process::run(&mut trunk)?;
    Ok(process::root().join("dist"))
}
