//! `cargo xtask train`: from a recipe and a text to a Hugging Face folder, with the trainer of the page.

mod prepare;
mod progress;

use anyhow::{Context, Result, bail, ensure};
use inkling::convert::Source;
use inkling::files::Files;
use inkling::train::corpus::{Corpus, SourceFile};
use inkling::train::vocabulary::Vocabulary;
use inkling::train::{Data, Plan, Recipe, Setup, Trainer};
use progress::Progress;
use serde_json::json;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The run, to be gone on with.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// The step whose time tells how long all will take; the one before also makes what all others find.
const TRIED_STEPS: usize = 2;
/// Time from one try to save on a full disk to the next.
const RETRY_EVERY: Duration = Duration::from_secs(20);
/// Time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub struct Args {
    /// The recipe, a TOML file such as models/stories/recipe.toml
    #[arg(long, required_unless_present = "resume", conflicts_with = "resume")]
    recipe: Option<PathBuf>,
    /// The text to train on; may be given several times
    #[arg(long, required_unless_present = "resume")]
    corpus: Vec<PathBuf>,
    /// The column of a .csv or .tsv file, or the key of a .jsonl file, that has the text
    #[arg(long)]
    column: Option<String>,
    /// The folder to write the model to [default: target/train/ and the name of the recipe's folder]
    #[arg(long, required_unless_present = "recipe")]
    out: Option<PathBuf>,
    /// Take only this many of the recipe's steps
    #[arg(long)]
    steps: Option<usize>,
    /// Start from this model (a folder or a .gguf file) and its tokenizer instead of from nothing
    #[arg(long, conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Go on from the checkpoint in the folder
    #[arg(long)]
    resume: bool,
    /// Write what models/train.py needs for the run, and stop
    #[arg(long, conflicts_with = "resume")]
    prepare: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<()> {
    let out = args.out.clone().or(args.recipe.as_deref().map(default_folder)).unwrap_or_default();
    let progress = Progress::new(args.json);
    let mut trainer = match &args.recipe {
        Some(path) => {
            let recipe = read_recipe(path)?;
            std::fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
            begin(&args, recipe, &out, &progress)?
        }
        None => resume(&out)?,
    };
    if args.prepare {
        return Ok(());
    }
    train(&mut trainer, &args, &out, progress)
}

fn read_recipe(path: &Path) -> Result<Recipe> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

fn default_folder(recipe: &Path) -> PathBuf {
    let name = recipe.parent().and_then(Path::file_name).unwrap_or(recipe.as_os_str());
    Path::new("target/train").join(name)
}

fn resume(out: &Path) -> Result<Trainer> {
    let path = out.join(CHECKPOINT);
    let bytes = std::fs::read(&path)
        .with_context(|| format!("expected a run to go on with at {}; --recipe begins one", path.display()))?;
    Ok(Trainer::resume(&bytes)?.0)
}

/// Steps one to three: the cleaned text, the vocabulary, the model.
fn begin(args: &Args, recipe: Recipe, out: &Path, progress: &Progress) -> Result<Trainer> {
    let files = read_corpus(&args.corpus, args.column.as_deref())?;
    let corpus = Corpus::read(files, &recipe.corpus)?;
    progress.corpus(&corpus.report);
    let (documents, held_out) = (&corpus.documents, &corpus.held_out);
    let (setup, data, model) = match &args.from {
        None => {
            let vocabulary = Vocabulary::train(documents.iter().map(String::as_str), &recipe.vocabulary)?;
            let setup = Setup::new(recipe, vocabulary.tokenizer_json().to_string())?;
            let data = Data::new(|text| vocabulary.encode(text), setup.around(), documents, held_out)?;
            (setup, data, None)
        }
        Some(path) => {
            let mut model = Source::open(Files::open(path)?)?;
            let setup = Setup::from_model(recipe, &mut model)?;
            let tokenizer = setup.open_tokenizer()?;
            let data = Data::new(|text| tokenizer.encode_plain(text), setup.around(), documents, held_out)?;
            (setup, data, Some(model))
        }
    };
    progress.vocabulary(&setup, &data, args.from.is_none());
    let plan = Plan::new(&setup.config, &setup.recipe.training, data.tokens.len())?;
    plan.check_memory(available_memory())?;
    progress.plan(&plan);
    if args.prepare {
        let trainer = open(setup.clone(), data.clone(), model)?;
        prepare::write(out, &trainer, &data, &corpus.held_out)?;
        progress.said(&json!({ "prepared": out }), &format!("{} is ready for models/train.py", out.display()));
        return Ok(trainer);
    }
    open(setup, data, model)
}

fn open(setup: Setup, data: Data, model: Option<Source>) -> Result<Trainer> {
    Ok(match model {
        None => Trainer::new(setup, data)?,
        Some(model) => Trainer::from_model(setup, data, model)?,
    })
}

