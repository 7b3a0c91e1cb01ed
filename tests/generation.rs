//! Parameters, rules and end conditions against transformers (tests/fixtures/generation).

mod common;

use common::{config, fixture, generate, ids, numbers, open};
use inkling::Error;
use inkling::layers::Activation;
use inkling::sample::{Context, GenerationConfig, apply_rules, log_softmax, softmax};
use serde_json::{Map, Value, json};

fn set(value: &Value) -> inkling::Result<GenerationConfig> {
    let mut config = GenerationConfig::default();
    config.merge(value.as_object().unwrap())?;
    Ok(config)
}

#[test]
fn every_rule_gives_the_distribution_of_transformers() {
    let cases = fixture("generation/processors.json");
    let tokens = ids(&cases["ids"]);
    let new_tokens = tokens.len() - cases["prompt_length"].as_u64().unwrap() as usize;
    for case in cases["cases"].as_array().unwrap() {
        let config = set(&case["config"]).unwrap();
        let mut scores = numbers(&cases["logits"][case["logits"].as_str().unwrap()]);
        if config.num_beams > 1 {
            log_softmax(&mut scores).unwrap();
        }
        apply_rules(&config, &Context { ids: &tokens, new_tokens, ..Context::default() }, &mut scores).unwrap();
        for (id, found) in softmax(&scores).unwrap().into_iter().enumerate() {
            let wanted = case["probabilities"][id.to_string()].as_f64().unwrap_or(0.0) as f32;
            assert!((found - wanted).abs() < 1e-5, "{case}: expected {wanted} for {id}, found {found}");
        }
    }
}

#[test]
fn what_transformers_refuses_is_refused() {
    let cases = fixture("generation/processors.json");
    let vocab = cases["vocab"].as_u64().unwrap() as usize;
    for case in cases["errors"].as_array().unwrap() {
        let result = set(case).and_then(|config| config.validate(vocab));
        assert!(matches!(result, Err(Error::BadParameter { .. })), "{case} was accepted");
    }
}

#[test]
fn limits_come_from_the_call_then_the_model_then_the_library() {
    let cases = fixture("generation/precedence.json");
    let mut engine = open(cases["model"].as_str().unwrap());
    for case in cases["cases"].as_array().unwrap() {
        let mut defaults = GenerationConfig::default();
        defaults.merge_model_defaults(case["generation_config"].as_object().unwrap()).unwrap();
        defaults.merge(case["call"].as_object().unwrap()).unwrap();
        let prompt = ids(&case["prompt_ids"]);
        let found = run(&mut engine, prompt, defaults);
        match case["sequences"].as_array() {
            Some(wanted) => {
                let found: Vec<_> = found.unwrap().into_iter().map(|s| s.ids).collect();
                assert_eq!(found, wanted.iter().map(ids).collect::<Vec<_>>(), "{case}");
            }
            None => assert!(matches!(found, Err(Error::BadParameter { .. })), "{case} was accepted"),
        }
    }
}

fn run(
    engine: &mut inkling::Engine,
    prompt: Vec<u32>,
    config: GenerationConfig,
) -> inkling::Result<Vec<inkling::generate::Finished>> {
    use inkling::generate::{Event, Generation};
    let mut generation = Generation::start(engine, prompt, config)?;
    loop {
        if let Event::Done { sequences, .. } = generation.advance(engine, usize::MAX)? {
            return Ok(sequences);
        }
    }
}

#[test]
fn stop_strings_stop_where_transformers_stops() {
    for case in fixture("generation/stop_strings.json")["cases"].as_array().unwrap() {
        let mut engine = open(case["model"].as_str().unwrap());
        let found = generate(&mut engine, &ids(&case["prompt_ids"]), &case["config"]).unwrap();
        assert_eq!(found[0].ids, ids(&case["ids"]), "{case}");
    }
}

