//! What inkling aims at, and how far it is. A goal may be missed; then it is said by how much.
use serde_json::{Value, json};

use super::contenders::{F16, F32, MINILM_Q8_0, Q4_0, Q4_K_M, Q8_0, SMOL_Q8_0, STORIES, Subject, T5_Q8_0, Who};
use super::entry::{Entry, Metric};
use super::limits;
use super::sizes::Download;
use super::stories;
use super::task::{LONG, SHORT};
use crate::bench::table::{Section, figure};

/// What a figure is held against.
#[derive(Clone, Copy)]
enum Against {
    /// At least so many times the best peer in the browser with as many threads.
    Peers(f64),
    /// At most so many times the peer in the browser that has the best of this, with as many threads.
    Below(f64),
    /// At least so many times this one with as many threads.
    One(Who, f64),
    /// At least so many times itself with one thread, beside a busy core.
    OneThread(f64),
    AtLeast(f64),
    AtMost(f64),
}

use Against::{AtLeast, AtMost, Below, One, OneThread, Peers};

/// What is aimed at: of which model, by whom with how many threads, in what.
type Aim = (&'static str, &'static Subject, Who, usize, Metric, Against);

const AIMS: [Aim; 28] = [
    ("Q8_0 decode, 64+64", &Q8_0, Who::Inkling, 2, Metric::Decode(SHORT), Peers(3.0)),
    (
        "Q8_0 decode, 64+64, of native llama.cpp",
        &Q8_0,
        Who::Inkling,
        2,
        Metric::Decode(SHORT),
        One(Who::LlamaCpp, 0.75),
    ),
    ("Q8_0 decode, 512+128", &Q8_0, Who::Inkling, 2, Metric::Decode(LONG), Peers(3.0)),
    ("Q8_0 decode, 512+128, 8-bit cache", &Q8_0, Who::InklingQ8Cache, 2, Metric::Decode(LONG), Peers(3.0)),
    ("Q8_0 decode, 64+64", &Q8_0, Who::Inkling, 1, Metric::Decode(SHORT), Peers(3.0)),
    ("Q8_0 decode, 64+64, simd128", &Q8_0, Who::InklingSimd128, 1, Metric::Decode(SHORT), One(Who::Wllama3Tuned, 1.4)),
    ("Q4_K_M decode, 64+64", &Q4_K_M, Who::Inkling, 2, Metric::Decode(SHORT), Peers(2.7)),
    ("Q4_K_M decode, 512+128", &Q4_K_M, Who::Inkling, 2, Metric::Decode(LONG), Peers(2.7)),
    ("Q4_0 decode, 64+64", &Q4_0, Who::Inkling, 2, Metric::Decode(SHORT), Peers(6.0)),
    ("F32 decode, 64+64", &F32, Who::Inkling, 2, Metric::Decode(SHORT), Peers(1.2)),
    ("F16 decode, 64+64", &F16, Who::Inkling, 2, Metric::Decode(SHORT), Peers(3.0)),
    ("Q8_0 prefill, 512 tokens", &Q8_0, Who::Inkling, 2, Metric::Prefill(LONG), Peers(1.5)),
    ("Q8_0 prefill, 64 tokens", &Q8_0, Who::Inkling, 2, Metric::Prefill(SHORT), Peers(1.5)),
    ("SmolLM2 shape, Q8_0 decode, 64+64", &SMOL_Q8_0, Who::Inkling, 2, Metric::Decode(SHORT), Peers(3.0)),
    ("SmolLM2 shape, Q8_0 decode, 512+128", &SMOL_Q8_0, Who::Inkling, 2, Metric::Decode(LONG), Peers(3.0)),
    ("T5-small shape decode, 64+64", &T5_Q8_0, Who::Inkling, 2, Metric::Decode(SHORT), Peers(2.0)),
    ("T5-small shape encode, 64 tokens", &T5_Q8_0, Who::Inkling, 2, Metric::Prefill(SHORT), Peers(1.0)),
    ("T5-small shape encode, 512 tokens", &T5_Q8_0, Who::Inkling, 2, Metric::Prefill(LONG), Peers(1.0)),
    ("T5-small shape peak memory of the page, MB", &T5_Q8_0, Who::Inkling, 2, Metric::Peak, Below(0.5)),
    ("MiniLM shape encode, 64 tokens", &MINILM_Q8_0, Who::Inkling, 2, Metric::Prefill(SHORT.read()), Peers(1.0)),
    ("MiniLM shape encode, 512 tokens", &MINILM_Q8_0, Who::Inkling, 2, Metric::Prefill(LONG.read()), Peers(1.0)),
    ("MiniLM shape peak memory of the page, MB", &MINILM_Q8_0, Who::Inkling, 2, Metric::Peak, Below(0.5)),
    ("Q8_0 beside a busy core, of one thread there", &Q8_0, Who::Inkling, 2, Metric::Decode(SHORT), OneThread(1.0)),
    ("Q8_0 peak memory of the page, MB", &Q8_0, Who::Inkling, 2, Metric::Peak, AtMost(230.0)),
    ("Q8_0 load from a local server, ms", &Q8_0, Who::Inkling, 2, Metric::Load, AtMost(500.0)),
    ("stories: page open to first token, warm, ms", &STORIES, Who::Page, 2, Metric::FirstToken, AtMost(400.0)),
    ("stories: peak memory of the page, MB", &STORIES, Who::Page, 2, Metric::Peak, AtMost(150.0)),
    ("stories decode", &STORIES, Who::Inkling, 2, Metric::Decode(stories::WORKLOAD), AtLeast(1000.0)),
];

