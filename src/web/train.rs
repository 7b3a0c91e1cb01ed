//! Training, as the worker sees it: the stages in their order, each with what it found.

use super::loading::Loading;
use super::{thrown, to_js};
use crate::convert::Source;
use crate::error::Error;
use crate::train::corpus::{CleanReport, Corpus, SourceFile};
use crate::train::recipe::{CorpusOptions, TrainingOptions, VocabularyOptions};
use crate::train::replay::Replay;
use crate::train::table;
use crate::train::vocabulary::{Vocabulary, VocabularyReport};
use crate::train::{Data, Plan, Recipe, Setup, Trainer};
use js_sys::{Array, Reflect, Uint8Array};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wasm_bindgen::prelude::*;

/// What WebAssembly can address.
const ADDRESSABLE: u64 = 1 << 32;

/// What the first two stages found, kept with a checkpoint.
#[derive(Default, Serialize, Deserialize)]
struct Notes {
    clean: Option<CleanReport>,
    vocabulary: Option<VocabularyReport>,
}

/// A training run in a worker. Methods are called in the order of the stages; one that comes too early throws.
#[wasm_bindgen]
#[derive(Default)]
pub struct Training {
    recipe: Recipe,
    corpus: Option<Corpus>,
    vocabulary: Option<Vocabulary>,
    replay: Option<Replay>,
    trainer: Option<Trainer>,
    /// Memory in use before the first trainer over this text was made: what is beyond is free for the next one.
    occupied: Option<u64>,
    notes: Notes,
}

#[wasm_bindgen]
impl Training {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads and cleans `files`, an array of `{name, bytes, column}`; returns the report.
    pub fn clean(&mut self, files: Array, corpus: JsValue) -> Result<JsValue, JsValue> {
        let options: CorpusOptions = options("corpus", corpus)?;
        let mut sources = Vec::new();
        for file in files {
            let text = |key: &str| Reflect::get(&file, &key.into()).map(|value| value.as_string());
            let bytes: Uint8Array = Reflect::get(&file, &"bytes".into())?.dyn_into()?;
            let (name, column) = (text("name")?.unwrap_or_default(), text("column")?);
            sources.push(SourceFile { name, bytes: bytes.to_vec(), column });
        }
        let corpus = Corpus::read(sources, &options).map_err(thrown)?;
        let report = corpus.report.clone();
        *self = Self { corpus: Some(corpus), ..Self::default() };
        self.recipe.corpus = options;
        self.notes.clean = Some(report.clone());
        to_js(&report)
    }

    /// The columns of a table; none for other files.
    pub fn columns(&self, name: &str, bytes: &[u8]) -> Result<JsValue, JsValue> {
        to_js(&table::columns(name, bytes).map_err(thrown)?)
    }

    /// Learns a vocabulary from the cleaned text; returns the report.
    #[wasm_bindgen(js_name = trainVocabulary)]
    pub fn train_vocabulary(&mut self, vocabulary: JsValue) -> Result<JsValue, JsValue> {
        let options: VocabularyOptions = options("vocabulary", vocabulary)?;
        let corpus = self.corpus.as_ref().ok_or_else(|| early("clean"))?;
        let documents = corpus.documents.iter().map(String::as_str);
        let vocabulary = Vocabulary::train(documents, &options).map_err(thrown)?;
        let report = vocabulary.report().clone();
        (self.vocabulary, self.replay, self.trainer) = (Some(vocabulary), None, None);
        self.recipe.vocabulary = options;
        self.notes.vocabulary = Some(report.clone());
        to_js(&report)
    }

    /// The merges `from..to` in the order they were learned.
    pub fn merges(&mut self, from: usize, to: usize) -> Result<JsValue, JsValue> {
        let merges = self.replayed()?.merges(from, to);
        to_js(&merges)
    }

    /// `{tokens, pieces}`: the corpus in tokens and `text` in pieces, with only the first `merges` merges.
    pub fn replay(&mut self, merges: usize, text: &str) -> Result<JsValue, JsValue> {
        let replay = self.replayed()?;
        let tokens = replay.at(merges);
        let pieces = replay.pieces(merges, text).map_err(thrown)?;
        to_js(&json!({ "tokens": tokens, "pieces": pieces }))
    }

    /// What a model would take, without making it.
    pub fn plan(&self, model: JsValue, training: JsValue) -> Result<JsValue, JsValue> {
        let (setup, tokens) = self.set_up(model, training)?;
        to_js(&self.planned(&setup, tokens)?.1)
    }

