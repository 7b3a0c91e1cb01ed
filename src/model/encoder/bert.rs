//! BERT (Devlin et al. 2019) and those that differ from it in names and small things: DistilBERT (Sanh et al. 2019),
//! RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2020) and CamemBERT. Norms come after what they norm is added.

use super::heads::Named;
use super::{Encoder, Family, Head, MaskedHead, Transform, fits, head_dim, refuse_decoders};
use crate::error::{Error, Result};
use crate::kernels::attention::{Heads, Reach};
use crate::layers::{Activation, Embedding, Input, Linear, Norm};
use crate::model::loader::{Bias, Layout};
use crate::model::{Fields, Form, Loader, Pass, Site, Spec};
use candle_core::Tensor;

pub const BERT: Family = Family { name: "bert", load: |config, loader| load(&BERT_NAMES, config, loader) };
pub const DISTILBERT: Family =
    Family { name: "distilbert", load: |config, loader| load(&DISTILBERT_NAMES, config, loader) };
pub const ROBERTA: Family = Family { name: "roberta", load: |config, loader| load(&ROBERTA_NAMES, config, loader) };
pub const XLM_ROBERTA: Family =
    Family { name: "xlm-roberta", load: |config, loader| load(&XLM_ROBERTA_NAMES, config, loader) };
pub const CAMEMBERT: Family =
    Family { name: "camembert", load: |config, loader| load(&CAMEMBERT_NAMES, config, loader) };

/// What tells one of the families from the others.
struct Names {
    model_type: &'static str,
    /// What precedes the names of the encoder itself, where there is a head beside it.
    prefix: &'static str,
    /// Before the number of a layer.
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_output: &'static str,
    attention_norm: &'static str,
    inner: &'static str,
    output: &'static str,
    output_norm: &'static str,
    masked: MaskedNames,
    /// Positions are counted from after this token's id, and its own are not counted; the id unless the config says so.
    padding: Option<u32>,
    /// Token types unless the config says so; none: there are no token types at all.
    kinds: Option<usize>,
    /// Whether the tokenizer gives the second text of a pair another token type.
    has_kinds: bool,
}

/// The head for masked tokens.
struct MaskedNames {
    dense: &'static str,
    norm: &'static str,
    decoder: &'static str,
    /// The decoder's bias under a name of its own.
    bias: Option<&'static str>,
    /// The activation function, where it is not the one of the layers.
    activation: Option<Activation>,
}

const BERT_NAMES: Names = Names {
    model_type: "bert",
    prefix: "bert.",
    layer: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
    masked: MaskedNames {
        dense: "cls.predictions.transform.dense",
        norm: "cls.predictions.transform.LayerNorm",
        decoder: "cls.predictions.decoder",
        bias: Some("cls.predictions"),
        activation: None,
    },
    padding: None,
    kinds: Some(2),
    has_kinds: true,
};

const DISTILBERT_NAMES: Names = Names {
    model_type: "distilbert",
    prefix: "distilbert.",
    layer: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    inner: "ffn.lin1",
    output: "ffn.lin2",
    output_norm: "output_layer_norm",
    masked: MaskedNames {
        dense: "vocab_transform",
        norm: "vocab_layer_norm",
        decoder: "vocab_projector",
        bias: None,
        activation: None,
    },
    padding: None,
    kinds: None,
    has_kinds: false,
};

const ROBERTA_NAMES: Names = Names {
    model_type: "roberta",
    prefix: "roberta.",
    masked: MaskedNames {
        dense: "lm_head.dense",
        norm: "lm_head.layer_norm",
        decoder: "lm_head.decoder",
        bias: Some("lm_head"),
        activation: Some(Activation::Gelu),
    },
    padding: Some(1),
    has_kinds: false,
    ..BERT_NAMES
};

const XLM_ROBERTA_NAMES: Names = Names { model_type: "xlm-roberta", ..ROBERTA_NAMES };
const CAMEMBERT_NAMES: Names = Names { model_type: "camembert", ..ROBERTA_NAMES };

/// The fields of the configuration that decide the result, by their names in BERT's.
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: Activation,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
    padding: Option<u32>,
    tie_word_embeddings: bool,
}

