//! `cargo xtask bench`: how quick inkling is here, beside its peers, measured in one run and printed as one table and one
//! line of JSON. Goals are printed with their results; none is ever an assertion.
//!
//! * [`train`]: tokens per second of a training step
//!
//! What the benches stand on:
//!
//! * [`machine`]: what machine this is, and what else it is doing
//! * [`peers`]: what to compare with, found or fetched, and how a process is asked
//! * [`browser`]: one measurement in a fresh Chromium
//! * [`table`]: medians, spreads and columns
//!
//! The pages and scripts that drive the peers are in xtask/bench/.
mod browser;
mod machine;
mod peers;
mod table;
mod train;

use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Tokens per second of a training step: natively, in Chromium, and with nanogpt, jax-js and PyTorch
    Train(train::Args),
    /// One native measurement of `bench train`, which calls this in a process of its own: a task on the standard input
    #[command(hide = true)]
    TrainNative,
}

pub fn run(args: Args) -> Result<()> {
    match args.what {
        What::Train(args) => train::run(args),
        What::TrainNative => train::answer(),
    }
}
