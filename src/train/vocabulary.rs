//! Step two: the vocabulary, learned from the training documents with the trainer of the `tokenizers` crate. The result
//! is an ordinary tokenizer.json.

use super::decode::hexadecimal;
use super::recipe::{END_OF_TEXT, VocabularyKind, VocabularyOptions};
use super::words::{Cutter, parts};
use crate::text::{GPT2, Tokenizer, letter_of};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model as _};

/// What stands for a character outside the vocabulary, where the kind has such.
const UNKNOWN: &str = "<unk>";

/// How many tokens the report shows.
const EXAMPLES: usize = 24;

/// What came of training a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VocabularyReport {
    /// Tokens there are, special ones included; fewer than `requested` where the text has no more to merge.
    pub size: usize,
    pub requested: usize,
    pub merges: usize,
    /// Of the training documents, without the tokens between them.
    pub tokens: usize,
    pub bytes_per_token: f64,
    /// Some tokens, from the first learned to the last.
    pub examples: Vec<String>,
}

/// A vocabulary with the words it was learned from.
pub struct Vocabulary {
    kind: VocabularyKind,
    tokenizer_json: String,
    tokenizer: Tokenizer,
    merges: Vec<(String, String)>,
    words: Vec<(String, u64)>,
    report: VocabularyReport,
}

impl Vocabulary {
    /// Learns from the training documents.
    ///
    /// # Errors
    /// [`Error::BadParameter`] if the size has no room for the alphabet and the special tokens.
    pub fn train<'a>(documents: impl Iterator<Item = &'a str>, options: &VocabularyOptions) -> Result<Self> {
        let kind = options.kind;
        let words = Cutter::new()?.count(documents)?;
        let alphabet = match kind {
            VocabularyKind::ByteLevelBpe => ByteLevel::alphabet().len(),
            _ => words.iter().flat_map(|(word, _)| word.chars()).collect::<HashSet<_>>().len(),
        };
        let special = special_tokens(kind);
        let least = alphabet + special.len();
        if options.size < least {
            let unit = if kind == VocabularyKind::ByteLevelBpe { "bytes" } else { "different characters of the text" };
            return Err(Error::BadParameter {
                name: "vocabulary size".to_string(),
                expected: format!("at least {least} ({alphabet} {unit} and {} special tokens)", special.len()),
                found: options.size.to_string(),
            });
        }
        let size = match kind {
            VocabularyKind::Characters => least,
            // A merge makes some word shorter: there cannot be more of them than that.
            _ => options.size.min(least + words.iter().map(|(word, _)| word.len()).sum::<usize>()),
        };
        let model = learn(&words, kind, size, special)?;
        let tokens = count_tokens(&model, &words, kind)?;
        let bytes: u64 = words.iter().map(|(word, count)| word.len() as u64 * count).sum();
        let tokenizer_json = tokenizer_json(&model, kind)?;
        let merges = merges(&tokenizer_json)?;
        let tokenizer = Tokenizer::from_json(&tokenizer_json)?;
        let size = tokenizer.vocab_size();
        let first = if merges.is_empty() { size - alphabet } else { size - merges.len().min(size) };
        let every = (size - first).div_ceil(EXAMPLES).max(1);
        let report = VocabularyReport {
            size,
            requested: options.size,
            merges: merges.len(),
            tokens,
            bytes_per_token: bytes as f64 / tokens.max(1) as f64,
            examples: (first..size).step_by(every).map(|id| readable(&tokenizer.token_bytes(id as u32))).collect(),
        };
        Ok(Self { kind, tokenizer_json, tokenizer, merges, words, report })
    }

    pub fn report(&self) -> &VocabularyReport {
        &self.report
    }

    /// The contents of tokenizer.json.
    pub fn tokenizer_json(&self) -> &str {
        &self.tokenizer_json
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The ids of a document; nothing in it is taken for a special token. In memory of the document's own size.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for part in parts(text) {
            ids.append(&mut self.tokenizer.encode_plain(part)?);
        }
        Ok(ids)
    }

    pub(super) fn kind(&self) -> VocabularyKind {
        self.kind
    }

    /// Pairs of tokens in the order learned.
    pub(super) fn merges(&self) -> &[(String, String)] {
        &self.merges
    }

    pub(super) fn words(&self) -> &[(String, u64)] {
        &self.words
    }
}

