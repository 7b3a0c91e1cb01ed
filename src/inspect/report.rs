//! What was seen, as the JavaScript API and the command line tell it: names in camel case, texts beside ids. Large arrays
//! have a place in the JSON and are put there by whoever sends it, nested or typed.

use super::{At, Candidate, Cell, Choice, Inspection, Neighbor, Scored, Which};
use crate::engine::Engine;
use crate::model::Site;
use serde_json::{Value, json};

/// An array that belongs somewhere in the JSON.
pub struct Array<'a> {
    /// Keys and indices from the outside in.
    pub path: Vec<String>,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// All of it but the arrays, for which there is null.
pub fn json(engine: &Engine, found: &Inspection) -> Value {
    let tokens: Vec<Value> = found.ids.iter().map(|id| json!({ "id": id, "text": engine.token_text(*id) })).collect();
    let mut out = json!({
        "ids": found.ids,
        "tokens": tokens,
        "topK": candidates(engine, &found.top_k),
        "entropy": found.entropy,
    });
    let heads = engine.spec().heads;
    let mut put = |name: &str, value: Value| out[name] = value;
    if !found.attention.is_empty() {
        put("attention", attention(found, heads));
    }
    if let Some(overview) = &found.overview {
        let layers = engine.spec().layers;
        put(
            "overview",
            json!({ "cells": overview.cells, "layers": layers, "heads": heads, "values": null, "habits": null }),
        );
    }
    if !found.lens.is_empty() {
        let rows: Vec<Vec<Value>> =
            found.lens.iter().map(|row| row.iter().map(|cell| cell_json(engine, cell)).collect()).collect();
        put("logitLens", json!(rows));
    }
    if let Some(attribution) = &found.attribution {
        let parts = attribution.parts.iter();
        let parts: Vec<Value> = parts
            .map(|part| json!({ "site": site_name(part.site), "layer": part.layer, "value": part.value }))
            .collect();
        let (id, logit) = (attribution.id, attribution.logit);
        put("attribution", json!({ "id": id, "text": engine.token_text(id), "logit": logit, "parts": parts }));
    }
    for (name, values) in [("norms", &found.norms), ("hiddenStates", &found.hidden_states), ("map", &found.map)] {
        if !values.is_empty() {
            put(name, Value::Null);
        }
    }
    if let Some(internals) = &found.internals {
        let At { layer, head, position } = internals.at;
        let form = &engine.spec().form;
        put(
            "internals",
            json!({
                "layer": layer, "head": head, "position": position,
                "mean": internals.mean, "variance": internals.variance, "epsilon": form.norm_epsilon,
                "scale": form.attention_scale,
            }),
        );
    }
    out
}

/// The arrays, each with its place.
pub fn arrays<'a>(engine: &Engine, found: &'a Inspection) -> Vec<Array<'a>> {
    let spec = engine.spec();
    let (n, rows) = (found.ids.len(), spec.layers + 1);
    let mut all = Vec::new();
    let mut put = |path: &[&str], shape: Vec<usize>, values: &'a [f32]| {
        if !values.is_empty() {
            all.push(Array { path: path.iter().map(|key| (*key).to_string()).collect(), shape, values });
        }
    };
    let every = is_every(found, spec.heads);
    for (i, matrix) in found.attention.iter().enumerate() {
        match (every, matrix.which) {
            (true, Which::Head(head)) => {
                put(&["attention", &matrix.layer.to_string(), &head.to_string()], vec![n, n], &matrix.values);
            }
            _ => put(&["attention", &i.to_string(), "values"], vec![n, n], &matrix.values),
        }
    }
    if let Some(overview) = &found.overview {
        let cells = overview.cells;
        put(&["overview", "values"], vec![spec.layers, spec.heads, cells, cells], &overview.values);
        put(&["overview", "habits"], vec![spec.layers, spec.heads, 3], &overview.habits);
    }
    put(&["norms"], vec![rows, n], &found.norms);
    put(&["hiddenStates"], vec![rows, n, spec.hidden_size], &found.hidden_states);
    put(&["map"], vec![rows, n, 2], &found.map);
    if let Some(internals) = &found.internals {
        for (name, values) in &internals.vectors {
            put(&["internals", name], vec![values.len()], values);
        }
        let seen = internals.at.position + 1;
        put(&["internals", "keys"], vec![seen, spec.head_dim], &internals.keys);
        put(&["internals", "values"], vec![seen, spec.head_dim], &internals.values);
        put(&["internals", "weights"], vec![seen], &internals.weights);
    }
    all
}

