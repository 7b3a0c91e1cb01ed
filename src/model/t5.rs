//! T5 (Raffel et al. 2020), T5 1.1, Flan-T5 and mT5 as `T5ForConditionalGeneration` computes them: pre-norm blocks without
//! biases, positions as a bias on the scores by distance, scores without a scale.

use super::config::product;
use super::loader::{Bias, Layout};
use super::seq2seq::{self, Attention, EncoderSpec, heads};
use super::{Architecture, Decoder, Fields, Form, Loader, Pass, Probe, Site, Spec};
use crate::error::{Error, Result};
use crate::kernels::CacheType;
use crate::kernels::attention::{Reach, Relative};
use crate::layers::{Activation, Crossed, Embedding, Input, Linear, Norm};
use candle_core::Tensor;

pub const T5: Architecture = Architecture {
    name: "t5",
    gguf: "t5",
    gguf_names: &[],
    bos_token_id: None,
    eos_token_id: Some(1),
    load: |fields, loader| load(&FAMILIES[0], fields, loader),
    conversion: super::conversion::FOLDERS_ONLY,
};

pub const MT5: Architecture =
    Architecture { name: "mt5", gguf: "mt5", load: |fields, loader| load(&FAMILIES[1], fields, loader), ..T5 };

/// In what the two differ.
struct Family {
    name: &'static str,
    feed_forward_proj: &'static str,
    vocab_size: usize,
    d_ff: usize,
    num_layers: usize,
    num_heads: usize,
    /// Whether a head that is tied to the embeddings is given smaller activations.
    scaled_head: bool,
}

const FAMILIES: [Family; 2] = [
    Family {
        name: "t5",
        feed_forward_proj: "relu",
        vocab_size: 32128,
        d_ff: 2048,
        num_layers: 6,
        num_heads: 8,
        scaled_head: true,
    },
    Family {
        name: "mt5",
        feed_forward_proj: "gated-gelu",
        vocab_size: 250112,
        d_ff: 1024,
        num_layers: 8,
        num_heads: 6,
        scaled_head: false,
    },
];

/// T5 sees any distance, so nothing but time and memory bounds a text; here this many tokens do, or `n_positions` where that
/// is more.
const CONTEXT: usize = 2048;

struct Config {
    vocab_size: usize,
    d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_layers: usize,
    num_decoder_layers: usize,
    num_heads: usize,
    buckets: usize,
    max_distance: usize,
    eps: f32,
    activation: Activation,
    gated: bool,
    scaled_head: bool,
    context: usize,
}

impl Config {
    fn new(family: &Family, fields: &Fields) -> Result<Self> {
        fields.refuse_unhonoured()?;
        let name = fields.str(&["feed_forward_proj"])?.unwrap_or(family.feed_forward_proj);
        let (gated, function) = match name.split_once('-') {
            None => (false, name),
            Some(("gated", function)) if !function.contains('-') => (true, function),
            Some(_) => {
                return Err(Error::BadConfig {
                    field: "feed_forward_proj".into(),
                    expected: "an activation function, or gated- and one".into(),
                    found: name.into(),
                });
            }
        };
        // "gated-gelu" has always meant the approximation.
        let function = if name == "gated-gelu" { "gelu_new" } else { function };
        let num_layers = fields.count(&["num_layers", "num_hidden_layers"], Some(family.num_layers))?;
        let buckets = fields.count(&["relative_attention_num_buckets"], Some(32))?;
        let max_distance = fields.count(&["relative_attention_max_distance"], Some(128))?;
        // Both halves need a bucket for the nearest, and those for the far ones begin beyond them.
        if buckets < 4 || max_distance <= buckets / 2 {
            return Err(Error::BadConfig {
                field: "relative_attention_max_distance".into(),
                expected: "more than half of relative_attention_num_buckets, and of these at least 4".into(),
                found: format!("{max_distance} and {buckets}"),
            });
        }
        let context = fields.count(&["n_positions"], Some(CONTEXT))?.max(CONTEXT);
        if context > LONGEST {
            return Err(Error::BadConfig {
                field: "n_positions".into(),
                expected: format!("at most {LONGEST}"),
                found: context.to_string(),
            });
        }
        Ok(Self {
            vocab_size: fields.count(&["vocab_size"], Some(family.vocab_size))?,
            d_model: fields.count(&["d_model", "hidden_size"], Some(512))?,
            d_kv: fields.count(&["d_kv", "head_dim"], Some(64))?,
            d_ff: fields.count(&["d_ff"], Some(family.d_ff))?,
            num_layers,
            num_decoder_layers: fields.count(&["num_decoder_layers"], Some(num_layers))?,
            num_heads: fields.count(&["num_heads", "num_attention_heads"], Some(family.num_heads))?,
            buckets,
            max_distance,
            eps: fields.positive(&["layer_norm_epsilon"])?.unwrap_or(1e-6),
            activation: Activation::parse("feed_forward_proj", function)?,
            gated,
            scaled_head: family.scaled_head && fields.bool(&["tie_word_embeddings"], true)?,
            context,
        })
    }
}