/// A word as the vocabulary spells it: byte for byte in the byte-level alphabet, or as it is.
pub(super) fn spelled(word: &str, kind: VocabularyKind) -> Cow<'_, str> {
    match kind {
        VocabularyKind::ByteLevelBpe => Cow::Owned(word.bytes().map(letter_of).collect()),
        _ => Cow::Borrowed(word),
    }
}

/// Bytes as text, what is no complete character in hexadecimal: `‹E4›`.
pub(super) fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push_str(&hexadecimal(chunk.invalid()));
        }
    }
    text
}

fn special_tokens(kind: VocabularyKind) -> Vec<AddedToken> {
    let names: &[&str] = if kind == VocabularyKind::ByteLevelBpe { &[END_OF_TEXT] } else { &[END_OF_TEXT, UNKNOWN] };
    names.iter().map(|name| AddedToken::from(*name, true)).collect()
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::BadTokenizer { expected: "a vocabulary that can be trained".to_string(), found: error.to_string() }
}

/// Special tokens, alphabet and merges up to `size`. Characters are the case without merges.
fn learn(words: &[(String, u64)], kind: VocabularyKind, size: usize, special: Vec<AddedToken>) -> Result<BPE> {
    // There are no threads to be had in the page.
    #[cfg(target_arch = "wasm32")]
    tokenizers::parallelism::set_parallelism(false);
    let mut trainer = BpeTrainer::builder().vocab_size(size).special_tokens(special).show_progress(false);
    let mut model = BPE::builder();
    match kind {
        VocabularyKind::ByteLevelBpe => {
            trainer = trainer.initial_alphabet(ByteLevel::alphabet().into_iter().collect());
        }
        _ => model = model.unk_token(UNKNOWN.to_string()),
    }
    let mut model = model.build().map_err(failed)?;
    let counts = words.iter().map(|(word, count)| (spelled(word, kind).into(), *count)).collect();
    trainer.build().do_train(&counts, &mut model).map_err(failed)?;
    Ok(model)
}

fn count_tokens(model: &BPE, words: &[(String, u64)], kind: VocabularyKind) -> Result<usize> {
    words.iter().try_fold(0, |sum, (word, count)| {
        let tokens = model.tokenize(&spelled(word, kind)).map_err(failed)?;
        Ok(sum + tokens.len() * *count as usize)
    })
}

