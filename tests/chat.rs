//! Chat templates as models bring them, in folders and in GGUF files, and what a model reads of a conversation: the same
//! ids, and the same reply, as transformers.

mod common;

use common::{fixtures, generate, ids};
use inkling::files::Files;
use inkling::text::ChatTemplate;
use inkling::{Engine, Result};
use serde_json::{Value, json};
use std::io::Cursor;

fn chat_model(name: &str) -> (Engine, Value) {
    let folder = fixtures().join("chat").join(name);
    let gguf = folder.join("model.gguf");
    let engine = Engine::open(Files::open(if gguf.exists() { &gguf } else { &folder }).unwrap()).unwrap();
    (engine, common::fixture(&format!("chat/{name}/chat.json")))
}

#[test]
fn conversations_are_read_and_answered_as_by_transformers() {
    for name in ["llama", "gguf-llama"] {
        let (mut engine, expected) = chat_model(name);
        let chat = engine.chat().unwrap().clone();
        assert_eq!(chat.template, expected["template"].as_str().unwrap(), "{name}");
        assert_eq!(chat.special_tokens["bos_token"], "<|endoftext|>", "{name}");
        let mut ends = engine.defaults().eos_token_id.clone();
        ends.extend(&chat.end_of_turn);
        for (question, reply) in expected["replies"].as_object().unwrap() {
            let found = engine.encode_chat(reply["text"].as_str().unwrap()).unwrap();
            assert_eq!(found, ids(&reply["ids"]), "{name}: {question}");
            let settings = json!({ "max_new_tokens": 16, "eos_token_id": ends });
            let found = generate(&mut engine, &found, &settings).unwrap();
            assert_eq!(found[0].ids, ids(&reply["reply"]), "{name}: {question}");
        }
    }
}

#[test]
fn a_template_does_not_begin_twice() {
    let (engine, _) = chat_model("llama");
    let text = "<|endoftext|><|im_start|>user\nthe fox<|im_end|>\n";
    let found = engine.encode_chat(text).unwrap();
    let begin = engine.bos_token_id().unwrap();
    assert_eq!(found.iter().filter(|&&id| id == begin).count(), 1);
    assert_eq!(engine.encode_prompt(text).unwrap()[..2], [begin, begin], "a plain text is begun for it");
    let pieces = engine.tokenizer().pieces(text).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.id).collect::<Vec<_>>(), found);
    let special: Vec<&str> =
        pieces.iter().filter(|piece| engine.tokenizer().is_special(piece.id)).map(|p| &text[p.start..p.end]).collect();
    assert_eq!(special, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]);
    assert_eq!(engine.encode_chat("").unwrap_err().code(), "empty_prompt");
}

/// The tiny model with other files beside it.
fn with(others: &[(&str, &str)]) -> Result<Option<ChatTemplate>> {
    let folder = fixtures().join("chat/llama");
    let mut files = Files::new();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        files.insert(name, Box::new(std::fs::File::open(folder.join(name)).unwrap()));
    }
    for (name, text) in others {
        files.insert(*name, Box::new(Cursor::new(text.as_bytes().to_vec())));
    }
    Ok(Engine::open(files)?.chat().cloned())
}

#[test]
fn the_template_is_where_transformers_finds_it() {
    let template = |others: &[(&str, &str)]| with(others).unwrap().map(|chat| chat.template);
    let config = "tokenizer_config.json";
    assert_eq!(template(&[]), None);
    assert_eq!(template(&[(config, "{}")]), None);
    assert_eq!(template(&[(config, r#"{"chat_template":"a"}"#)]), Some("a".into()));
    let several = r#"{"chat_template":[{"name":"tool_use","template":"b"},{"name":"default","template":"a"}]}"#;
    assert_eq!(template(&[(config, several)]), Some("a".into()));
    assert_eq!(template(&[(config, r#"{"chat_template":"a"}"#), ("chat_template.jinja", "é\n")]), Some("é\n".into()));
    // What is no template is none; the model can write all the same.
    for odd in ["7", "null", "{}", r#"[{"name":"tool_use","template":"b"}]"#, r#"[7,{"name":"default"}]"#] {
        assert_eq!(template(&[(config, &format!(r#"{{"chat_template":{odd}}}"#))]), None, "{odd}");
    }
    let long = "x".repeat(1 << 20);
    assert_eq!(template(&[("chat_template.jinja", &long)]), Some(long.clone()));
    let longer = "x".repeat((4 << 20) + 1);
    assert_eq!(with(&[("chat_template.jinja", &longer)]).unwrap_err().code(), "bad_file");
}

#[test]
fn special_tokens_are_those_of_the_files() {
    let tokens = |others: &[(&str, &str)]| with(others).unwrap().unwrap().special_tokens;
    let config =
        r#"{"chat_template":"a","bos_token":"<|im_start|>","eos_token":{"content":"<|im_end|>"},"pad_token":null}"#;
    let found = tokens(&[("tokenizer_config.json", config)]);
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [("bos_token".to_string(), "<|im_start|>".to_string()), ("eos_token".to_string(), "<|im_end|>".to_string())]
    );
    let map = r#"{"eos_token":"<|endoftext|>","unk_token":{"content":"<|im_start|>"}}"#;
    let found = tokens(&[("tokenizer_config.json", config), ("special_tokens_map.json", map)]);
    assert_eq!((found["eos_token"].as_str(), found["unk_token"].as_str()), ("<|endoftext|>", "<|im_start|>"));
}
