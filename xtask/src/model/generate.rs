//! `cargo xtask generate`: continue a prompt or each of a file of prompts, or reply to messages.

use super::ModelArgs;
use super::messages::Conversation;
use super::parameters::Parameters;
use anyhow::{Context, Result, ensure};
use inkling::Engine;
use inkling::generate::{Event, Finished, Generation};
use inkling::sample::GenerationConfig;
use inkling::train::recipe::END_OF_TEXT;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The text to continue
    #[arg(long, allow_hyphen_values = true, required_unless_present_any = ["prompts", "messages"])]
    prompt: Option<String>,
    /// A file of texts to continue one by one, with <|endoftext|> between them
    #[arg(long, conflicts_with = "prompt")]
    prompts: Option<PathBuf>,
    #[command(flatten)]
    conversation: Conversation,
    /// Print one JSON object for each prompt instead of the text as it comes
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    parameters: Parameters,
}

pub fn run(args: Args) -> Result<()> {
    let mut engine = args.model.open()?;
    let mut config = args.parameters.over(engine.defaults())?;
    config.seed.get_or_insert_with(clock);
    if let Some(text) = args.conversation.text(&engine)? {
        config.eos_token_id.extend(engine.chat().iter().flat_map(|chat| &chat.end_of_turn));
        let ids = engine.encode_chat(&text)?;
        return answer(&mut engine, "", ids, config, args.json);
    }
    let prompts = args.prompt.clone().map_or_else(|| read_prompts(&args), |prompt| Ok(vec![prompt]))?;
    prompts.iter().try_for_each(|prompt| {
        let ids = engine.encode_prompt(prompt)?;
        answer(&mut engine, prompt, ids, config.clone(), args.json)
    })
}

fn read_prompts(args: &Args) -> Result<Vec<String>> {
    let path = args.prompts.as_deref().unwrap_or(Path::new(""));
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let prompts = text.split(END_OF_TEXT).map(str::trim).filter(|prompt| !prompt.is_empty()).map(str::to_string);
    let prompts: Vec<String> = prompts.collect();
    ensure!(!prompts.is_empty(), "{}: expected prompts with {END_OF_TEXT} between them, found none", path.display());
    Ok(prompts)
}

/// Prints what the model makes of one prompt: a text that is shown before, and its tokens.
fn answer(engine: &mut Engine, prompt: &str, prompt_ids: Vec<u32>, config: GenerationConfig, json: bool) -> Result<()> {
    let seed = config.seed;
    let mut generation = Generation::start(engine, prompt_ids.clone(), config)?;

    let began = Instant::now();
    let mut prefill = Duration::ZERO;
    let mut out = std::io::stdout().lock();
    // What an encoder-decoder writes does not continue its source.
    if !json && engine.encoder().is_none() {
        write!(out, "{prompt}")?;
    }
    let sequences = loop {
        match generation.advance(engine, usize::MAX)? {
            Event::Prefill { .. } => prefill = began.elapsed(),
            Event::Token { sequence: 0, text, .. } if !json => {
                write!(out, "{text}")?;
                out.flush()?;
            }
            Event::Token { .. } | Event::Preview { .. } => {}
            Event::Done { sequences, .. } => break sequences,
        }
    };
    let decode = began.elapsed() - prefill;
    let first = &sequences[0];
    if !json {
        // Beams are known only now; of several sampled sequences only the first was shown.
        let unseen = if first.score.is_some() { &sequences[..] } else { &sequences[1..] };
        for (i, sequence) in unseen.iter().enumerate() {
            write!(out, "{}{}", if i == 0 && first.score.is_some() { "" } else { "\n---\n" }, sequence.text)?;
        }
        writeln!(out)?;
        return Ok(());
    }
    // The first token's logits come out of the prefill.
    let decoded = sequences.iter().map(|s| s.ids.len().saturating_sub(1)).sum::<usize>();
    let report = json!({
        "prompt_ids": prompt_ids,
        "ids": first.ids,
        "text": first.text,
        "finish_reason": first.finish_reason,
        "sequences": sequences.iter().map(plain).collect::<Vec<_>>(),
        "seed": seed,
        "prefill_tokens_per_second": rate(prompt_ids.len(), prefill),
        "decode_tokens_per_second": rate(decoded, decode),
    });
    writeln!(out, "{report}")?;
    Ok(())
}

/// A sequence by the names of the rest of the report.
fn plain(sequence: &Finished) -> serde_json::Value {
    let Finished { ids, text, finish_reason, score } = sequence;
    json!({ "ids": ids, "text": text, "finish_reason": finish_reason, "score": score })
}

fn rate(tokens: usize, time: Duration) -> f64 {
    tokens as f64 / time.as_secs_f64().max(1e-9)
}

/// A seed for a call that gives none.
fn clock() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos())
}
