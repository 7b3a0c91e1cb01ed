//! What came out, for people and for programs: tables of every model, the goals, downloads, kernels; the same as
//! BENCHMARKS.md; all of it as one line of JSON.
use std::process::Command;

use serde_json::{Value, json};

use super::contenders::{MINILM_Q8_0, STORIES, SUBJECTS, TRANSFORMERS, WLLAMA, WLLAMA2, Who};
use super::entry::{Entry, Metric};
use super::goals::{self, Goal};
use super::kernels::Kernels;
use super::sizes::Download;
use super::stories;
use super::task::{LONG, SHORT};
use crate::bench::machine::{self, Machine};
use crate::bench::table::{Section, Spread, figure};
use crate::browser::Browser;
use crate::process;

/// The whole result.
pub struct Report {
    machine: Machine,
    versions: Vec<(&'static str, Option<String>)>,
    rounds: u32,
    entries: Vec<Entry>,
    downloads: Vec<(Who, Download)>,
    kernels: Kernels,
    goals: Vec<Goal>,
}

impl Report {
    pub fn new(
        machine: Machine,
        browser: Option<&Browser>,
        rounds: u32,
        entries: Vec<Entry>,
        downloads: Vec<(Who, Download)>,
        kernels: Kernels,
    ) -> Self {
        let version = |command: &mut Command| machine::version(command);
        let package = |package: crate::npm::Package| Some(format!("{} {}", package.name, package.version));
        let llama = entries.iter().find(|entry| entry.contender.who == Who::LlamaCpp);
        let llama = llama.and_then(|entry| entry.answers.first()?.value["how"].as_str().map(String::from));
        let commit =
            process::output(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(process::root()));
        let versions = vec![
            ("browser", browser.and_then(|browser| version(Command::new(&browser.program).arg("--version")))),
            ("rustc", version(Command::new("rustc").arg("--version"))),
            ("wllama3", package(WLLAMA)),
            ("wllama2", package(WLLAMA2)),
            ("transformers.js", package(TRANSFORMERS)),
            ("llama.cpp", llama),
            ("inkling", Some(format!("{} {}", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default().trim()))),
        ];
        let goals = goals::goals(&entries, &downloads);
        Self { machine, versions, rounds, entries, downloads, kernels, goals }
    }

    pub fn text(&self) -> String {
        let head: String = self.head().iter().map(|line| format!("{line}\n")).collect();
        self.sections().iter().fold(head, |text, section| format!("{text}\n{}", section.text()))
    }

    /// The file that `--save` writes.
    pub fn markdown(&self) -> String {
        let head: String = self.head().iter().map(|line| format!("- {line}\n")).collect();
        let begin = "# Benchmarks\n\nWritten by `cargo xtask bench`; no figure in its tables is typed by hand.\n";
        let text = format!("{begin}\n{head}");
        self.sections().iter().fold(text, |text, section| format!("{text}\n{}", section.markdown()))
    }

    /// Where and how it was measured.
    fn head(&self) -> Vec<String> {
        let versions = self.versions.iter();
        let versions = versions.map(|(name, version)| format!("{name}: {}", version.as_deref().unwrap_or("not there")));
        let answers = || self.entries.iter().flat_map(|entry| &entry.answers);
        let disturbed = answers().filter(|answer| answer.disturbed()).count();
        let mut lines = vec![self.machine.line()];
        lines.extend(versions);
        lines.push(format!(
            "rounds: {}; other processes disturbed {disturbed} of {} measurements",
            self.rounds,
            answers().count()
        ));
        lines.push(
            "figures: median (least–most) over the rounds; prefill and decode in tokens per second; 64+64 is a prompt of \
             64 tokens and 64 new ones, greedy; weights are seeded random ones"
                .into(),
        );
        lines
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        if !self.goals.is_empty() {
            sections.push(goals::section(&self.goals));
        }
        for subject in SUBJECTS {
            let entries = self.entries.iter().filter(|entry| entry.contender.subject == subject);
            let (quiet, busy): (Vec<_>, Vec<_>) = entries.partition(|entry| !entry.contender.busy);
            let table = match *subject {
                STORIES => page,
                MINILM_Q8_0 => reading,
                _ => writing,
            };
            sections.extend([table(subject.title, &quiet)].into_iter().flatten());
            sections.extend(table(&format!("{}, with one core busy beside it", subject.title), &busy));
        }
        sections.extend(self.download_section());
        sections.extend(self.kernels.section());
        sections
    }

