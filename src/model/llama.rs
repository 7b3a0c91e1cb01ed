//! Llama-type decoders (Touvron et al. 2023) as `LlamaForCausalLM` computes them.

pub(super) mod conversion;

use super::config::{count, positive, product, refuse_unhonoured, vocab_size};
use super::conversion::Conversion;
use super::loader::{Bias, Layout};
use super::{Architecture, Decoder, Fields, Form, Loader, Pass, Site, Spec};
use crate::error::{Error, Result};
use crate::kernels::attention::{Heads, Reach};
use crate::layers::{Activation, Embedding, Linear, Norm, Rotary, Scaling};
use candle_core::Tensor;

pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    gguf_names: GGUF_NAMES,
    bos_token_id: Some(1),
    eos_token_id: Some(2),
    load: |fields, loader| load(&FAMILY, fields, loader),
    conversion: Conversion {
        input_major: &[],
        rotated: &["self_attn.q_proj", "self_attn.k_proj"],
        to_gguf: |fields| conversion::to_gguf(&FAMILY, fields),
        to_json: |loader| conversion::to_json(&FAMILY, loader),
    },
};

const FAMILY: Family = Family {
    name: "llama",
    class: "LlamaForCausalLM",
    vocab_size: 32000,
    intermediate_size: 11008,
    max_position_embeddings: 2048,
    head_dim: None,
    qkv_bias: false,
    qk_norm: false,
    interleaved: true,
};

