//! Who writes what: the models, inkling in its builds, the peers as they come and tuned, the native yardsticks; and one
//! measurement of one of them.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inkling::kernels::Format;
use serde_json::{Value, json};

use super::busy::BusyCore;
use super::models;
use super::shapes::{SHAPES, Shape, Storage};
use super::task::{SHORT, Workload, task};
use super::{native, stories};
use crate::bench::browser::{self, Site};
use crate::bench::machine::{self, Load, QUIET};
use crate::bench::peers::{self, Python};
use crate::browser::Browser;
use crate::npm::Package;
use crate::process;

pub const WLLAMA: Package = Package { name: "@wllama/wllama", version: "3.8.1" };
pub const WLLAMA2: Package = Package { name: "@wllama/wllama", version: "2.4.0" };
pub const TRANSFORMERS: Package = Package { name: "@huggingface/transformers", version: "4.3.1" };

/// Beside other work, threads that wait for each other by spinning take minutes for what takes seconds. More is not waited
/// for.
const LIMIT: Duration = Duration::from_secs(240);

/// A model that is measured.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    pub name: &'static str,
    pub title: &'static str,
}

pub const Q8_0: Subject = Subject { name: "gpt2/q8_0", title: "GPT-2 124M, Q8_0" };
pub const Q4_K_M: Subject = Subject { name: "gpt2/q4_k_m", title: "GPT-2 124M, Q4_K_M" };
pub const Q4_0: Subject = Subject { name: "gpt2/q4_0", title: "GPT-2 124M, Q4_0" };
pub const F16: Subject = Subject { name: "gpt2/f16", title: "GPT-2 124M, F16" };
pub const F32: Subject = Subject { name: "gpt2/f32", title: "GPT-2 124M, F32" };
pub const SMOL_Q8_0: Subject = Subject { name: "smol/q8_0", title: "SmolLM2-135M shape (width 576), Q8_0" };
pub const T5_Q8_0: Subject = Subject { name: "t5/q8_0", title: "T5-small shape, Q8_0" };
pub const MINILM_Q8_0: Subject = Subject { name: "minilm/q8_0", title: "MiniLM-L6 shape, Q8_0" };
pub const STORIES: Subject = Subject { name: "stories", title: "stories, the model the page opens with" };
/// All, in the order of the table.
pub const SUBJECTS: [&Subject; 9] = [&Q8_0, &Q4_K_M, &Q4_0, &F16, &F32, &SMOL_Q8_0, &T5_Q8_0, &MINILM_Q8_0, &STORIES];

impl Subject {
    /// The shape and how it is stored; none for a model that ships with the page.
    fn made(&self) -> Option<(&'static Shape, Storage)> {
        let (shape, storage) = self.name.split_once('/')?;
        let shape = SHAPES.into_iter().find(|known| known.name == shape)?;
        let plain = Format::ALL.map(Storage::Plain);
        let known = plain.into_iter().find(|known| known.name() == storage);
        Some((shape, known.unwrap_or(Storage::Q4KM)))
    }
}

/// Someone who writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Who {
    /// inkling with the best build for this browser.
    Inkling,
    /// inkling with the build that needs least of a browser.
    InklingSimd128,
    /// inkling with 8-bit keys and values.
    InklingQ8Cache,
    Wllama3,
    /// With flash attention over an 8-bit cache of keys and values, and one slot.
    Wllama3Tuned,
    Wllama2,
    Transformers,
    /// With the build of ONNX Runtime that only has the processor.
    TransformersPlain,
    /// inkling, natively.
    Native,
    LlamaCpp,
    /// The whole page, not the engine alone.
    Page,
}

