//! Marian (Junczys-Dowmunt et al. 2018) and BART (Lewis et al. 2020) as `MarianMTModel` and `BartForConditionalGeneration`
//! compute them: norms after each part, biases everywhere, positions that are learned or waves.

use super::config::product;
use super::loader::{Bias, Layout};
use super::seq2seq::{self, Attention, EncoderSpec, heads};
use super::{Architecture, Decoder, Fields, Form, Loader, Pass, Probe, Site, Spec};
use crate::error::{Error, Result};
use crate::kernels::CacheType;
use crate::kernels::attention::Reach;
use crate::layers::{Activation, Crossed, Embedding, Linear, Norm, rows};
use candle_core::Tensor;

pub const MARIAN: Architecture = Architecture {
    name: "marian",
    gguf: "marian",
    gguf_names: &[],
    bos_token_id: None,
    eos_token_id: Some(0),
    load: |fields, loader| load(&FAMILIES[0], fields, loader),
    conversion: super::conversion::FOLDERS_ONLY,
};

pub const BART: Architecture = Architecture {
    name: "bart",
    gguf: "bart",
    bos_token_id: Some(0),
    eos_token_id: Some(2),
    load: |fields, loader| load(&FAMILIES[1], fields, loader),
    ..MARIAN
};

/// In what the two differ.
struct Family {
    name: &'static str,
    vocab_size: usize,
    /// Rows of the table of positions before the first; `None`: positions are waves, of which a file may have a table.
    learned_positions: Option<usize>,
    /// Whether the embeddings are normed.
    normed_embeddings: bool,
}

const FAMILIES: [Family; 2] = [
    Family { name: "marian", vocab_size: 58101, learned_positions: None, normed_embeddings: false },
    Family { name: "bart", vocab_size: 50265, learned_positions: Some(2), normed_embeddings: true },
];

/// What PyTorch's LayerNorm adds below the root.
const EPS: f32 = 1e-5;

/// The fields of the configuration that decide the result, by their Hugging Face names.
struct Config {
    vocab_size: usize,
    decoder_vocab_size: usize,
    d_model: usize,
    max_position_embeddings: usize,
    encoder: StackConfig,
    decoder: StackConfig,
    activation_function: Activation,
    scale_embedding: bool,
    /// Whether the two stacks have one table.
    shared: bool,
    tied: bool,
}

/// Those of one stack.
struct StackConfig {
    layers: usize,
    heads: usize,
    ffn_dim: usize,
}

impl Config {
    fn new(family: &Family, fields: &Fields) -> Result<Self> {
        fields.refuse_unhonoured()?;
        let vocab_size = fields.count(&["vocab_size"], Some(family.vocab_size))?;
        let d_model = fields.count(&["d_model", "hidden_size"], Some(1024))?;
        let stack = |name: &str| -> Result<StackConfig> {
            let field = |part: &str, usual| fields.count(&[&format!("{name}_{part}")], Some(usual));
            let stack = StackConfig {
                layers: field("layers", 12)?,
                heads: field("attention_heads", 16)?,
                ffn_dim: field("ffn_dim", 4096)?,
            };
            if !d_model.is_multiple_of(stack.heads) {
                return Err(Error::BadConfig {
                    field: format!("{name}_attention_heads"),
                    expected: format!("a divisor of d_model = {d_model}"),
                    found: stack.heads.to_string(),
                });
            }
            Ok(stack)
        };
        let activation = fields.str(&["activation_function"])?.unwrap_or("gelu");
        let shared = fields.bool(&["share_encoder_decoder_embeddings"], true)?;
        let decoder_vocab_size = fields.count(&["decoder_vocab_size"], Some(vocab_size))?;
        Ok(Self {
            decoder_vocab_size: if shared { vocab_size } else { decoder_vocab_size },
            vocab_size,
            d_model,
            max_position_embeddings: fields.count(&["max_position_embeddings"], Some(1024))?,
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            activation_function: Activation::parse("activation_function", activation)?,
            scale_embedding: fields.bool(&["scale_embedding"], false)?,
            shared,
            tied: fields.bool(&["tie_word_embeddings"], true)?,
        })
    }
}

/// What is added to an embedding for its place.
enum Positions {
    /// Rows of a table, from this one on.
    Table { table: Embedding, first: u32 },
    /// Sines, then cosines, of wavelengths from 2π to 20000π (Vaswani et al. 2017).
    Waves { width: usize },
}

