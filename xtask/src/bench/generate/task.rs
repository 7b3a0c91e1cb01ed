//! What every engine is asked to write: two workloads, after untimed runs that warm it up. Prompts are made of words that
//! are one token each, different in every run, so that no engine finds in a cache what it should compute.
use inkling::train::Random;
use serde_json::{Value, json};

use super::vocabulary::Vocabulary;

/// Positions that every engine makes room for.
pub const CONTEXT: usize = 1024;

/// Tokens of a prompt, and tokens to be written; none by an encoder, whose vector of the text is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    pub prompt: usize,
    pub new: usize,
}

pub const SHORT: Workload = Workload { prompt: 64, new: 64 };
pub const LONG: Workload = Workload { prompt: 512, new: 128 };
pub const WORKLOADS: [Workload; 2] = [SHORT, LONG];
/// Before each workload: what compiles or allocates at first use does it then.
const WARM: [Workload; 2] = [Workload { prompt: 64, new: 8 }, Workload { prompt: 512, new: 4 }];

impl Workload {
    /// The same text for an encoder.
    pub const fn read(self) -> Self {
        Self { new: 0, ..self }
    }
}

/// `Task` of xtask/bench/generate/measure.js.
pub fn task(model: &str, vocabulary: usize, workloads: &[Workload], is_read: bool) -> Value {
    let words = Vocabulary::new(vocabulary).words();
    let mut drawn = 0;
    let mut run = |workload: Workload, timed: bool| {
        drawn += 1;
        let workload = if is_read { workload.read() } else { workload };
        let random = Random::new(drawn, "prompt");
        let chosen = (0..workload.prompt).map(|i| &words[random.word(i as u64) as usize % words.len()]);
        let (ids, text): (Vec<u32>, Vec<&str>) = chosen.map(|(id, word)| (*id, word.as_str())).unzip();
        json!({ "ids": ids, "text": text.concat(), "newTokens": workload.new, "timed": timed })
    };
    let mut runs = Vec::new();
    for (workload, warm) in WORKLOADS.into_iter().zip(WARM).filter(|(workload, _)| workloads.contains(workload)) {
        runs.extend([run(warm, false), run(workload, true)]);
    }
    json!({ "model": model, "context": CONTEXT, "runs": runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_a_prompt_of_its_own_and_the_length_asked_for() {
        let task = task("m.gguf", 49_152, &WORKLOADS, false);
        let runs = task["runs"].as_array().unwrap();
        let lengths: Vec<usize> = runs.iter().map(|run| run["ids"].as_array().unwrap().len()).collect();
        assert_eq!(lengths, [64, 64, 512, 512]);
        assert_ne!(runs[0]["ids"], runs[1]["ids"]);
        assert_eq!(runs[1]["text"].as_str().unwrap().split_whitespace().count(), 64);
    }
}
