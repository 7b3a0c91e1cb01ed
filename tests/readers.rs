//! Models that read against transformers: hidden states, attention and predictions of tests/fixtures/encoders, the results of
//! its pipelines, and what happens with texts and files that will not do. tests/fixtures/make_encoders.py wrote them.

#[path = "readers/bad_input.rs"]
mod bad_input;
mod common;
#[path = "readers/files.rs"]
mod files;

use common::{assert_close, fixture, fixtures, ids, numbers};
use inkling::files::Files;
use inkling::inspect::{Inspection, Wish, inspect_reading};
use inkling::reader::{Pooling, Reader, Tokens};
use inkling::tasks::{self, Outcome};
use serde_json::{Value, json};
use std::path::PathBuf;

pub(crate) fn folder(name: &str) -> PathBuf {
    fixtures().join("encoders").join(name)
}

pub(crate) fn open(name: &str) -> Reader {
    Reader::open(Files::open(&folder(name)).unwrap()).unwrap()
}

fn names() -> Vec<String> {
    let folders = std::fs::read_dir(fixtures().join("encoders")).unwrap();
    let mut names: Vec<String> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 13, "expected the committed fixtures, found {names:?}");
    names
}

/// Runs `check` on every reader with what transformers says of it.
fn every_reader(check: impl Fn(&str, &Reader, &Value)) {
    for name in names() {
        println!("{name}");
        check(&name, &open(&name), &fixture(&format!("encoders/{name}/expected.json")));
    }
}

