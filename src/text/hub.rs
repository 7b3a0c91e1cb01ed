//! Tokenizers as the Hugging Face hub has them: `tokenizer.json`, GPT-2's `vocab.json` and `merges.txt`, or BERT's
//! `vocab.txt`, with the special tokens that `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`
//! name.

mod bert;
mod roberta;
mod surround;
mod t5;
mod unigram;
mod xlm_roberta;

use super::document::{Document, Entries};
use super::normalize::Normalizer;
use super::pipeline::Pipeline;
use super::split::PreTokenizer;
use super::stream::Stage;
use super::vocabulary::{self, BpeOptions};
use super::{Model, Slot, Tokenizer, bad, marian, to_hub, unsupported};
use crate::files::Files;
use crate::{Error, Result};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use surround::Around;
use tokenizers::AddedToken;
use tokenizers::models::bpe::Vocab;

/// The largest tokenizer known is 35 MB.
const LIMIT: u64 = 256 << 20;

/// What a file is to hold.
const WANTED: &str = "tokens with their ids or scores, and merges";

/// The special tokens that transformers knows by name.
pub(super) const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

pub(super) fn load(files: &mut Files) -> Result<Tokenizer> {
    let config = optional_json(files, "tokenizer_config.json")?;
    let map = optional_json(files, "special_tokens_map.json")?;
    if marian::is_there(files) {
        return marian::load(files, &config, &map);
    }
    if files.contains("tokenizer.json") {
        return from_document(read(files, "tokenizer.json")?, config, map);
    }
    if !has_byte_pairs(files) && files.contains("vocab.txt") {
        let document = bert::document(files, &config, &map)?;
        return from_tree(document, config, map);
    }
    if !has_byte_pairs(files) && files.contains(xlm_roberta::FILE) {
        let document = xlm_roberta::document(files, &config)?;
        return from_tree(document, config, map);
    }
    if !has_byte_pairs(files) && files.contains(t5::FILE) {
        let document = t5::document(files, &config)?;
        return from_tree(document, config, map);
    }
    if !has_byte_pairs(files) {
        return Err(Error::MissingFile {
            expected:
                "tokenizer.json, vocab.json and merges.txt, vocab.txt, spiece.model, sentencepiece.bpe.model, or source.spm and vocab.json"
                    .to_string(),
            found: "none of them, or only one of the two".to_string(),
        });
    }
    if roberta::is_one(files, &config)? {
        let document = roberta::document(files, &config, &map)?;
        return from_tree(document, config, map);
    }
    let added = optional_json(files, "added_tokens.json")?;
    let Entries::Ids(vocab) = read(files, "vocab.json")? else {
        return Err(bad("an object of tokens and ids in vocab.json", "a list"));
    };
    let merges = text(files, "merges.txt")?;
    from_vocab_and_merges(vocab, &merges, SpecialTokens::read(config, map, &[], added)?)
}

/// Whether GPT-2's two files are there.
fn has_byte_pairs(files: &Files) -> bool {
    files.contains("vocab.json") && files.contains("merges.txt")
}

/// The whole tokenizer as a `tokenizer.json`, also where the files are GPT-2's two or BERT's one.
pub(super) fn document(files: &mut Files) -> Result<Value> {
    if !files.contains("tokenizer.json") && !has_byte_pairs(files) && files.contains("vocab.txt") {
        let config = optional_json(files, "tokenizer_config.json")?;
        let map = optional_json(files, "special_tokens_map.json")?;
        return bert::document(files, &config, &map);
    }
    if files.contains("tokenizer.json") || !has_byte_pairs(files) {
        return json(files, "tokenizer.json");
    }
    let config = optional_json(files, "tokenizer_config.json")?;
    if roberta::is_one(files, &config)? {
        let map = optional_json(files, "special_tokens_map.json")?;
        return roberta::document(files, &config, &map);
    }
    let tokenizer = load(files)?;
    let prefix = config.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(false);
    let merges = files.read_all("merges.txt", LIMIT)?;
    let merges = String::from_utf8_lossy(&merges);
    let merges: Vec<&str> = merges.lines().filter(|line| !line.is_empty() && !line.starts_with("#version")).collect();
    let byte_level = |prefix: bool| json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": tokenizer.added_tokens()?,
        "normalizer": null,
        "pre_tokenizer": byte_level(prefix),
        "post_processor": to_hub::template(&tokenizer),
        "decoder": byte_level(false),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": json(files, "vocab.json")?, "merges": merges,
        },
    }))
}

