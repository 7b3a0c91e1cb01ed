//! The models that ship: what models/catalog.json says of each is so, and each loads and writes.

mod common;

use inkling::Engine;
use inkling::files::Files;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_catalogue_says_what_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let catalog: Value = serde_json::from_slice(&std::fs::read(folder.join("catalog.json")).unwrap()).unwrap();
    let models = catalog["models"].as_array().unwrap();
    assert_eq!(models.iter().filter(|model| model["default"] == json!(true)).count(), 1, "one default");
    for model in models {
        let place = folder.join(model["path"].as_str().unwrap());
        let files = model["files"].as_array().unwrap();
        let size = |name: &Value| std::fs::metadata(place.join(name.as_str().unwrap())).unwrap().len();
        assert_eq!(files.iter().map(size).sum::<u64>(), model["bytes"].as_u64().unwrap(), "bytes of {}", model["id"]);
        for language in ["en", "zh"] {
            assert!(model["title"][language].is_string() && model["description"][language].is_string());
        }
        let mut engine = Engine::open(Files::open(&place).unwrap()).unwrap();
        assert_eq!(engine.spec().parameters, model["parameters"].as_u64().unwrap());
        let prompt = engine.encode_prompt("Once upon a time").unwrap();
        let written = common::generate(&mut engine, &prompt, &json!({ "max_new_tokens": 8 })).unwrap();
        assert!(!written[0].text.trim().is_empty());
    }
}
