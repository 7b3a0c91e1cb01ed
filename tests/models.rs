//! Every checkpoint in tests/fixtures/models gives the logits, greedy ids and beams that transformers gave
//! (tests/fixtures/README.md says how they were made).

mod common;

use common::{assert_close, config, fixture, generate, ids, numbers, open, rounding, shared};
use inkling::Engine;
use inkling::files::Files;
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
        let rounding = rounding(&engine.spec().quantization);
        for prompt in expected["prompts"].as_array().unwrap() {
            let tokens = ids(&prompt["ids"]);
            let what = format!("{name}, {} tokens", tokens.len());
            assert_close(&engine.logits(&tokens).unwrap(), &numbers(&prompt["logits"]), 5e-5 + rounding, &what);
            if let Some(all) = prompt["all_logits"].as_array() {
                let rows = engine.all_logits(&tokens).unwrap();
                assert_eq!(rows.len(), all.len());
                rows.iter().zip(all).for_each(|(row, all)| assert_close(row, &numbers(all), 1e-4 + rounding, &what));
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

/// The score of a beam search: a sum of log-probabilities, in which every logit of every step has a part.
fn score(engine: &mut inkling::Engine, prompt: &[u32], slice: usize) -> (Vec<u32>, u32) {
    let settings = serde_json::json!({ "max_new_tokens": 6, "num_beams": 2, "eos_token_id": [] });
    let config = config(engine, &settings).unwrap();
    let mut generation = Generation::start(engine, prompt.to_vec(), config).unwrap();
    loop {
        if let Event::Done { sequences, .. } = generation.advance(engine, slice).unwrap() {
            return (sequences[0].ids.clone(), sequences[0].score.unwrap().to_bits());
        }
    }
}

/// Reading a prompt at once, in slices of any size, or from what is still in the cache gives the same bits.
#[test]
fn slices_and_the_cache_do_not_change_a_bit() {
    every_model(|name, expected| {
        let prompt = ids(&expected["prompts"][3]["ids"]);
        let at_once = score(&mut open(name), &prompt, usize::MAX);
        for slice in [1, 7] {
            let mut engine = open(name);
            assert_eq!(score(&mut engine, &prompt, slice), at_once, "{name} in slices of {slice}");
            assert_eq!(score(&mut engine, &prompt, slice), at_once, "{name} again");
        }
        let mut engine = open(name);
        score(&mut engine, &prompt[..20], usize::MAX);
        assert_eq!(score(&mut engine, &prompt, 5), at_once, "{name} after a shorter prompt");
        let mut other = prompt.clone();
        other[30] = if other[30] == 5 { 6 } else { 5 };
        score(&mut engine, &other, usize::MAX);
        assert_eq!(score(&mut engine, &prompt, 5), at_once, "{name} after an edited prompt");
    });
}

/// What a prompt that was given up leaves in the cache does not change the next text, even where the length of the
/// prompt changes how its beginning is read (dynamic scaling and LongRoPE).
#[test]
fn a_prompt_given_up_leaves_no_trace() {
    every_model(|name, expected| {
        let long = ids(&expected["prompts"][3]["ids"]);
        let short = &long[..12];
        let fresh = score(&mut open(name), short, usize::MAX);
        let mut engine = open(name);
        let settings = config(&engine, &serde_json::json!({ "max_new_tokens": 1 })).unwrap();
        let mut generation = Generation::start(&mut engine, long.clone(), settings).unwrap();
        generation.advance(&mut engine, 10).unwrap();
        drop(generation);
        assert_eq!(score(&mut engine, short, usize::MAX), fresh, "{name}");
    });
}

/// The public 260 K-parameter story model writes what its reference implementation writes.
#[test]
fn stories260k_gives_its_reference_ids() {
    let (Some(model), Some(reference)) =
        (shared("checkpoints/stories260K.gguf"), shared("checkpoints/stories260K_greedy_ids.json"))
    else {
        return;
    };
    let reference: Value = serde_json::from_slice(&std::fs::read(reference).unwrap()).unwrap();
    let mut engine = Engine::open(Files::open(&model).unwrap()).unwrap();
    let wanted = ids(&reference["ids"]);
    let prompt = engine.encode_prompt("Once upon a time").unwrap();
    assert_eq!(prompt, ids(&reference["encode_Once_upon_a_time"]));
    // The reference begins before the prompt.
    let wanted = &wanted[prompt.len() - 1..];
    let settings = serde_json::json!({ "max_new_tokens": wanted.len(), "do_sample": false, "eos_token_id": [] });
    assert_eq!(generate(&mut engine, &prompt, &settings).unwrap()[0].ids, wanted);
}
