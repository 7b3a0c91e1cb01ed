//! Training: the same steps as PyTorch, gradients against finite differences, runs that go on as if they had never
//! stopped, and folders that open again. The fixtures are made by `tests/fixtures/make_training.py`.

mod common;

use inkling::convert::Source;
use inkling::files::Files;
use inkling::train::{Data, Finished, Plan, Recipe, Replay, Setup, Trainer, Vocabulary};
use inkling::{Engine, Error};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/training").join(name)
}

fn json(name: &str, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name).join(file)).unwrap()).unwrap()
}

fn words(name: &str, file: &str) -> Vec<u32> {
    let bytes = std::fs::read(folder(name).join(file)).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// The recipe and data of a fixture.
fn prepared(name: &str) -> (Recipe, Data) {
    let mut training = json(name, "training.json");
    let take =
        |training: &mut Value, key: &str| training.as_object_mut().unwrap().remove(key).unwrap().as_u64().unwrap();
    let held_out_documents = take(&mut training, "held_out_documents") as usize;
    let held_out_bytes = take(&mut training, "held_out_bytes") as usize;
    let recipe = Recipe { training: serde_json::from_value(training).unwrap(), ..Default::default() };
    let (ids, ends) = (words(name, "tokens.bin"), words(name, "documents.bin"));
    let mut documents = Vec::new();
    let mut start = 0;
    for end in ends {
        documents.push(ids[start..end as usize].to_vec());
        start = end as usize;
    }
    let trained = documents.split_off(held_out_documents);
    let mut data = Data { held_out: documents, held_out_bytes, ..Default::default() };
    for document in trained {
        data.tokens.extend(document);
        data.ends.push(data.tokens.len());
    }
    (recipe, data)
}

/// The fixture's model.
fn source(name: &str) -> Source {
    Source::open(Files::open(&folder(name)).unwrap()).unwrap()
}

/// A run from the fixture's weights, with some options changed.
fn trainer(name: &str, options: Value) -> Trainer {
    let (mut recipe, data) = prepared(name);
    let mut training = serde_json::to_value(&recipe.training).unwrap();
    for (key, value) in options.as_object().unwrap() {
        training[key] = value.clone();
    }
    recipe.training = serde_json::from_value(training).unwrap();
    let mut model = source(name);
    let setup = Setup::from_model(recipe, &mut model).unwrap();
    Trainer::from_model(setup, data, model).unwrap()
}

fn close(what: &str, found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() <= tolerance * wanted.abs().max(1e-3), "{what}: expected {wanted}, found {found}");
}

#[test]
fn steps_are_those_of_pytorch() {
    for name in ["gpt2", "llama", "gpt2_dropout", "llama_dropout", "gpt_neox", "phi3", "gemma3"] {
        let expected = json(name, "expected.json");
        let mut trainer = trainer(name, json!({}));
        for wanted in expected["steps"].as_array().unwrap() {
            let step = trainer.step().unwrap();
            close(&format!("{name} loss of step {}", step.step), step.loss, wanted["loss"].as_f64().unwrap(), 1e-5);
            close(
                &format!("{name} norm of step {}", step.step),
                step.grad_norm,
                wanted["grad_norm"].as_f64().unwrap(),
                1e-4,
            );
        }
        let evaluation = trainer.evaluate().unwrap();
        close("held-out nats", evaluation.nats_per_token, expected["nats_per_token"].as_f64().unwrap(), 1e-5);
        close("held-out bits", evaluation.bits_per_byte, expected["bits_per_byte"].as_f64().unwrap(), 1e-5);
        let bytes = std::fs::read(folder(name).join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.len(), trainer.variables().len(), "{name}: tensors");
        for (tensor, var) in trainer.variables().iter() {
            let view = file.tensor(tensor).unwrap();
            let wanted = view.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
            let found: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            // The softmax does not feel a shift of all keys: the gradient of their bias is rounding noise, which Adam
            // makes as long as any other.
            let noise = if tensor.ends_with("c_attn.bias") { found.len() / 3..2 * found.len() / 3 } else { 0..0 };
            for (i, (found, wanted)) in found.into_iter().zip(wanted).enumerate().filter(|(i, _)| !noise.contains(i)) {
                assert!((found - wanted).abs() < 1e-4, "{name} {tensor} {i}: expected {wanted}, found {found}");
            }
        }
    }
}

