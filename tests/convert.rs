//! Writing models: the quantizers against ggml's own bytes, every fixture through both kinds of file and back, and what
//! must be refused.

mod common;
mod containers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::rc::Rc;

use common::{assert_close, fixture, generate, ids, open, rounding};
use inkling::convert::Source;
use inkling::files::Files;
use inkling::kernels::Format;
use inkling::text::to_gguf;
use inkling::weights::Weights;
use inkling::{Engine, Error, Result};
use serde_json::{Value, json};

/// Fixtures whose configuration GGUF can say once their activation is the usual one, and others.
const SAYABLE: [&str; 18] = [
    "gpt2-plain",
    "gpt2-f16-legacy",
    "gpt2-bf16-sharded",
    "gpt2-untied-no-prefix",
    "llama-gqa-biases",
    "llama-llama3-sharded",
    "llama-mha-tied",
    "llama-mqa-linear-legacy",
    "qwen2-tied",
    "qwen3-wide-heads",
    "llama-longrope-factor",
    "mistral-window",
    "mistral-wide-heads",
    "qwen2-windows",
    "phi3-longrope",
    "phi3-window-tied",
    "gemma3-linear",
    "gpt-neox-plain",
];
const UNSAYABLE: [&str; 7] = [
    "gpt2-inverse-layer",
    "gpt2-unscaled-no-prefix",
    "llama-dynamic",
    "llama-yarn",
    "smollm3-nope",
    "gemma3-untied",
    "gpt-neox-one-after-the-other",
];
const GGUF: [&str; 13] = [
    "gguf-gpt2-f16",
    "gguf-gpt2-untied-q8_0",
    "gguf-llama-llama3-bf16",
    "gguf-llama-q8_0",
    "gguf-llama-tied-linear-f16",
    "gguf-llama-yarn-q8_0",
    "gguf-qwen2-q8_0",
    "gguf-qwen3-q8_0",
    "gguf-mistral-f16",
    "gguf-gptneox-q8_0",
    "gguf-phi3-q8_0",
    "gguf-smollm3-bf16",
    "gguf-gemma3-q8_0",
];

fn source(name: &str) -> Source {
    let folder = common::fixtures().join("models").join(name);
    let gguf = folder.join("model.gguf");
    Source::open(Files::open(if gguf.exists() { &gguf } else { &folder }).unwrap()).unwrap()
}

fn gguf_of(source: &mut Source, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    source.write_gguf(format, "fixture", &mut out).unwrap();
    out
}

/// The files of a fixture, with the only activation that GGUF knows of its architecture.
fn usual(name: &str) -> Files {
    let mut files = Files::open(&common::fixtures().join("models").join(name)).unwrap();
    let mut config: Value = files.read_json("config.json", 1 << 20).unwrap();
    match name {
        _ if name.starts_with("gpt2") => config["activation_function"] = "gelu_new".into(),
        // These have it already.
        _ if name.starts_with("gpt-neox") || name.starts_with("gemma3") => {}
        _ => config["hidden_act"] = "silu".into(),
    }
    files.insert("config.json", Box::new(Cursor::new(config.to_string().into_bytes())));
    files
}

fn usual_source(name: &str) -> Source {
    Source::open(usual(name)).unwrap()
}

type Written = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

/// A file of a folder in memory.
struct Entry(Written, String);

