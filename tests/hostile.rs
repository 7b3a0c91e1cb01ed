//! Damaged and malicious model files: each is refused with the right code, or loads; none panics, hangs, or takes
//! memory that its size does not justify.

mod containers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use containers::{Gguf, files, fixture, safetensors, safetensors_raw, string};
use inkling::Result;
use inkling::weights::Weights;

/// What all tests of this program together may hold at any time: far more than they need, far less than the lengths
/// the files claim.
const LIMIT: usize = 64 << 20;

/// The system's allocator, with the most that was ever held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn assert_frugal(what: &str) {
    assert!(PEAK.load(Relaxed) < LIMIT, "{what}: {} bytes of memory at the peak", PEAK.load(Relaxed));
}

/// Opens a GGUF file and reads all that is in it.
fn gguf(bytes: &[u8]) -> Result<()> {
    let mut files = files(&[("model.gguf", bytes)]);
    read_all(Weights::gguf(&mut files, "model.gguf")?)
}

/// Opens a safetensors file and reads all that is in it.
fn safe(bytes: &[u8]) -> Result<()> {
    read_all(Weights::safetensors(&mut files(&[("model.safetensors", bytes)]))?)
}

fn read_all(mut weights: Weights) -> Result<()> {
    let names: Vec<String> = weights.names().map(str::to_string).collect();
    for name in names {
        if let Some(info) = weights.info(&name) {
            let (format, len) = (info.format, info.shape.iter().product());
            let mut out = vec![0f32; len];
            format.dequantize(&weights.read(&name)?, &mut out);
        }
    }
    Ok(())
}

/// The outcome must be an error with this code, whose message mentions all of these.
fn refused(outcome: Result<()>, code: &str, mentions: &[&str]) {
    let error = outcome.expect_err(&format!("should be refused: {code} {mentions:?}"));
    assert_eq!(error.code(), code, "{error}");
    for mention in mentions {
        assert!(error.to_string().contains(mention), "{mention:?} is not in: {error}");
    }
    assert_frugal(&error.to_string());
}

/// Whatever a damaged file leads to, it must be a fault of the file.
fn survived(outcome: Result<()>, what: &str) {
    if let Err(error) = outcome {
        let code = error.code();
        assert!(["bad_file", "bad_tensor", "bad_config", "unsupported"].contains(&code), "{what}: {code}: {error}");
    }
    assert_frugal(what);
}

/// A small repeatable source of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// Changes a few bytes among the first `header`, so that lengths, types and offsets are hit often.
fn damage(random: &mut Random, file: &[u8], header: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(header.min(file.len()));
        file[at] = match random.below(4) {
            0 => 0xff,
            1 => 0,
            2 => file[at] ^ 1 << random.below(8),
            _ => random.below(256) as u8,
        };
    }
    file
}

#[test]
fn every_truncation() {
    let version2 = fixture("version2.gguf");
    for len in 0..version2.len() {
        let code = if len == 0 { "an empty file" } else { "" };
        // The writer pads the last tensor (12 bytes) to 64; without its padding the file is whole.
        if len >= version2.len() - 52 {
            gguf(&version2[..len]).unwrap();
        } else {
            refused(gguf(&version2[..len]), "bad_file", &[code]);
        }
    }
    let formats = fixture("formats.gguf");
    for len in (0..formats.len()).step_by(7) {
        refused(gguf(&formats[..len]), "bad_file", &[]);
    }
    let mixed = fixture("mixed.safetensors");
    for len in 0..mixed.len() {
        refused(safe(&mixed[..len]), "bad_file", &[]);
    }
}

#[test]
fn random_damage() {
    let mut random = Random(0x1571);
    let (formats, version2) = (fixture("formats.gguf"), fixture("version2.gguf"));
    let mixed = fixture("mixed.safetensors");
    for round in 0..6000 {
        survived(gguf(&damage(&mut random, &formats, 1800)), &format!("formats.gguf, round {round}"));
        survived(gguf(&damage(&mut random, &version2, 500)), &format!("version2.gguf, round {round}"));
        survived(safe(&damage(&mut random, &mixed, 400)), &format!("mixed.safetensors, round {round}"));
    }
}

#[test]
fn other_kinds_of_file() {
    let html = b"\n<!DOCTYPE html><html><body>404</body></html>, with some length to it";
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    for (bytes, kind) in [
        (&html[..], "HTML"),
        (b"<HTML>", "HTML"),
        (lfs, "git-lfs"),
        (b"PK\x03\x04 and so on, a torch.save", "ZIP"),
        (b"", "empty"),
        (b"{\"error\":\"Repository not found\"}", "JSON"),
    ] {
        refused(gguf(bytes), "bad_file", &["model.gguf", "GGUF", kind]);
        refused(safe(bytes), "bad_file", &["model.safetensors", kind]);
        let mut files = files(&[("config.json", bytes), ("empty", b"")]);
        if kind != "JSON" {
            let error = files.read_json::<serde_json::Value>("config.json", 1000).unwrap_err();
            assert!(error.code() == "bad_file" && error.to_string().contains(kind), "{error}");
        }
    }
    refused(safe(&Gguf::new().bytes()), "bad_file", &["a GGUF file"]);
    refused(gguf(&safetensors(&[("x", 1)])), "bad_file", &["a safetensors file"]);
}

