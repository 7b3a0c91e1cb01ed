//! The Python that some of inkling's peers need, and how a process is asked. What is not there is said with the command that
//! would bring it, and the run goes on.
use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::process;

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