/// MB of the runtime, as brotli has it.
const DOWNLOAD: f64 = 1.0;
const DOWNLOAD_IS: &str = "runtime to download, brotli, MB";

/// An aim with what came of it.
pub struct Goal {
    what: String,
    ours: Option<f64>,
    /// What it is held against, by name.
    peer: Option<(String, f64)>,
    against: Against,
    /// Whether others used the machine whenever one of the two was measured.
    disturbed: bool,
}

/// Every goal that was measured or could have been.
pub fn goals(entries: &[Entry], downloads: &[(Who, Download)]) -> Vec<Goal> {
    let median = |entry: &Entry, metric: Metric| entry.spread(metric).map(|spread| spread.median);
    let mut goals = Vec::new();
    for (what, subject, who, threads, metric, against) in AIMS {
        let busy = matches!(against, OneThread(_));
        let here = || entries.iter().filter(|entry| entry.contender.subject == subject && entry.contender.busy == busy);
        let by = |who: Who, threads: usize| {
            here().find(move |entry| entry.contender.who == who && entry.contender.threads == threads)
        };
        let Some(own) = by(who, threads) else { continue };
        let figures = |entry: &Entry| Some((entry.contender.name(), median(entry, metric)?, entry.disturbed()));
        let peers = || {
            let peers = here().filter(|entry| entry.contender.who.is_peer() && entry.contender.threads == threads);
            peers.filter_map(figures)
        };
        let peer = match against {
            Peers(_) => peers().max_by(|a, b| a.1.total_cmp(&b.1)),
            Below(_) => peers().min_by(|a, b| a.1.total_cmp(&b.1)),
            One(who, _) => by(who, threads).and_then(figures),
            OneThread(_) => by(who, 1).and_then(figures),
            AtLeast(_) | AtMost(_) => None,
        };
        let disturbed = own.disturbed() || peer.as_ref().is_some_and(|(.., disturbed)| *disturbed);
        let peer = peer.map(|(name, figure, _)| (name, figure));
        let threads = if threads > 1 { format!("{threads} threads") } else { "1 thread".into() };
        goals.push(Goal { what: format!("{what}; {threads}"), ours: median(own, metric), peer, against, disturbed });
    }
    if let Some((_, download)) = downloads.iter().find(|(who, _)| *who == Who::Inkling) {
        let ours = Some(download.brotli as f64 / 1e6);
        goals.push(Goal { what: DOWNLOAD_IS.into(), ours, peer: None, against: AtMost(DOWNLOAD), disturbed: false });
    }
    goals
}

impl Goal {
    /// What is compared with the aim: a ratio, or the figure itself.
    fn reached(&self) -> Option<f64> {
        match self.against {
            Peers(_) | Below(_) | One(..) | OneThread(_) => Some(self.ours? / self.peer.as_ref()?.1),
            AtLeast(_) | AtMost(_) => self.ours,
        }
    }

    fn aim(&self) -> f64 {
        match self.against {
            Peers(aim) | Below(aim) | One(_, aim) | OneThread(aim) | AtLeast(aim) | AtMost(aim) => aim,
        }
    }

    /// How much of the aim is reached, 1 being all of it.
    fn share(&self) -> Option<f64> {
        let reached = self.reached()?;
        Some(if matches!(self.against, AtMost(_) | Below(_)) { self.aim() / reached } else { reached / self.aim() })
    }

    fn row(&self) -> Vec<String> {
        let number = |value: Option<f64>| value.map_or_else(|| "–".into(), figure);
        let is_ratio = !matches!(self.against, AtLeast(_) | AtMost(_));
        let ratio = self.reached().filter(|_| is_ratio).map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let aim = match self.against {
            AtMost(aim) => format!("≤ {}", figure(aim)),
            AtLeast(aim) => format!("≥ {}", figure(aim)),
            Below(aim) => format!("≤ {aim}×"),
            _ => format!("≥ {}×", self.aim()),
        };
        let verdict = match self.share() {
            None => "not measured".to_string(),
            Some(share) if share >= 1.0 => "met".to_string(),
            Some(share) => format!("missed: {:.0} % of the goal", 100.0 * share),
        };
        let verdict = if self.disturbed && self.share().is_some() { verdict + ", but disturbed" } else { verdict };
        let (peer, its) = match &self.peer {
            Some((name, figure)) => (name.clone(), Some(*figure)),
            None => (String::new(), None),
        };
        let its = if is_ratio { number(its) } else { String::new() };
        vec![self.what.clone(), number(self.ours), peer, its, ratio, aim, verdict]
    }

