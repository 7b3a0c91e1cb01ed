//! What was seen, as the JavaScript API and the command line tell it: names in camel case, texts beside ids. Large arrays
//! have a place in the JSON and are put there by whoever sends it, nested or typed.

use super::{
    At, Candidate, Cell, Choice, Contribution, Inspection, Matrix, Neighbor, Scored, Shown, Stage, Survivor, Which,
};
use crate::model::{LayerForm, Part, Site};
use crate::text::{Explained, Merge};
use serde_json::Value;

/// A JSON object; `json!` would write out every field's insertion where it stands.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fill(&mut fields.into_iter())
}

#[inline(never)]
fn fill(fields: &mut dyn Iterator<Item = (&str, Value)>) -> Value {
    Value::Object(fields.map(|(name, value)| (name.to_string(), value)).collect())
}

/// An array that belongs somewhere in the JSON.
pub struct Array<'a> {
    /// Keys and indices from the outside in.
    pub path: Vec<String>,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// All of it but the arrays.
pub fn json(model: &dyn Shown, found: &Inspection) -> Value {
    let heads = model.spec().heads;
    let tokens = |ids: &[u32]| -> Value {
        ids.iter().map(|id| object([("id", (*id).into()), ("text", model.token_text(*id).into())])).collect()
    };
    let mut out = object([
        ("ids", found.ids.clone().into()),
        ("tokens", tokens(&found.ids)),
        ("topK", candidates(model, &found.top_k)),
        ("entropy", found.entropy.into()),
    ]);
    let mut put = |name: &str, value: Value| out[name] = value;
    if let Some(source) = &found.source {
        let pieces: Value = source.ids.iter().map(|id| source_token(model, *id)).collect();
        put("source", object([("ids", source.ids.clone().into()), ("tokens", pieces)]));
        put("labels", tokens(&source.labels));
    }
    if !found.attention.is_empty() {
        put("attention", attention(found, heads));
    }
    if let Some(overview) = &found.overview {
        let sizes = [("cells", overview.cells.into()), ("layers", model.spec().layers.into()), ("heads", heads.into())];
        put("overview", object(sizes));
    }
    if !found.lens.is_empty() {
        let row = |row: &Vec<Cell>| row.iter().map(|cell| cell_json(model, cell)).collect::<Value>();
        put("logitLens", found.lens.iter().map(row).collect());
    }
    if let Some(attribution) = &found.attribution {
        let part = |part: &Contribution| {
            object([("site", site_name(part.site).into()), ("layer", part.layer.into()), ("value", part.value.into())])
        };
        let id = attribution.id;
        put(
            "attribution",
            object([
                ("id", id.into()),
                ("text", model.token_text(id).into()),
                ("logit", attribution.logit.into()),
                ("parts", attribution.parts.iter().map(part).collect()),
            ]),
        );
    }
    if let Some(internals) = &found.internals {
        let At { layer, head, position } = internals.at;
        let form = &model.spec().form;
        put(
            "internals",
            object([
                ("layer", layer.into()),
                ("head", head.into()),
                ("position", position.into()),
                ("mean", internals.mean.into()),
                ("variance", internals.variance.into()),
                ("epsilon", form.norm_epsilon.into()),
                ("scale", form.attention_scale.into()),
            ]),
        );
    }
    out
}

/// A token of a source, whose vocabulary may be another than that of the text.
fn source_token(model: &dyn Shown, id: u32) -> Value {
    object([("id", id.into()), ("text", model.source_text(id).into())])
}

/// The arrays, each with its place.
pub fn arrays<'a>(model: &dyn Shown, found: &'a Inspection) -> Vec<Array<'a>> {
    let spec = model.spec();
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
    if let (Some(source), Some(encoder)) = (&found.source, model.encoder()) {
        let m = source.ids.len();
        put(&["crossAttentions"], vec![spec.layers, spec.heads, n, m], &source.cross_attentions);
        put(&["encoderAttentions"], vec![encoder.layers, encoder.heads, m, m], &source.encoder_attentions);
        let states = vec![encoder.layers + 1, m, spec.hidden_size];
        put(&["encoderHiddenStates"], states, &source.encoder_hidden_states);
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
        [] | [_] => values.into(),
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
        return vec![Value::from(vec![Value::Null; heads]); layers].into();
    }
    let one = |matrix: &Matrix| {
        let head: Value = match matrix.which {
            Which::Head(head) => head.into(),
            Which::Mean => "mean".into(),
            Which::Max => "max".into(),
        };
        object([("layer", matrix.layer.into()), ("head", head), ("values", Value::Null)])
    };
    found.attention.iter().map(one).collect()
}

fn candidates(model: &dyn Shown, list: &[Candidate]) -> Value {
    let one = |candidate: &Candidate| {
        object([
            ("id", candidate.id.into()),
            ("text", model.token_text(candidate.id).into()),
            ("logit", candidate.logit.into()),
            ("probability", candidate.probability.into()),
        ])
    };
    list.iter().map(one).collect()
}