impl Write for Entry {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().entry(self.1.clone()).or_default().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn folder_of(source: &mut Source, format: Format) -> Result<BTreeMap<String, Vec<u8>>> {
    let written = Written::default();
    source.write_folder(format, &mut |name| Ok(Box::new(Entry(written.clone(), name.to_string()))))?;
    Ok(written.take())
}

fn files(folder: &BTreeMap<String, Vec<u8>>) -> Files {
    let mut files = Files::new();
    for (name, bytes) in folder {
        files.insert(name.clone(), Box::new(Cursor::new(bytes.clone())));
    }
    files
}

fn one(bytes: &[u8]) -> Files {
    containers::files(&[("model.gguf", bytes)])
}

fn values(weights: &mut Weights, name: &str) -> Vec<f32> {
    let info = weights.expect(name).unwrap();
    let (format, len) = (info.format, info.shape.iter().product());
    let mut out = vec![f32::NAN; len];
    format.dequantize(&weights.read(name).unwrap(), &mut out);
    out
}

/// The squared error of each row.
fn errors(rows: &[f32], decoded: &[f32], cols: usize) -> Vec<f64> {
    let squared = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    let row = |(row, decoded): (&[f32], &[f32])| row.iter().zip(decoded).map(squared).sum::<f64>();
    rows.chunks(cols).zip(decoded.chunks(cols)).map(row).collect()
}

/// quantized.gguf holds one matrix as ggml quantized it into every format. The simple formats are the same bit for bit;
/// those with a search come as near to the values as ggml's own: on average, and no row is much worse.
#[test]
fn quantizers_are_as_good_as_ggmls() {
    let mut weights = Weights::gguf(&mut one(&containers::fixture("quantized.gguf")), "model.gguf").unwrap();
    let source = values(&mut weights, "F32");
    let cols = weights.info("F32").unwrap().shape[1];
    for format in Format::ALL {
        let mut bytes = vec![0; format.row_bytes(source.len()).unwrap()];
        format.quantize(&source, &mut bytes);
        let theirs = weights.read(format.name()).unwrap();
        if !matches!(format, Format::Q4_K | Format::Q5_K | Format::Q6_K) {
            assert!(bytes == theirs, "{} differs from ggml's", format.name());
            continue;
        }
        let mut decoded = vec![f32::NAN; source.len()];
        format.dequantize(&bytes, &mut decoded);
        let theirs = errors(&source, &values(&mut weights, format.name()), cols);
        let mut ratios = Vec::new();
        for (row, (ours, theirs)) in errors(&source, &decoded, cols).into_iter().zip(theirs).enumerate() {
            assert!(ours <= theirs * 1.1, "{} row {row}: error {ours}, ggml's {theirs}", format.name());
            // Both have a row of zeros exactly.
            ratios.extend((theirs > 0.0).then(|| (ours / theirs).sqrt()));
        }
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        println!("{}: {mean:.4} of ggml's error", format.name());
        assert!(mean < 1.01, "{}: {mean} of ggml's error", format.name());
    }
}

#[test]
fn quantizers_take_any_block() {
    for format in Format::ALL {
        let len = format.block_len().max(32);
        for value in [0.0, 1.0, -1.0, 65504.0, -65504.0, 1e-30, -1e-30] {
            for spread in [0.0, 1.0] {
                let values: Vec<f32> = (0..len).map(|i| if i % 3 == 0 { value } else { value * spread }).collect();
                let mut bytes = vec![0; format.row_bytes(len).unwrap()];
                format.quantize(&values, &mut bytes);
                let mut decoded = vec![f32::NAN; len];
                format.dequantize(&bytes, &mut decoded);
                let off = values.iter().zip(&decoded).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
                assert!(off <= value.abs() * 0.07 + 1e-7, "{}: {value} {spread}: {off}", format.name());
            }
        }
    }
}

/// A folder as GGUF in f32 answers as before; in f16 its greedy ids are those of a folder in f16.
#[test]
fn folders_become_gguf() {
    for name in SAYABLE {
        let expected = fixture(&format!("models/{name}/expected.json"));
        let mut original = Engine::open(usual(name)).unwrap();
        let mut whole = Engine::open(one(&gguf_of(&mut usual_source(name), Format::F32))).unwrap();
        let mut half = Engine::open(one(&gguf_of(&mut usual_source(name), Format::F16))).unwrap();
        let mut half_folder = Engine::open(files(&folder_of(&mut usual_source(name), Format::F16).unwrap())).unwrap();
        assert_eq!(whole.spec().vocab_size, original.spec().vocab_size);
        assert_eq!(whole.defaults().eos_token_id, original.defaults().eos_token_id, "{name}");
        for prompt in expected["prompts"].as_array().unwrap() {
            let tokens = ids(&prompt["ids"]);
            let wanted = original.logits(&tokens).unwrap();
            assert_close(&whole.logits(&tokens).unwrap(), &wanted, 2e-6, name);
            assert_close(&half.logits(&tokens).unwrap(), &half_folder.logits(&tokens).unwrap(), 3e-3, name);
            let settings = json!({ "max_new_tokens": 12, "do_sample": false, "eos_token_id": [] });
            let greedy = generate(&mut original, &tokens, &settings).unwrap();
            assert_eq!(generate(&mut whole, &tokens, &settings).unwrap()[0].ids, greedy[0].ids, "{name}");
        }
        let text = expected["text"]["text"].as_str().unwrap();
        assert_eq!(whole.encode_prompt(text).unwrap(), original.encode_prompt(text).unwrap(), "{name}");
    }
}

/// To GGUF and back gives the same tensors, bit for bit, whatever was transposed and reordered on the way.
#[test]
fn there_and_back_changes_no_bit() {
    for name in SAYABLE {
        let direct = folder_of(&mut usual_source(name), Format::F32).unwrap();
        let gguf = gguf_of(&mut usual_source(name), Format::F32);
        let back = folder_of(&mut Source::open(one(&gguf)).unwrap(), Format::F32).unwrap();
        let mut direct = Weights::safetensors(&mut files(&direct)).unwrap();
        let mut back = Weights::safetensors(&mut files(&back)).unwrap();
        let names: Vec<String> = direct.names().map(str::to_string).collect();
        assert_eq!(back.names().collect::<Vec<_>>(), names, "{name}");
        for tensor in names {
            assert_eq!(back.expect(&tensor).unwrap().shape, direct.expect(&tensor).unwrap().shape, "{name} {tensor}");
            assert!(back.read(&tensor).unwrap() == direct.read(&tensor).unwrap(), "{name} {tensor}");
        }
    }
}

/// In every format, the GGUF file answers as a folder does that holds the values the blocks decode to.
#[test]
fn quantized_files_answer_as_their_decoded_weights() {
    for name in ["gpt2-plain", "llama-gqa-biases"] {
        let tokens = ids(&fixture(&format!("models/{name}/expected.json"))["prompts"][1]["ids"]);
        for format in Format::ALL {
            let gguf = gguf_of(&mut usual_source(name), format);
            let decoded = folder_of(&mut Source::open(one(&gguf)).unwrap(), Format::F32).unwrap();
            let wanted = Engine::open(files(&decoded)).unwrap().logits(&tokens).unwrap();
            let mut engine = Engine::open(one(&gguf)).unwrap();
            let found = engine.logits(&tokens).unwrap();
            // Blocks of 256 do not divide these rows: Q5_K gives way to Q5_1.
            let slow: &[&str] = match format {
                Format::Q4_1 => &["Q4_1"],
                Format::Q5_1 | Format::Q5_K => &["Q5_1"],
                _ => &[],
            };
            assert_eq!(engine.spec().decoded_formats, slow, "{name} as {}", format.name());
            let tolerance = 2e-6 + rounding(format.name());
            assert_close(&found, &wanted, tolerance, &format!("{name} as {}", format.name()));
        }
    }
}

/// GGUF files as folders, and as other GGUF files.
#[test]
fn gguf_becomes_folders_and_gguf() {
    for name in GGUF {
        let tokens = ids(&fixture(&format!("models/{name}/expected.json"))["prompts"][2]["ids"]);
        let mut original = open(name);
        let wanted = original.logits(&tokens).unwrap();
        let tolerance = 5e-6 + rounding(&original.spec().quantization);
        let mut folder = Engine::open(files(&folder_of(&mut source(name), Format::F32).unwrap())).unwrap();
        assert_close(&folder.logits(&tokens).unwrap(), &wanted, tolerance, name);
        let text = "Once upon a time, 12 foxes\n\n didn't  rest. 龍";
        assert_eq!(folder.encode_prompt(text).unwrap(), original.encode_prompt(text).unwrap(), "{name}");
        let mut again = Engine::open(one(&gguf_of(&mut source(name), Format::F32))).unwrap();
        assert_close(&again.logits(&tokens).unwrap(), &wanted, tolerance, name);
    }
}

#[test]
fn what_gguf_cannot_say_is_refused_by_name() {
    for name in UNSAYABLE {
        let error = source(name).write_gguf(Format::F32, "fixture", &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), "unsupported", "{name}: {error}");
        assert!(error.to_string().contains("config field"), "{name}: {error}");
        println!("{name}: {error}");
    }
    let Err(error) = folder_of(&mut source("gpt2-plain"), Format::Q8_0) else { panic!("expected a refusal") };
    assert!(error.to_string().contains("f32, f16 or bf16"), "{error}");
}

