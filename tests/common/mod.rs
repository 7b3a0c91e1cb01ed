//! Reading fixtures and running the engine, for the tests beside this folder.
#![allow(dead_code, reason = "each test file uses its own part")]

use inkling::files::Files;
use inkling::generate::{Event, Finished, Generation};
use inkling::sample::GenerationConfig;
use inkling::{Engine, Result};
use serde_json::Value;
use std::path::PathBuf;

/// The folder of committed fixtures.
pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A JSON fixture.
pub fn fixture(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join(name)).unwrap()).unwrap()
}

/// A file of the reference data beside the project, which not every checkout has.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        println!("skipped: {name} of the reference data is not here");
        return None;
    }
    Some(path)
}

/// A model of tests/fixtures/models.
pub fn open(name: &str) -> Engine {
    let folder = fixtures().join("models").join(name);
    let gguf = folder.join("model.gguf");
    Engine::open(Files::open(if gguf.exists() { &gguf } else { &folder }).unwrap()).unwrap()
}

/// The model's parameters with these put over them.
pub fn config(engine: &Engine, settings: &Value) -> Result<GenerationConfig> {
    let mut config = engine.defaults().clone();
    config.merge(settings.as_object().unwrap())?;
    Ok(config)
}

/// Generates to the end.
pub fn generate(engine: &mut Engine, prompt: &[u32], settings: &Value) -> Result<Vec<Finished>> {
    let config = config(engine, settings)?;
    let mut generation = Generation::start(engine, prompt.to_vec(), config)?;
    loop {
        if let Event::Done { sequences, .. } = generation.advance(engine, usize::MAX)? {
            return Ok(sequences);
        }
    }
}

pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

pub fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect()
}

/// Every value within `tolerance` of the largest magnitude.
pub fn assert_close(found: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(0f32, |max, v| max.max(v.abs()));
    for (i, (f, w)) in found.iter().zip(wanted).enumerate() {
        assert!((f - w).abs() <= tolerance * scale, "{what}: expected {w} at {i}, found {f} (scale {scale})");
    }
}

/// How far logits may be from those of the decoded weights, as a share of the largest, beyond what float32 explains:
/// quantized weights are multiplied with activations rounded to 16 bits.
pub fn rounding(quantization: &str) -> f32 {
    if matches!(quantization, "F32" | "F16" | "BF16") { 0.0 } else { 5e-4 }
}