impl Config {
    fn from_json(names: &Names, fields: &Fields) -> Result<Self> {
        refuse_decoders(fields)?;
        let distilled = names.kinds.is_none();
        let act = if distilled { "activation" } else { "hidden_act" };
        let hidden_size = fields.count(&["hidden_size", "dim"], Some(768))?;
        let embedding_size = fields.count(&["embedding_size"], Some(hidden_size))?;
        if embedding_size != hidden_size {
            return Err(super::unsupported("embedding_size", &hidden_size.to_string(), &embedding_size.to_string()));
        }
        let padding = match names.padding {
            Some(usual) => {
                let given = fields.usize(&["pad_token_id"])?;
                // One beyond 32 bits leaves no room for positions, whichever it is.
                Some(given.map_or(usual, |id| u32::try_from(id).unwrap_or(u32::MAX)))
            }
            None => None,
        };
        Ok(Self {
            vocab_size: fields.count(&["vocab_size"], Some(30522))?,
            hidden_size,
            num_hidden_layers: fields
                .count(&["num_hidden_layers", "n_layers"], Some(if distilled { 6 } else { 12 }))?,
            num_attention_heads: fields.count(&["num_attention_heads", "n_heads"], Some(12))?,
            intermediate_size: fields.count(&["intermediate_size", "hidden_dim"], Some(3072))?,
            hidden_act: Activation::parse(act, fields.str(&[act])?.unwrap_or("gelu"))?,
            max_position_embeddings: fields.count(&["max_position_embeddings"], Some(512))?,
            type_vocab_size: fields.count(&["type_vocab_size"], Some(names.kinds.unwrap_or(1)))?,
            layer_norm_eps: match distilled {
                true => 1e-12,
                false => fields.positive(&["layer_norm_eps"])?.unwrap_or(1e-12),
            },
            padding,
            tie_word_embeddings: fields.bool(&["tie_word_embeddings"], true)?,
        })
    }

    /// The most tokens a text may have.
    fn context_length(&self) -> Result<usize> {
        let before = self.padding.map_or(0, |id| id as usize + 1);
        self.max_position_embeddings.checked_sub(before).filter(|length| *length > 0).ok_or_else(|| Error::BadConfig {
            field: "max_position_embeddings".into(),
            expected: format!("more than the {before} that come before the first token"),
            found: self.max_position_embeddings.to_string(),
        })
    }
}

struct Block {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    inner: Linear,
    output: Linear,
    output_norm: Norm,
}

struct Bert {
    spec: Spec,
    words: Embedding,
    places: Embedding,
    kinds: Option<Embedding>,
    norm: Norm,
    blocks: Vec<Block>,
    heads: Heads,
    activation: Activation,
    padding: Option<u32>,
    has_kinds: bool,
    head: Head,
}

fn load(names: &Names, fields: &Fields, loader: &mut Loader) -> Result<Box<dyn Encoder>> {
    let config = Config::from_json(names, fields)?;
    let context_length = config.context_length()?;
    let (width, eps) = (config.hidden_size, config.layer_norm_eps);
    let dim = head_dim("num_attention_heads", width, config.num_attention_heads)?;
    loader.set_prefix(names.prefix, "embeddings.word_embeddings.weight");
    let words = loader.embedding("embeddings.word_embeddings", config.vocab_size, width)?;
    let places = loader.embedding("embeddings.position_embeddings", config.max_position_embeddings, width)?;
    let kinds = match names.kinds {
        Some(_) => Some(loader.embedding("embeddings.token_type_embeddings", config.type_vocab_size, width)?),
        None => None,
    };
    let norm = loader.layer_norm("embeddings.LayerNorm", width, eps)?;
    let mut blocks = Vec::new();
    for i in 0..config.num_hidden_layers {
        let name = |part: &str| format!("{}.{i}.{part}", names.layer);
        let mut linear = |part: &str, inputs: usize, outputs: usize| {
            loader.linear(&name(part), Layout::OutputMajor, inputs, outputs, Bias::Yes)
        };
        blocks.push(Block {
            query: linear(names.query, width, width)?,
            key: linear(names.key, width, width)?,
            value: linear(names.value, width, width)?,
            attention_output: linear(names.attention_output, width, width)?,
            inner: linear(names.inner, width, config.intermediate_size)?,
            output: linear(names.output, config.intermediate_size, width)?,
            attention_norm: loader.layer_norm(&name(names.attention_norm), width, eps)?,
            output_norm: loader.layer_norm(&name(names.output_norm), width, eps)?,
        });
    }
    loader.leave_prefix();
    let head = head(names, fields, &config, &words, loader)?;
    let heads = Heads {
        query: config.num_attention_heads,
        key_value: config.num_attention_heads,
        dim,
        scale: (dim as f32).sqrt().recip(),
        reach: Reach::All,
    };
    let spec = Spec {
        architecture: names.model_type,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        key_value_heads: config.num_attention_heads,
        head_dim: dim,
        hidden_size: width,
        vocab_size: config.vocab_size,
        context_length,
        form: Form {
            norm: "LayerNorm",
            norm_epsilon: eps,
            activation: config.hidden_act.name(),
            inner_size: config.intermediate_size,
            attention_scale: heads.scale,
            ..Form::default()
        },
        ..loader.counted()
    };
    let Config { hidden_act: activation, padding, .. } = config;
    let has_kinds = names.has_kinds;
    Ok(Box::new(Bert { spec, words, places, kinds, norm, blocks, heads, activation, padding, has_kinds, head }))
}

