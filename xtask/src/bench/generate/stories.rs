//! The page as a person meets it: opened, its own model loaded, a text begun; and that model's speed without the page.
use anyhow::{Context, Result, ensure};
use fantoccini::Client;
use serde_json::{Value, json};

use super::task::{CONTEXT, Workload};
use crate::bench::browser::ask;

const MODEL: &str = "/dist/models/stories/model.gguf";
const PROMPT: &str = "Once upon a time, there was a little fox who was afraid of the dark.";
/// The prompt is given as a text; what follows stays within the model's context of 256.
pub const WORKLOAD: Workload = Workload { prompt: 0, new: 192 };
/// Visits before the one that counts: after these the browser has all files, and has compiled the engine well.
const WARM: usize = 2;
/// Writes, in the page, as soon as it is ready: the first token's time since the page was asked for. Then waits until
/// the text has come to its end.
const WRITE: &str = "(async () => {
  const [prompt] = given;
  const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
  const state = () => document.body.dataset.state;
  while (state() === 'loading') await turn();
  if (state() !== 'ready') throw new Error(`expected a page that is ready, found ${state()}`);
  const readyMs = performance.now();
  const area = document.getElementById('document');
  area.value = prompt;
  area.dispatchEvent(new InputEvent('input', { bubbles: true }));
  document.getElementById('generate').click();
  while (area.value.length <= prompt.length) await turn();
  const firstTokenMs = performance.now();
  while (state() === 'generating') await turn();
  return { readyMs, firstTokenMs };
})()";

/// `Task` of xtask/bench/generate/measure.js.
pub fn task() -> Value {
    let run = |tokens: usize, timed: bool| json!({ "ids": [], "text": PROMPT, "newTokens": tokens, "timed": timed });
    json!({ "model": MODEL, "context": CONTEXT, "runs": [run(WORKLOAD.new / 2, false), run(WORKLOAD.new, true)] })
}

/// Opens the page several times in one browser; what the last visit took.
pub async fn open(client: &Client, address: &str) -> Result<Value> {
    let mut last = Value::Null;
    for _ in 0..=WARM {
        client.goto(&format!("{address}/dist/index.html")).await.context("opening the page")?;
        last = ask(client, WRITE, vec![json!(PROMPT)]).await?;
    }
    ensure!(last["firstTokenMs"].is_number(), "expected a time from the page, found {last}");
    Ok(last)
}
