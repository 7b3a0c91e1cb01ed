//! One measurement of inkling outside the browser, in a process of its own: the number of its threads is fixed when a
//! process starts. xtask/bench/generate/measure.js measures in the same way.
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use inkling::Engine;
use inkling::files::Files;
use inkling::generate::{Event, Generation};
use serde_json::{Value, json};

/// The command that answers one of the hidden subcommands of `bench` with so many threads.
pub fn command(subcommand: &str, threads: usize) -> Result<Command> {
    let this = std::env::current_exe().context("asking for this program's own file")?;
    let mut command = Command::new(this);
    command.args(["bench", subcommand]).env("RAYON_NUM_THREADS", threads.to_string());
    Ok(command)
}

/// The task on the standard input.
pub fn read_task() -> Result<Value> {
    let text = std::io::read_to_string(std::io::stdin()).context("reading the task")?;
    serde_json::from_str(&text).context("reading the task")
}

/// Does the task on the standard input.
pub fn answer() -> Result<()> {
    println!("{}", measure(&read_task()?)?);
    Ok(())
}

fn measure(task: &Value) -> Result<Value> {
    let model = task["model"].as_str().context("expected a model in the task, found none")?;
    let began = Instant::now();
    let mut engine = Engine::open(Files::open(Path::new(model))?)?;
    let load = began.elapsed();
    let mut runs = Vec::new();
    for run in task["runs"].as_array().into_iter().flatten() {
        let ids: Vec<u32> = serde_json::from_value(run["ids"].clone()).context("in a run of the task")?;
        let wanted = run["newTokens"].as_u64().context("expected newTokens in a run, found none")? as usize;
        let (first, last) = generate(&mut engine, ids.clone(), wanted)?;
        if run["timed"] == true {
            runs.push(json!({
                "promptTokens": ids.len(), "newTokens": wanted,
                "prefill": ids.len() as f64 / first, "decode": (wanted - 1) as f64 / (last - first),
            }));
        }
    }
    let how = if cfg!(debug_assertions) { "native, as cargo xtask generate" } else { "native, release build" };
    Ok(json!({ "loadMs": load.as_secs_f64() * 1000.0, "how": how, "memoryBytes": null, "runs": runs }))
}

/// Seconds until the first and the last new token.
fn generate(engine: &mut Engine, ids: Vec<u32>, wanted: usize) -> Result<(f64, f64)> {
    let mut config = engine.defaults().clone();
    // No token ends the text: all write as many.
    (config.max_new_tokens, config.do_sample, config.eos_token_id) = (Some(wanted), false, Vec::new());
    let mut stamps = Vec::new();
    let began = Instant::now();
    let mut generation = Generation::start(engine, ids, config)?;
    loop {
        match generation.advance(engine, usize::MAX)? {
            Event::Token { .. } => stamps.push(began.elapsed().as_secs_f64()),
            Event::Prefill { .. } | Event::Preview { .. } => {}
            Event::Done { .. } => break,
        }
    }
    ensure!(stamps.len() == wanted, "expected {wanted} new tokens, found {}", stamps.len());
    Ok((stamps[0], stamps[stamps.len() - 1]))
}