/// Tables of biases are this long at most.
const LONGEST: usize = 1 << 20;

/// The bucket of a distance `key − query`: near ones have their own, far ones share them by the logarithm.
fn bucket(distance: i64, both_ways: bool, buckets: usize, max_distance: usize) -> usize {
    let (buckets, first) =
        if both_ways { (buckets / 2, if distance > 0 { buckets / 2 } else { 0 }) } else { (buckets, 0) };
    let far = if both_ways { distance.unsigned_abs() } else { distance.min(0).unsigned_abs() } as usize;
    let exact = buckets / 2;
    if far < exact {
        return first + far;
    }
    // In f32, as the reference has it: a bucket more or less shows.
    let share = libm::logf(far as f32 / exact as f32) / libm::log(max_distance as f64 / exact as f64) as f32;
    first + (exact + (share * (buckets - exact) as f32) as usize).min(buckets - 1)
}

/// The bias of every distance that a text of `context` tokens has, from the table `[buckets, heads]`.
fn relative(table: &Embedding, config: &Config, both_ways: bool) -> Result<Relative> {
    let back = config.context;
    let at: Vec<u32> = (0..=2 * back)
        .map(|i| bucket(i as i64 - back as i64, both_ways, config.buckets, config.max_distance) as u32)
        .collect();
    let by_distance = table.forward(&(0..config.buckets as u32).collect::<Vec<_>>())?.to_vec2::<f32>()?;
    let values = (0..config.num_heads).flat_map(|head| {
        let by_distance = &by_distance;
        at.iter().map(move |bucket| by_distance[*bucket as usize][head])
    });
    Ok(Relative { values: values.collect(), back })
}

struct Block {
    attention_norm: Norm,
    attention: Attention,
    /// Only a decoder's blocks have it.
    cross: Option<(Norm, Attention)>,
    feed_forward_norm: Norm,
    /// The projection that is activated, and beside it the one that is multiplied with the result.
    inner: Linear,
    gate: Option<Linear>,
    outer: Linear,
}

/// The encoder, or the decoder.
struct Stack {
    blocks: Vec<Block>,
    bias: Relative,
    norm: Norm,
}

struct Model {
    spec: Spec,
    encoder_spec: EncoderSpec,
    embeddings: Embedding,
    encoder: Stack,
    decoder: Stack,
    activation: Activation,
    lm_head: Linear,
    /// On the activations before the head.
    head_scale: f64,
}