#[test]
fn gguf_versions_and_counts() {
    gguf(&Gguf::new().bytes()).unwrap();
    let version = |version| Gguf { version, ..Gguf::new() }.bytes();
    gguf(&version(2)).unwrap();
    refused(gguf(&version(1)), "unsupported", &["1"]);
    refused(gguf(&version(4)), "unsupported", &["4"]);
    refused(gguf(&version(3u32.swap_bytes())), "unsupported", &["big-endian"]);
    for count in [1, 1 << 20, u64::from(u32::MAX), 1 << 60, u64::MAX] {
        let bytes = Gguf { tensor_count: Some(count), ..Gguf::new() }.bytes();
        refused(gguf(&bytes), "bad_file", &["tensors"]);
        let bytes = Gguf { pair_count: Some(count), ..Gguf::new() }.bytes();
        refused(gguf(&bytes), "bad_file", &[]);
    }
}

#[test]
fn gguf_values() {
    let pair = |kind: u32, value: &[u8]| gguf(&Gguf::new().pair("key", kind, value).data(64).bytes());
    let array = |kind: u32, len: u64, values: &[u8]| [&kind.to_le_bytes()[..], &len.to_le_bytes(), values].concat();
    for len in [1 << 20, 1 << 40, u64::MAX] {
        refused(pair(8, &len.to_le_bytes()), "bad_file", &["bytes of text"]);
        for kind in 0..=12 {
            refused(pair(9, &array(kind, len, &[])), "bad_file", &["key"]);
        }
    }
    refused(pair(8, &[&2u64.to_le_bytes()[..], &[0xff, 0xfe]].concat()), "bad_file", &["UTF-8"]);
    refused(pair(7, &[2]), "bad_file", &["0 or 1"]);
    refused(pair(13, &[0; 8]), "bad_file", &["13"]);
    refused(pair(9, &array(13, 1, &[0; 8])), "bad_file", &["13"]);
    let mut nested = array(0, 0, &[]);
    for _ in 0..3 {
        nested = array(9, 1, &nested);
    }
    pair(9, &nested).unwrap();
    for _ in 0..1000 {
        nested = array(9, 1, &nested);
    }
    refused(pair(9, &nested), "bad_file", &["deep"]);
    let twice = Gguf::new().pair("key", 0, &[1]).pair("key", 0, &[1]).bytes();
    refused(gguf(&twice), "bad_file", &["key a second time"]);
    let split = Gguf::new().pair("split.count", 2, &3u16.to_le_bytes()).bytes();
    refused(gguf(&split), "unsupported", &["split", "3"]);
    for alignment in [0u32, 3, 48, u32::MAX] {
        let bytes = Gguf::new().pair("general.alignment", 4, &alignment.to_le_bytes()).bytes();
        refused(gguf(&bytes), "bad_config", &["general.alignment", "power of two"]);
    }
    let text = Gguf::new().pair("general.alignment", 8, &string("32")).bytes();
    refused(gguf(&text), "bad_config", &["general.alignment"]);
}

#[test]
fn gguf_tensors() {
    let tensor = |dims: &[u64], kind, offset| gguf(&Gguf::new().tensor("t", dims, kind, offset).data(256).bytes());
    tensor(&[64], 0, 0).unwrap();
    tensor(&[0, 5], 0, 0).unwrap();
    tensor(&[], 0, 0).unwrap();
    tensor(&[32, 2, 1, 1], 0, 0).unwrap();
    refused(tensor(&[1; 5], 0, 0), "bad_file", &["4 dimensions"]);
    refused(tensor(&[65], 0, 0), "bad_file", &["260 bytes of tensor t"]);
    refused(tensor(&[64], 0, 32), "bad_file", &["tensor t"]);
    refused(tensor(&[1], 0, 8), "bad_file", &["multiple of 32"]);
    refused(tensor(&[1], 0, u64::MAX - 31), "bad_file", &["tensor t"]);
    refused(tensor(&[1 << 62], 0, 0), "bad_tensor", &["size that can be counted"]);
    refused(tensor(&[u64::MAX, u64::MAX, 2, 2], 0, 0), "bad_tensor", &["size that can be counted"]);
    refused(tensor(&[1 << 40], 0, 0), "bad_file", &["bytes of tensor t"]);
    refused(tensor(&[33], 8, 0), "bad_tensor", &["multiple of 32"]);
    refused(tensor(&[128, 2], 12, 0), "bad_tensor", &["multiple of 256"]);
    refused(tensor(&[1 << 40], 10, 0), "bad_file", &["bytes of tensor t"]);
    tensor(&[8], 99, 0).unwrap();

    let overlapping = Gguf::new().tensor("a", &[16], 0, 0).tensor("b", &[8], 0, 32).data(256).bytes();
    refused(gguf(&overlapping), "bad_file", &["overlap", "a ending", "b beginning"]);
    let twice = Gguf::new().tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).data(64).bytes();
    refused(gguf(&twice), "bad_file", &["a a second time"]);
    let file = Gguf::new().tensor("odd", &[8], 99, 0).data(32).bytes();
    let mut weights = Weights::gguf(&mut files(&[("m.gguf", &file)]), "m.gguf").unwrap();
    assert_eq!(weights.read("odd").unwrap_err().code(), "unsupported");
}

