//! The generation parameters: names, meaning and defaults of Hugging Face's `GenerationConfig`, in one table from which
//! the command line, the JavaScript API and the page's settings follow.

use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// When beam search may stop before every candidate is worse than what is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyStopping {
    /// `false`: when it is unlikely that a better one comes.
    Heuristic,
    /// `true`: as soon as `num_beams` sequences are finished.
    Always,
    /// `"never"`: when a better one is impossible.
    Never,
}

/// How to generate. Fields are those of `GenerationConfig`, and `seed`.
#[derive(Clone, Debug)]
pub struct GenerationConfig {
    /// Most tokens in all, prompt included; `max_new_tokens` wins over it.
    pub max_length: Option<usize>,
    pub max_new_tokens: Option<usize>,
    pub min_new_tokens: usize,
    /// Fewest tokens in all, prompt included; `min_new_tokens` wins over it.
    pub min_length: usize,
    pub do_sample: bool,
    pub temperature: f32,
    /// 0 keeps all.
    pub top_k: usize,
    pub top_p: f32,
    pub min_p: Option<f32>,
    pub typical_p: f32,
    pub repetition_penalty: f32,
    pub no_repeat_ngram_size: usize,
    pub bad_words_ids: Vec<Vec<u32>>,
    /// The second token of all.
    pub forced_bos_token_id: Option<u32>,
    /// The last one there is room for.
    pub forced_eos_token_id: Vec<u32>,
    pub renormalize_logits: bool,
    /// Of an encoder-decoder: what its decoder begins with; `None`: what its configuration says.
    pub decoder_start_token_id: Option<u32>,
    pub encoder_repetition_penalty: f32,
    pub encoder_no_repeat_ngram_size: usize,
    pub num_beams: usize,
    pub length_penalty: f64,
    pub early_stopping: EarlyStopping,
    pub num_return_sequences: usize,
    pub eos_token_id: Vec<u32>,
    pub stop_strings: Vec<String>,
    /// Same seed, same text. Without one the caller chooses.
    pub seed: Option<u64>,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            max_length: None,
            max_new_tokens: None,
            min_new_tokens: 0,
            min_length: 0,
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            min_p: None,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
            bad_words_ids: Vec::new(),
            forced_bos_token_id: None,
            forced_eos_token_id: Vec::new(),
            renormalize_logits: false,
            decoder_start_token_id: None,
            encoder_repetition_penalty: 1.0,
            encoder_no_repeat_ngram_size: 0,
            num_beams: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Heuristic,
            num_return_sequences: 1,
            eos_token_id: Vec::new(),
            stop_strings: Vec::new(),
            seed: None,
        }
    }
}

/// What a parameter's value looks like, for whoever builds a control for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Int,
    Float,
    Bool,
    /// `false`, `true` or `"never"`.
    EarlyStopping,
    /// A token id or a list of them.
    Ids,
    /// A list of lists of token ids.
    IdLists,
    /// A string or a list of them.
    Strings,
}

/// One line of [`PARAMETERS`].
#[derive(Serialize)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    /// A sensible range for a slider; what [`GenerationConfig::set`] accepts may be wider.
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub step: Option<f64>,
    /// The parameter that must be on (or above one) for this to have an effect.
    pub needs: Option<&'static str>,
    /// Whether most people want to see it.
    pub basic: bool,
    #[serde(skip)]
    set: fn(&mut GenerationConfig, &Value) -> Parsed<()>,
    #[serde(skip)]
    get: fn(&GenerationConfig) -> Value,
}

/// What a parser makes of a value: the parameter, or what was expected.
type Parsed<T> = std::result::Result<T, &'static str>;

fn natural(v: &Value) -> Option<u64> {
    // JavaScript has no integers: 3.0 is 3.
    v.as_u64().or_else(|| v.as_f64().filter(|v| v.fract() == 0.0 && (0.0..9e15).contains(v)).map(|v| v as u64))
}

fn number(v: &Value) -> Option<f32> {
    v.as_f64().map(|v| v as f32).filter(|v| v.is_finite())
}

fn count(v: &Value) -> Parsed<usize> {
    let small = natural(v).filter(|v| *v <= 1 << 31).and_then(|v| usize::try_from(v).ok());
    small.ok_or("a whole number from 0 to 2^31")
}

