//! Who trains: inkling natively and in the page, the npm packages, PyTorch; and one measurement of one of them.
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::native;
use super::task::Task;
use crate::bench::browser::{self, Site};
use crate::bench::machine::{Load, QUIET};
use crate::bench::peers::{self, Python};
use crate::browser::Browser;
use crate::npm::Package;
use crate::process;

pub const NANOGPT: Package = Package { name: "@genai-fi/nanogpt", version: "1.3.0" };
pub const JAX: Package = Package { name: "@jax-js/jax", version: "0.1.25" };
/// WebGL by a renderer that runs on the processor.
const SOFTWARE_WEBGL: &[&str] = &["--use-angle=swiftshader", "--enable-unsafe-swiftshader"];

/// No step of any engine takes longer.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Whom a result counts for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    Native,
    Page,
    Npm,
    PyTorch,
}

/// Something that trains.
pub struct Contender {
    /// Its kind and how it runs, such as `inkling/native/2`: the last is the number of threads.
    pub name: String,
    pub threads: usize,
    pub side: Side,
    /// How it is asked; or what is missing, and what would bring it.
    pub found: Result<Runner>,
}

/// How a contender is asked.
pub enum Runner {
    Native,
    PyTorch(PathBuf),
    Page(Page),
}

/// A module of xtask/bench/ and what it needs.
pub struct Page {
    engine: &'static str,
    options: Value,
    packages: Option<PathBuf>,
    isolated: bool,
    flags: &'static [&'static str],
}

/// One measurement.
pub struct Answer {
    /// What measure.js and its like answer.
    pub value: Value,
    pub tokens_per_second: f64,
    /// Cores that others used meanwhile.
    pub others: Option<f64>,
}

impl Answer {
    /// Whether others used the machine.
    pub fn disturbed(&self) -> bool {
        self.others.is_some_and(|cores| cores >= QUIET)
    }
}

/// Those of all contenders whose names are `wanted`: the others are not looked for, since looking may mean fetching.
pub fn all(cores: usize, browser: bool, python: &Result<Python>, wanted: impl Fn(&str) -> bool) -> Vec<Contender> {
    let mut all = Vec::new();
    let mut add = |kind: &str, threads: usize, side: Side, find: &dyn Fn() -> Result<Runner>| {
        let name = format!("{kind}/{threads}");
        if wanted(&name) {
            all.push(Contender { name, threads, side, found: find() });
        }
    };
    let page = |engine: &'static str, options: Value, package: Option<Package>, isolated: bool, flags| {
        ensure!(browser, "chromium with chromedriver; try: apt-get install chromium chromium-driver");
        let packages = package.map(Package::ensure).transpose()?;
        Ok(Runner::Page(Page { engine, options, packages, isolated, flags }))
    };
    let few = if cores > 1 { vec![1, 2] } else { vec![1] };
    for &threads in &few {
        add("inkling/native", threads, Side::Native, &|| Ok(Runner::Native));
        let options = json!({ "threads": threads });
        add("inkling/chromium", threads, Side::Page, &|| page("train/inkling", options.clone(), None, true, &[]));
    }
    let backend = |backend: &str| json!({ "backend": backend });
    add("nanogpt/cpu", 1, Side::Npm, &|| page("train/nanogpt", backend("cpu"), Some(NANOGPT), true, &[]));
    // The software renderer, and jax-js where memory can be shared, take all cores there are.
    add("nanogpt/webgl", cores, Side::Npm, &|| {
        page("train/nanogpt", backend("webgl"), Some(NANOGPT), true, SOFTWARE_WEBGL)
    });
    for (kind, one_hot) in [("jax-js/inside", "inside"), ("jax-js/before", "before")] {
        let options = json!({ "oneHot": one_hot });
        add(kind, 1, Side::Npm, &|| page("train/jax", options.clone(), Some(JAX), false, &[]));
        if cores > 1 {
            add(kind, cores, Side::Npm, &|| page("train/jax", options.clone(), Some(JAX), true, &[]));
        }
    }
    for &threads in &few {
        add("pytorch", threads, Side::PyTorch, &|| match python {
            Ok(python) => Ok(Runner::PyTorch(python.program.clone())),
            Err(missing) => Err(anyhow!("{missing:#}")),
        });
    }
    all
}

/// Lets a contender do the task.
pub fn measure(runner: &Runner, threads: usize, browser: Option<&Browser>, task: &Task) -> Result<Answer> {
    let load = Load::start();
    let others = || load.as_ref().and_then(Load::others);
    let (value, others) = match runner {
        Runner::Native => (peers::ask(&mut native::command(threads)?, &task.value)?, others()),
        Runner::PyTorch(program) => {
            let mut command = Command::new(program);
            command.arg(process::root().join("xtask/bench/train/pytorch.py")).args(["--threads", &threads.to_string()]);
            (peers::ask(&mut command, &task.value)?, others())
        }
        Runner::Page(page) => {
            let browser = browser.context("expected a browser, found none")?;
            let dist = process::root().join("dist");
            ensure!(
                page.engine != "train/inkling" || dist.join("inkling.js").is_file(),
                "expected the built site in {}, found none; try: cargo xtask build",
                dist.display()
            );
            let site = Site {
                dist,
                packages: page.packages.as_deref(),
                models: None,
                isolated: page.isolated,
                flags: page.flags,
                limit: LIMIT,
            };
            // The processes of the browser are counted as ours only while they are there.
            let visit = browser::measure(browser, &site, page.engine, &page.options, &task.value, others)?;
            (visit.answer, visit.said)
        }
    };
    let number =
        |name: &str| value[name].as_f64().with_context(|| format!("expected {name} in the answer, found none"));
    let tokens_per_second = number("steps")? * task.tokens_per_step as f64 / number("seconds")?;
    Ok(Answer { value, tokens_per_second, others })
}
