//! The inner loop alone: products of a weight matrix with one row of activations (a decoded token) and with many (a
//! prompt), beside what the memory gives when it is only read. Weights of one row's products come from memory, as in a
//! model, not from a cache: they are a dozen copies, taken in turn.
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use inkling::kernels::{Format, measure};
use serde_json::{Value, json};

use super::native;
use crate::bench::browser;
use crate::bench::machine::{self, Load, QUIET};
use crate::bench::peers;
use crate::bench::table::{Section, Spread, figure};
use crate::browser::Browser;
use crate::engine::ARTIFACTS;

/// Bytes that no cache holds.
const FAR: usize = 192 << 20;
/// Bytes of one pass over memory.
const READ: usize = 512 << 20;
const FORMATS: [Format; 7] =
    [Format::Q8_0, Format::Q4_0, Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::F16, Format::F32];
/// Rows and columns: GPT-2's layers and head, and a layer of the width that blocks of 256 do not divide.
const SIZES: [(usize, usize); 4] = [(3072, 768), (768, 3072), (50_257, 768), (1536, 576)];
/// Rows of activations in a slice of a prompt.
const BATCH: usize = 64;
const TIME: Duration = Duration::from_millis(150);

/// Measures on as many threads as this process has, which the standard input's task names.
pub fn answer() -> Result<()> {
    let threads = native::read_task()?["threads"].as_u64().context("expected threads, found none")? as usize;
    let mut products = Vec::new();
    for format in FORMATS {
        for (rows, cols) in SIZES {
            if let Some(value) = product(format, rows, cols)? {
                products.push(value);
            }
        }
    }
    println!("{}", json!({ "threads": threads, "readGBs": read(threads), "products": products }));
    Ok(())
}

/// GB/s when all that is done with memory is to add it up.
fn read(threads: usize) -> f64 {
    let words = vec![1u64; READ / 8];
    let pass = || {
        let began = Instant::now();
        thread::scope(|scope| {
            for part in words.chunks(words.len().div_ceil(threads.max(1))) {
                scope.spawn(move || black_box(part.iter().fold(0u64, |sum, word| sum.wrapping_add(*word))));
            }
        });
        READ as f64 / began.elapsed().as_secs_f64() / 1e9
    };
    pass();
    let passes: Vec<f64> = (0..5).map(|_| pass()).collect();
    Spread::of(&passes).map_or(0.0, |spread| spread.median)
}

/// GB/s of weights with one row of activations, GFLOP/s with many.
fn product(format: Format, rows: usize, cols: usize) -> Result<Option<Value>> {
    let Some(row_bytes) = format.row_bytes(cols) else { return Ok(None) };
    let began = Instant::now();
    let time = |batch: usize| {
        let now = || began.elapsed().as_secs_f64();
        measure::product(format, (rows, cols), batch, FAR, TIME.as_secs_f64(), now)
    };
    let (one, many) = (time(1)?, time(BATCH)?);
    Ok(Some(json!({
        "format": format.name(), "rows": rows, "cols": cols,
        "GBs": (rows * row_bytes) as f64 / one / 1e9,
        "GFLOPs": (2 * rows * cols * BATCH) as f64 / many / 1e9,
    })))
}

/// What was measured natively and in each build of the engine.
#[derive(Default)]
pub struct Kernels {
    places: Vec<(String, Value)>,
    notes: Vec<String>,
}