#[test]
fn activations_are_those_of_transformers() {
    let cases = fixture("generation/activations.json");
    let x = numbers(&cases["x"]);
    let x = candle_core::Tensor::from_vec(x.clone(), x.len(), &candle_core::Device::Cpu).unwrap();
    for (name, wanted) in cases["y"].as_object().unwrap() {
        let found: Vec<f32> =
            Activation::parse("hidden_act", name).unwrap().forward(x.copy().unwrap()).unwrap().to_vec1().unwrap();
        for (found, wanted) in found.iter().zip(numbers(wanted)) {
            assert!((found - wanted).abs() < 1e-5 * wanted.abs().max(1.0), "{name}: expected {wanted}, found {found}");
        }
    }
    for name in cases["learned"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        assert!(matches!(Activation::parse("hidden_act", name), Err(Error::Unsupported { .. })), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_another() {
    let mut engine = open("llama-gqa-biases");
    let prompt = [5, 6, 7];
    let settings = |seed: u64| json!({ "do_sample": true, "seed": seed, "max_new_tokens": 24, "eos_token_id": [] });
    let first = generate(&mut engine, &prompt, &settings(1)).unwrap();
    // In between the cache is used for something else.
    generate(&mut engine, &[9, 8], &settings(3)).unwrap();
    let again = generate(&mut engine, &prompt, &settings(1)).unwrap();
    let other = generate(&mut engine, &prompt, &settings(2)).unwrap();
    assert_eq!(first[0].ids, again[0].ids);
    assert_ne!(first[0].ids, other[0].ids);
}

#[test]
fn several_sequences_of_one_call_differ_and_the_first_is_that_of_a_single_call() {
    let mut engine = open("gpt2-plain");
    let prompt = [5, 6, 7];
    let one = json!({ "do_sample": true, "seed": 4, "max_new_tokens": 16, "eos_token_id": [] });
    let mut three = one.clone();
    three["num_return_sequences"] = 3.into();
    let single = generate(&mut engine, &prompt, &one).unwrap();
    let several = generate(&mut engine, &prompt, &three).unwrap();
    assert_eq!(several.len(), 3);
    assert_eq!(single[0].ids, several[0].ids);
    assert_ne!(several[0].ids, several[1].ids);
    assert_ne!(several[1].ids, several[2].ids);
}

/// The draw follows the distribution: a chi-square test far from its limits, with a fixed seed.
#[test]
fn draws_follow_the_distribution() {
    let logits = [0.0f32, 1.0, 2.0, -1.0, f32::NEG_INFINITY];
    let probabilities = softmax(&logits).unwrap();
    let mut dice = inkling::sample::Dice::new(11, 0);
    let mut counts = [0u32; 5];
    let n = 20_000;
    for _ in 0..n {
        counts[inkling::sample::draw(&logits, &mut dice).unwrap() as usize] += 1;
    }
    assert_eq!(counts[4], 0);
    let chi_square: f32 = (0..4)
        .map(|i| {
            let wanted = probabilities[i] * n as f32;
            (counts[i] as f32 - wanted).powi(2) / wanted
        })
        .sum();
    // 99.9 % of samples stay below 16.3 with three degrees of freedom.
    assert!(chi_square < 16.3, "{counts:?} for {probabilities:?}");
}

#[test]
fn a_full_context_ends_the_text_with_that_reason() {
    use inkling::generate::FinishReason;
    let mut engine = open("gpt2-plain");
    let context = engine.spec().context_length;
    let prompt: Vec<u32> = (0..context as u32 - 4).map(|i| i % 50 + 3).collect();
    let settings = json!({ "max_new_tokens": 50, "eos_token_id": [] });
    let found = generate(&mut engine, &prompt, &settings).unwrap();
    assert_eq!(found[0].finish_reason, FinishReason::Context);
    // The last token is written but cannot be read any more.
    assert_eq!(prompt.len() + found[0].ids.len(), context + 1);
    let longer: Vec<u32> = (0..context as u32 + 1).map(|_| 5).collect();
    assert!(matches!(generate(&mut engine, &longer, &settings), Err(Error::ContextFull { .. })));
    // The engine is as usable as before.
    assert_eq!(
        generate(&mut engine, &[5, 6], &json!({ "max_new_tokens": 3, "eos_token_id": [] })).unwrap()[0].ids.len(),
        3
    );
}

#[test]
fn bad_parameters_are_named() {
    let mut engine = open("gpt2-plain");
    for (name, value) in [
        ("temperature", json!(0)),
        ("temperature", json!("hot")),
        ("top_p", json!(1.5)),
        ("top_k", json!(-1)),
        ("max_new_tokens", json!(0)),
        ("num_beams", json!(1e9)),
        ("bad_words_ids", json!([[99999]])),
        ("stop_strings", json!([""])),
        ("seed", json!(-3)),
        ("tempreature", json!(1)),
    ] {
        let error = generate(&mut engine, &[5], &Value::Object(Map::from_iter([(name.to_string(), value)])));
        match error {
            Err(error @ Error::BadParameter { .. }) => assert!(error.to_string().contains(name), "{error}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(matches!(generate(&mut engine, &[], &json!({})), Err(Error::EmptyPrompt)));
    assert!(matches!(generate(&mut engine, &[1 << 30], &json!({})), Err(Error::BadParameter { .. })));
}

#[test]
fn a_config_that_cannot_be_honoured_is_named() {
    let config = |engine: &inkling::Engine| config(engine, &json!({ "num_beams": 2, "num_return_sequences": 3 }));
    let engine = open("gpt2-plain");
    assert!(config(&engine).unwrap().validate(100).is_err());
    let mut defaults = GenerationConfig::default();
    let own = json!({ "epsilon_cutoff": 0.1, "transformers_version": "5" });
    let error = defaults.merge_model_defaults(own.as_object().unwrap()).unwrap_err();
    assert!(error.to_string().contains("epsilon_cutoff"), "{error}");
}