    /// Makes the model, with its first values; returns the plan.
    pub fn build(&mut self, model: JsValue, training: JsValue) -> Result<JsValue, JsValue> {
        let (setup, tokens) = self.set_up(model, training)?;
        let (plan, mut report) = self.planned(&setup, tokens)?;
        plan.check_memory(self.available()).map_err(thrown)?;
        self.trainer = None;
        self.occupied.get_or_insert(in_use());
        let corpus = self.corpus.as_ref().ok_or_else(|| early("clean"))?;
        let vocabulary = self.vocabulary.as_ref().ok_or_else(|| early("trainVocabulary"))?;
        let encode = |text: &str| vocabulary.encode(text);
        let data = Data::new(encode, setup.around(), &corpus.documents, &corpus.held_out).map_err(thrown)?;
        self.recipe = setup.recipe.clone();
        let trainer = self.trainer.insert(Trainer::new(setup, data).map_err(thrown)?);
        report["measured"] = json!(trainer.measured());
        to_js(&report)
    }

    /// Trains on from the model whose files have arrived: a Hugging Face folder or one GGUF file.
    #[wasm_bindgen(js_name = buildFrom)]
    pub fn build_from(&mut self, loading: Loading, training: JsValue) -> Result<JsValue, JsValue> {
        let mut model = Source::open(loading.files().map_err(thrown)?).map_err(thrown)?;
        let recipe = Recipe { training: options("training", training)?, ..self.recipe.clone() };
        let corpus = self.corpus.as_ref().ok_or_else(|| early("clean"))?;
        let setup = Setup::from_model(recipe, &mut model).map_err(thrown)?;
        let tokenizer = setup.open_tokenizer().map_err(thrown)?;
        let encode = |text: &str| tokenizer.encode_plain(text);
        let data = Data::new(encode, setup.around(), &corpus.documents, &corpus.held_out).map_err(thrown)?;
        let (plan, mut report) = self.planned(&setup, data.tokens.len())?;
        plan.check_memory(self.available()).map_err(thrown)?;
        self.trainer = None;
        self.occupied.get_or_insert(in_use());
        self.recipe = setup.recipe.clone();
        self.notes.vocabulary = None;
        let trainer = self.trainer.insert(Trainer::from_model(setup, data, model).map_err(thrown)?);
        report["measured"] = json!(trainer.measured());
        to_js(&report)
    }

    /// Takes one step.
    pub fn step(&mut self) -> Result<JsValue, JsValue> {
        let trainer = self.running()?;
        let step = trainer.step().map_err(thrown)?;
        let tokens = trainer.tokens_per_step();
        let epoch = step.step as f64 * tokens as f64 / trainer.tokens_per_epoch().max(1) as f64;
        let mut report = json!(step);
        report["maxSteps"] = json!(trainer.setup().recipe.training.max_steps);
        report["tokens"] = json!(tokens);
        report["epoch"] = json!(epoch);
        report["evaluationDue"] = json!(trainer.evaluation_due());
        report["finished"] = json!(trainer.finished());
        to_js(&report)
    }

    /// Measures the model on the held-out text.
    pub fn evaluate(&mut self) -> Result<JsValue, JsValue> {
        to_js(&self.running()?.evaluate().map_err(thrown)?)
    }

    /// A continuation of `prompt` by the model as it is now, without the prompt.
    pub fn sample(&mut self, prompt: &str, max_new_tokens: usize, seed: u32) -> Result<String, JsValue> {
        self.running()?.sample(prompt, max_new_tokens, u64::from(seed)).map_err(thrown)
    }

    /// Everything needed to go on.
    pub fn checkpoint(&self) -> Result<Vec<u8>, JsValue> {
        let trainer = self.trainer.as_ref().ok_or_else(|| early("build"))?;
        trainer.checkpoint(json!(self.notes)).map_err(thrown)
    }

    /// The run that [`Self::checkpoint`] saved.
    pub fn resume(bytes: &[u8]) -> Result<Training, JsValue> {
        let (trainer, notes) = Trainer::resume(bytes).map_err(thrown)?;
        let notes = serde_json::from_value(notes).unwrap_or_default();
        Ok(Self { recipe: trainer.setup().recipe.clone(), trainer: Some(trainer), notes, ..Self::default() })
    }

