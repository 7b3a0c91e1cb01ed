//! ModernBERT (Warner et al. 2024): norms before what they are of, gated feed-forward parts, rotary positions; layers that
//! see the whole text alternate with layers that see only what is near, each kind with a rotary base of its own.

use super::heads::Named;
use super::{Encoder, Family, Head, MaskedHead, Transform, fits, head_dim, refuse_decoders, unsupported};
use crate::error::{Error, Result};
use crate::kernels::attention::{Heads, Reach};
use crate::layers::{Activation, Embedding, Linear, Norm, Rotary, Scaling};
use crate::model::config::product;
use crate::model::loader::{Bias, Layout};
use crate::model::{Fields, Form, Loader, Pass, Site, Spec};
use candle_core::Tensor;
use serde_json::Value;

pub const MODERNBERT: Family = Family { name: "modernbert", load };

/// The fields of the configuration that decide the result.
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    hidden_activation: Activation,
    max_position_embeddings: usize,
    norm_eps: f32,
    norm_bias: bool,
    attention_bias: bool,
    mlp_bias: bool,
    classifier_bias: bool,
    classifier_activation: Activation,
    decoder_bias: bool,
    tie_word_embeddings: bool,
    /// How far a local layer sees on either side.
    near: usize,
    /// Of each layer, whether it sees only what is near.
    local: Vec<bool>,
    global_theta: f32,
    local_theta: f32,
}

impl Config {
    fn from_json(fields: &Fields) -> Result<Self> {
        refuse_decoders(fields)?;
        let activation = |field: &str| Activation::parse(field, fields.str(&[field])?.unwrap_or("gelu"));
        let layers = fields.count(&["num_hidden_layers"], Some(22))?;
        let theta = |kind: &str, old: &str, usual: f32| -> Result<f32> {
            let all = fields.object(&["rope_parameters"])?;
            let own = all.map(|all| all.object(&[kind])).transpose()?.flatten();
            if let Some(own) = &own
                && let Some(other) = own.str(&["rope_type"])?.filter(|kind| *kind != "default")
            {
                return Err(unsupported("rope_parameters", "rope_type default", other));
            }
            let given = own.map(|own| own.positive(&["rope_theta"])).transpose()?.flatten();
            Ok(given.or(fields.positive(&[old])?).unwrap_or(usual))
        };
        if let Some(scaling) = fields.object(&["rope_scaling"])?
            && let Some(kind) = scaling.str(&["rope_type", "type"])?.filter(|kind| *kind != "default")
        {
            return Err(unsupported("rope_scaling", "rope_type default", kind));
        }
        Ok(Self {
            vocab_size: fields.count(&["vocab_size"], Some(50368))?,
            hidden_size: fields.count(&["hidden_size"], Some(768))?,
            intermediate_size: fields.count(&["intermediate_size"], Some(1152))?,
            num_hidden_layers: layers,
            num_attention_heads: fields.count(&["num_attention_heads"], Some(12))?,
            hidden_activation: activation("hidden_activation")?,
            max_position_embeddings: fields.count(&["max_position_embeddings"], Some(8192))?,
            norm_eps: fields.positive(&["norm_eps"])?.unwrap_or(1e-5),
            norm_bias: fields.bool(&["norm_bias"], false)?,
            attention_bias: fields.bool(&["attention_bias"], false)?,
            mlp_bias: fields.bool(&["mlp_bias"], false)?,
            classifier_bias: fields.bool(&["classifier_bias"], false)?,
            classifier_activation: activation("classifier_activation")?,
            decoder_bias: fields.bool(&["decoder_bias"], true)?,
            tie_word_embeddings: fields.bool(&["tie_word_embeddings"], true)?,
            near: fields.count(&["local_attention"], Some(128))? / 2,
            local: local_layers(fields, layers)?,
            global_theta: theta("full_attention", "global_rope_theta", 160_000.0)?,
            local_theta: theta("sliding_attention", "local_rope_theta", 10_000.0)?,
        })
    }
}

