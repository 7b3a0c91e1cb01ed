//! What is seen inside a model is what transformers computes there (`fixtures/make_inspection.py`), and what the model
//! itself computes with it in the end.

mod common;

use common::{assert_close, config, fixture, fixtures, generate, ids, numbers, open};
use inkling::inspect::{At, AttentionWish, Inspection, Lens, Which, Wish, continuations, inspect, report, score};
use inkling::{Engine, Error};
use serde_json::{Value, json};

fn wish(options: Value) -> Wish {
    Wish::from_json(options.as_object().unwrap()).unwrap()
}

/// Every fixture with an open engine.
fn every(check: impl Fn(&str, &mut Engine, &Value)) {
    let mut count = 0;
    for entry in std::fs::read_dir(fixtures().join("inspection")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_string();
        check(&name, &mut open(&name), &fixture(&format!("inspection/{name}.json")));
        count += 1;
    }
    assert!(count >= 5, "expected the committed fixtures, found {count}");
}

fn flat(rows: &Value) -> Vec<f32> {
    rows.as_array().unwrap().iter().flat_map(numbers).collect()
}

#[test]
fn attention_and_hidden_states_are_those_of_transformers() {
    every(|name, engine, expected| {
        let tokens = ids(&expected["ids"]);
        let found = inspect(engine, &tokens, &wish(json!({ "attention": true, "hiddenStates": true }))).unwrap();
        let heads = engine.spec().heads;
        for (layer, wanted) in expected["attention"].as_array().unwrap().iter().enumerate() {
            let of_layer: Vec<f32> =
                found.attention[layer * heads..][..heads].iter().flat_map(|matrix| matrix.values.clone()).collect();
            let wanted = flat(wanted);
            assert_eq!(of_layer.len(), wanted.len());
            for (i, (found, wanted)) in of_layer.iter().zip(&wanted).enumerate() {
                assert!(
                    (found - wanted).abs() < 1e-4,
                    "{name}, layer {layer}: expected {wanted} at {i}, found {found}"
                );
            }
        }
        let states: Vec<f32> = expected["hidden_states"].as_array().unwrap().iter().flat_map(flat).collect();
        assert_close(&found.hidden_states, &states, 1e-4, name);
    });
}

#[test]
fn the_lens_and_the_attribution_are_those_of_transformers() {
    every(|name, engine, expected| {
        let tokens = ids(&expected["ids"]);
        let best = expected["best"].as_u64().unwrap();
        let found = inspect(engine, &tokens, &wish(json!({ "logitLens": true, "attribution": best }))).unwrap();
        let lens = expected["lens"].as_array().unwrap();
        assert_eq!(found.lens.len(), lens.len());
        for (layer, (found, wanted)) in found.lens.iter().zip(lens).enumerate() {
            for (cell, wanted) in found.iter().zip(wanted.as_array().unwrap()) {
                let top = &cell.top[0];
                assert!(
                    (f64::from(top.probability) - wanted[1].as_f64().unwrap()).abs() < 1e-4,
                    "{name}, layer {layer}"
                );
                assert_eq!(u64::from(top.id), wanted[0].as_u64().unwrap(), "{name}, layer {layer}: {}", cell.position);
            }
        }
        let attribution = found.attribution.unwrap();
        let values: Vec<f32> = attribution.parts.iter().map(|part| part.value).collect();
        let mut wanted = numbers(&expected["attribution"]);
        if values.len() > wanted.len() {
            // Embeddings of tokens and positions are told apart here.
            let together = values[0] + values[1];
            assert!((together - wanted[0]).abs() < 1e-3, "{name}: {together} for {}", wanted[0]);
            wanted.splice(0..1, values[..2].to_vec());
        }
        assert_close(&values, &wanted, 1e-4, name);
        let sum: f32 = values.iter().sum();
        assert!(
            (sum - attribution.logit).abs() < 1e-3,
            "{name}: parts add up to {sum}, the logit is {}",
            attribution.logit
        );
    });
}

