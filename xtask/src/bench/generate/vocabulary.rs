//! A vocabulary of GPT-2's kind and size for models that only need one to be measured: byte-level merges over words of
//! three and four letters. A model with random weights writes any token, and a peer stops at text that is not UTF-8: so
//! every token is plain ASCII, and bytes beyond are names like `zz200zz` that no text leads to.
use anyhow::{Result, ensure};
use inkling::text::Tokenizer;
use serde_json::{Value, json};

const LETTERS: std::ops::RangeInclusive<char> = 'a'..='z';
/// How the byte-level alphabet writes a space.
const SPACE: char = 'Ġ';
/// The last token.
pub const END: &str = "<|endoftext|>";

/// The tokens in their order, and the merges that make them.
pub struct Vocabulary {
    tokens: Vec<String>,
    merges: Vec<(String, String)>,
}

impl Vocabulary {
    /// One of so many tokens.
    pub fn new(size: usize) -> Self {
        let mut tokens: Vec<String> = (0..=255).map(byte).collect();
        let mut merges = Vec::new();
        let pairs = || LETTERS.flat_map(|a| LETTERS.map(move |b| (a.to_string(), b.to_string())));
        let triples = || pairs().flat_map(|(a, b)| LETTERS.map(move |c| (format!("{a}{b}"), c.to_string())));
        let words = || triples().map(|(ab, c)| (SPACE.to_string(), format!("{ab}{c}")));
        let longer = triples().flat_map(|(ab, c)| LETTERS.map(move |d| (format!("{ab}{c}"), d.to_string())));
        let wanted = size.saturating_sub(tokens.len() + 1);
        for (left, right) in pairs().chain(triples()).chain(words()).chain(longer).take(wanted) {
            tokens.push(format!("{left}{right}"));
            merges.push((left, right));
        }
        tokens.push(END.into());
        Self { tokens, merges }
    }

    /// Words with a space before them that are one token each, in an order of their own.
    pub fn words(&self) -> Vec<(u32, String)> {
        // Of letters that ascend the first two are merged first, and so on to the whole.
        let ascending = |word: &str| word.len() == 3 && word.as_bytes().is_sorted_by(|a, b| a < b);
        let named = (0u32..).zip(&self.tokens);
        let words = named.filter_map(|(id, token)| {
            let word = token.strip_prefix(SPACE)?;
            ascending(word).then(|| (id, format!(" {word}")))
        });
        words.collect()
    }

    /// As tokenizer.json.
    pub fn tokenizer_json(&self) -> String {
        let end = self.tokens.len() - 1;
        let vocabulary: serde_json::Map<String, Value> =
            (0..).zip(&self.tokens).map(|(id, token): (u32, _)| (token.clone(), json!(id))).collect();
        let bytes = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "added_tokens": [{
                "id": end, "content": END, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            }],
            "pre_tokenizer": bytes(true), "post_processor": bytes(true), "decoder": bytes(true),
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "vocab": vocabulary, "merges": self.merges,
            },
        })
        .to_string()
    }

    /// That the words are one token each.
    pub fn check(&self) -> Result<()> {
        let tokenizer = Tokenizer::from_json(&self.tokenizer_json())?;
        let words = self.words();
        let (ids, text): (Vec<u32>, Vec<&str>) = words.iter().map(|(id, word)| (*id, word.as_str())).unzip();
        let found = tokenizer.encode(&text.concat(), false)?;
        ensure!(found == ids, "expected a token for each of {} words, found {} tokens", ids.len(), found.len());
        Ok(())
    }
}

/// The token of a byte, with the letters GPT-2 writes bytes in.
fn byte(byte: u8) -> String {
    // Control characters and the space follow each other from 256 on; 127 comes after the first 33 of them.
    match byte {
        0..=32 => char::from_u32(256 + u32::from(byte)).map(String::from).unwrap_or_default(),
        127 => char::from_u32(256 + 33).map(String::from).unwrap_or_default(),
        33..=126 => char::from(byte).to_string(),
        128.. => format!("zz{byte}zz"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_size_asked_for_and_words_that_are_tokens() {
        for size in [50_257, 49_152] {
            let vocabulary = Vocabulary::new(size);
            assert_eq!(vocabulary.tokens.len(), size);
            let different: std::collections::HashSet<_> = vocabulary.tokens.iter().collect();
            assert_eq!(different.len(), size);
            assert_eq!(vocabulary.words().len(), 2600);
            vocabulary.check().unwrap();
        }
    }

    #[test]
    fn bytes_have_the_letters_of_gpt2() {
        assert_eq!([byte(b' '), byte(b'A'), byte(0), byte(127)], ["Ġ", "A", "Ā", "ġ"]);
    }
}
