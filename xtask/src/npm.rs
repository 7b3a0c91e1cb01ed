//! Packages from npm, of fixed versions, each in a folder of its own outside the project.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::{process, tools};

/// A package that a browser is given: nothing of it runs here.
#[derive(Clone, Copy)]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
}

impl Package {
    /// The `node_modules` folder that has the package, fetched first where it is lacking.
    pub fn ensure(self) -> Result<PathBuf> {
        let home = tools::cache()?.join("peers").join(format!("{}-{}", self.name.replace('/', "-"), self.version));
        let modules = home.join("node_modules");
        if self.is_in(&modules) {
            return Ok(modules);
        }
        let wanted = format!("{}@{}", self.name, self.version);
        eprintln!("Getting {wanted}, once for all projects: into {}", home.display());
        fs::create_dir_all(&home).with_context(|| format!("making the folder {}", home.display()))?;
        let mut install = install(&wanted, &home)?;
        process::output(&mut install)
            .map_err(|error| anyhow!("could not get {wanted} ({error:#}); try: {}", process::shown(&install)))?;
        match self.is_in(&modules) {
            true => Ok(modules),
            false => Err(anyhow!("expected {wanted} in {} after npm install, found none", modules.display())),
        }
    }

    fn is_in(self, modules: &Path) -> bool {
        let manifest = fs::read_to_string(modules.join(self.name).join("package.json"));
        let manifest = manifest.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        manifest.is_some_and(|manifest| manifest["version"] == self.version)
    }
}

/// The command that installs `NAME@VERSION` into a folder, with npm itself fetched first where it is lacking. No script of
/// a package is run.
pub fn install(wanted: &str, home: &Path) -> Result<Command> {
    if tools::find("npm").is_none() {
        tools::apt_install("npm", &["nodejs", "npm"])?;
    }
    let mut command = Command::new(tools::find("npm").context("could not find npm; install Node.js")?);
    command.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(home).arg(wanted);
    command.current_dir(home);
    Ok(command)
}