/// The loss over the first rows with one weight moved by `by`.
fn loss_with(trainer: &mut Trainer, tensor: &str, at: usize, by: f32) -> f64 {
    let var = trainer.variables().get(tensor).unwrap().clone();
    let before = var.as_tensor().copy().unwrap();
    let mut values: Vec<f32> = before.flatten_all().unwrap().to_vec1().unwrap();
    values[at] += by;
    let moved = candle_core::Tensor::from_vec(values, before.dims(), before.device()).unwrap();
    var.set(&moved).unwrap();
    let (_, loss) = trainer.gradients(0).unwrap();
    var.set(&before).unwrap();
    loss
}

#[test]
fn gradients_are_finite_differences() {
    for name in ["gpt2", "llama", "gpt2_dropout", "llama_dropout"] {
        let mut trainer = trainer(name, json!({}));
        let (gradients, _) = trainer.gradients(0).unwrap();
        let tensors: Vec<String> = trainer.variables().iter().map(|(name, _)| name.to_string()).collect();
        for (tensor, gradient) in tensors.iter().zip(gradients) {
            let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            // The largest of each tensor: small ones drown in the rounding of the loss.
            let at = (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs())).unwrap();
            let by = 2e-2;
            let slope = (loss_with(&mut trainer, tensor, at, by) - loss_with(&mut trainer, tensor, at, -by))
                / (2.0 * f64::from(by));
            let wanted = f64::from(gradient[at]);
            assert!((slope - wanted).abs() < 0.02 * wanted.abs() + 2e-4, "{name} {tensor}: {wanted} but slope {slope}");
        }
    }
}

#[test]
fn a_resumed_run_goes_on_to_the_bit() {
    for optim in ["adamw", "muon"] {
        let options = json!({ "optim": optim, "max_steps": 12, "eval_steps": 3 });
        let mut whole = trainer("gpt2", options.clone());
        let mut first = trainer("gpt2", options);
        let run = |trainer: &mut Trainer, steps: usize| {
            for _ in 0..steps {
                trainer.step().unwrap();
                if trainer.evaluation_due() {
                    trainer.evaluate().unwrap();
                }
            }
        };
        run(&mut whole, 10);
        run(&mut first, 5);
        let saved = first.checkpoint(json!({ "note": 1 })).unwrap();
        drop(first);
        let (mut second, notes) = Trainer::resume(&saved).unwrap();
        assert_eq!(notes, json!({ "note": 1 }));
        run(&mut second, 5);
        assert_eq!(whole.curve(), second.curve());
        assert_eq!(whole.checkpoint(Value::Null).unwrap(), second.checkpoint(Value::Null).unwrap());
        assert_eq!(whole.sample("", 8, 1).unwrap(), second.sample("", 8, 1).unwrap());
    }
}

#[test]
fn an_exported_folder_opens_and_gives_the_same() {
    for name in ["gpt2", "llama"] {
        let mut trainer = trainer(name, json!({}));
        trainer.step().unwrap();
        let evaluation = trainer.evaluate().unwrap();
        let mut files = Files::new();
        for file in trainer.export().unwrap() {
            files.insert(file.name, Box::new(Cursor::new(file.bytes)));
        }
        let mut engine = Engine::open(files).unwrap();
        let (recipe, data) = prepared(name);
        let length = recipe.training.sequence_length;
        let (mut nats, mut tokens) = (0f64, 0);
        for document in &data.held_out {
            for piece in document.windows(length + 1).step_by(length) {
                for (i, mut logits) in engine.all_logits(&piece[..length]).unwrap().into_iter().enumerate() {
                    inkling::sample::log_softmax(&mut logits).unwrap();
                    nats -= f64::from(logits[piece[i + 1] as usize]);
                    tokens += 1;
                }
            }
            let rest = (document.len() - 1) % length;
            let piece = &document[document.len() - 1 - rest..];
            if rest > 0 {
                for (i, mut logits) in engine.all_logits(&piece[..rest]).unwrap().into_iter().enumerate() {
                    inkling::sample::log_softmax(&mut logits).unwrap();
                    nats -= f64::from(logits[piece[i + 1] as usize]);
                    tokens += 1;
                }
            }
        }
        close(name, nats / f64::from(tokens), evaluation.nats_per_token, 1e-5);
    }
}

