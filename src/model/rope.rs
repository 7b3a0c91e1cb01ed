//! Rotary embeddings as a config.json and GGUF metadata say them.

use super::config::{count, positive};
use super::conversion::{number, only, u32_pair};
use super::{Fields, Loader};
use crate::error::{Error, Result};
use crate::layers::{Rotary, Scaling};
use crate::weights::Value as Pair;
use serde_json::{Map, Value, json};

/// How families name what they say, and what they mean when they do not.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// The base of the frequencies.
    pub theta: (&'static str, f32),
    /// The part of a head that turns; `None`: always the whole head.
    pub part: Option<(&'static str, f64)>,
    /// `original_max_position_embeddings`, which then is not looked for beside the factors.
    pub original: Option<usize>,
    /// Phi-3's: LongRoPE or nothing, once called `su` or `yarn`.
    pub only_longrope: bool,
}

pub(super) const USUAL: Style =
    Style { theta: ("rope_theta", 10000.0), part: None, original: None, only_longrope: false };

/// `rope_scaling` where it is given and else `rope_parameters`: the older style of configuration wins.
pub(super) fn given(fields: &Fields) -> Result<Option<Fields>> {
    match fields.object(&["rope_scaling"])? {
        Some(scaling) => Ok(Some(scaling)),
        None => fields.object(&["rope_parameters"]),
    }
}

/// The rotary embedding of heads of this width, from either style of configuration: `rope` is the object with the
/// parameters, and `fields` what it lies in, which says what that does not.
pub(super) fn from_json(
    style: &Style,
    fields: &Fields,
    rope: Option<Fields>,
    head_dim: usize,
    max_position: usize,
) -> Result<Rotary> {
    let rope = rope.unwrap_or_else(|| Fields::new(Map::new()));
    let theta = match rope.positive(&["rope_theta"])? {
        Some(theta) => theta,
        None => fields.positive(&[style.theta.0])?.unwrap_or(style.theta.1),
    };
    let mut kind = rope.str(&["rope_type", "type"])?.unwrap_or("default");
    if style.only_longrope {
        kind = if matches!(kind, "su" | "yarn") { "longrope" } else { kind };
        if !matches!(kind, "default" | "longrope") {
            return Err(unknown("default or longrope", kind));
        }
    }
    let inner = rope.f64(&["partial_rotary_factor"])?;
    let part = match style.part {
        Some((name, usual)) => Some(inner.or(fields.f64(&[name])?).unwrap_or(usual)),
        None => inner.or(fields.f64(&["partial_rotary_factor"])?),
    };
    // Where heads turn whole transformers ignores the field for the default kind, and fails on it for the others.
    if let (Some(part), None) = (part, style.part)
        && !matches!(kind, "default" | "proportional")
        && part != 1.0
    {
        return Err(Error::Unsupported {
            what: "config field partial_rotary_factor".into(),
            expected: format!("1 with rope_type {kind}"),
            found: part.to_string(),
        });
    }
    let dim = match part {
        Some(part) if style.part.is_some() && kind != "proportional" => (head_dim as f64 * part) as usize,
        _ => head_dim,
    };
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
        fields.count(&name, Some(style.original.unwrap_or(inner)))
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
        "yarn" => yarn(&rope, original()?, max_position)?,
        "longrope" => longrope(&rope, original()?, max_position)?,
        "proportional" => Scaling::Proportional {
            factor: rope.positive(&["factor"])?.unwrap_or(1.0),
            proportion: part.unwrap_or(1.0).clamp(0.0, 1.0) as f32,
        },
        other => return Err(unknown("one of default, linear, dynamic, yarn, longrope, llama3, proportional", other)),
    };
    check(Rotary { head_dim, dim, theta, scaling })
}

fn unknown(expected: &str, found: &str) -> Error {
    Error::Unsupported { what: "config field rope_type".into(), expected: expected.into(), found: found.into() }
}

