//! Texts, arguments and files that will not do.

use super::{folder, open};
use inkling::files::Files;
use inkling::reader::{Opened, Reader};
use inkling::tasks::{self, Outcome, Step};
use inkling::{Engine, Error};
use serde_json::{Value, json};
use std::io::Cursor;

fn code(name: &str, task: &str, arguments: Value) -> String {
    let reader = open(name);
    let mut task = match tasks::begin(&reader, task, arguments.as_object().unwrap()) {
        Ok(task) => task,
        Err(error) => return format!("{}: {error}", error.code()),
    };
    match tasks::run(&reader, &mut *task) {
        Ok(_) => "no error".into(),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

#[test]
fn texts_and_arguments_that_will_not_do_are_refused_by_name() {
    let long = "fox ".repeat(400);
    for (name, task, arguments, wanted) in [
        ("bert-masked", "fill-mask", json!({ "text": "the fox" }), "bad_parameter: text: expected at least one [MASK]"),
        (
            "roberta-masked",
            "fill-mask",
            json!({ "text": "[MASK]" }),
            "bad_parameter: text: expected at least one <mask>",
        ),
        ("bert-masked", "fill-mask", json!({}), "bad_parameter: text: expected a text, found null"),
        ("bert-masked", "fill-mask", json!({ "text": "[MASK]", "top_k": 0 }), "bad_parameter: top_k"),
        ("bert-masked", "fill-mask", json!({ "text": "[MASK]", "top_k": 1.5 }), "bad_parameter: top_k"),
        (
            "bert-masked",
            "fill-mask",
            json!({ "text": "[MASK]", "k": 5 }),
            "bad_parameter: k: expected one of text, top_k",
        ),
        ("bert-masked", "fill-mask", json!({ "text": "[MASK]", "targets": [] }), "bad_parameter: targets"),
        ("bert-masked", "fill-mask", json!({ "text": format!("[MASK] {long}") }), "context_full: "),
        ("bert-answer", "fill-mask", json!({ "text": "[MASK]" }), "wrong_task: "),
        ("bert-masked", "question-answering", json!({ "question": "q", "context": "c" }), "wrong_task: "),
        ("bert-masked", "translation", json!({}), "wrong_task: "),
        ("bert-answer", "question-answering", json!({ "question": "", "context": "c" }), "bad_parameter: question"),
        ("bert-answer", "question-answering", json!({ "question": "q", "context": " " }), "bad_parameter: context"),
        (
            "bert-answer",
            "question-answering",
            json!({ "question": "q", "context": "c", "max_seq_len": 97 }),
            "bad_parameter: max_seq_len: expected at most the model's context of 96, found 97",
        ),
        (
            "bert-answer",
            "question-answering",
            json!({ "question": "q", "context": "c", "max_seq_len": 4 }),
            "context_full: ",
        ),
        (
            "bert-answer",
            "question-answering",
            json!({ "question": "q", "context": "c", "max_seq_len": 10, "doc_stride": 6 }),
            "bad_parameter: doc_stride: expected less than the 6",
        ),
        ("bert-sentences", "feature-extraction", json!({ "texts": ["a", long] }), "context_full: "),
        ("bert-sentences", "feature-extraction", json!({ "texts": 5 }), "bad_parameter: texts"),
        ("bert-sentences", "feature-extraction", json!({ "texts": ["a"], "pooling": "sum" }), "bad_parameter: pooling"),
    ] {
        let found = code(name, task, arguments.clone());
        assert!(found.starts_with(wanted), "{name}, {task}: expected {wanted}, found {found}");
    }
}

#[test]
fn a_question_of_any_length_is_asked_of_a_text_of_200_kilobytes() {
    let reader = open("distilbert-answer");
    // A word that the vocabulary lacks is one token, however long.
    let context = format!("the quick fox {}。", "ж".repeat(60)).repeat(1500);
    assert!(context.len() > 200_000);
    let arguments = json!({ "question": "who? ".repeat(300), "context": context, "max_question_len": 20 });
    let mut task = tasks::begin(&reader, "question-answering", arguments.as_object().unwrap()).unwrap();
    let mut steps = 0;
    let answers = loop {
        match task.step(&reader).unwrap() {
            Step::Going { done, total } => {
                steps += 1;
                assert!(done == steps && done < total, "{done} of {total}");
            }
            Step::Done(Outcome::Answers { answers, .. }) => break answers,
            Step::Done(other) => panic!("expected answers, found {other:?}"),
        }
    };
    assert!(steps > 100);
    assert_eq!(answers[0].answer, context[answers[0].start..answers[0].end]);
}

#[test]
fn a_model_of_the_other_kind_is_not_opened() {
    let error = Engine::open(Files::open(&folder("bert-masked")).unwrap()).err().unwrap();
    assert_eq!(error.code(), "wrong_task");
    let gpt2 = super::fixtures().join("models/gpt2-plain");
    let error = Reader::open(Files::open(&gpt2).unwrap()).err().unwrap();
    assert_eq!(error.code(), "wrong_task");
    assert!(error.to_string().contains("gpt2"), "{error}");
    assert!(matches!(inkling::open(Files::open(&gpt2).unwrap()), Ok(Opened::Writer(_))));
    let mut opened = inkling::open(Files::open(&folder("bert-masked")).unwrap()).unwrap();
    assert_eq!(opened.writer_mut().err().map(|error| error.code()), Some("wrong_task"));
    assert!(opened.reader("fill-mask").is_ok());
}

/// The files of a folder with one of them changed.
fn changed(name: &str, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Files {
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        let own = path.file_name().unwrap().to_str().unwrap().to_string();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let bytes = if own == file { change(bytes) } else { bytes };
            files.insert(own, Box::new(Cursor::new(bytes)));
        }
    }
    files
}

fn with_fields(name: &str, fields: &Value) -> Option<Error> {
    let files = changed(name, "config.json", |bytes| {
        let mut config: Value = serde_json::from_slice(&bytes).unwrap();
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config.to_string().into_bytes()
    });
    Reader::open(files).err()
}

#[test]
fn configurations_that_would_read_otherwise_are_refused_by_name() {
    for (name, fields, wanted) in [
        ("bert-masked", json!({ "position_embedding_type": "relative_key" }), "position_embedding_type"),
        ("bert-masked", json!({ "is_decoder": true }), "is_decoder"),
        ("bert-masked", json!({ "hidden_act": "gelu_odd" }), "hidden_act"),
        ("bert-masked", json!({ "embedding_size": 16 }), "embedding_size"),
        ("bert-masked", json!({ "num_attention_heads": 5 }), "num_attention_heads"),
        ("bert-masked", json!({ "max_position_embeddings": 0 }), "max_position_embeddings"),
        ("bert-masked", json!({ "hidden_size": 64 }), "embeddings.word_embeddings.weight"),
        ("bert-masked", json!({ "architectures": ["BertForQuestionAnswering"] }), "qa_outputs.weight"),
        ("roberta-masked", json!({ "pad_token_id": 95 }), "max_position_embeddings"),
        ("roberta-masked", json!({ "pad_token_id": 4294967295u64 }), "max_position_embeddings"),
        ("modernbert-masked", json!({ "layer_types": ["full_attention"] }), "layer_types"),
        ("modernbert-masked", json!({ "layer_types": ["chunked_attention"] }), "layer_types"),
        (
            "modernbert-masked",
            json!({ "rope_parameters": { "full_attention": { "rope_type": "yarn", "factor": 2 } } }),
            "rope_parameters",
        ),
        ("bert-masked", json!({ "model_type": "electra" }), "bert, distilbert, roberta"),
    ] {
        let error = with_fields(name, &fields).unwrap_or_else(|| panic!("{name} {fields}: expected an error"));
        assert!(error.to_string().contains(wanted), "{name} {fields}: expected {wanted}, found {error}");
    }
}

#[test]
fn files_that_are_cut_short_are_refused() {
    for (file, part) in [
        ("model.safetensors", 0),
        ("model.safetensors", 1),
        ("model.safetensors", 2),
        ("config.json", 0),
        ("config.json", 2),
        ("vocab.txt", 0),
    ] {
        let files = changed("bert-masked", file, |bytes| bytes[..bytes.len() * part / 3].to_vec());
        assert!(Reader::open(files).is_err(), "{part} thirds of {file}");
    }
    let modules = r#"[{"type":"sentence_transformers.models.Dense","path":"2_Dense"}]"#;
    let error = Reader::open(changed("bert-sentences", "modules.json", |_| modules.as_bytes().to_vec())).err().unwrap();
    assert!(error.to_string().contains("Dense"), "{error}");
}