/// The tokenizer as the text of a `tokenizer.json`: the file itself where there is one.
///
/// # Errors
/// Those of reading it, and [`Error::Unsupported`] where it would cut text differently.
pub(super) fn tokenizer_json(files: &mut Files) -> Result<String> {
    if files.contains("tokenizer.json") {
        let bytes = files.read_all("tokenizer.json", LIMIT)?;
        return String::from_utf8(bytes).map_err(|error| bad("tokenizer.json in UTF-8", &error.to_string()));
    }
    let original = load(files)?;
    let document = document(files)?;
    let text = document.to_string();
    let back = from_tree(document, Value::Null, Value::Null)?;
    super::compare::same(&original, &back, "the files there are", "tokenizer.json")?;
    Ok(text)
}

fn json(files: &mut Files, name: &str) -> Result<Value> {
    read(files, name)
}

/// A file of JSON.
fn read<T: DeserializeOwned>(files: &mut Files, name: &str) -> Result<T> {
    let bytes = files.view(name, LIMIT)?;
    let read = serde_json::from_slice(&bytes).map_err(|e| match e.is_data() {
        // What is no JSON further on is damaged, whatever the fault before it.
        true => serde_json::from_slice::<IgnoredAny>(&bytes).err().unwrap_or(e),
        false => e,
    });
    read.map_err(|e| match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        _ if e.is_data() => bad(&format!("in {name} {WANTED}"), &e.to_string()),
        first => Error::BadFile {
            file: name.to_string(),
            expected: "JSON".to_string(),
            found: match first {
                Some(b'<') => "an HTML or XML page".to_string(),
                Some(_) => format!("a fault: {e}"),
                None => "nothing".to_string(),
            },
        },
    })
}

/// A file of text.
fn text(files: &mut Files, name: &str) -> Result<String> {
    String::from_utf8(files.read_all(name, LIMIT)?).map_err(|e| Error::BadFile {
        file: name.to_string(),
        expected: "UTF-8 text".to_string(),
        found: e.to_string(),
    })
}

fn optional_json(files: &mut Files, name: &str) -> Result<Value> {
    if files.contains(name) { json(files, name) } else { Ok(Value::Null) }
}

/// What the files beside the vocabulary say about special tokens.
struct SpecialTokens {
    config: Value,
    /// Tokens to add, in the order of their ids.
    added: Vec<AddedToken>,
    /// `NAMED` tokens with their names, then nameless ones.
    named: Vec<(&'static str, AddedToken)>,
    extra: Vec<AddedToken>,
}

impl SpecialTokens {
    /// `own`: the tokens that tokenizer.json adds itself.
    fn read(config: Value, map: Value, own: &[AddedToken], added_file: Value) -> Result<Self> {
        let mut added: Vec<(u64, AddedToken)> = Vec::new();
        let decoder = config.get("added_tokens_decoder").and_then(Value::as_object);
        for (id, token) in decoder.into_iter().flatten() {
            let id = id.parse().map_err(|_| bad("a number as key of added_tokens_decoder", &format!("{id:?}")))?;
            added.push((id, added_token(token, false)?));
        }
        // transformers reads the older files only where the newer has not said it all.
        let map = if decoder.is_some() { &Value::Null } else { &map };
        let all_own = own;
        let own = if decoder.is_some() { &[] } else { own };
        let known = |content: &str| added.iter().map(|(_, t)| t).chain(own).find(|t| t.content == content).cloned();
        let mut named = Vec::new();
        for name in NAMED {
            let value = map.get(name).or_else(|| config.get(name)).filter(|v| !v.is_null());
            if let Some(token) = value.map(|v| added_token(v, true)).transpose()? {
                named.push((name, known(&token.content).unwrap_or(token)));
            }
        }
        let mut extra = Vec::new();
        for name in ["additional_special_tokens", "extra_special_tokens"] {
            match map.get(name).or_else(|| config.get(name)) {
                Some(Value::Array(tokens)) => extra.extend(tokens.iter().map(|v| added_token(v, true))),
                Some(Value::Object(tokens)) => extra.extend(tokens.values().map(|v| added_token(v, true))),
                _ => {}
            }
        }
        let mut extra = extra.into_iter().collect::<Result<Vec<_>>>()?;
        // One that is there already stays what it is.
        extra.retain(|token| {
            !added.iter().map(|(_, known)| known).chain(all_own).any(|known| known.content == token.content)
        });
        for (content, id) in added_file.as_object().into_iter().flatten() {
            let special = named.iter().map(|(_, t)| t).chain(&extra).any(|t| t.content == *content);
            added.push((id.as_u64().unwrap_or(u64::MAX), AddedToken::from(content.clone(), special)));
        }
        added.sort_by_key(|(id, _)| *id);
        Ok(Self { config, added: added.into_iter().map(|(_, token)| token).collect(), named, extra })
    }

