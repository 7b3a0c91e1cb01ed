//! The project's commands. Each command is one file with its arguments and a `run`:
//!
//! * [`build`]: dist/, the folder for any static host; [`assemble`] is the half of it that Trunk calls back for
//! * [`serve`]: build, then serve dist/
//! * [`test`]: every check and test there is
//! * [`train`]: from a recipe and a text to a model
//! * [`bench`]: how quick it is, beside its peers
//! * [`model`]: the model from the command line, a file for each command
//!
//! What they stand on:
//!
//! * [`tools`]: the programs a bare machine lacks, found or fetched
//! * [`engine`]: the list of wasm artifacts, and how one is built
//! * [`server`]: the static file server, also used by the tests of the page
//! * [`browser`]: Chromium and its driver, and the flags they run with
//! * [`process`]: running other programs
pub mod assemble;
pub mod bench;
pub mod browser;
pub mod build;
mod compress;
pub mod engine;
pub mod model;
pub mod process;
pub mod serve;
pub mod server;
pub mod test;
pub mod tools;
pub mod train;
