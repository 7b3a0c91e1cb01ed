//! Gemma 3 (Gemma Team 2025), the text model, as `Gemma3ForCausalLM` computes it: norms before and after each part of a
//! block, and layers that see a window, with a rotary embedding of their own, between layers that see all.

mod config;
mod conversion;

use super::config::product;
use super::loader::{Bias, Layout};
use super::{Architecture, Decoder, Fields, Form, Loader, Pass, Site, Spec};
use crate::error::Result;
use crate::kernels::attention::Heads;
use crate::layers::{Activation, Embedding, Input, Linear, Norm, Rotary};
use candle_core::Tensor;
use config::Config;

pub const ARCHITECTURE: Architecture = Architecture {
    name: "gemma3_text",
    gguf: GGUF,
    gguf_names: &[
        ("embed_tokens", "token_embd"),
        ("norm", "output_norm"),
        ("lm_head", "output"),
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("post_attention_layernorm", "post_attention_norm"),
        ("pre_feedforward_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
    ],
    bos_token_id: Some(2),
    eos_token_id: Some(1),
    load,
    conversion: conversion::CONVERSION,
};

const GGUF: &str = "gemma3";

struct Block {
    heads: Heads,
    /// Whether it sees a window only, and turns as such layers do.
    local: bool,
    input_layernorm: Norm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    q_norm: Norm,
    k_norm: Norm,
    o_proj: Linear,
    post_attention_layernorm: Norm,
    pre_feedforward_layernorm: Norm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    post_feedforward_layernorm: Norm,
}

struct Gemma {
    spec: Spec,
    /// Of layers that see all, and of those that see a window.
    rotary: Rotary,
    local_rotary: Rotary,
    attention_dropout: f32,
    hidden_act: Activation,
    embedding_scale: f32,
    final_logit_softcapping: Option<f32>,
    embed_tokens: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    lm_head: Linear,
}

fn load(fields: Option<&Fields>, loader: &mut Loader) -> Result<Box<dyn Decoder>> {
    let config = match fields {
        Some(fields) => Config::from_json(fields)?,
        None => Config::from_gguf(loader)?,
    };
    let (width, eps) = (config.hidden_size, config.rms_norm_eps);
    // A model for pictures has its text model below its own name.
    loader.set_prefixes(&["model.", "model.language_model.", "language_model.model."], "embed_tokens.weight");
    let embed_tokens = loader.embedding("embed_tokens", config.vocab_size, width)?;
    let blocks = (0..config.num_hidden_layers).map(|i| Block::load(&config, loader, i));
    let blocks = blocks.collect::<Result<Vec<_>>>()?;
    let norm = loader.rms_norm_from_one("norm", width, eps)?;
    let lm_head = loader.head(config.tie_word_embeddings, &embed_tokens, width, config.vocab_size)?;
    let theta = |i| if config.windows.layers.has(i) { config.local_rotary.theta } else { config.rotary.theta };
    let layers = Form::told_apart((0..blocks.len()).map(|i| config.windows.form(i, Some(theta(i)))));
    let embedding_scale = (width as f64).sqrt() as f32;
    let spec = Spec {
        architecture: ARCHITECTURE.name,
        layers: blocks.len(),
        heads: config.num_attention_heads,
        key_value_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        hidden_size: width,
        vocab_size: config.vocab_size,
        context_length: super::rope::context_length(&config.rotary, config.max_position_embeddings),
        form: Form {
            norm: "RMSNorm",
            norm_epsilon: eps,
            activation: config.hidden_act.name(),
            gated: true,
            inner_size: config.intermediate_size,
            rope_theta: Some(config.rotary.theta),
            qk_norm: true,
            attention_scale: config.attention_scale,
            post_norms: true,
            embedding_scale: Some(embedding_scale),
            layers,
            ..Form::default()
        },
        ..loader.counted()
    };
    let Config { rotary, local_rotary, attention_dropout, hidden_act, final_logit_softcapping, .. } = config;
    Ok(Box::new(Gemma {
        spec,
        rotary,
        local_rotary,
        attention_dropout,
        hidden_act,
        embedding_scale,
        final_logit_softcapping,
        embed_tokens,
        blocks,
        norm,
        lm_head,
    }))
}

impl Decoder for Gemma {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn forward(&self, pass: &mut Pass) -> Result<Tensor> {
        let positions = pass.positions();
        let rotaries = [&self.rotary, &self.local_rotary];
        let [angles, local_angles] = rotaries.map(|rotary| rotary.angles(&positions, pass.length()));
        let (angles, local_angles) = (angles?, local_angles?);
        let mut x = (self.embed_tokens.forward(&pass.ids())? * f64::from(self.embedding_scale))?;
        pass.see(0, Site::Embedding, &x)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let (rotary, angles) =
                if block.local { (&self.local_rotary, &local_angles) } else { (&self.rotary, &angles) };
            pass.see(i, Site::Stream, &x)?;
            let normed = block.input_layernorm.forward(&x)?;
            pass.see(i, Site::AttentionNorm, &normed)?;
            let dim = self.spec.head_dim;
            // In a block of its own, so that none of it is held while feeding forward.
            let y = {
                let normed = Input::new(&normed);
                let q = rotary.forward(&block.q_norm.by_head(&block.q_proj.read(&normed)?, dim)?, angles)?;
                let k = rotary.forward(&block.k_norm.by_head(&block.k_proj.read(&normed)?, dim)?, angles)?;
                let v = block.v_proj.read(&normed)?;
                pass.attend(i, block.heads, self.attention_dropout, [&q, &k, &v])?
            };
            let added = block.post_attention_layernorm.forward(&block.o_proj.forward(&y)?)?;
            pass.see(i, Site::Attention, &added)?;
            x = (&x + added)?;
            pass.see(i, Site::Middle, &x)?;
            let added = block.feed_forward(&x, i, self.hidden_act, pass)?;
            pass.see(i, Site::FeedForward, &added)?;
            x = (&x + added)?;
        }
        pass.end(self.blocks.len(), &x, &self.norm)
    }

    fn embeddings(&self) -> &Embedding {
        &self.embed_tokens
    }

    fn norm(&self) -> &Norm {
        &self.norm
    }

    fn head(&self) -> &Linear {
        &self.lm_head
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = self.lm_head.forward(hidden)?;
        let Some(cap) = self.final_logit_softcapping.map(f64::from) else { return Ok(logits) };
        Ok(((logits / cap)?.tanh()? * cap)?)
    }

    fn cache_fits(&self, longest: usize) -> bool {
        self.rotary.cache_fits(longest) && self.local_rotary.cache_fits(longest)
    }
}

