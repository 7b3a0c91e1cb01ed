//! A recipe: everything that decides what a training run makes of a text. The files `models/*/recipe.toml` and the page's
//! Train view hold the same fields.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What separates documents in the project's own corpora, and the token that ends a text.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// The five steps' settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    pub corpus: CorpusOptions,
    pub vocabulary: VocabularyOptions,
    /// The fields of the model's config.json, by their Hugging Face names. The trainer adds the size of the vocabulary
    /// and the ids of the special tokens.
    pub model: Map<String, Value>,
    pub training: TrainingOptions,
}

/// Unicode normalisation (UAX #15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unicode {
    None,
    #[default]
    Nfc,
    Nfkc,
}

/// What becomes of white space. Line ends are always made `\n`, and white space around a document is always dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whitespace {
    #[default]
    Keep,
    /// A run of spaces and tabs becomes one space, spaces at the end of a line go, and so does more than one empty line.
    Collapse,
}

/// What becomes of characters outside the corpus's alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rare {
    #[default]
    Drop,
    /// The whole document goes: for verse, say, where every character counts.
    DropDocument,
}

/// What is held out, or trained on, as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOutBy {
    #[default]
    Document,
    /// Documents with the same first line: for translations, say, where a sentence that was seen with one of its
    /// translations is no new sentence with another.
    FirstLine,
}

/// Step one: from files to clean documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusOptions {
    /// What stands between two documents: `<|endoftext|>`, an empty line (`\n\n`), a line end. Empty: a file is a document.
    pub separator: String,
    /// For documents that are rows of fields with tabs between them: the text with `{1}`, `{2}`… in the fields' places.
    /// Empty: documents are taken as they are.
    pub template: String,
    pub unicode: Unicode,
    pub lowercase: bool,
    pub whitespace: Whitespace,
    /// Lines left out at the beginning of each document: a title, an author.
    pub skip_lines: usize,
    /// Characters seen less often in the whole corpus are not of its alphabet and are dropped. 0 and 1 keep all.
    pub min_character_count: usize,
    pub rare: Rare,
    /// Share of the documents that is never trained on, 0 to 0.5.
    pub held_out: f64,
    pub held_out_by: HeldOutBy,
    pub seed: u64,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self {
            separator: END_OF_TEXT.into(),
            template: String::new(),
            unicode: Unicode::Nfc,
            lowercase: false,
            whitespace: Whitespace::Keep,
            skip_lines: 0,
            min_character_count: 0,
            rare: Rare::Drop,
            held_out: 0.1,
            held_out_by: HeldOutBy::Document,
            seed: 1,
        }
    }
}

/// How text is cut into tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VocabularyKind {
    /// Every character of the corpus is a token.
    Characters,
    /// Byte-pair encoding over bytes (GPT-2): any text can be written.
    #[default]
    ByteLevelBpe,
    /// Byte-pair encoding over characters (Sennrich et al. 2016): other characters are unknown.
    Bpe,
}

/// Step two: the vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VocabularyOptions {
    pub kind: VocabularyKind,
    /// The most tokens, special ones included.
    pub size: usize,
}

impl Default for VocabularyOptions {
    fn default() -> Self {
        Self { kind: VocabularyKind::default(), size: 512 }
    }
}

/// The optimizer's rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optim {
    /// AdamW (Loshchilov and Hutter 2019) for everything.
    #[default]
    AdamW,
    /// Muon (Jordan et al. 2024) for the matrices of the layers, AdamW for the rest.
    Muon,
}

/// How the learning rate goes after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to the least rate at the last step.
    #[default]
    Cosine,
    /// Level, then down in a line during the last `decay_steps`.
    WarmupStableDecay,
}

/// Step four: training. Names and meanings are those of `TrainingArguments` in transformers where it has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingOptions {
    pub optim: Optim,
    pub learning_rate: f64,
    pub min_learning_rate: f64,
    pub lr_scheduler_type: Schedule,
    pub warmup_steps: usize,
    /// Of `warmup_stable_decay`.
    pub decay_steps: usize,
    pub max_steps: usize,
    /// Rows in one forward pass.
    pub batch_size: usize,
    /// Forward passes whose gradients make one step.
    pub gradient_accumulation_steps: usize,
    /// Tokens in a row.
    pub sequence_length: usize,
    pub weight_decay: f64,
    pub adam_beta1: f64,
    pub adam_beta2: f64,
    pub adam_epsilon: f64,
    pub muon_momentum: f64,
    /// Gradients whose norm over all weights is larger are scaled down to it; 0 leaves them.
    pub max_grad_norm: f64,
    /// Steps from one measurement on the held-out text to the next.
    pub eval_steps: usize,
    /// Stop after this many measurements without a better one; 0 never does.
    pub early_stopping_patience: usize,
    /// The text that samples continue.
    pub sample_prompt: String,
    pub seed: u64,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            optim: Optim::AdamW,
            learning_rate: 3e-3,
            min_learning_rate: 0.0,
            lr_scheduler_type: Schedule::Cosine,
            warmup_steps: 20,
            decay_steps: 0,
            max_steps: 500,
            batch_size: 8,
            gradient_accumulation_steps: 1,
            sequence_length: 64,
            weight_decay: 0.1,
            adam_beta1: 0.9,
            adam_beta2: 0.95,
            adam_epsilon: 1e-8,
            muon_momentum: 0.95,
            max_grad_norm: 1.0,
            eval_steps: 50,
            early_stopping_patience: 0,
            sample_prompt: String::new(),
            seed: 1,
        }
    }
}