/// A number of layers that no file can have is not counted through.
#[test]
fn impossible_numbers_of_layers_are_refused() {
    for name in ["mistral-window", "gemma3-linear"] {
        let mut files = usual(name);
        let mut config: Value = files.read_json("config.json", 1 << 20).unwrap();
        let text = if config["text_config"].is_object() { &mut config["text_config"] } else { &mut config };
        text["num_hidden_layers"] = 2_000_000_000.into();
        text.as_object_mut().unwrap().remove("layer_types");
        files.insert("config.json", Box::new(Cursor::new(config.to_string().into_bytes())));
        let error = Source::open(files).unwrap().write_gguf(Format::F32, "fixture", &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), "bad_config", "{name}: {error}");
    }
    for (name, key) in [("gguf-mistral-f16", "llama.block_count"), ("gguf-gemma3-q8_0", "gemma3.block_count")] {
        let mut bytes = std::fs::read(common::fixtures().join("models").join(name).join("model.gguf")).unwrap();
        let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap() + key.len() + 4;
        bytes[at..at + 4].copy_from_slice(&2_000_000_000u32.to_le_bytes());
        let error = Source::open(one(&bytes)).err().unwrap();
        assert!(["bad_config", "unsupported"].contains(&error.code()), "{name}: {error}");
        assert!(Engine::open(one(&bytes)).is_err(), "{name}");
    }
}

