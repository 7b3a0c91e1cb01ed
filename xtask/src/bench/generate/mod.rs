//! `cargo xtask bench`: how quickly models write, inkling beside its peers. All read the same weights and the same
//! prompts, in turn, once a round, each time in a fresh process or browser, so that slow and fast spells of the machine
//! fall on all of them.
//!
//! * [`shapes`], [`vocabulary`], [`mixture`], [`models`]: the models, and how their files are made
//! * [`task`], [`stories`]: what is to be written
//! * [`contenders`]: who writes, and one measurement; [`native`] is that of inkling outside the browser, [`busy`] the work
//!   beside some of them
//! * [`kernels`], [`sizes`]: the inner loops alone, and what is downloaded
//! * [`entry`], [`goals`], [`report`]: what came out
mod busy;
mod contenders;
mod entry;
mod goals;
mod kernels;
mod limits;
mod mixture;
mod models;
mod native;
mod report;
mod shapes;
mod sizes;
mod stories;
mod task;
mod vocabulary;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::machine::{self, Machine};
use crate::browser::Browser;
use crate::process;
use contenders::Who;
use entry::Entry;
use kernels::Kernels;
pub use kernels::answer as answer_kernels;
pub use native::answer;
use report::Report;
use sizes::Download;
use task::{SHORT, WORKLOADS};

// Without a group, whose name would be that of the arguments it is flattened into.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// How often each is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only those whose name (such as gpt2/q8_0/inkling/2) has this in it; may be given several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Leave out the long workload, a prompt of 512 and 128 new tokens
    #[arg(long)]
    short: bool,
    /// How many seconds a measurement waits for others to leave the machine alone
    #[arg(long, default_value_t = 30)]
    patience: u64,
    /// Print nothing but the line of JSON
    #[arg(long)]
    json: bool,
    /// Write what was measured to a file of the project, BENCHMARKS.md unless another is named
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "BENCHMARKS.md")]
    save: Option<PathBuf>,
}

/// The Hugging Face folder of a full-size GPT-2 with random weights.
pub fn checkpoint() -> Result<PathBuf> {
    models::folder(&shapes::GPT2)
}

pub fn run(args: Args) -> Result<()> {
    let machine = Machine::read();
    let browser = Browser::find();
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str()));
    let workloads: &[_] = if args.short { &[SHORT] } else { &WORKLOADS };
    let contenders = contenders::all(machine.cores, browser.is_some(), workloads, wanted);
    let mut entries: Vec<Entry> = contenders.into_iter().map(Entry::new).collect();
    let patience = Duration::from_secs(args.patience);
    let kernels = Kernels::measure(machine.cores, browser.as_ref(), patience, wanted);
    ensure!(
        !entries.is_empty() || kernels.section().is_some(),
        "--only {}: expected a part of a name, found in none",
        args.only.join(" ")
    );
    for round in 1..=args.rounds {
        for entry in entries.iter_mut().filter(|entry| entry.problem.is_none()) {
            machine::wait_for_quiet(patience);
            let name = entry.contender.name();
            match entry.contender.measure(browser.as_ref()) {
                Ok(answer) => {
                    entry.answers.push(answer);
                    eprintln!("round {round} of {}: {name}: {}", args.rounds, report::brief(entry));
                }
                Err(error) => {
                    eprintln!("round {round} of {}: {name}: {error:#}", args.rounds);
                    entry.problem = Some(format!("failed: {error:#}"));
                }
            }
        }
    }
    let downloads = downloads(&entries)?;
    let report = Report::new(machine, browser.as_ref(), args.rounds, entries, downloads, kernels);
    if !args.json {
        print!("\n{}\n", report.text());
    }
    if let Some(file) = args.save {
        let place = process::root().join(file);
        fs::write(&place, report.markdown()).with_context(|| format!("writing {}", place.display()))?;
    }
    println!("{}", report.json());
    Ok(())
}

/// What each runtime fetched, by the most threads it was measured with.
fn downloads(entries: &[Entry]) -> Result<Vec<(Who, Download)>> {
    let dist = process::root().join("dist");
    let mut downloads: Vec<(Who, Download)> = Vec::new();
    let engines = [
        Who::Inkling,
        Who::InklingSimd128,
        Who::Wllama3,
        Who::Wllama3Tuned,
        Who::Wllama2,
        Who::Transformers,
        Who::TransformersPlain,
    ];
    for who in engines {
        let own = entries.iter().filter(|entry| entry.contender.who == who && !entry.answers.is_empty());
        let Some(entry) = own.max_by_key(|entry| entry.contender.threads) else { continue };
        // Tuned, it is the same download.
        if who == Who::Wllama3Tuned && downloads.iter().any(|(other, _)| *other == Who::Wllama3) {
            continue;
        }
        let packages = who.package().map(|package| package.ensure()).transpose()?;
        downloads.push((who, Download::of(&entry.answers[0].fetched, &dist, packages.as_deref())?));
    }
    Ok(downloads)
}