/// Of each layer, whether it sees only what is near: by a list, or else all but every so many.
fn local_layers(fields: &Fields, layers: usize) -> Result<Vec<bool>> {
    let Some(kinds) = fields.values().get("layer_types").filter(|kinds| !kinds.is_null()) else {
        let every = fields.count(&["global_attn_every_n_layers"], Some(3))?;
        return Ok((0..layers).map(|layer| layer % every != 0).collect());
    };
    let kind = |kind: &Value| match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => Err(unsupported("layer_types", "full_attention and sliding_attention", &kind.to_string())),
    };
    let kinds = kinds.as_array().into_iter().flatten().map(kind).collect::<Result<Vec<_>>>()?;
    if kinds.len() == layers {
        return Ok(kinds);
    }
    let (field, expected) = ("layer_types".into(), format!("a list of {layers}, one for each layer"));
    Err(Error::BadConfig { field, expected, found: kinds.len().to_string() })
}

struct Block {
    /// The first layer has none.
    attention_norm: Option<Norm>,
    /// To queries, keys and values side by side.
    joined: Linear,
    attention_output: Linear,
    local: bool,
    feed_forward_norm: Norm,
    /// To what goes through the activation function and its gate side by side.
    inner: Linear,
    output: Linear,
}

struct ModernBert {
    spec: Spec,
    words: Embedding,
    norm: Norm,
    blocks: Vec<Block>,
    final_norm: Norm,
    heads: Heads,
    near: usize,
    global: Rotary,
    local: Rotary,
    activation: Activation,
    head: Head,
}

fn load(fields: &Fields, loader: &mut Loader) -> Result<Box<dyn Encoder>> {
    let config = Config::from_json(fields)?;
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let dim = head_dim("num_attention_heads", width, config.num_attention_heads)?;
    if !dim.is_multiple_of(2) {
        return Err(unsupported("num_attention_heads", "heads of an even width", &dim.to_string()));
    }
    let (joined, gated) = (product("3 × hidden_size", 3, width)?, product("2 × intermediate_size", 2, inner)?);
    let layer_norm = |loader: &mut Loader, name: &str| match config.norm_bias {
        true => loader.layer_norm(name, width, config.norm_eps),
        false => loader.layer_norm_unbiased(name, width, config.norm_eps),
    };
    let bias = |there: bool| if there { Bias::Yes } else { Bias::No };
    loader.set_prefix("model.", "embeddings.tok_embeddings.weight");
    let words = loader.embedding("embeddings.tok_embeddings", config.vocab_size, width)?;
    let norm = layer_norm(loader, "embeddings.norm")?;
    let mut blocks = Vec::new();
    for (i, &local) in config.local.iter().enumerate() {
        let name = |part: &str| format!("layers.{i}.{part}");
        let mut linear = |part: &str, inputs: usize, outputs: usize, has_bias: bool| {
            loader.linear(&name(part), Layout::OutputMajor, inputs, outputs, bias(has_bias))
        };
        blocks.push(Block {
            joined: linear("attn.Wqkv", width, joined, config.attention_bias)?,
            attention_output: linear("attn.Wo", width, width, config.attention_bias)?,
            inner: linear("mlp.Wi", width, gated, config.mlp_bias)?,
            output: linear("mlp.Wo", inner, width, config.mlp_bias)?,
            attention_norm: if i > 0 { Some(layer_norm(loader, &name("attn_norm"))?) } else { None },
            feed_forward_norm: layer_norm(loader, &name("mlp_norm"))?,
            local,
        });
    }
    let final_norm = layer_norm(loader, "final_norm")?;
    loader.leave_prefix();
    let named = Named::of(fields);
    let transform = |loader: &mut Loader| -> Result<Transform> {
        Ok(Transform {
            dense: loader.linear("head.dense", Layout::OutputMajor, width, width, bias(config.classifier_bias))?,
            activation: config.classifier_activation,
            norm: layer_norm(loader, "head.norm")?,
        })
    };
    // The same transform stands below the heads of other tasks: only the decoder's bias tells this one.
    let head = if named.is_masked(loader.contains("decoder", "bias")) {
        let transform = transform(loader)?;
        let weight = loader.head_weight("decoder", config.tie_word_embeddings, &words, width, config.vocab_size)?;
        let bias = match config.decoder_bias {
            true => Some(loader.vector("decoder", "bias", config.vocab_size, None)?),
            false => None,
        };
        Head::Masked(MaskedHead { transform, decoder: Linear::new(weight, bias) })
    } else if named.is_answer(false) {
        let transform = Some(transform(loader)?);
        Head::Answer { transform, outputs: loader.linear("classifier", Layout::OutputMajor, width, 2, Bias::Yes)? }
    } else {
        Head::None
    };
    let heads = Heads {
        query: config.num_attention_heads,
        key_value: config.num_attention_heads,
        dim,
        scale: (dim as f32).sqrt().recip(),
        reach: Reach::All,
    };
    let spec = Spec {
        architecture: MODERNBERT.name,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        key_value_heads: config.num_attention_heads,
        head_dim: dim,
        hidden_size: width,
        vocab_size: config.vocab_size,
        context_length: config.max_position_embeddings,
        form: Form {
            norm: "LayerNorm",
            norm_epsilon: config.norm_eps,
            activation: config.hidden_activation.name(),
            gated: true,
            inner_size: inner,
            rope_theta: Some(config.global_theta),
            attention_scale: heads.scale,
            ..Form::default()
        },
        ..loader.counted()
    };
    let rotary = |theta: f32| Rotary { head_dim: dim, dim, theta, scaling: Scaling::None };
    Ok(Box::new(ModernBert {
        spec,
        words,
        norm,
        blocks,
        final_norm,
        heads,
        near: config.near,
        global: rotary(config.global_theta),
        local: rotary(config.local_theta),
        activation: config.hidden_activation,
        head,
    }))
}