fn yarn(rope: &Fields, original: usize, max_position: usize) -> Result<Scaling> {
    let factor = rope.positive(&["factor"])?.unwrap_or(max_position as f32 / original as f32);
    let nonzero = |name: &str| -> Result<Option<f32>> { Ok(rope.f32(&[name])?.filter(|v| *v != 0.0)) };
    let attention_factor = match (rope.f32(&["attention_factor"])?, nonzero("mscale")?, nonzero("mscale_all_dim")?) {
        (Some(given), _, _) => given,
        (None, Some(m), Some(all)) => yarn_mscale(factor, m) / yarn_mscale(factor, all),
        _ => yarn_mscale(factor, 1.0),
    };
    Ok(Scaling::Yarn {
        factor,
        original,
        beta_fast: nonzero("beta_fast")?.unwrap_or(32.0),
        beta_slow: nonzero("beta_slow")?.unwrap_or(1.0),
        truncate: rope.bool(&["truncate"], true)?,
        attention_factor,
    })
}

/// YaRN's `0.1 m ln(s) + 1`.
fn yarn_mscale(scale: f32, m: f32) -> f32 {
    if scale <= 1.0 { 1.0 } else { 0.1 * m * scale.ln() + 1.0 }
}

fn longrope(rope: &Fields, original: usize, max_position: usize) -> Result<Scaling> {
    let factor = rope.positive(&["factor"])?.unwrap_or(max_position as f32 / original as f32);
    let inferred = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f32).ln()).sqrt() };
    let list = |name: &str| {
        rope.list(&[name])?.ok_or_else(|| Error::BadConfig {
            field: name.into(),
            expected: "a list of numbers with rope_type longrope".into(),
            found: "none".into(),
        })
    };
    Ok(Scaling::LongRope {
        short: list("short_factor")?,
        long: list("long_factor")?,
        original,
        attention_factor: rope.f32(&["attention_factor"])?.unwrap_or(inferred),
    })
}

/// Refuses what does not fit the heads.
fn check(rotary: Rotary) -> Result<Rotary> {
    let bad = |field: &str, expected: String, found: usize| {
        Err(Error::BadConfig { field: field.into(), expected, found: found.to_string() })
    };
    let (head_dim, pairs) = (rotary.head_dim, rotary.pairs());
    if rotary.dim == 0 || rotary.dim > head_dim || 2 * pairs > head_dim {
        if rotary.dim == head_dim {
            return bad("head_dim", "an even number of at least 2".into(), head_dim);
        }
        return bad("partial_rotary_factor", format!("pairs of the {head_dim} values of a head"), rotary.dim);
    }
    if let Scaling::LongRope { short, long, .. } = &rotary.scaling {
        for (field, list) in [("short_factor", short), ("long_factor", long)] {
            if list.len() != pairs {
                return bad(field, format!("{pairs} numbers"), list.len());
            }
        }
    }
    Ok(rotary)
}

