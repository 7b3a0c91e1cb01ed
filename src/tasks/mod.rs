//! What is done with models that read, with the names, parameters and results of transformers' pipelines. A task advances in
//! steps, so that whoever runs it can tell how far it is and stop it between two.

mod answer;
mod arguments;
mod embed;
mod fill_mask;

pub use answer::{Answer, AnswerOptions, Answering};
pub use arguments::Arguments;
pub use embed::{EmbedOptions, Embedding};
pub use fill_mask::{Fill, FillMask};

use crate::error::Result;
use crate::reader::Reader;
use serde_json::{Map, Value};

/// A task under way.
pub trait Task {
    /// Does one unit of work.
    ///
    /// # Errors
    /// Those of reading a text; the task is then over.
    fn step(&mut self, reader: &Reader) -> Result<Step>;
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Units of work, done and in all.
    Going {
        done: usize,
        total: usize,
    },
    Done(Outcome),
}

/// What comes of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// For each mask of the text its candidates, best first.
    Filled(Vec<Vec<Fill>>),
    /// Best first; `single`: only one was asked for.
    Answers { answers: Vec<Answer>, single: bool },
    /// A vector for each text.
    Embedded(Vec<Vec<f32>>),
}

/// Begins the task of that name (`fill-mask`, `question-answering`, `feature-extraction`) with the pipeline's arguments.
///
/// # Errors
/// [`Error::WrongTask`](crate::Error::WrongTask) for one that is none of the model's;
/// [`Error::BadParameter`](crate::Error::BadParameter) naming the argument.
pub fn begin(reader: &Reader, task: &str, arguments: &Map<String, Value>) -> Result<Box<dyn Task>> {
    let arguments = Arguments::new(arguments);
    match task {
        "fill-mask" => Ok(Box::new(FillMask::from_arguments(reader, &arguments)?)),
        "question-answering" => Ok(Box::new(Answering::from_arguments(reader, &arguments)?)),
        "feature-extraction" => Ok(Box::new(Embedding::from_arguments(reader, &arguments)?)),
        other => Err(reader.cannot(other)),
    }
}

/// Runs a task to its end.
///
/// # Errors
/// Those of its steps.
pub fn run(reader: &Reader, task: &mut dyn Task) -> Result<Outcome> {
    loop {
        if let Step::Done(outcome) = task.step(reader)? {
            return Ok(outcome);
        }
    }
}

impl Outcome {
    /// As the pipeline gives it. `unit` turns a byte offset of the context into one of the caller's units.
    pub fn json(&self, unit: &dyn Fn(usize) -> usize) -> Value {
        match self {
            Self::Filled(masks) => fill_mask::json(masks),
            Self::Answers { answers, single } => answer::json(answers, *single, unit),
            Self::Embedded(vectors) => vectors.iter().map(|vector| Value::from(vector.as_slice())).collect(),
        }
    }
}
