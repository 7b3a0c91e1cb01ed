//! Encoder-decoders against transformers (tests/fixtures/seq2seq), and the tokenizers that come with them
//! (tests/fixtures/tokenizers).

mod common;

use common::{assert_close, fixture, fixtures, generate, ids, numbers};
use inkling::files::Files;
use inkling::generate::{Event, Generation};
use inkling::inspect::{Wish, inspect};
use inkling::text::Tokenizer;
use inkling::{Engine, Error};
use serde_json::{Value, json};

const MODELS: [&str; 7] = [
    "t5-relu-tied",
    "t5-gated-untied-padded",
    "mt5-few-buckets",
    "marian-tied",
    "marian-two-vocabularies",
    "bart-large-like",
    "bart-scaled-untied",
];

fn open(name: &str) -> Engine {
    Engine::open(Files::open(&fixtures().join("seq2seq").join(name)).unwrap()).unwrap()
}

fn every(check: impl Fn(&str, &mut Engine, &Value)) {
    for name in MODELS {
        println!("{name}");
        check(name, &mut open(name), &fixture(&format!("seq2seq/{name}/expected.json")));
    }
}

#[test]
fn logits_are_those_of_transformers() {
    every(|name, engine, expected| {
        for prompt in expected["prompts"].as_array().unwrap() {
            let (source, target) = (ids(&prompt["ids"]), ids(&prompt["decoder_ids"]));
            let what = format!("{name}, {} tokens", source.len());
            let rows = engine.target_logits(&source, &target).unwrap();
            assert_close(rows.last().unwrap(), &numbers(&prompt["logits"]), 1e-4, &what);
            if !prompt["all_logits"].is_null() {
                assert_close(&rows.concat(), &numbers(&prompt["all_logits"]), 1e-4, &what);
                assert_close(&engine.logits(&source).unwrap(), &rows[0], 1e-5, &what);
            }
        }
    });
}

/// Greedy, beams, and the rules that real models of these families set, each by its own generation_config.json too.
#[test]
fn ids_are_those_of_transformers() {
    every(|name, engine, expected| {
        for case in expected["generated"].as_array().unwrap() {
            let source = ids(&expected["prompts"][case["prompt"].as_u64().unwrap() as usize]["ids"]);
            let found = generate(engine, &source, &case["config"]).unwrap();
            let wanted = case["sequences"].as_array().unwrap();
            assert_eq!(found.len(), wanted.len(), "{name} {}", case["config"]);
            for (found, wanted) in found.iter().zip(wanted) {
                assert_eq!(found.ids, ids(&wanted["ids"]), "{name} {}", case["config"]);
                if let (Some(score), Some(reference)) = (found.score, wanted["score"].as_f64()) {
                    let reference = reference as f32;
                    assert!(
                        (score - reference).abs() < 1e-3 * reference.abs().max(1.0),
                        "{name}: {score} for {reference}"
                    );
                }
            }
        }
    });
}

#[test]
fn a_text_is_read_and_written_as_transformers_does() {
    every(|name, engine, expected| {
        let case = &expected["text"];
        let source = engine.encode_prompt(case["text"].as_str().unwrap()).unwrap();
        assert_eq!(source, ids(&case["prompt_ids"]), "{name}");
        let found = generate(engine, &source, &json!({ "max_new_tokens": 12, "num_beams": 1 })).unwrap();
        assert_eq!(found[0].ids, ids(&case["ids"]), "{name}");
        let decoded = |skip| engine.tokenizer().decode(&found[0].ids, skip).unwrap();
        assert_eq!(decoded(false), case["decoded_with_special"].as_str().unwrap(), "{name}");
        assert_eq!(decoded(true), case["decoded"].as_str().unwrap(), "{name}");
        assert_eq!(found[0].text, decoded(true), "{name}");
    });
}

