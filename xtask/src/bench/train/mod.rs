//! `cargo xtask bench train`: tokens per second of a training step, inkling beside its peers. All train a model of the
//! same shape on the same tokens with AdamW in fp32, in turn, once a round, each time in a fresh process or browser, so
//! that slow and fast spells of the machine fall on all of them.
mod contenders;
mod native;
mod report;
mod task;

use std::time::Duration;

use anyhow::{Result, ensure};

use super::machine::{self, Machine};
use super::peers::Python;
use super::table::figure;
use crate::browser::Browser;
pub use native::answer;
use report::{Entry, Report};
use task::{SIZES, Task, Timing};

/// How long a measurement waits for a quiet machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Args {
    /// How often each is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Steps that are timed in one measurement, instead of a time
    #[arg(long, conflicts_with = "seconds", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// How long one measurement takes, warming up aside; two steps at least
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Only those whose name (such as lesson/inkling/native/2) has this in it; may be given several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Print nothing but the line of JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    ensure!(args.seconds > 0.0, "--seconds: expected more than 0, found {}", args.seconds);
    let machine = Machine::read();
    let (browser, python) = (Browser::find(), Python::with(&["torch", "transformers"]));
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str()));
    let in_any = |name: &str| SIZES.iter().any(|size| wanted(&format!("{}/{name}", size.name)));
    let contenders = contenders::all(machine.cores, browser.is_some(), &python, in_any);
    ensure!(!contenders.is_empty(), "--only {}: expected a part of a name, found in none", args.only.join(" "));

    let timing = Timing { steps: args.steps, seconds: args.seconds };
    let tasks = SIZES.iter().map(|size| Task::new(size, &timing)).collect::<Result<Vec<_>>>()?;
    let mut entries: Vec<Entry> = tasks
        .iter()
        .flat_map(|task| contenders.iter().map(move |contender| Entry::new(task, contender)))
        .filter(|entry| wanted(&entry.name()))
        .collect();
    for round in 1..=args.rounds {
        for entry in &mut entries {
            let (Ok(runner), None) = (&entry.contender.found, &entry.problem) else { continue };
            machine::wait_for_quiet(PATIENCE);
            match contenders::measure(runner, entry.contender.threads, browser.as_ref(), entry.task) {
                Ok(answer) => {
                    let disturbed = if answer.disturbed() { ", disturbed by other processes" } else { "" };
                    let speed = figure(answer.tokens_per_second);
                    eprintln!("round {round} of {}: {}: {speed} tokens/s{disturbed}", args.rounds, entry.name());
                    entry.answers.push(answer);
                }
                Err(error) => {
                    eprintln!("round {round} of {}: {}: {error:#}", args.rounds, entry.name());
                    entry.problem = Some(format!("failed: {error:#}"));
                }
            }
        }
    }

    let report = Report::new(&machine, browser.as_ref(), python.ok(), &tasks, &entries);
    if !args.json {
        print!("\n{}\n", report.text());
    }
    println!("{}", report.json());
    Ok(())
}
