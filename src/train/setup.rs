//! What a run is made of once the vocabulary is there: the recipe, the complete configuration, the tokenizer.

use super::recipe::{END_OF_TEXT, Recipe};
use crate::convert::Source;
use crate::error::Result;
use crate::text::Tokenizer;
use serde_json::{Map, Value, json};

/// The files beside the weights that a run does not change.
#[derive(Clone)]
pub struct Setup {
    pub recipe: Recipe,
    /// config.json, complete.
    pub config: Map<String, Value>,
    /// tokenizer.json.
    pub tokenizer: String,
    /// The tokens that a text begins and ends with, where the tokenizer has them.
    pub bos_token_id: Option<u32>,
    pub eos_token_id: Option<u32>,
}

impl Setup {
    /// A new model by `recipe` over the vocabulary of a tokenizer.json that was trained for it.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`](crate::Error::BadTokenizer).
    pub fn new(recipe: Recipe, tokenizer: String) -> Result<Self> {
        let mut setup =
            Self { config: recipe.model.clone(), recipe, tokenizer, bos_token_id: None, eos_token_id: None };
        let text = setup.open_tokenizer()?;
        let end = text.encode(END_OF_TEXT, false)?;
        // One token, and a special one: else the text was merely spelled.
        let end = end.first().copied().filter(|&id| end.len() == 1 && text.is_special(id));
        (setup.bos_token_id, setup.eos_token_id) = (end, end);
        let vocab_size = text.largest_id().map_or(0, |id| u64::from(id) + 1);
        for (name, value) in
            [("vocab_size", json!(vocab_size)), ("bos_token_id", json!(end)), ("eos_token_id", json!(end))]
        {
            setup.config.insert(name.into(), value);
        }
        let model_type = setup.config.get("model_type").and_then(Value::as_str);
        let class = match model_type {
            Some("gpt2") => Some("GPT2LMHeadModel"),
            Some("llama") => Some("LlamaForCausalLM"),
            _ => None,
        };
        if let Some(class) = class {
            setup.config.insert("architectures".into(), json!([class]));
        }
        Ok(setup)
    }

    /// A run that trains on from a model: its configuration and its tokenizer take the place of the recipe's model and
    /// vocabulary.
    ///
    /// # Errors
    /// Those of reading them, and [`Error::Unsupported`](crate::Error::Unsupported) for what a Hugging Face folder, which
    /// the trained model becomes, cannot say of them.
    pub fn from_model(mut recipe: Recipe, model: &mut Source) -> Result<Self> {
        let (config, tokenizer) = model.hub_texts()?;
        recipe.model = config.clone();
        let id = |name: &str| {
            let value = config.get(name)?;
            // A model may have several ends.
            value.as_u64().or_else(|| value.as_array()?.first()?.as_u64()).and_then(|id| u32::try_from(id).ok())
        };
        let (bos_token_id, eos_token_id) = (id("bos_token_id").or(id("eos_token_id")), id("eos_token_id"));
        Ok(Self { recipe, bos_token_id, eos_token_id, config, tokenizer })
    }

    /// The tokens that a text begins and ends with.
    pub fn around(&self) -> (Option<u32>, Option<u32>) {
        (self.bos_token_id, self.eos_token_id)
    }

    /// The tokenizer, loaded.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`](crate::Error::BadTokenizer).
    pub fn open_tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::from_json(&self.tokenizer)
    }
}
