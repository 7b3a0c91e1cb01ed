//! Configurations and checkpoints that do not fit: each is refused with the name of what is wrong.

mod common;

use common::fixtures;
use inkling::files::Files;
use inkling::{Engine, Error};
use serde_json::{Value, json};
use std::io::Cursor;

/// Opens a fixture after its config.json was changed by `change`.
fn with_config(model: &str, change: impl FnOnce(&mut Value)) -> Result<Engine, Error> {
    let folder = fixtures().join("models").join(model);
    let mut files = Files::new();
    let mut change = Some(change);
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        let mut bytes = std::fs::read(folder.join(name)).unwrap();
        if name == "config.json" {
            let mut config: Value = serde_json::from_slice(&bytes).unwrap();
            change.take().unwrap()(&mut config);
            bytes = config.to_string().into_bytes();
        }
        files.insert(name, Box::new(Cursor::new(bytes)));
    }
    Engine::open(files)
}

/// Changes one field and expects an error of this code that names `named`.
fn refused(model: &str, field: &str, value: Value, code: &str, named: &str) {
    let what = format!("{model} with {field} = {value}");
    let error =
        with_config(model, |config| config[field] = value).err().unwrap_or_else(|| panic!("{what} was accepted"));
    assert_eq!(error.code(), code, "{what}: {error}");
    assert!(error.to_string().contains(named), "{what}: {error}");
}

#[test]
fn impossible_values_are_named() {
    for (field, value) in [
        ("n_head", json!(0)),
        ("n_head", json!(7)),
        ("n_layer", json!(-1)),
        ("n_embd", json!("wide")),
        ("n_positions", json!(1e18)),
        ("layer_norm_epsilon", json!(0)),
        ("scale_attn_weights", json!("yes")),
    ] {
        refused("gpt2-plain", field, value, "bad_config", field);
    }
    for (field, value) in [
        ("num_attention_heads", json!(0)),
        ("num_key_value_heads", json!(3)),
        ("head_dim", json!(7)),
        ("rms_norm_eps", json!(-1)),
    ] {
        refused("llama-gqa-biases", field, value, "bad_config", field);
    }
    for (model, field, value) in [
        ("mistral-window", "sliding_window", json!(0)),
        ("qwen2-windows", "layer_types", json!(["full_attention"])),
        ("smollm3-nope", "no_rope_layers", json!([1])),
        ("smollm3-nope", "no_rope_layers", json!("every fourth")),
        ("gpt-neox-plain", "num_attention_heads", json!(5)),
        ("phi3-longrope", "partial_rotary_factor", json!(0.0)),
        ("phi3-longrope", "partial_rotary_factor", json!(1e300)),
        ("gpt-neox-plain", "rotary_pct", json!(1.5)),
        ("gemma3-untied", "num_key_value_heads", json!(3)),
    ] {
        let named = if field == "rotary_pct" { "partial_rotary_factor" } else { field };
        refused(model, field, value, "bad_config", named);
    }
}

#[test]
fn what_is_not_honoured_is_named() {
    for (field, value) in [
        ("activation_function", json!("prelu")),
        ("quantization_config", json!({ "bits": 4 })),
        ("attention_multiplier", json!(0.5)),
    ] {
        refused("gpt2-plain", field, value, "unsupported", field);
    }
    refused("gpt2-plain", "model_type", json!("mamba"), "unsupported", "mamba");
    let rope = |kind: &str| json!({ "rope_type": kind, "factor": 2.0 });
    refused("llama-gqa-biases", "rope_scaling", rope("spiral"), "unsupported", "spiral");
    refused("llama-gqa-biases", "rope_scaling", json!({ "rope_type": "linear" }), "bad_config", "factor");
    refused("llama-gqa-biases", "use_sliding_window", json!(true), "unsupported", "use_sliding_window");
    let layers = json!(["full_attention", "sliding_attention"]);
    refused("llama-gqa-biases", "layer_types", layers.clone(), "unsupported", "layer_types");
    refused("mistral-wide-heads", "layer_types", layers, "unsupported", "layer_types");
    refused("qwen2-windows", "layer_types", json!(["chunked_attention"]), "unsupported", "chunked_attention");
    refused("phi3-longrope", "rope_scaling", rope("linear"), "unsupported", "linear");
    refused("gemma3-untied", "use_bidirectional_attention", json!(true), "unsupported", "use_bidirectional_attention");
    let partial = json!({ "rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5 });
    refused("llama-gqa-biases", "rope_scaling", partial, "unsupported", "partial_rotary_factor");
}

#[test]
fn neutral_fields_are_accepted() {
    let neutral = |config: &mut Value| {
        config["quantization_config"] = Value::Null;
        config["logits_scaling"] = json!(1.0);
        config["use_sliding_window"] = json!(false);
        config["some_note_of_a_trainer"] = json!("kept");
    };
    assert!(with_config("llama-gqa-biases", neutral).is_ok());
}

#[test]
fn tensors_that_do_not_fit_the_configuration_are_named() {
    refused("gpt2-plain", "n_inner", json!(8), "bad_tensor", "mlp.c_fc.weight");
    refused("gpt2-plain", "n_layer", json!(40), "missing_tensor", "h.");
    refused("gpt2-plain", "vocab_size", json!(1), "bad_tensor", "wte.weight");
    refused("gpt2-plain", "tie_word_embeddings", json!(false), "missing_tensor", "lm_head.weight");
}

#[test]
fn a_tokenizer_with_more_tokens_than_the_model_is_refused() {
    let folder = fixtures().join("models/gpt2-plain");
    let mut files = Files::open(&folder).unwrap();
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(folder.join("tokenizer.json")).unwrap()).unwrap();
    tokenizer["model"]["vocab"]["surplus"] = json!(100_000);
    files.insert("tokenizer.json", Box::new(Cursor::new(tokenizer.to_string().into_bytes())));
    let error = Engine::open(files).err().unwrap();
    assert_eq!(error.code(), "bad_tokenizer", "{error}");
}

#[test]
fn a_long_prompt_is_refused_with_both_numbers() {
    let mut engine = common::open("gpt2-plain");
    let ids = engine.encode_prompt(&"word ".repeat(200_000)).unwrap();
    let error = common::generate(&mut engine, &ids, &json!({})).unwrap_err();
    assert_eq!(error.code(), "context_full");
    assert!(error.to_string().contains(&engine.spec().context_length.to_string()), "{error}");
    assert!(error.to_string().contains(&ids.len().to_string()), "{error}");
}