impl Positions {
    fn at(&self, positions: &[u32]) -> Result<Tensor> {
        match self {
            Self::Table { table, first } => table.forward(&positions.iter().map(|p| p + first).collect::<Vec<_>>()),
            Self::Waves { width } => {
                let (sines, width_in_full) = (width.div_ceil(2), *width as f64);
                let angle = |p: u32, i: usize| f64::from(p) / libm::pow(10000.0, 2.0 * i as f64 / width_in_full);
                let wave = |p: u32, column: usize| match column.checked_sub(sines) {
                    None => libm::sin(angle(p, column)) as f32,
                    Some(i) => libm::cos(angle(p, i)) as f32,
                };
                let values = positions.iter().flat_map(|&p| (0..*width).map(move |column| wave(p, column)));
                rows(values.collect(), positions.len())
            }
        }
    }
}

struct Block {
    attention: Attention,
    attention_norm: Norm,
    /// Only a decoder's blocks have it.
    cross: Option<(Attention, Norm)>,
    fc1: Linear,
    fc2: Linear,
    final_norm: Norm,
}

/// The encoder, or the decoder.
struct Stack {
    embeddings: Embedding,
    scale: f64,
    positions: Positions,
    embedding_norm: Option<Norm>,
    blocks: Vec<Block>,
}

struct Model {
    spec: Spec,
    encoder_spec: EncoderSpec,
    encoder: Stack,
    decoder: Stack,
    activation: Activation,
    /// There is none after the last block.
    norm: Norm,
    lm_head: Linear,
    final_logits_bias: Option<Tensor>,
}

fn load(family: &Family, fields: Option<&Fields>, loader: &mut Loader) -> Result<Box<dyn Decoder>> {
    let Some(fields) = fields else { return Err(seq2seq::no_config(family.name)) };
    let config = Config::new(family, fields)?;
    loader.set_prefix("model.", "encoder.layers.0.fc1.weight");
    let (width, vocab_size) = (config.d_model, config.decoder_vocab_size);
    // Of tables that are one, a file may have any; of others each.
    let own = |stack: &'static str| if stack == "encoder" { "encoder.embed_tokens" } else { "decoder.embed_tokens" };
    let table = |loader: &mut Loader, names: [&'static str; 3], entries: usize| {
        let found = names.into_iter().find(|name| loader.contains(name, "weight")).unwrap_or(names[0]);
        loader.embedding(found, entries, width)
    };
    let (read, written) = if config.shared && config.tied {
        let shared = table(loader, ["shared", own("encoder"), own("decoder")], config.vocab_size)?;
        (Embedding::new(shared.weight()), shared)
    } else {
        let read = table(loader, [own("encoder"), "shared", "shared"], config.vocab_size)?;
        (read, table(loader, [own("decoder"), "shared", "shared"], vocab_size)?)
    };
    let lm_head = loader.head(config.tied, &written, width, vocab_size)?;
    let encoder = stack(family, &config, loader, read, false)?;
    let decoder = stack(family, &config, loader, written, true)?;
    let final_logits_bias = loader.optional_row("final_logits_bias", vocab_size)?;
    let spec = Spec {
        architecture: family.name,
        layers: config.decoder.layers,
        heads: config.decoder.heads,
        key_value_heads: config.decoder.heads,
        head_dim: width / config.decoder.heads,
        hidden_size: width,
        vocab_size,
        context_length: config.max_position_embeddings,
        form: Form {
            norm: "LayerNorm",
            norm_epsilon: EPS,
            activation: config.activation_function.name(),
            inner_size: config.decoder.ffn_dim,
            attention_scale: scale(&config, &config.decoder),
            ..Form::default()
        },
        ..loader.counted()
    };
    let encoder_spec = EncoderSpec {
        layers: config.encoder.layers,
        heads: config.encoder.heads,
        vocab_size: config.vocab_size,
        context_length: config.max_position_embeddings,
        decoder_start_token_id: seq2seq::start_token(family.name, fields)?,
        tasks: seq2seq::named_tasks(fields),
    };
    let activation = config.activation_function;
    let norm = Norm::None;
    Ok(Box::new(Model { spec, encoder_spec, encoder, decoder, activation, norm, lm_head, final_logits_bias }))
}

fn scale(config: &Config, stack: &StackConfig) -> f32 {
    ((config.d_model / stack.heads) as f32).sqrt().recip()
}

