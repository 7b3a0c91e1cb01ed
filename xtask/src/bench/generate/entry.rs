//! What was measured of one contender: its answers, and the figures that come out of them.
use serde_json::{Value, json};

use super::contenders::{Answer, Contender};
use super::stories;
use super::task::{LONG, SHORT, Workload};
use crate::bench::table::Spread;

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// Tokens of the prompt a second, until the first new one is there.
    Prefill(Workload),
    /// Tokens a second after the first.
    Decode(Workload),
    /// Milliseconds until the model is ready, its engine and its file fetched.
    Load,
    /// The most memory of the page's process, in MB.
    Peak,
    /// The engine's own memory at the end, in MB.
    Memory,
    /// Milliseconds from asking for the page to its model's first token.
    FirstToken,
}

/// All of them, with the names they have in the line of JSON.
const METRICS: [(&str, Metric); 11] = [
    ("prefill64", Metric::Prefill(SHORT)),
    ("decode64+64", Metric::Decode(SHORT)),
    ("prefill512", Metric::Prefill(LONG)),
    ("decode512+128", Metric::Decode(LONG)),
    ("encode64", Metric::Prefill(SHORT.read())),
    ("encode512", Metric::Prefill(LONG.read())),
    ("decode", Metric::Decode(stories::WORKLOAD)),
    ("loadMs", Metric::Load),
    ("firstTokenMs", Metric::FirstToken),
    ("peakMB", Metric::Peak),
    ("engineMB", Metric::Memory),
];

impl Metric {
    /// What one answer says of it.
    pub fn of(self, answer: &Answer) -> Option<f64> {
        let run = |workload: Workload, key: &str| {
            let runs = answer.value["runs"].as_array()?;
            let is = |run: &&Value| run["promptTokens"] == workload.prompt && run["newTokens"] == workload.new;
            runs.iter().find(is)?[key].as_f64()
        };
        match self {
            Self::Prefill(workload) => run(workload, "prefill"),
            Self::Decode(workload) => run(workload, "decode"),
            Self::Load => answer.value["loadMs"].as_f64(),
            Self::FirstToken => answer.value["firstTokenMs"].as_f64(),
            Self::Peak => answer.peak.map(|bytes| bytes / 1e6),
            Self::Memory => answer.value["memoryBytes"].as_f64().map(|bytes| bytes / 1e6),
        }
    }
}

/// All measurements of one contender.
pub struct Entry {
    pub contender: Contender,
    pub answers: Vec<Answer>,
    /// Why there is no figure, or fewer than rounds.
    pub problem: Option<String>,
}

impl Entry {
    pub fn new(contender: Contender) -> Self {
        let problem = contender.found.as_ref().err().map(|missing| format!("not there: {missing:#}"));
        Self { contender, answers: Vec::new(), problem }
    }

    /// A figure over the rounds that nobody disturbed, or over all where each was disturbed.
    pub fn spread(&self, metric: Metric) -> Option<Spread> {
        let quiet: Vec<&Answer> = self.answers.iter().filter(|answer| !answer.disturbed()).collect();
        let counted = if quiet.is_empty() { self.answers.iter().collect() } else { quiet };
        Spread::of(&counted.into_iter().filter_map(|answer| metric.of(answer)).collect::<Vec<_>>())
    }

    /// Whether others used the machine in every round, so that its figures say little.
    pub fn disturbed(&self) -> bool {
        !self.answers.is_empty() && self.answers.iter().all(Answer::disturbed)
    }

    /// What of it ran, how often it was disturbed, and what went wrong.
    pub fn notes(&self) -> String {
        let how = self.answers.first().and_then(|answer| answer.value["how"].as_str()).map(String::from);
        let disturbed = self.answers.iter().filter(|answer| answer.disturbed()).count();
        let disturbed = (disturbed > 0).then(|| format!("disturbed in {disturbed} of {}", self.answers.len()));
        let notes: Vec<String> = how.into_iter().chain(disturbed).chain(self.problem.clone()).collect();
        notes.join("; ")
    }

    pub fn json(&self) -> Value {
        let figures = METRICS.iter().filter_map(|(name, metric)| {
            let Spread { median, least, most } = self.spread(*metric)?;
            let rounds: Vec<Option<f64>> = self.answers.iter().map(|answer| metric.of(answer)).collect();
            let value = json!({ "median": median, "least": least, "most": most, "rounds": rounds });
            Some((name.to_string(), value))
        });
        json!({
            "name": self.contender.name(),
            "threads": self.contender.threads,
            "figures": figures.collect::<serde_json::Map<_, _>>(),
            "othersCores": self.answers.iter().map(|answer| answer.others).collect::<Vec<_>>(),
            "notes": self.notes(),
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::contenders::{Runner, Subject, Who};
    use super::*;
    use std::collections::BTreeSet;

    /// An entry with one answer, of so many tokens a second in everything.
    pub fn entry(subject: &'static Subject, who: Who, threads: usize, speed: f64, others: f64) -> Entry {
        let found = Ok((Runner::Native, Value::Null));
        let mut entry = Entry::new(Contender { subject, who, threads, busy: false, found });
        entry.answers.push(answer(speed, others));
        entry
    }

    pub fn answer(speed: f64, others: f64) -> Answer {
        let run = |workload: Workload| json!({ "promptTokens": workload.prompt, "newTokens": workload.new, "prefill": speed, "decode": speed });
        let value = json!({ "loadMs": 100.0, "how": "x", "memoryBytes": null, "runs": [run(SHORT), run(LONG)] });
        Answer { value, others: Some(others), peak: Some(2e8), fetched: BTreeSet::new() }
    }

    #[test]
    fn rounds_that_were_disturbed_do_not_count_where_others_were_not() {
        let mut entry = entry(&super::super::contenders::Q8_0, Who::Inkling, 2, 10.0, 1.0);
        let decode = |entry: &Entry| entry.spread(Metric::Decode(SHORT)).map(|spread| spread.median);
        assert_eq!(decode(&entry), Some(10.0));
        entry.answers.push(answer(30.0, 0.0));
        assert_eq!(decode(&entry), Some(30.0));
        assert_eq!(entry.spread(Metric::Peak).map(|spread| spread.median), Some(200.0));
        assert_eq!(entry.spread(Metric::Decode(stories::WORKLOAD)), None);
        assert_eq!(entry.notes(), "x; disturbed in 1 of 2");
    }
}
