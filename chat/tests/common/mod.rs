//! The fixtures of tests/fixtures/chat, for the tests beside this folder.

use minijinja::Value;
use std::path::PathBuf;

/// Conversations, and what they are rendered with besides.
pub struct Fixtures {
    conversations: Value,
    special: Value,
    pub now: i64,
    pub expected: Value,
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/chat")
}

/// A JSON file, with its keys in their order.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

pub fn get(value: &Value, key: &str) -> Value {
    value.get_item(&Value::from(key)).unwrap()
}

pub fn keys(value: &Value) -> Vec<String> {
    value.try_iter().unwrap().map(|key| key.to_string()).collect()
}

impl Fixtures {
    pub fn read() -> Self {
        let expected = json("expected.json");
        let special = get(&expected, "special_tokens");
        let now = get(&expected, "now").as_i64().unwrap();
        Self { conversations: json("conversations.json"), special, now, expected: get(&expected, "texts") }
    }

    pub fn names(&self) -> Vec<String> {
        keys(&self.conversations)
    }

    /// The conversation of that name with the special tokens, as the template is given it.
    pub fn context(&self, name: &str) -> String {
        let conversation = get(&self.conversations, name);
        let both = [&self.special, &conversation].map(|map| {
            keys(map).into_iter().map(|key| format!("{key:?}:{}", serde_json::to_string(&get(map, &key)).unwrap()))
        });
        format!("{{{}}}", both.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}
