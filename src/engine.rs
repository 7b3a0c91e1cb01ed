//! A model opened from its files and ready to generate: decoder, tokenizer, its own defaults, and the cache of the text
//! it last read.

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::kernels::CacheType;
use crate::layers::KvCache;
use crate::model::{self, Decoder, EncoderSpec, Fields, Pass, Sequence, Spec};
use crate::sample::GenerationConfig;
use crate::text::{ChatTemplate, Tokenizer};
use crate::weights::Progress;
use candle_core::Tensor;
use serde_json::{Map, Value};

/// No configuration file is larger.
const SMALL_FILE: u64 = 1 << 20;

/// A loaded model.
pub struct Engine {
    pub(crate) decoder: Box<dyn Decoder>,
    pub(crate) tokenizer: Tokenizer,
    defaults: GenerationConfig,
    bos_token_id: Option<u32>,
    chat: Option<ChatTemplate>,
    name: Option<String>,
    sha256: Option<String>,
    /// Keys and values of `read`.
    pub(crate) cache: KvCache,
    /// The tokens the cache stands for.
    pub(crate) read: Vec<u32>,
    /// The source text, of an encoder-decoder, that it was written from.
    source: Vec<u32>,
    /// The longest text that keys in the cache were computed for; tokens may have been dropped since.
    pub(crate) longest: usize,
    /// The text whose next token was last looked at, and its logits.
    looked_at: Option<(Vec<u32>, Vec<f32>)>,
}

/// What the files say beside weights and tokenizer.
struct Origin {
    defaults: GenerationConfig,
    bos: Option<u32>,
    chat: Option<ChatTemplate>,
    name: Option<String>,
    sha256: Option<String>,
}

impl Engine {
    /// Opens a Hugging Face folder (config.json with safetensors) or a GGUF file.
    ///
    /// # Errors
    /// Any [`Error`] that says what is missing, damaged or not supported.
    pub fn open(files: Files) -> Result<Self> {
        Self::open_with_progress(files, Box::new(|_, _| {}))
    }

    /// [`Self::open`], reporting the bytes of weights read.
    pub fn open_with_progress(files: Files, progress: Progress) -> Result<Self> {
        Self::of_checkpoint(Checkpoint::open(files, progress)?)
    }

    /// The model of a checkpoint.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_checkpoint(checkpoint: Checkpoint) -> Result<Self> {
        let name = checkpoint.name()?;
        let Checkpoint { mut files, config, mut weights } = checkpoint;
        let Some(fields) = config else {
            let tokenizer = Tokenizer::from_gguf(weights.metadata())?;
            let chat = ChatTemplate::from_gguf(weights.metadata(), &tokenizer)?;
            let decoder = model::load(None, &mut weights)?;
            let mut defaults = GenerationConfig::default();
            defaults.eos_token_id.extend(tokenizer.eos_token_id());
            let sha256 = weights.sha256();
            return Self::assemble(decoder, tokenizer, Origin { defaults, bos: None, chat, name, sha256 });
        };
        let tokenizer = Tokenizer::from_files(&mut files)?;
        let chat = ChatTemplate::from_files(&mut files, &tokenizer)?;
        let mut defaults = GenerationConfig::default();
        let own = if files.contains("generation_config.json") {
            files.read_json("generation_config.json", SMALL_FILE)?
        } else {
            with_default_tokens(&fields)?
        };
        defaults.merge_model_defaults(&own)?;
        let bos = own.get("bos_token_id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        let decoder = model::load(Some(&fields), &mut weights)?;
        let sha256 = weights.sha256();
        Self::assemble(decoder, tokenizer, Origin { defaults, bos, chat, name, sha256 })
    }

    fn assemble(decoder: Box<dyn Decoder>, tokenizer: Tokenizer, origin: Origin) -> Result<Self> {
        let Origin { defaults, bos, chat, name, sha256 } = origin;
        let vocab_size = decoder.spec().vocab_size;
        if let Some(id) = tokenizer.largest_id().filter(|&id| id as usize >= vocab_size) {
            return Err(Error::BadTokenizer {
                expected: format!("token ids below the model's vocabulary of {vocab_size}"),
                found: format!("token id {id}"),
            });
        }
        let bos_token_id = bos.or(tokenizer.bos_token_id()).filter(|&id| (id as usize) < vocab_size);
        let cache = decoder.spec().cache(CacheType::default());
        let (read, source, longest, looked_at) = (Vec::new(), Vec::new(), 0, None);
        Ok(Self {
            decoder,
            tokenizer,
            defaults,
            bos_token_id,
            chat,
            name,
            sha256,
            cache,
            read,
            source,
            longest,
            looked_at,
        })
    }

