//! What speed costs in accuracy, on the model that ships and a text that ships: the integer kernels with their rounded
//! activations, and caches that keep keys and values in less memory.

mod containers;

use inkling::Engine;
use inkling::convert::Source;
use inkling::files::Files;
use inkling::kernels::{CacheType, Format};
use inkling::sample::log_softmax;
use std::path::Path;

/// More than rounding does here, far less than a quantization does.
const TOLERANCE: f64 = 1e-3;
const TOKENS: usize = 300;

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The model in another format.
fn converted(model: Files, format: Format) -> Vec<u8> {
    let mut gguf = Vec::new();
    Source::open(model).unwrap().write_gguf(format, "stories", &mut gguf).unwrap();
    gguf
}

fn file(bytes: &[u8]) -> Files {
    containers::files(&[("model.gguf", bytes)])
}

/// Nats per token.
fn loss(engine: &mut Engine) -> f64 {
    let text = std::fs::read_to_string(root("www/corpora/village-en.txt")).unwrap();
    let ids = engine.encode_prompt(&text).unwrap();
    let logits = engine.all_logits(&ids[..TOKENS]).unwrap();
    let nats = logits.into_iter().zip(&ids[1..]).map(|(mut logits, next)| {
        log_softmax(&mut logits).unwrap();
        -f64::from(logits[*next as usize])
    });
    nats.sum::<f64>() / TOKENS as f64
}

#[test]
fn integer_kernels_predict_as_well_as_the_decoded_weights() {
    let shipped = || Files::open(&root("models/stories")).unwrap();
    let mut found = Vec::new();
    for format in [Format::Q8_0, Format::Q5_0, Format::Q4_0, Format::Q4_K, Format::Q5_K, Format::Q6_K] {
        let quantized = converted(shipped(), format);
        let decoded = converted(file(&quantized), Format::F32);
        let (fast, plain) =
            (loss(&mut Engine::open(file(&quantized)).unwrap()), loss(&mut Engine::open(file(&decoded)).unwrap()));
        assert!((fast - plain).abs() < TOLERANCE, "{}: {fast} nats per token, decoded {plain}", format.name());
        found.push(plain);
    }
    // Else the test would not tell one quantization from another.
    let (least, most) = (found.iter().copied().fold(f64::MAX, f64::min), found.iter().copied().fold(0.0, f64::max));
    assert!(most - least > 3.0 * TOLERANCE, "{found:?}");
}

#[test]
fn smaller_caches_predict_as_well() {
    let mut engine = Engine::open(Files::open(&root("models/stories")).unwrap()).unwrap();
    let exact = loss(&mut engine);
    for kind in CacheType::ALL {
        engine.set_cache_type(kind);
        let found = loss(&mut engine);
        assert!((found - exact).abs() < TOLERANCE, "{kind}: {found} nats per token, f32 {exact}");
    }
    engine.set_cache_type(CacheType::Q8);
    assert_ne!(loss(&mut engine), exact, "the cache is not the one that was asked for");
}