impl Encoder for ModernBert {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn forward(&self, pass: &mut Pass, _kinds: &[u32]) -> Result<Tensor> {
        fits(pass, self.spec.context_length)?;
        let (positions, length) = (pass.positions(), pass.length());
        let global = self.global.angles(&positions, length)?;
        let local = self.local.angles(&positions, length)?;
        let words = self.words.forward(&pass.ids())?;
        pass.see(0, Site::Embedding, &words)?;
        let mut x = self.norm.forward(&words)?;
        let width = self.spec.hidden_size;
        for (i, block) in self.blocks.iter().enumerate() {
            pass.see(i, Site::Stream, &x)?;
            let normed = match &block.attention_norm {
                Some(norm) => norm.forward(&x)?,
                None => x.clone(),
            };
            pass.see(i, Site::AttentionNorm, &normed)?;
            let (rotary, angles, reach) = match block.local {
                true => (&self.local, &local, Reach::Around(self.near)),
                false => (&self.global, &global, Reach::All),
            };
            // In a block of its own, so that none of it is held while feeding forward.
            let attended = {
                let joined = block.joined.forward(&normed)?;
                let part = |n: usize| joined.narrow(1, n * width, width)?.contiguous();
                let (q, k) = (rotary.forward(&part(0)?, angles)?, rotary.forward(&part(1)?, angles)?);
                pass.attend_whole(i, Heads { reach, ..self.heads }, None, [q, k, part(2)?])?
            };
            let added = block.attention_output.forward(&attended)?;
            pass.see(i, Site::Attention, &added)?;
            x = (x + added)?;
            pass.see(i, Site::Middle, &x)?;
            let normed = block.feed_forward_norm.forward(&x)?;
            pass.see(i, Site::FeedForwardNorm, &normed)?;
            let both = block.inner.forward(&normed)?;
            let inner = self.spec.form.inner_size;
            let gated = self
                .activation
                .gated(both.narrow(1, 0, inner)?.contiguous()?, &both.narrow(1, inner, inner)?.contiguous()?)?;
            pass.see(i, Site::Inner, &gated)?;
            let added = block.output.forward(&gated)?;
            pass.see(i, Site::FeedForward, &added)?;
            x = (x + added)?;
        }
        pass.end(self.blocks.len(), &x, &self.final_norm)
    }

    fn finish(&self, stream: &Tensor) -> Result<Tensor> {
        self.final_norm.forward(stream)
    }

    fn embeddings(&self) -> &Embedding {
        &self.words
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn has_kinds(&self) -> bool {
        false
    }
}
