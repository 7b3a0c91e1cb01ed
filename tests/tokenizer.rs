//! Tokenizers against what transformers, tiktoken and sentencepiece make of the same text, streaming against the whole
//! decode. The fixtures are written by `fixtures/make_tokenizers.py`.

#[path = "tokenizer/bad_input.rs"]
mod bad_input;
#[path = "tokenizer/gguf.rs"]
mod gguf;

use bad_input::code;
use gguf::{Gguf, small_sentencepiece};
use inkling::files::Files;
use inkling::text::Tokenizer;
use inkling::weights::Weights;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Cursor;

macro_rules! fixture {
    ($($part:literal),+) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokenizers/" $(, $part)+)).as_slice()
    };
}
pub(crate) use fixture;

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn files(parts: &[(&str, &[u8])]) -> Files {
    let mut files = Files::new();
    for (name, bytes) in parts {
        files.insert(*name, Box::new(Cursor::new(bytes.to_vec())));
    }
    files
}

fn from_json(tokenizer: &Value) -> inkling::Result<Tokenizer> {
    Tokenizer::from_files(&mut files(&[("tokenizer.json", tokenizer.to_string().as_bytes())]))
}

fn texts() -> BTreeMap<String, String> {
    serde_json::from_slice(fixture!("texts.json")).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The `tokenizer.json` fixtures: name, tokenizer, its configuration, what transformers makes of the texts.
fn hub_fixtures() -> Vec<(&'static str, Tokenizer, Value)> {
    macro_rules! one {
        ($name:literal) => {{
            let mut files = files(&[
                ("tokenizer.json", fixture!($name, "/tokenizer.json")),
                ("tokenizer_config.json", fixture!($name, "/tokenizer_config.json")),
            ]);
            let expected = parse(fixture!($name, "/expected.json"));
            ($name, Tokenizer::from_files(&mut files).unwrap(), expected)
        }};
    }
    vec![
        one!("byte_level"),
        one!("llama3"),
        one!("llama"),
        one!("llama_metaspace"),
        one!("unigram"),
        one!("words"),
        ("two_files", two_files(), parse(fixture!("two_files/expected.json"))),
        ("word_pieces", word_pieces(), parse(fixture!("word_pieces/expected.json"))),
    ]
}

fn two_files() -> Tokenizer {
    let mut files = files(&[
        ("vocab.json", fixture!("two_files/vocab.json")),
        ("merges.txt", fixture!("two_files/merges.txt")),
        ("tokenizer_config.json", fixture!("two_files/tokenizer_config.json")),
    ]);
    Tokenizer::from_files(&mut files).unwrap()
}

fn word_pieces() -> Tokenizer {
    let mut files = files(&[
        ("vocab.txt", fixture!("word_pieces/vocab.txt")),
        ("tokenizer_config.json", fixture!("word_pieces/tokenizer_config.json")),
    ]);
    Tokenizer::from_files(&mut files).unwrap()
}

/// A file of the reference data beside the project; `None`, said aloud, where it is not.
fn shared(path: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(format!("{}/../shared/data/{path}", env!("CARGO_MANIFEST_DIR"))).ok();
    if bytes.is_none() {
        println!("skipped: ../shared/data/{path} is not here");
    }
    bytes
}

fn gpt2() -> Option<Tokenizer> {
    let (vocab, merges) = (shared("gpt2_tokenizer/vocab.json")?, shared("gpt2_tokenizer/merges.txt")?);
    Some(Tokenizer::from_files(&mut files(&[("vocab.json", &vocab), ("merges.txt", &merges)])).unwrap())
}

fn stories() -> Option<Tokenizer> {
    let bytes = shared("checkpoints/stories260K.gguf")?;
    Some(from_gguf(&bytes).unwrap())
}

fn from_gguf(bytes: &[u8]) -> inkling::Result<Tokenizer> {
    let weights = Weights::gguf(&mut files(&[("model.gguf", bytes)]), "model.gguf")?;
    Tokenizer::from_gguf(weights.metadata())
}

/// Everything that transformers said about a tokenizer.
fn check_against_transformers(name: &str, tokenizer: &Tokenizer, expected: &Value) {
    assert_eq!(tokenizer.vocab_size() as u64, expected["vocab_size"].as_u64().unwrap(), "{name}");
    assert_eq!(tokenizer.bos_token_id().map(u64::from), expected["bos_token_id"].as_u64(), "{name}");
    assert_eq!(tokenizer.eos_token_id().map(u64::from), expected["eos_token_id"].as_u64(), "{name}");
    for (text_name, text) in texts() {
        let case = &expected["texts"][&text_name];
        let whole = tokenizer.encode(&text, true).unwrap();
        assert_eq!(whole, ids(&case["ids"]), "{name}: {text_name}");
        assert_eq!(tokenizer.encode(&text, false).unwrap(), ids(&case["bare"]), "{name}: {text_name} without special");
        assert_eq!(tokenizer.encode_plain(&text).unwrap(), ids(&case["plain"]), "{name}: {text_name} as plain text");
        check_decode(name, tokenizer, &whole, case);
    }
    for case in expected["decoded"].as_array().unwrap() {
        check_decode(name, tokenizer, &ids(&case["ids"]), case);
    }
}

fn check_decode(name: &str, tokenizer: &Tokenizer, ids: &[u32], case: &Value) {
    assert_eq!(tokenizer.decode(ids, true).unwrap(), case["text"], "{name}: {ids:?}");
    assert_eq!(tokenizer.decode(ids, false).unwrap(), case["text_with_special"], "{name}: {ids:?} with special");
}

/// The streaming decode is the whole decode, wherever the prompt ends.
fn check_stream(tokenizer: &Tokenizer, ids: &[u32]) {
    let whole = tokenizer.decode(ids, true).unwrap();
    for split in 0..=ids.len().min(12) {
        let (prompt, new) = ids.split_at(split);
        let before = tokenizer.decode(prompt, true).unwrap();
        let Some(after) = whole.strip_prefix(&before) else {
            // The prompt ends inside a character or a run of bytes that breaks later: the whole does not begin so.
            assert!(
                whole.contains('\u{FFFD}') || before.contains('\u{FFFD}'),
                "{ids:?} at {split}: {before:?} {whole:?}"
            );
            continue;
        };
        let mut stream = tokenizer.stream_after(prompt);
        let mut text = String::new();
        for &id in new {
            text.push_str(&stream.push(id).unwrap());
            assert!(after.starts_with(&text), "{ids:?} from {split}: {text:?} is not how {after:?} begins");
        }
        text.push_str(&stream.finish());
        assert_eq!(text, after, "{ids:?} from {split}");
    }
}

/// The ranges of the pieces lie in order on characters, and cover all of the text but spaces.
fn check_offsets(name: &str, tokenizer: &Tokenizer, text: &str) {
    let pieces = tokenizer.encode_with_offsets(text).unwrap();
    let ids: Vec<u32> = pieces.iter().map(|p| p.id).collect();
    assert_eq!(ids, tokenizer.encode(text, true).unwrap(), "{name}: {text:?}");
    let mut covered = vec![false; text.len()];
    let mut last = 0;
    for piece in &pieces {
        assert!(text.get(piece.start..piece.end).is_some(), "{name}: {piece:?} of {text:?}");
        assert!(piece.start >= last || piece.start == piece.end, "{name}: {piece:?} after {last} of {text:?}");
        last = piece.start;
        covered[piece.start..piece.end].fill(true);
    }
    let skipped = text.char_indices().find(|(i, c)| !covered[*i] && !c.is_whitespace());
    assert!(
        skipped.is_none() || matches!(name, "unigram" | "words" | "word_pieces"),
        "{name}: {skipped:?} of {text:?}"
    );
}

/// Numbers that look random and are the same on every run.
fn random_ids(seed: u64, size: u32) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1;
    let mut next = |below: u32| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) as u32) % below
    };
    (0..1 + next(30)).map(|_| next(size)).collect()
}

