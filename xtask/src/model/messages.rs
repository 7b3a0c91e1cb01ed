//! Messages from the command line: the text that the model's chat template makes of them.

use anyhow::{Context, Result, bail, ensure};
use inkling::Engine;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A conversation in a file.
#[derive(clap::Args)]
pub struct Conversation {
    /// A JSON file of messages, [{"role","content"}], or an object with messages, tools, documents, for the model's chat
    /// template
    #[arg(long)]
    messages: Option<PathBuf>,
    /// More for the template, as a JSON object: '{"enable_thinking":false}', '{"add_generation_prompt":false}'
    #[arg(long, value_name = "JSON", requires = "messages")]
    chat_template_kwargs: Option<String>,
}

impl Conversation {
    /// The text that the model reads; nothing where no messages were given.
    pub fn text(&self, engine: &Engine) -> Result<Option<String>> {
        let Some(path) = &self.messages else { return Ok(None) };
        let Some(chat) = engine.chat() else {
            bail!("expected a model with a chat template, found one without; give it --prompt or --text");
        };
        let given = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut entries = vec![r#""add_generation_prompt":true"#.to_string()];
        let special: Value = serde_json::to_value(&chat.special_tokens)?;
        entries.extend(inside(&special.to_string(), Path::new("the special tokens"))?);
        match serde_json::from_str(&given).with_context(|| format!("reading {}", path.display()))? {
            Value::Array(_) => entries.push(format!(r#""messages":{given}"#)),
            _ => entries.extend(inside(&given, path)?),
        }
        if let Some(more) = &self.chat_template_kwargs {
            entries.extend(inside(more, Path::new("--chat-template-kwargs"))?);
        }
        let context = format!("{{{}}}", entries.join(","));
        Ok(Some(inkling_chat::render(&chat.template, &context, clock())?))
    }
}

/// What stands between the braces of a JSON object: parsed and written again, its keys would change their order.
fn inside(json: &str, from: &Path) -> Result<Option<String>> {
    let value: Value = serde_json::from_str(json).with_context(|| format!("reading {}", from.display()))?;
    ensure!(value.is_object(), "{}: expected a list of messages or a JSON object, found {value}", from.display());
    let inner = json.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().trim();
    Ok(Some(inner.to_string()).filter(|inner| !inner.is_empty()))
}

/// Seconds since 1970 in UTC: what a template takes for the time of day.
fn clock() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(0)
}
