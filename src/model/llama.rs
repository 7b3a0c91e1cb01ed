//! Llama-type decoders (Touvron et al. 2023) as `LlamaForCausalLM` and its relatives compute them.

mod config;
pub(super) mod conversion;

use super::config::product;
use super::conversion::{Conversion, Otherwise};
use super::loader::{Bias, Layout};
use super::rope::{self, Style};
use super::windows::{Layers, Windows};
use super::{Architecture, Decoder, Fields, Form, Loader, Pass, Site, Spec};
use crate::error::Result;
use crate::kernels::attention::Heads;
use crate::layers::{Activation, Embedding, Input, Linear, Norm, Outputs, Rotary, Scaling};
use candle_core::Tensor;
use config::Config;

pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    gguf: FAMILY.gguf,
    gguf_names: GGUF_NAMES,
    bos_token_id: Some(1),
    eos_token_id: Some(2),
    load: |fields, loader| load(&FAMILY, fields, loader),
    conversion: Conversion {
        otherwise: INTERLEAVED,
        to_gguf: |fields| conversion::to_gguf(&FAMILY, fields),
        to_json: |loader| conversion::to_json(&FAMILY, loader),
    },
};

pub(super) const FAMILY: Family = Family {
    name: "llama",
    gguf: "llama",
    class: "LlamaForCausalLM",
    sizes: Sizes {
        vocab_size: 32000,
        hidden_size: 4096,
        intermediate_size: 11008,
        num_hidden_layers: 32,
        num_attention_heads: 32,
        num_key_value_heads: None,
        head_dim: None,
        max_position_embeddings: 2048,
    },
    rms_norm_eps: 1e-6,
    tied: false,
    rope: rope::USUAL,
    biases: Biases::Said,
    qk_norm: false,
    fused: false,
    interleaved: true,
    honoured: &[],
    windowed: Some(|| &super::mistral::FAMILY),
    lists_windows: false,
    windows: |fields, layers, _| Windows::everywhere(fields, layers, None),
    unrotated: |_, _| Ok(Layers::None),
    gguf_unrotated: None,
};

/// Projections whose halves of heads llama.cpp's converter interleaves.
pub(super) const INTERLEAVED: &[(&str, Otherwise)] =
    &[("self_attn.q_proj", Otherwise::Interleaved), ("self_attn.k_proj", Otherwise::Interleaved)];

pub(super) const GGUF_NAMES: &[(&str, &str)] = &[
    ("embed_tokens", "token_embd"),
    ("norm", "output_norm"),
    ("lm_head", "output"),
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// In what the families of Llama-type decoders differ.
pub(super) struct Family {
    /// `model_type` in config.json.
    pub name: &'static str,
    /// `general.architecture` in GGUF.
    pub gguf: &'static str,
    /// Its class in transformers.
    pub class: &'static str,
    /// What a config.json means that does not say.
    pub sizes: Sizes,
    pub rms_norm_eps: f32,
    pub tied: bool,
    pub rope: Style,
    pub biases: Biases,
    /// Queries and keys are normed head by head before they are rotated.
    pub qk_norm: bool,
    /// Queries, keys and values are one matrix, and so are gate and up.
    pub fused: bool,
    /// GGUF files have the two halves of each rotated head interleaved.
    pub interleaved: bool,
    /// Fields of a config.json that other families refuse.
    pub honoured: &'static [&'static str],
    /// The family with the same GGUF name whose models have windows.
    pub windowed: Option<fn() -> &'static Family>,
    /// A config.json lists which layers have a window; else all have.
    pub lists_windows: bool,
    /// The windows of so many layers, of which these are not rotated.
    pub windows: fn(&Fields, usize, &Layers) -> Result<Windows>,
    /// Layers whose queries and keys are not rotated, of so many.
    pub unrotated: fn(&Fields, usize) -> Result<Layers>,
    /// Every so manieth in a GGUF file, whose metadata do not say.
    pub gguf_unrotated: Option<usize>,
}

impl Family {
    fn unrotated_in_gguf(&self) -> Layers {
        self.gguf_unrotated.map_or(Layers::None, Layers::Every)
    }
}

/// Sizes; without a `head_dim`, `hidden_size` over the heads, and without key-value heads as many as query heads.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    pub max_position_embeddings: usize,
}

/// Which projections of a family have biases.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Biases {
    None,
    /// Queries, keys and values have, nothing else has.
    Qkv,
    /// config.json says it.
    Said,
}