/// Values in lists of lists.
pub fn nested(shape: &[usize], values: &[f32]) -> Value {
    match shape {
        [] | [_] => json!(values),
        [first, rest @ ..] => {
            let size = values.len() / (*first).max(1);
            values.chunks(size.max(1)).map(|part| nested(rest, part)).collect()
        }
    }
}

/// Whether every head of every layer is there, in order.
fn is_every(found: &Inspection, heads: usize) -> bool {
    let mut all = found.attention.iter().enumerate();
    all.all(|(i, matrix)| matrix.which == Which::Head(i % heads) && matrix.layer == i / heads)
        && found.attention.len().is_multiple_of(heads)
}

fn attention(found: &Inspection, heads: usize) -> Value {
    if is_every(found, heads) {
        let layers = found.attention.len() / heads;
        return json!(vec![vec![Value::Null; heads]; layers]);
    }
    let list = found.attention.iter().map(|matrix| {
        let head = match matrix.which {
            Which::Head(head) => json!(head),
            Which::Mean => json!("mean"),
            Which::Max => json!("max"),
        };
        json!({ "layer": matrix.layer, "head": head, "values": null })
    });
    list.collect()
}

fn candidates(engine: &Engine, list: &[Candidate]) -> Vec<Value> {
    let one = |Candidate { id, logit, probability }: &Candidate| json!({ "id": id, "text": engine.token_text(*id), "logit": logit, "probability": probability });
    list.iter().map(one).collect()
}

fn cell_json(engine: &Engine, cell: &Cell) -> Value {
    json!({
        "position": cell.position, "top": candidates(engine, &cell.top), "entropy": cell.entropy,
        "rank": cell.rank, "probability": cell.probability,
    })
}

fn site_name(site: Site) -> &'static str {
    match site {
        Site::Embedding => "embedding",
        Site::Position => "position",
        Site::Attention => "attention",
        Site::FeedForward => "feedForward",
        Site::Norm => "norm",
        _ => "stream",
    }
}

/// How the next token is chosen.
pub fn choice(engine: &Engine, found: &Choice) -> Value {
    let stages: Vec<Value> = found
        .stages
        .iter()
        .map(|s| json!({ "name": s.name, "kept": s.kept, "removed": s.removed, "entropy": s.entropy }))
        .collect();
    let candidates: Vec<Value> = found
        .survivors
        .iter()
        .map(|s| {
            json!({
                "id": s.id, "text": engine.token_text(s.id), "scores": s.scores, "probabilities": s.probabilities,
                "from": s.from, "to": s.to,
            })
        })
        .collect();
    let draw = found
        .draw
        .as_ref()
        .map(|draw| json!({ "uniform": draw.uniform, "id": draw.id, "text": engine.token_text(draw.id) }));
    let greedy = json!({ "id": found.greedy, "text": engine.token_text(found.greedy) });
    json!({ "stages": stages, "candidates": candidates, "draw": draw, "greedy": greedy })
}

/// How likely a text is.
pub fn scored(engine: &Engine, list: &[Scored]) -> Value {
    let one = |scored: &Scored| {
        let mut out = json!({ "id": scored.id, "text": engine.token_text(scored.id) });
        if let Some(expected) = &scored.expected {
            out["probability"] = json!(expected.probability);
            out["rank"] = json!(expected.rank);
            out["entropy"] = json!(expected.entropy);
            out["top"] = json!(candidates(engine, &expected.top));
        }
        out
    };
    list.iter().map(one).collect()
}

/// Tokens like another.
pub fn neighbors(engine: &Engine, list: &[Neighbor]) -> Value {
    let one = |n: &Neighbor| json!({ "id": n.id, "text": engine.token_text(n.id), "similarity": n.similarity });
    list.iter().map(one).collect()
}

/// The model's shape, part by part.
pub fn form(engine: &Engine) -> Value {
    let spec = engine.spec();
    let form = &spec.form;
    let parts: Vec<Value> = spec
        .parts
        .iter()
        .map(|part| json!({ "name": part.name, "shape": part.shape, "format": part.format }))
        .collect();
    json!({
        "norm": form.norm, "normEpsilon": form.norm_epsilon, "activation": form.activation, "gated": form.gated,
        "innerSize": form.inner_size, "ropeTheta": form.rope_theta, "qkNorm": form.qk_norm,
        "attentionScale": form.attention_scale, "parts": parts,
    })
}