/// What is measured of each model, by how many threads, and whether beside a busy core.
const PLAN: &[(&Subject, Who, &[usize], bool)] = &[
    (&Q8_0, Who::Inkling, &[1, 2], false),
    (&Q8_0, Who::InklingSimd128, &[1], false),
    (&Q8_0, Who::InklingQ8Cache, &[2], false),
    (&Q8_0, Who::Wllama3, &[1, 2], false),
    (&Q8_0, Who::Wllama3Tuned, &[1, 2], false),
    (&Q8_0, Who::Wllama2, &[1, 2], false),
    (&Q8_0, Who::Transformers, &[1, 2], false),
    (&Q8_0, Who::TransformersPlain, &[1, 2], false),
    (&Q8_0, Who::Native, &[1, 2], false),
    (&Q8_0, Who::LlamaCpp, &[1, 2], false),
    (&Q8_0, Who::Inkling, &[1, 2], true),
    (&Q8_0, Who::Wllama3Tuned, &[1, 2], true),
    (&Q4_K_M, Who::Inkling, &[2], false),
    (&Q4_K_M, Who::Wllama3, &[2], false),
    (&Q4_K_M, Who::Wllama3Tuned, &[2], false),
    (&Q4_K_M, Who::LlamaCpp, &[2], false),
    (&Q4_0, Who::Inkling, &[2], false),
    (&Q4_0, Who::Wllama3, &[2], false),
    (&Q4_0, Who::Wllama3Tuned, &[2], false),
    (&F16, Who::Inkling, &[2], false),
    (&F16, Who::Wllama3, &[2], false),
    (&F16, Who::Wllama3Tuned, &[2], false),
    (&F32, Who::Inkling, &[2], false),
    (&F32, Who::Transformers, &[2], false),
    (&F32, Who::TransformersPlain, &[2], false),
    (&SMOL_Q8_0, Who::Inkling, &[2], false),
    (&SMOL_Q8_0, Who::Wllama3, &[2], false),
    (&SMOL_Q8_0, Who::Wllama3Tuned, &[2], false),
    (&T5_Q8_0, Who::Inkling, &[1, 2], false),
    (&T5_Q8_0, Who::Transformers, &[1, 2], false),
    (&T5_Q8_0, Who::TransformersPlain, &[1, 2], false),
    (&MINILM_Q8_0, Who::Inkling, &[1, 2], false),
    (&MINILM_Q8_0, Who::Transformers, &[1, 2], false),
    (&MINILM_Q8_0, Who::TransformersPlain, &[1, 2], false),
    (&STORIES, Who::Inkling, &[1, 2], false),
    (&STORIES, Who::Page, &[2], false),
];

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Inkling => "inkling",
            Self::InklingSimd128 => "inkling-simd128",
            Self::InklingQ8Cache => "inkling-q8-cache",
            Self::Wllama3 => "wllama3",
            Self::Wllama3Tuned => "wllama3-tuned",
            Self::Wllama2 => "wllama2",
            Self::Transformers => "transformers.js",
            Self::TransformersPlain => "transformers.js-plain",
            Self::Native => "native",
            Self::LlamaCpp => "llama.cpp",
            Self::Page => "page",
        }
    }

    /// Whether it is a peer in the browser.
    pub fn is_peer(self) -> bool {
        self.package().is_some()
    }

    pub fn package(self) -> Option<Package> {
        match self {
            Self::Wllama3 | Self::Wllama3Tuned => Some(WLLAMA),
            Self::Wllama2 => Some(WLLAMA2),
            Self::Transformers | Self::TransformersPlain => Some(TRANSFORMERS),
            Self::Inkling | Self::InklingSimd128 | Self::InklingQ8Cache => None,
            Self::Native | Self::LlamaCpp | Self::Page => None,
        }
    }

    /// Its module in xtask/bench/ and what that is told.
    fn module(self, threads: usize, subject: &Subject) -> (&'static str, Value) {
        let dtype = if *subject == F32 { "fp32" } else { "q8" };
        let class = match *subject {
            T5_Q8_0 => "AutoModelForSeq2SeqLM",
            MINILM_Q8_0 => "AutoModel",
            _ => "AutoModelForCausalLM",
        };
        let onnx = |session: &str| json!({ "threads": threads, "dtype": dtype, "session": session, "class": class });
        let tuned = json!({ "flash_attn": true, "cache_type_k": "q8_0", "cache_type_v": "q8_0", "n_parallel": 1 });
        match self {
            Self::InklingSimd128 => ("generate/inkling", json!({ "threads": threads, "artifact": "simd128" })),
            Self::InklingQ8Cache => ("generate/inkling", json!({ "threads": threads, "cacheType": "q8" })),
            Self::Wllama3 => ("generate/wllama3", json!({ "threads": threads })),
            Self::Wllama3Tuned => ("generate/wllama3", json!({ "threads": threads, "load": tuned })),
            Self::Wllama2 => ("generate/wllama2", json!({ "threads": threads })),
            Self::Transformers => ("generate/transformers", onnx("webgpu")),
            Self::TransformersPlain => ("generate/transformers", onnx("plain")),
            Self::Inkling | Self::Native | Self::LlamaCpp | Self::Page => {
                ("generate/inkling", json!({ "threads": threads }))
            }
        }
    }
}

/// Someone with a model.
pub struct Contender {
    pub subject: &'static Subject,
    pub who: Who,
    pub threads: usize,
    pub busy: bool,
    /// How it is asked and what; or what is missing, and what would bring it.
    pub found: Result<(Runner, Value)>,
}