impl Block {
    fn load(config: &Config, loader: &mut Loader, layer: usize) -> Result<Self> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.rms_norm_eps);
        let (dim, bias) = (config.head_dim, config.attention_bias);
        let heads = Heads {
            query: config.num_attention_heads,
            key_value: config.num_key_value_heads,
            dim,
            scale: config.attention_scale,
            reach: config.windows.reach(layer),
        };
        let q_width = product("num_attention_heads × head_dim", heads.query, dim)?;
        let kv_width = product("num_key_value_heads × head_dim", heads.key_value, dim)?;
        let name = |part: &str| format!("layers.{layer}.{part}");
        let mut linear = |part: &str, inputs: usize, outputs: usize, bias: Bias| {
            loader.linear(&name(part), Layout::OutputMajor, inputs, outputs, bias)
        };
        let q_proj = linear("self_attn.q_proj", width, q_width, bias)?;
        let k_proj = linear("self_attn.k_proj", width, kv_width, bias)?;
        let v_proj = linear("self_attn.v_proj", width, kv_width, bias)?;
        let o_proj = linear("self_attn.o_proj", q_width, width, bias)?;
        let gate_proj = linear("mlp.gate_proj", width, inner, Bias::No)?;
        let up_proj = linear("mlp.up_proj", width, inner, Bias::No)?;
        let down_proj = linear("mlp.down_proj", inner, width, Bias::No)?;
        let mut norm = |part: &str, width: usize| loader.rms_norm_from_one(&name(part), width, eps);
        Ok(Self {
            heads,
            local: config.windows.layers.has(layer),
            input_layernorm: norm("input_layernorm", width)?,
            q_proj,
            k_proj,
            v_proj,
            q_norm: norm("self_attn.q_norm", dim)?,
            k_norm: norm("self_attn.k_norm", dim)?,
            o_proj,
            post_attention_layernorm: norm("post_attention_layernorm", width)?,
            pre_feedforward_layernorm: norm("pre_feedforward_layernorm", width)?,
            gate_proj,
            up_proj,
            down_proj,
            post_feedforward_layernorm: norm("post_feedforward_layernorm", width)?,
        })
    }

    fn feed_forward(&self, x: &Tensor, layer: usize, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        let normed = self.pre_feedforward_layernorm.forward(x)?;
        pass.see(layer, Site::FeedForwardNorm, &normed)?;
        let normed = Input::new(&normed);
        let gated = activation.gated(self.gate_proj.read(&normed)?, &self.up_proj.read(&normed)?)?;
        pass.see(layer, Site::Inner, &gated)?;
        self.post_feedforward_layernorm.forward(&self.down_proj.forward(&gated)?)
    }
}
