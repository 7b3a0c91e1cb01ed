//! GPT-2 (Radford et al. 2019) as `GPT2LMHeadModel` computes it.

mod conversion;

use super::config::{count, positive, product, refuse_unhonoured, vocab_size};
use super::loader::{Bias, Layout};
use super::{Architecture, Decoder, Fields, Form, Loader, Pass, Site, Spec};
use crate::error::{Error, Result};
use crate::kernels::attention::{Heads, Reach};
use crate::layers::{Activation, Embedding, Linear, Norm};
use candle_core::Tensor;

pub const ARCHITECTURE: Architecture = Architecture {
    name: "gpt2",
    gguf: "gpt2",
    gguf_names: &[
        ("wte", "token_embd"),
        ("wpe", "position_embd"),
        ("ln_f", "output_norm"),
        ("lm_head", "output"),
        ("ln_1", "attn_norm"),
        ("ln_2", "ffn_norm"),
        ("attn.c_attn", "attn_qkv"),
        ("attn.c_proj", "attn_output"),
        ("mlp.c_fc", "ffn_up"),
        ("mlp.c_proj", "ffn_down"),
    ],
    bos_token_id: Some(50256),
    eos_token_id: Some(50256),
    load,
    conversion: conversion::CONVERSION,
};

/// The fields of the configuration that decide the result, by their Hugging Face names.
struct Config {
    vocab_size: usize,
    n_positions: usize,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    n_inner: usize,
    activation_function: Activation,
    layer_norm_epsilon: f32,
    scale_attn_weights: bool,
    scale_attn_by_inverse_layer_idx: bool,
    tie_word_embeddings: bool,
    embd_pdrop: f32,
    attn_pdrop: f32,
    resid_pdrop: f32,
}

impl Config {
    fn from_json(fields: &Fields) -> Result<Self> {
        fields.refuse_unhonoured()?;
        let n_embd = fields.count(&["n_embd", "hidden_size"], Some(768))?;
        let activation = fields.str(&["activation_function"])?.unwrap_or("gelu_new");
        Ok(Self {
            vocab_size: fields.count(&["vocab_size"], Some(50257))?,
            n_positions: fields.count(&["n_positions", "max_position_embeddings"], Some(1024))?,
            n_embd,
            n_layer: fields.count(&["n_layer", "num_hidden_layers"], Some(12))?,
            n_head: fields.count(&["n_head", "num_attention_heads"], Some(12))?,
            n_inner: fields.count(&["n_inner"], Some(product("4 × n_embd", 4, n_embd)?))?,
            activation_function: Activation::parse("activation_function", activation)?,
            layer_norm_epsilon: fields.positive(&["layer_norm_epsilon"])?.unwrap_or(1e-5),
            scale_attn_weights: fields.bool(&["scale_attn_weights"], true)?,
            scale_attn_by_inverse_layer_idx: fields.bool(&["scale_attn_by_inverse_layer_idx"], false)?,
            tie_word_embeddings: fields.bool(&["tie_word_embeddings"], true)?,
            embd_pdrop: fields.probability("embd_pdrop", 0.1)?,
            attn_pdrop: fields.probability("attn_pdrop", 0.1)?,
            resid_pdrop: fields.probability("resid_pdrop", 0.1)?,
        })
    }

    fn from_gguf(loader: &Loader) -> Result<Self> {
        let meta = loader.metadata();
        refuse_unhonoured(meta, ARCHITECTURE.name)?;
        let n_embd = count(meta, "gpt2.embedding_length")?;
        Ok(Self {
            vocab_size: vocab_size(meta, "gpt2")?,
            n_positions: count(meta, "gpt2.context_length")?,
            n_embd,
            n_layer: count(meta, "gpt2.block_count")?,
            n_head: count(meta, "gpt2.attention.head_count")?,
            n_inner: count(meta, "gpt2.feed_forward_length")?,
            activation_function: Activation::GeluTanh,
            layer_norm_epsilon: positive(meta, "gpt2.attention.layer_norm_epsilon", 1e-5)?,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            tie_word_embeddings: !loader.contains("lm_head", "weight"),
            embd_pdrop: 0.1,
            attn_pdrop: 0.1,
            resid_pdrop: 0.1,
        })
    }
}

struct Block {
    ln_1: Norm,
    c_attn: Linear,
    attn_c_proj: Linear,
    heads: Heads,
    ln_2: Norm,
    c_fc: Linear,
    mlp_c_proj: Linear,
}

struct Gpt2 {
    spec: Spec,
    wte: Embedding,
    wpe: Embedding,
    blocks: Vec<Block>,
    activation: Activation,
    ln_f: Norm,
    lm_head: Linear,
    /// Dropped in training after the embeddings, of the attention weights, and from what a block adds to the residual
    /// stream.
    embd_pdrop: f32,
    attn_pdrop: f32,
    resid_pdrop: f32,
}