    fn set_default(&mut self, name: &'static str, content: &str) {
        if !self.named.iter().any(|(n, _)| *n == name) && self.config.get(name).is_none() {
            self.named.push((name, AddedToken::from(content, true)));
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.config.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The ids of the tokens in [`USUAL`], as the files name them or as they usually are.
    fn ids(&self, pipeline: &Pipeline) -> Vec<(&'static str, u32)> {
        let id = |(name, usual): &(&'static str, [&str; 2])| {
            let given = self.named.iter().find(|(known, _)| known == name).map(|(_, token)| token.content.as_str());
            let id = match given {
                Some(content) => pipeline.token_to_id(content),
                None => usual.iter().find_map(|token| pipeline.token_to_id(token)),
            };
            Some((*name, id?))
        };
        USUAL.iter().filter_map(id).collect()
    }

    /// Adds everything to the tokenizer, and gives the ids of the beginning and the end of a text.
    fn add_to(&self, pipeline: &mut Pipeline) -> Result<(Option<u32>, Option<u32>)> {
        pipeline.add_tokens(self.added.clone())?;
        let special = self.named.iter().map(|(_, token)| token).chain(&self.extra);
        pipeline.add_tokens(special.map(|token| token.clone().special(true)).collect())?;
        let id = |name: &str| {
            let (_, token) = self.named.iter().find(|(n, _)| *n == name)?;
            pipeline.token_to_id(&token.content)
        };
        Ok((id("bos_token"), id("eos_token")))
    }
}

/// What the tokens that encoders need are called where no file says.
const USUAL: [(&str, [&str; 2]); 3] =
    [("mask_token", ["[MASK]", "<mask>"]), ("cls_token", ["[CLS]", "<s>"]), ("pad_token", ["[PAD]", "<pad>"])];

/// A token written as a string or as an object.
fn added_token(json: &Value, special: bool) -> Result<AddedToken> {
    let flag = |name: &str, default| json.get(name).and_then(Value::as_bool).unwrap_or(default);
    match json.as_str().or_else(|| json.get("content").and_then(Value::as_str)) {
        Some(content) => {
            let special = flag("special", special);
            Ok(AddedToken::from(content, special)
                .single_word(flag("single_word", false))
                .lstrip(flag("lstrip", false))
                .rstrip(flag("rstrip", false))
                .normalized(flag("normalized", !special)))
        }
        None => Err(bad("a token as a string or an object with its content", &json.to_string())),
    }
}

/// The tokenizer that a tree describes as a `tokenizer.json` would.
pub(super) fn from_tree(tree: Value, config: Value, map: Value) -> Result<Tokenizer> {
    let document = serde_json::from_value(tree).map_err(|error| bad(WANTED, &error.to_string()))?;
    from_document(document, config, map)
}

fn from_document(mut document: Document, config: Value, map: Value) -> Result<Tokenizer> {
    let model = document.model.take().ok_or_else(|| bad("tokenizer.json with a model", "none"))?;
    let part = |name: &str| document.part(name);
    let unknown = model.number("unk_id").and_then(|id| u32::try_from(id).ok());
    let unknown_name = model.text("unk_token").map(str::to_string);
    let model = vocabulary::from_document(model)?;
    let normalizer = part("normalizer").map(Normalizer::from_json).transpose()?;
    let pre_tokenizer = part("pre_tokenizer").map(PreTokenizer::from_json).transpose()?;
    let tokens = match part("added_tokens") {
        Some(Value::Array(tokens)) => tokens.iter().map(|t| added_token(t, false)).collect::<Result<Vec<_>>>()?,
        Some(_) => return Err(bad("added_tokens as a list", "something else")),
        None => Vec::new(),
    };
    let special = SpecialTokens::read(config, map, &tokens, Value::Null)?;
    let pipeline = Pipeline::new(model, normalizer, pre_tokenizer, tokens)?;
    let unknown = unknown.or_else(|| pipeline.token_to_id(unknown_name.as_deref()?));
    let mut pipeline = pipeline.unknown_as(unknown);
    let (bos, eos) = special.add_to(&mut pipeline)?;
    let mut around = Around::default();
    if let Some(processor) = part("post_processor") {
        around.add(processor)?;
    }
    let named = special.ids(&pipeline);
    let decoder = match part("decoder") {
        Some(decoder) => stages(decoder)?,
        None => vec![Stage::Join { first: true }],
    };
    let Around { single, pair, trims } = around;
    let tokenizer = Tokenizer::new(Model::Pipeline(Box::new(pipeline)), single, decoder, bos, eos);
    Ok(tokenizer.pairing(pair, trims).naming(named))
}

/// GPT-2's tokenizer from its two files.
fn from_vocab_and_merges(vocab: Vocab, merges: &str, mut special: SpecialTokens) -> Result<Tokenizer> {
    for name in ["bos_token", "eos_token", "unk_token"] {
        special.set_default(name, "<|endoftext|>");
    }
    let model = vocabulary::bpe(vocab, vocabulary::merges_from_lines(merges.lines())?, BpeOptions::default())?;
    let words = super::split::Words::new(super::split::GPT2)?;
    let pre_tokenizer =
        PreTokenizer::ByteLevel { add_prefix_space: special.flag("add_prefix_space"), words: Some(words) };
    let mut pipeline = Pipeline::new(model, None, Some(pre_tokenizer), Vec::new())?;
    let (bos, eos) = special.add_to(&mut pipeline)?;
    let begin = bos.filter(|_| special.flag("add_bos_token")).map(Slot::Token);
    let end = eos.filter(|_| special.flag("add_eos_token")).map(Slot::Token);
    let template = begin.into_iter().chain([Slot::Text]).chain(end).collect();
    Ok(Tokenizer::new(Model::Pipeline(Box::new(pipeline)), template, vec![Stage::byte_level()], bos, eos))
}

/// The stages of a decoder.
fn stages(decoder: &Value) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    let mut joined = false;
    add_stages(decoder, &mut stages, &mut joined)?;
    Ok(stages)
}

/// `joined`: all tokens have become one before this stage, so that a stage sees pieces of a token, not tokens.
fn add_stages(decoder: &Value, stages: &mut Vec<Stage>, joined: &mut bool) -> Result<()> {
    let kind = decoder.get("type").and_then(Value::as_str).unwrap_or("no type");
    let text = |name: &str| decoder.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let number = |name: &str| decoder.get(name).and_then(Value::as_u64).unwrap_or(0).min(1 << 20) as usize;
    match (kind, *joined) {
        ("Sequence", _) => {
            let steps = decoder.get("decoders").and_then(Value::as_array);
            return steps.into_iter().flatten().try_for_each(|step| add_stages(step, stages, joined));
        }
        ("Fuse", _) => *joined = true,
        ("ByteLevel", false) => {
            stages.push(Stage::byte_level());
            *joined = true;
        }
        ("ByteFallback", false) => stages.push(Stage::byte_fallback()),
        ("WordPiece", false) => stages.push(Stage::WordPiece {
            prefix: text("prefix"),
            cleanup: decoder.get("cleanup").and_then(Value::as_bool).unwrap_or(true),
            first: true,
        }),
        ("Metaspace", false) => {
            let never =
                text("prepend_scheme") == "never" || decoder.get("add_prefix_space") == Some(&Value::Bool(false));
            let marker = text("replacement").chars().next().unwrap_or('▁');
            stages.push(Stage::Metaspace { marker, trim_first: !never });
        }
        ("Replace", _) => {
            let from = decoder.get("pattern").and_then(|p| p.get("String")).and_then(Value::as_str);
            match from.filter(|from| !from.is_empty() && (!*joined || from.chars().count() == 1)) {
                Some(from) => stages.push(Stage::Replace { from: from.to_string(), to: text("content") }),
                None => return Err(unsupported("a Replace decoder", "one of a plain string", &decoder.to_string())),
            }
        }
        ("Strip", _) => {
            let Some(content) = text("content").chars().next() else {
                return Err(bad("a character in a Strip decoder", "none"));
            };
            match (*joined, number("start"), number("stop")) {
                (false, left, right) => stages.push(Stage::Strip { content, left, right }),
                (true, left, 0) => stages.push(Stage::StripText { content, left }),
                (true, _, stop) => {
                    return Err(unsupported("Strip at the end of a text", "stop = 0", &stop.to_string()));
                }
            }
        }
        (kind, _) => {
            return Err(unsupported(
                "the tokenizer's decoder",
                "ByteLevel, Metaspace, ByteFallback, WordPiece, Fuse, Strip, Replace or a Sequence of them",
                kind,
            ));
        }
    }
    Ok(())
}
