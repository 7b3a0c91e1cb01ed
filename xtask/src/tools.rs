//! The programs that cargo alone does not bring. Each is looked for on PATH in the right version, then in a cache
//! outside the project, then fetched into that cache; what cannot be had is said in one line with its remedy.
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::{npm, process};

/// A program of a fixed version, and the registry it comes from.
#[derive(Clone, Copy)]
pub struct Tool {
    /// What is run.
    program: &'static str,
    /// What is installed.
    package: &'static str,
    version: Version,
    registry: Registry,
    /// What `cargo install` is told besides.
    options: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Version {
    Fixed(&'static str),
    /// As Cargo.lock has the library of this name: the two must agree exactly.
    Locked(&'static str),
}

#[derive(Clone, Copy, PartialEq)]
enum Registry {
    Cargo,
    Npm,
}

/// It fetches nothing here, and without encrypted connections it compiles in half the time.
pub const TRUNK: Tool = Tool {
    program: "trunk",
    package: "trunk",
    version: Version::Fixed("0.21.14"),
    registry: Registry::Cargo,
    options: &["--no-default-features"],
};
pub const WASM_BINDGEN: Tool = Tool {
    program: "wasm-bindgen",
    package: "wasm-bindgen-cli",
    version: Version::Locked("wasm-bindgen"),
    registry: Registry::Cargo,
    options: &[],
};
/// The driver of Firefox, which Debian does not bring.
pub const GECKODRIVER: Tool = Tool {
    program: "geckodriver",
    package: "geckodriver",
    version: Version::Fixed("0.36.0"),
    registry: Registry::Cargo,
    options: &[],
};
pub const TSC: Tool = Tool {
    program: "tsc",
    package: "typescript",
    version: Version::Fixed("7.0.2"),
    registry: Registry::Npm,
    options: &[],
};

/// What every build of the site needs.
pub const FOR_BUILD: [Tool; 2] = [TRUNK, WASM_BINDGEN];

/// Tools that are present, and a PATH on which they and their like find each other.
pub struct Toolbox {
    path: OsString,
}

impl Toolbox {
    /// Finds or fetches the wasm target and these tools.
    pub fn with(tools: &[Tool]) -> Result<Self> {
        wasm_target()?;
        let mut folders = Vec::new();
        for tool in tools {
            folders.extend(tool.ensure()?);
        }
        let inherited = env::var_os("PATH").unwrap_or_default();
        folders.extend(env::split_paths(&inherited));
        Ok(Self { path: env::join_paths(folders).context("a folder on PATH has a character that PATH cannot hold")? })
    }

    /// A command in the root of the project that sees the tools.
    pub fn command(&self, program: &str) -> Command {
        let found = find_in(program, &self.path).unwrap_or_else(|| program.into());
        let mut command = Command::new(found);
        command.current_dir(process::root()).env("PATH", &self.path);
        command
    }
}

impl Tool {
    /// The folder to put on PATH, or none where the program is there already.
    fn ensure(&self) -> Result<Option<PathBuf>> {
        let version = self.version.get()?;
        if find(self.program).is_some_and(|program| reports(&program, &version)) {
            return Ok(None);
        }
        let home = cache()?.join("tools").join(format!("{}-{version}", self.package));
        let bin = match self.registry {
            Registry::Cargo => home.join("bin"),
            Registry::Npm => home.join("node_modules").join(".bin"),
        };
        if find_in(self.program, bin.as_os_str()).is_none() {
            self.install(&version, &home)?;
        }
        Ok(Some(bin))
    }

    /// The program, fetched first where it is lacking.
    pub fn path(&self) -> Result<PathBuf> {
        let folder = self.ensure()?;
        let found = match &folder {
            Some(folder) => find_in(self.program, folder.as_os_str()),
            None => find(self.program),
        };
        found.with_context(|| format!("expected {} to be there, found none", self.program))
    }

    fn install(&self, version: &str, home: &Path) -> Result<()> {
        println!("Getting {} {version}, once for all projects: into {}", self.package, home.display());
        std::fs::create_dir_all(home).with_context(|| format!("making the folder {}", home.display()))?;
        let (mut command, remedy) = match self.registry {
            Registry::Cargo => (
                cargo_install(self.package, version, home, self.options),
                format!("cargo install --locked {}@{version}", self.package),
            ),
            Registry::Npm => {
                let wanted = format!("{}@{version}", self.package);
                (npm::install(&wanted, home)?, format!("npm install --global {wanted}"))
            }
        };
        process::run(&mut command)
            .map_err(|error| anyhow!("could not get {} {version} ({error:#}); try: {remedy}", self.package))
    }
}

impl Version {
    fn get(self) -> Result<String> {
        match self {
            Self::Fixed(version) => Ok(version.to_string()),
            Self::Locked(library) => {
                let lock = std::fs::read_to_string(process::root().join("Cargo.lock")).context("reading Cargo.lock")?;
                locked(&lock, library).with_context(|| format!("Cargo.lock has no package {library}"))
            }
        }
    }
}

/// The version of a package in the text of a Cargo.lock.
fn locked(lock: &str, package: &str) -> Option<String> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_string())
}

/// A tool is used for seconds and compiled for minutes, so it is compiled quickly rather than well. It is compiled
/// away from the project, whose settings and target folder are not its concern.
fn cargo_install(package: &str, version: &str, home: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(["install", "--locked", &format!("{package}@{version}"), "--root"])
        .arg(home)
        .args(options)
        .current_dir(home)
        .env_remove("CARGO_TARGET_DIR")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command
}

/// The standard library for wasm.
fn wasm_target() -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    part_of_rust(&format!("{TARGET}/lib"), "the Rust standard library for wasm", &["target", "add", TARGET])
}

