//! What stands on an encoder: the prediction of masked tokens, or of the two ends of an answer.

use crate::error::Result;
use crate::layers::{Activation, Linear, Norm};
use crate::model::Fields;
use candle_core::Tensor;

/// What a checkpoint was trained to predict from the last hidden states.
pub enum Head {
    /// Nothing: the hidden states are what is wanted (embedding models).
    None,
    /// The tokens behind masks.
    Masked(MaskedHead),
    /// Where an answer begins and ends.
    Answer { transform: Option<Transform>, outputs: Linear },
}

/// A layer between the hidden states and the predictions.
pub struct Transform {
    pub dense: Linear,
    pub activation: Activation,
    pub norm: Norm,
}

/// Masked language modelling (Devlin et al. 2019).
pub struct MaskedHead {
    pub transform: Transform,
    /// To the vocabulary.
    pub decoder: Linear,
}

/// Which head a config.json names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Masked,
    Answer,
    Other,
    /// It names none: the tensors decide.
    Nothing,
}

impl Named {
    /// By the endings of transformers' class names.
    ///
    /// # Errors
    /// [`crate::Error::BadConfig`] when `architectures` is no list of texts.
    pub fn of(config: &Fields) -> Self {
        let classes = config.values().get("architectures").and_then(serde_json::Value::as_array);
        let class = classes.and_then(|classes| classes.first()).and_then(serde_json::Value::as_str).unwrap_or_default();
        match class.split_once("For") {
            Some((_, "MaskedLM" | "PreTraining")) => Self::Masked,
            Some((_, "QuestionAnswering")) => Self::Answer,
            Some(_) => Self::Other,
            None => Self::Nothing,
        }
    }

    /// Whether the head is a masked one, where the file has the tensors of one or not.
    pub fn is_masked(self, in_file: bool) -> bool {
        self == Self::Masked || self == Self::Nothing && in_file
    }

    /// Whether the head is one for answers, where the file has the tensors of one or not.
    pub fn is_answer(self, in_file: bool) -> bool {
        self == Self::Answer || self == Self::Nothing && in_file
    }
}

impl Transform {
    /// `[n, hidden_size]` to the same shape.
    pub fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.activation.forward(self.dense.forward(hidden)?)?)
    }
}

impl MaskedHead {
    /// `[n, hidden_size]` to logits `[n, vocab_size]`.
    pub fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        self.decoder.forward(&self.transform.forward(hidden)?)
    }
}

impl Head {
    /// The logits of the two ends of an answer, `[n]` each, where the head is one for answers.
    pub fn ends(&self, hidden: &Tensor) -> Result<Option<[Vec<f32>; 2]>> {
        let Self::Answer { transform, outputs } = self else { return Ok(None) };
        let logits = match transform {
            Some(transform) => outputs.forward(&transform.forward(hidden)?)?,
            None => outputs.forward(hidden)?,
        };
        let column = |i: usize| -> Result<Vec<f32>> { Ok(logits.narrow(1, i, 1)?.flatten_all()?.to_vec1()?) };
        Ok(Some([column(0)?, column(1)?]))
    }

    /// The pipelines of transformers this head is for, the first the one it was trained for.
    pub fn tasks(&self) -> &'static [&'static str] {
        match self {
            Self::None => &["feature-extraction"],
            Self::Masked(_) => &["fill-mask", "feature-extraction"],
            Self::Answer { .. } => &["question-answering", "feature-extraction"],
        }
    }
}
