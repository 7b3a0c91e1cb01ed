//! Running other programs: where the project is, how a command looks in a message, and one way to fail.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the project: the folder that holds `xtask/`.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Cargo's target folder, wherever the person's settings put it.
pub fn target_dir() -> Result<PathBuf> {
    let metadata = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("reading `cargo metadata`")?;
    let dir = metadata.get("target_directory").and_then(|dir| dir.as_str());
    dir.map(PathBuf::from).context("`cargo metadata` names no target_directory")
}

/// Cargo, in the root of the project.
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root());
    command
}

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quote = |word: std::borrow::Cow<'_, str>| match word.contains([' ', '"']) {
        true => format!("'{word}'"),
        false => word.into_owned(),
    };
    words.map(|word| quote(word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// Runs a command whose output the person sees; anything but success is an error that names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a command for what it prints; when it fails, its last words are in the error.
pub fn output(command: &mut Command) -> Result<String> {
    let result =
        command.stdin(Stdio::null()).output().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !result.status.success() {
        let stderr = String::from_utf8_lossy(&result.stderr);
        bail!("`{}` failed ({}): {}", shown(command), result.status, stderr.trim().lines().last().unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}
