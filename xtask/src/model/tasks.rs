//! `cargo xtask fill`, `answer` and `embed`: what models that read are for, as the page does it and transformers' pipelines.

use anyhow::{Context, Result};
use inkling::reader::Opened;
use inkling::tasks::{self, Outcome, Step};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct FillArgs {
    /// A folder (config.json, *.safetensors, tokenizer) or a .gguf file
    #[arg(long)]
    model: PathBuf,
    /// A text with the model's mask ([MASK] or <mask>) in it, once or several times
    #[arg(long, allow_hyphen_values = true)]
    text: String,
    /// So many candidates for each mask
    #[arg(long, default_value_t = 5)]
    top_k: usize,
    /// The only candidates; may be given several times
    #[arg(long)]
    target: Vec<String>,
    /// Print [{"score","token","token_str","sequence"}], for several masks a list of such lists
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct AnswerArgs {
    /// A folder (config.json, *.safetensors, tokenizer) or a .gguf file
    #[arg(long)]
    model: PathBuf,
    #[arg(long, allow_hyphen_values = true)]
    question: String,
    /// The text with the answer, or the name of a file with it
    #[arg(long, allow_hyphen_values = true)]
    context: String,
    /// So many answers
    #[arg(long, default_value_t = 1)]
    top_k: usize,
    /// Tokens that neighbouring windows of a long text share
    #[arg(long)]
    doc_stride: Option<usize>,
    /// The most tokens of an answer
    #[arg(long, default_value_t = 15)]
    max_answer_len: usize,
    /// The most tokens that are read at once
    #[arg(long)]
    max_seq_len: Option<usize>,
    /// The most tokens of the question
    #[arg(long, default_value_t = 64)]
    max_question_len: usize,
    /// Let "no answer" be one
    #[arg(long)]
    handle_impossible_answer: bool,
    /// Whether answers are whole words
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    align_to_words: bool,
    /// Print {"score","start","end","answer"}, with characters of the text, or a list of such where several were asked for
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct EmbedArgs {
    /// A folder (config.json, *.safetensors, tokenizer) or a .gguf file
    #[arg(long)]
    model: PathBuf,
    /// A text; may be given several times
    #[arg(long, required = true, allow_hyphen_values = true)]
    text: Vec<String>,
    /// mean, cls or max, if not what the model was trained with
    #[arg(long)]
    pooling: Option<String>,
    /// Whether vectors get length 1, if not as the model was trained
    #[arg(long)]
    normalize: Option<bool>,
    /// Cut off texts that are too long instead of refusing them
    #[arg(long)]
    truncate: bool,
    /// Print the vectors as a list of lists instead of how alike the texts are
    #[arg(long)]
    json: bool,
}

pub fn fill(args: FillArgs) -> Result<()> {
    let targets = if args.target.is_empty() { Value::Null } else { json!(args.target) };
    let model = super::open_any(&args.model)?;
    let outcome = run(&model, "fill-mask", json!({ "text": args.text, "top_k": args.top_k, "targets": targets }))?;
    if args.json {
        println!("{}", outcome.json(&|at| at));
    } else if let Outcome::Filled(masks) = &outcome {
        for (i, mask) in masks.iter().enumerate() {
            println!("mask {}:", i + 1);
            mask.iter()
                .for_each(|fill| println!("{:>6.2} %  {:?}  {}", fill.score * 100.0, fill.token_str, fill.sequence));
        }
    }
    Ok(())
}

pub fn answer(args: AnswerArgs) -> Result<()> {
    let path = PathBuf::from(&args.context);
    let context = match path.is_file() {
        true => std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?,
        false => args.context,
    };
    let model = super::open_any(&args.model)?;
    let arguments = json!({
        "question": args.question, "context": context, "top_k": args.top_k, "doc_stride": args.doc_stride,
        "max_answer_len": args.max_answer_len, "max_seq_len": args.max_seq_len,
        "max_question_len": args.max_question_len, "handle_impossible_answer": args.handle_impossible_answer,
        "align_to_words": args.align_to_words,
    });
    let outcome = run(&model, "question-answering", arguments)?;
    if args.json {
        println!("{}", outcome.json(&|at| context.get(..at).unwrap_or_default().chars().count()));
    } else if let Outcome::Answers { answers, .. } = &outcome {
        for answer in answers {
            let shown = if answer.answer.is_empty() { "(no answer)" } else { &answer.answer };
            println!("{:>6.2} %  {shown}", answer.score * 100.0);
        }
    }
    Ok(())
}

pub fn embed(args: EmbedArgs) -> Result<()> {
    let model = super::open_any(&args.model)?;
    let arguments = json!({
        "texts": args.text, "pooling": args.pooling, "normalize": args.normalize, "truncate": args.truncate,
    });
    let outcome = run(&model, "feature-extraction", arguments)?;
    if args.json {
        println!("{}", outcome.json(&|at| at));
    } else if let Outcome::Embedded(vectors) = &outcome {
        for (text, vector) in args.text.iter().zip(vectors) {
            let alike = vectors.iter().map(|other| format!("{:>6.3}", cosine(vector, other)));
            println!("{}  {text}", alike.collect::<Vec<_>>().join(" "));
        }
    }
    Ok(())
}

/// Runs a task to its end, telling how far it is where that takes several steps.
fn run(model: &Opened, task: &str, arguments: Value) -> Result<Outcome> {
    let reader = model.reader(task)?;
    let mut task = tasks::begin(reader, task, arguments.as_object().unwrap_or(&Map::new()))?;
    loop {
        match task.step(reader)? {
            Step::Going { done, total } => eprint!("\r{done} of {total} "),
            Step::Done(outcome) => return Ok(outcome),
        }
    }
}

/// The cosine of the angle between two vectors.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}