/// How a contender is asked.
pub enum Runner {
    Module { engine: &'static str, options: Value, packages: Option<PathBuf> },
    Native,
    LlamaCpp(PathBuf),
    Page,
}

/// One measurement.
pub struct Answer {
    /// What measure.js and its like answer.
    pub value: Value,
    /// Cores that others used meanwhile.
    pub others: Option<f64>,
    /// The most memory the page's process held, in bytes.
    pub peak: Option<f64>,
    /// What the browser fetched.
    pub fetched: BTreeSet<String>,
}

impl Answer {
    /// Whether others used the machine.
    pub fn disturbed(&self) -> bool {
        self.others.is_some_and(|cores| cores >= QUIET)
    }
}

/// Those of all contenders whose names are `wanted`: the others are not looked for, since looking may mean fetching.
pub fn all(cores: usize, browser: bool, workloads: &[Workload], wanted: impl Fn(&str) -> bool) -> Vec<Contender> {
    let mut all = Vec::new();
    for &(subject, who, threads, busy) in PLAN {
        for &threads in threads.iter().filter(|threads| **threads <= cores) {
            if wanted(&name(subject, who, threads, busy)) {
                // Beside a busy core, threads that spin take minutes for the long one.
                let workloads = if busy { &[SHORT] } else { workloads };
                let found = find(subject, who, threads, browser, workloads);
                all.push(Contender { subject, who, threads, busy, found });
            }
        }
    }
    all
}

fn name(subject: &Subject, who: Who, threads: usize, busy: bool) -> String {
    format!("{}/{}/{threads}{}", subject.name, who.name(), if busy { "/busy" } else { "" })
}

/// The site as `cargo xtask build` left it.
pub fn dist() -> Result<PathBuf> {
    let dist = process::root().join("dist");
    ensure!(
        dist.join("inkling.js").is_file(),
        "expected the built site in {}, found none; try: cargo xtask build",
        dist.display()
    );
    Ok(dist)
}

fn find(subject: &Subject, who: Who, threads: usize, browser: bool, workloads: &[Workload]) -> Result<(Runner, Value)> {
    let native = matches!(who, Who::Native | Who::LlamaCpp);
    ensure!(native || browser, "chromium with chromedriver; try: apt-get install chromium chromium-driver");
    if !native && !who.is_peer() {
        dist()?;
    }
    let packages = who.package().map(Package::ensure).transpose()?;
    let (engine, options) = who.module(threads, subject);
    let runner = match who {
        Who::Native => Runner::Native,
        Who::LlamaCpp => Runner::LlamaCpp(Python::with(&["llama-cpp-python", "numpy"])?.program),
        Who::Page => Runner::Page,
        _ => Runner::Module { engine, options, packages },
    };
    let Some((shape, storage)) = subject.made() else { return Ok((runner, stories::task())) };
    let model = match who {
        Who::Transformers | Who::TransformersPlain => {
            models::onnx(shape)?;
            shape.name.to_string()
        }
        _ if native => models::gguf(shape, storage)?.display().to_string(),
        _ => {
            models::gguf(shape, storage)?;
            format!("/models/{}", models::file_name(shape, storage))
        }
    };
    Ok((runner, task(&model, shape.vocabulary, workloads, *subject == MINILM_Q8_0)))
}

impl Contender {
    pub fn name(&self) -> String {
        name(self.subject, self.who, self.threads, self.busy)
    }

    /// Lets it do its task.
    pub fn measure(&self, browser: Option<&Browser>) -> Result<Answer> {
        let Ok((runner, task)) = &self.found else { anyhow::bail!("expected a contender that is there") };
        let _busy = self.busy.then(BusyCore::start);
        let load = Load::start();
        let others = || load.as_ref().and_then(Load::others);
        let process = |mut command: Command| -> Result<Answer> {
            let value = peers::ask(&mut command, task)?;
            Ok(Answer { value, others: others(), peak: None, fetched: BTreeSet::new() })
        };
        match runner {
            Runner::Native => process(native::command("generate-native", self.threads)?),
            Runner::LlamaCpp(python) => {
                let mut command = Command::new(python);
                command.arg(process::root().join("xtask/bench/generate/llamacpp.py"));
                command.args(["--threads", &self.threads.to_string()]);
                process(command)
            }
            Runner::Module { engine, options, packages } => {
                let browser = browser.context("expected a browser, found none")?;
                let models = models::home()?;
                let site = site(packages.as_deref(), Some(&models));
                // The processes of the browser are there, and are counted as ours, only for so long.
                let before_end = || (others(), machine::renderer_peak());
                let visit = browser::measure(browser, &site, engine, options, task, before_end)?;
                let (others, peak) = visit.said;
                Ok(Answer { value: visit.answer, others, peak, fetched: visit.fetched })
            }
            Runner::Page => {
                let browser = browser.context("expected a browser, found none")?;
                let before_end = || (others(), machine::renderer_peak());
                let visit = browser::visit(browser, &site(None, None), stories::open, before_end)?;
                let (others, peak) = visit.said;
                Ok(Answer { value: visit.answer, others, peak, fetched: visit.fetched })
            }
        }
    }
}

pub fn site<'a>(packages: Option<&'a Path>, models: Option<&'a Path>) -> Site<'a> {
    Site { dist: process::root().join("dist"), packages, models, isolated: true, flags: &[], limit: LIMIT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_plan_has_a_name_of_its_own_and_a_model() {
        let names: Vec<String> = PLAN
            .iter()
            .flat_map(|(subject, who, threads, busy)| threads.iter().map(|n| name(subject, *who, *n, *busy)))
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.contains(&"gpt2/q8_0/wllama3-tuned/2/busy".to_string()));
        let storages = SUBJECTS.map(|subject| subject.made().map(|(_, storage)| storage.name()));
        let named = SUBJECTS.map(|subject| subject.name.split_once('/').map(|(_, storage)| storage.to_string()));
        assert_eq!(storages, named);
    }
}