/// A value in lists of lists, flat.
fn flat(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(parts) => parts.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

fn looked_into(reader: &Reader, tokens: &Tokens) -> Inspection {
    let options = json!({ "hiddenStates": true, "attention": true, "logitLens": { "top": 3 } });
    let wish = Wish::from_json(options.as_object().unwrap()).unwrap();
    inspect_reading(reader, tokens, &wish).unwrap()
}

/// The tokens of a case, whose token types the model may not heed.
fn tokens(case: &Value) -> Tokens {
    let kinds = case["token_types"].as_array().map(|_| ids(&case["token_types"]));
    Tokens { ids: ids(&case["ids"]), kinds: kinds.unwrap_or_default() }
}

#[test]
fn hidden_states_and_attention_are_those_of_transformers() {
    every_reader(|name, reader, expected| {
        let single = tokens(&expected["single"]);
        let seen = looked_into(reader, &single);
        assert_close(&seen.hidden_states, &flat(&expected["single"]["hidden_states"]), 5e-5, name);
        let (n, heads) = (single.ids.len(), reader.spec().heads);
        let layer = |layer: usize| -> Vec<f32> {
            let matrices = seen.attention[layer * heads..(layer + 1) * heads].iter();
            matrices.flat_map(|matrix| matrix.values.clone()).collect()
        };
        let wanted = expected["single"]["attention"].as_array().unwrap();
        for (found, wanted) in [layer(0), layer(reader.spec().layers - 1)].iter().zip(wanted) {
            assert_eq!(found.len(), heads * n * n);
            assert_close(found, &flat(wanted), 5e-5, &format!("attention of {name}"));
        }
        let pair = looked_into(reader, &tokens(&expected["pair"]));
        let last = flat(&expected["pair"]["hidden_states"]);
        assert_close(
            &pair.hidden_states[pair.hidden_states.len() - last.len()..],
            &last,
            5e-5,
            &format!("{name}, pair"),
        );
    });
}

#[test]
fn several_texts_are_read_at_once_as_each_alone() {
    every_reader(|name, reader, expected| {
        let texts = [tokens(&expected["single"]), tokens(&expected["pair"]), tokens(&expected["single"])];
        let together = reader.read(&texts).unwrap().to_vec2::<f32>().unwrap();
        let alone = texts.iter().flat_map(|text| reader.read(std::slice::from_ref(text)).unwrap().to_vec2().unwrap());
        for (row, wanted) in together.iter().zip(alone) {
            assert_close(row, &wanted, 1e-5, name);
        }
    });
}

#[test]
fn predictions_are_those_of_transformers() {
    every_reader(|name, reader, expected| {
        for case in ["single", "pair"] {
            let seen = reader.predictions(&tokens(&expected[case])).unwrap();
            for row in expected[case]["logits"].as_array().into_iter().flatten() {
                let at = row[0].as_u64().unwrap() as usize;
                let logits = seen.masked(at).unwrap().expect("a head for masked tokens");
                assert_close(&logits, &numbers(&row[1]), 1e-4, &format!("{name}, {case}, {at}"));
            }
            if let Some(ends) = expected[case].get("ends") {
                let found = seen.ends().unwrap().expect("a head for answers");
                (0..2).for_each(|i| assert_close(&found[i], &numbers(&ends[i]), 1e-4, &format!("{name}, {case}")));
            }
        }
    });
}

#[test]
fn the_lens_of_the_last_layer_is_the_prediction() {
    let reader = open("modernbert-masked");
    let tokens = reader.encode("The [MASK] fox").unwrap();
    let seen = looked_into(&reader, &tokens);
    assert_eq!(seen.lens.len(), reader.spec().layers + 1);
    let at = tokens.ids.iter().position(|id| Some(*id) == reader.tokenizer().mask_token_id()).unwrap();
    let last = &seen.lens.last().unwrap()[at];
    assert_eq!(last.top[0].id, seen.top_k[0].id);
    assert!((last.probability - seen.top_k[0].probability).abs() < 1e-5);
}

#[test]
fn tokens_of_one_and_two_texts_are_those_of_transformers() {
    every_reader(|name, reader, expected| {
        let text = |i: usize| expected["texts"][i].as_str().unwrap();
        assert_eq!(reader.encode(text(0)).unwrap().ids, ids(&expected["single"]["ids"]), "{name}");
        let (joined, words) = reader.tokenizer().encode_pair(text(1), text(2)).unwrap();
        assert_eq!(joined.ids, ids(&expected["pair"]["ids"]), "{name}");
        if expected["pair"]["token_types"].is_array() {
            assert_eq!(joined.kinds, ids(&expected["pair"]["token_types"]), "{name}");
        }
        let second = expected["second"].as_array().unwrap();
        assert_eq!(words.len(), second.len(), "{name}");
        for (at, (word, wanted)) in words.iter().zip(second).enumerate() {
            let found = json!([word.piece.id, word.piece.start, word.piece.end, word.word]);
            assert_eq!(found, *wanted, "{name}, token {at} of the second text");
            assert_eq!(joined.ids[joined.second + at], word.piece.id);
        }
    });
}

#[test]
fn hard_texts_become_the_tokens_of_transformers() {
    let texts = fixture("tokenizers/texts.json");
    let mut kinds = 0;
    every_reader(|name, reader, expected| {
        for (text, wanted) in expected["hard"].as_object().into_iter().flatten() {
            let found = reader.encode(texts[text].as_str().unwrap()).unwrap().ids;
            assert_eq!(found, ids(wanted), "{name}, {text}");
        }
    });
    for name in names() {
        kinds += usize::from(fixture(&format!("encoders/{name}/expected.json"))["hard"].is_object());
    }
    assert!(kinds >= 5);
}

fn run(reader: &Reader, task: &str, arguments: &Value) -> inkling::Result<Outcome> {
    tasks::run(reader, &mut *tasks::begin(reader, task, arguments.as_object().unwrap())?)
}

/// JSON with numbers within `tolerance` of the wanted ones.
fn assert_like(found: &Value, wanted: &Value, tolerance: f64, what: &str) {
    match (found, wanted) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(a, b)| assert_like(a, b, tolerance, what));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
            a.iter().zip(b).for_each(|((_, a), (_, b))| assert_like(a, b, tolerance, what));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= tolerance * b.abs().max(1e-2), "{what}: expected {b}, found {a}");
        }
        _ => assert_eq!(found, wanted, "{what}"),
    }
}

