//! Builds small safetensors and GGUF files in memory, right ones and wrong ones: nothing here checks anything.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::Cursor;

use inkling::files::Files;

/// Files in memory.
pub fn files(list: &[(&str, &[u8])]) -> Files {
    let mut files = Files::new();
    for (name, bytes) in list {
        files.insert(*name, Box::new(Cursor::new(bytes.to_vec())));
    }
    files
}

/// A committed fixture of `tests/fixtures/gguf`.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/gguf/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A safetensors file with this header and this much data.
pub fn safetensors_raw(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend((0..data).map(|i| i as u8));
    file
}

/// A safetensors file of F32 vectors: names and lengths.
pub fn safetensors(tensors: &[(&str, usize)]) -> Vec<u8> {
    let mut at = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, len)| {
            let from = at;
            at += 4 * len;
            format!(r#""{name}":{{"dtype":"F32","shape":[{len}],"data_offsets":[{from},{at}]}}"#)
        })
        .collect();
    safetensors_raw(&format!("{{{}}}", entries.join(",")), at)
}

/// A GGUF file in the making.
pub struct Gguf {
    pub version: u32,
    /// What the header claims there are; `None` for the truth.
    pub tensor_count: Option<u64>,
    pub pair_count: Option<u64>,
    /// How many there are, and their bytes.
    pub pairs: (u64, Vec<u8>),
    pub tensors: (u64, Vec<u8>),
    pub data: usize,
}

/// A string as GGUF stores it.
pub fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    pub fn new() -> Self {
        Self {
            version: 3,
            tensor_count: None,
            pair_count: None,
            pairs: (0, Vec::new()),
            tensors: (0, Vec::new()),
            data: 0,
        }
    }

    /// Adds a key with a value type and the bytes of the value.
    pub fn pair(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.pairs.0 += 1;
        self.pairs.1.extend([&string(key), &kind.to_le_bytes()[..], value].concat());
        self
    }

    /// Adds an entry to the table of tensors; `dims` innermost first.
    pub fn tensor(mut self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        self.tensors.0 += 1;
        self.tensors.1.extend(string(name));
        self.tensors.1.extend((dims.len() as u32).to_le_bytes());
        self.tensors.1.extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
        self.tensors.1.extend(kind.to_le_bytes());
        self.tensors.1.extend(offset.to_le_bytes());
        self
    }

    /// How many bytes of tensors follow the header.
    pub fn data(mut self, len: usize) -> Self {
        self.data = len;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend(self.tensor_count.unwrap_or(self.tensors.0).to_le_bytes());
        file.extend(self.pair_count.unwrap_or(self.pairs.0).to_le_bytes());
        file.extend(&self.pairs.1);
        file.extend(&self.tensors.1);
        file.resize(file.len().next_multiple_of(32), 0);
        file.resize(file.len() + self.data, 1);
        file
    }
}
