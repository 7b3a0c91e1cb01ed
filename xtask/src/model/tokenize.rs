//! `cargo xtask tokenize`: text to tokens.

use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// A folder (config.json, *.safetensors, tokenizer) or a .gguf file
    #[arg(long)]
    model: PathBuf,
    /// The text
    #[arg(long, allow_hyphen_values = true)]
    text: String,
    /// Print {"ids","tokens"} instead of a line per token
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    let model = super::open_any(&args.model)?;
    let tokenizer = model.tokenizer();
    let ids = tokenizer.encode(&args.text, true)?;
    let tokens: Vec<String> = ids.iter().map(|&id| tokenizer.token(id).unwrap_or_default()).collect();
    if args.json {
        println!("{}", json!({ "ids": ids, "tokens": tokens }));
    } else {
        ids.iter().zip(tokens).for_each(|(id, token)| println!("{id:>6}  {token:?}"));
    }
    Ok(())
}
