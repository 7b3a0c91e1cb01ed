//! `cargo xtask test [FILTER]`: every check and test there is, one stage after the other. A failing stage does not keep
//! the others from running; the last line totals tests and checks.
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio, exit};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::browser::Browser;
use crate::tools::{self, TSC, Tool, Toolbox, WASM_BINDGEN};
use crate::{build, process};

#[derive(clap::Args)]
pub struct Args {
    /// A stage (fmt, clippy, js, native, wasm, build, page), or a part of the names of the tests to run
    filter: Option<String>,
}

/// One step of the whole.
struct Stage {
    name: &'static str,
    what: &'static str,
    tools: &'static [Tool],
    needs_browser: bool,
    run: fn(&Bench) -> Result<Tally>,
}

const STAGES: &[Stage] = &[
    Stage { name: "fmt", what: "the sources are formatted", tools: &[], needs_browser: false, run: fmt },
    Stage { name: "clippy", what: "no lint, native and wasm", tools: &[], needs_browser: false, run: clippy },
    Stage { name: "js", what: "JavaScript has the types it says", tools: &[TSC], needs_browser: false, run: js },
    Stage { name: "native", what: "Rust tests on this machine", tools: &[], needs_browser: false, run: native },
    Stage { name: "wasm", what: "Rust tests in a browser", tools: &[WASM_BINDGEN], needs_browser: true, run: wasm },
    Stage { name: "build", what: "the site builds", tools: &tools::FOR_BUILD, needs_browser: false, run: site },
    Stage { name: "page", what: "the built page in a browser", tools: &[], needs_browser: true, run: page },
];

/// What the stages work with.
struct Bench {
    tools: Toolbox,
    browser: Option<Browser>,
    /// Part of a test's name.
    filter: Option<String>,
}

/// How a stage went.
#[derive(Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

pub fn run(args: Args) -> Result<()> {
    let (stages, filter) = select(args.filter)?;
    let needed: Vec<Tool> = stages.iter().flat_map(|stage| stage.tools).copied().collect();
    let browser = match stages.iter().any(|stage| stage.needs_browser) {
        true => Some(Browser::ensure()?),
        false => None,
    };
    let bench = Bench { tools: Toolbox::with(&needed)?, browser, filter };

    let (mut total, mut failed, mut summary) = (Tally::default(), Vec::new(), String::new());
    for stage in stages {
        println!("\n=== {}: {}", stage.name, stage.what);
        let start = Instant::now();
        let tally = (stage.run)(&bench).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Tally { passed: 0, failed: 1 }
        });
        let seconds = start.elapsed().as_secs_f64();
        let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
        let line = format!(
            "{:<7} {verdict:<7} {:>4} passed {:>4} failed {seconds:>7.1} s",
            stage.name, tally.passed, tally.failed
        );
        println!("=== {line}");
        summary += &format!("{line}\n");
        total = Tally { passed: total.passed + tally.passed, failed: total.failed + tally.failed };
        if tally.failed > 0 {
            failed.push(stage.name);
        }
    }

    print!("\n{summary}");
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    match total.failed {
        0 => Ok(()),
        _ => exit(1),
    }
}

/// The stages a filter asks for, and what is left of it to select tests by.
fn select(filter: Option<String>) -> Result<(Vec<&'static Stage>, Option<String>)> {
    let Some(filter) = filter else {
        return Ok((STAGES.iter().collect(), None));
    };
    if STAGES.iter().any(|stage| stage.name == filter) {
        // The page's tests look at what was built, so it is built first.
        let wanted = |stage: &&Stage| stage.name == filter || (filter == "page" && stage.name == "build");
        return Ok((STAGES.iter().filter(wanted).collect(), None));
    }
    let (in_wasm, in_page) = (mentions(&wasm_tests()?, &filter)?, mentions(&page_tests()?, &filter)?);
    let wanted = |stage: &&Stage| match stage.name {
        "native" => true,
        "wasm" => in_wasm,
        "build" | "page" => in_page,
        _ => false,
    };
    Ok((STAGES.iter().filter(wanted).collect(), Some(filter)))
}

fn fmt(_: &Bench) -> Result<Tally> {
    check(&mut [process::cargo().args(["fmt", "--all", "--check"])])
}

fn clippy(_: &Bench) -> Result<Tally> {
    let deny = ["--", "-D", "warnings"];
    let mut on_wasm = process::cargo();
    on_wasm.args(["clippy", "--package", "inkling", "--lib", "--target", "wasm32-unknown-unknown"]);
    on_wasm.args(test_targets(&wasm_tests()?)).args(deny);
    check(&mut [
        process::cargo().args(["clippy", "--workspace", "--all-targets"]).args(deny),
        process::cargo().args(["clippy", "--package", "xtask", "--test", "browser"]).args(deny),
        &mut on_wasm,
    ])
}

fn js(bench: &Bench) -> Result<Tally> {
    let project = |file: &str| {
        let mut command = bench.tools.command("tsc");
        command.args(["--project", file, "--noEmit"]);
        command
    };
    // The page, and what drives the peers of the benches.
    check(&mut [&mut project("tsconfig.json"), &mut project("xtask/bench/tsconfig.json")])
}

fn native(bench: &Bench) -> Result<Tally> {
    tests(process::cargo().args(["test", "--workspace", "--no-fail-fast"]).args(&bench.filter))
}

