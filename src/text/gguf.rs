//! Tokenizers from the `tokenizer.ggml.*` metadata of GGUF files, read as llama.cpp reads them: "gpt2" is a byte-level
//! byte-pair vocabulary, "llama" a sentencepiece one.

use super::pipeline::Pipeline;
use super::sentencepiece::Sentencepiece;
use super::split::{GPT2, PreTokenizer};
use super::stream::Stage;
use super::vocabulary::{self, BpeOptions};
use super::{Model, Slot, Tokenizer, bad, unsupported};
use crate::Result;
use crate::files::Files;
use crate::weights::{GgufWriter, Metadata, Value, Weights};
use tokenizers::AddedToken;
use tokenizers::models::bpe::Vocab;

/// What llama.cpp's `tokenizer.ggml.token_type` numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Normal => 1,
            Self::Unknown => 2,
            Self::Control => 3,
            Self::UserDefined => 4,
            Self::Unused => 5,
            Self::Byte => 6,
        }
    }

    fn from_number(number: i32) -> Result<Self> {
        Ok(match number {
            // 0 is "undefined".
            0 | 1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            other => return Err(bad("token types from 0 to 6", &other.to_string())),
        })
    }
}

/// The tokenizer that these pairs describe, as a reader of the file would have it.
pub(super) fn read_back(pairs: &[(String, Value)]) -> Result<Tokenizer> {
    const NAME: &str = "vocabulary.gguf";
    let mut header = Vec::new();
    GgufWriter::start(&mut header, pairs, &[])?.finish()?;
    let mut files = Files::new();
    files.insert(NAME, Box::new(std::io::Cursor::new(header)));
    load(Weights::gguf(&mut files, NAME)?.metadata())
}

pub(super) fn load(metadata: &Metadata) -> Result<Tokenizer> {
    let model = metadata.get_str("tokenizer.ggml.model")?;
    let byte_pairs = match model {
        Some("gpt2") => true,
        Some("llama") => false,
        other => {
            let expected = "tokenizer.ggml.model \"gpt2\" or \"llama\"";
            return Err(unsupported("the tokenizer of this GGUF file", expected, other.unwrap_or("none")));
        }
    };
    let tokens = metadata.get_str_array("tokenizer.ggml.tokens")?;
    let tokens = tokens.filter(|t| !t.is_empty()).ok_or_else(|| bad("tokenizer.ggml.tokens", "none"))?;
    let id = |name: &str, default: Option<u32>| {
        let default = default.filter(|id| !byte_pairs && (*id as usize) < tokens.len());
        match metadata.get_u64(&format!("tokenizer.ggml.{name}_token_id"))? {
            None => Ok(default),
            // Some writers say "none" so; llama.cpp then takes what it takes without the key.
            Some(0xFFFF_FFFF) => Ok(default),
            Some(id) if id < tokens.len() as u64 => Ok(Some(id as u32)),
            Some(id) => Err(bad(&format!("a {name} token below {}", tokens.len()), &id.to_string())),
        }
    };
    let (bos, eos, unknown) = (id("bos", Some(1))?, id("eos", Some(2))?, id("unknown", Some(0))?);
    let kinds = kinds(metadata, tokens.len(), [bos, eos, id("padding", None)?])?;
    let (tokenizer, decoder, adds_bos) = if byte_pairs {
        let pre = metadata.get_str("tokenizer.ggml.pre")?;
        (
            Model::Pipeline(Box::new(byte_level(metadata, tokens, &kinds, pre)?)),
            vec![Stage::byte_level()],
            pre.is_some_and(is_llama3),
        )
    } else {
        let scores = metadata.get_f32_array("tokenizer.ggml.scores")?;
        let scores = scores.ok_or_else(|| bad("tokenizer.ggml.scores", "none"))?;
        let prefix = metadata.get_bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        let mut decoder = vec![Stage::Sentencepiece { held: Vec::new() }];
        if prefix {
            decoder.push(Stage::StripText { content: ' ', left: 1 });
        }
        (Model::Sentencepiece(Sentencepiece::new(tokens, scores, kinds, unknown, prefix)?), decoder, true)
    };
    let wants_bos = metadata.get_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(adds_bos);
    let wants_eos = metadata.get_bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
    let begin = bos.filter(|_| wants_bos).map(Slot::Token);
    let end = eos.filter(|_| wants_eos).map(Slot::Token);
    let template = begin.into_iter().chain([Slot::Text]).chain(end).collect();
    Ok(Tokenizer::new(tokenizer, template, decoder, bos, eos))
}