impl Kernels {
    /// Natively by one and by two threads, then in the page.
    pub fn measure(cores: usize, browser: Option<&Browser>, patience: Duration, wanted: impl Fn(&str) -> bool) -> Self {
        let mut kernels = Self::default();
        let mut add = |place: String, measure: &dyn Fn() -> Result<(Value, Option<f64>)>| match measure() {
            Ok((value, _)) if value["missing"].is_string() => {
                kernels.notes.push(format!("{place}: not measured: {}", value["missing"].as_str().unwrap_or_default()));
            }
            Ok((mut value, others)) => {
                value["othersCores"] = json!(others);
                if let Some(cores) = others.filter(|cores| *cores >= QUIET) {
                    kernels.notes.push(format!("{place}: disturbed: other processes used {cores:.1} cores"));
                }
                kernels.places.push((place, value));
            }
            Err(error) => kernels.notes.push(format!("{place}: not measured: {error:#}")),
        };
        for threads in [1, 2].into_iter().filter(|threads| *threads <= cores) {
            let place = format!("kernels/native/{threads}");
            if wanted(&place) {
                machine::wait_for_quiet(patience);
                add(place, &|| {
                    let load = Load::start();
                    let mut command = native::command("kernels-native", threads)?;
                    let value = peers::ask(&mut command, &json!({ "threads": threads }))?;
                    Ok((value, load.as_ref().and_then(Load::others)))
                });
            }
        }
        for artifact in ARTIFACTS {
            let place = format!("kernels/{}/1", artifact.name);
            if wanted(&place) {
                add(place, &|| in_page(browser, artifact.name));
            }
        }
        kernels
    }

    pub fn section(&self) -> Option<Section> {
        if self.places.is_empty() && self.notes.is_empty() {
            return None;
        }
        let places = self.places.iter().map(|(name, _)| name.trim_start_matches("kernels/").to_string());
        let mut section =
            Section::new("Kernels: GB/s of weights for one token, GFLOP/s for a prompt of 64", &["matrix"]);
        section.head.extend(places.flat_map(|place| [format!("{place} GB/s"), "of memory".into(), "GFLOP/s".into()]));
        for format in FORMATS {
            for (rows, cols) in SIZES {
                let mut cells = vec![format!("{} {rows}×{cols}", format.name())];
                for (_, value) in &self.places {
                    let is = |product: &&Value| {
                        product["format"] == format.name() && product["rows"] == rows && product["cols"] == cols
                    };
                    let product = value["products"].as_array().and_then(|products| products.iter().find(is));
                    let number = |key: &str| product.and_then(|product| product[key].as_f64());
                    let share = number("GBs").zip(value["readGBs"].as_f64()).map(|(own, all)| 100.0 * own / all);
                    cells.extend([number("GBs"), share, number("GFLOPs")].iter().enumerate().map(|(i, value)| {
                        value.map_or_else(
                            || "–".into(),
                            |value| if i == 1 { format!("{value:.0} %") } else { figure(value) },
                        )
                    }));
                }
                if cells[1..].iter().any(|cell| cell != "–") {
                    section.rows.push(cells);
                }
            }
        }
        let read = self.places.iter().filter_map(|(place, value)| {
            Some(format!("{} {}", place.trim_start_matches("kernels/"), figure(value["readGBs"].as_f64()?)))
        });
        let read: Vec<String> = read.collect();
        if !read.is_empty() {
            section.notes.push(format!("Reading memory alone, GB/s: {}.", read.join(", ")));
        }
        section.notes.extend(self.notes.clone());
        Some(section)
    }

    pub fn json(&self) -> Value {
        let places: serde_json::Map<String, Value> = self.places.iter().cloned().collect();
        json!({ "places": places, "notes": self.notes })
    }
}

/// The same in a build of the engine, if it lets itself be asked.
fn in_page(browser: Option<&Browser>, artifact: &str) -> Result<(Value, Option<f64>)> {
    let browser = browser.context("expected chromium with chromedriver, found none")?;
    super::contenders::dist()?;
    let site = super::contenders::site(None, None);
    let sizes: Vec<Value> = FORMATS
        .iter()
        .flat_map(|format| SIZES.iter().map(move |(rows, cols)| (format, *rows, *cols)))
        .filter(|(format, _, cols)| format.row_bytes(*cols).is_some())
        .map(|(format, rows, cols)| {
            json!({ "format": format.name(), "rows": rows, "cols": cols, "bytes": format.row_bytes(cols).map(|row| row * rows) })
        })
        .collect();
    let task = json!({ "sizes": sizes, "batch": BATCH, "far": FAR, "milliseconds": TIME.as_millis() as u64 });
    let options = json!({ "artifact": artifact });
    let load = Load::start();
    let others = || load.as_ref().and_then(Load::others);
    let visit = browser::measure(browser, &site, "kernels/engine", &options, &task, others)?;
    Ok((visit.answer, visit.said))
}
