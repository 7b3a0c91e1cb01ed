//! The machine a bench runs on: what it is, and how much of it others use meanwhile. What /proc alone knows is unknown
//! elsewhere.
use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process;

/// The kernel counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;
/// Cores that others may use on a machine that counts as quiet.
pub const QUIET: f64 = 0.15;

/// What does not change during a run.
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: Option<f64>,
    pub system: String,
}

impl Machine {
    pub fn read() -> Self {
        let cpu = line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
        let memory = line_of("/proc/meminfo", "MemTotal");
        let kib = memory.and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok());
        let pretty = fs::read_to_string("/etc/os-release").ok().and_then(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_string())
        });
        Self {
            cpu,
            cores: available_parallelism().map_or(1, |cores| cores.get()),
            memory_gib: kib.map(|kib| kib / f64::from(1 << 20)),
            system: pretty.unwrap_or_else(|| std::env::consts::OS.into()),
        }
    }

    /// For a person.
    pub fn line(&self) -> String {
        let memory = self.memory_gib.map_or_else(String::new, |gib| format!(", {gib:.0} GiB"));
        format!("{}, {} cores{memory}, {}", self.cpu, self.cores, self.system)
    }

    pub fn json(&self) -> Value {
        json!({ "cpu": self.cpu, "cores": self.cores, "memoryGiB": self.memory_gib, "system": self.system })
    }
}

/// What a program says of its version, in one line.
pub fn version(command: &mut Command) -> Option<String> {
    let printed = process::output(command).ok()?;
    Some(printed.lines().next()?.trim().to_string())
}

/// Counts what others use of the processor from a moment on.
pub struct Load {
    since: Instant,
    all: f64,
    ours: f64,
}

impl Load {
    pub fn start() -> Option<Self> {
        Some(Self { all: all_seconds()?, ours: our_seconds()?, since: Instant::now() })
    }

    /// Cores in use by processes that are neither this one nor started by it.
    pub fn others(&self) -> Option<f64> {
        let seconds = self.since.elapsed().as_secs_f64();
        let (all, ours) = (all_seconds()? - self.all, our_seconds()? - self.ours);
        Some(((all - ours) / seconds).max(0.0))
    }
}

/// The most memory, in bytes, that a process drawing pages has held, of those this process has started and that are still
/// there. A page's workers and their memories are in the page's process.
pub fn renderer_peak() -> Option<f64> {
    let peak = |pid: &u32| {
        let folder = format!("/proc/{pid}");
        let command = fs::read(format!("{folder}/cmdline")).ok()?;
        String::from_utf8_lossy(&command).contains("--type=renderer").then_some(())?;
        let kib = line_of(&format!("{folder}/status"), "VmHWM")?;
        kib.trim_end_matches("kB").trim().parse::<f64>().ok()
    };
    let kib = ours()?.keys().filter_map(peak).max_by(f64::total_cmp)?;
    Some(kib * 1024.0)
}

/// Waits until others leave the machine alone, but not for ever.
pub fn wait_for_quiet(patience: Duration) {
    let begin = Instant::now();
    while let Some(load) = Load::start() {
        sleep(Duration::from_secs(1));
        if load.others().is_none_or(|cores| cores < QUIET) || begin.elapsed() > patience {
            return;
        }
    }
}

/// The value in a file of lines `key : value`.
fn line_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// Processor time that anything has used since the machine started.
fn all_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> = text.lines().next()?.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq
    let busy: f64 = [0, 1, 2, 5, 6].iter().filter_map(|&at| times.get(at)).sum();
    Some(busy / TICKS)
}

/// Processor time of this process and of all it has started, those that have ended included.
fn our_seconds() -> Option<f64> {
    Some(ours()?.values().sum::<f64>() / TICKS)
}

/// This process and all it has started, with the ticks of each.
fn ours() -> Option<HashMap<u32, f64>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut times = HashMap::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some((parent, time)) = fs::read_to_string(entry.path().join("stat")).ok().as_deref().and_then(stat) else {
            continue;
        };
        children.entry(parent).or_default().push(pid);
        times.insert(pid, time);
    }
    let (mut found, mut left) = (HashMap::new(), vec![std::process::id()]);
    while let Some(pid) = left.pop() {
        if found.insert(pid, times.get(&pid).copied().unwrap_or(0.0)).is_none() {
            left.extend(children.get(&pid).into_iter().flatten());
        }
    }
    Some(found)
}

/// The parent and the ticks of a process, from its /proc/PID/stat. Its name, in brackets, may hold anything.
fn stat(text: &str) -> Option<(u32, f64)> {
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
    // Its own user and system time, and those of its children that have ended.
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<f64>().unwrap_or(0.0)).sum();
    Some((fields.get(1)?.parse().ok()?, ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0";
        assert_eq!(stat(line), Some((7, 100.0)));
    }
}