#[test]
fn tokenizer_json_as_transformers() {
    for (name, tokenizer, expected) in hub_fixtures() {
        check_against_transformers(name, &tokenizer, &expected);
    }
}

#[test]
fn gpt2_as_transformers_and_tiktoken() {
    let Some(tokenizer) = gpt2() else { return };
    check_against_transformers("gpt2", &tokenizer, &parse(fixture!("gpt2.json")));
    assert!(tokenizer.is_special(50256) && !tokenizer.is_special(0));
    assert_eq!(tokenizer.token(50256).as_deref(), Some("<|endoftext|>"));
    assert_eq!(tokenizer.largest_id(), Some(50256));
}

#[test]
fn gpt2_from_gguf_metadata_is_the_same() {
    let Some(tokenizer) = gpt2() else { return };
    let (vocab, merges) = (shared("gpt2_tokenizer/vocab.json").unwrap(), shared("gpt2_tokenizer/merges.txt").unwrap());
    let vocab: BTreeMap<String, usize> = serde_json::from_slice(&vocab).unwrap();
    let mut tokens = vec![String::new(); vocab.len()];
    vocab.into_iter().for_each(|(token, id)| tokens[id] = token);
    let kinds = (0..tokens.len()).map(|id| if id == 50256 { 3 } else { 1 }).collect();
    let merges = String::from_utf8(merges).unwrap().lines().map(str::to_string).collect();
    for pre in [None, Some("gpt-2")] {
        let mut gguf = Gguf::new("gpt2").strings("tokens", tokens.clone()).strings("merges", Vec::clone(&merges));
        gguf = gguf.ints("token_type", Vec::clone(&kinds)).int("bos_token_id", 50256).int("eos_token_id", 50256);
        let from_gguf = from_gguf(&pre.into_iter().fold(gguf, |g, pre| g.string("pre", pre)).bytes()).unwrap();
        for (name, text) in texts() {
            assert_eq!(from_gguf.encode(&text, true).unwrap(), tokenizer.encode(&text, true).unwrap(), "{name}");
            assert_eq!(from_gguf.encode_plain(&text).unwrap(), tokenizer.encode_plain(&text).unwrap(), "{name}");
        }
        assert_eq!(from_gguf.eos_token_id(), Some(50256));
    }
}