fn load(family: &Family, fields: Option<&Fields>, loader: &mut Loader) -> Result<Box<dyn Decoder>> {
    let Some(fields) = fields else { return Err(seq2seq::no_config(family.name)) };
    let config = Config::new(family, fields)?;
    let name = ["shared", "encoder.embed_tokens", "decoder.embed_tokens"];
    let name = name.into_iter().find(|name| loader.contains(name, "weight")).unwrap_or("shared");
    let embeddings = loader.embedding(name, config.vocab_size, config.d_model)?;
    let encoder = stack(&config, loader, "encoder", config.num_layers, false)?;
    let decoder = stack(&config, loader, "decoder", config.num_decoder_layers, true)?;
    let lm_head = loader.head(true, &embeddings, config.d_model, config.vocab_size)?;
    let spec = Spec {
        architecture: family.name,
        layers: config.num_decoder_layers,
        heads: config.num_heads,
        key_value_heads: config.num_heads,
        head_dim: config.d_kv,
        hidden_size: config.d_model,
        vocab_size: config.vocab_size,
        context_length: config.context,
        form: Form {
            norm: "RMSNorm",
            norm_epsilon: config.eps,
            activation: config.activation.name(),
            gated: config.gated,
            inner_size: config.d_ff,
            attention_scale: 1.0,
            ..Form::default()
        },
        ..loader.counted()
    };
    let encoder_spec = EncoderSpec {
        layers: config.num_layers,
        heads: config.num_heads,
        vocab_size: config.vocab_size,
        context_length: config.context,
        decoder_start_token_id: seq2seq::start_token(family.name, fields)?,
        tasks: seq2seq::named_tasks(fields),
    };
    let head_scale = if config.scaled_head { (config.d_model as f64).sqrt().recip() } else { 1.0 };
    let activation = config.activation;
    Ok(Box::new(Model { spec, encoder_spec, embeddings, encoder, decoder, activation, lm_head, head_scale }))
}

fn stack(config: &Config, loader: &mut Loader, name: &str, layers: usize, writes: bool) -> Result<Stack> {
    const PARTS: [&str; 4] = ["q", "k", "v", "o"];
    let width = config.d_model;
    product("num_heads × d_kv", config.num_heads, config.d_kv)?;
    let shape = |reach| heads(config.num_heads, config.d_kv, 1.0, reach);
    let own = shape(if writes { Reach::Causal } else { Reach::All });
    let mut blocks = Vec::new();
    for i in 0..layers {
        let layer = |at: usize, part: &str| format!("{name}.block.{i}.layer.{at}.{part}");
        let attention = Attention::load(loader, &layer(0, "SelfAttention"), PARTS, width, own, Bias::No)?;
        let attention_norm = loader.rms_norm(&layer(0, "layer_norm"), width, config.eps)?;
        let cross = if writes {
            let norm = loader.rms_norm(&layer(1, "layer_norm"), width, config.eps)?;
            let across = layer(1, "EncDecAttention");
            Some((norm, Attention::load(loader, &across, PARTS, width, shape(Reach::Across), Bias::No)?))
        } else {
            None
        };
        let last = if writes { 2 } else { 1 };
        let mut linear = |part: &str, inputs: usize, outputs: usize| {
            let name = layer(last, &format!("DenseReluDense.{part}"));
            loader.linear(&name, Layout::OutputMajor, inputs, outputs, Bias::No)
        };
        let inner = linear(if config.gated { "wi_0" } else { "wi" }, width, config.d_ff)?;
        let gate = if config.gated { Some(linear("wi_1", width, config.d_ff)?) } else { None };
        let outer = linear("wo", config.d_ff, width)?;
        let feed_forward_norm = loader.rms_norm(&layer(last, "layer_norm"), width, config.eps)?;
        blocks.push(Block { attention_norm, attention, cross, feed_forward_norm, inner, gate, outer });
    }
    let table = format!("{name}.block.0.layer.0.SelfAttention.relative_attention_bias");
    let table = loader.embedding(&table, config.buckets, config.num_heads)?;
    let norm = loader.rms_norm(&format!("{name}.final_layer_norm"), width, config.eps)?;
    Ok(Stack { blocks, bias: relative(&table, config, !writes)?, norm })
}