    /// An engine over a decoder that is there already.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] when the tokenizer has more tokens than the model.
    pub(crate) fn of(
        decoder: Box<dyn Decoder>,
        tokenizer: Tokenizer,
        defaults: GenerationConfig,
        bos: Option<u32>,
    ) -> Result<Self> {
        Self::assemble(decoder, tokenizer, Origin { defaults, bos, chat: None, name: None, sha256: None })
    }

    /// Keeps keys and values so from now on; forgets what was read.
    pub fn set_cache_type(&mut self, kind: CacheType) {
        self.forget(0);
        self.looked_at = None;
        self.source.clear();
        self.cache = self.decoder.spec().cache(kind);
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        self.cache.kind()
    }

    /// The model's shape and size.
    pub fn spec(&self) -> &Spec {
        self.decoder.spec()
    }

    /// What is known of its encoder, where it is an encoder-decoder.
    pub fn encoder(&self) -> Option<&EncoderSpec> {
        self.decoder.encoder()
    }

    /// The name the file gives itself.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// SHA-256 in hexadecimal of the weights file, where there is one that [arrived](crate::weights::Arriving) and it is
    /// not large.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The token a text begins with, where the model has one.
    pub fn bos_token_id(&self) -> Option<u32> {
        self.bos_token_id
    }

    /// How a conversation becomes the text that the model reads, where its files say so.
    pub fn chat(&self) -> Option<&ChatTemplate> {
        self.chat.as_ref()
    }

    /// The parameters as the model's own files set them.
    pub fn defaults(&self) -> &GenerationConfig {
        &self.defaults
    }

    /// The ids of a prompt, without what the tokenizer puts after a text; an empty one begins with the model's first
    /// token, as transformers does. An encoder-decoder's prompt is its source text, which has its end.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`] when the model has no such token.
    pub fn encode_prompt(&self, prompt: &str) -> Result<Vec<u32>> {
        if self.encoder().is_some() {
            return self.tokenizer.encode(prompt, true);
        }
        let ids = self.tokenizer.encode_beginning(prompt)?;
        if ids.is_empty() { self.bos_token_id.map(|id| vec![id]).ok_or(Error::EmptyPrompt) } else { Ok(ids) }
    }

    /// The ids of a text that a chat template made: special tokens in it are those tokens, and none is added, for the
    /// template has written them all.
    ///
    /// # Errors
    /// Those of the tokenizer; [`Error::EmptyPrompt`] for a text without tokens.
    pub fn encode_chat(&self, text: &str) -> Result<Vec<u32>> {
        let ids = self.tokenizer.encode(text, false)?;
        if ids.is_empty() { Err(Error::EmptyPrompt) } else { Ok(ids) }
    }

    /// Drops from the cache what a text beginning with `ids` cannot use, and returns how many of its tokens are left.
    /// The last token is always read again, since its logits are wanted.
    pub(crate) fn reuse(&mut self, ids: &[u32]) -> usize {
        let shared = self.read.iter().zip(ids).take_while(|(a, b)| a == b).count();
        let fits = self.decoder.cache_fits(self.longest.max(ids.len()));
        let kept = if fits { shared.min(ids.len().saturating_sub(1)) } else { 0 };
        self.forget(kept);
        kept
    }

    /// Keeps only the first `len` tokens in the cache.
    pub(crate) fn forget(&mut self, len: usize) {
        self.cache.truncate(len);
        self.read.truncate(len);
        if len == 0 {
            self.longest = 0;
        }
    }

    /// Reads tokens on top of the cache and returns the hidden states `[n, hidden_size]`. `length` is that of the whole
    /// text when this is only a slice of it.
    pub(crate) fn read_tokens(&mut self, ids: &[u32], length: usize) -> Result<Tensor> {
        let held = self.read.len();
        let mut pass = Pass::new(vec![Sequence { ids, cache: &mut self.cache }], length);
        match self.decoder.forward(&mut pass) {
            Ok(hidden) => {
                self.read.extend_from_slice(ids);
                self.longest = self.longest.max(length).max(self.read.len());
                Ok(hidden)
            }
            Err(error) => {
                // Some layers may have taken the new positions, others not.
                self.forget(held);
                Err(error)
            }
        }
    }

    /// What the decoder of an encoder-decoder begins with.
    pub(crate) fn beginning(&self, config: &GenerationConfig) -> Vec<u32> {
        let own = self.encoder().map(|encoder| encoder.decoder_start_token_id);
        config.decoder_start_token_id.or(own).into_iter().collect()
    }