fn load(fields: Option<&Fields>, loader: &mut Loader) -> Result<Box<dyn Decoder>> {
    let config = match fields {
        Some(fields) => Config::from_json(fields)?,
        None => Config::from_gguf(loader)?,
    };
    let (width, eps) = (config.n_embd, config.layer_norm_epsilon);
    if !width.is_multiple_of(config.n_head) {
        return Err(Error::BadConfig {
            field: "n_head".into(),
            expected: format!("a divisor of n_embd = {width}"),
            found: config.n_head.to_string(),
        });
    }
    let dim = width / config.n_head;
    let qkv_width = product("3 × n_embd", 3, width)?;
    loader.set_prefix("transformer.", "wte.weight");
    let wte = loader.embedding("wte", config.vocab_size, width)?;
    let wpe = loader.embedding("wpe", config.n_positions, width)?;
    let mut blocks = Vec::new();
    for i in 0..config.n_layer {
        let name = |part: &str| format!("h.{i}.{part}");
        let mut scale = if config.scale_attn_weights { (dim as f32).sqrt().recip() } else { 1.0 };
        if config.scale_attn_by_inverse_layer_idx {
            scale /= (i + 1) as f32;
        }
        let mut conv1d = |part: &str, inputs: usize, outputs: usize| {
            loader.linear(&name(part), Layout::InputMajor, inputs, outputs, Bias::Yes)
        };
        let c_attn = conv1d("attn.c_attn", width, qkv_width)?;
        let attn_c_proj = conv1d("attn.c_proj", width, width)?;
        let c_fc = conv1d("mlp.c_fc", width, config.n_inner)?;
        let mlp_c_proj = conv1d("mlp.c_proj", config.n_inner, width)?;
        blocks.push(Block {
            ln_1: loader.layer_norm(&name("ln_1"), width, eps)?,
            c_attn,
            attn_c_proj,
            heads: Heads { query: config.n_head, key_value: config.n_head, dim, scale, reach: Reach::Causal },
            ln_2: loader.layer_norm(&name("ln_2"), width, eps)?,
            c_fc,
            mlp_c_proj,
        });
    }
    let ln_f = loader.layer_norm("ln_f", width, eps)?;
    let lm_head = loader.head(config.tie_word_embeddings, &wte, width, config.vocab_size)?;
    let spec = Spec {
        architecture: ARCHITECTURE.name,
        layers: config.n_layer,
        heads: config.n_head,
        key_value_heads: config.n_head,
        head_dim: dim,
        hidden_size: width,
        vocab_size: config.vocab_size,
        context_length: config.n_positions,
        form: Form {
            norm: "LayerNorm",
            norm_epsilon: eps,
            activation: config.activation_function.name(),
            gated: false,
            inner_size: config.n_inner,
            rope_theta: None,
            qk_norm: false,
            attention_scale: blocks.first().map_or(1.0, |block: &Block| block.heads.scale),
            ..Form::default()
        },
        ..loader.counted()
    };
    let Config { activation_function: activation, embd_pdrop, attn_pdrop, resid_pdrop, .. } = config;
    Ok(Box::new(Gpt2 { spec, wte, wpe, blocks, activation, ln_f, lm_head, embd_pdrop, attn_pdrop, resid_pdrop }))
}

impl Decoder for Gpt2 {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn forward(&self, pass: &mut Pass) -> Result<Tensor> {
        let positions = pass.positions();
        if let Some(&last) = positions.iter().max().filter(|&&p| p as usize >= self.spec.context_length) {
            return Err(Error::ContextFull { limit: self.spec.context_length, found: last as usize + 1 });
        }
        let (tokens, places) = (self.wte.forward(&pass.ids())?, self.wpe.forward(&positions)?);
        pass.see(0, Site::Embedding, &tokens)?;
        pass.see(0, Site::Position, &places)?;
        let mut x = pass.dropout((tokens + places)?, self.embd_pdrop)?;
        for (i, block) in self.blocks.iter().enumerate() {
            pass.see(i, Site::Stream, &x)?;
            let attended = block.attention(&block.ln_1.forward(&x)?, i, self.attn_pdrop, pass)?;
            x = (&x + pass.dropout(attended, self.resid_pdrop)?)?;
            pass.see(i, Site::Middle, &x)?;
            let fed = block.feed_forward(&block.ln_2.forward(&x)?, i, self.activation, pass)?;
            x = (&x + pass.dropout(fed, self.resid_pdrop)?)?;
        }
        pass.end(self.blocks.len(), &x, &self.ln_f)
    }

    fn embeddings(&self) -> &Embedding {
        &self.wte
    }

    fn norm(&self) -> &Norm {
        &self.ln_f
    }

    fn head(&self) -> &Linear {
        &self.lm_head
    }
}

impl Block {
    fn attention(&self, x: &Tensor, layer: usize, dropout: f32, pass: &mut Pass) -> Result<Tensor> {
        pass.see(layer, Site::AttentionNorm, x)?;
        let y = pass.attend_joined(layer, self.heads, dropout, &self.c_attn.forward(x)?)?;
        let added = self.attn_c_proj.forward(&y)?;
        pass.see(layer, Site::Attention, &added)?;
        Ok(added)
    }

    fn feed_forward(&self, x: &Tensor, layer: usize, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        pass.see(layer, Site::FeedForwardNorm, x)?;
        let inner = activation.forward(self.c_fc.forward(x)?)?;
        pass.see(layer, Site::Inner, &inner)?;
        let added = self.mlp_c_proj.forward(&inner)?;
        pass.see(layer, Site::FeedForward, &added)?;
        Ok(added)
    }
}
