//! What inkling is compared with, or checked by: npm packages of fixed versions in a folder of their own outside the project, and what
//! a Python has; and how a process is asked. What is not there is said with the command that would bring it, and the run
//! goes on.
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::{process, tools};

/// An npm package of a fixed version.
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
        tools::npm()?;
        let npm = tools::find("npm").context("could not find npm; install Node.js")?;
        eprintln!("Getting {wanted}, once for all projects: into {}", home.display());
        fs::create_dir_all(&home).with_context(|| format!("making the folder {}", home.display()))?;
        // Nothing of the package runs here but in the browser.
        let mut install = Command::new(npm);
        install.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(&home).arg(&wanted);
        process::output(install.current_dir(&home))
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

/// A Python that has some packages.
pub struct Python {
    pub program: PathBuf,
    /// Its version and those of the packages.
    pub versions: String,
}

impl Python {
    /// The one that the variable INKLING_PYTHON names, else python3, if it has these packages (as pip calls them).
    pub fn with(packages: &[&str]) -> Result<Self> {
        let program = env::var_os("INKLING_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
        let ask = "import sys, platform, importlib.metadata as m; \
                   print(', '.join(['Python ' + platform.python_version()] + [p + ' ' + m.version(p) for p in sys.argv[1:]]))";
        let versions = process::output(Command::new(&program).args(["-c", ask]).args(packages)).map_err(|error| {
            anyhow!(
                "expected a Python with {}, found {} without ({error:#}); try: {1} -m pip install {}, or set \
                 INKLING_PYTHON to one that has them",
                packages.join(" and "),
                program.display(),
                packages.join(" ")
            )
        })?;
        Ok(Self { program, versions: versions.trim().to_string() })
    }
}

/// Gives a task to a command on its standard input; what it answers on the last line of its output.
pub fn ask(command: &mut Command, task: &Value) -> Result<Value> {
    let shown = process::shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start `{shown}`"))?;
    let mut stdin = child.stdin.take().context("expected a standard input, found none")?;
    // A command that has failed does not read: its own words say more than the broken pipe.
    let given = stdin.write_all(task.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().with_context(|| format!("waiting for `{shown}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default().to_string();
    ensure!(output.status.success(), "`{shown}` failed ({}): {last}", output.status);
    given.with_context(|| format!("writing the task to `{shown}`"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let line = printed.trim().lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("expected a line of JSON from `{shown}`, found {line:?}"))
}
