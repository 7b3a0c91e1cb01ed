//! Tokenizer files that are damaged, impossible or hostile: each an error that says what was expected, or a result, in
//! bounded time and without a panic.

use super::gguf::{Gguf, small_sentencepiece};
use super::{files, fixture, from_gguf, from_json, parse, random_ids};
use inkling::Error;
use inkling::files::Files;
use inkling::text::Tokenizer;
use serde_json::{Value, json};

/// `tokenizer.json` with one place changed.
fn changed(pointer: &str, value: Value) -> inkling::Result<Tokenizer> {
    let mut tokenizer = parse(fixture!("byte_level/tokenizer.json"));
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = tokenizer.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list.insert(0, value),
        parent => parent[key] = value,
    }
    from_json(&tokenizer)
}

pub fn code<T>(result: inkling::Result<T>) -> (&'static str, String) {
    let error = result.err().expect("an error");
    (error.code(), error.to_string())
}

#[test]
fn bad_tokenizer_files() {
    let load = |bytes: &[u8]| Tokenizer::from_files(&mut files(&[("tokenizer.json", bytes)]));
    let good = fixture!("byte_level/tokenizer.json");
    assert!(load(good).is_ok());
    for cut in [0, 1, 10, 500, good.len() / 2, good.len() - 4] {
        assert_eq!(code(load(&good[..cut])).0, "bad_file", "cut at {cut}");
    }
    assert!(code(load(b"<!DOCTYPE html><html></html>")).1.contains("HTML"));
    assert_eq!(code(load("[".repeat(100_000).as_bytes())).0, "bad_file");
    let nested = format!("{{\"model\":{}1{}}}", "{\"type\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(code(load(nested.as_bytes())).0, "bad_file");
    for json in
        ["null", "1", "[]", "{}", "\"x\"", "{\"model\":null}", "{\"model\":{}}", "{\"model\":{\"type\":\"BPE\"}}"]
    {
        assert!(matches!(code(load(json.as_bytes())).0, "bad_tokenizer" | "unsupported"), "{json}");
    }
    assert_eq!(code(Tokenizer::from_files(&mut Files::new())).0, "missing_file");
    assert_eq!(code(Tokenizer::from_files(&mut files(&[("vocab.json", b"{}")]))).0, "missing_file");
    let two = |vocab: &[u8], merges: &[u8]| {
        Tokenizer::from_files(&mut files(&[("vocab.json", vocab), ("merges.txt", merges)]))
    };
    assert_eq!(code(two(b"{\"a\":0}", b"a")).0, "bad_tokenizer");
    assert_eq!(code(two(b"{\"a\":0}", b"\xFF\xFE")).0, "bad_file");
    assert_eq!(code(two(b"<html>", b"")).0, "bad_file");
    assert_eq!(code(two(b"[]", b"")).0, "bad_tokenizer");
    assert!(two(b"{\"a\":0}", b"").is_ok());
}

#[test]
fn impossible_tokenizers() {
    let bad = [
        ("/model/vocab/a", json!(-1)),
        ("/model/vocab/a", json!(1.5)),
        ("/model/vocab/a", json!("x")),
        ("/model/vocab/a", json!(u32::MAX)),
        ("/model/vocab/a", json!(u64::MAX)),
        ("/model/vocab/a", json!(3)),
        ("/model/vocab", json!([])),
        ("/model/merges", json!("x")),
        ("/model/merges/0", json!(["nobody", "knows"])),
        ("/model/merges/0", json!(["a", "zzzz"])),
        ("/model/merges/0", json!(["<|endoftext|>", "<|endoftext|>"])),
        ("/model/merges/0", json!(["a"])),
        ("/model/merges/0", json!("abc")),
        ("/model/merges/0", json!(7)),
        ("/model/continuing_subword_prefix", json!("an exceedingly long prefix")),
        ("/model/type", json!("Nonsense")),
        ("/model/dropout", json!(0.1)),
        ("/added_tokens", json!({"a": 1})),
        ("/added_tokens/0", json!({"id": 1})),
        ("/added_tokens/0", json!(17)),
        ("/pre_tokenizer", json!({"type": "Nonsense"})),
        ("/pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
        ("/pre_tokenizer", json!({"type": "Sequence"})),
        (
            "/pre_tokenizer",
            json!({"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": false}),
        ),
        (
            "/pre_tokenizer",
            json!({"type": "Split", "pattern": {"Regex": "\\p{L}{1000}{1000}{1000}"}, "behavior": "Isolated"}),
        ),
        ("/pre_tokenizer", json!({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Sideways"})),
        ("/pre_tokenizer", json!({"type": "Split"})),
        ("/normalizer", json!({"type": "Nonsense"})),
        ("/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})),
        ("/normalizer", json!({"type": "Replace", "pattern": {"Regex": "(("}, "content": "x"})),
        ("/normalizer", json!({"type": "Replace", "pattern": {"String": "x"}})),
        ("/normalizer", json!({"type": "Prepend", "prepend": ""})),
        ("/decoder", json!({"type": "Nonsense"})),
        ("/decoder", json!({"type": "Strip", "content": "", "start": 1, "stop": 0})),
        ("/decoder", json!(3)),
        ("/post_processor", json!({"type": "Nonsense"})),
        ("/post_processor", json!({"type": "TemplateProcessing"})),
        ("/post_processor", json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}]})),
        ("/post_processor", json!({"type": "BertProcessing", "cls": ["x", -1], "sep": ["y", 2]})),
    ];
    for (pointer, value) in bad {
        let result = changed(pointer, value.clone());
        assert!(result.is_err(), "{pointer} = {value}");
        let (code, message) = code(result);
        assert!(matches!(code, "bad_tokenizer" | "unsupported"), "{pointer} = {value}: {code}");
        assert!(message.len() < 1000 && message.contains("found"), "{message}");
    }
    let double =
        json!({"type": "TemplateProcessing", "single": [{"Sequence": {}}, {"Sequence": {}}], "special_tokens": {}});
    let doubles = json!({"type": "Sequence", "processors": vec![double; 64]});
    assert_eq!(code(changed("/post_processor", doubles)).0, "bad_tokenizer");
}

/// What a hostile file may do is bounded: it ends, with an error or a result, and does not panic.
#[test]
fn hostile_tokenizers_end() {
    let text = "a".repeat(5000) + "!";
    for regex in ["(a+)+$", "(?=(a+)+$)a", "(a|aa)+(?!\\S)b", "(.*)\\1\\1$", "x*", "(?:)", "\\b", "(?<=a)"] {
        let split = json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
        let Ok(tokenizer) = changed("/pre_tokenizer", split) else { continue };
        let begin = std::time::Instant::now();
        let split = tokenizer.encode(&text, false).map(|_| ());
        let replace = json!({"type": "Replace", "pattern": {"Regex": regex}, "content": "é"});
        let replaced = changed("/normalizer", replace).unwrap().encode(&text, false).map(|_| ());
        for error in [split, replaced].into_iter().filter_map(Result::err) {
            assert_eq!(error.code(), "bad_tokenizer", "{regex}");
        }
        assert!(begin.elapsed().as_secs() < 10, "{regex}: {:?}", begin.elapsed());
    }
    // Truncation and padding never apply, and their arithmetic is never done.
    let truncation = json!({"max_length": 0, "strategy": "LongestFirst", "stride": 9, "direction": "Right"});
    assert!(changed("/truncation", truncation).unwrap().encode(&text, false).unwrap().len() > 10);
    for decoder in [
        json!({"type": "Strip", "content": "a", "start": 3, "stop": 9}),
        json!({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1u64 << 40, "stop": 0}]}),
        json!({"type": "Sequence", "decoders": []}),
    ] {
        let tokenizer = changed("/decoder", decoder).unwrap();
        for seed in 0..50 {
            tokenizer.decode(&random_ids(seed, 500), false).unwrap();
        }
        assert_eq!(tokenizer.decode(&[], false).unwrap(), "");
        assert_eq!(tokenizer.decode(&[u32::MAX, 1 << 31], false).unwrap(), "");
    }
}

