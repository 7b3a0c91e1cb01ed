//! `cargo xtask eval`: how well a model predicts a text. Documents are split at `<|endoftext|>`, each is read from a fresh
//! context that begins with the model's first token, where it has one; the separator and white space around a document are
//! not scored. A document
//! longer than the context is read in windows that overlap by half, each token scored once, with the longest past.

use super::ModelArgs;
use anyhow::{Context, Result, ensure};
use inkling::Engine;
use inkling::sample::log_softmax;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A file of UTF-8 text
    #[arg(long)]
    text: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    let mut engine = args.model.open()?;
    let text = std::fs::read_to_string(&args.text).with_context(|| format!("reading {}", args.text.display()))?;
    let (mut nats, mut tokens, mut bytes) = (0f64, 0usize, 0usize);
    for document in text.split("<|endoftext|>").map(str::trim).filter(|document| !document.is_empty()) {
        let (n, scored) = score(&mut engine, document)?;
        nats += n;
        tokens += scored;
        bytes += document.len();
    }
    ensure!(tokens > 0, "{}: expected text, found none that can be scored", args.text.display());
    let nats_per_token = nats / tokens as f64;
    let bits_per_byte = nats / bytes as f64 / std::f64::consts::LN_2;
    if args.json {
        let report = json!({
            "nats_per_token": nats_per_token,
            "bits_per_byte": bits_per_byte,
            "tokens": tokens,
            "bytes": bytes,
        });
        println!("{report}");
    } else {
        println!(
            "{nats_per_token:.4} nats per token, {bits_per_byte:.4} bits per byte ({tokens} tokens, {bytes} bytes)"
        );
    }
    Ok(())
}

/// Nats of a document and how many tokens they are of.
fn score(engine: &mut Engine, document: &str) -> Result<(f64, usize)> {
    let mut ids = engine.tokenizer().encode(document, true)?;
    if let Some(bos) = engine.bos_token_id().filter(|bos| ids.first() != Some(bos)) {
        ids.insert(0, bos);
    }
    let context = engine.spec().context_length;
    let (mut nats, mut scored) = (0f64, 1usize);
    while scored < ids.len() {
        let start = if scored == 1 { 0 } else { scored.saturating_sub(context / 2) };
        let end = (start + context + 1).min(ids.len());
        let window = &ids[start..end];
        let logits = engine.all_logits(&window[..window.len() - 1])?;
        for (i, mut logits) in logits.into_iter().enumerate().skip(scored - start - 1) {
            log_softmax(&mut logits)?;
            nats -= f64::from(logits[window[i + 1] as usize]);
        }
        scored = end;
    }
    Ok((nats, ids.len().saturating_sub(1)))
}
