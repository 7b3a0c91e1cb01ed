//! What came out: a table for people, the goals with how far they are met, and all of it as one line of JSON.
use std::process::Command;

use serde_json::{Value, json};

use super::contenders::{Answer, Contender, JAX, NANOGPT, Side};
use super::task::Task;
use crate::bench::machine::{self, Machine};
use crate::bench::peers::Python;
use crate::bench::table::{Spread, columns, figure};
use crate::browser::Browser;

/// An untrained model gives every token about the same chance: its loss is this near to that of chance, in nats.
const NEAR_CHANCE: f64 = 0.5;

/// All measurements of one contender with one size.
pub struct Entry<'a> {
    pub task: &'a Task,
    pub contender: &'a Contender,
    pub answers: Vec<Answer>,
    /// Why there is no figure, or fewer than rounds.
    pub problem: Option<String>,
}

impl<'a> Entry<'a> {
    pub fn new(task: &'a Task, contender: &'a Contender) -> Self {
        let problem = contender.found.as_ref().err().map(|missing| format!("not there: {missing:#}"));
        Self { task, contender, answers: Vec::new(), problem }
    }

    pub fn name(&self) -> String {
        format!("{}/{}", self.task.size.name, self.contender.name)
    }

    fn speed(&self) -> Option<Spread> {
        Spread::of(&self.answers.iter().map(|answer| answer.tokens_per_second).collect::<Vec<_>>())
    }

    /// Its speed, if that is the speed of training.
    fn counts(&self) -> Option<f64> {
        Some(self.speed()?.median).filter(|_| self.trains())
    }

    /// The first and the last loss of each measurement.
    fn losses(&self) -> Vec<(f64, f64)> {
        let ends = |answer: &Answer| {
            let losses = answer.value["losses"].as_array()?;
            Some((losses.first()?.as_f64()?, losses.last()?.as_f64()?))
        };
        self.answers.iter().filter_map(ends).collect()
    }

    /// Whether every measurement began at chance and ended below.
    fn trains(&self) -> bool {
        let chance = (self.task.vocabulary as f64).ln();
        let losses = self.losses();
        losses.len() == self.answers.len()
            && losses.iter().all(|(first, last)| (first - chance).abs() < NEAR_CHANCE && last < first)
    }

    /// What the first answer says.
    fn said(&self, key: &str) -> Value {
        self.answers.first().map_or(Value::Null, |answer| answer.value[key].clone())
    }

    fn row(&self) -> Vec<String> {
        let mut cells = vec![format!("  {}", self.contender.name)];
        if let Some(speed) = self.speed() {
            let (first, last) = self.losses().first().copied().unwrap_or((f64::NAN, f64::NAN));
            cells.push(figure(speed.median));
            cells.push(format!("{}–{}", figure(speed.least), figure(speed.most)));
            cells.push(self.said("parameters").as_f64().map_or_else(String::new, figure));
            cells.push(format!("{first:.2} → {last:.2}"));
            cells.push(self.said("steps").to_string());
        } else {
            cells.extend(std::iter::repeat_n("–".to_string(), 5));
        }
        let mut notes: Vec<String> = self.said("how").as_str().map(String::from).into_iter().collect();
        let disturbed = self.answers.iter().filter(|answer| answer.disturbed()).count();
        if disturbed > 0 {
            notes.push(format!("disturbed in {disturbed} of {}", self.answers.len()));
        }
        if !self.answers.is_empty() && !self.trains() {
            notes.push("does not train: counts for nothing".into());
        }
        notes.extend(self.problem.clone());
        cells.push(notes.join("; "));
        cells
    }

    fn json(&self) -> Value {
        let speed = self.speed();
        let losses = self.losses();
        json!({
            "size": self.task.size.name,
            "name": self.contender.name,
            "threads": self.contender.threads,
            "how": self.said("how"),
            "parameters": self.said("parameters"),
            "tokensPerSecond": speed.map(|speed| json!({
                "median": speed.median, "least": speed.least, "most": speed.most,
                "rounds": self.answers.iter().map(|answer| answer.tokens_per_second).collect::<Vec<_>>(),
            })),
            "steps": self.answers.iter().map(|answer| answer.value["steps"].clone()).collect::<Vec<_>>(),
            "firstLoss": losses.iter().map(|(first, _)| first).collect::<Vec<_>>(),
            "lastLoss": losses.iter().map(|(_, last)| last).collect::<Vec<_>>(),
            "trains": self.trains() && !self.answers.is_empty(),
            "othersCores": self.answers.iter().map(|answer| answer.others).collect::<Vec<_>>(),
            "problem": self.problem,
        })
    }
}

/// A ratio that is aimed at. It may be missed; then it is said by how much.
struct Goal {
    size: &'static str,
    what: String,
    aim: f64,
    /// None where there is nothing to compare.
    ratio: Option<f64>,
}

impl Goal {
    fn new(size: &'static str, ours: &str, ratio: Option<(f64, &Entry)>, peer: &str, aim: f64) -> Self {
        let peer = ratio.map_or_else(|| peer.to_string(), |(_, entry)| entry.contender.name.clone());
        Self { size, what: format!("{ours} / {peer}"), aim, ratio: ratio.map(|(ratio, _)| ratio) }
    }

