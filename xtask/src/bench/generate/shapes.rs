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
    /// Where optimum exports the graphs of transformers.js, and the weights beside them: the name of the task.
    pub export: Option<&'static str>,
    config: fn() -> Value,
}

pub const GPT2: Shape = Shape {
    name: "gpt2",
    title: "GPT-2 124M",
    vocabulary: 50_257,
    export: None,
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
    export: None,
    config: || {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 30,
            "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576, "intermediate_size": 1536,
            "max_position_embeddings": 8192, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 100_000.0,
            "tie_word_embeddings": true,
        })
    },
};

/// An encoder-decoder: it reads the prompt as a source and writes from nothing.
pub const T5: Shape = Shape {
    name: "t5",
    title: "T5-small shape",
    vocabulary: 32_128,
    export: Some("text2text-generation-with-past"),
    config: || {
        json!({
            "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "num_layers": 6,
            "num_decoder_layers": 6, "num_heads": 8, "d_model": 512, "d_kv": 64, "d_ff": 2048,
            "feed_forward_proj": "relu", "relative_attention_num_buckets": 32,
            "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6, "decoder_start_token_id": 0,
            "pad_token_id": 0, "is_encoder_decoder": true, "tie_word_embeddings": true,
        })
    },
};

/// An encoder: a text becomes one vector.
pub const MINILM: Shape = Shape {
    name: "minilm",
    title: "MiniLM-L6 shape",
    vocabulary: 30_522,
    export: Some("feature-extraction"),
    config: || {
        json!({
            "architectures": ["BertModel"], "model_type": "bert", "num_hidden_layers": 6, "num_attention_heads": 12,
            "hidden_size": 384, "intermediate_size": 1536, "max_position_embeddings": 514, "type_vocab_size": 2,
            "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0,
        })
    },
};

pub const SHAPES: [&Shape; 4] = [&GPT2, &SMOL, &T5, &MINILM];

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
