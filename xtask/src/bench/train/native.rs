//! One measurement of inkling outside the browser, in a process of its own: the number of its threads is fixed when a
//! process starts. xtask/bench/train/measure.js measures in the same way.
use std::io::Read;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use inkling::train::corpus::{Corpus, SourceFile};
use inkling::train::{Data, Plan, Recipe, Setup, Trainer, Vocabulary};
use serde_json::{Value, json};

/// What the trainer makes of a text by a recipe, without the model: the same here and in the page.
pub fn prepare(text: &str, recipe: Recipe) -> Result<(Setup, Data)> {
    let file = SourceFile { name: "text.txt".into(), bytes: text.as_bytes().to_vec(), column: None };
    let corpus = Corpus::read(vec![file], &recipe.corpus)?;
    let vocabulary = Vocabulary::train(corpus.documents.iter().map(String::as_str), &recipe.vocabulary)?;
    let setup = Setup::new(recipe, vocabulary.tokenizer_json().to_string())?;
    let data = Data::new(|text| vocabulary.encode(text), setup.around(), &corpus.documents, &corpus.held_out)?;
    Ok((setup, data))
}

/// The command that does a task with so many threads.
pub fn command(threads: usize) -> Result<Command> {
    let this = std::env::current_exe().context("asking for this program's own file")?;
    let mut command = Command::new(this);
    command.args(["bench", "train-native"]).env("RAYON_NUM_THREADS", threads.to_string());
    Ok(command)
}

/// Does the task on the standard input.
pub fn answer() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("reading the task")?;
    let task: Value = serde_json::from_str(&text).context("reading the task")?;
    println!("{}", measure(&task)?);
    Ok(())
}

fn measure(task: &Value) -> Result<Value> {
    let recipe: Recipe = serde_json::from_value(task["recipe"].clone()).context("in the task's recipe")?;
    let (setup, data) = prepare(task["text"].as_str().context("expected a text in the task, found none")?, recipe)?;
    let parameters = Plan::new(&setup.config, &setup.recipe.training, data.tokens.len())?.parameters;
    let mut trainer = Trainer::new(setup, data)?;
    let timing = &task["timing"];
    let number = |name: &str| timing[name].as_f64().with_context(|| format!("expected timing.{name}, found none"));

    let mut losses = Vec::new();
    let (began, mut per_step) = (Instant::now(), f64::INFINITY);
    while (losses.len() as f64) < number("warmSteps")? || began.elapsed().as_secs_f64() < number("warmSeconds")? {
        let start = Instant::now();
        losses.push(trainer.step()?.loss);
        per_step = per_step.min(start.elapsed().as_secs_f64());
    }
    let steps = match timing["steps"].as_u64() {
        Some(steps) => steps,
        None => (number("seconds")? / per_step.max(1e-4)).round().max(number("leastSteps")?) as u64,
    };
    let start = Instant::now();
    for _ in 0..steps {
        losses.push(trainer.step()?.loss);
    }
    let seconds = start.elapsed().as_secs_f64();
    let how = if cfg!(debug_assertions) { "native, as cargo xtask train" } else { "native, release build" };
    Ok(json!({ "parameters": parameters, "how": how, "steps": steps, "seconds": seconds, "losses": losses }))
}