struct Block {
    heads: Heads,
    /// Whether queries and keys are rotated.
    rotated: bool,
    input_layernorm: Norm,
    q_proj: Linear,
    k_proj: Linear,
    /// Of each head of the queries, and of the keys, in families that have them.
    qk_norms: Option<[Norm; 2]>,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: Norm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

struct Llama {
    spec: Spec,
    rotary: Rotary,
    rereads: bool,
    /// Dropped in training of the attention weights, and of what a block adds to the residual stream.
    attention_dropout: f32,
    resid_pdrop: f32,
    hidden_act: Activation,
    embed_tokens: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    lm_head: Linear,
}

pub(super) fn load(family: &Family, fields: Option<&Fields>, loader: &mut Loader) -> Result<Box<dyn Decoder>> {
    let config = match fields {
        Some(fields) => Config::from_json(family, fields)?,
        None => Config::from_gguf(family, loader)?,
    };
    let (width, eps, dim) = (config.hidden_size, config.rms_norm_eps, config.head_dim);
    loader.set_prefix("model.", "embed_tokens.weight");
    let embed_tokens = loader.embedding("embed_tokens", config.vocab_size, width)?;
    let blocks = (0..config.num_hidden_layers).map(|i| Block::load(family, &config, loader, i));
    let blocks = blocks.collect::<Result<Vec<_>>>()?;
    let norm = loader.rms_norm("norm", width, eps)?;
    let lm_head = loader.head(config.tie_word_embeddings, &embed_tokens, width, config.vocab_size)?;
    let theta = Some(config.rotary.theta);
    let layers = (0..blocks.len()).map(|i| config.windows.form(i, theta.filter(|_| !config.unrotated.has(i))));
    let layers = Form::told_apart(layers);
    let rotary = config.rotary;
    let spec = Spec {
        architecture: family.name,
        layers: blocks.len(),
        heads: config.num_attention_heads,
        key_value_heads: config.num_key_value_heads,
        head_dim: dim,
        hidden_size: width,
        vocab_size: config.vocab_size,
        context_length: rope::context_length(&rotary, config.max_position_embeddings),
        form: Form {
            norm: "RMSNorm",
            norm_epsilon: eps,
            activation: config.hidden_act.name(),
            gated: true,
            inner_size: config.intermediate_size,
            rope_theta: Some(rotary.theta),
            qk_norm: family.qk_norm,
            attention_scale: (dim as f32).sqrt().recip(),
            rotated: (rotary.dim < dim).then_some(rotary.dim),
            layers,
            ..Form::default()
        },
        ..loader.counted()
    };
    let Config { attention_dropout, resid_pdrop, hidden_act, .. } = config;
    Ok(Box::new(Llama {
        spec,
        rotary,
        rereads: family.rope.only_longrope,
        attention_dropout,
        resid_pdrop,
        hidden_act,
        embed_tokens,
        blocks,
        norm,
        lm_head,
    }))
}

/// A projection whose outputs are rotated. llama.cpp's converter interleaves the two halves of each head in GGUF; here
/// the rows go back to Hugging Face's order.
fn rotated(
    family: &Family,
    loader: &mut Loader,
    name: &str,
    [inputs, outputs, dim]: [usize; 3],
    bias: Bias,
) -> Result<Linear> {
    if !(loader.is_gguf() && family.interleaved) {
        return loader.linear(name, Layout::OutputMajor, inputs, outputs, bias);
    }
    let half = dim / 2;
    let order = |row: usize| row / dim * dim + 2 * (row % half) + row % dim / half;
    loader.linear_in(Some(&order), name, Layout::OutputMajor, inputs, outputs, bias)
}

impl Decoder for Llama {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn forward(&self, pass: &mut Pass) -> Result<Tensor> {
        let angles = self.rotary.angles(&pass.positions(), pass.length())?;
        let mut x = self.embed_tokens.forward(&pass.ids())?;
        pass.see(0, Site::Embedding, &x)?;
        for (i, block) in self.blocks.iter().enumerate() {
            pass.see(i, Site::Stream, &x)?;
            let normed = block.input_layernorm.forward(&x)?;
            pass.see(i, Site::AttentionNorm, &normed)?;
            // In a block of its own, so that none of it is held while feeding forward.
            let y = {
                let normed = Input::new(&normed);
                let [mut q, mut k] = block.queries_and_keys(&normed)?;
                if block.rotated {
                    (q, k) = (self.rotary.forward(&q, &angles)?, self.rotary.forward(&k, &angles)?);
                }
                let v = block.v_proj.read(&normed)?;
                pass.attend(i, block.heads, self.attention_dropout, [&q, &k, &v])?
            };
            let added = pass.dropout(block.o_proj.forward(&y)?, self.resid_pdrop)?;
            pass.see(i, Site::Attention, &added)?;
            x = (&x + added)?;
            pass.see(i, Site::Middle, &x)?;
            let normed = block.post_attention_layernorm.forward(&x)?;
            pass.see(i, Site::FeedForwardNorm, &normed)?;
            let fed = block.feed_forward(&normed, i, self.hidden_act, pass)?;
            let added = pass.dropout(fed, self.resid_pdrop)?;
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

    fn rereads(&self, length: usize) -> bool {
        // Only Phi-3 begins anew where the factors of LongRoPE change.
        let Scaling::LongRope { original, .. } = &self.rotary.scaling else { return false };
        self.rereads && length == original + 1
    }

    fn cache_fits(&self, longest: usize) -> bool {
        self.rotary.cache_fits(longest)
    }
}

impl Block {
    fn load(family: &Family, config: &Config, loader: &mut Loader, layer: usize) -> Result<Self> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.rms_norm_eps);
        let dim = config.head_dim;
        let heads = Heads {
            query: config.num_attention_heads,
            key_value: config.num_key_value_heads,
            dim,
            scale: (dim as f32).sqrt().recip(),
            reach: config.windows.reach(layer),
        };
        let q_width = product("num_attention_heads × head_dim", heads.query, dim)?;
        let kv_width = product("num_key_value_heads × head_dim", heads.key_value, dim)?;
        let name = |part: &str| format!("layers.{layer}.{part}");
        let (qkv, attention, mlp) = (config.qkv_bias, config.attention_bias, config.mlp_bias);
        let linear = |loader: &mut Loader, part: &str, inputs: usize, outputs: usize, bias: Bias| {
            loader.linear(&name(part), Layout::OutputMajor, inputs, outputs, bias)
        };
        let input_layernorm = loader.rms_norm(&name("input_layernorm"), width, eps)?;
        let [q_proj, k_proj, v_proj] = if family.fused {
            let outputs = Outputs::in_turn([q_width, kv_width, kv_width]);
            loader.linears(&name("self_attn.qkv_proj"), width, outputs, qkv)?
        } else {
            [
                rotated(family, loader, &name("self_attn.q_proj"), [width, q_width, dim], qkv)?,
                rotated(family, loader, &name("self_attn.k_proj"), [width, kv_width, dim], qkv)?,
                linear(loader, "self_attn.v_proj", width, kv_width, qkv)?,
            ]
        };
        let qk_norms = match family.qk_norm {
            true => Some([
                loader.rms_norm(&name("self_attn.q_norm"), dim, eps)?,
                loader.rms_norm(&name("self_attn.k_norm"), dim, eps)?,
            ]),
            false => None,
        };
        let o_proj = linear(loader, "self_attn.o_proj", q_width, width, attention)?;
        let post_attention_layernorm = loader.rms_norm(&name("post_attention_layernorm"), width, eps)?;
        let [gate_proj, up_proj] = if family.fused {
            loader.linears(&name("mlp.gate_up_proj"), width, Outputs::in_turn([inner, inner]), mlp)?
        } else {
            [linear(loader, "mlp.gate_proj", width, inner, mlp)?, linear(loader, "mlp.up_proj", width, inner, mlp)?]
        };
        let down_proj = linear(loader, "mlp.down_proj", inner, width, mlp)?;
        Ok(Self {
            heads,
            rotated: !config.unrotated.has(layer),
            input_layernorm,
            q_proj,
            k_proj,
            qk_norms,
            v_proj,
            o_proj,
            post_attention_layernorm,
            gate_proj,
            up_proj,
            down_proj,
        })
    }

    /// Before they are rotated.
    fn queries_and_keys(&self, x: &Input) -> Result<[Tensor; 2]> {
        let (q, k) = (self.q_proj.read(x)?, self.k_proj.read(x)?);
        match &self.qk_norms {
            Some([q_norm, k_norm]) => Ok([q_norm.by_head(&q, self.heads.dim)?, k_norm.by_head(&k, self.heads.dim)?]),
            None => Ok([q, k]),
        }
    }

    fn feed_forward(&self, x: &Tensor, layer: usize, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        let x = Input::new(x);
        let gated = activation.gated(self.gate_proj.read(&x)?, &self.up_proj.read(&x)?)?;
        pass.see(layer, Site::Inner, &gated)?;
        self.down_proj.forward(&gated)
    }
}