#[test]
fn a_text_is_as_likely_as_transformers_finds_it() {
    every(|name, engine, expected| {
        let tokens = ids(&expected["ids"]);
        let scored = score(engine, &tokens, 3).unwrap();
        let found: Vec<f32> = scored.iter().filter_map(|s| s.expected.as_ref()).map(|e| e.probability.ln()).collect();
        assert_close(&found, &numbers(&expected["log_probabilities"]), 1e-4, name);
        assert!(scored[0].expected.is_none());
        for expected in scored.iter().filter_map(|s| s.expected.as_ref()) {
            assert_eq!(expected.top.len(), 3);
            assert!(expected.rank > 0 || expected.probability == expected.top[0].probability);
        }
        // The last tokens as a way to go on, beside another way.
        let (before, after) = tokens.split_at(10);
        let ways = [after.to_vec(), vec![after[0]], vec![tokens[3], tokens[4]]];
        let sums = continuations(engine, before, &ways).unwrap();
        let whole: f32 = found[9..].iter().sum();
        assert!((sums[0] - whole).abs() < 1e-3, "{name}: {} for {whole}", sums[0]);
        assert!((sums[1] - found[9]).abs() < 1e-4);
        assert!(sums[2] < 0.0);
    });
}

/// The numbers of one token can be followed by hand from the embedding to the logit.
#[test]
fn the_numbers_of_a_block_add_up() {
    every(|name, engine, expected| {
        let tokens = ids(&expected["ids"]);
        let spec = engine.spec().clone();
        let (layer, head, position) = (spec.layers - 1, spec.heads - 1, 6);
        let options = json!({
            "internals": { "layer": layer, "head": head, "position": position },
            "attention": [{ "layer": layer, "head": head }], "topK": 1,
        });
        let found = inspect(engine, &tokens[..=position], &wish(options)).unwrap();
        let inside = found.internals.as_ref().unwrap();
        assert_eq!(inside.at, At { layer, head, position });
        let vector = |name: &str| &inside.vectors.iter().find(|(found, _)| *found == name).unwrap().1;
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let near = |a: f32, b: f32, what: &str| {
            assert!((a - b).abs() < 1e-3 * b.abs().max(1.0), "{name}, {what}: {a} for {b}")
        };
        // Scores: of the last layer, whose scale is that of the form unless it depends on the layer.
        if name != "gpt2-inverse-layer" {
            let scores = vector("scores");
            let most = scores.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            let sum: f32 = scores.iter().map(|s| (s - most).exp()).sum();
            for (k, score) in scores.iter().enumerate() {
                let key = &inside.keys[k * spec.head_dim..][..spec.head_dim];
                near(*score, dot(vector("query"), key) * spec.form.attention_scale, "score");
                near(inside.weights[k], (score - most).exp() / sum, "weight");
            }
        }
        assert_eq!(inside.weights, found.attention[0].values[position * (position + 1)..][..=position]);
        for (d, out) in vector("heads").iter().enumerate() {
            let column: Vec<f32> = inside.values.chunks(spec.head_dim).map(|value| value[d]).collect();
            near(*out, dot(&inside.weights, &column), "head");
        }
        for (i, middle) in vector("middle").iter().enumerate() {
            near(*middle, vector("stream")[i] + vector("attention")[i], "residual");
        }
        assert_eq!(vector("inner").len(), spec.form.inner_size);
        near(found.top_k[0].logit, dot(vector("norm"), vector("unembedding")), "logit");
    });
}

/// A head that is off adds nothing, and everything after it changes; the engine itself does not.
#[test]
fn heads_can_be_switched_off() {
    let mut engine = open("gpt2-plain");
    let tokens: Vec<u32> = (5..25).collect();
    let whole = inspect(&mut engine, &tokens, &Wish::default()).unwrap();
    let all: Vec<(usize, usize)> = (0..4).map(|head| (1, head)).collect();
    let options = json!({ "internals": { "layer": 1, "head": 2, "position": 19 }, "without": all });
    let off = inspect(&mut engine, &tokens, &wish(options)).unwrap();
    let inside = off.internals.as_ref().unwrap();
    let heads = &inside.vectors.iter().find(|(name, _)| *name == "heads").unwrap().1;
    assert!(heads.iter().all(|value| *value == 0.0));
    assert_ne!(off.top_k[0].logit, whole.top_k[0].logit);
    let again = inspect(&mut engine, &tokens, &Wish::default()).unwrap();
    assert_eq!(again.top_k, whole.top_k);
    assert_eq!(again.top_k[0].logit, *engine.logits(&tokens).unwrap().iter().max_by(|a, b| a.total_cmp(b)).unwrap());
}