/// The sources of the standard library, for builds that compile it with flags of their own.
pub fn rust_src() -> Result<()> {
    part_of_rust("src/rust/library", "the sources of the Rust standard library", &["component", "add", "rust-src"])
}

/// Sees to it that the toolchain has this folder below `lib/rustlib`, by what rustup would be asked.
fn part_of_rust(folder: &str, what: &str, rustup: &[&str]) -> Result<()> {
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(process::root()))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(folder).is_dir() {
        return Ok(());
    }
    println!("Getting {what}");
    process::run(Command::new("rustup").args(rustup).current_dir(process::root()))
        .map_err(|error| anyhow!("could not get {what} ({error:#}); try: rustup {}", rustup.join(" ")))
}

/// Installs Debian packages where that is possible without asking (as root), or says what would do it.
pub fn apt_install(needed: &str, packages: &[&str]) -> Result<()> {
    let packages = packages.join(" ");
    let (update, install) = ("apt-get update", format!("apt-get install -y --no-install-recommends {packages}"));
    if find("apt-get").is_none() {
        bail!("could not find {needed}: install it with this system's package manager (on Debian: sudo {install})");
    }
    let root = process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root {
        bail!("could not find {needed}; install it with: sudo {install}");
    }
    println!("Getting {needed}: {install}");
    for line in [update, &install] {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        process::run(&mut command)
            .map_err(|error| anyhow!("could not get {needed} ({error:#}); try: {update} && {install}"))?;
    }
    Ok(())
}

/// Whether `program --version` names this version.
fn reports(program: &Path, version: &str) -> bool {
    let printed = process::output(Command::new(program).arg("--version"));
    printed.is_ok_and(|printed| printed.split_whitespace().any(|word| word == version))
}

/// A program on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    find_in(program, &env::var_os("PATH")?)
}

/// A program in one of these folders, separated as PATH is.
fn find_in(program: &str, folders: &std::ffi::OsStr) -> Option<PathBuf> {
    let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd"] } else { &[""] };
    env::split_paths(folders)
        .flat_map(|folder| endings.iter().map(move |ending| folder.join(format!("{program}{ending}"))))
        .find(|file| file.is_file())
}

/// Where what is fetched is kept, shared by every clone.
pub fn cache() -> Result<PathBuf> {
    let (variable, below_home) = match env::consts::OS {
        "windows" => ("LOCALAPPDATA", "AppData/Local"),
        "macos" => ("XDG_CACHE_HOME", "Library/Caches"),
        _ => ("XDG_CACHE_HOME", ".cache"),
    };
    let base = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| env::home_dir().map(|home| home.join(below_home)));
    Ok(base
        .with_context(|| format!("expected a home folder or {variable} to keep tools in, found none"))?
        .join("inkling"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_read_from_the_lock_file() {
        let lock =
            "[[package]]\nname = \"a-b\"\nversion = \"9.9.9\"\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n";
        assert_eq!(locked(lock, "a").as_deref(), Some("1.2.3"));
        assert_eq!(locked(lock, "b"), None);
    }

    #[test]
    fn every_tool_has_a_version() {
        for tool in FOR_BUILD.iter().chain([&TSC]) {
            assert!(tool.version.get().is_ok_and(|version| !version.is_empty()), "{}", tool.program);
        }
    }
}