    /// What stands in the way, where the goal is missed.
    fn limit(&self) -> Option<String> {
        let missed = self.share().is_some_and(|share| share < 1.0);
        let (name, limit) = limits::of(&self.what).filter(|_| missed)?;
        Some(format!("{name}: {limit}"))
    }

    pub fn json(&self) -> Value {
        json!({
            "what": self.what, "ours": self.ours, "aim": self.aim(), "reached": self.reached(),
            "peer": self.peer.as_ref().map(|(name, _)| name), "peers": self.peer.as_ref().map(|(_, figure)| figure),
            "disturbed": self.disturbed, "met": self.share().map(|share| share >= 1.0),
        })
    }
}

pub fn section(goals: &[Goal]) -> Section {
    let mut section =
        Section::new("Goals", &["goal", "inkling", "best peer of this run", "its figure", "ratio", "aim", "result"]);
    section.rows.extend(goals.iter().map(Goal::row));
    section.notes.extend(goals.iter().filter_map(Goal::limit));
    section.notes.dedup();
    section
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;

    #[test]
    fn a_ratio_is_taken_to_the_best_peer_with_as_many_threads() {
        let entries = [
            entry(&Q8_0, Who::Inkling, 2, 90.0, 0.0),
            entry(&Q8_0, Who::Wllama2, 2, 20.0, 0.0),
            entry(&Q8_0, Who::Wllama3Tuned, 2, 40.0, 0.0),
            entry(&Q8_0, Who::Wllama3Tuned, 1, 80.0, 0.0),
            entry(&Q8_0, Who::LlamaCpp, 2, 100.0, 0.0),
            entry(&F32, Who::Transformers, 2, 1000.0, 0.0),
        ];
        let goals = goals(&entries, &[]);
        let row = goals[0].row();
        assert_eq!(row[1..6], ["90.0", "gpt2/q8_0/wllama3-tuned/2", "40.0", "2.25", "≥ 3×"].map(String::from));
        assert_eq!(row[6], "missed: 75 % of the goal");
        assert_eq!(goals[1].json()["met"], true);
        // Nothing of ours was asked for there.
        assert!(goals.iter().all(|goal| !goal.what.starts_with("F32")));
    }

    #[test]
    fn what_stands_in_the_way_is_said_of_missed_goals_only() {
        for (name, _) in limits::LIMITS {
            let aims = AIMS.iter().map(|aim| aim.0).chain([DOWNLOAD_IS]);
            assert!(aims.into_iter().any(|aim| aim.starts_with(name)), "no aim is called {name}");
        }
        let notes = |speed: f64| {
            let ours = entry(&Q8_0, Who::Inkling, 2, speed, 0.0);
            section(&goals(&[ours, entry(&Q8_0, Who::Wllama2, 2, 20.0, 0.0)], &[])).notes
        };
        assert!(notes(100.0).is_empty());
        let missed = notes(29.0);
        assert_eq!(missed.len(), 1, "both lengths of a prompt have one reason");
        assert!(missed[0].starts_with("Q8_0 prefill: "), "{missed:?}");
    }

    #[test]
    fn limits_are_met_from_below_and_what_is_not_measured_is_said() {
        let mut alone = entry(&Q8_0, Who::Inkling, 2, 90.0, 0.0);
        let downloads = [(Who::Inkling, Download { brotli: 2_000_000, ..Download::default() })];
        let of = |entries: &[Entry]| -> Vec<(String, String)> {
            let rows = goals(entries, &downloads).iter().map(Goal::row).collect::<Vec<_>>();
            rows.into_iter().map(|row| (row[0].clone(), row[6].clone())).collect()
        };
        let verdict = |rows: &[(String, String)], part: &str| {
            rows.iter().find(|row| row.0.contains(part)).map(|row| row.1.clone())
        };
        let rows = of(std::slice::from_ref(&alone));
        assert_eq!(verdict(&rows, "load").as_deref(), Some("met"));
        assert_eq!(verdict(&rows, "512+128").as_deref(), Some("not measured"));
        assert_eq!(verdict(&rows, "download").as_deref(), Some("missed: 50 % of the goal"));
        alone.answers[0].others = Some(1.0);
        assert_eq!(verdict(&of(std::slice::from_ref(&alone)), "load").as_deref(), Some("met, but disturbed"));
        alone.answers.clear();
        assert_eq!(verdict(&of(&[alone]), "load").as_deref(), Some("not measured"));
    }
}