pub(super) const GGUF_NAMES: &[(&str, &str)] = &[
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
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// In what the families of Llama-type decoders differ.
pub(super) struct Family {
    /// `model_type` in config.json and `general.architecture` in GGUF.
    pub name: &'static str,
    /// Its class in transformers.
    pub class: &'static str,
    /// What a config.json means that does not say; without a `head_dim`, `hidden_size` over the heads.
    pub vocab_size: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub head_dim: Option<usize>,
    /// Queries, keys and values always have a bias, and nothing else has one. Else config.json says it.
    pub qkv_bias: bool,
    /// Queries and keys are normed head by head before they are rotated.
    pub qk_norm: bool,
    /// GGUF files have the two halves of each rotated head interleaved.
    pub interleaved: bool,
}

/// Positions are counted in 32 bits.
const LONGEST_CONTEXT: usize = i32::MAX as usize;

/// The fields of the configuration that decide the result, by their Hugging Face names.
struct Config {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    hidden_act: Activation,
    rms_norm_eps: f32,
    qkv_bias: Bias,
    attention_bias: Bias,
    attention_dropout: f32,
    mlp_bias: Bias,
    tie_word_embeddings: bool,
    rope_theta: f32,
    scaling: Scaling,
}

impl Config {
    fn from_json(family: &Family, fields: &Fields) -> Result<Self> {
        fields.refuse_unhonoured()?;
        fields.only_full_attention()?;
        let hidden_size = fields.count(&["hidden_size"], Some(4096))?;
        let heads = fields.count(&["num_attention_heads"], Some(32))?;
        let max_position_embeddings =
            fields.count(&["max_position_embeddings"], Some(family.max_position_embeddings))?;
        let bias = |name| -> Result<Bias> {
            let yes = !family.qkv_bias && fields.bool(&[name], false)?;
            Ok(if yes { Bias::Yes } else { Bias::No })
        };
        let (rope_theta, scaling) = rope(fields, max_position_embeddings)?;
        let attention_bias = bias("attention_bias")?;
        Ok(Self {
            vocab_size: fields.count(&["vocab_size"], Some(family.vocab_size))?,
            max_position_embeddings,
            hidden_size,
            intermediate_size: fields.count(&["intermediate_size"], Some(family.intermediate_size))?,
            num_hidden_layers: fields.count(&["num_hidden_layers"], Some(32))?,
            num_attention_heads: heads,
            num_key_value_heads: fields.count(&["num_key_value_heads"], Some(heads))?,
            head_dim: fields.count(&["head_dim"], Some(family.head_dim.unwrap_or(hidden_size / heads)))?,
            hidden_act: Activation::parse("hidden_act", fields.str(&["hidden_act"])?.unwrap_or("silu"))?,
            rms_norm_eps: fields.positive(&["rms_norm_eps"])?.unwrap_or(1e-6),
            qkv_bias: if family.qkv_bias { Bias::Yes } else { attention_bias },
            attention_bias,
            attention_dropout: fields.probability("attention_dropout", 0.0)?,
            mlp_bias: bias("mlp_bias")?,
            tie_word_embeddings: fields.bool(&["tie_word_embeddings"], false)?,
            rope_theta,
            scaling,
        })
    }

    fn from_gguf(family: &Family, loader: &mut Loader) -> Result<Self> {
        let divisors = loader.optional_vector("rope_freqs.weight")?;
        let meta = loader.metadata();
        refuse_unhonoured(meta, family.name)?;
        let key = |name: &str| format!("{}.{name}", family.name);
        let refuse = |key: &str, found: String, expected: &str| Error::Unsupported {
            what: format!("GGUF metadata {key}"),
            expected: expected.into(),
            found,
        };
        let hidden_size = count(meta, &key("embedding_length"))?;
        let heads = count(meta, &key("attention.head_count"))?;
        let optional = |name: &str, default: usize| {
            let key = key(name);
            if meta.contains(&key) { count(meta, &key) } else { Ok(default) }
        };
        let key_value_heads = optional("attention.head_count_kv", heads)?;
        let head_dim = optional("attention.key_length", hidden_size / heads)?;
        for key in [key("attention.value_length"), key("rope.dimension_count")] {
            if let Some(n) = meta.get_u64(&key)?
                && n != head_dim as u64
            {
                return Err(refuse(&key, n.to_string(), &format!("the head width {head_dim}")));
            }
        }
        let context = count(meta, &key("context_length"))?;
        let factor = positive(meta, &key("rope.scaling.factor"), 1.0)?;
        // llama.cpp takes a factor without a kind for linear scaling.
        let kind = match meta.get_str(&key("rope.scaling.type"))? {
            Some(kind) => kind,
            None if factor != 1.0 => "linear",
            None => "none",
        };
        let scaling = match (divisors, kind) {
            (Some(_), kind) if kind != "none" && factor != 1.0 => {
                return Err(refuse(&key("rope.scaling.type"), kind.into(), "none beside rope_freqs.weight"));
            }
            (Some(divisors), _) if divisors.len() == head_dim / 2 => Scaling::Divisors(divisors),
            (Some(divisors), _) => {
                return Err(Error::BadTensor {
                    name: "rope_freqs.weight".into(),
                    expected: format!("{} values", head_dim / 2),
                    found: divisors.len().to_string(),
                });
            }
            (None, "none") => Scaling::None,
            (None, "linear") => Scaling::Linear { factor },
            (None, "yarn") => Scaling::Yarn {
                factor,
                original: optional("rope.scaling.original_context_length", context)?,
                beta_fast: 32.0,
                beta_slow: 1.0,
                truncate: true,
                attention_factor: yarn_mscale(factor, 1.0),
            },
            (None, other) => {
                return Err(refuse(&key("rope.scaling.type"), other.into(), "none, linear or yarn"));
            }
        };
        Ok(Self {
            vocab_size: vocab_size(meta, family.name)?,
            max_position_embeddings: context,
            hidden_size,
            intermediate_size: count(meta, &key("feed_forward_length"))?,
            num_hidden_layers: count(meta, &key("block_count"))?,
            num_attention_heads: heads,
            num_key_value_heads: key_value_heads,
            head_dim,
            hidden_act: Activation::Silu,
            rms_norm_eps: positive(meta, &key("attention.layer_norm_rms_epsilon"), 1e-5)?,
            qkv_bias: Bias::IfPresent,
            attention_bias: Bias::IfPresent,
            attention_dropout: 0.0,
            mlp_bias: Bias::IfPresent,
            tie_word_embeddings: !loader.contains("lm_head", "weight"),
            rope_theta: positive(meta, &key("rope.freq_base"), 10000.0)?,
            scaling,
        })
    }

    fn check(&self) -> Result<()> {
        let bad = |field: &str, expected: String, found: usize| {
            Err(Error::BadConfig { field: field.into(), expected, found: found.to_string() })
        };
        let (heads, key_value) = (self.num_attention_heads, self.num_key_value_heads);
        if key_value == 0 || !heads.is_multiple_of(key_value) {
            return bad("num_key_value_heads", format!("a divisor of num_attention_heads = {heads}"), key_value);
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return bad("head_dim", "an even number of at least 2".into(), self.head_dim);
        }
        if let Scaling::LongRope { short, long, .. } = &self.scaling {
            for (field, list) in [("short_factor", short), ("long_factor", long)] {
                if list.len() != self.head_dim / 2 {
                    return bad(field, format!("{} numbers", self.head_dim / 2), list.len());
                }
            }
        }
        Ok(())
    }
}

/// `rope_theta` and the scaling, from either style of configuration: `rope_parameters`, or `rope_theta` beside
/// `rope_scaling`, which wins where both are given.
fn rope(fields: &Fields, max_position: usize) -> Result<(f32, Scaling)> {
    let given = match fields.object(&["rope_scaling"])? {
        Some(scaling) => Some(scaling),
        None => fields.object(&["rope_parameters"])?,
    };
    let outer_theta = fields.positive(&["rope_theta"])?;
    let Some(rope) = given else { return Ok((outer_theta.unwrap_or(10000.0), Scaling::None)) };
    let theta = rope.positive(&["rope_theta"])?.or(outer_theta).unwrap_or(10000.0);
    let kind = rope.str(&["rope_type", "type"])?.unwrap_or("default");
    let turning = rope.positive(&["partial_rotary_factor"])?.or(fields.positive(&["partial_rotary_factor"])?);
    // transformers ignores the field for the default kind and fails on it for the others.
    if let Some(turning) = turning
        && !matches!(kind, "default" | "proportional")
        && turning != 1.0
    {
        return Err(Error::Unsupported {
            what: "config field partial_rotary_factor".into(),
            expected: format!("1 with rope_type {kind}"),
            found: turning.to_string(),
        });
    }
    let required = |name: &str| {
        rope.positive(&[name])?.ok_or_else(|| Error::BadConfig {
            field: name.into(),
            expected: format!("a number above 0 with rope_type {kind}"),
            found: "none".into(),
        })
    };
    let original = || -> Result<usize> {
        let name = ["original_max_position_embeddings"];
        let inner = rope.usize(&name)?.filter(|n| *n > 0).unwrap_or(max_position);
        fields.count(&name, Some(inner))
    };
    let scaling = match kind {
        "default" => Scaling::None,
        "linear" => Scaling::Linear { factor: required("factor")? },
        "dynamic" => Scaling::Dynamic { factor: required("factor")?, max_position },
        "llama3" => Scaling::Llama3 {
            factor: required("factor")?,
            low_freq_factor: required("low_freq_factor")?,
            high_freq_factor: required("high_freq_factor")?,
            original: original()?,
        },
        "yarn" => {
            let original = original()?;
            let factor = rope.positive(&["factor"])?.unwrap_or(max_position as f32 / original as f32);
            let nonzero = |name: &str| -> Result<Option<f32>> { Ok(rope.f32(&[name])?.filter(|v| *v != 0.0)) };
            let attention_factor =
                match (rope.f32(&["attention_factor"])?, nonzero("mscale")?, nonzero("mscale_all_dim")?) {
                    (Some(given), _, _) => given,
                    (None, Some(m), Some(all)) => yarn_mscale(factor, m) / yarn_mscale(factor, all),
                    _ => yarn_mscale(factor, 1.0),
                };
            Scaling::Yarn {
                factor,
                original,
                beta_fast: nonzero("beta_fast")?.unwrap_or(32.0),
                beta_slow: nonzero("beta_slow")?.unwrap_or(1.0),
                truncate: rope.bool(&["truncate"], true)?,
                attention_factor,
            }
        }
        "longrope" => {
            let original = original()?;
            let factor = rope.positive(&["factor"])?.unwrap_or(max_position as f32 / original as f32);
            let inferred = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f32).ln()).sqrt() };
            let list = |name: &str| {
                rope.list(&[name])?.ok_or_else(|| Error::BadConfig {
                    field: name.into(),
                    expected: "a list of numbers with rope_type longrope".into(),
                    found: "none".into(),
                })
            };
            Scaling::LongRope {
                short: list("short_factor")?,
                long: list("long_factor")?,
                original,
                attention_factor: rope.f32(&["attention_factor"])?.unwrap_or(inferred),
            }
        }
        "proportional" => Scaling::Proportional {
            factor: rope.positive(&["factor"])?.unwrap_or(1.0),
            proportion: turning.unwrap_or(1.0).min(1.0),
        },
        other => {
            return Err(Error::Unsupported {
                what: "config field rope_type".into(),
                expected: "one of default, linear, dynamic, yarn, longrope, llama3, proportional".into(),
                found: other.into(),
            });
        }
    };
    Ok((theta, scaling))
}

