//! Training: corpus → vocabulary → batches → loss → update → checkpoint. The same code runs natively and in the page.
//!
//! A [`Recipe`] decides everything; a [`Setup`] is what becomes of it once the vocabulary is there; a [`Trainer`] takes
//! the steps. models/train.py is its twin in PyTorch.

mod batches;
mod checkpoint;
mod clean;
pub mod corpus;
pub mod data;
mod decode;
mod export;
mod held_out;
mod optimizer;
pub mod plan;
pub mod random;
pub mod recipe;
pub mod replay;
mod schedule;
mod setup;
mod split;
pub mod table;
mod template;
mod trainer;
pub mod vocabulary;
mod words;

pub use clean::{Removed, What};
pub use corpus::{CleanReport, Corpus, SourceFile};
pub use data::Data;
pub use held_out::Measured;
pub use plan::Plan;
pub use random::Random;
pub use recipe::Recipe;
pub use replay::Replay;
pub use setup::Setup;
pub use trainer::{Curve, Evaluation, Finished, Step, Trainer};
pub use vocabulary::{Vocabulary, VocabularyReport};
