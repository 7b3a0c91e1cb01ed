//! Text to token ids and back: tokenizers from `tokenizer.json`, from `vocab.json` and `merges.txt`, from `vocab.txt`, from
//! sentencepiece's models, and from GGUF metadata, all behind one [`Tokenizer`].

mod bytes;
mod charsmap;
mod chat;
mod compare;
mod document;
mod explain;
mod gguf;
mod hub;
mod marian;
mod normalize;
mod pair;
mod pipeline;
mod sentencepiece;
mod split;
mod spm;
mod stream;
mod to_gguf;
mod to_hub;
mod vocabulary;

use crate::abilities::Languages;
use crate::files::Files;
use crate::weights::Metadata;
use crate::{Error, Result};
use marian::Marian;
use pair::PairSlot;
use pipeline::Pipeline;
use sentencepiece::Sentencepiece;
use std::sync::Arc;
use stream::{Decoder, Stage};

pub(crate) use bytes::letter_of;
pub use chat::ChatTemplate;
pub use explain::{Explained, Merge};
pub use pair::{Joined, WordPiece};
pub(crate) use split::{GPT2, Words};
pub use stream::StreamDecoder;
pub use to_gguf::{GgufVocabulary, to_gguf};
pub use to_hub::{HubVocabulary, copy, to_hub};

/// A token and the bytes of the text it stands for. A token that is not in the text (a beginning-of-text token) has
/// an empty range; tokens that share one character each have the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub id: u32,
    pub start: usize,
    pub end: usize,
}

/// Converts between text and token ids. Cheap to clone.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

struct Inner {
    model: Model,
    /// What is put around a text.
    template: Vec<Slot>,
    /// What is put around and between two texts; empty where the tokenizer does not say.
    pair: Vec<PairSlot>,
    /// Whether the places of tokens leave out the spaces at their ends, where words are asked for.
    trims: bool,
    /// The special tokens that have a part to play, by transformers' names.
    named: Vec<(&'static str, u32)>,
    /// How tokens become text again.
    decoder: Vec<Stage>,
    bos: Option<u32>,
    eos: Option<u32>,
}

/// The kinds of vocabulary: one run by the `tokenizers` crate, the sentencepiece kind of GGUF files, and Marian's two files.
enum Model {
    Pipeline(Box<Pipeline>),
    Sentencepiece(Sentencepiece),
    Marian(Box<Marian>),
}

/// A place in the sequence of tokens made from a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Text,
    Token(u32),
}

impl Tokenizer {
    /// From `tokenizer.json`, else from `vocab.json` and `merges.txt` or `vocab.txt`, with `tokenizer_config.json` and its
    /// kin.
    pub fn from_files(files: &mut Files) -> Result<Self> {
        hub::load(files)
    }

    /// From the contents of a `tokenizer.json` alone.
    pub fn from_json(tokenizer_json: &str) -> Result<Self> {
        let mut files = Files::new();
        files.insert("tokenizer.json", Box::new(std::io::Cursor::new(tokenizer_json.as_bytes().to_vec())));
        hub::load(&mut files)
    }