impl Stack {
    fn forward(&self, mut x: Tensor, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        for (i, block) in self.blocks.iter().enumerate() {
            pass.see(i, Site::Stream, &x)?;
            x = block.forward(x, i, &self.bias, activation, pass)?;
        }
        pass.see(self.blocks.len(), Site::Stream, &x)?;
        let normed = self.norm.forward(&x)?;
        pass.see(self.blocks.len(), Site::Norm, &normed)?;
        Ok(normed)
    }
}

impl Block {
    fn forward(
        &self,
        mut x: Tensor,
        layer: usize,
        bias: &Relative,
        activation: Activation,
        pass: &mut Pass,
    ) -> Result<Tensor> {
        let normed = self.attention_norm.forward(&x)?;
        pass.see(layer, Site::AttentionNorm, &normed)?;
        let added = self.attention.within(&normed, layer, Some(bias), pass)?;
        pass.see(layer, Site::Attention, &added)?;
        x = (x + added)?;
        if let Some((norm, cross)) = &self.cross {
            let added = cross.across(&norm.forward(&x)?, layer, pass)?;
            pass.see(layer, Site::Cross, &added)?;
            x = (x + added)?;
        }
        pass.see(layer, Site::Middle, &x)?;
        let normed = self.feed_forward_norm.forward(&x)?;
        pass.see(layer, Site::FeedForwardNorm, &normed)?;
        let normed = Input::new(&normed);
        let inner = self.inner.read(&normed)?;
        let inner = match &self.gate {
            Some(gate) => activation.gated(inner, &gate.read(&normed)?)?,
            None => activation.forward(inner)?,
        };
        pass.see(layer, Site::Inner, &inner)?;
        let added = self.outer.last(inner)?;
        pass.see(layer, Site::FeedForward, &added)?;
        Ok((x + added)?)
    }
}

impl Decoder for Model {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn encoder(&self) -> Option<&EncoderSpec> {
        Some(&self.encoder_spec)
    }

    fn encode(&self, ids: &[u32], kind: CacheType, probe: Option<&mut Probe>) -> Result<Option<Crossed>> {
        let mut pass = seq2seq::reading(&self.encoder_spec, ids, probe)?;
        let x = self.embeddings.forward(ids)?;
        pass.see(0, Site::Embedding, &x)?;
        let states = self.encoder.forward(x, self.activation, &mut pass)?;
        let across = self.decoder.blocks.iter().filter_map(|block| block.cross.as_ref().map(|(_, cross)| cross));
        seq2seq::cross(across, &states, kind).map(Some)
    }

    fn forward(&self, pass: &mut Pass) -> Result<Tensor> {
        seq2seq::within_context(self, &pass.positions())?;
        let x = self.embeddings.forward(&pass.ids())?;
        pass.see(0, Site::Embedding, &x)?;
        self.decoder.forward(x, self.activation, pass)
    }

    fn embeddings(&self) -> &Embedding {
        &self.embeddings
    }

    fn norm(&self) -> &Norm {
        &self.decoder.norm
    }

    fn head(&self) -> &Linear {
        &self.lm_head
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(&(hidden * self.head_scale)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 8 buckets, of which in each direction two are exact.
    #[test]
    fn near_distances_have_buckets_of_their_own() {
        let both: Vec<usize> = (-6..=6).map(|distance| bucket(distance, true, 8, 16)).collect();
        assert_eq!(both, [3, 2, 2, 2, 2, 1, 0, 5, 6, 6, 6, 6, 7]);
        let back: Vec<usize> = [3, 0, -1, -3, -4, -5, -8, -15, -16, -900].map(|d| bucket(d, false, 8, 16)).to_vec();
        assert_eq!(back, [0, 0, 1, 3, 4, 4, 6, 7, 7, 7]);
    }
}