pub(super) fn kinds(metadata: &Metadata, tokens: usize, special: [Option<u32>; 3]) -> Result<Vec<Kind>> {
    match metadata.get_i32_array("tokenizer.ggml.token_type")? {
        Some(numbers) if numbers.len() == tokens => numbers.iter().map(|n| Kind::from_number(*n)).collect(),
        Some(numbers) => Err(bad(&format!("{tokens} token types, one for each token"), &numbers.len().to_string())),
        None => {
            let is_special = |id: usize| special.iter().flatten().any(|s| *s as usize == id);
            Ok((0..tokens).map(|id| if is_special(id) { Kind::Control } else { Kind::Normal }).collect())
        }
    }
}

fn byte_level(metadata: &Metadata, tokens: &[String], kinds: &[Kind], pre: Option<&str>) -> Result<Pipeline> {
    let mut vocab = Vocab::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        // Padding of a vocabulary may be empty strings; such a token must not be found in any text.
        let name = if token.is_empty() { format!("[EMPTY_{id}]") } else { token.clone() };
        if let Some(other) = vocab.insert(name, id as u32) {
            return Err(bad("every token once", &format!("{token:?} as {other} and as {id}")));
        }
    }
    let merges = metadata.get_str_array("tokenizer.ggml.merges")?;
    let merges = merges.ok_or_else(|| bad("tokenizer.ggml.merges", "none"))?;
    let merges = vocabulary::merges_from_lines(merges.iter().map(String::as_str))?;
    // llama.cpp takes merges that lead to tokens by way of symbols that are none, and drops what is left of such.
    let options = BpeOptions { ignore_merges: pre.is_some_and(is_llama3), add_missing: true, ..BpeOptions::default() };
    let model = vocabulary::bpe(vocab, merges, options)?;
    let added = tokens.iter().zip(kinds).filter_map(|(token, kind)| match kind {
        Kind::Control | Kind::Unknown => Some(AddedToken::from(token.clone(), true)),
        Kind::UserDefined => Some(AddedToken::from(token.clone(), false).normalized(false)),
        Kind::Normal | Kind::Unused | Kind::Byte => None,
    });
    let pipeline = Pipeline::new(model, None, Some(PreTokenizer::byte_level(expressions(pre)?)?), added.collect())?;
    Ok(pipeline.limited(tokens.len() as u32))
}

/// Llama 3's expression.
pub(super) const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Qwen 2's expression: as Llama 3's, but digits one by one.
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// DeepSeek's words: the letters that have case, as of the Unicode version it was made with.
const DEEPSEEK_WORDS: &str = concat!(
    r"\s?[",
    r"A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}",
    r"\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}",
    r"\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}",
    r"\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}",
    r"\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}",
    r"\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}",
    r"\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}",
    r"\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}",
    r"\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}",
    r"\x{2183}-\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}-\x{2CF3}",
    r"\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}",
    r"\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}",
    r"\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}",
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}",
    r"]+"
);

/// The expressions that `tokenizer.ggml.pre` names, each applied to what the one before has cut. A file that names
/// none was written before there was a choice: then it is GPT-2's, where llama.cpp takes its own "default" and warns.
pub(super) fn expressions(pre: Option<&str>) -> Result<&'static [&'static str]> {
    Ok(match pre {
        None
        | Some(
            "" | "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "granite-docling" | "exaone4" | "gigachat"
            | "jina-es" | "jina-de" | "jina-v2-es" | "jina-v2-de" | "a.x-4.0" | "mellum",
        ) => &[GPT2],
        Some("default") => &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        Some("dbrx" | "smaug-bpe" | "glm4" | "chatglm-bpe") => &[LLAMA3],
        Some(pre) if is_llama3(pre) => &[LLAMA3],
        Some("qwen2" | "stablelm2" | "deepseek-r1-qwen" | "kormo" | "megrez" | "hunyuan" | "grok-2") => &[QWEN2],
        Some("smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b") => {
            &[r"\p{N}", GPT2]
        }
        Some("falcon") => &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
        Some("deepseek-llm") => {
            &[r"[\r\n]", DEEPSEEK_WORDS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-퟿]+", r"\p{N}+"]
        }
        Some("deepseek-coder") => &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
        Some(other) => {
            let expected = "tokenizer.ggml.pre gpt-2, default, llama-bpe, qwen2, smollm, falcon, deepseek-llm, \
                            deepseek-coder or one of their kin";
            return Err(unsupported("the pre-tokenizer of this GGUF file", expected, other));
        }
    })
}

/// Llama 3 and what is made like it: a word that is a token stays whole, whatever the merges say, and a text begins with
/// a beginning-of-text token where the file does not say.
pub(super) fn is_llama3(pre: &str) -> bool {
    matches!(pre, "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2")
}