/// The rotary embedding of heads of this width, from GGUF metadata below `architecture`.
pub(super) fn from_gguf(
    style: &Style,
    loader: &mut Loader,
    architecture: &str,
    head_dim: usize,
    context: usize,
) -> Result<Rotary> {
    const FREQS: &str = "rope_freqs.weight";
    let divisors = loader.optional_vector(FREQS)?;
    let short = loader.optional_vector("rope_factors_short.weight")?;
    let long = loader.optional_vector("rope_factors_long.weight")?;
    let meta = loader.metadata();
    let key = |name: &str| format!("{architecture}.{name}");
    let optional = |name: &str, default: usize| {
        let key = key(name);
        if meta.contains(&key) { count(meta, &key) } else { Ok(default) }
    };
    let dim = optional("rope.dimension_count", head_dim)?;
    if style.part.is_none() && dim != head_dim {
        return Err(refuse(&key("rope.dimension_count"), dim.to_string(), &format!("the head width {head_dim}")));
    }
    let theta = positive(meta, &key("rope.freq_base"), style.theta.1)?;
    let factor = positive(meta, &key("rope.scaling.factor"), 1.0)?;
    let original = optional("rope.scaling.original_context_length", context)?;
    // llama.cpp takes a factor without a kind for linear scaling.
    let kind = match meta.get_str(&key("rope.scaling.type"))? {
        Some(kind) => kind,
        None if factor != 1.0 => "linear",
        None => "none",
    };
    let pairs = dim.div_ceil(2);
    let of_length = |name: &str, values: Vec<f32>| match values.len() {
        len if len == pairs => Ok(values),
        len => Err(Error::BadTensor { name: name.into(), expected: format!("{pairs} values"), found: len.to_string() }),
    };
    let scaling = match (divisors, kind) {
        (Some(_), kind) if kind != "none" && factor != 1.0 => {
            return Err(refuse(&key("rope.scaling.type"), kind.into(), "none beside rope_freqs.weight"));
        }
        (Some(divisors), _) => Scaling::Divisors(of_length(FREQS, divisors)?),
        (None, "none" | "longrope") if short.is_some() || long.is_some() || kind == "longrope" => Scaling::LongRope {
            short: of_length("rope_factors_short.weight", short.unwrap_or_default())?,
            long: of_length("rope_factors_long.weight", long.unwrap_or_default())?,
            original,
            attention_factor: positive(meta, &key(ATTENTION_FACTOR), 1.0)?,
        },
        (None, "none") => Scaling::None,
        (None, "linear") => Scaling::Linear { factor },
        (None, "yarn") => Scaling::Yarn {
            factor,
            original,
            beta_fast: 32.0,
            beta_slow: 1.0,
            truncate: true,
            attention_factor: yarn_mscale(factor, 1.0),
        },
        (None, other) => {
            return Err(refuse(&key("rope.scaling.type"), other.into(), "none, linear, yarn or longrope"));
        }
    };
    if !matches!(scaling, Scaling::LongRope { .. }) && positive(meta, &key(ATTENTION_FACTOR), 1.0)? != 1.0 {
        return Err(refuse(&key(ATTENTION_FACTOR), "another value".into(), "1 without factors of LongRoPE"));
    }
    check(Rotary { head_dim, dim, theta, scaling })
}

/// Honoured here, where [`super::config::refuse_all_but`] is told.
pub(super) const ATTENTION_FACTOR: &str = "rope.scaling.attn_factor";

fn refuse(key: &str, found: String, expected: &str) -> Error {
    Error::Unsupported { what: format!("GGUF metadata {key}"), expected: expected.into(), found }
}

/// What GGUF has of a rotary embedding: metadata below the architecture's name, and vectors.
pub(super) type InGguf = (Vec<(&'static str, Pair)>, Vec<(&'static str, Vec<f32>)>);

/// A rotary embedding as GGUF has it.
///
/// # Errors
/// [`Error::Unsupported`] for what GGUF cannot say.
pub(super) fn to_gguf(rotary: &Rotary) -> Result<InGguf> {
    let mut pairs = vec![("rope.dimension_count", u32_pair(rotary.dim)?), ("rope.freq_base", Pair::F32(rotary.theta))];
    let mut vectors = Vec::new();
    let mut scaled = |kind: &str, factor: f32| {
        pairs.push(("rope.scaling.type", kind.into()));
        pairs.push(("rope.scaling.factor", Pair::F32(factor)));
    };
    match &rotary.scaling {
        Scaling::None => {}
        Scaling::Linear { factor } => scaled("linear", *factor),
        Scaling::Yarn { factor, original, beta_fast, beta_slow, truncate, attention_factor } => {
            let usual = (*beta_fast, *beta_slow, *truncate) == (32.0, 1.0, true);
            only("rope_parameters", "beta_fast 32, beta_slow 1 and truncate with rope_type yarn", usual, "others")?;
            let usual = (attention_factor - yarn_mscale(*factor, 1.0)).abs() < 1e-6;
            only("attention_factor", "the usual one of rope_type yarn", usual, attention_factor)?;
            scaled("yarn", *factor);
            pairs.push(("rope.scaling.original_context_length", u32_pair(*original)?));
        }
        Scaling::LongRope { short, long, original, attention_factor } => {
            pairs.push(("rope.scaling.type", "longrope".into()));
            pairs.push(("rope.scaling.original_context_length", u32_pair(*original)?));
            pairs.push((ATTENTION_FACTOR, Pair::F32(*attention_factor)));
            vectors.push(("rope_factors_long.weight", long.clone()));
            vectors.push(("rope_factors_short.weight", short.clone()));
        }
        Scaling::Llama3 { .. } => vectors.push(("rope_freqs.weight", rotary.divisors())),
        Scaling::Divisors(divisors) => vectors.push(("rope_freqs.weight", divisors.clone())),
        Scaling::Dynamic { .. } | Scaling::Proportional { .. } => {
            only("rope_type", "default, linear, yarn, longrope or llama3", false, "another")?;
        }
    }
    Ok((pairs, vectors))
}

