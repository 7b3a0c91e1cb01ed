//! The models that are measured: full-size shapes with seeded random weights, in the formats people use. Speed does not
//! depend on the values; what such a model writes means nothing.
use inkling::kernels::Format;
use serde_json::{Map, Value, json};

/// A model's shape.
pub struct Shape {
    /// Its folder, and the first part of names.
    pub name: &'static str,
    pub title: &'static str,
    pub vocabulary: usize,
    config: fn() -> Value,
}

pub const GPT2: Shape = Shape {
    name: "gpt2",
    title: "GPT-2 124M",
    vocabulary: 50_257,
    config: || {
        json!({
            "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": 12, "n_head": 12, "n_embd": 768,
            "n_positions": 1024, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
            "tie_word_embeddings": true,
        })
    },
};

/// A width that blocks of 256 values do not divide.
pub const SMOL: Shape = Shape {
    name: "smol",
    title: "SmolLM2-135M shape",
    vocabulary: 49_152,
    config: || {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 30,
            "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576, "intermediate_size": 1536,
            "max_position_embeddings": 8192, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 100_000.0,
            "tie_word_embeddings": true,
        })
    },
};

impl Shape {
    /// Its config.json; a text begins and ends with the last token.
    pub fn config(&self) -> Map<String, Value> {
        let Value::Object(mut config) = (self.config)() else { return Map::new() };
        let end = json!(self.vocabulary - 1);
        config.insert("vocab_size".into(), json!(self.vocabulary));
        config.extend([("bos_token_id".to_string(), end.clone()), ("eos_token_id".to_string(), end)]);
        config
    }
}

/// How the matrices of a model are stored.
#[derive(Clone, Copy, PartialEq)]
pub enum Storage {
    /// All in one format, as far as it can hold them.
    Plain(Format),
    /// llama.cpp's mixture of that name.
    Q4KM,
}

impl Storage {
    /// As file names have it.
    pub fn name(self) -> String {
        match self {
            Self::Plain(format) => format.name().to_lowercase(),
            Self::Q4KM => "q4_k_m".into(),
        }
    }
}