#[test]
fn bad_gguf_vocabularies() {
    let good = || small_sentencepiece(&[("a", -1.0)]);
    assert!(from_gguf(&good().bytes()).is_ok());
    let replaced = |name: &str, with: Gguf| {
        let mut gguf = good();
        gguf.pairs.retain(|(key, ..)| !key.ends_with(name));
        gguf.pairs.extend(with.pairs.into_iter().skip(1));
        from_gguf(&gguf.bytes())
    };
    let none = || Gguf::new("");
    let bad = [
        replaced("scores", none()),
        replaced("scores", none().floats("scores", vec![0.0; 3])),
        replaced("scores", none().floats("scores", vec![f32::NAN; 4])),
        replaced("token_type", none().ints("token_type", vec![1; 9])),
        replaced("token_type", none().ints("token_type", vec![1, 99, -1, i32::MAX])),
        replaced("tokens", none()),
        replaced("tokens", none().strings("tokens", Vec::new())),
        replaced("model", none()),
        replaced("model", none().string("model", "bert")),
        replaced("model", none().string("model", "gpt2")),
        replaced("model", none().int("model", 3)),
        replaced("nothing", none().int("bos_token_id", 4)),
        replaced("nothing", none().string("eos_token_id", "x")),
        replaced("nothing", none().string("add_bos_token", "x")),
    ];
    for result in bad {
        let (code, message) = code(result);
        assert!(matches!(code, "bad_tokenizer" | "unsupported" | "bad_config"), "{code}: {message}");
    }
    // A count that the file cannot hold, before anything is made for it.
    let claim = [8u32.to_le_bytes().to_vec(), 10_000_000u64.to_le_bytes().to_vec()].concat();
    assert!(matches!(from_gguf(&none().with("tokens", 9, claim).bytes()), Err(Error::BadFile { .. })));
    // Without types, whatever the ids say is special.
    assert!(replaced("token_type", none().int("bos_token_id", 1)).unwrap().is_special(1));
    // 4294967295 says no more than no key at all.
    assert_eq!(replaced("nothing", none().int("eos_token_id", u32::MAX)).unwrap().eos_token_id(), Some(2));
}
