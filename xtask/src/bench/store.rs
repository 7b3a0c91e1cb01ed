//! `cargo xtask bench store`: a full-size GPT-2 checkpoint from a hub that breaks the line twenty times, in a browser: how
//! many bytes were fetched for it, whether they are right, and what opening it from the store takes in memory. Goals are
//! printed with their results, as everywhere.
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use fantoccini::Client;
use serde_json::{Value, json};

use super::browser::{Site, ask, visit};
use super::generate;
use crate::browser::Browser;
use crate::process;
use crate::stand_in::{Act, Asked, Hub, REPOSITORY, sha256};

const WEIGHTS: &str = "model.safetensors";
/// How often the line breaks.
const CUTS: usize = 20;
const SEED: u64 = 20;
/// The most bytes that may be fetched for one that is needed.
const MOST_FETCHED: f64 = 1.05;
/// The most memory that WebAssembly may take for a file while it is opened: this share of it, and so much more.
const MOST_MEMORY: f64 = 1.10;
const MEMORY_BESIDE: f64 = 32e6;

#[derive(clap::Args)]
pub struct Args {
    /// Print nothing but the line of JSON
    #[arg(long)]
    json: bool,
}

/// Fetches the model into the store of a page, then opens it from there. While it is opened the JavaScript heap is looked
/// at as often as the page can.
const WORK: &str = "(async () => {
  const [repository, hub] = given;
  const base = new URL('/dist/', location.href);
  const [{ store }, { load }] = await Promise.all([import(new URL('store/client.js', base)), import(new URL('inkling.js', base))]);
  const { choices } = await store.look(repository, hub);
  const began = performance.now();
  await store.fetch(choices[0]);
  const fetchMs = performance.now() - began;
  const { models } = await store.list();
  const weights = models[0].files.find(({ name }) => name.endsWith('.safetensors'));
  const heap = () => performance.memory?.usedJSHeapSize ?? null;
  const heapBefore = heap();
  let heapMost = heapBefore;
  const looking = setInterval(() => (heapMost = Math.max(heapMost, heap())), 5);
  const opening = performance.now();
  const model = await load({ stored: models[0].id });
  clearInterval(looking);
  const openMs = performance.now() - opening;
  const { memoryBytes, artifact, threads } = model.info;
  await model.dispose();
  return { fetchMs, openMs, memoryBytes, artifact, threads, heapBefore, heapMost, size: weights.size, sha256: weights.sha256 };
})()";

pub fn run(args: Args) -> Result<()> {
    let folder = generate::checkpoint()?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading the folder {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, Bytes::from(fs::read(&path).with_context(|| format!("reading {}", path.display()))?));
        }
    }
    let wanted =
        files.get(WEIGHTS).map(|bytes| sha256(bytes)).with_context(|| format!("expected {WEIGHTS}, found none"))?;
    let site = Site {
        dist: process::root().join("dist"),
        packages: None,
        models: None,
        isolated: true,
        flags: &["--enable-precise-memory-info"],
        limit: Duration::from_secs(600),
    };
    let browser = Browser::ensure()?;
    let mut sent = (0, 0);
    let counted = &mut sent;
    let work = async |client: &Client, address: &str| {
        let hub = Hub::start(files).await?;
        hub.act(cuts());
        client.goto(&format!("{address}/peer.html")).await.context("opening the page of the bench")?;
        let answer = ask(client, WORK, vec![json!(REPOSITORY), json!(hub.address())]).await?;
        *counted = (hub.sent(), hub.bytes());
        Ok(answer)
    };
    let found = visit(&browser, &site, work, || ())?.answer;
    let report = report(&found, sent, &wanted);
    if !args.json {
        for line in report["lines"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            println!("{line}");
        }
    }
    println!("{report}");
    Ok(())
}

/// Breaks the first requests for the weights after a number of bytes that looks like chance, and is the same every time.
fn cuts() -> impl FnMut(Asked) -> Act {
    let (mut cut, mut state) = (0, SEED);
    move |Asked { file, .. }| {
        if file != WEIGHTS || cut == CUTS {
            return Act::Serve;
        }
        cut += 1;
        // Knuth's generator of MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Act::Cut((state >> 33) as usize % (24 << 20))
    }
}

fn report(found: &Value, (sent, bytes): (u64, u64), wanted: &str) -> Value {
    let number = |name: &str| found[name].as_f64().unwrap_or(f64::NAN);
    let (size, memory) = (number("size"), number("memoryBytes"));
    let share = sent as f64 / bytes as f64;
    let heap = number("heapMost") - number("heapBefore");
    let most = MOST_MEMORY * size + MEMORY_BESIDE;
    let goal = |met: bool| if met { "met" } else { "missed" };
    let right = found["sha256"] == json!(wanted);
    let lines = [
        format!(
            "GPT-2 124M, F32, {:.0} MB, the line broken {CUTS} times: fetched in {:.1} s",
            size / 1e6,
            number("fetchMs") / 1e3
        ),
        format!("bytes fetched for each needed: {share:.4} (at most {MOST_FETCHED}): {}", goal(share <= MOST_FETCHED)),
        format!("SHA-256 of what is stored: {}", if right { "right" } else { "wrong" }),
        format!(
            "opened from the store in {:.1} s ({}, {} threads)",
            number("openMs") / 1e3,
            found["artifact"].as_str().unwrap_or("?"),
            found["threads"]
        ),
        format!(
            "WebAssembly memory at its most: {:.0} MB (at most {:.0}, {MOST_MEMORY} times the file and {:.0} MB): {}",
            memory / 1e6,
            most / 1e6,
            MEMORY_BESIDE / 1e6,
            goal(memory <= most)
        ),
        format!(
            "the page's JavaScript heap meanwhile: {:.1} MB more (the file: {:.0} MB): {}",
            heap / 1e6,
            size / 1e6,
            goal(heap < size / 10.0)
        ),
    ];
    json!({ "lines": lines, "fetchedShare": share, "sha256Right": right, "memoryBytes": memory, "heapGrowth": heap, "found": found })
}