#[test]
fn heads_together_and_in_small() {
    let mut engine = open("llama-gqa-biases");
    let tokens: Vec<u32> = (5..30).collect();
    let n = tokens.len();
    let some = json!({ "attention": [{ "layer": 1, "head": "mean" }, { "layer": 1, "head": "max" }], "overview": 5 });
    let found = inspect(&mut engine, &tokens, &wish(some)).unwrap();
    let all = inspect(&mut engine, &tokens, &wish(json!({ "attention": true }))).unwrap();
    let heads = engine.spec().heads;
    let at = |head: usize, i: usize| all.attention[heads + head].values[i];
    for i in 0..n * n {
        let each = (0..heads).map(|head| at(head, i));
        assert!((found.attention[0].values[i] - each.clone().sum::<f32>() / heads as f32).abs() < 1e-6);
        assert_eq!(found.attention[1].values[i], each.fold(0.0, f32::max));
    }
    let overview = found.overview.unwrap();
    assert_eq!((overview.cells, overview.values.len()), (5, 2 * heads * 25));
    let most = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
    assert_eq!(most(&overview.values[..25]), most(&all.attention[0].values));
    let first = (1..n).map(|q| all.attention[0].values[q * n]).sum::<f32>() / (n - 1) as f32;
    assert!((overview.habits[0] - first).abs() < 1e-6);
}

/// The choice that is shown is the one that generation makes, token after token.
#[test]
fn the_choice_shown_is_the_choice_made() {
    let mut engine = open("gpt2-plain");
    let prompt: Vec<u32> = (20..30).collect();
    let settings = json!({
        "do_sample": true, "temperature": 1.4, "top_k": 30, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.2,
        "seed": 11, "max_new_tokens": 12, "eos_token_id": [],
    });
    let written = generate(&mut engine, &prompt, &settings).unwrap()[0].ids.clone();
    let config = config(&engine, &settings).unwrap();
    let mut text = prompt.clone();
    for (step, id) in written.iter().enumerate() {
        let choice = engine.choice(&text, step, &config, 5).unwrap();
        let draw = choice.draw.unwrap();
        assert_eq!(draw.id, *id, "token {step}");
        let drawn = choice.survivors.iter().find(|s| s.id == *id).unwrap();
        assert!(drawn.from <= draw.uniform && draw.uniform < drawn.to + 1e-6);
        let names: Vec<_> = choice.stages.iter().map(|stage| stage.name).collect();
        assert_eq!(names, ["logits", "repetition_penalty", "temperature", "top_k", "top_p", "min_p"]);
        assert!(choice.stages.windows(2).all(|pair| pair[1].kept <= pair[0].kept));
        assert!(choice.stages[3].kept <= 30 && choice.stages[3].removed > 0.0);
        text.push(*id);
    }
    let greedy = engine.choice(&prompt, 0, &engine.defaults().clone(), 1).unwrap();
    let first = generate(&mut engine, &prompt, &json!({ "max_new_tokens": 1 })).unwrap()[0].ids[0];
    assert_eq!((greedy.greedy, greedy.draw.is_none()), (first, true));
}

#[test]
fn quantized_models_show_what_they_compute() {
    for name in ["gguf-qwen3-q8_0", "gguf-gpt2-untied-q8_0"] {
        let mut engine = open(name);
        let tokens: Vec<u32> = (5..30).collect();
        let options =
            json!({ "attention": true, "logitLens": { "top": 2, "positions": [24] }, "norms": true, "map": true });
        let found = inspect(&mut engine, &tokens, &wish(options)).unwrap();
        for row in found.attention[3].values.chunks(25) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert_eq!(found.norms.len(), 3 * 25);
        assert_eq!(found.map.len(), 3 * 25 * 2);
        let last = &found.lens[2][0];
        assert_eq!((last.top[0].id, last.rank), (found.top_k[0].id, 0));
        assert!((last.top[0].logit - found.top_k[0].logit).abs() < 1e-3 * found.top_k[0].logit.abs());
    }
}

#[test]
fn embeddings_have_neighbours() {
    let engine = open("gpt2-plain");
    let found = engine.neighbors(40, 8).unwrap();
    assert_eq!(found.len(), 8);
    assert!(found.windows(2).all(|pair| pair[0].similarity >= pair[1].similarity));
    assert!(found.iter().all(|n| n.id != 40 && n.similarity <= 1.0 + 1e-5));
    // It is mutual.
    let back = engine.neighbors(found[0].id, 280).unwrap();
    let mutual = back.iter().find(|n| n.id == 40).unwrap();
    assert!((mutual.similarity - found[0].similarity).abs() < 1e-5);
    assert!(matches!(engine.neighbors(100_000, 3), Err(Error::BadParameter { .. })));
}