fn stack(family: &Family, config: &Config, loader: &mut Loader, embeddings: Embedding, writes: bool) -> Result<Stack> {
    const PARTS: [&str; 4] = ["q_proj", "k_proj", "v_proj", "out_proj"];
    let (name, own) = if writes { ("decoder", &config.decoder) } else { ("encoder", &config.encoder) };
    let width = config.d_model;
    let shape = |reach| heads(own.heads, width / own.heads, scale(config, own), reach);
    let table = format!("{name}.embed_positions");
    let positions = match family.learned_positions {
        Some(first) => {
            let entries = config.max_position_embeddings.saturating_add(first);
            Positions::Table { table: loader.embedding(&table, entries, width)?, first: first as u32 }
        }
        None if loader.contains(&table, "weight") => {
            Positions::Table { table: loader.embedding(&table, config.max_position_embeddings, width)?, first: 0 }
        }
        None => Positions::Waves { width },
    };
    let embedding_norm = match family.normed_embeddings {
        true => Some(loader.layer_norm(&format!("{name}.layernorm_embedding"), width, EPS)?),
        false => None,
    };
    product("d_model × ffn_dim", width, own.ffn_dim)?;
    let mut blocks = Vec::new();
    for i in 0..own.layers {
        let part = |part: &str| format!("{name}.layers.{i}.{part}");
        let reach = if writes { Reach::Causal } else { Reach::All };
        let attention = Attention::load(loader, &part("self_attn"), PARTS, width, shape(reach), Bias::Yes)?;
        let attention_norm = loader.layer_norm(&part("self_attn_layer_norm"), width, EPS)?;
        let cross = if writes {
            let across = Attention::load(loader, &part("encoder_attn"), PARTS, width, shape(Reach::Across), Bias::Yes)?;
            Some((across, loader.layer_norm(&part("encoder_attn_layer_norm"), width, EPS)?))
        } else {
            None
        };
        let fc1 = loader.linear(&part("fc1"), Layout::OutputMajor, width, own.ffn_dim, Bias::Yes)?;
        let fc2 = loader.linear(&part("fc2"), Layout::OutputMajor, own.ffn_dim, width, Bias::Yes)?;
        let final_norm = loader.layer_norm(&part("final_layer_norm"), width, EPS)?;
        blocks.push(Block { attention, attention_norm, cross, fc1, fc2, final_norm });
    }
    let scale = if config.scale_embedding { (width as f64).sqrt() } else { 1.0 };
    Ok(Stack { embeddings, scale, positions, embedding_norm, blocks })
}

impl Stack {
    fn forward(&self, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        let tokens = (self.embeddings.forward(&pass.ids())? * self.scale)?;
        let places = self.positions.at(&pass.positions())?;
        pass.see(0, Site::Embedding, &tokens)?;
        pass.see(0, Site::Position, &places)?;
        let mut x = (tokens + places)?;
        if let Some(norm) = &self.embedding_norm {
            x = norm.forward(&x)?;
        }
        for (i, block) in self.blocks.iter().enumerate() {
            pass.see(i, Site::Stream, &x)?;
            x = block.forward(x, i, activation, pass)?;
        }
        pass.see(self.blocks.len(), Site::Stream, &x)?;
        pass.see(self.blocks.len(), Site::Norm, &x)?;
        Ok(x)
    }
}

impl Block {
    fn forward(&self, mut x: Tensor, layer: usize, activation: Activation, pass: &mut Pass) -> Result<Tensor> {
        let added = self.attention.within(&x, layer, None, pass)?;
        pass.see(layer, Site::Attention, &added)?;
        x = self.attention_norm.forward(&(x + added)?)?;
        if let Some((cross, norm)) = &self.cross {
            let added = cross.across(&x, layer, pass)?;
            pass.see(layer, Site::Cross, &added)?;
            x = norm.forward(&(x + added)?)?;
        }
        pass.see(layer, Site::Middle, &x)?;
        let inner = activation.forward(self.fc1.forward(&x)?)?;
        pass.see(layer, Site::Inner, &inner)?;
        let added = self.fc2.forward(&inner)?;
        pass.see(layer, Site::FeedForward, &added)?;
        self.final_norm.forward(&(x + added)?)
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
        let states = self.encoder.forward(self.activation, &mut pass)?;
        let across = self.decoder.blocks.iter().filter_map(|block| block.cross.as_ref().map(|(cross, _)| cross));
        seq2seq::cross(across, &states, kind).map(Some)
    }

    fn forward(&self, pass: &mut Pass) -> Result<Tensor> {
        seq2seq::within_context(self, &pass.positions())?;
        self.decoder.forward(self.activation, pass)
    }

    fn embeddings(&self) -> &Embedding {
        &self.decoder.embeddings
    }

    fn norm(&self) -> &Norm {
        &self.norm
    }

    fn head(&self) -> &Linear {
        &self.lm_head
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = self.lm_head.forward(hidden)?;
        match &self.final_logits_bias {
            Some(bias) => Ok(logits.broadcast_add(bias)?),
            None => Ok(logits),
        }
    }
}