#[test]
fn masks_are_filled_as_by_the_pipeline() {
    let mut seen = 0;
    every_reader(|name, reader, expected| {
        for case in expected["fill"].as_array().into_iter().flatten() {
            let mut arguments = case["arguments"].clone();
            arguments["text"] = case["text"].clone();
            let found = run(reader, "fill-mask", &arguments).unwrap().json(&|at| at);
            assert_like(&found, &case["result"], 1e-3, &format!("{name} {arguments}"));
        }
    });
    for name in names() {
        seen += usize::from(fixture(&format!("encoders/{name}/expected.json"))["fill"].is_array());
    }
    assert!(seen >= 6);
}

#[test]
fn answers_are_those_of_the_pipeline() {
    for name in names().iter().filter(|name| name.contains("answer")) {
        let reader = open(name);
        for case in fixture(&format!("encoders/{name}/answers.json")).as_array().unwrap() {
            let mut arguments = case["arguments"].clone();
            arguments["question"] = case["question"].clone();
            arguments["context"] = case["context"].clone();
            let Outcome::Answers { answers, single } = run(&reader, "question-answering", &arguments).unwrap() else {
                panic!("{name}: expected answers")
            };
            assert_eq!(single, arguments.get("top_k").is_none());
            let found: Value = answers
                .iter()
                .map(|a| json!({ "score": a.score, "start": a.start, "end": a.end, "answer": a.answer }))
                .collect();
            assert_like(&found, &case["answers"], 1e-3, &format!("{name} {}", case["arguments"]));
        }
    }
}

#[test]
fn vectors_are_pooled_as_sentence_transformers_does() {
    every_reader(|name, reader, expected| {
        for pooling in ["cls", "mean", "max"] {
            let arguments = json!({ "texts": expected["texts"][0], "pooling": pooling, "normalize": true });
            let outcome = run(reader, "feature-extraction", &arguments).unwrap();
            let Outcome::Embedded(vectors) = outcome else { panic!("{name}: expected vectors") };
            assert_eq!(vectors.len(), 1);
            assert_close(&vectors[0], &numbers(&expected["vectors"][pooling]), 1e-4, &format!("{name}, {pooling}"));
        }
    });
}

#[test]
fn the_files_of_sentence_transformers_say_how_to_pool() {
    let reader = open("bert-sentences");
    assert_eq!((reader.pooling(), reader.normalizes(), reader.longest()), (Pooling::Cls, true, 16));
    let plain = open("bert-masked");
    assert_eq!((plain.pooling(), plain.normalizes(), plain.longest()), (Pooling::Mean, true, 96));
    // A text that is too long is cut off where that is asked for, and keeps the tokens around it.
    let words = ["the quick fox "; 20].concat();
    let cut = json!({ "texts": [words], "truncate": true });
    let Outcome::Embedded(cut) = run(&reader, "feature-extraction", &cut).unwrap() else { panic!("expected vectors") };
    let short = reader.tokenizer().encode(&words, false).unwrap()[..14].to_vec();
    let short = Tokens { ids: reader.tokenizer().surround(&short), kinds: Vec::new() };
    let hidden = reader.read(&[short]).unwrap().to_vec2::<f32>().unwrap();
    let length = hidden[0].iter().map(|x| x * x).sum::<f32>().sqrt();
    assert_close(&cut[0], &hidden[0].iter().map(|x| x / length).collect::<Vec<_>>(), 1e-5, "cut");
}

#[test]
fn each_kind_of_model_says_what_it_can_do() {
    for (name, tasks) in [
        ("bert-masked", &["fill-mask", "feature-extraction"][..]),
        ("modernbert-answer-biases", &["question-answering", "feature-extraction"]),
        ("bert-sentences", &["feature-extraction"]),
    ] {
        assert_eq!(open(name).tasks(), tasks, "{name}");
    }
}
