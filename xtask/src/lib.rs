//! The project's commands. Each command is one file with its arguments and a `run`:
//!
//! * [`build`]: dist/, the folder for any static host; [`assemble`] is the half of it that Trunk calls back for
//! * [`serve`]: build, then serve dist/
//! * [`test`]: every check and test there is
//! * [`train`]: from a recipe and a text to a model
//! * [`vendor`]: a model of a hub into dist/
//! * [`bench`]: how quick it is, beside its peers
//! * [`model`]: the model from the command line, a file for each command
//!
//! What they stand on:
//!
//! * [`tools`]: the programs a bare machine lacks, found or fetched
//! * [`npm`]: packages for a browser, to measure beside or to check with
//! * [`engine`]: the list of wasm artifacts, and how one is built
//! * `archive`, `compress`, `precache`: the site as one file, packed for hosts, and listed for its service worker
//! * [`server`]: the static file server, also used by the tests of the page
//! * [`stand_in`]: a hub for tests and benches, which can be told to misbehave
//! * [`browser`]: Chromium and its driver, and the flags they run with
//! * `foreign`: checkpoints of other frameworks, as folders that the engine reads
//! * `folder`: all that a folder holds, and copies of it
//! * [`process`]: running other programs
pub mod archive;
pub mod assemble;
pub mod bench;
pub mod browser;
pub mod build;
mod compress;
pub mod engine;
mod folder;
mod foreign;
pub mod model;
pub mod npm;
pub mod precache;
pub mod process;
pub mod screenshots;
pub mod serve;
pub mod server;
pub mod stand_in;
pub mod test;
pub mod tools;
pub mod train;
pub mod vendor;