#[test]
fn safetensors_headers() {
    let header = |header: &str| safe(&safetensors_raw(header, 64));
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        header(&format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#))
    };
    header("{}").unwrap();
    entry("F32", "[16]", "[0,64]").unwrap();
    entry("F32", "[]", "[60,64]").unwrap();
    entry("F32", "[0,3]", "[0,0]").unwrap();
    entry("F64", "[3]", "[0,24]").unwrap();
    refused(entry("F32", "[17]", "[0,68]"), "bad_file", &["tensor t", "68"]);
    refused(entry("F32", "[16]", "[64,128]"), "bad_file", &["tensor t"]);
    refused(entry("F32", "[15]", "[0,64]"), "bad_tensor", &["60 bytes", "64 bytes"]);
    refused(entry("F16", "[16]", "[0,64]"), "bad_tensor", &["32 bytes"]);
    refused(entry("F32", "[16]", "[64,0]"), "bad_tensor", &["ascending"]);
    refused(entry("F32", "[4294967296,4294967296]", "[0,0]"), "bad_tensor", &["addressable"]);
    refused(entry("F32", "[16]", "[18446744073709551552,18446744073709551615]"), "bad_tensor", &["order"]);
    refused(entry("I64", "[16]", "[0,18446744073709551615]"), "bad_file", &["t"]);
    for shape in ["[-1]", "[1.5]", "[1e3]", "\"16\"", "null", "[[16]]", "[99999999999999999999]"] {
        refused(entry("F32", shape, "[0,64]"), "bad_file", &["JSON"]);
    }
    refused(entry("F32", "[1,1,1,1,1,1,1,1,16]", "[0,64]"), "bad_file", &["8 dimensions"]);
    refused(entry("F32", "[16]", "[0]"), "bad_file", &["JSON"]);
    refused(entry("F32", "[16]", "[-64,0]"), "bad_file", &["JSON"]);
    for text in ["", "{", "[]", "{\"t\":1}", "{\"t\":{}}", "{\"t\":[[[[", "{} trailing"] {
        refused(header(text), "bad_file", &[]);
    }
    refused(header(&format!("{{\"__metadata__\":{}", "[".repeat(100_000))), "bad_file", &[]);
    let two = r#"{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"b":{"dtype":"F32","shape":[8],"data_offsets":[28,60]}}"#;
    refused(header(two), "bad_file", &["overlap"]);
    let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    refused(header(twice), "bad_file", &["a a second time"]);
    for len in [65u64, 100_000_001, 1 << 40, u64::MAX] {
        let mut file = safetensors_raw("{}", 62);
        file[..8].copy_from_slice(&len.to_le_bytes());
        refused(safe(&file), "bad_file", &["model.safetensors", &len.to_string()]);
    }
}

#[test]
fn safetensors_shards() {
    let (a, b) = (safetensors(&[("x", 1)]), safetensors(&[("y", 1)]));
    let open = |index: &str, a: &[u8], b: &[u8]| {
        let list = [("model.safetensors.index.json", index.as_bytes()), ("a.safetensors", a), ("b.safetensors", b)];
        Weights::safetensors(&mut files(&list)).and_then(read_all)
    };
    let index = r#"{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}"#;
    open(index, &a, &b).unwrap();
    refused(open(index, &a, &a), "bad_file", &["b.safetensors", "x a second time"]);
    refused(open(index, &b, &a), "missing_tensor", &["x", "a.safetensors"]);
    refused(open(index, &a, &safetensors(&[("z", 1)])), "missing_tensor", &["y", "b.safetensors"]);
    refused(open(index, &a, b"<!doctype html><p>Not found"), "bad_file", &["b.safetensors", "HTML"]);
    refused(open(r#"{"weight_map":{"x":"c.safetensors"}}"#, &a, &b), "missing_file", &["c.safetensors"]);
    refused(open(r#"{"weight_map":{"x":"../../etc/passwd"}}"#, &a, &b), "missing_file", &["passwd"]);
    refused(open("{}", &a, &b), "bad_file", &["weight_map"]);
    refused(open(r#"{"weight_map":{"x":1}}"#, &a, &b), "bad_file", &[]);
    refused(open("<!DOCTYPE html>", &a, &b), "bad_file", &["HTML"]);
    let several = Weights::safetensors(&mut files(&[("a.safetensors", &a), ("b.safetensors", &b)]));
    refused(several.and_then(read_all), "missing_file", &["index"]);
    refused(Weights::safetensors(&mut files(&[])).and_then(read_all), "missing_file", &["no files"]);
    let pickle = Weights::safetensors(&mut files(&[("pytorch_model.bin", b"PK")]));
    refused(pickle.and_then(read_all), "missing_file", &["pytorch_model.bin"]);
}
