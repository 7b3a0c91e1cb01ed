//! `cargo xtask COMMAND`: reads the command line and hands over to the command's own file.
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::model::{convert, eval, generate, inspect, logits, tasks, tokenize};
use xtask::{assemble, bench, build, screenshots, serve, test, train, vendor};

/// The commands of inkling, a language model that runs inside a web page.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the site into dist/: plain files for any static host
    Build(build::Args),
    /// Build the site, then serve it on this machine
    Serve(serve::Args),
    /// Run every check and test: native, wasm, and the built page in a browser
    Test(test::Args),
    /// Continue a prompt, with the engine of the page
    Generate(Box<generate::Args>),
    /// What a model says of the next token, or of a token of the text
    Logits(logits::Args),
    /// What a model computes on a text: attention, what each layer would say, the next token
    Inspect(inspect::Args),
    /// What may stand behind the masks of a text, by a model that reads
    Fill(tasks::FillArgs),
    /// The answer to a question in a text, by a model that reads
    Answer(tasks::AnswerArgs),
    /// Texts as vectors, by a model that reads
    Embed(tasks::EmbedArgs),
    /// Text to tokens
    Tokenize(tokenize::Args),
    /// How well a model predicts a text
    Eval(eval::Args),
    /// Write a model as GGUF or as a Hugging Face folder
    Convert(convert::Args),
    /// Put a model of a hub into dist/, for hosts without a network
    Vendor(vendor::Args),
    /// Train a model by a recipe, with the trainer of the page
    Train(train::Args),
    /// Take pictures of every view of the built page
    Screenshots(screenshots::Args),
    /// Measure, beside the peers that are there
    Bench(bench::Args),
    /// Put the engines and the models into the folder that Trunk is staging (Trunk's hook calls this)
    #[command(hide = true)]
    Assemble(assemble::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Build(args) => build::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Test(args) => test::run(args),
        Command::Generate(args) => generate::run(*args),
        Command::Logits(args) => logits::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Fill(args) => tasks::fill(args),
        Command::Answer(args) => tasks::answer(args),
        Command::Embed(args) => tasks::embed(args),
        Command::Tokenize(args) => tokenize::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Vendor(args) => vendor::run(args),
        Command::Train(args) => train::run(args),
        Command::Screenshots(args) => screenshots::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Assemble(args) => assemble::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
