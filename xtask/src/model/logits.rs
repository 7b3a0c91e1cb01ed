//! `cargo xtask logits`: what the model says of the next token.

use super::ModelArgs;
use anyhow::Result;
use serde_json::json;

#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The text before the token
    #[arg(long, allow_hyphen_values = true, required_unless_present = "ids", conflicts_with = "ids")]
    prompt: Option<String>,
    /// The same as token ids
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
    /// Of an encoder-decoder, whose source the prompt is: what its decoder has read, the token it begins with included; without
    /// this, only that token
    #[arg(long, value_delimiter = ',')]
    decoder_ids: Option<Vec<u32>>,
    /// Print {"ids","logits"} instead of the ten likeliest tokens
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    let mut engine = args.model.open()?;
    let ids = match args.ids {
        Some(ids) => ids,
        None => engine.encode_prompt(&args.prompt.unwrap_or_default())?,
    };
    let logits = match &args.decoder_ids {
        Some(target) => engine.target_logits(&ids, target)?.pop().unwrap_or_default(),
        None => engine.logits(&ids)?,
    };
    if args.json {
        println!("{}", json!({ "ids": ids, "logits": logits }));
        return Ok(());
    }
    let probabilities = inkling::sample::softmax(&logits)?;
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    for id in order.into_iter().take(10) {
        let token = engine.tokenizer().token(id as u32).unwrap_or_default();
        println!("{id:>6}  {:>6.2} %  {:>8.3}  {token:?}", probabilities[id] * 100.0, logits[id]);
    }
    Ok(())
}
