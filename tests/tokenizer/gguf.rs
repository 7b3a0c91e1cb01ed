//! GGUF files made in memory: a header with tokenizer metadata and no tensors.

/// The pairs of a header.
pub struct Gguf {
    pub pairs: Vec<(String, u32, Vec<u8>)>,
}

impl Gguf {
    pub fn new(model: &str) -> Self {
        Self { pairs: Vec::new() }.string("model", model)
    }

    pub fn with(mut self, name: &str, kind: u32, value: Vec<u8>) -> Self {
        self.pairs.push((format!("tokenizer.ggml.{name}"), kind, value));
        self
    }

    fn text(value: &str) -> Vec<u8> {
        [&(value.len() as u64).to_le_bytes(), value.as_bytes()].concat()
    }

    fn array(kind: u32, values: Vec<Vec<u8>>) -> Vec<u8> {
        [kind.to_le_bytes().to_vec(), (values.len() as u64).to_le_bytes().to_vec(), values.concat()].concat()
    }

    pub fn string(self, name: &str, value: &str) -> Self {
        let value = Self::text(value);
        self.with(name, 8, value)
    }

    pub fn int(self, name: &str, value: u32) -> Self {
        self.with(name, 4, value.to_le_bytes().to_vec())
    }

    pub fn flag(self, name: &str, value: bool) -> Self {
        self.with(name, 7, vec![value.into()])
    }

    pub fn strings(self, name: &str, values: Vec<String>) -> Self {
        self.with(name, 9, Self::array(8, values.iter().map(|v| Self::text(v)).collect()))
    }

    pub fn floats(self, name: &str, values: Vec<f32>) -> Self {
        self.with(name, 9, Self::array(6, values.iter().map(|v| v.to_le_bytes().to_vec()).collect()))
    }

    pub fn ints(self, name: &str, values: Vec<i32>) -> Self {
        self.with(name, 9, Self::array(5, values.iter().map(|v| v.to_le_bytes().to_vec()).collect()))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [b"GGUF".as_slice(), &3u32.to_le_bytes(), &0u64.to_le_bytes()].concat();
        bytes.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.pairs {
            bytes.extend(Self::text(key));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes
    }
}

/// A sentencepiece vocabulary: unknown, begin, end, then tokens with their scores.
pub fn small_sentencepiece(tokens: &[(&str, f32)]) -> Gguf {
    let special = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)];
    let all: Vec<_> = special.iter().chain(tokens).collect();
    let kinds = (0..all.len()).map(|id| [2, 3, 3].get(id).copied().unwrap_or(1)).collect();
    Gguf::new("llama")
        .strings("tokens", all.iter().map(|(t, _)| t.to_string()).collect())
        .floats("scores", all.iter().map(|(_, s)| *s).collect())
        .ints("token_type", kinds)
}