/// YaRN's `0.1 m ln(s) + 1`.
fn yarn_mscale(scale: f32, m: f32) -> f32 {
    if scale <= 1.0 { 1.0 } else { 0.1 * m * scale.ln() + 1.0 }
}

struct Block {
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
    heads: Heads,
    rotary: Rotary,
    /// Of the attention weights, in training.
    attention_dropout: f32,
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
    config.check()?;
    let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.rms_norm_eps);
    let dim = config.head_dim;
    let heads = Heads {
        query: config.num_attention_heads,
        key_value: config.num_key_value_heads,
        dim,
        scale: (dim as f32).sqrt().recip(),
        reach: Reach::Causal,
    };
    let q_width = product("num_attention_heads × head_dim", heads.query, dim)?;
    let kv_width = product("num_key_value_heads × head_dim", heads.key_value, dim)?;
    loader.set_prefix("model.", "embed_tokens.weight");
    let embed_tokens = loader.embedding("embed_tokens", config.vocab_size, width)?;
    let mut blocks = Vec::new();
    for i in 0..config.num_hidden_layers {
        let name = |part: &str| format!("layers.{i}.{part}");
        let (qkv, attention, mlp) = (config.qkv_bias, config.attention_bias, config.mlp_bias);
        let mut linear = |part: &str, inputs: usize, outputs: usize, bias: Bias| {
            loader.linear(&name(part), Layout::OutputMajor, inputs, outputs, bias)
        };
        let v_proj = linear("self_attn.v_proj", width, kv_width, qkv)?;
        let o_proj = linear("self_attn.o_proj", q_width, width, attention)?;
        let gate_proj = linear("mlp.gate_proj", width, inner, mlp)?;
        let up_proj = linear("mlp.up_proj", width, inner, mlp)?;
        let down_proj = linear("mlp.down_proj", inner, width, mlp)?;
        blocks.push(Block {
            input_layernorm: loader.rms_norm(&name("input_layernorm"), width, eps)?,
            q_proj: rotated(family, loader, &name("self_attn.q_proj"), [width, q_width, dim], qkv)?,
            k_proj: rotated(family, loader, &name("self_attn.k_proj"), [width, kv_width, dim], qkv)?,
            qk_norms: match family.qk_norm {
                true => Some([
                    loader.rms_norm(&name("self_attn.q_norm"), dim, eps)?,
                    loader.rms_norm(&name("self_attn.k_norm"), dim, eps)?,
                ]),
                false => None,
            },
            v_proj,
            o_proj,
            post_attention_layernorm: loader.rms_norm(&name("post_attention_layernorm"), width, eps)?,
            gate_proj,
            up_proj,
            down_proj,
        });
    }
    let norm = loader.rms_norm("norm", width, eps)?;
    let lm_head = loader.head(config.tie_word_embeddings, &embed_tokens, width, config.vocab_size)?;
    // Dynamic scaling is there to go on beyond the trained length, by its factor.
    let context_length = match &config.scaling {
        Scaling::Dynamic { factor, max_position } => {
            ((*max_position as f32 * factor.max(1.0)) as usize).min(LONGEST_CONTEXT)
        }
        _ => config.max_position_embeddings,
    };
    let spec = Spec {
        architecture: family.name,
        layers: config.num_hidden_layers,
        heads: heads.query,
        key_value_heads: heads.key_value,
        head_dim: dim,
        hidden_size: width,
        vocab_size: config.vocab_size,
        context_length,
        parameters: loader.parameters(),
        weight_bytes: loader.weight_bytes(),
        quantization: loader.quantization(),
        decoded_formats: loader.decoded_formats(),
        form: Form {
            norm: "RMSNorm",
            norm_epsilon: eps,
            activation: config.hidden_act.name(),
            gated: true,
            inner_size: inner,
            rope_theta: Some(config.rope_theta),
            qk_norm: family.qk_norm,
            attention_scale: heads.scale,
        },
        parts: loader.parts(),
    };
    let rotary = Rotary { dim, theta: config.rope_theta, scaling: config.scaling };
    let Config { attention_dropout, hidden_act, .. } = config;
    Ok(Box::new(Llama { spec, heads, rotary, attention_dropout, hidden_act, embed_tokens, blocks, norm, lm_head }))
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
            let [q, k] = block.queries_and_keys(&normed, self.heads.dim)?;
            let (q, k) = (self.rotary.forward(&q, &angles)?, self.rotary.forward(&k, &angles)?);
            let v = block.v_proj.forward(&normed)?;
            let y = pass.attend(i, self.heads, self.attention_dropout, [&q, &k, &v])?;
            let added = block.o_proj.forward(&y)?;
            pass.see(i, Site::Attention, &added)?;
            x = (&x + added)?;
            pass.see(i, Site::Middle, &x)?;
            let normed = block.post_attention_layernorm.forward(&x)?;
            pass.see(i, Site::FeedForwardNorm, &normed)?;
            let added = block.feed_forward(&normed, i, self.hidden_act, pass)?;
            pass.see(i, Site::FeedForward, &added)?;
            x = (&x + added)?;
        }
        let layers = self.blocks.len();
        pass.see(layers, Site::Stream, &x)?;
        let normed = self.norm.forward(&x)?;
        pass.see(layers, Site::Norm, &normed)?;
        Ok(normed)
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

    fn cache_fits(&self, longest: usize) -> bool {
        self.rotary.cache_fits(longest)
    }
}

impl Block {
    /// Before they are rotated.
    fn queries_and_keys(&self, x: &Tensor, dim: usize) -> Result<[Tensor; 2]> {
        let (q, k) = (self.q_proj.forward(x)?, self.k_proj.forward(x)?);
        let Some([q_norm, k_norm]) = &self.qk_norms else { return Ok([q, k]) };
        let by_head = |norm: &Norm, x: Tensor| -> Result<Tensor> {
            Ok(norm.forward(&x.reshape(((), dim))?)?.reshape(x.shape())?)
        };
        Ok([by_head(q_norm, q)?, by_head(k_norm, k)?])
    }

    fn feed_forward(&self, x: &Tensor, layer: usize, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        let gated = activation.gated(&self.gate_proj.forward(x)?, &self.up_proj.forward(x)?)?;
        pass.see(layer, Site::Inner, &gated)?;
        self.down_proj.forward(&gated)
    }
}