#[test]
fn what_cannot_be_seen_is_refused_by_name() {
    let mut engine = open("gpt2-plain");
    let tokens = [5, 6, 7];
    for (options, word) in [
        (json!({ "attention": [{ "layer": 2, "head": 0 }] }), "layer"),
        (json!({ "attention": [{ "layer": 0, "head": 4 }] }), "head"),
        (json!({ "logitLens": { "positions": [3] } }), "position"),
        (json!({ "internals": { "layer": 0, "head": 0, "position": 9 } }), "position"),
        (json!({ "attribution": 4_000_000 }), "attribution"),
        (json!({ "without": [[7, 0]] }), "layer"),
    ] {
        match inspect(&mut engine, &tokens, &wish(options.clone())) {
            Err(Error::BadParameter { name, .. }) => assert_eq!(name, word, "{options}"),
            other => panic!("{options}: {:?}", other.map(|found| found.ids)),
        }
    }
    for options in [
        json!({ "attention": 3 }),
        json!({ "topK": -1 }),
        json!({ "overview": 1000 }),
        json!({ "logitLens": { "positions": "all" } }),
        json!({ "inside": true }),
    ] {
        assert!(matches!(Wish::from_json(options.as_object().unwrap()), Err(Error::BadParameter { .. })), "{options}");
    }
    assert!(matches!(inspect(&mut engine, &[], &Wish::default()), Err(Error::EmptyPrompt)));
    let long: Vec<u32> = vec![5; 97];
    assert!(matches!(inspect(&mut engine, &long, &Wish::default()), Err(Error::ContextFull { .. })));
}

/// The options of JavaScript are those of Rust, and what comes back has its arrays in their places.
#[test]
fn options_and_answers_in_json() {
    let read = wish(json!({
        "topK": 3.0, "attention": [{ "layer": 1, "head": "max" }], "logitLens": { "top": 4, "positions": [0, 2] },
        "internals": { "layer": 1, "head": 3, "position": 2 }, "without": [[0, 1]], "norms": true, "overview": null,
    }));
    assert_eq!(read.attention, AttentionWish::Some(vec![(1, Which::Max)]));
    assert_eq!(read.lens, Some(Lens { top: 4, positions: Some(vec![0, 2]) }));
    let mut engine = open("gpt2-plain");
    let found: Inspection = inspect(&mut engine, &[5, 6, 7], &read).unwrap();
    let json = report::json(&engine, &found);
    assert_eq!(json["topK"].as_array().unwrap().len(), 3);
    assert_eq!(json["attention"][0], json!({ "layer": 1, "head": "max", "values": null }));
    let arrays = report::arrays(&engine, &found);
    let paths: Vec<String> = arrays.iter().map(|array| array.path.join("/")).collect();
    for wanted in ["attention/0/values", "norms", "internals/keys", "internals/unembedding"] {
        assert!(paths.iter().any(|path| path == wanted), "{wanted} among {paths:?}");
    }
    for array in &arrays {
        assert_eq!(array.shape.iter().product::<usize>(), array.values.len(), "{:?}", array.path);
    }
    assert_eq!(report::nested(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), json!([[1.0, 2.0], [3.0, 4.0]]));
}

#[test]
fn tokens_are_explained_by_their_merges() {
    let engine = open("gpt2-plain");
    let tokens = engine.tokenizer().explain(" the quick \u{1F600}").unwrap();
    assert_eq!((tokens[0].token.as_str(), tokens[0].bytes.as_slice()), ("Ġthe", b" the".as_slice()));
    let merges: Vec<String> = tokens[0].merges.iter().map(|m| format!("{}+{}", m.left, m.right)).collect();
    assert_eq!(merges, ["h+e", " +t", " t+he"]);
    // An emoji of four bytes is four tokens of one byte, with one place in the text.
    assert!(tokens.iter().filter(|token| token.bytes.len() == 1 && token.piece.end == 15).count() >= 3, "{tokens:?}");
    let told = report::explained(&tokens, &|at| 100 + at);
    assert_eq!((told[0]["start"].as_u64(), told[0]["merges"][1]["rank"].as_u64()), (Some(100), Some(1)));
}