/// Attention and hidden states by the names of transformers.
#[test]
fn what_is_seen_inside_is_what_transformers_shows() {
    every(|name, engine, expected| {
        let prompt = &expected["prompts"][1];
        let options = json!({
            "target": prompt["decoder_ids"].as_array().unwrap()[1..], "attention": true, "crossAttentions": true,
            "encoderAttentions": true, "hiddenStates": true, "encoderHiddenStates": true, "logitLens": true, "norms": true,
        });
        let wish = Wish::from_json(options.as_object().unwrap()).unwrap();
        let source = ids(&prompt["ids"]);
        let found = inspect(engine, &source, &wish).unwrap();
        assert_eq!(found.ids, ids(&prompt["decoder_ids"]), "{name}");
        let pair = found.source.as_ref().unwrap();
        assert_eq!(pair.ids, source, "{name}");
        assert_close(&pair.cross_attentions, &numbers(&prompt["cross_attentions"]), 1e-4, name);
        assert_close(&pair.encoder_attentions, &numbers(&prompt["encoder_attentions"]), 1e-4, name);
        let within: Vec<f32> = found.attention.iter().flat_map(|matrix| matrix.values.clone()).collect();
        assert_close(&within, &numbers(&prompt["decoder_attentions"]), 1e-4, name);
        let width = engine.spec().hidden_size;
        let states = &pair.encoder_hidden_states;
        assert_eq!(states.len(), (engine.encoder().unwrap().layers + 1) * source.len() * width);
        assert_close(&states[states.len() - source.len() * width..], &numbers(&prompt["encoder_states"]), 1e-4, name);
        assert_close(&found.hidden_states, &numbers(&prompt["decoder_hidden_states"]), 1e-4, name);
        // What the last layer would say is what the model says.
        let last = found.lens.last().unwrap().last().unwrap();
        assert_eq!(last.top[0].id, found.top_k[0].id, "{name}");
        assert!((last.top[0].logit - found.top_k[0].logit).abs() < 1e-4 * last.top[0].logit.abs().max(1.0), "{name}");
    });
}

#[test]
fn without_a_target_the_text_is_written_first() {
    let mut engine = open("t5-relu-tied");
    let source = [7, 8, 9, 1];
    let wish = Wish::from_json(json!({ "crossAttentions": true }).as_object().unwrap()).unwrap();
    let found = inspect(&mut engine, &source, &wish).unwrap();
    let written = generate(&mut engine, &source, &json!({ "num_beams": 1 })).unwrap()[0].ids.clone();
    let n = found.ids.len();
    assert_eq!(found.ids[1..], written[..n - 1]);
    let seen = found.source.unwrap().cross_attentions;
    assert_eq!(seen.len(), engine.spec().layers * engine.spec().heads * n * source.len());
    assert!(seen.chunks(source.len()).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-4));
    for option in ["attribution", "internals"] {
        let value = if option == "internals" { json!({ "layer": 0, "head": 0, "position": 0 }) } else { json!(3) };
        let wish = Wish::from_json(json!({ option: value }).as_object().unwrap()).unwrap();
        assert!(matches!(inspect(&mut engine, &source, &wish), Err(Error::Unsupported { .. })), "{option}");
    }
    let wish = Wish::from_json(json!({ "target": "x" }).as_object().unwrap()).unwrap();
    assert!(matches!(inspect(&mut common::open("gpt2-plain"), &source, &wish), Err(Error::Unsupported { .. })));
}

/// Another source, the same one again, and beams in between: every text is written from its own source.
#[test]
fn sources_are_not_mixed() {
    let mut engine = open("marian-tied");
    let sources = [vec![5, 6, 7, 0], vec![9, 8, 0], vec![5, 6, 7, 0]];
    for beams in [1, 4] {
        let settings = json!({ "max_new_tokens": 8, "num_beams": beams });
        let fresh: Vec<_> = sources
            .iter()
            .map(|source| generate(&mut open("marian-tied"), source, &settings).unwrap()[0].ids.clone())
            .collect();
        let again: Vec<_> =
            sources.iter().map(|source| generate(&mut engine, source, &settings).unwrap()[0].ids.clone()).collect();
        assert_eq!(fresh, again);
        assert_ne!(fresh[0], fresh[1]);
    }
    // The second time its encoding is there already.
    let settings = common::config(&engine, &json!({ "max_new_tokens": 3, "num_beams": 1 })).unwrap();
    let reused = |engine: &mut Engine, source: &[u32]| {
        let mut generation = Generation::start(engine, source.to_vec(), settings.clone()).unwrap();
        loop {
            if let Event::Done { prompt_tokens, reused_tokens, .. } = generation.advance(engine, 1).unwrap() {
                assert_eq!(prompt_tokens, source.len());
                return reused_tokens;
            }
        }
    };
    assert_eq!(reused(&mut engine, &[5, 6, 7, 0]), 4);
    assert_eq!(reused(&mut engine, &[5, 6, 0]), 0);
}

