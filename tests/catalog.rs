//! The models that ship: what models/catalog.json says of each is so, and each loads and writes.

mod common;

use inkling::files::Files;
use inkling::model::ARCHITECTURES;
use inkling::model::encoder::ENCODERS;
use inkling::tasks::{self, Outcome};
use inkling::{Engine, Opened};
use serde_json::{Value, json};
use std::path::Path;

/// What the page takes to run is what the engine runs.
#[test]
fn the_page_knows_the_architectures() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("www/architectures.js")).unwrap();
    // A hub tells the one of a folder and the other of a GGUF file.
    let mut writers: Vec<&str> = Vec::new();
    for name in ARCHITECTURES.iter().flat_map(|architecture| [architecture.name, architecture.gguf]) {
        if !writers.contains(&name) {
            writers.push(name);
        }
    }
    let readers: Vec<&str> = ENCODERS.iter().map(|family| family.name).collect();
    for (list, names) in [("ARCHITECTURES", writers), ("ENCODERS", readers)] {
        let wanted = format!("{list} = ['{}'];", names.join("', '"));
        assert!(page.contains(&wanted), "{wanted} in {page}");
    }
}

#[test]
fn the_catalogue_says_what_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let catalog: Value = serde_json::from_slice(&std::fs::read(folder.join("catalog.json")).unwrap()).unwrap();
    let models = catalog["models"].as_array().unwrap();
    for language in ["en", "zh"] {
        let begins = |model: &&Value| model["default_for"].as_array().is_some_and(|all| all.contains(&json!(language)));
        assert_eq!(models.iter().filter(begins).count(), 1, "one model to begin with in {language}");
    }
    for model in models {
        let place = folder.join(model["path"].as_str().unwrap());
        let files = model["files"].as_array().unwrap();
        let size = |name: &Value| std::fs::metadata(place.join(name.as_str().unwrap())).unwrap().len();
        assert_eq!(files.iter().map(size).sum::<u64>(), model["bytes"].as_u64().unwrap(), "bytes of {}", model["id"]);
        for language in ["en", "zh"] {
            assert!(model["title"][language].is_string() && model["description"][language].is_string());
        }
        // The pages offer a model for what it can do.
        assert!(model["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty()), "tasks of {}", model["id"]);
        if let Some(form) = model["translation"]["prompt"].as_str() {
            assert!(form.contains("{text}"), "a place for the text in {form:?}");
        }
        let mut opened = inkling::open(Files::open(&place).unwrap()).unwrap();
        let spec = opened.shown().spec();
        assert_eq!(spec.parameters, model["parameters"].as_u64().unwrap());
        for note in ["data", "unknown"].map(|name| &model[name]).into_iter().filter(|note| !note.is_null()) {
            assert!(note["en"].is_string() && note["zh"].is_string(), "{note} in every language");
        }
        for link in model["data"]["links"].as_array().into_iter().flatten() {
            assert!(link.as_str().is_some_and(|link| link.starts_with("https://")), "an address: {link}");
        }
        let prompts: Vec<&str> = model["prompts"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        for text in &prompts {
            let pieces = opened.tokenizer().encode_with_offsets(text).unwrap();
            let unknown = pieces.iter().any(|piece| opened.tokenizer().is_unknown(*piece, text));
            assert!(!unknown, "{} knows all of {text:?}", model["id"]);
            // What stands between words is no token where words are cut first.
            let told: usize = pieces.iter().map(|piece| piece.end - piece.start).sum();
            let spaces = if opened.tokenizer().kind() == "WordPiece" { text.matches(' ').count() } else { 0 };
            assert!(told + spaces >= text.len(), "{} knows all of {text:?}", model["id"]);
        }
        match &mut opened {
            Opened::Writer(engine) => {
                assert_eq!(json!(engine.tasks()), model["tasks"], "tasks of {}", model["id"]);
                let prompt = engine.encode_prompt(prompts[0]).unwrap();
                let written = common::generate(engine, &prompt, &json!({ "max_new_tokens": 8 })).unwrap();
                assert!(!written[0].text.trim().is_empty());
            }
            Opened::Reader(reader) => {
                let asked = json!({ "text": prompts[0] });
                let mut task = tasks::begin(reader, "fill-mask", asked.as_object().unwrap()).unwrap();
                let Outcome::Filled(gaps) = tasks::run(reader, &mut *task).unwrap() else { panic!("no gaps") };
                assert!(!gaps[0][0].token_str.trim().is_empty());
            }
        }
    }
}

/// What a lesson shows before a model has arrived is what the model then says.
#[test]
fn recordings_are_what_the_models_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recorded: Value =
        serde_json::from_slice(&std::fs::read(root.join("www/lessons/recorded.json")).unwrap()).unwrap();
    for language in ["en", "zh"] {
        let recorded = &recorded["tokens"][language];
        let folder = root.join("models").join(recorded["model"].as_str().unwrap());
        let engine = Engine::open(Files::open(&folder).unwrap()).unwrap();
        let ids = engine.tokenizer().encode(recorded["text"].as_str().unwrap(), true).unwrap();
        let said: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "text": engine.token_text(*id) })).collect();
        assert_eq!(recorded["tokens"], json!(said));
    }
}

/// Every lesson has its words in every language, with as many steps as its plan.
#[test]
fn lessons_have_their_words() {
    let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/lessons");
    let plan = std::fs::read_to_string(lessons.join("plan.js")).unwrap();
    let entries: Vec<&str> = plan.split("    id: '").skip(1).collect();
    assert_eq!(entries.len(), 8);
    for entry in entries {
        let id = entry.split('\'').next().unwrap();
        let steps = entry.matches("{ panel: ").count() + entry.matches("{ check: ").count();
        for language in ["en", "zh"] {
            let words = std::fs::read_to_string(lessons.join(language).join(format!("{id}.js"))).unwrap();
            assert_eq!(words.matches("heading: ").count(), steps, "{language}/{id}");
        }
    }
}