fn at_least_one(v: &Value) -> Parsed<Option<usize>> {
    count(v).ok().filter(|n| *n > 0).map(Some).ok_or("a whole number from 1 to 2^31")
}

fn a_few(v: &Value) -> Parsed<usize> {
    count(v).ok().filter(|n| (1..=64).contains(n)).ok_or("a whole number from 1 to 64")
}

fn seed(v: &Value) -> Parsed<Option<u64>> {
    natural(v).map(Some).ok_or("a whole number from 0 to 2^53")
}

fn truth(v: &Value) -> Parsed<bool> {
    v.as_bool().ok_or("true or false")
}

fn finite(v: &Value) -> Parsed<f64> {
    v.as_f64().filter(|v| v.is_finite()).ok_or("a number")
}

fn positive(v: &Value) -> Parsed<f32> {
    number(v).filter(|v| *v > 0.0).ok_or("a number above 0")
}

fn fraction(v: &Value) -> Parsed<f32> {
    number(v).filter(|v| (0.0..=1.0).contains(v)).ok_or("a number from 0 to 1")
}

fn positive_fraction(v: &Value) -> Parsed<f32> {
    fraction(v).ok().filter(|v| *v > 0.0).ok_or("a number above 0 and up to 1")
}

/// A list, or one element that stands for a list of it.
fn listed<T>(v: &Value, one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match v {
        Value::Array(list) => list.iter().map(one).collect(),
        single => Some(vec![one(single)?]),
    }
}

fn id(v: &Value) -> Option<u32> {
    count(v).ok().and_then(|v| u32::try_from(v).ok())
}

fn one_id(v: &Value) -> Parsed<Option<u32>> {
    // transformers takes a list of one here as well.
    let one = v.as_array().filter(|list| list.len() == 1).and_then(|list| list.first()).unwrap_or(v);
    id(one).map(Some).ok_or("a token id")
}

fn ids(v: &Value) -> Parsed<Vec<u32>> {
    listed(v, id).ok_or("a token id or a list of them")
}

fn id_lists(v: &Value) -> Parsed<Vec<Vec<u32>>> {
    // An empty list among others forbids nothing.
    let lists = v.as_array().filter(|lists| !lists.is_empty());
    let list = |v: &Value| v.as_array()?.iter().map(id).collect();
    lists.and_then(|lists| lists.iter().map(list).collect()).ok_or("a list of at least one list of token ids")
}

fn strings(v: &Value) -> Parsed<Vec<String>> {
    let string = |v: &Value| v.as_str().filter(|s| !s.is_empty()).map(str::to_string);
    listed(v, string).ok_or("a text or a list of texts, none of them empty")
}

fn early_stopping(v: &Value) -> Parsed<EarlyStopping> {
    match v {
        Value::Bool(false) => Ok(EarlyStopping::Heuristic),
        Value::Bool(true) => Ok(EarlyStopping::Always),
        Value::String(s) if s == "never" => Ok(EarlyStopping::Never),
        _ => Err("true, false or \"never\""),
    }
}

/// A value as JSON; one that is not set is null.
trait Shown {
    fn shown(&self) -> Value;
}

macro_rules! shown {
    ($($of:ty),+) => { $(impl Shown for $of { fn shown(&self) -> Value { (*self).into() } })+ };
}
shown!(bool, usize, u32, u64, f64);

impl Shown for f32 {
    /// Without the digits an f32 does not have: 0.95 is 0.95.
    fn shown(&self) -> Value {
        format!("{self}").parse::<f64>().map_or(Value::Null, Value::from)
    }
}

impl Shown for String {
    fn shown(&self) -> Value {
        self.as_str().into()
    }
}