    /// The part of a prompt that a text continues: what a decoder of an encoder-decoder begins with is no text.
    pub(crate) fn continued<'a>(&self, prompt: &'a [u32]) -> &'a [u32] {
        if self.encoder().is_some() { &[] } else { prompt }
    }

    /// Whether the cache holds this source.
    pub(crate) fn has_read_source(&self, ids: &[u32]) -> bool {
        self.cache.crossed().is_some() && !ids.is_empty() && self.source == ids
    }

    /// Reads the source of the text that is about to be written, unless it is that of the last.
    pub(crate) fn read_source(&mut self, ids: &[u32]) -> Result<()> {
        if self.has_read_source(ids) {
            return Ok(());
        }
        self.forget(0);
        self.looked_at = None;
        self.source.clear();
        if let Some(crossed) = self.decoder.encode(ids, self.cache.kind(), None)? {
            self.cache.cross(crossed);
            self.source = ids.to_vec();
        }
        Ok(())
    }

    /// Refuses what only a decoder alone can do.
    pub(crate) fn only_decoder(&self, what: &str) -> Result<()> {
        if self.encoder().is_none() {
            return Ok(());
        }
        Err(Error::Unsupported {
            what: format!("{what} of an encoder-decoder"),
            expected: "a decoder-only model".into(),
            found: self.spec().architecture.into(),
        })
    }

    /// Logits after the last of these tokens, from a fresh context. Of an encoder-decoder they are the source, and the
    /// logits those of the first token that is written from it.
    pub fn logits(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        if self.encoder().is_some() {
            let beginning = self.beginning(&self.defaults);
            return Ok(self.target_logits(ids, &beginning)?.pop().unwrap_or_default());
        }
        let last = self.read_afresh(ids)?.narrow(0, ids.len() - 1, 1)?;
        Ok(self.decoder.logits(&last)?.flatten_all()?.to_vec1()?)
    }

    /// Logits after each of these tokens, from a fresh context: one row a token.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an encoder-decoder, beside those of reading.
    pub fn all_logits(&mut self, ids: &[u32]) -> Result<Vec<Vec<f32>>> {
        self.only_decoder("the probability of a text")?;
        let hidden = self.read_afresh(ids)?;
        Ok(self.decoder.logits(&hidden)?.to_vec2()?)
    }

    /// Logits of an encoder-decoder after each token of a text, which begins with `decoder_start_token_id`, that is written
    /// from a source: one row a token.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a decoder alone, beside those of reading.
    pub fn target_logits(&mut self, source: &[u32], target: &[u32]) -> Result<Vec<Vec<f32>>> {
        if self.encoder().is_none() {
            return Err(Error::Unsupported {
                what: "a source text".into(),
                expected: "an encoder-decoder".into(),
                found: self.spec().architecture.into(),
            });
        }
        self.read_source(source)?;
        let hidden = self.read_afresh(target)?;
        Ok(self.decoder.logits(&hidden)?.to_vec2()?)
    }

    /// Logits after the last of these tokens, of which the cache may hold the first; asked again, they are there already.
    pub(crate) fn next_logits(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        if let Some((_, logits)) = self.looked_at.as_ref().filter(|(of, _)| of == ids) {
            return Ok(logits.clone());
        }
        let kept = self.reuse(ids);
        let hidden = self.read_tokens(&ids[kept..], ids.len())?;
        let last = hidden.narrow(0, ids.len() - kept - 1, 1)?;
        let logits: Vec<f32> = self.decoder.logits(&last)?.flatten_all()?.to_vec1()?;
        self.looked_at = Some((ids.to_vec(), logits.clone()));
        Ok(logits)
    }

    /// Reads a text from a fresh context.
    pub(crate) fn read_afresh(&mut self, ids: &[u32]) -> Result<Tensor> {
        if ids.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        self.forget(0);
        self.read_tokens(ids, ids.len())
    }
}

/// A config.json that does not name its first and last token means those of its architecture.
fn with_default_tokens(fields: &Fields) -> Result<Map<String, Value>> {
    let mut config = fields.values().clone();
    let architecture = model::architecture(fields.str(&["model_type"])?.unwrap_or_default())?;
    for (name, id) in [("bos_token_id", architecture.bos_token_id), ("eos_token_id", architecture.eos_token_id)] {
        if let Some(id) = id {
            config.entry(name).or_insert(id.into());
        }
    }
    for &(name, id) in model::seq2seq::default_tokens(architecture.name) {
        config.entry(name).or_insert(id.into());
    }
    Ok(config)
}
