//! `cargo xtask tokenize`: text to tokens.

use super::messages::Conversation;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// A folder (config.json, *.safetensors, tokenizer) or a .gguf file
    #[arg(long)]
    model: PathBuf,
    /// The text
    #[arg(long, allow_hyphen_values = true, required_unless_present = "messages", conflicts_with = "messages")]
    text: Option<String>,
    #[command(flatten)]
    conversation: Conversation,
    /// Print {"text","ids","tokens"} instead of a line per token
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    let model = super::open_any(&args.model)?;
    let tokenizer = model.tokenizer();
    let (text, ids) = match args.text {
        Some(text) => {
            let ids = tokenizer.encode(&text, true)?;
            (text, ids)
        }
        None => {
            let engine = model.writer()?;
            let text = args.conversation.text(engine)?.unwrap_or_default();
            let ids = engine.encode_chat(&text)?;
            (text, ids)
        }
    };
    let tokens: Vec<String> = ids.iter().map(|&id| tokenizer.token(id).unwrap_or_default()).collect();
    if args.json {
        println!("{}", json!({ "text": text, "ids": ids, "tokens": tokens }));
    } else {
        ids.iter().zip(tokens).for_each(|(id, token)| println!("{id:>6}  {token:?}"));
    }
    Ok(())
}
