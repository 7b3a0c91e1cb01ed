//! What a run says of itself, for people or as JSON lines.

use inkling::train::corpus::CleanReport;
use inkling::train::recipe::VocabularyKind;
use inkling::train::{Data, Evaluation, Measured, Plan, Removed, Setup, Step, What};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Time between two lines about steps.
const EVERY: Duration = Duration::from_secs(2);

pub struct Progress {
    json: bool,
    told: Instant,
    first: usize,
    last: usize,
    tokens_per_step: usize,
    /// Time that went into steps, without measurements and samples.
    spent: Duration,
}

impl Progress {
    pub fn new(json: bool) -> Self {
        Self { json, told: Instant::now(), first: 0, last: 0, tokens_per_step: 0, spent: Duration::ZERO }
    }

    /// One line: `value` with `--json`, else `text`.
    pub fn said(&self, value: &Value, text: &str) {
        if self.json {
            println!("{value}");
        } else {
            println!("{text}");
        }
    }

    pub fn corpus(&self, report: &CleanReport) {
        let text = format!(
            "text: {} documents, {} characters; {} documents held out",
            report.documents, report.characters, report.held_out_documents
        );
        let changes = report.removed.iter().map(|removed| {
            let Removed { what, count, examples } = removed;
            let examples = if examples.is_empty() { String::new() } else { format!(", as {}", examples.join(" ")) };
            format!("\n  {count} {}{examples}", in_words(*what))
        });
        self.said(&json!({ "corpus": report }), &(text + &changes.collect::<String>()));
    }

    /// `from_text`: it was learned, not a model's.
    pub fn vocabulary(&self, setup: &Setup, data: &Data, from_text: bool) {
        let size = setup.config["vocab_size"].as_u64().unwrap_or_default();
        let asked = setup.recipe.vocabulary.size as u64;
        let fewer = if from_text && setup.recipe.vocabulary.kind != VocabularyKind::Characters && size < asked {
            format!(" of the {asked} asked for, as the text has nothing more to merge")
        } else {
            String::new()
        };
        let value = json!({ "vocabulary": { "size": size, "tokens": data.tokens.len() } });
        self.said(&value, &format!("vocabulary: {size} tokens{fewer}; the text has {} of them", data.tokens.len()));
    }

    pub fn plan(&self, plan: &Plan) {
        let text = format!(
            "model: {} parameters, about {} MB while it trains; {} steps of {} tokens, {:.2} epochs",
            plan.parameters,
            plan.memory_bytes / 1_000_000,
            plan.steps,
            plan.tokens_per_step,
            plan.epochs
        );
        let value = json!({ "plan": {
            "parameters": plan.parameters, "memoryBytes": plan.memory_bytes, "steps": plan.steps,
            "tokensPerStep": plan.tokens_per_step, "epochs": plan.epochs,
        } });
        self.said(&value, &text);
    }

    /// The steps to take, of those the recipe has.
    pub fn span(&self, taken: usize, last: usize, of: usize) {
        let begin = if taken > 0 { format!("goes on after step {taken}") } else { "begins".to_string() };
        let end = if last < of { format!("stops after step {last} of {of}") } else { format!("ends after step {of}") };
        self.said(&json!({ "from": taken, "to": last, "of": of }), &format!("{begin} and {end}"));
    }

    pub fn measured(&self, measured: Measured) {
        let Measured { tokens, of } = measured;
        let text = if tokens == of {
            format!("held out: all {of} tokens are measured")
        } else {
            format!("held out: {tokens} of {of} tokens are measured, spread evenly over the text")
        };
        self.said(&json!({ "heldOut": measured }), &text);
    }

    /// What is left to do, by how long one step has taken, and, where one was made, a measurement of so many to come.
    pub fn estimate(&self, steps: usize, step: Duration, evaluations: Option<(usize, Duration)>) {
        let speed = self.tokens_per_step as f64 / step.as_secs_f64();
        let (count, evaluation) = evaluations.unwrap_or_default();
        let seconds = steps as f64 * step.as_secs_f64() + count as f64 * evaluation.as_secs_f64();
        let measurements = evaluations.map(|(count, _)| format!(", measurements: {count}")).unwrap_or_default();
        let time = clock(seconds);
        let text = format!("{speed:.0} tokens/s; steps to go: {steps}{measurements}; that is about {time}");
        self.said(&json!({ "estimate": { "tokensPerSecond": speed, "seconds": seconds } }), &text);
    }

    pub fn start(&mut self, first: usize, last: usize, tokens_per_step: usize) {
        (self.told, self.spent) = (Instant::now(), Duration::ZERO);
        (self.first, self.last, self.tokens_per_step) = (first, last, tokens_per_step);
    }

    /// A step that took `time`.
    pub fn step(&mut self, step: &Step, time: Duration) {
        self.spent += time;
        if self.told.elapsed() < EVERY && step.step != self.last {
            return;
        }
        self.told = Instant::now();
        let taken = (step.step - self.first) as f64;
        let seconds = self.spent.as_secs_f64();
        let speed = taken * self.tokens_per_step as f64 / seconds;
        let left = (self.last - step.step) as f64 * seconds / taken;
        let text = format!(
            "step {}/{}  loss {:.4}  gradient {:.2}  rate {:.5}  {speed:.0} tokens/s  {} left",
            step.step,
            self.last,
            step.loss,
            step.grad_norm,
            step.learning_rate,
            clock(left)
        );
        let mut value = json!(step);
        value["tokensPerSecond"] = json!(speed);
        value["secondsLeft"] = json!(left);
        self.said(&value, &text);
    }

    pub fn evaluation(&self, evaluation: &Evaluation) {
        let text = format!(
            "step {}  held out: {:.4} nats per token, {:.4} bits per byte{}",
            evaluation.step,
            evaluation.nats_per_token,
            evaluation.bits_per_byte,
            if evaluation.best { ", the best so far" } else { "" }
        );
        self.said(&json!({ "evaluation": evaluation }), &text);
    }

    pub fn sample(&self, text: &str) {
        self.said(&json!({ "sample": text }), &format!("  | {}", text.replace('\n', "\n  | ")));
    }
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What cleaning did, after a count.
fn in_words(what: What) -> &'static str {
    match what {
        What::Invalid => "pieces of another encoding or of none, and lines of a table that cannot be read",
        What::Control => "control characters left out",
        What::Whitespace => "runs of white space shortened",
        What::Normalized => "characters written as Unicode normalizes them",
        What::Lowercased => "capital letters made small",
        What::Rare => "characters outside the alphabet left out",
        What::Empty => "empty documents left out",
        What::Duplicate => "documents left out that are the same as held-out ones",
    }
}