    /// From the `tokenizer.ggml.*` metadata of a GGUF file.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        gguf::load(metadata)
    }

    fn new(model: Model, template: Vec<Slot>, decoder: Vec<Stage>, bos: Option<u32>, eos: Option<u32>) -> Self {
        let (pair, trims, named) = (Vec::new(), false, Vec::new());
        Self { inner: Arc::new(Inner { model, template, pair, trims, named, decoder, bos, eos }) }
    }

    /// The same tokenizer, which also puts two texts together.
    fn pairing(mut self, pair: Vec<PairSlot>, trims: bool) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            (inner.pair, inner.trims) = (pair, trims);
        }
        self
    }

    /// The same tokenizer, which also knows these special tokens by name.
    fn naming(mut self, named: Vec<(&'static str, u32)>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.named = named;
        }
        self
    }

    /// The ids of `text`. Special tokens written out in the text become those tokens; `add_special_tokens` puts the
    /// model's own (a beginning-of-text token, say) around it.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let ids = match &self.inner.model {
            Model::Pipeline(p) => p.encode(text, false)?,
            Model::Sentencepiece(s) => ids(s.encode(text, false)),
            Model::Marian(m) => ids(m.encode(text, false)),
        };
        Ok(if add_special_tokens { self.surround(&ids) } else { ids })
    }

    /// The ids of a text with the special tokens around it.
    pub fn surround(&self, ids: &[u32]) -> Vec<u32> {
        self.inner.template.iter().fold(Vec::with_capacity(ids.len() + 2), |mut all, slot| {
            match slot {
                Slot::Text => all.extend_from_slice(ids),
                Slot::Token(id) => all.push(*id),
            }
            all
        })
    }

    /// The ids of a text that is to be continued: as [`encode`](Self::encode) with special tokens, but without those that
    /// are put after a text, which would say that it has ended.
    pub fn encode_beginning(&self, text: &str) -> Result<Vec<u32>> {
        let before = self.inner.template.iter().map_while(|slot| match slot {
            Slot::Token(id) => Some(*id),
            Slot::Text => None,
        });
        let mut ids: Vec<u32> = before.collect();
        ids.extend(self.encode(text, false)?);
        Ok(ids)
    }

    /// The ids of a text as an encoder-decoder is to write it, with special tokens.
    pub fn encode_target(&self, text: &str) -> Result<Vec<u32>> {
        let Model::Marian(m) = &self.inner.model else { return self.encode(text, true) };
        Ok(ids(m.encode_target(text)).into_iter().chain(self.inner.eos).collect())
    }

    /// What a token of a source is called where it is shown: the vocabulary of a source may be one of its own.
    pub fn source_text(&self, id: u32) -> String {
        match &self.inner.model {
            Model::Marian(m) => m.source_text(id),
            _ if self.is_special(id) => self.token(id).unwrap_or_default(),
            _ => self.decode(&[id], false).unwrap_or_default(),
        }
    }

    /// The ids of `text` with nothing in it taken for a special token, and none added.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        match &self.inner.model {
            Model::Pipeline(p) => p.encode(text, true),
            Model::Sentencepiece(s) => Ok(ids(s.encode(text, true))),
            Model::Marian(m) => Ok(ids(m.encode(text, true))),
        }
    }

    /// As [`encode`](Self::encode) without adding special tokens, and where in the text each token lies.
    pub fn pieces(&self, text: &str) -> Result<Vec<Piece>> {
        match &self.inner.model {
            Model::Pipeline(p) => p.encode_with_offsets(text),
            Model::Sentencepiece(s) => Ok(s.encode(text, false)),
            Model::Marian(m) => Ok(m.encode(text, false)),
        }
    }

    /// As [`encode`](Self::encode) with special tokens, and where in the text each token lies.
    pub fn encode_with_offsets(&self, text: &str) -> Result<Vec<Piece>> {
        let pieces = self.pieces(text)?;
        let mut at = 0;
        let mut all = Vec::with_capacity(pieces.len() + 2);
        for slot in &self.inner.template {
            match slot {
                Slot::Text => {
                    all.extend_from_slice(&pieces);
                    at = text.len();
                }
                Slot::Token(id) => all.push(Piece { id: *id, start: at, end: at }),
            }
        }
        Ok(all)
    }

    /// The text of `ids`. Ids that name no token are passed over, as transformers does.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let mut decoder = self.decoder();
        let mut text = String::new();
        for &id in ids {
            if let Some(token) = self.token_to_decode(id, skip_special_tokens) {
                text.push_str(&decoder.push(token));
            }
        }
        text.push_str(&decoder.finish());
        Ok(text)
    }

    /// Decodes ids as they come, without special tokens.
    pub fn stream(&self) -> StreamDecoder {
        StreamDecoder::new(self.clone(), &[], true)
    }

    /// As [`stream`](Self::stream), for ids that continue `prompt`.
    pub fn stream_after(&self, prompt: &[u32]) -> StreamDecoder {
        StreamDecoder::new(self.clone(), prompt, true)
    }

    /// The kind of its vocabulary, by the names of tokenizer.json: BPE, Unigram, WordPiece or WordLevel.
    pub fn kind(&self) -> &'static str {
        match &self.inner.model {
            Model::Pipeline(p) => p.kind(),
            // The sentencepiece vocabularies of GGUF files merge pairs by score.
            Model::Sentencepiece(_) => "BPE",
            Model::Marian(_) => "Unigram",
        }
    }

    /// How many tokens there are.
    pub fn vocab_size(&self) -> usize {
        match &self.inner.model {
            Model::Pipeline(p) => p.vocab_size(),
            Model::Sentencepiece(s) => s.vocab_size(),
            Model::Marian(m) => m.vocab_size(),
        }
    }

    /// The largest id there is: what the model's embedding must reach.
    pub fn largest_id(&self) -> Option<u32> {
        match &self.inner.model {
            Model::Pipeline(p) => p.largest_id(),
            Model::Sentencepiece(s) => s.vocab_size().checked_sub(1).map(|id| id as u32),
            Model::Marian(m) => m.largest_id(),
        }
    }

    /// The token of that id as it stands in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        match &self.inner.model {
            Model::Pipeline(p) => p.token(id),
            Model::Sentencepiece(s) => s.token(id).map(str::to_string),
            Model::Marian(m) => m.token(id).map(str::to_string),
        }
    }

    /// What a token is called where it is shown: its text, or its name if it is a special one.
    pub fn shown(&self, id: u32) -> String {
        let text = if self.is_special(id) { self.token(id) } else { self.decode(&[id], false).ok() };
        text.unwrap_or_default()
    }

    /// The bytes the token stands for wherever in a text it is; a special token's are those of its name.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        let Some(token) = self.token(id) else { return Vec::new() };
        if self.is_special(id) { token.into_bytes() } else { stream::bytes_of(&self.inner.decoder, &token) }
    }

    /// The token that begins a text.
    pub fn bos_token_id(&self) -> Option<u32> {
        self.inner.bos
    }

    /// The token that ends a text.
    pub fn eos_token_id(&self) -> Option<u32> {
        self.inner.eos
    }

    /// The special token that stands for a hidden one, where the tokenizer has such.
    pub fn mask_token_id(&self) -> Option<u32> {
        self.special("mask_token")
    }

    /// The special token before a text, where the tokenizer has such.
    pub fn cls_token_id(&self) -> Option<u32> {
        self.special("cls_token")
    }

    /// The special token that fills what is too short, where the tokenizer has such.
    pub fn pad_token_id(&self) -> Option<u32> {
        self.special("pad_token")
    }

    fn special(&self, name: &str) -> Option<u32> {
        self.inner.named.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
    }

    /// The id of a token of the vocabulary.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        match &self.inner.model {
            Model::Pipeline(p) => p.token_to_id(token),
            Model::Sentencepiece(s) => s.token_to_id(token),
            Model::Marian(m) => m.token_to_id(token),
        }
    }

    /// Whether decoding leaves that token out when it skips special tokens.
    pub fn is_special(&self, id: u32) -> bool {
        match &self.inner.model {
            Model::Pipeline(p) => p.is_special(id),
            Model::Sentencepiece(s) => s.is_special(id),
            Model::Marian(m) => m.is_special(id),
        }
    }

    /// Whether a token of `text` stands there for characters the vocabulary does not have. The unknown token's own name
    /// written out in the text is that token, and known.
    pub fn is_unknown(&self, piece: Piece, text: &str) -> bool {
        let unknown = match &self.inner.model {
            Model::Pipeline(p) => p.unknown(),
            Model::Sentencepiece(s) => s.unknown(),
            Model::Marian(m) => m.unknown(),
        };
        unknown == Some(piece.id) && text.get(piece.start..piece.end) != self.token(piece.id).as_deref()
    }

    /// The added tokens, as tokenizer.json lists them.
    fn added_tokens(&self) -> Result<serde_json::Value> {
        match &self.inner.model {
            Model::Pipeline(p) => p.added_tokens(),
            Model::Sentencepiece(_) | Model::Marian(_) => Ok(serde_json::Value::Null),
        }
    }

    /// The languages that a tokenizer for translation names.
    pub(crate) fn languages(&self) -> Languages {
        if let Model::Marian(m) = &self.inner.model { m.languages() } else { Languages::default() }
    }

    fn decoder(&self) -> Decoder {
        Decoder::new(&self.inner.decoder)
    }

    /// The token as the decoder wants it; none if there is no such token, or it is to be skipped.
    fn token_to_decode(&self, id: u32, skip_special_tokens: bool) -> Option<String> {
        if skip_special_tokens && self.is_special(id) { None } else { self.token(id) }
    }
}

/// The tokenizer among a folder's files as the text of a `tokenizer.json`, also where it is GPT-2's two files.
///
/// # Errors
/// Those of reading it, and [`Error::Unsupported`] where it would cut text differently.
pub fn tokenizer_json(files: &mut Files) -> Result<String> {
    hub::tokenizer_json(files)
}

fn ids(pieces: Vec<Piece>) -> Vec<u32> {
    pieces.into_iter().map(|piece| piece.id).collect()
}

/// A fault of the tokenizer's files.
fn bad(expected: &str, found: &str) -> Error {
    const LONGEST: usize = 300;
    let found = match found.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", found.get(..end).unwrap_or_default()),
        None => found.to_string(),
    };
    Error::BadTokenizer { expected: expected.to_string(), found }
}

fn unsupported(what: &str, expected: &str, found: &str) -> Error {
    Error::Unsupported { what: what.to_string(), expected: expected.to_string(), found: found.to_string() }
}