fn wasm(bench: &Bench) -> Result<Tally> {
    let files = wasm_tests()?;
    if files.is_empty() {
        println!("there is no tests/wasm*.rs");
        return Ok(Tally::default());
    }
    let browser = bench.browser()?;
    let settings = process::target_dir()?.join("webdriver.json");
    fs::write(&settings, browser.capabilities(&[]).to_string())
        .with_context(|| format!("writing {}", settings.display()))?;
    let mut command = bench.tools.command("cargo");
    command.args(["test", "--package", "inkling", "--target", "wasm32-unknown-unknown", "--no-fail-fast"]);
    command.args(test_targets(&files)).args(&bench.filter);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner");
    command.env("CHROMEDRIVER", &browser.driver).env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", settings);
    command.env("WASM_BINDGEN_TEST_TIMEOUT", "600");
    tests(&mut command)
}

fn site(_: &Bench) -> Result<Tally> {
    build::run(build::Args::default())?;
    Ok(Tally { passed: 1, failed: 0 })
}

fn page(bench: &Bench) -> Result<Tally> {
    let browser = bench.browser()?;
    let mut command = process::cargo();
    command.args(["test", "--package", "xtask", "--test", "browser"]).args(&bench.filter);
    // More browsers at once than there are cores make slow pages, not quick tests.
    command.args(["--", "--test-threads", "2"]);
    command.env("INKLING_DIST", process::root().join("dist"));
    command.env("CHROMIUM", &browser.program).env("CHROMEDRIVER", &browser.driver);
    match Browser::ensure_firefox() {
        Ok(firefox) => command.env("FIREFOX", firefox.program).env("GECKODRIVER", firefox.driver),
        Err(error) => {
            println!("without the tests in Firefox: {error:#}");
            &mut command
        }
    };
    tests(&mut command)
}

impl Bench {
    fn browser(&self) -> Result<&Browser> {
        self.browser.as_ref().context("expected a browser for this stage, found none")
    }
}

/// The tests that run as wasm: `tests/wasm*.rs`.
fn wasm_tests() -> Result<Vec<PathBuf>> {
    let is_wasm = |file: &PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wasm"));
    Ok(sources("tests")?.into_iter().filter(is_wasm).collect())
}

/// The tests of the built page.
fn page_tests() -> Result<Vec<PathBuf>> {
    sources("tests/browser")
}

/// The Rust files of a folder.
fn sources(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = process::root().join(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading the folder {}", folder.display()))? {
        files.push(entry.with_context(|| format!("reading the folder {}", folder.display()))?.path());
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "rs"));
    files.sort();
    Ok(files)
}

/// `--test NAME` for each of these files.
fn test_targets(files: &[PathBuf]) -> Vec<String> {
    let names = files.iter().filter_map(|file| file.file_stem());
    names.flat_map(|name| ["--test".to_string(), name.to_string_lossy().into_owned()]).collect()
}

/// Whether a function in these files has a name that the filter selects. Asking the sources saves building the site
/// and the wasm tests for a filter that means neither.
fn mentions(files: &[PathBuf], filter: &str) -> Result<bool> {
    let name = filter.rsplit("::").next().unwrap_or(filter);
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let mut functions = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
        if functions.any(|function| function.contains(name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs commands that only pass or fail: together, one check.
fn check(commands: &mut [&mut Command]) -> Result<Tally> {
    commands.iter_mut().try_for_each(|command| process::run(command))?;
    Ok(Tally { passed: 1, failed: 0 })
}

/// Runs tests, shows what they print as they print it, and adds up their results.
fn tests(command: &mut Command) -> Result<Tally> {
    let shown = process::shown(command);
    println!("{shown}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("could not start `{shown}`"))?;
    let mut total = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.with_context(|| format!("reading what `{shown}` prints"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some(tally) = result(&line) {
                total = Tally { passed: total.passed + tally.passed, failed: total.failed + tally.failed };
            }
        }
    }
    let status = child.wait().with_context(|| format!("waiting for `{shown}`"))?;
    if !status.success() && total.failed == 0 {
        eprintln!("error: `{shown}` failed ({status})");
        total.failed = 1;
    }
    Ok(total)
}

/// The counts in a line such as `test result: ok. 3 passed; 1 failed; 0 ignored; …`.
fn result(line: &str) -> Option<Tally> {
    let counts = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |word: &str| {
        let field = counts.split("; ").find(|field| field.ends_with(word))?;
        field.split(' ').next()?.parse().ok()
    };
    Some(Tally { passed: count(" passed")?, failed: count(" failed")? })
}

#[cfg(test)]
mod unit {
    use super::*;

    fn names(filter: &str) -> Vec<&'static str> {
        let (stages, _) = select(Some(filter.to_string())).unwrap();
        stages.iter().map(|stage| stage.name).collect()
    }

    #[test]
    fn results_are_added_from_what_test_runners_print() {
        let tally = result("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 filtered out; finished in 0.1s");
        assert_eq!(tally.map(|tally| (tally.passed, tally.failed)), Some((3, 1)));
        assert!(result("test sample::temperature ... ok").is_none());
    }

    #[test]
    fn a_filter_selects_stages_by_name() {
        assert_eq!(names("fmt"), ["fmt"]);
        assert_eq!(names("page"), ["build", "page"]);
    }

    #[test]
    fn a_filter_selects_only_stages_that_have_such_tests() {
        assert_eq!(names("no_test_is_called_this"), ["native"]);
        assert!(names("a_page_of_someone_else").contains(&"page"));
    }
}