fn read_corpus(paths: &[PathBuf], column: Option<&str>) -> Result<Vec<SourceFile>> {
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(SourceFile { name: path.display().to_string(), bytes, column: column.map(str::to_string) })
    };
    paths.iter().map(read).collect()
}

/// Memory that a run may take on this machine, where the system says.
fn available_memory() -> u64 {
    let known = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    known.map_or(u64::MAX, |kilobytes| kilobytes * 1024)
}

/// Step four.
fn train(trainer: &mut Trainer, args: &Args, out: &Path, mut progress: Progress) -> Result<()> {
    let options = trainer.setup().recipe.training.clone();
    let last = args.steps.map_or(options.max_steps, |steps| steps.min(options.max_steps));
    let taken = trainer.steps_taken();
    ensure!(taken < last, "expected steps to take, found {taken} taken and the end at {last}");
    progress.span(taken, last, options.max_steps);
    keep_previous(args, &out.join(CHECKPOINT))?;
    progress.measured(trainer.measured());
    let mut evaluation = None;
    if trainer.curve().held_out.is_empty() {
        let began = Instant::now();
        progress.evaluation(&trainer.evaluate()?);
        evaluation = Some(began.elapsed());
    }
    let mut saved = Instant::now();
    progress.start(trainer.steps_taken(), last, trainer.tokens_per_step());
    while trainer.steps_taken() < last {
        let began = Instant::now();
        let step = trainer.step().or_else(|error| given_up(trainer, out, error))?;
        progress.step(&step, began.elapsed());
        if trainer.steps_taken() == taken + TRIED_STEPS && trainer.steps_taken() < last {
            let left = last - trainer.steps_taken();
            let evaluations = evaluation.map(|time| (left.div_ceil(options.eval_steps), time));
            progress.estimate(left, began.elapsed(), evaluations);
        }
        if trainer.evaluation_due() || trainer.steps_taken() == last {
            progress.evaluation(&trainer.evaluate().or_else(|error| given_up(trainer, out, error))?);
            let sample = trainer.sample(&options.sample_prompt, 60, trainer.steps_taken() as u64)?;
            progress.sample(&format!("{}{sample}", options.sample_prompt));
        }
        if saved.elapsed() > CHECKPOINT_EVERY {
            // A full disk may be empty again the next time.
            if let Err(error) = save(trainer, out) {
                eprintln!("the checkpoint was not written: {error:#}");
            }
            saved = Instant::now();
        }
        if trainer.finished().is_some() {
            break;
        }
    }
    save_at_last(trainer, out)?;
    progress
        .said(&json!({ "out": out }), &format!("{} has the model, and the checkpoint to go on from", out.display()));
    Ok(())
}

/// A new run in the folder of an earlier one leaves that one's checkpoint under another name.
fn keep_previous(args: &Args, checkpoint: &Path) -> Result<()> {
    if args.resume || !checkpoint.exists() {
        return Ok(());
    }
    let kept = checkpoint.with_file_name(format!("previous.{CHECKPOINT}"));
    let (found, kept_as) = (checkpoint.display(), kept.display());
    eprintln!(
        "{found} is an earlier run's; it is kept as {kept_as}. To go on with a run, give --resume in place of --recipe"
    );
    std::fs::rename(checkpoint, &kept).with_context(|| format!("renaming {}", checkpoint.display()))
}

/// A run that cannot go on leaves its best weights; those that lead to no number are not worth a checkpoint.
fn given_up<T>(trainer: &Trainer, out: &Path, error: inkling::Error) -> Result<T> {
    export(trainer, out)?;
    bail!("{error} ({} has the best weights so far, and the last good checkpoint)", out.display())
}

/// Saves what took hours: where there is no room, as soon as there is.
fn save_at_last(trainer: &Trainer, out: &Path) -> Result<()> {
    loop {
        let Err(error) = save(trainer, out) else { return Ok(()) };
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if !matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) {
            return Err(error);
        }
        eprintln!("{error:#}: make room, and the model is saved; trying again every {} s", RETRY_EVERY.as_secs());
        std::thread::sleep(RETRY_EVERY);
    }
}

/// The model's folder and the checkpoint.
fn save(trainer: &Trainer, out: &Path) -> Result<()> {
    export(trainer, out)?;
    replace(&out.join(CHECKPOINT), &trainer.checkpoint(serde_json::Value::Null)?)
}

fn export(trainer: &Trainer, out: &Path) -> Result<()> {
    trainer.export()?.iter().try_for_each(|file| replace(&out.join(file.name), &file.bytes))
}

/// A file is whole before it takes the place of the one before.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // A part of a file only takes room; it may not be there at all.
        let _ = std::fs::remove_file(&part);
    }
    written.with_context(|| format!("writing {}", path.display()))
}