/// As the `tokenizers` crate writes it; written here, its code for all other kinds stays out of the page.
fn tokenizer_json(model: &BPE, kind: VocabularyKind) -> Result<String> {
    let quoted = |text: &str| Value::from(text).to_string();
    let byte_level = |prefix: bool| {
        format!(r#"{{"type":"ByteLevel","add_prefix_space":{prefix},"trim_offsets":true,"use_regex":true}}"#)
    };
    let (pre_tokenizer, decoder) = if kind == VocabularyKind::ByteLevelBpe {
        (byte_level(false), byte_level(true))
    } else {
        // Spaces stay in the tokens, so that decoding is joining them.
        let pattern = quoted(GPT2);
        let split =
            format!(r#"{{"type":"Split","pattern":{{"Regex":{pattern}}},"behavior":"Isolated","invert":false}}"#);
        (split, r#"{"type":"Fuse"}"#.to_string())
    };
    let flags = r#""single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true"#;
    let special = special_tokens(kind);
    let added = special.iter().map(|token| {
        let id = model.token_to_id(&token.content).unwrap_or_default();
        format!(r#"{{"id":{id},"content":{},{flags}}}"#, quoted(&token.content))
    });
    let added = added.collect::<Vec<_>>().join(",");
    let (end, id) = (quoted(END_OF_TEXT), model.token_to_id(END_OF_TEXT).unwrap_or_default());
    // Every document the model sees begins so; a prompt must too.
    let begun = format!(r#"{{"SpecialToken":{{"id":{end},"type_id":0}}}}"#);
    let text = |id: &str, kind: u8| format!(r#"{{"Sequence":{{"id":"{id}","type_id":{kind}}}}}"#);
    let (first, second) = (text("A", 0), text("B", 1));
    let special = format!(r#"{{{end}:{{"id":{end},"ids":[{id}],"tokens":[{end}]}}}}"#);
    let model = serde_json::to_string(model).map_err(failed)?;
    Ok(format!(
        concat!(
            r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{}],"normalizer":null,"#,
            r#""pre_tokenizer":{},"post_processor":{{"type":"TemplateProcessing","single":[{},{}],"pair":[{},{}],"#,
            r#""special_tokens":{}}},"decoder":{},"model":{}}}"#
        ),
        added, pre_tokenizer, begun, first, first, second, special, decoder, model
    ))
}

pub(super) fn merges(tokenizer_json: &str) -> Result<Vec<(String, String)>> {
    let mut json: Value = serde_json::from_str(tokenizer_json).map_err(failed)?;
    let merges = json.pointer_mut("/model/merges").map(Value::take).unwrap_or_default();
    serde_json::from_value(merges).map_err(failed)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What python's `tokenizers` learned from a text, and transformers made of others: tests/fixtures/make_trained.py.
    const WITNESSES: [&str; 3] = [
        include_str!("../../tests/fixtures/trained/byte-level-bpe.json"),
        include_str!("../../tests/fixtures/trained/bpe.json"),
        include_str!("../../tests/fixtures/trained/characters.json"),
    ];

    #[derive(Deserialize)]
    pub(in super::super) struct Witness {
        vocabulary: VocabularyOptions,
        documents: Vec<String>,
        tokenizer: Value,
        tokens: usize,
        pub(in super::super) cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    pub(in super::super) struct Case {
        pub(in super::super) text: String,
        pub(in super::super) ids: Vec<u32>,
        decoded: String,
    }

    impl Witness {
        pub(in super::super) fn train(&self) -> Vocabulary {
            Vocabulary::train(self.documents.iter().map(String::as_str), &self.vocabulary).unwrap()
        }
    }

    pub(in super::super) fn witnesses() -> Vec<Witness> {
        WITNESSES.iter().map(|json| serde_json::from_str(json).unwrap()).collect()
    }

    #[test]
    fn learns_what_python_learns() {
        for witness in witnesses() {
            let vocabulary = witness.train();
            let json: Value = serde_json::from_str(vocabulary.tokenizer_json()).unwrap();
            assert!(json == witness.tokenizer, "{:?}", witness.vocabulary);
            let report = vocabulary.report();
            assert_eq!((report.tokens, report.requested), (witness.tokens, witness.vocabulary.size));
            assert_eq!(report.size, vocabulary.tokenizer().vocab_size());
            let bytes: usize = witness.documents.iter().map(String::len).sum();
            assert!((report.bytes_per_token - bytes as f64 / witness.tokens as f64).abs() < 1e-9);
            assert!((8..=EXAMPLES).contains(&report.examples.len()), "{:?}", report.examples);
        }
    }

    #[test]
    fn encodes_and_decodes_as_transformers() {
        for witness in witnesses() {
            let vocabulary = witness.train();
            let tokenizer = vocabulary.tokenizer();
            for case in &witness.cases {
                assert_eq!(vocabulary.encode(&case.text).unwrap(), case.ids, "{:?}", case.text);
                assert_eq!(tokenizer.decode(&case.ids, true).unwrap(), case.decoded);
            }
            // Every text of known characters comes back.
            for document in &witness.documents {
                assert_eq!(tokenizer.decode(&vocabulary.encode(document).unwrap(), false).unwrap(), *document);
            }
        }
    }

    #[test]
    fn long_documents_are_encoded_in_parts_as_if_whole() {
        let vocabulary = witnesses()[0].train();
        let text = "The cat sat, and  the dog's bone\n\nlay there. 猫坐着，狗也坐着。".repeat(3000);
        assert_eq!(vocabulary.encode(&text).unwrap(), vocabulary.tokenizer().encode_plain(&text).unwrap());
    }

    #[test]
    fn sizes_are_checked_against_the_text() {
        let train = |kind, size| Vocabulary::train(["one two three"].into_iter(), &VocabularyOptions { kind, size });
        let message = |kind| train(kind, 5).map(|_| ()).unwrap_err().to_string();
        let expected = "vocabulary size: expected at least 257 (256 bytes and 1 special tokens), found 5";
        assert_eq!(message(VocabularyKind::ByteLevelBpe), expected);
        assert!(message(VocabularyKind::Bpe).contains("at least 10 (8 different characters of the text and 2"));
        assert!(message(VocabularyKind::Characters).contains("at least 10"));
        // More than there is to learn: all words are tokens, and the report says how many there are.
        let report = train(VocabularyKind::Bpe, usize::MAX).unwrap().report().clone();
        assert_eq!((report.size, report.merges, report.tokens, report.requested), (19, 9, 3, usize::MAX));
        assert_eq!(train(VocabularyKind::Characters, 99).unwrap().report().size, 10);
    }
}