#[test]
fn dropout_is_drawn_anew_each_step_and_the_same_again() {
    let (recipe, data) = prepared("gpt2");
    let build = |p: f64| {
        let mut recipe = recipe.clone();
        recipe.model = json("gpt2", "config.json").as_object().unwrap().clone();
        recipe.model.insert("resid_pdrop".into(), json!(p));
        recipe.model.insert("embd_pdrop".into(), json!(p));
        recipe.model.insert("attn_pdrop".into(), json!(p));
        let tokenizer = std::fs::read_to_string(folder("gpt2").join("tokenizer.json")).unwrap();
        Trainer::new(Setup::new(recipe, tokenizer).unwrap(), data.clone()).unwrap()
    };
    let losses = |mut trainer: Trainer| (0..3).map(|_| trainer.gradients(0).unwrap().1).collect::<Vec<_>>();
    let (with, without) = (losses(build(0.3)), losses(build(0.0)));
    assert_eq!(with[0], with[1]);
    assert_ne!(with[0], without[0]);
    assert!((with[0] - without[0]).abs() < 0.2, "{with:?} {without:?}");
}

#[test]
fn a_run_that_diverges_keeps_its_weights() {
    let mut trainer = trainer(
        "gpt2",
        json!({ "learning_rate": 9.0, "warmup_steps": 0, "max_steps": 1000, "max_grad_norm": 0.0, "weight_decay": 9.0 }),
    );
    let values = |trainer: &Trainer| -> Vec<Vec<f32>> {
        trainer.variables().iter().map(|(_, var)| var.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    for _ in 0..200 {
        let before = values(&trainer);
        match trainer.step() {
            Ok(_) => continue,
            Err(error @ Error::Diverged { .. }) => {
                assert_eq!(error.code(), "diverged");
                assert_eq!(before, values(&trainer));
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("expected a rate of 9 to diverge");
}

#[test]
fn the_recipes_of_decoders_can_be_planned() {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models");
    for name in ["stories/recipe.toml", "poems/recipe.toml", "translator/decoder.toml"] {
        let text = std::fs::read_to_string(models.join(name)).unwrap();
        let recipe: Recipe = toml::from_str(&text).unwrap();
        let mut config = recipe.model.clone();
        config.insert("vocab_size".into(), json!(recipe.vocabulary.size));
        let plan = Plan::new(&config, &recipe.training, 1_000_000).unwrap();
        assert!((1_000_000..20_000_000).contains(&plan.parameters), "{name}: {}", plan.parameters);
    }
}

#[test]
fn what_a_model_to_train_on_from_says_is_used() {
    let (recipe, _) = prepared("gpt2");
    let setup = Setup::from_model(recipe, &mut source("gpt2")).unwrap();
    assert_eq!(setup.around(), (Some(0), Some(0)));
}

/// A model to train on from may lie in any file: its weights are those it reads with, its tokens the same, and what comes
/// of it is a Hugging Face folder.
#[test]
fn any_model_can_be_trained_on_from() {
    for name in [
        "gpt2-f16-legacy",
        "gpt2-bf16-sharded",
        "llama-gqa-biases",
        "gguf-gpt2-f16",
        "gguf-gpt2-untied-q8_0",
        "gguf-llama-llama3-bf16",
        "gguf-llama-q8_0",
        "gguf-llama-tied-linear-f16",
        "gguf-llama-yarn-q8_0",
        "gguf-qwen2-q8_0",
        "gpt2-chinese",
        "qwen3-wide-heads",
        "mistral-wide-heads",
        "gpt-neox-plain",
        "gpt-neox-one-after-the-other",
        "phi3-longrope",
        "smollm3-nope",
        "gemma3-linear",
        "gemma3-untied",
        "gguf-gptneox-q8_0",
        "gguf-phi3-q8_0",
        "gguf-smollm3-bf16",
        "gguf-gemma3-q8_0",
    ] {
        let folder = common::fixtures().join("models").join(name);
        let gguf = folder.join("model.gguf");
        let path = if gguf.exists() { gguf } else { folder };
        let open = || Files::open(&path).unwrap();
        let mut original = Engine::open(open()).unwrap();
        let mut model = Source::open(open()).unwrap();
        // A rate of 0 leaves the weights as they are.
        let recipe: Recipe = serde_json::from_value(json!({
            "training": { "learning_rate": 0.0, "sequence_length": 8, "batch_size": 2, "max_steps": 3 },
        }))
        .unwrap();
        let setup = Setup::from_model(recipe, &mut model).unwrap();
        let tokenizer = setup.open_tokenizer().unwrap();
        let text = "Once upon a time there was a <|endoftext|>";
        assert_eq!(tokenizer.encode_plain(text).unwrap(), original.tokenizer().encode_plain(text).unwrap(), "{name}");
        let documents = [text.to_string(), text.to_string()];
        let encode = |text: &str| tokenizer.encode_plain(text);
        let data = Data::new(encode, setup.around(), &documents, &documents).unwrap();
        let mut trainer = Trainer::from_model(setup, data, model).unwrap();
        trainer.step().unwrap();
        let (resumed, _) = Trainer::resume(&trainer.checkpoint(Value::Null).unwrap()).unwrap();
        for trainer in [trainer, resumed] {
            let mut files = Files::new();
            for file in trainer.export().unwrap() {
                files.insert(file.name, Box::new(Cursor::new(file.bytes)));
            }
            let mut exported = Engine::open(files).unwrap();
            let ids = original.encode_prompt(text).unwrap();
            assert_eq!(exported.encode_prompt(text).unwrap(), ids, "{name}");
            let whole = |engine: &Engine| engine.tokenizer().encode(text, true).unwrap();
            assert_eq!(whole(&exported), whole(&original), "{name}");
            assert_eq!(exported.bos_token_id(), original.bos_token_id(), "{name}");
            let (found, wanted) = (exported.logits(&ids).unwrap(), original.logits(&ids).unwrap());
            let rounding = common::rounding(&original.spec().quantization);
            common::assert_close(&found, &wanted, 1e-5 + rounding, name);
        }
    }
}

/// Gradients go through attention to all before a token; a window that cuts some off is said to be one.
#[test]
fn a_window_shorter_than_what_is_read_is_refused() {
    for (sequence_length, refused) in [(7, false), (8, true)] {
        let folder = common::fixtures().join("models/mistral-window");
        let mut model = Source::open(Files::open(&folder).unwrap()).unwrap();
        let recipe: Recipe = serde_json::from_value(json!({
            "training": { "sequence_length": sequence_length, "batch_size": 1, "max_steps": 1 },
        }))
        .unwrap();
        let setup = Setup::from_model(recipe, &mut model).unwrap();
        let text = ["Once upon a time there was a fox".to_string()];
        let tokenizer = setup.open_tokenizer().unwrap();
        let data = Data::new(|text: &str| tokenizer.encode_plain(text), setup.around(), &text, &text).unwrap();
        let step = Trainer::from_model(setup, data, model).unwrap().step();
        assert_eq!(step.err().map(|error| error.code()), refused.then_some("unsupported"));
    }
}

#[test]
fn impossible_sizes_are_refused_with_the_numbers() {
    let (recipe, _) = prepared("llama");
    let plan = |key: &str, value: Value| {
        let mut config = json("llama", "config.json").as_object().unwrap().clone();
        config.insert(key.into(), value);
        Plan::new(&config, &recipe.training, 1000).and_then(|plan| plan.check_memory(4 << 30))
    };
    assert!(plan("hidden_size", json!(24)).is_ok());
    assert_eq!(plan("num_hidden_layers", json!(2_000_000_000)).unwrap_err().code(), "bad_config");
    let error = plan("intermediate_size", json!(2_000_000_000)).unwrap_err();
    assert_eq!(error.code(), "out_of_memory");
    assert!(error.to_string().contains("4294967296"), "{error}");
}

#[test]
fn hostile_checkpoints_are_refused() {
    let saved = trainer("gpt2", json!({})).checkpoint(Value::Null).unwrap();
    let length = u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(saved[8..8 + length].to_vec()).unwrap();
    let resume = |from: &str, to: &str| {
        assert_eq!(header.matches(from).count(), 1, "{from}");
        let changed = header.replace(from, to);
        let mut bytes = (changed.len() as u64).to_le_bytes().to_vec();
        bytes.extend(changed.as_bytes());
        bytes.extend(&saved[8 + length..]);
        Trainer::resume(&bytes).err().map(|error| error.code())
    };
    assert_eq!(resume(r#"\"batch_size\":3"#, r#"\"batch_size\":3"#), None);
    for (from, to) in [
        (r#"\"batch_size\":3"#, r#"\"batch_size\":0"#),
        (r#"\"sequence_length\":10"#, r#"\"sequence_length\":0"#),
        (r#"\"gradient_accumulation_steps\":2"#, r#"\"gradient_accumulation_steps\":9999999999999"#),
        (r#"\"step\":0"#, r#"\"step\":77777"#),
    ] {
        assert!(matches!(resume(from, to), Some("bad_parameter" | "bad_file")), "{to}");
    }
}

#[test]
fn training_ends_at_the_last_step_or_when_nothing_gets_better() {
    let mut trainer = trainer(
        "gpt2",
        json!({ "max_steps": 4, "eval_steps": 1, "early_stopping_patience": 1, "learning_rate": 1e-30, "min_learning_rate": 0 }),
    );
    assert_eq!(trainer.finished(), None);
    trainer.step().unwrap();
    trainer.evaluate().unwrap();
    trainer.step().unwrap();
    trainer.evaluate().unwrap();
    assert_eq!(trainer.finished(), Some(Finished::EarlyStopping));
}

#[test]
fn the_vocabulary_of_a_resumed_run_can_be_watched_again() {
    let documents: Vec<String> =
        (0..40).map(|n| format!("The low tower number {n} is lower than the next. 塔")).collect();
    for kind in ["byte-level-bpe", "bpe", "characters"] {
        let recipe: Recipe = serde_json::from_value(json!({
            "vocabulary": { "kind": kind, "size": 300 },
            "model": { "model_type": "gpt2", "n_layer": 1, "n_head": 1, "n_embd": 4, "n_positions": 8 },
            "training": { "sequence_length": 8 },
        }))
        .unwrap();
        let vocabulary = Vocabulary::train(documents.iter().map(String::as_str), &recipe.vocabulary).unwrap();
        let setup = Setup::new(recipe, vocabulary.tokenizer_json().to_string()).unwrap();
        let data = Data::new(|text| vocabulary.encode(text), setup.around(), &documents, &documents[..1]).unwrap();
        let saved = Trainer::new(setup, data).unwrap().checkpoint(Value::Null).unwrap();
        let (resumed, _) = Trainer::resume(&saved).unwrap();
        assert_eq!(resumed.documents().unwrap(), documents);
        let (mut first, mut again) = (Replay::new(&vocabulary).unwrap(), Replay::of_run(&resumed).unwrap());
        assert_eq!(first.len(), again.len());
        assert_eq!(first.merges(0, first.len()), again.merges(0, again.len()));
        for merges in [0, first.len() / 2, first.len()] {
            assert_eq!(first.at(merges), again.at(merges), "{kind}");
            assert_eq!(first.pieces(merges, "lowest 塔").unwrap(), again.pieces(merges, "lowest 塔").unwrap());
        }
    }
}

#[test]
fn damaged_checkpoints_are_refused() {
    let bytes = trainer("gpt2", json!({})).checkpoint(Value::Null).unwrap();
    assert!(Trainer::resume(&bytes).is_ok());
    for end in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = Trainer::resume(&bytes[..end]).err().unwrap();
        assert_eq!(error.code(), "bad_file", "{error}");
    }
    let model = std::fs::read(folder("gpt2").join("model.safetensors")).unwrap();
    assert_eq!(Trainer::resume(&model).err().unwrap().code(), "bad_file");
}