/// The head that the configuration names, or else the one whose tensors there are.
fn head(names: &Names, fields: &Fields, config: &Config, words: &Embedding, loader: &mut Loader) -> Result<Head> {
    let (width, eps) = (config.hidden_size, config.layer_norm_eps);
    let named = Named::of(fields);
    let masked = &names.masked;
    if named.is_masked(loader.contains(masked.dense, "weight")) {
        let dense = loader.linear(masked.dense, Layout::OutputMajor, width, width, Bias::Yes)?;
        let norm = loader.layer_norm(masked.norm, width, eps)?;
        let activation = masked.activation.unwrap_or(config.hidden_act);
        let weight = loader.head_weight(masked.decoder, config.tie_word_embeddings, words, width, config.vocab_size)?;
        // One that is tied has its bias under its own name; else the decoder's is the one that counts.
        let own = masked.bias.filter(|own| {
            loader.contains(own, "bias") && (config.tie_word_embeddings || !loader.contains(masked.decoder, "bias"))
        });
        let bias = loader.vector(own.unwrap_or(masked.decoder), "bias", config.vocab_size, None)?;
        let transform = Transform { dense, activation, norm };
        return Ok(Head::Masked(MaskedHead { transform, decoder: Linear::new(weight, Some(bias)) }));
    }
    if named.is_answer(loader.contains("qa_outputs", "weight")) {
        let outputs = loader.linear("qa_outputs", Layout::OutputMajor, width, 2, Bias::Yes)?;
        return Ok(Head::Answer { transform: None, outputs });
    }
    Ok(Head::None)
}

impl Bert {
    /// The rows of the table of positions.
    fn positions(&self, pass: &Pass) -> Vec<u32> {
        let Some(padding) = self.padding else { return pass.positions() };
        let mut next = padding;
        let place = |(position, id): (u32, u32)| {
            if position == 0 {
                next = padding;
            }
            if id == padding {
                return padding;
            }
            next += 1;
            next
        };
        pass.positions().into_iter().zip(pass.ids()).map(place).collect()
    }
}

impl Block {
    fn attend(&self, x: &Tensor, layer: usize, heads: Heads, pass: &mut Pass) -> Result<Tensor> {
        let [q, k, v] = {
            let x = Input::new(x);
            [&self.query, &self.key, &self.value].map(|linear| linear.read(&x))
        };
        self.attention_output.last(pass.attend_whole(layer, heads, None, [q?, k?, v?])?)
    }
}

impl Encoder for Bert {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn forward(&self, pass: &mut Pass, kinds: &[u32]) -> Result<Tensor> {
        fits(pass, self.spec.context_length)?;
        let ids = pass.ids();
        let (words, places) = (self.words.forward(&ids)?, self.places.forward(&self.positions(pass))?);
        pass.see(0, Site::Embedding, &words)?;
        pass.see(0, Site::Position, &places)?;
        let mut x = (words + places)?;
        if let Some(table) = &self.kinds {
            let zeros = vec![0; ids.len()];
            x = (x + table.forward(if kinds.is_empty() { &zeros } else { kinds })?)?;
        }
        x = self.norm.forward(&x)?;
        for (i, block) in self.blocks.iter().enumerate() {
            pass.see(i, Site::Stream, &x)?;
            let attended = block.attend(&x, i, self.heads, pass)?;
            pass.see(i, Site::Attention, &attended)?;
            x = block.attention_norm.forward(&(x + attended)?)?;
            pass.see(i, Site::Middle, &x)?;
            let inner = self.activation.forward(block.inner.forward(&x)?)?;
            pass.see(i, Site::Inner, &inner)?;
            let added = block.output.last(inner)?;
            pass.see(i, Site::FeedForward, &added)?;
            x = block.output_norm.forward(&(x + added)?)?;
        }
        let layers = self.blocks.len();
        pass.see(layers, Site::Stream, &x)?;
        pass.see(layers, Site::Norm, &x)?;
        Ok(x)
    }

    fn finish(&self, stream: &Tensor) -> Result<Tensor> {
        Ok(stream.clone())
    }

    fn embeddings(&self) -> &Embedding {
        &self.words
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn has_kinds(&self) -> bool {
        self.has_kinds
    }
}