#[test]
fn sampling_goes_by_the_seed() {
    let mut engine = open("bart-scaled-untied");
    let settings = |seed: u64| json!({ "do_sample": true, "seed": seed, "max_new_tokens": 12, "num_beams": 1, "num_return_sequences": 3 });
    let found: Vec<_> = [3, 3, 4]
        .map(|seed| {
            generate(&mut engine, &[7, 9, 11, 2], &settings(seed))
                .unwrap()
                .into_iter()
                .map(|s| s.ids)
                .collect::<Vec<_>>()
        })
        .into();
    assert_eq!(found[0], found[1]);
    assert_ne!(found[0], found[2]);
    assert_ne!(found[0][0], found[0][1]);
}

#[test]
fn texts_beyond_the_model_are_refused_with_numbers() {
    let mut engine = open("bart-scaled-untied");
    let limit = engine.encoder().unwrap().context_length;
    let long = vec![5; limit + 1];
    let refused = generate(&mut engine, &long, &json!({}));
    assert!(matches!(refused, Err(Error::ContextFull { limit: 64, found: 65 })), "{refused:?}");
    assert!(matches!(generate(&mut engine, &[], &json!({})), Err(Error::EmptyPrompt)));
    assert!(matches!(generate(&mut engine, &[99999], &json!({})), Err(Error::BadParameter { .. })));
    // A text ends where there is no more room, and not before.
    let found = generate(&mut engine, &[5, 6, 2], &json!({ "max_new_tokens": 500, "eos_token_id": [] })).unwrap();
    assert_eq!(found[0].ids.len(), limit);
    for what in [engine.all_logits(&[5, 6]).map(|_| ()), inkling::inspect::score(&mut engine, &[5, 6], 1).map(|_| ())] {
        assert!(matches!(what, Err(Error::Unsupported { .. })), "{what:?}");
    }
    assert!(matches!(common::open("gpt2-plain").target_logits(&[1], &[1]), Err(Error::Unsupported { .. })));
}

#[test]
fn keys_and_values_in_less_memory_change_little() {
    let mut engine = open("t5-gated-untied-padded");
    let source: Vec<u32> = (5..25).collect();
    let exact = engine.target_logits(&source, &[0, 9, 8]).unwrap().concat();
    for (kind, far) in [("f16", 2e-3), ("q8", 6e-2)] {
        engine.set_cache_type(kind.parse().unwrap());
        assert_close(&engine.target_logits(&source, &[0, 9, 8]).unwrap().concat(), &exact, far, kind);
    }
}

/// What a model says it can do.
#[test]
fn tasks_follow_from_the_configuration() {
    let tasks = |name: &str| open(name).tasks();
    assert_eq!(tasks("marian-tied"), ["translation"]);
    assert_eq!(tasks("t5-relu-tied"), ["text2text-generation", "translation", "summarization"]);
    assert_eq!(tasks("mt5-few-buckets"), ["text2text-generation"]);
    assert_eq!(tasks("bart-large-like"), ["summarization", "text2text-generation"]);
    assert_eq!(common::open("gpt2-plain").tasks(), ["text-generation"]);
    let languages = open("marian-tied").languages();
    assert_eq!((languages.source, languages.target), (vec!["en".to_string()], vec!["deu".into(), "fra".into()]));
    assert!(languages.tagged);
    let languages = open("t5-relu-tied").languages();
    assert_eq!((languages.source, languages.target), (vec!["en".to_string()], vec!["de".into(), "fr".into()]));
    let languages = open("marian-two-vocabularies").languages();
    assert_eq!((languages.source, languages.target), (vec!["en".to_string()], vec!["fr".into()]));
}

// ---- tokenizers -----------------------------------------------------------------------------------------------------

const TOKENIZERS: [&str; 4] = ["t5", "t5_model", "marian", "marian_separate"];

fn tokenizer(name: &str) -> Tokenizer {
    let mut files = Files::new();
    for file in std::fs::read_dir(fixtures().join("tokenizers").join(name)).unwrap() {
        let path = file.unwrap().path();
        let reader = std::fs::File::open(&path).unwrap();
        files.insert(path.file_name().unwrap().to_str().unwrap(), Box::new(reader));
    }
    Tokenizer::from_files(&mut files).unwrap()
}