#[test]
fn stories_as_sentencepiece() {
    let Some(tokenizer) = stories() else { return };
    let expected = parse(fixture!("stories260K.json"));
    assert_eq!((tokenizer.vocab_size(), tokenizer.bos_token_id(), tokenizer.eos_token_id()), (512, Some(1), Some(2)));
    for (name, text) in texts() {
        let case = &expected["texts"][&name];
        assert_eq!(tokenizer.encode_plain(&text).unwrap(), ids(&case["plain"]), "{name}");
        assert_eq!(tokenizer.decode(&ids(&case["plain"]), true).unwrap(), case["text"], "{name}");
    }
    for case in expected["decoded"].as_array().unwrap() {
        assert_eq!(tokenizer.decode(&ids(&case["ids"]), true).unwrap(), case["text"], "{case}");
    }
}

#[test]
fn stories_reference_output() {
    let (Some(tokenizer), Some(reference)) = (stories(), shared("checkpoints/stories260K_greedy_ids.json")) else {
        return;
    };
    let reference = parse(&reference);
    let prompt = ids(&reference["encode_Once_upon_a_time"]);
    assert_eq!(tokenizer.encode("Once upon a time", true).unwrap(), prompt);
    let output = ids(&reference["ids"]);
    let text = String::from_utf8(shared("checkpoints/stories260K_greedy.txt").unwrap()).unwrap();
    assert_eq!(tokenizer.decode(&output, true).unwrap().trim_end(), text.trim_end());
    check_stream(&tokenizer, &output);
}

/// Special tokens of a sentencepiece vocabulary: llama.cpp puts the leading space after each of them.
#[test]
fn stories_special_tokens() {
    let Some(tokenizer) = stories() else { return };
    let plain = |text: &str| tokenizer.encode_plain(text).unwrap();
    let expected = [vec![1], plain("Hello"), vec![2], plain(" x")].concat();
    assert_eq!(tokenizer.encode("<s>Hello</s> x", false).unwrap(), expected);
    assert_eq!(tokenizer.encode("", true).unwrap(), [1]);
    assert_eq!(tokenizer.encode("", false).unwrap(), Vec::<u32>::new());
    assert_eq!(tokenizer.decode(&[1, 403, 407], true).unwrap(), "Once upon");
    assert_eq!(tokenizer.stream_after(&[1, 403]).push(407).unwrap(), " upon");
    assert_eq!(tokenizer.stream_after(&[1]).push(407).unwrap(), "upon");
}