    /// What the run is and how far it has come.
    pub fn state(&self) -> Result<JsValue, JsValue> {
        let mut plan = Value::Null;
        if let Some(trainer) = &self.trainer {
            plan = self.planned(trainer.setup(), trainer.tokens_per_epoch())?.1;
            plan["measured"] = json!(trainer.measured());
        }
        to_js(&json!({
            "recipe": self.recipe,
            "clean": self.notes.clean,
            "vocabulary": self.notes.vocabulary,
            "plan": plan,
            "step": self.trainer.as_ref().map_or(0, Trainer::steps_taken),
            "curve": self.trainer.as_ref().map(|trainer| trainer.curve().clone()).unwrap_or_default(),
        }))
    }

    /// The files of the model as an array of `{name, bytes}`.
    #[wasm_bindgen(js_name = exportFolder)]
    pub fn export_folder(&self) -> Result<Array, JsValue> {
        let trainer = self.trainer.as_ref().ok_or_else(|| early("build"))?;
        let out = Array::new();
        for file in trainer.export().map_err(thrown)? {
            let entry = js_sys::Object::new();
            Reflect::set(&entry, &"name".into(), &file.name.into())?;
            Reflect::set(&entry, &"bytes".into(), &Uint8Array::from(file.bytes.as_slice()))?;
            out.push(&entry);
        }
        Ok(out)
    }
}

impl Training {
    fn running(&mut self) -> Result<&mut Trainer, JsValue> {
        self.trainer.as_mut().ok_or_else(|| early("build"))
    }

    fn replayed(&mut self) -> Result<&mut Replay, JsValue> {
        if self.replay.is_none() {
            let replay = match (&self.vocabulary, &self.trainer) {
                (Some(vocabulary), _) => Replay::new(vocabulary),
                // A run that was resumed; one on top of a model has learned no vocabulary.
                (None, Some(trainer)) if self.notes.vocabulary.is_some() => Replay::of_run(trainer),
                _ => return Err(early("trainVocabulary")),
            };
            self.replay = Some(replay.map_err(thrown)?);
        }
        self.replay.as_mut().ok_or_else(|| early("trainVocabulary"))
    }

    /// The setup of a new model, and the tokens there are to train on.
    fn set_up(&self, model: JsValue, training: JsValue) -> Result<(Setup, usize), JsValue> {
        let corpus = self.corpus.as_ref().ok_or_else(|| early("clean"))?;
        let vocabulary = self.vocabulary.as_ref().ok_or_else(|| early("trainVocabulary"))?;
        let (model, training): (Map<String, Value>, TrainingOptions) =
            (options("model", model)?, options("training", training)?);
        let recipe = Recipe { model, training, ..self.recipe.clone() };
        let setup = Setup::new(recipe, vocabulary.tokenizer_json().to_string()).map_err(thrown)?;
        // Each document begins with a token of its own.
        Ok((setup, vocabulary.report().tokens + corpus.documents.len()))
    }

    /// The plan, and its report with what this browser has.
    fn planned(&self, setup: &Setup, tokens: usize) -> Result<(Plan, Value), JsValue> {
        let plan = Plan::new(&setup.config, &setup.recipe.training, tokens).map_err(thrown)?;
        let mut report = json!(plan);
        report["availableBytes"] = json!(self.available());
        report["secondsPerStep"] = Value::Null;
        report["measured"] = Value::Null;
        let short = plan.tokens < plan.tokens_per_step;
        report["warnings"] = if short { json!(["text_shorter_than_step"]) } else { json!([]) };
        Ok((plan, report))
    }

    /// Bytes of memory that a trainer can have.
    fn available(&self) -> u64 {
        ADDRESSABLE - self.occupied.unwrap_or_else(in_use)
    }
}

/// Bytes of memory that are in use, or once were: WebAssembly's memory never shrinks.
fn in_use() -> u64 {
    (core::arch::wasm32::memory_size(0) as u64) * 65536
}

/// Settings from JavaScript.
fn options<T: DeserializeOwned>(name: &str, value: JsValue) -> Result<T, JsValue> {
    serde_wasm_bindgen::from_value(value).map_err(|error| {
        let expected = "an object of settings".into();
        thrown(Error::BadParameter { name: name.into(), expected, found: error.to_string() })
    })
}

/// A stage was asked for before the one it rests on.
fn early(stage: &str) -> JsValue {
    let (name, expected) = ("training".into(), format!("a call of {stage} before"));
    thrown(Error::BadParameter { name, expected, found: "none".into() })
}