    fn download_section(&self) -> Option<Section> {
        let mut section =
            Section::new("Runtime to download, MB", &["runtime", "files", "as it is", "gzip 9", "brotli 11"]);
        section.rows.extend(self.downloads.iter().map(|(who, download)| {
            let bytes = [download.raw, download.gzip, download.brotli];
            let mb = bytes.map(|bytes| format!("{:.2}", bytes as f64 / 1e6));
            [vec![who.name().to_string(), download.files.to_string()], mb.to_vec()].concat()
        }));
        section.notes.push("What the browser fetched before a model could run, the model aside.".into());
        (!self.downloads.is_empty()).then_some(section)
    }

    pub fn json(&self) -> Value {
        let versions: serde_json::Map<String, Value> =
            self.versions.iter().map(|(name, version)| (name.to_string(), json!(version))).collect();
        let downloads: serde_json::Map<String, Value> =
            self.downloads.iter().map(|(who, download)| (who.name().to_string(), download.json())).collect();
        json!({
            "bench": "generate",
            "machine": self.machine.json(),
            "versions": versions,
            "rounds": self.rounds,
            "results": self.entries.iter().map(Entry::json).collect::<Vec<_>>(),
            "downloads": downloads,
            "kernels": self.kernels.json(),
            "goals": self.goals.iter().map(Goal::json).collect::<Vec<_>>(),
        })
    }
}

/// A table of those that write, or none.
fn writing(title: &str, entries: &[&Entry]) -> Option<Section> {
    let metrics = [
        ("prefill 64", Metric::Prefill(SHORT)),
        ("decode 64+64", Metric::Decode(SHORT)),
        ("prefill 512", Metric::Prefill(LONG)),
        ("decode 512+128", Metric::Decode(LONG)),
        ("load ms", Metric::Load),
        ("page peak MB", Metric::Peak),
        ("wasm MB", Metric::Memory),
    ];
    table(title, &metrics, entries)
}

/// A table of those that read, or none.
fn reading(title: &str, entries: &[&Entry]) -> Option<Section> {
    let metrics = [
        ("encode 64", Metric::Prefill(SHORT.read())),
        ("encode 512", Metric::Prefill(LONG.read())),
        ("load ms", Metric::Load),
        ("page peak MB", Metric::Peak),
        ("wasm MB", Metric::Memory),
    ];
    table(title, &metrics, entries)
}

/// The table of the model that the page opens with.
fn page(title: &str, entries: &[&Entry]) -> Option<Section> {
    let metrics = [
        ("first token ms", Metric::FirstToken),
        ("decode", Metric::Decode(stories::WORKLOAD)),
        ("load ms", Metric::Load),
        ("page peak MB", Metric::Peak),
        ("wasm MB", Metric::Memory),
    ];
    table(title, &metrics, entries)
}

fn table(title: &str, metrics: &[(&str, Metric)], entries: &[&Entry]) -> Option<Section> {
    let mut section = Section::new(title, &["engine/threads"]);
    section.head.extend(metrics.iter().map(|(name, _)| name.to_string()));
    section.head.push("how".into());
    let cell = |spread: Option<Spread>| match spread {
        None => "–".to_string(),
        Some(spread) => spread.to_string(),
    };
    section.rows.extend(entries.iter().map(|entry| {
        let name = format!("{}/{}", entry.contender.who.name(), entry.contender.threads);
        let figures = metrics.iter().map(|(_, metric)| cell(entry.spread(*metric)));
        std::iter::once(name).chain(figures).chain([entry.notes()]).collect()
    }));
    (!entries.is_empty()).then_some(section)
}

/// A line for whoever waits.
pub fn brief(entry: &Entry) -> String {
    let Some(answer) = entry.answers.last() else { return String::new() };
    let alone = |metric: Metric| metric.of(answer).map(figure);
    let parts = [
        ("prefill", alone(Metric::Prefill(SHORT))),
        ("decode", alone(Metric::Decode(SHORT)).or(alone(Metric::Decode(stories::WORKLOAD)))),
        ("prefill 512", alone(Metric::Prefill(LONG))),
        ("decode 512+128", alone(Metric::Decode(LONG))),
        ("encode 64", alone(Metric::Prefill(SHORT.read()))),
        ("encode 512", alone(Metric::Prefill(LONG.read()))),
        ("first token ms", alone(Metric::FirstToken)),
        ("load ms", alone(Metric::Load)),
    ];
    let mut said: Vec<String> =
        parts.into_iter().filter_map(|(name, figure)| Some(format!("{name} {}", figure?))).collect();
    if answer.disturbed() {
        said.push("disturbed by other processes".into());
    }
    said.join(", ")
}