    fn row(&self) -> Vec<String> {
        let ratio = self.ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"));
        let verdict = match self.ratio {
            None => "not measured".to_string(),
            Some(ratio) if ratio >= self.aim => "met".to_string(),
            Some(ratio) => format!("missed: {:.0} % of the goal", 100.0 * ratio / self.aim),
        };
        vec![format!("  {}: {}", self.size, self.what), ratio, format!("≥ {:.1}", self.aim), verdict]
    }

    fn json(&self) -> Value {
        let met = self.ratio.map(|ratio| ratio >= self.aim);
        json!({ "size": self.size, "what": self.what, "aim": self.aim, "ratio": self.ratio, "met": met })
    }
}

/// Three times the best npm package, half of PyTorch on as many threads.
fn goals(tasks: &[Task], entries: &[Entry]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for task in tasks {
        let size = task.size.name;
        let here: Vec<&Entry> = entries.iter().filter(|entry| entry.task.size.name == size).collect();
        let fastest = |side: Side, threads: Option<usize>| {
            let counted = here.iter().filter(|entry| {
                entry.contender.side == side && threads.is_none_or(|threads| entry.contender.threads == threads)
            });
            counted.filter_map(|entry| Some((entry.counts()?, *entry))).max_by(|a, b| a.0.total_cmp(&b.0))
        };
        for ours in here.iter().filter(|entry| matches!(entry.contender.side, Side::Native | Side::Page)) {
            let (side, threads) = (ours.contender.side, ours.contender.threads);
            let beside = |peer: Option<(f64, &'_ Entry)>| {
                let (speed, _) = peer?;
                Some(ours.counts()? / speed)
            };
            let mut goal = |peer: Side, threads: Option<usize>, name: &str, aim: f64| {
                let found = fastest(peer, threads);
                let ratio = found.and_then(|(_, entry)| Some((beside(found)?, entry)));
                goals.push(Goal::new(size, &ours.contender.name, ratio, name, aim));
            };
            if side == Side::Page {
                goal(Side::Npm, None, "the best npm package", 3.0);
            }
            goal(Side::PyTorch, Some(threads), &format!("pytorch/{threads}"), 0.5);
        }
    }
    goals
}

/// The whole result.
pub struct Report<'a> {
    machine: &'a Machine,
    versions: Vec<(&'static str, Option<String>)>,
    tasks: &'a [Task],
    entries: &'a [Entry<'a>],
    goals: Vec<Goal>,
}

impl<'a> Report<'a> {
    pub fn new(
        machine: &'a Machine,
        browser: Option<&Browser>,
        python: Option<Python>,
        tasks: &'a [Task],
        entries: &'a [Entry<'a>],
    ) -> Self {
        let versions = vec![
            ("browser", browser.and_then(|browser| machine::version(Command::new(&browser.program).arg("--version")))),
            ("rustc", machine::version(Command::new("rustc").arg("--version"))),
            ("pytorch", python.map(|python| python.versions)),
            ("nanogpt", Some(format!("{} {}", NANOGPT.name, NANOGPT.version))),
            ("jax-js", Some(format!("{} {}", JAX.name, JAX.version))),
            ("inkling", Some(env!("CARGO_PKG_VERSION").to_string())),
        ];
        Self { machine, versions, tasks, entries, goals: goals(tasks, entries) }
    }

    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.machine.line());
        for (name, version) in &self.versions {
            text += &format!("{name}: {}\n", version.as_deref().unwrap_or("not there"));
        }
        for task in self.tasks {
            let entries: Vec<&Entry> =
                self.entries.iter().filter(|entry| entry.task.size.name == task.size.name).collect();
            if entries.is_empty() {
                continue;
            }
            let head = ["  engine/threads", "tokens/s", "least–most", "parameters", "loss", "steps", "how"];
            let mut rows = vec![head.map(String::from).to_vec()];
            rows.extend(entries.iter().map(|entry| entry.row()));
            text += &format!("\n{}\n{}", task.line(), columns(&rows));
            text += &format!("  loss of chance: {:.2}\n", (task.vocabulary as f64).ln());
        }
        let mut rows = vec![["  goal", "ratio", "aim", ""].map(String::from).to_vec()];
        rows.extend(self.goals.iter().map(Goal::row));
        if !self.goals.is_empty() {
            text += &format!("\ngoals\n{}", columns(&rows));
        }
        text
    }

    pub fn json(&self) -> Value {
        let versions: serde_json::Map<String, Value> =
            self.versions.iter().map(|(name, version)| (name.to_string(), json!(version))).collect();
        json!({
            "bench": "train",
            "machine": self.machine.json(),
            "versions": versions,
            "sizes": self.tasks.iter().map(Task::json).collect::<Vec<_>>(),
            "results": self.entries.iter().map(Entry::json).collect::<Vec<_>>(),
            "goals": self.goals.iter().map(Goal::json).collect::<Vec<_>>(),
        })
    }
}