/// A writer that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error() {
    for room in [0, 5000, 30_000] {
        let error = source("gpt2-plain").write_gguf(Format::F32, "fixture", &mut Full(room)).unwrap_err();
        assert!(matches!(error, Error::Write { .. }) && error.code() == "io", "{error}");
    }
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let folder = common::fixtures().join("models/gpt2-plain");
    for value in [1e6f32, f32::NAN, f32::INFINITY] {
        let mut model = std::fs::read(folder.join("model.safetensors")).unwrap();
        // The last value of the last tensor, the embedding.
        let end = model.len();
        model[end - 4..].copy_from_slice(&value.to_le_bytes());
        let mut files = Files::new();
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            files.insert(name, Box::new(std::fs::File::open(folder.join(name)).unwrap()));
        }
        files.insert("model.safetensors", Box::new(Cursor::new(model)));
        let error = Source::open(files).unwrap().write_gguf(Format::Q8_0, "fixture", &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), "bad_tensor", "{error}");
    }
}

/// Vocabularies as the trainer makes them beside the byte-level kind: characters, and merges of characters.
#[test]
fn vocabularies_of_characters() {
    const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    let tokens = ["<|endoftext|>", "<unk>", " ", "\n", "a", "b", "é", "中", "文", "🐉", "ab", " ab", "é中", "中文"];
    let merges = [["a", "b"], [" ", "ab"], ["é", "中"], ["中", "文"]];
    let special = |id: usize| json!({ "id": id, "content": tokens[id], "special": true, "normalized": false });
    for (len, merges) in [(10, &merges[..0]), (14, &merges[..])] {
        let vocab: serde_json::Map<String, Value> =
            tokens[..len].iter().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect();
        let tokenizer = json!({
            "added_tokens": [special(0), special(1)],
            "pre_tokenizer": { "type": "Split", "pattern": { "Regex": GPT2 }, "behavior": "Isolated", "invert": false },
            "decoder": { "type": "Fuse" },
            "model": { "type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": merges },
        });
        let bytes = tokenizer.to_string();
        // The conversion itself compares what it wrote with the original, on texts of these characters.
        let written = to_gguf(&mut containers::files(&[("tokenizer.json", bytes.as_bytes())]), Some(0), &[0], len);
        let written = written.unwrap();
        assert_eq!(written.notes.len(), 1, "{:?}", written.notes);
    }
    let plain = json!({
        "pre_tokenizer": { "type": "Whitespace" },
        "model": { "type": "WordLevel", "vocab": { "a": 0, "b": 1 }, "unk_token": "a" },
    });
    let error = to_gguf(&mut containers::files(&[("tokenizer.json", plain.to_string().as_bytes())]), None, &[], 2);
    let Err(error) = error else { panic!("expected a refusal") };
    assert!(error.code() == "unsupported" && error.to_string().contains("WordLevel"), "{error}");
}

/// A vocabulary of characters, which GGUF says with merges of their bytes, comes back as what it was.
#[test]
fn characters_come_back_from_gguf() {
    let bytes = std::fs::read("models/poems/model.gguf").unwrap();
    let folder = folder_of(&mut Source::open(one(&bytes)).unwrap(), Format::F32).unwrap();
    let tokenizer: Value = serde_json::from_slice(&folder["tokenizer.json"]).unwrap();
    let model = &tokenizer["model"];
    let vocab = model["vocab"].as_object().unwrap();
    assert_eq!((vocab.len(), model["unk_token"].as_str()), (4678, Some("<unk>")));
    assert!(vocab.contains_key("月") && !vocab.contains_key("æľĪ"));
    assert_eq!(model["merges"], json!([]));
}