#[test]
fn streaming_is_decoding() {
    let shared = [("gpt2", gpt2()), ("stories260K", stories())];
    let shared = shared.into_iter().filter_map(|(name, tokenizer)| Some((name, tokenizer?)));
    for (name, tokenizer) in hub_fixtures().into_iter().map(|(name, t, _)| (name, t)).chain(shared) {
        for text in texts().values() {
            check_stream(&tokenizer, &tokenizer.encode(text, true).unwrap());
            check_offsets(name, &tokenizer, text);
        }
        let size = tokenizer.vocab_size() as u32;
        for seed in 0..400 {
            check_stream(&tokenizer, &random_ids(seed, size + 2));
            // Mostly bytes: where characters begin, end and break.
            check_stream(&tokenizer, &random_ids(seed, 300.min(size)));
        }
    }
}

#[test]
fn offsets_point_into_the_text() {
    let (_, tokenizer, _) = hub_fixtures().remove(2);
    let text = "a 龘b";
    let shown = |p: &inkling::text::Piece| (p.id, text[p.start..p.end].to_string());
    let pieces: Vec<_> = tokenizer.encode_with_offsets(text).unwrap().iter().map(shown).collect();
    assert_eq!(pieces.first(), Some(&(1, String::new())));
    let bytes: Vec<_> = pieces.iter().filter(|(_, piece)| piece == "龘").collect();
    assert_eq!(bytes.len(), 3, "{pieces:?}");
    assert_eq!(pieces.last().map(|(_, piece)| piece.as_str()), Some("b"), "{pieces:?}");
}

/// A megabyte of what is cut least or most, in a few seconds at most and with nothing lost.
#[test]
fn long_texts() {
    let long = |part: &str| part.repeat((1 << 20) / part.len());
    let long = [
        ("words", long("Once upon a time, there was a cat. ")),
        ("one word", long("qzxjkvbw")),
        ("one letter", long("a")),
        ("spaces", format!("{}x", long(" "))),
        ("newlines", format!("x{}x", long("\n"))),
        ("Chinese", long("从前有一个")),
        ("special", long("<|endoftext|>")),
        ("added", long("<tool> ")),
    ];
    let mut tokenizers: Vec<_> = hub_fixtures().into_iter().map(|(name, tokenizer, _)| (name, tokenizer)).collect();
    tokenizers.retain(|(name, _)| matches!(*name, "byte_level" | "llama3" | "llama" | "unigram"));
    tokenizers.extend(stories().map(|tokenizer| ("stories260K", tokenizer)));
    for (name, tokenizer) in tokenizers {
        for (what, text) in &long {
            let begin = std::time::Instant::now();
            let ids = tokenizer.encode(text, false).unwrap();
            let encoded = begin.elapsed();
            let decoded = tokenizer.decode(&ids, false).unwrap();
            assert!(name == "unigram" || what == &"added" || decoded == *text, "{name}: {what}");
            println!(
                "{name}, {what}: {} tokens, {encoded:?} to encode, {:?} with decoding",
                ids.len(),
                begin.elapsed()
            );
            assert!(begin.elapsed().as_secs() < 20, "{name}: {what} took {:?}", begin.elapsed());
        }
    }
}

#[test]
fn sentencepiece_joins_the_best_pair_first() {
    let tokens = [("▁", -9.0), ("a", -9.0), ("b", -9.0), ("ab", -2.0), ("ba", -1.0), ("aba", -2.0), ("aa", -2.0)];
    let tokenizer = from_gguf(&small_sentencepiece(&tokens).flag("add_space_prefix", false).bytes()).unwrap();
    let shown = |text: &str| {
        let ids = tokenizer.encode(text, false).unwrap();
        ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("aba"), "aba");
    assert_eq!(shown("abab"), "aba b");
    // Equal scores: the leftmost pair, whichever token it makes.
    assert_eq!(shown("aab"), "aa b");
    assert_eq!(shown("aaa"), "aa a");
    // Nothing for a character without a token and without bytes, where the file knows no unknown token.
    assert_eq!(shown("a€b"), "a <unk> <unk> <unk> b");
    // Without a key, beginning and end are tokens 1 and 2, and the beginning is added.
    assert_eq!(tokenizer.encode("a", true).unwrap(), [1, 4]);
    assert_eq!(tokenizer.eos_token_id(), Some(2));
}

