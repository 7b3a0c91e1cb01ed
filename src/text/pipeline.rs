//! The tokenizer that the `tokenizers` crate runs: added tokens, normalizer, pre-tokenizer, model.

use super::document::{self, MergeList};
use super::explain::Ranks;
use super::normalize::{Checked, Normalizer};
use super::split::PreTokenizer;
use super::vocabulary::Core;
use super::{Piece, WordPiece, bad};
use crate::Result;
use tokenizers::{AddedToken, AddedVocabulary, Encoding, Model as _, ModelWrapper, OffsetType, PreTokenizedString};

/// All the steps from text to ids.
pub(super) struct Pipeline {
    normalizer: Option<Checked>,
    pre_tokenizer: Option<PreTokenizer>,
    model: ModelWrapper,
    added: AddedVocabulary,
    /// As `added`, blind to special tokens.
    plain: AddedVocabulary,
    size: usize,
    /// Of the model's own vocabulary.
    largest_of_model: Option<u32>,
    largest_id: Option<u32>,
    /// Ids from here on are not those of tokens.
    limit: u32,
    /// What the model gives for characters it has no token for.
    unknown: Option<u32>,
}

impl Pipeline {
    pub(super) fn new(
        Core { model, largest_id }: Core,
        normalizer: Option<Normalizer>,
        pre_tokenizer: Option<PreTokenizer>,
        tokens: Vec<AddedToken>,
    ) -> Result<Self> {
        let added = AddedVocabulary::new();
        let normalizer = normalizer.map(Normalizer::checked);
        let mut pipeline = Self {
            normalizer,
            pre_tokenizer,
            model,
            plain: added.clone(),
            added,
            size: 0,
            largest_of_model: largest_id,
            largest_id,
            limit: u32::MAX,
            unknown: None,
        };
        pipeline.add_tokens(tokens)?;
        Ok(pipeline)
    }

    /// Leaves out the ids from `limit` on: symbols on the way to a token that are none themselves.
    pub(super) fn limited(mut self, limit: u32) -> Self {
        self.limit = limit;
        self.size = self.size.min(limit as usize);
        self.largest_id = limit.checked_sub(1);
        self
    }

    /// Says which token the model gives for characters it has none for.
    pub(super) fn unknown_as(mut self, id: Option<u32>) -> Self {
        self.unknown = id;
        self
    }

    /// Adds tokens; one that the vocabulary has keeps its id, others are numbered on.
    pub(super) fn add_tokens(&mut self, tokens: Vec<AddedToken>) -> Result<()> {
        let added = self.added.add_tokens(tokens, &self.model, self.normalizer.as_ref());
        added.map_err(|e| bad("usable added tokens", &e.to_string()))?;
        self.plain = self.added.clone();
        self.plain.set_encode_special_tokens(true);
        let known = |token: &String| self.model.token_to_id(token).is_some();
        let extra: Vec<u32> =
            self.added.get_vocab().iter().filter(|(token, _)| !known(token)).map(|(_, id)| *id).collect();
        self.size = self.model.get_vocab_size() + extra.len();
        self.largest_id = self.largest_of_model.into_iter().chain(extra).max();
        Ok(())
    }

    /// The added tokens, as tokenizer.json lists them.
    pub(super) fn added_tokens(&self) -> Result<serde_json::Value> {
        serde_json::to_value(&self.added).map_err(|e| bad("added tokens that can be written", &e.to_string()))
    }

    pub(super) fn encode(&self, text: &str, plain: bool) -> Result<Vec<u32>> {
        let encoding = self.run(text, plain, OffsetType::None)?;
        Ok(encoding.get_ids().iter().copied().filter(|id| *id < self.limit).collect())
    }

    pub(super) fn encode_with_offsets(&self, text: &str) -> Result<Vec<Piece>> {
        Ok(self.encode_words(text)?.into_iter().map(|word| word.piece).collect())
    }

    pub(super) fn encode_words(&self, text: &str) -> Result<Vec<WordPiece>> {
        let encoding = self.run(text, false, OffsetType::Byte)?;
        let tokens = encoding.get_ids().iter().zip(encoding.get_offsets()).zip(encoding.get_word_ids());
        let piece = |((&id, &(start, end)), &word): ((&u32, &(usize, usize)), &Option<u32>)| {
            // Models that add to a word (a prefix of its parts, say) count that in.
            let end = text.floor_char_boundary(end);
            WordPiece { piece: Piece { id, start: text.floor_char_boundary(start.min(end)), end }, word }
        };
        Ok(tokens.map(piece).filter(|word| word.piece.id < self.limit).collect())
    }

    fn run(&self, text: &str, plain: bool, offsets: OffsetType) -> Result<Encoding> {
        let added = if plain { &self.plain } else { &self.added };
        let steps = || -> tokenizers::Result<Encoding> {
            let mut parts: PreTokenizedString = added.extract_and_normalize(self.normalizer.as_ref(), text);
            if self.normalizer.as_ref().is_some_and(Checked::take_failure) {
                return Err("the normalizer gave up".into());
            }
            if let Some(pre_tokenizer) = &self.pre_tokenizer {
                pre_tokenizer.apply(&mut parts)?;
            }
            parts.tokenize(|part| self.model.tokenize(part.get()))?;
            parts.into_encoding(None, 0, offsets)
        };
        steps().map_err(|e| bad("a tokenizer that can encode the text", &e.to_string()))
    }

    pub(super) fn token_to_id(&self, token: &str) -> Option<u32> {
        self.added.token_to_id(token, &self.model)
    }

    pub(super) fn token(&self, id: u32) -> Option<String> {
        if id >= self.limit {
            return None;
        }
        self.added.simple_id_to_token(id).or_else(|| self.model.id_to_token(id))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.model {
            ModelWrapper::BPE(_) => "BPE",
            ModelWrapper::Unigram(_) => "Unigram",
            ModelWrapper::WordPiece(_) => "WordPiece",
            ModelWrapper::WordLevel(_) => "WordLevel",
        }
    }

    /// The merges of a byte-pair model with their ranks, which the crate tells by writing the model out.
    pub(super) fn ranks(&self) -> Option<Ranks> {
        let ModelWrapper::BPE(model) = &self.model else { return None };
        let written: document::Model = serde_json::from_str(&serde_json::to_string(model).ok()?).ok()?;
        let MergeList(merges) = written.merges?;
        Some(merges.into_iter().zip(0..).collect())
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    pub(super) fn is_special(&self, id: u32) -> bool {
        self.token(id).is_some_and(|token| self.added.is_special_token(&token))
    }

    /// Whether the token is looked for in a text before the vocabulary is applied.
    pub(super) fn is_added(&self, id: u32) -> bool {
        self.token(id).is_some_and(|token| self.added.get_vocab().contains_key(&token))
    }

    pub(super) fn vocab_size(&self) -> usize {
        self.size
    }

    pub(super) fn largest_id(&self) -> Option<u32> {
        self.largest_id
    }
}
