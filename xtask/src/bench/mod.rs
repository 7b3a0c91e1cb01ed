//! `cargo xtask bench`: how quick inkling is here, beside its peers, measured in one run and printed as one table and one
//! line of JSON. Goals are printed with their results; none is ever an assertion.
//!
//! * [`generate`]: how quickly models write, without a subcommand
//! * [`train`]: tokens per second of a training step
//! * [`store`]: a large model from a bad line into the browser, and into memory
//!
//! What the benches stand on:
//!
//! * [`machine`]: what machine this is, and what else it is doing
//! * [`peers`]: what to compare with, found or fetched, and how a process is asked
//! * [`browser`]: one visit of a fresh Chromium
//! * [`table`]: medians, spreads, columns and sections
//!
//! The pages and scripts that drive the peers are in xtask/bench/, a folder for each bench.
mod browser;
mod generate;
mod machine;
mod peers;
mod store;
mod table;
mod train;

use anyhow::Result;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    generate: generate::Args,
}

#[derive(clap::Subcommand)]
enum What {
    /// Tokens per second of a training step: natively, in Chromium, and with nanogpt, jax-js and PyTorch
    Train(train::Args),
    /// A full-size model over a line that breaks twenty times, and what opening it takes in memory
    Store(store::Args),
    /// One native measurement of `bench train`, which calls this in a process of its own: a task on the standard input
    #[command(hide = true)]
    TrainNative,
    /// One native measurement of `bench`
    #[command(hide = true)]
    GenerateNative,
    /// The kernels' part of it
    #[command(hide = true)]
    KernelsNative,
}

pub fn run(args: Args) -> Result<()> {
    match args.what {
        None => generate::run(args.generate),
        Some(What::Train(args)) => train::run(args),
        Some(What::Store(args)) => store::run(args),
        Some(What::TrainNative) => train::answer(),
        Some(What::GenerateNative) => generate::answer(),
        Some(What::KernelsNative) => generate::answer_kernels(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_quotes_what_was_measured() {
        let read = |name: &str| std::fs::read_to_string(crate::process::root().join(name)).unwrap();
        let readme = read("README.md");
        for file in ["BENCHMARKS.md", "BENCHMARKS-tasks.md"] {
            let measured = read(file);
            let (_, quoted) = readme.split_once(&format!("[{file}]({file})")).unwrap();
            let rows =
                quoted.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
            let rows: Vec<&str> = rows.collect();
            assert!(rows.len() > 2, "no rows of {file} are quoted");
            for row in rows {
                assert!(measured.lines().any(|line| line == row), "not in {file}: {row}");
            }
        }
    }
}