impl Shown for EarlyStopping {
    fn shown(&self) -> Value {
        match self {
            Self::Heuristic => false.into(),
            Self::Always => true.into(),
            Self::Never => "never".into(),
        }
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Value {
        self.as_ref().map_or(Value::Null, Shown::shown)
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> Value {
        if self.is_empty() { Value::Null } else { self.iter().map(Shown::shown).collect() }
    }
}

/// A line of the table: name, kind, slider (min, max, step), what it needs, whether basic, parser.
macro_rules! parameter {
    ($name:ident, $kind:ident, $range:expr, $needs:expr, $basic:expr, $parse:expr) => {{
        let range: Option<(f64, f64, f64)> = $range;
        Parameter {
            name: stringify!($name),
            kind: Kind::$kind,
            min: if let Some((min, _, _)) = range { Some(min) } else { None },
            max: if let Some((_, max, _)) = range { Some(max) } else { None },
            step: if let Some((_, _, step)) = range { Some(step) } else { None },
            needs: $needs,
            basic: $basic,
            set: |config, value| $parse(value).map(|value| config.$name = value),
            get: |config| config.$name.shown(),
        }
    }};
}

const SAMPLING: Option<&str> = Some("do_sample");
const BEAMS: Option<&str> = Some("num_beams");

/// Every parameter, in the order people should meet them.
pub const PARAMETERS: &[Parameter] = &[
    parameter!(max_new_tokens, Int, Some((1., 1000., 1.)), None, true, at_least_one),
    parameter!(do_sample, Bool, None, None, true, truth),
    parameter!(temperature, Float, Some((0.05, 2., 0.05)), SAMPLING, true, positive),
    parameter!(seed, Int, Some((0., 4294967295., 1.)), SAMPLING, true, seed),
    parameter!(top_k, Int, Some((0., 200., 1.)), SAMPLING, true, count),
    parameter!(top_p, Float, Some((0., 1., 0.01)), SAMPLING, true, fraction),
    parameter!(repetition_penalty, Float, Some((0.8, 2., 0.05)), None, true, positive),
    parameter!(min_p, Float, Some((0., 1., 0.01)), SAMPLING, false, |v| fraction(v).map(Some)),
    parameter!(typical_p, Float, Some((0.05, 1., 0.01)), SAMPLING, false, positive_fraction),
    parameter!(no_repeat_ngram_size, Int, Some((0., 10., 1.)), None, false, count),
    parameter!(min_new_tokens, Int, Some((0., 500., 1.)), None, false, count),
    parameter!(min_length, Int, Some((0., 500., 1.)), None, false, count),
    parameter!(max_length, Int, Some((1., 2048., 1.)), None, false, at_least_one),
    parameter!(num_beams, Int, Some((1., 8., 1.)), None, false, a_few),
    parameter!(length_penalty, Float, Some((-2., 3., 0.1)), BEAMS, false, finite),
    parameter!(early_stopping, EarlyStopping, None, BEAMS, false, early_stopping),
    parameter!(num_return_sequences, Int, Some((1., 8., 1.)), None, false, a_few),
    parameter!(bad_words_ids, IdLists, None, None, false, id_lists),
    parameter!(stop_strings, Strings, None, None, false, strings),
    parameter!(eos_token_id, Ids, None, None, false, ids),
    parameter!(forced_bos_token_id, Int, None, None, false, one_id),
    parameter!(forced_eos_token_id, Ids, None, None, false, ids),
    parameter!(renormalize_logits, Bool, None, None, false, truth),
    parameter!(decoder_start_token_id, Int, None, None, false, one_id),
    parameter!(encoder_repetition_penalty, Float, Some((0.8, 2., 0.05)), None, false, positive),
    parameter!(encoder_no_repeat_ngram_size, Int, Some((0., 10., 1.)), None, false, count),
];

/// What the configurations of encoder-decoders set; a call may set it for any model.
const OF_ENCODER_DECODERS: &[&str] = &[
    "min_length",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "renormalize_logits",
    "decoder_start_token_id",
    "encoder_repetition_penalty",
    "encoder_no_repeat_ngram_size",
];

/// Fields of generation_config.json that change what is generated and that nothing here honours, with their neutral
/// values beside null, false, zero and empty.
const REJECTED: &[(&str, f64)] = &[
    ("begin_suppress_tokens", 0.0),
    ("constraints", 0.0),
    ("diversity_penalty", 0.0),
    ("dola_layers", 0.0),
    ("epsilon_cutoff", 0.0),
    ("eta_cutoff", 0.0),
    ("exponential_decay_length_penalty", 0.0),
    ("force_words_ids", 0.0),
    ("guidance_scale", 1.0),
    ("max_time", 0.0),
    ("num_beam_groups", 1.0),
    ("penalty_alpha", 0.0),
    ("sequence_bias", 0.0),
    ("suppress_tokens", 0.0),
    ("token_healing", 0.0),
    ("top_h", 0.0),
    ("watermarking_config", 0.0),
];

impl GenerationConfig {
    /// Sets one parameter by name.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for a value out of range; unknown names too.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<()> {
        let bad = |expected: &str| Error::BadParameter {
            name: name.to_string(),
            expected: expected.to_string(),
            found: value.to_string(),
        };
        let Some(parameter) = PARAMETERS.iter().find(|p| p.name == name) else {
            let names: Vec<_> = PARAMETERS.iter().map(|p| p.name).collect();
            return Err(bad(&format!("one of the parameters {}", names.join(", "))));
        };
        (parameter.set)(self, value).map_err(bad)
    }

    /// Sets every parameter of an object; null leaves one as it is.
    pub fn merge(&mut self, values: &Map<String, Value>) -> Result<()> {
        values.iter().filter(|(_, v)| !v.is_null()).try_for_each(|(name, value)| self.set(name, value))
    }

    /// Takes a model's own defaults from its generation_config.json (or, without one, its config.json). Fields that are
    /// not about generation are passed over.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names a field that would change the result and is not honoured.
    pub fn merge_model_defaults(&mut self, values: &Map<String, Value>) -> Result<()> {
        for (name, neutral) in REJECTED {
            let harmless = match values.get(*name) {
                None | Some(Value::Null | Value::Bool(false)) => true,
                Some(Value::Number(n)) => n.as_f64() == Some(*neutral),
                Some(Value::Array(a)) => a.is_empty(),
                Some(_) => false,
            };
            if !harmless {
                return Err(Error::Unsupported {
                    what: format!("generation_config field {name}"),
                    expected: "it absent or neutral".into(),
                    found: values[*name].to_string(),
                });
            }
        }
        let samples = values.get("do_sample").and_then(Value::as_bool).unwrap_or(false);
        for parameter in PARAMETERS {
            let Some(value) = values.get(parameter.name).filter(|v| !v.is_null()) else { continue };
            match self.set(parameter.name, value) {
                // Some models that do not sample say so by a temperature of 0, which then is never looked at.
                Err(_) if parameter.needs == SAMPLING && !samples => {}
                Err(Error::BadParameter { name, expected, found }) => {
                    return Err(Error::BadConfig {
                        field: format!("{name} (generation_config.json)"),
                        expected,
                        found,
                    });
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// The table for a program: each [`Parameter`] with its value here as `default`. No slider for a number of tokens
    /// goes beyond the model's context, and what only encoder-decoders set is there only for these.
    pub fn describe(&self, context_length: usize, encoder_decoder: bool) -> Value {
        let line = |p: &Parameter| {
            let mut line = serde_json::to_value(p).unwrap_or_default();
            line["default"] = (p.get)(self);
            if matches!(p.name, "max_new_tokens" | "max_length") {
                line["max"] = context_length.into();
            }
            line
        };
        PARAMETERS.iter().filter(|p| encoder_decoder || !OF_ENCODER_DECODERS.contains(&p.name)).map(line).collect()
    }

    /// Checks what only the parameters together, or the size of the vocabulary, can tell.
    pub fn validate(&self, vocab_size: usize) -> Result<()> {
        let bad = |name: &str, expected: String, found: String| {
            Err(Error::BadParameter { name: name.into(), expected, found })
        };
        let named = [
            ("forced_bos_token_id", self.forced_bos_token_id),
            ("decoder_start_token_id", self.decoder_start_token_id),
        ];
        let named = named.into_iter().filter_map(|(name, id)| id.map(|id| (name, id)));
        let words = self.bad_words_ids.iter().flatten().map(|id| ("bad_words_ids", *id));
        let ends = self.forced_eos_token_id.iter().map(|id| ("forced_eos_token_id", *id));
        if let Some((name, id)) = words.chain(named).chain(ends).find(|(_, id)| *id as usize >= vocab_size) {
            return bad(name, format!("token ids below {vocab_size}"), id.to_string());
        }
        if self.num_return_sequences > 1 {
            let n = self.num_return_sequences.to_string();
            if self.num_beams > 1 && self.num_return_sequences > self.num_beams {
                return bad("num_return_sequences", format!("at most num_beams = {}", self.num_beams), n);
            }
            if self.num_beams == 1 && !self.do_sample {
                return bad("num_return_sequences", "1 with greedy search (do_sample is off)".into(), n);
            }
        }
        Ok(())
    }
}
