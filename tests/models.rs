//! Every checkpoint in tests/fixtures/models gives the logits, greedy ids and beams that transformers gave
//! (tests/fixtures/README.md says how they were made).

mod common;

use common::{assert_close, config, fixture, generate, ids, numbers, open};
use inkling::generate::{Event, Generation};
use serde_json::Value;

/// Runs `check` on every model folder and says which failed.
fn every_model(check: impl Fn(&str, &Value)) {
    let folder = common::fixtures().join("models");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 20, "expected the committed fixtures, found {names:?}");
    for name in names {
        println!("{name}");
        check(&name, &fixture(&format!("models/{name}/expected.json")));
    }
}

#[test]
fn logits_are_those_of_transformers() {
    every_model(|name, expected| {
        let mut engine = open(name);
        for prompt in expected["prompts"].as_array().unwrap() {
            let tokens = ids(&prompt["ids"]);
            let what = format!("{name}, {} tokens", tokens.len());
            assert_close(&engine.logits(&tokens).unwrap(), &numbers(&prompt["logits"]), 5e-5, &what);
            if let Some(all) = prompt["all_logits"].as_array() {
                let rows = engine.all_logits(&tokens).unwrap();
                assert_eq!(rows.len(), all.len());
                rows.iter().zip(all).for_each(|(row, all)| assert_close(row, &numbers(all), 1e-4, &what));
            }
        }
    });
}

#[test]
fn greedy_ids_are_those_of_transformers() {
    every_model(|name, expected| {
        let mut engine = open(name);
        for case in expected["greedy"].as_array().unwrap() {
            let prompt = ids(&expected["prompts"][case["prompt"].as_u64().unwrap() as usize]["ids"]);
            let found = generate(&mut engine, &prompt, &case["config"]).unwrap();
            assert_eq!(found[0].ids, ids(&case["ids"]), "{name} {}", case["config"]);
        }
    });
}

#[test]
fn beams_are_those_of_transformers() {
    every_model(|name, expected| {
        let mut engine = open(name);
        for case in expected["beams"].as_array().unwrap() {
            let prompt = ids(&expected["prompts"][case["prompt"].as_u64().unwrap() as usize]["ids"]);
            let found = generate(&mut engine, &prompt, &case["config"]).unwrap();
            let wanted = case["sequences"].as_array().unwrap();
            assert_eq!(found.len(), wanted.len(), "{name} {}", case["config"]);
            for (found, wanted) in found.iter().zip(wanted) {
                assert_eq!(found.ids, ids(&wanted["ids"]), "{name} {}", case["config"]);
                let (score, reference) = (found.score.unwrap(), wanted["score"].as_f64().unwrap() as f32);
                assert!((score - reference).abs() < 1e-3 * reference.abs().max(1.0), "{name}: {score} for {reference}");
            }
        }
    });
}

/// Encode, `generate(max_length=50)`, decode: the program every introduction begins with.
#[test]
fn the_classic_program_gives_the_same_text() {
    every_model(|name, expected| {
        let mut engine = open(name);
        let case = &expected["text"];
        let prompt = engine.encode_prompt(case["text"].as_str().unwrap()).unwrap();
        assert_eq!(prompt, ids(&case["prompt_ids"]), "{name}");
        let found = generate(&mut engine, &prompt, &case["config"]).unwrap();
        assert_eq!(found[0].ids, ids(&case["ids"]), "{name}");
        let wanted = case["decoded"].as_str().unwrap();
        // What cannot be UTF-8 is replaced byte by byte by one decoder and run by run by another.
        if !wanted.contains('\u{fffd}') {
            let all: Vec<u32> = prompt.iter().chain(&found[0].ids).copied().collect();
            assert_eq!(engine.tokenizer().decode(&all, false).unwrap(), wanted, "{name}");
        }
    });
}

/// Reading a prompt at once, in slices of any size, or from what is still in the cache gives the same bits.
#[test]
fn slices_and_the_cache_do_not_change_a_bit() {
    every_model(|name, expected| {
        let prompt = ids(&expected["prompts"][3]["ids"]);
        let settings = serde_json::json!({ "max_new_tokens": 8, "do_sample": true, "seed": 7, "top_k": 0 });
        let text = |engine: &mut inkling::Engine, slice: usize| {
            let config = config(engine, &settings).unwrap();
            let mut generation = Generation::start(engine, prompt.clone(), config).unwrap();
            loop {
                if let Event::Done { sequences, .. } = generation.advance(engine, slice).unwrap() {
                    return sequences[0].ids.clone();
                }
            }
        };
        let at_once = text(&mut open(name), usize::MAX);
        for slice in [1, 7] {
            let mut engine = open(name);
            assert_eq!(text(&mut engine, slice), at_once, "{name} in slices of {slice}");
            assert_eq!(text(&mut engine, slice), at_once, "{name} again");
        }
        let mut engine = open(name);
        let fresh = engine.logits(&prompt).unwrap();
        let mut engine = open(name);
        let warm = config(&engine, &serde_json::json!({ "max_new_tokens": 1 })).unwrap();
        let mut generation = Generation::start(&mut engine, prompt[..20].to_vec(), warm).unwrap();
        while !matches!(generation.advance(&mut engine, 5).unwrap(), Event::Done { .. }) {}
        let greedy = config(&engine, &serde_json::json!({ "max_new_tokens": 1 })).unwrap();
        let found = {
            let mut generation = Generation::start(&mut engine, prompt.clone(), greedy).unwrap();
            loop {
                if let Event::Done { sequences, .. } = generation.advance(&mut engine, 3).unwrap() {
                    break sequences[0].ids[0];
                }
            }
        };
        assert_eq!(found, inkling::sample::argmax(&fresh).unwrap(), "{name} after a shorter prompt");
    });
}
