//! The engine as wasm: the list of artifacts, and how each comes from the root crate; and the small modules beside it.
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tools::Toolbox;
use crate::{compress, process};

/// One build of the engine. The page chooses among them by what the browser can do.
pub struct Artifact {
    /// Its folder under `dist/engine/`.
    pub name: &'static str,
    /// The package it is built from; its files have the same name.
    package: &'static str,
    /// Flags for rustc besides those in `.cargo/config.toml`, which every artifact has.
    rustflags: &'static [&'static [&'static str]],
}

/// What a build with threads has besides.
const THREADS: &[&str] = &[
    "-Ctarget-feature=+atomics,+bulk-memory",
    "-Clink-arg=--shared-memory",
    "-Clink-arg=--import-memory",
    "-Clink-arg=--max-memory=4294967296",
    "-Clink-arg=--export=__wasm_init_tls",
    "-Clink-arg=--export=__tls_size",
    "-Clink-arg=--export=__tls_align",
    "-Clink-arg=--export=__tls_base",
];
const RELAXED: &[&str] = &["-Ctarget-feature=+relaxed-simd"];

/// Every artifact of the site; the first needs least of a browser.
pub const ARTIFACTS: &[Artifact] = &[
    Artifact::engine("simd128", &[]),
    Artifact::engine("relaxed", &[RELAXED]),
    Artifact::engine("threads-simd128", &[THREADS]),
    Artifact::engine("threads", &[RELAXED, THREADS]),
];

/// Draws the codes of links; fetched when the first is shown.
pub const QR: Artifact = Artifact { name: "qr", package: "inkling-qr", rustflags: &[] };
/// Renders chat templates; fetched by who chats.
pub const CHAT: Artifact = Artifact { name: "chat", package: "inkling-chat", rustflags: &[] };

/// What every artifact has besides: no place in the sources for each panic that may be, which takes 23 KB of the download.
/// The same panic in a native build says where it is.
const COMMON: [&str; 1] = ["-Zlocation-detail=none"];

/// The best that brotli can do: an engine is compressed once and downloaded often.
const BROTLI_QUALITY: u32 = 11;

impl Artifact {
    const fn engine(name: &'static str, rustflags: &'static [&'static [&'static str]]) -> Self {
        Self { name, package: "inkling", rustflags }
    }

    /// The package as its library and its files are called.
    fn library(&self) -> String {
        self.package.replace('-', "_")
    }

    /// Builds `LIBRARY.js` and `LIBRARY_bg.wasm`; the folder they are in. The sources of the standard library must be here.
    /// What comes after cargo is done again only when cargo's output, a tool or an option has changed.
    pub fn build(&self, tools: &Toolbox, target: &Path) -> Result<PathBuf> {
        let wasm = self.compile(target)?;
        let folder = target.join("engine").join(self.name);
        let library = self.library();
        let (script, module) = (folder.join(format!("{library}.js")), folder.join(format!("{library}_bg.wasm")));
        let mut bindgen = tools.command("wasm-bindgen");
        bindgen.args(["--target", "web", "--no-typescript", "--out-name", &library]);
        bindgen.args(["--remove-name-section", "--remove-producers-section", "--out-dir"]);
        bindgen.arg(&folder).arg(&wasm);

        let stamp = folder.join("stamp");
        let made_from = fingerprint(&wasm, &bindgen)?;
        let made = fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_from);
        if made && script.is_file() && module.is_file() {
            return Ok(folder);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
        println!("Binding and compressing {}; half a minute or so", self.name);
        process::run(&mut bindgen)?;
        for file in [&script, &module] {
            compress::beside(file, BROTLI_QUALITY)?;
        }
        fs::write(&stamp, made_from).with_context(|| format!("writing {}", stamp.display()))?;
        Ok(folder)
    }

    /// Compiles the package; the wasm file cargo names.
    fn compile(&self, target: &Path) -> Result<PathBuf> {
        let mut command = process::cargo();
        command.args(["build", "--package", self.package, "--lib", "--release", "--target", "wasm32-unknown-unknown"]);
        command.args(["--message-format", "json-render-diagnostics"]);
        let flags: Vec<String> = self
            .rustflags
            .iter()
            .copied()
            .flatten()
            .chain(&COMMON)
            .map(|flag| flag.to_string())
            .chain(remapped())
            .collect();
        let flags = serde_json::json!(flags);
        command.args(["--config", &format!("target.wasm32-unknown-unknown.rustflags={flags}")]);
        // The standard library as it comes knows no threads in wasm, and is larger than it need be. Compiling it is not
        // stable yet, nor is leaving out places.
        command.args(["-Z", "build-std=std,panic_abort", "-Z", "build-std-features=optimize_for_size"]);
        command.env("RUSTC_BOOTSTRAP", "1");
        // Else artifacts would take turns in one folder, each build undoing the last; but those with the same flags share
        // one standard library.
        let first = ARTIFACTS.iter().find(|artifact| artifact.rustflags == self.rustflags).unwrap_or(self);
        command.arg("--target-dir").arg(target.join("artifacts").join(first.name));
        println!("Compiling {} ({})", self.package, self.name);
        let shown = process::shown(&command);
        let built = command.stderr(Stdio::inherit()).output().with_context(|| format!("could not start `{shown}`"))?;
        if !built.status.success() {
            bail!("`{shown}` failed ({})", built.status);
        }
        let messages = String::from_utf8_lossy(&built.stdout);
        let library = self.library();
        wasm_file(&messages, &library).with_context(|| format!("`{shown}` produced no .wasm file for {library}"))
    }
}

/// Flags that keep this machine's folders out of the module, where panics name the file they come from.
fn remapped() -> Vec<String> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().ok();
    let sysroot = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let folders = [
        (sysroot.filter(|path| !path.is_empty()), "rust"),
        (home.map(|path| path.display().to_string()), "cargo"),
        (Some(process::root().display().to_string()), "inkling"),
    ];
    let flag = |(path, name): (Option<String>, &str)| Some(format!("--remap-path-prefix={}={name}", path?));
    folders.into_iter().filter_map(flag).collect()
}

/// The wasm file of a library among cargo's messages, one JSON object a line.
fn wasm_file(messages: &str, library: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let ours =
        |message: &serde_json::Value| message.pointer("/target/name").and_then(|name| name.as_str()) == Some(library);
    messages.filter(ours).find_map(|message| {
        let files = message.get("filenames")?.as_array()?;
        let file = files.iter().filter_map(|file| file.as_str()).find(|file| file.ends_with(".wasm"))?;
        Some(PathBuf::from(file))
    })
}

/// What an artifact was made from: the compiled module, and the command with its tool (whose version is in its path, or it
/// is the system's own).
fn fingerprint(wasm: &Path, command: &Command) -> Result<String> {
    let bytes = fs::read(wasm).with_context(|| format!("reading {}", wasm.display()))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Ok(format!("{:016x}\n{}\n", hasher.finish(), process::shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wasm_file_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"other"},"filenames":["/t/other.wasm"]}
not json
{"reason":"compiler-artifact","target":{"name":"inkling"},"filenames":["/t/libinkling.rlib","/t/inkling.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(wasm_file(messages, "inkling"), Some(PathBuf::from("/t/inkling.wasm")));
        assert_eq!(wasm_file("", "inkling"), None);
    }

    #[test]
    fn artifacts_have_names_of_their_own() {
        let names: std::collections::HashSet<_> = ARTIFACTS.iter().map(|artifact| artifact.name).collect();
        assert_eq!(names.len(), ARTIFACTS.len());
    }
}
