//! `cargo xtask inspect`: what a model computes on a text, as `model.inspect` of the page gives it.

use super::ModelArgs;
use anyhow::{Context, Result};
use inkling::inspect::{self, Inspection, Shown, Wish, report};
use inkling::reader::{Opened, Tokens};
use serde_json::{Map, Value, json};

#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The text to read
    #[arg(long, allow_hyphen_values = true, required_unless_present = "ids", conflicts_with = "ids")]
    prompt: Option<String>,
    /// The same as token ids
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
    /// Options of `model.inspect` as JSON, put over {"topK":10,"attention":true,"logitLens":true}
    #[arg(long, value_name = "JSON")]
    options: Option<String>,
    /// Print all of it instead of what each layer would say next
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    let mut model = args.model.open_any()?;
    let text = args.prompt.unwrap_or_default();
    let ids = match (args.ids, &model) {
        (Some(ids), _) => ids,
        (None, Opened::Writer(engine)) => engine.encode_prompt(&text)?,
        (None, Opened::Reader(reader)) => reader.encode(&text)?.ids,
    };
    let mut options = json!({ "topK": 10, "logitLens": true });
    options["attention"] = json!(args.json);
    if let (Some(given), Some(all)) = (&args.options, options.as_object_mut()) {
        let given: Map<String, Value> = serde_json::from_str(given)
            .with_context(|| format!("expected --options to be a JSON object, found {given}"))?;
        all.extend(given);
    }
    let wish = Wish::from_json(options.as_object().unwrap_or(&Map::new()))?;
    let found = match &mut model {
        Opened::Writer(engine) => inspect::inspect(engine, &ids, &wish)?,
        Opened::Reader(reader) => inspect::inspect_reading(reader, &Tokens { ids, kinds: Vec::new() }, &wish)?,
    };
    if args.json {
        println!("{}", whole(model.shown(), &found));
    } else {
        print(model.shown(), &found);
    }
    Ok(())
}

/// All of it in one JSON value, arrays as lists of lists.
fn whole(model: &dyn Shown, found: &Inspection) -> Value {
    let mut out = report::json(model, found);
    for array in report::arrays(model, found) {
        let mut place = &mut out;
        for key in &array.path {
            place = match key.parse::<usize>() {
                Ok(index) if place.is_array() => &mut place[index],
                _ => &mut place[key.as_str()],
            };
        }
        *place = report::nested(&array.shape, array.values);
    }
    out
}

/// What the layers would say after the last token, or of a model that reads in its place, the embeddings first.
fn print(model: &dyn Shown, found: &Inspection) {
    for (layer, row) in found.lens.iter().enumerate() {
        let Some(cell) = row.last() else { continue };
        let top = cell.top.iter().map(|c| format!("{:?} {:.1} %", model.token_text(c.id), 100.0 * c.probability));
        println!("{layer:>3}  {:>5.2} bits  {}", cell.entropy, top.collect::<Vec<_>>().join("  "));
    }
    println!("next:");
    for candidate in &found.top_k {
        let text = model.token_text(candidate.id);
        println!("{:>6}  {:>6.2} %  {:>8.3}  {text:?}", candidate.id, 100.0 * candidate.probability, candidate.logit);
    }
}
