//! GPT-NeoX (Black et al. 2022), of which Pythia is the best known, as `GPTNeoXForCausalLM` computes it: attention and the
//! feed-forward part read the stream side by side, and only a part of each head turns.

mod conversion;

use super::config::{count, positive, product, refuse_all_but, vocab_size};
use super::loader::{Bias, HEADS, Layout};
use super::rope::{self, Style};
use super::{Architecture, Decoder, Fields, Form, Loader, Pass, Site, Spec};
use crate::error::{Error, Result};
use crate::kernels::attention::{Heads, Reach};
use crate::layers::{Activation, Embedding, Input, Linear, Norm, Outputs, Rotary};
use candle_core::Tensor;

pub const ARCHITECTURE: Architecture = Architecture {
    name: "gpt_neox",
    gguf: GGUF,
    gguf_names: &[
        ("embed_in", "token_embd"),
        ("final_layer_norm", "output_norm"),
        (HEADS[1], "output"),
        ("input_layernorm", "attn_norm"),
        ("attention.query_key_value", "attn_qkv"),
        ("attention.dense", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.dense_h_to_4h", "ffn_up"),
        ("mlp.dense_4h_to_h", "ffn_down"),
    ],
    bos_token_id: Some(0),
    eos_token_id: Some(2),
    load,
    conversion: conversion::CONVERSION,
};

const GGUF: &str = "gptneox";

/// `rope_theta` is called otherwise outside of `rope_parameters`, and so is the part that turns.
const ROPE: Style = Style { theta: ("rotary_emb_base", 10000.0), part: Some(("rotary_pct", 0.25)), ..rope::USUAL };

/// The fields of the configuration that decide the result, by their Hugging Face names.
struct Config {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    head_dim: usize,
    hidden_act: Activation,
    layer_norm_eps: f32,
    attention_bias: Bias,
    use_parallel_residual: bool,
    tie_word_embeddings: bool,
    attention_dropout: f32,
    hidden_dropout: f32,
    rotary: Rotary,
}

impl Config {
    fn from_json(fields: &Fields) -> Result<Self> {
        fields.refuse_all_but(&["use_parallel_residual"])?;
        let hidden_size = fields.count(&["hidden_size"], Some(6144))?;
        let heads = fields.count(&["num_attention_heads"], Some(64))?;
        let max_position_embeddings = fields.count(&["max_position_embeddings"], Some(2048))?;
        let head_dim = head_dim(hidden_size, heads)?;
        let bias = if fields.bool(&["attention_bias"], true)? { Bias::Yes } else { Bias::No };
        Ok(Self {
            vocab_size: fields.count(&["vocab_size"], Some(50432))?,
            max_position_embeddings,
            hidden_size,
            intermediate_size: fields.count(&["intermediate_size"], Some(24576))?,
            num_hidden_layers: fields.count(&["num_hidden_layers"], Some(44))?,
            num_attention_heads: heads,
            head_dim,
            hidden_act: Activation::parse("hidden_act", fields.str(&["hidden_act"])?.unwrap_or("gelu"))?,
            layer_norm_eps: fields.positive(&["layer_norm_eps"])?.unwrap_or(1e-5),
            attention_bias: bias,
            use_parallel_residual: fields.bool(&["use_parallel_residual"], true)?,
            tie_word_embeddings: fields.bool(&["tie_word_embeddings"], false)?,
            attention_dropout: fields.probability("attention_dropout", 0.0)?,
            hidden_dropout: fields.probability("hidden_dropout", 0.0)?,
            rotary: rope::from_json(&ROPE, fields, rope::given(fields)?, head_dim, max_position_embeddings)?,
        })
    }

    fn from_gguf(loader: &mut Loader) -> Result<Self> {
        let key = |name: &str| format!("{GGUF}.{name}");
        let meta = loader.metadata();
        refuse_all_but(meta, GGUF, &["use_parallel_residual"])?;
        let hidden_size = count(meta, &key("embedding_length"))?;
        let heads = count(meta, &key("attention.head_count"))?;
        let head_dim = head_dim(hidden_size, heads)?;
        let context = count(meta, &key("context_length"))?;
        Ok(Self {
            vocab_size: vocab_size(meta, GGUF)?,
            max_position_embeddings: context,
            hidden_size,
            intermediate_size: count(meta, &key("feed_forward_length"))?,
            num_hidden_layers: count(meta, &key("block_count"))?,
            num_attention_heads: heads,
            head_dim,
            hidden_act: Activation::Gelu,
            layer_norm_eps: positive(meta, &key("attention.layer_norm_epsilon"), 1e-5)?,
            attention_bias: Bias::IfPresent,
            use_parallel_residual: meta.get_bool(&key("use_parallel_residual"))?.unwrap_or(true),
            tie_word_embeddings: !loader.contains(HEADS[1], "weight"),
            attention_dropout: 0.0,
            hidden_dropout: 0.0,
            rotary: rope::from_gguf(&ROPE, loader, GGUF, head_dim, context)?,
        })
    }
}

fn head_dim(hidden_size: usize, heads: usize) -> Result<usize> {
    if hidden_size.is_multiple_of(heads) {
        return Ok(hidden_size / heads);
    }
    Err(Error::BadConfig {
        field: "num_attention_heads".into(),
        expected: format!("a divisor of hidden_size = {hidden_size}"),
        found: heads.to_string(),
    })
}

struct Block {
    input_layernorm: Norm,
    q: Linear,
    k: Linear,
    v: Linear,
    dense: Linear,
    post_attention_layernorm: Norm,
    dense_h_to_4h: Linear,
    dense_4h_to_h: Linear,
}

struct GptNeoX {
    spec: Spec,
    heads: Heads,
    rotary: Rotary,
    hidden_act: Activation,
    use_parallel_residual: bool,
    /// Dropped in training of the attention weights, and after the embeddings and from what a block adds to the stream.
    attention_dropout: f32,
    hidden_dropout: f32,
    embed_in: Embedding,
    blocks: Vec<Block>,
    final_layer_norm: Norm,
    embed_out: Linear,
}

fn load(fields: Option<&Fields>, loader: &mut Loader) -> Result<Box<dyn Decoder>> {
    let config = match fields {
        Some(fields) => Config::from_json(fields)?,
        None => Config::from_gguf(loader)?,
    };
    let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
    let (count, dim, bias) = (config.num_attention_heads, config.head_dim, config.attention_bias);
    let heads = Heads { query: count, key_value: count, dim, scale: (dim as f32).sqrt().recip(), reach: Reach::Causal };
    product("3 × hidden_size", 3, width)?;
    loader.set_prefix("gpt_neox.", "embed_in.weight");
    let embed_in = loader.embedding("embed_in", config.vocab_size, width)?;
    let mut blocks = Vec::new();
    for i in 0..config.num_hidden_layers {
        let name = |part: &str| format!("layers.{i}.{part}");
        let mut linear = |part: &str, inputs: usize, outputs: usize, bias: Bias| {
            loader.linear(&name(part), Layout::OutputMajor, inputs, outputs, bias)
        };
        let dense = linear("attention.dense", width, width, bias)?;
        let dense_h_to_4h = linear("mlp.dense_h_to_4h", width, inner, Bias::Yes)?;
        let dense_4h_to_h = linear("mlp.dense_4h_to_h", inner, width, Bias::Yes)?;
        // Head by head the rows of its queries, its keys and its values.
        let outputs = [0, 1, 2].map(|kind| Outputs { groups: count, start: kind * dim, len: dim });
        let [q, k, v] = loader.linears(&name("attention.query_key_value"), width, outputs, bias)?;
        blocks.push(Block {
            input_layernorm: loader.layer_norm(&name("input_layernorm"), width, eps)?,
            q,
            k,
            v,
            dense,
            post_attention_layernorm: loader.layer_norm(&name("post_attention_layernorm"), width, eps)?,
            dense_h_to_4h,
            dense_4h_to_h,
        });
    }
    let final_layer_norm = loader.layer_norm("final_layer_norm", width, eps)?;
    let embed_out = loader.head_named(HEADS[1], config.tie_word_embeddings, &embed_in, width, config.vocab_size)?;
    let spec = Spec {
        architecture: ARCHITECTURE.name,
        layers: blocks.len(),
        heads: count,
        key_value_heads: count,
        head_dim: dim,
        hidden_size: width,
        vocab_size: config.vocab_size,
        context_length: rope::context_length(&config.rotary, config.max_position_embeddings),
        form: Form {
            norm: "LayerNorm",
            norm_epsilon: eps,
            activation: config.hidden_act.name(),
            inner_size: inner,
            rope_theta: Some(config.rotary.theta),
            attention_scale: heads.scale,
            rotated: (config.rotary.dim < dim).then_some(2 * config.rotary.pairs()),
            parallel: config.use_parallel_residual,
            ..Form::default()
        },
        ..loader.counted()
    };
    let Config { rotary, hidden_act, use_parallel_residual, attention_dropout, hidden_dropout, .. } = config;
    Ok(Box::new(GptNeoX {
        spec,
        heads,
        rotary,
        hidden_act,
        use_parallel_residual,
        attention_dropout,
        hidden_dropout,
        embed_in,
        blocks,
        final_layer_norm,
        embed_out,
    }))
}

impl Decoder for GptNeoX {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn forward(&self, pass: &mut Pass) -> Result<Tensor> {
        let angles = self.rotary.angles(&pass.positions(), pass.length())?;
        let tokens = self.embed_in.forward(&pass.ids())?;
        pass.see(0, Site::Embedding, &tokens)?;
        let mut x = pass.dropout(tokens, self.hidden_dropout)?;
        for (i, block) in self.blocks.iter().enumerate() {
            pass.see(i, Site::Stream, &x)?;
            let normed = block.input_layernorm.forward(&x)?;
            pass.see(i, Site::AttentionNorm, &normed)?;
            // In a block of its own, so that none of it is held while feeding forward.
            let y = {
                let normed = Input::new(&normed);
                let q = self.rotary.forward(&block.q.read(&normed)?, &angles)?;
                let k = self.rotary.forward(&block.k.read(&normed)?, &angles)?;
                let v = block.v.read(&normed)?;
                pass.attend(i, self.heads, self.attention_dropout, [&q, &k, &v])?
            };
            let attended = pass.dropout(block.dense.forward(&y)?, self.hidden_dropout)?;
            pass.see(i, Site::Attention, &attended)?;
            let middle = (&x + attended)?;
            pass.see(i, Site::Middle, &middle)?;
            let read = if self.use_parallel_residual { &x } else { &middle };
            let fed = block.feed_forward(read, i, self.hidden_act, pass)?;
            let fed = pass.dropout(fed, self.hidden_dropout)?;
            pass.see(i, Site::FeedForward, &fed)?;
            x = (middle + fed)?;
        }
        pass.end(self.blocks.len(), &x, &self.final_layer_norm)
    }

    fn embeddings(&self) -> &Embedding {
        &self.embed_in
    }

    fn norm(&self) -> &Norm {
        &self.final_layer_norm
    }

    fn head(&self) -> &Linear {
        &self.embed_out
    }

    fn cache_fits(&self, longest: usize) -> bool {
        self.rotary.cache_fits(longest)
    }
}

impl Block {
    fn feed_forward(&self, x: &Tensor, layer: usize, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        let normed = self.post_attention_layernorm.forward(x)?;
        pass.see(layer, Site::FeedForwardNorm, &normed)?;
        let inner = activation.forward(self.dense_h_to_4h.forward(&normed)?)?;
        pass.see(layer, Site::Inner, &inner)?;
        self.dense_4h_to_h.forward(&inner)
    }
}
