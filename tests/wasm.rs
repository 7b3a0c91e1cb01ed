//! The engine as wasm, in a browser: `cargo xtask test wasm` runs it. The same fixtures as natively, so that both are
//! as near to transformers as half the distance they may be from one another.
#![cfg(target_arch = "wasm32")]

use inkling::Engine;
use inkling::files::Files;
use inkling::generate::{Event, Generation};
use inkling::text::Tokenizer;
use inkling::train::{Replay, Vocabulary};
use serde_json::Value;
use std::io::Cursor;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// The files of a folder of fixtures, by name.
macro_rules! folder {
    ($folder:literal: $($file:literal),+) => {
        &[$(($file, include_bytes!(concat!("fixtures/", $folder, "/", $file)).as_slice())),+]
    };
}

type Folder = &'static [(&'static str, &'static [u8])];

const MODELS: &[(&str, Folder)] = &[
    (
        "gpt2-plain",
        folder!("models/gpt2-plain": "config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "expected.json"),
    ),
    (
        "gpt2-f16-legacy",
        folder!("models/gpt2-f16-legacy": "config.json", "model.safetensors", "vocab.json", "merges.txt", "generation_config.json", "expected.json"),
    ),
    (
        "llama-gqa-biases",
        folder!("models/llama-gqa-biases": "config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "expected.json"),
    ),
    (
        "llama-yarn",
        folder!("models/llama-yarn": "config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "expected.json"),
    ),
    ("gguf-llama-q8_0", folder!("models/gguf-llama-q8_0": "model.gguf", "expected.json")),
    ("gguf-llama-llama3-bf16", folder!("models/gguf-llama-llama3-bf16": "model.gguf", "expected.json")),
    ("gguf-gpt2-f16", folder!("models/gguf-gpt2-f16": "model.gguf", "expected.json")),
];

const TOKENIZERS: &[(&str, Folder)] = &[
    ("byte_level", folder!("tokenizers/byte_level": "tokenizer.json", "tokenizer_config.json", "expected.json")),
    ("llama3", folder!("tokenizers/llama3": "tokenizer.json", "tokenizer_config.json", "expected.json")),
    ("llama", folder!("tokenizers/llama": "tokenizer.json", "tokenizer_config.json", "expected.json")),
    ("unigram", folder!("tokenizers/unigram": "tokenizer.json", "tokenizer_config.json", "expected.json")),
    (
        "two_files",
        folder!("tokenizers/two_files": "vocab.json", "merges.txt", "tokenizer_config.json", "expected.json"),
    ),
];

fn files(folder: Folder) -> Files {
    let mut files = Files::new();
    for (name, bytes) in folder.iter().filter(|(name, _)| *name != "expected.json") {
        files.insert(*name, Box::new(Cursor::new(*bytes)));
    }
    files
}

fn expected(folder: Folder) -> Value {
    let (_, bytes) = folder.iter().find(|(name, _)| *name == "expected.json").unwrap();
    serde_json::from_slice(bytes).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn generate(engine: &mut Engine, prompt: Vec<u32>, settings: &Value) -> Vec<Vec<u32>> {
    let mut config = engine.defaults().clone();
    config.merge(settings.as_object().unwrap()).unwrap();
    let mut generation = Generation::start(engine, prompt, config).unwrap();
    loop {
        if let Event::Done { sequences, .. } = generation.advance(engine, 16).unwrap() {
            return sequences.into_iter().map(|s| s.ids).collect();
        }
    }
}

#[wasm_bindgen_test]
fn logits_are_those_of_transformers() {
    for (name, folder) in MODELS {
        let mut engine = Engine::open(files(folder)).unwrap();
        // Quantized weights are multiplied with activations rounded to 16 bits.
        let tolerance = if engine.spec().quantization == "Q8_0" { 5e-4 } else { 5e-5 };
        for prompt in expected(folder)["prompts"].as_array().unwrap() {
            let found = engine.logits(&ids(&prompt["ids"])).unwrap();
            let wanted: Vec<f32> =
                prompt["logits"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            let scale = wanted.iter().fold(0f32, |max, v| max.max(v.abs()));
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() <= tolerance * scale, "{name}: expected {wanted}, found {found}");
            }
        }
    }
}

#[wasm_bindgen_test]
fn greedy_and_beam_ids_are_those_of_transformers() {
    for (name, folder) in MODELS {
        let mut engine = Engine::open(files(folder)).unwrap();
        let expected = expected(folder);
        let prompt = |case: &Value| ids(&expected["prompts"][case["prompt"].as_u64().unwrap() as usize]["ids"]);
        for case in expected["greedy"].as_array().unwrap() {
            assert_eq!(generate(&mut engine, prompt(case), &case["config"]), [ids(&case["ids"])], "{name}");
        }
        for case in expected["beams"].as_array().unwrap() {
            let wanted: Vec<_> = case["sequences"].as_array().unwrap().iter().map(|s| ids(&s["ids"])).collect();
            assert_eq!(generate(&mut engine, prompt(case), &case["config"]), wanted, "{name} {}", case["config"]);
        }
    }
}

#[wasm_bindgen_test]
fn tokenizers_are_those_of_transformers() {
    let texts: Value = serde_json::from_slice(include_bytes!("fixtures/tokenizers/texts.json")).unwrap();
    for (name, folder) in TOKENIZERS {
        let tokenizer = Tokenizer::from_files(&mut files(folder)).unwrap();
        let expected = expected(folder);
        for (title, text) in texts.as_object().unwrap() {
            let wanted = ids(&expected["texts"][title]["ids"]);
            assert_eq!(tokenizer.encode(text.as_str().unwrap(), true).unwrap(), wanted, "{name}: {title}");
            let mut stream = tokenizer.stream();
            let mut streamed: String = wanted.iter().map(|&id| stream.push(id).unwrap()).collect();
            streamed += &stream.finish();
            assert_eq!(streamed, expected["texts"][title]["text"].as_str().unwrap(), "{name}: {title}");
        }
    }
}

#[wasm_bindgen_test]
fn a_vocabulary_is_learned_here_as_in_python() {
    let witnesses = [
        include_str!("fixtures/trained/byte-level-bpe.json"),
        include_str!("fixtures/trained/bpe.json"),
        include_str!("fixtures/trained/characters.json"),
    ];
    for witness in witnesses.map(|json| serde_json::from_str::<Value>(json).unwrap()) {
        let documents = witness["documents"].as_array().unwrap().iter().filter_map(Value::as_str);
        let options = serde_json::from_value(witness["vocabulary"].clone()).unwrap();
        let vocabulary = Vocabulary::train(documents, &options).unwrap();
        let learned: Value = serde_json::from_str(vocabulary.tokenizer_json()).unwrap();
        assert!(learned == witness["tokenizer"], "{}", witness["vocabulary"]);
        assert_eq!(Replay::new(&vocabulary).unwrap().at(usize::MAX), vocabulary.report().tokens);
    }
}

#[wasm_bindgen_test]
fn a_damaged_file_is_an_error() {
    let (_, folder) = MODELS.iter().find(|(name, _)| *name == "gguf-llama-q8_0").unwrap();
    let bytes = folder[0].1;
    for len in [0, 3, 20, bytes.len() / 2, bytes.len() - 64] {
        let mut files = Files::new();
        files.insert("model.gguf", Box::new(Cursor::new(&bytes[..len])));
        let error = Engine::open(files).err().unwrap();
        assert!(["bad_file", "io"].contains(&error.code()), "{len}: {error}");
    }
}
