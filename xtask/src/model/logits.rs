//! `cargo xtask logits`: what the model says of the next token, or of a token of the text where it reads it as a whole.

use super::ModelArgs;
use anyhow::{Result, ensure};
use inkling::reader::{Opened, Reader, Tokens};
use inkling::text::Tokenizer;
use serde_json::{Value, json};

/// Of a model that continues a text, the logits of the next token. Of one that reads it as a whole, those of the token behind
/// the first mask (or of the last); of a model for answers, those of every token as the first and as the last of one; of a
/// model for vectors, the last hidden state of the last token.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The text before the token, or the text that is read
    #[arg(long, allow_hyphen_values = true, required_unless_present = "ids", conflicts_with = "ids")]
    prompt: Option<String>,
    /// The same as token ids
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
    /// A second text that is read with the first: the one a question is asked of
    #[arg(long, allow_hyphen_values = true, conflicts_with = "ids")]
    pair: Option<String>,
    /// The token in question, of a model that reads
    #[arg(long)]
    position: Option<usize>,
    /// Of an encoder-decoder, whose source the prompt is: what its decoder has read, the token it begins with included; without
    /// this, only that token
    #[arg(long, value_delimiter = ',')]
    decoder_ids: Option<Vec<u32>>,
    /// Print {"ids","logits"} instead of the ten likeliest tokens; of a model for answers {"ids","start_logits",
    /// "end_logits"}, of one for vectors {"ids","hidden_state"}
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    let mut model = args.model.open_any()?;
    if let Opened::Reader(reader) = &model {
        return read(reader, &args);
    }
    ensure!(args.pair.is_none() && args.position.is_none(), "--pair and --position are for models that read");
    let engine = model.writer_mut()?;
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
    print(engine.tokenizer(), &logits)
}

fn print(tokenizer: &Tokenizer, logits: &[f32]) -> Result<()> {
    let probabilities = inkling::sample::softmax(logits)?;
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    for id in order.into_iter().take(10) {
        let token = tokenizer.token(id as u32).unwrap_or_default();
        println!("{id:>6}  {:>6.2} %  {:>8.3}  {token:?}", probabilities[id] * 100.0, logits[id]);
    }
    Ok(())
}

fn read(reader: &Reader, args: &Args) -> Result<()> {
    let tokens = tokens(reader, args)?;
    let seen = reader.predictions(&tokens)?;
    let mask = reader.tokenizer().mask_token_id();
    let masked = tokens.ids.iter().position(|id| Some(*id) == mask);
    let last = tokens.ids.len() - 1;
    let at = args.position.or(masked).unwrap_or(last);
    ensure!(at <= last, "--position: expected at most {last}, found {at}");
    let mut out = json!({ "ids": tokens.ids });
    if let Some([starts, ends]) = seen.ends()? {
        (out["start_logits"], out["end_logits"]) = (json!(starts), json!(ends));
    } else if let Some(logits) = seen.masked(at)? {
        if !args.json {
            return print(reader.tokenizer(), &logits);
        }
        (out["position"], out["logits"]) = (json!(at), json!(logits));
    } else {
        (out["position"], out["hidden_state"]) = (json!(at), json!(seen.state(at)?));
    }
    if args.json {
        println!("{out}");
        return Ok(());
    }
    let column = |name: &str| out[name].as_array().cloned().unwrap_or_default();
    match column("hidden_state").as_slice() {
        [] => {
            for (i, (start, end)) in column("start_logits").iter().zip(column("end_logits")).enumerate() {
                let token = reader.tokenizer().token(tokens.ids[i]).unwrap_or_default();
                println!("{start:>12.3}  {end:>12.3}  {token:?}", start = number(start), end = number(&end));
            }
        }
        state => state.iter().for_each(|x| println!("{:>10.5}", number(x))),
    }
    Ok(())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// What is to be read.
fn tokens(reader: &Reader, args: &Args) -> Result<Tokens> {
    let text = args.prompt.as_deref().unwrap_or_default();
    Ok(match (&args.ids, &args.pair) {
        (Some(ids), _) => Tokens { ids: ids.clone(), kinds: Vec::new() },
        (None, None) => reader.encode(text)?,
        (None, Some(second)) => {
            let tokenizer = reader.tokenizer();
            reader.join(&tokenizer.encode(text, false)?, &tokenizer.encode(second, false)?)?.0
        }
    })
}