#[test]
fn hard_texts_have_the_ids_of_transformers() {
    let texts = fixture("tokenizers/texts.json");
    for name in TOKENIZERS {
        let tokenizer = tokenizer(name);
        let expected = fixture(&format!("tokenizers/{name}/expected.json"));
        for (key, text) in texts.as_object().unwrap() {
            let (text, case) = (text.as_str().unwrap(), &expected["texts"][key]);
            assert_eq!(tokenizer.encode(text, true).unwrap(), ids(&case["ids"]), "{name} {key}");
            assert_eq!(tokenizer.encode(text, false).unwrap(), ids(&case["bare"]), "{name} {key}");
            assert_eq!(tokenizer.encode_plain(text).unwrap(), ids(&case["plain"]), "{name} {key}");
            let pieces = tokenizer.encode_with_offsets(text).unwrap();
            assert_eq!(pieces.iter().map(|piece| piece.id).collect::<Vec<_>>(), ids(&case["ids"]), "{name} {key}");
            for pair in pieces.windows(2) {
                assert!(pair[0].start <= pair[0].end && pair[0].start <= pair[1].start, "{name} {key} {pair:?}");
                assert!(text.get(pair[1].start..pair[1].end).is_some(), "{name} {key} {pair:?}");
            }
            if let Some(wanted) = case["text"].as_str() {
                assert_eq!(tokenizer.decode(&ids(&case["ids"]), true).unwrap(), wanted, "{name} {key}");
                let wanted = case["text_with_special"].as_str().unwrap();
                assert_eq!(tokenizer.decode(&ids(&case["ids"]), false).unwrap(), wanted, "{name} {key}");
            }
        }
    }
}

#[test]
fn any_ids_have_the_text_of_transformers_also_one_by_one() {
    for name in TOKENIZERS {
        let tokenizer = tokenizer(name);
        for case in fixture(&format!("tokenizers/{name}/expected.json"))["decoded"].as_array().unwrap() {
            let tokens = ids(&case["ids"]);
            assert_eq!(tokenizer.decode(&tokens, true).unwrap(), case["text"].as_str().unwrap(), "{name} {tokens:?}");
            let wanted = case["text_with_special"].as_str().unwrap();
            assert_eq!(tokenizer.decode(&tokens, false).unwrap(), wanted, "{name} {tokens:?}");
            let mut stream = tokenizer.stream();
            let parts: String = tokens.iter().map(|id| stream.push(*id).unwrap()).collect();
            assert_eq!(parts + &stream.finish(), case["text"].as_str().unwrap(), "{name} {tokens:?}");
        }
    }
}

/// Files cut short at every length and with every byte changed are read or refused, in bounded time and memory.
#[test]
fn damaged_sentencepiece_models_are_refused_or_harmless() {
    for (name, file) in [("t5_model", "spiece.model"), ("marian", "source.spm")] {
        let folder = fixtures().join("tokenizers").join(name);
        let whole = std::fs::read(folder.join(file)).unwrap();
        let read = |bytes: Vec<u8>| {
            let mut files = Files::new();
            for other in ["vocab.json", "tokenizer_config.json", "target.spm"] {
                if let Ok(bytes) = std::fs::read(folder.join(other)) {
                    files.insert(other, Box::new(std::io::Cursor::new(bytes)));
                }
            }
            files.insert(file, Box::new(std::io::Cursor::new(bytes)));
            if let Ok(tokenizer) = Tokenizer::from_files(&mut files) {
                let text = ">>fra<< The ﬁrst café\u{1} <br>  e\u{301} 龘 \u{0}x";
                let found = tokenizer.encode(text, true).unwrap();
                tokenizer.encode_with_offsets(text).unwrap();
                tokenizer.decode(&found, false).unwrap();
            }
        };
        for end in 0..whole.len() {
            read(whole[..end].to_vec());
        }
        for at in 0..whole.len() {
            for change in [0xff, 0x80, 0x01] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                read(bytes);
            }
        }
    }
}

#[test]
fn a_long_text_is_cut_in_little_time() {
    let began = std::time::Instant::now();
    for name in TOKENIZERS {
        let tokenizer = tokenizer(name);
        for text in
            ["The old town. ".repeat(15_000), "a".repeat(200_000), "é\u{301}".repeat(50_000), " ".repeat(200_000)]
        {
            assert!(tokenizer.encode(&text, true).unwrap().len() < 250_000, "{name}");
        }
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