fn cell_json(model: &dyn Shown, cell: &Cell) -> Value {
    object([
        ("position", cell.position.into()),
        ("top", candidates(model, &cell.top)),
        ("entropy", cell.entropy.into()),
        ("rank", cell.rank.into()),
        ("probability", cell.probability.into()),
    ])
}

fn site_name(site: Site) -> &'static str {
    match site {
        Site::Embedding => "embedding",
        Site::Position => "position",
        Site::Attention => "attention",
        Site::Cross => "cross",
        Site::FeedForward => "feedForward",
        Site::Norm => "norm",
        _ => "stream",
    }
}

/// How the next token is chosen.
pub fn choice(model: &dyn Shown, found: &Choice) -> Value {
    let stage = |stage: &Stage| {
        object([
            ("name", stage.name.into()),
            ("kept", stage.kept.into()),
            ("removed", stage.removed.into()),
            ("entropy", stage.entropy.into()),
        ])
    };
    let survivor = |survivor: &Survivor| {
        object([
            ("id", survivor.id.into()),
            ("text", model.token_text(survivor.id).into()),
            ("scores", survivor.scores.as_slice().into()),
            ("probabilities", survivor.probabilities.as_slice().into()),
            ("from", survivor.from.into()),
            ("to", survivor.to.into()),
        ])
    };
    let token = |id: u32| object([("id", id.into()), ("text", model.token_text(id).into())]);
    let draw = found.draw.as_ref().map(|draw| {
        let mut out = token(draw.id);
        out["uniform"] = draw.uniform.into();
        out
    });
    object([
        ("stages", found.stages.iter().map(stage).collect()),
        ("candidates", found.survivors.iter().map(survivor).collect()),
        ("draw", draw.into()),
        ("greedy", token(found.greedy)),
    ])
}

/// How likely a text is.
pub fn scored(model: &dyn Shown, list: &[Scored]) -> Value {
    let one = |scored: &Scored| {
        let mut out = object([("id", scored.id.into()), ("text", model.token_text(scored.id).into())]);
        if let Some(expected) = &scored.expected {
            out["probability"] = expected.probability.into();
            out["rank"] = expected.rank.into();
            out["entropy"] = expected.entropy.into();
            out["top"] = candidates(model, &expected.top);
        }
        out
    };
    list.iter().map(one).collect()
}

/// How a text became tokens; `place` turns offsets in bytes into those of the caller.
pub fn explained(list: &[Explained], place: &dyn Fn(usize) -> usize) -> Value {
    let merge = |merge: &Merge| {
        object([
            ("left", merge.left.as_str().into()),
            ("right", merge.right.as_str().into()),
            ("rank", merge.rank.into()),
        ])
    };
    let one = |token: &Explained| {
        object([
            ("id", token.piece.id.into()),
            ("token", token.token.as_str().into()),
            ("special", token.special.into()),
            ("bytes", token.bytes.as_slice().into()),
            ("start", place(token.piece.start).into()),
            ("end", place(token.piece.end).into()),
            ("merges", token.merges.iter().map(merge).collect()),
        ])
    };
    list.iter().map(one).collect()
}

/// Tokens like another.
pub fn neighbors(model: &dyn Shown, list: &[Neighbor]) -> Value {
    let one = |neighbor: &Neighbor| {
        object([
            ("id", neighbor.id.into()),
            ("text", model.token_text(neighbor.id).into()),
            ("similarity", neighbor.similarity.into()),
        ])
    };
    list.iter().map(one).collect()
}

/// The model's shape, part by part.
pub fn form(model: &dyn Shown) -> Value {
    let spec = model.spec();
    let form = &spec.form;
    let part = |part: &Part| {
        object([
            ("name", part.name.as_str().into()),
            ("shape", part.shape.as_slice().into()),
            ("format", part.format.into()),
        ])
    };
    let layer = |layer: &LayerForm| object([("window", layer.window.into()), ("ropeTheta", layer.rope_theta.into())]);
    object([
        ("norm", form.norm.into()),
        ("normEpsilon", form.norm_epsilon.into()),
        ("activation", form.activation.into()),
        ("gated", form.gated.into()),
        ("innerSize", form.inner_size.into()),
        ("ropeTheta", form.rope_theta.into()),
        ("qkNorm", form.qk_norm.into()),
        ("attentionScale", form.attention_scale.into()),
        ("rotated", form.rotated.into()),
        ("parallel", form.parallel.into()),
        ("postNorms", form.post_norms.into()),
        ("embeddingScale", form.embedding_scale.into()),
        ("layers", form.layers.iter().map(layer).collect()),
        ("parts", spec.parts.iter().map(part).collect()),
    ])
}