/// A rotary embedding as the fields of a config.json.
///
/// # Errors
/// [`Error::Unsupported`] for divisors that are not Llama 3's.
pub(super) fn to_json(style: &Style, rotary: &Rotary) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let scaling = match &rotary.scaling {
        Scaling::Linear { factor } => json!({ "rope_type": "linear", "factor": number(*factor) }),
        Scaling::Yarn { factor, original, .. } => json!({
            "rope_type": "yarn", "factor": number(*factor), "original_max_position_embeddings": original,
        }),
        Scaling::LongRope { short, long, original, attention_factor } => {
            let list = |values: &[f32]| values.iter().map(|value| number(*value)).collect::<Value>();
            fields.insert("original_max_position_embeddings".into(), (*original).into());
            json!({
                "rope_type": "longrope",
                "short_factor": list(short),
                "long_factor": list(long),
                "attention_factor": number(*attention_factor),
                "original_max_position_embeddings": original,
            })
        }
        Scaling::Divisors(divisors) => llama3(rotary, divisors)?,
        _ => Value::Null,
    };
    fields.insert("rope_scaling".into(), scaling);
    fields.insert(style.theta.0.into(), number(rotary.theta));
    if let Some((name, _)) = style.part {
        let part = rotary.dim as f64 / rotary.head_dim as f64;
        // Multiplied again it may be a digit short.
        let exact = (rotary.head_dim as f64 * part) as usize == rotary.dim;
        fields.insert(name.into(), if exact { part } else { part + f64::EPSILON }.into());
    }
    Ok(fields)
}

/// Llama 3's scaling from what it divides the frequencies by. GGUF keeps only the divisors, so those of the models there
/// are get tried.
fn llama3(rotary: &Rotary, divisors: &[f32]) -> Result<Value> {
    let factor = divisors.iter().fold(1f32, |most, d| most.max(*d));
    let (low_freq_factor, high_freq_factor) = (1.0, 4.0);
    for original in (4..20).map(|power| 1usize << power) {
        let scaling = Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original };
        let tried = Rotary { scaling, ..rotary.clone() }.divisors();
        if tried.iter().zip(divisors).all(|(tried, d)| (tried - d).abs() < 1e-4 * d) {
            return Ok(json!({
                "rope_type": "llama3",
                "factor": number(factor),
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original,
            }));
        }
    }
    Err(Error::Unsupported {
        what: "rope_freqs.weight in a config.json".into(),
        expected: "the divisors of rope_type llama3".into(),
        found: format!("others, up to {factor}"),
    })
}

/// The most positions of a text. Dynamic scaling is there to go on beyond the trained length, by its factor.
pub(super) fn context_length(rotary: &Rotary, max_position_embeddings: usize) -> usize {
    /// Positions are counted in 32 bits.
    const LONGEST: usize = i32::MAX as usize;
    match &rotary.scaling {
        Scaling::Dynamic { factor, max_position } => ((*max_position as f32 * factor.max(1.0)) as usize).min(LONGEST),
        _ => max_position_embeddings,
    }
}