/// What of `text` a tokenizer calls unknown.
fn unknown_in<'t>(tokenizer: &Tokenizer, text: &'t str) -> Vec<&'t str> {
    let pieces = tokenizer.encode_with_offsets(text).unwrap();
    let mut found: Vec<_> = pieces.into_iter().filter(|piece| tokenizer.is_unknown(*piece, text)).collect();
    // The bytes of one character may be a token each.
    found.dedup_by_key(|piece| piece.start);
    found.iter().map(|piece| &text[piece.start..piece.end]).collect()
}

#[test]
fn what_a_vocabulary_does_not_have_is_unknown() {
    let vocab = json!({ "<unk>": 0, "明": 1, "月": 2, "風": 3 });
    let special = json!([{ "id": 0, "content": "<unk>", "special": true }]);
    let model = |kind: &str| match kind {
        "Unigram" => {
            let pieces = json!([["<unk>", 0.0], ["明", -1.0], ["月", -1.0], ["風", -1.0]]);
            json!({ "type": kind, "unk_id": 0, "vocab": pieces })
        }
        _ => json!({ "type": kind, "unk_token": "<unk>", "vocab": vocab, "merges": [] }),
    };
    for kind in ["BPE", "Unigram"] {
        let tokenizer = from_json(&json!({ "added_tokens": special, "model": model(kind) })).unwrap();
        assert_eq!(unknown_in(&tokenizer, "明月"), [""; 0], "{kind}");
        assert_eq!(unknown_in(&tokenizer, "明爱月风"), ["爱", "风"], "{kind}");
        assert_eq!(unknown_in(&tokenizer, "明<unk>"), [""; 0], "{kind}: its own name");
    }
    let words =
        json!({ "added_tokens": special, "model": model("WordLevel"), "pre_tokenizer": { "type": "Whitespace" } });
    assert_eq!(unknown_in(&from_json(&words).unwrap(), "明 明月 風"), ["明月"]);

    let gguf = small_sentencepiece(&[("明", -1.0), ("月", -1.0), ("風", -1.0)]).flag("add_space_prefix", false);
    assert_eq!(unknown_in(&from_gguf(&gguf.bytes()).unwrap(), "明爱月风"), ["爱", "风"]);
    // With a token for every byte, nothing is unknown.
    let (_, llama, _) = hub_fixtures().into_iter().find(|(name, ..)| *name == "llama").unwrap();
    assert_eq!(unknown_in(&llama, "明爱月🐉"), [""; 0]);
}

#[test]
fn pre_tokenizers_of_gguf_files() {
    let source = parse(fixture!("byte_level/tokenizer.json"));
    let vocab = source["model"]["vocab"].as_object().unwrap();
    let mut tokens = vec![String::new(); vocab.len()];
    vocab.iter().for_each(|(token, id)| tokens[id.as_u64().unwrap() as usize] = token.clone());
    let merge = |m: &Value| format!("{} {}", m[0].as_str().unwrap(), m[1].as_str().unwrap());
    let merges: Vec<String> = source["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    let load = |pre: &str| {
        let gguf = Gguf::new("gpt2").strings("tokens", tokens.clone()).strings("merges", merges.clone());
        from_gguf(&gguf.string("pre", pre).bytes())
    };
    let pieces = |pre: &str, text: &str| {
        let tokenizer = load(pre).unwrap();
        let ids = tokenizer.encode(text, false).unwrap();
        ids.iter().map(|id| tokenizer.decode(&[*id], false).unwrap()).collect::<Vec<_>>()
    };
    for pre in ["gpt-2", "default", "llama-bpe", "smollm", "qwen2", "deepseek-llm", "deepseek-coder", "falcon"] {
        let tokenizer = load(pre).unwrap();
        for (name, text) in texts() {
            let ids = tokenizer.encode_plain(&text).unwrap();
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text, "{pre}: {name}");
        }
    }
    // "2024" and "12345" were learned as they stand in the corpus.
    assert!(pieces("gpt-2", "2024").len() < 4);
    assert_eq!(pieces("smollm", "2024").len(), 4);
    assert_eq!(pieces("qwen2", "2024").len(), 4);
    assert_eq!(pieces("llama-bpe", "2024").last().map(String::as_str), Some("4"));
    let (code, message) = code(load("made-up"));
    assert_eq!(code, "unsupported");
    assert!(message.contains("made-up"), "{message}");
}
