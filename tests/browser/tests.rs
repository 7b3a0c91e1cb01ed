//! Tests of the built page, as a person and as another site's developer meet it. `cargo xtask test page` runs them.
mod accessible;
mod api;
mod builds;
mod chat;
#[path = "../common/mod.rs"]
mod common;
mod driver;
mod hosts;
mod inside;
mod lessons;
mod models;
mod offline;
mod readers;
mod store;
mod tasks;
mod training;

use driver::Page;
use hosts::{Host, dist, reference};
use serde_json::{Value, json};
use xtask::browser::Browser;

const PROMPT: &str = "Once upon a time";

#[tokio::test]
async fn a_typed_text_is_continued_token_by_token() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    assert_eq!(page.eval("return crossOriginIsolated", vec![]).await, json!(true));

    page.write(PROMPT).await;
    page.set("max_new_tokens", json!(100)).await;
    page.set("min_new_tokens", json!(100)).await;
    let watch = "
        const text = document.querySelector('#document');
        window.lengths = [text.value.length];
        setInterval(() => { if (text.value.length !== lengths.at(-1)) lengths.push(text.value.length); }, 1);";
    page.eval(watch, vec![]).await;
    let text = page.generate().await;

    assert!(text.starts_with(PROMPT) && text.len() > PROMPT.len() + 20, "continued: {text:?}");
    let lengths = page.eval("return lengths", vec![]).await;
    let lengths: Vec<u64> = lengths.as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    // At least one look between the first and the last: a small model writes a hundred tokens in a few frames.
    assert!(lengths.len() > 2, "the text grew in steps: {lengths:?}");
    assert!(lengths.is_sorted(), "the text only grew: {lengths:?}");
    let marked = page.shown("mark.model").await;
    assert!(!marked.is_empty() && text.contains(&marked), "the model's words are marked: {marked:?}");
    let speed = page.shown("#speed-decode").await;
    assert!(speed.contains(|c: char| c.is_ascii_digit()), "the speed is shown: {speed:?}");
    page.finish().await;
}

#[tokio::test]
async fn control_enter_generates_and_undo_takes_it_back() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.write(PROMPT).await;
    page.set("max_new_tokens", json!(10)).await;
    page.type_keys("\u{e009}\u{e007}").await;
    page.wait_for(
        "a longer text",
        "return document.querySelector('#document').value.length > arguments[0]",
        json!(PROMPT.len()),
    )
    .await;
    page.wait_for_end().await;
    page.click("#undo").await;
    assert_eq!(page.text().await, PROMPT);
    page.finish().await;
}

#[tokio::test]
async fn escape_and_the_stop_button_stop_in_mid_stream() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.set("seed", json!(7)).await;
    page.set("max_new_tokens", json!(200)).await;
    page.set("min_new_tokens", json!(200)).await;
    page.write(PROMPT).await;
    let whole = page.generate().await;

    let escape =
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));";
    for action in [escape, "document.querySelector('#stop').click();"] {
        page.write(PROMPT).await;
        page.once_text_grows(action).await;
        let stopped = page.generate().await;
        assert!(stopped.len() > PROMPT.len(), "some text came before the stop");
        assert!(whole.starts_with(&stopped), "{stopped:?} begins {whole:?}");
        assert!(stopped.len() < whole.len() / 2, "stopped early: {} of {} bytes", stopped.len(), whole.len());
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(page.text().await, stopped, "nothing comes after the stop");
    }
    page.write(PROMPT).await;
    assert_eq!(page.generate().await, whole, "a stopped model goes on as if nothing had happened");
    page.finish().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_text() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.set("do_sample", json!(true)).await;
    page.set("temperature", json!(1)).await;
    page.set("max_new_tokens", json!(40)).await;
    let mut texts = Vec::new();
    for seed in [42, 42, 43] {
        page.set("seed", json!(seed)).await;
        page.write(PROMPT).await;
        texts.push(page.generate().await);
    }
    assert_eq!(texts[0], texts[1], "seed 42 twice");
    assert_ne!(texts[0], texts[2], "seeds 42 and 43");
    page.reload().await;
    page.set("do_sample", json!(true)).await;
    page.set("temperature", json!(1)).await;
    page.set("max_new_tokens", json!(40)).await;
    page.set("seed", json!(42)).await;
    page.write(PROMPT).await;
    assert_eq!(page.generate().await, texts[0], "seed 42 after a reload");
    page.finish().await;
}

#[tokio::test]
async fn a_bad_file_is_an_error_and_the_model_stays() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let folder = std::env::temp_dir().join(format!("inkling-bad-file-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let bad = folder.join("model.gguf");
    std::fs::write(&bad, "<!doctype html><title>404 Not Found</title>").unwrap();

    page.choose(&bad).await;
    page.wait_for("an error", "return document.querySelector('#error').textContent.trim() !== ''", Value::Null).await;
    let code = page.eval("return document.querySelector('#error').dataset.code", vec![]).await;
    assert_eq!(code, json!("bad_file"), "{}", page.shown("#error").await);
    page.set("max_new_tokens", json!(20)).await;
    page.write(PROMPT).await;
    assert!(page.generate().await.len() > PROMPT.len(), "the model that was loaded still works");
    std::fs::remove_dir_all(&folder).unwrap();
    page.reload().await;
    assert_eq!(page.shown("#error").await, "", "a reload starts clean");
    page.finish().await;
}

#[tokio::test]
async fn a_dropped_stories260k_gives_its_reference_text() {
    let Some(dist) = dist() else { return };
    let (Some(model), Some(text), Some(ids)) =
        (reference("stories260K.gguf"), reference("stories260K_greedy.txt"), reference("stories260K_greedy_ids.json"))
    else {
        return;
    };
    let expected = std::fs::read_to_string(text).unwrap();
    let ids: Value = serde_json::from_str(&std::fs::read_to_string(ids).unwrap()).unwrap();
    let count = |field: &str| ids[field].as_array().unwrap().len();
    // The reference begins after the token that opens a text; the prompt's ids include that token.
    let new_tokens = count("ids") - (count("encode_Once_upon_a_time") - 1);

    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.drop_file(&model).await;
    page.wait_for(
        "stories260K",
        "return document.querySelector('#model-name').textContent.includes('stories260K')",
        Value::Null,
    )
    .await;
    page.wait_for_state("ready").await;
    page.set("do_sample", json!(false)).await;
    page.set("max_new_tokens", json!(new_tokens)).await;
    page.write(PROMPT).await;
    assert_eq!(page.generate().await.trim_end(), expected.trim_end());
    page.finish().await;
}

#[tokio::test]
async fn the_site_works_below_a_path() {
    let Some(dist) = dist() else { return };
    let host = Host::below("/some/sub/", &dist).await;
    continues(&host.address("/some/sub/")).await;
}

#[tokio::test]
async fn a_page_of_someone_else_generates_text() {
    let Some(dist) = dist() else { return };
    let path = "/blog/2026/post.html";
    let host = Host::of_someone_else(embedding("/vendor/inkling/"), path, Some(("/vendor/inkling/", &dist))).await;
    generates_alone(&host.address(path)).await;
}

#[tokio::test]
async fn a_page_of_another_origin_generates_text() {
    let Some(dist) = dist() else { return };
    let shared = Host::shared(&dist).await;
    let host = Host::of_someone_else(embedding(&shared.address("/")), "/", None).await;
    generates_alone(&host.address("/")).await;
}

#[tokio::test]
async fn no_request_leaves_the_origin() {
    let Some(dist) = dist() else { return };
    let (host, elsewhere) = (Host::watched(&dist).await, Host::plain(&dist).await);
    let page = continues(&host.address("/")).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(host.reports(), Vec::<String>::new());

    // The watch itself works: from a worker, too, a request to elsewhere is seen.
    let stray = "
        const source = `fetch('${arguments[0]}', { mode: 'no-cors' }).catch(() => {})`;
        new Worker(URL.createObjectURL(new Blob([source])));";
    page.eval(stray, vec![json!(elsewhere.address("/index.html"))]).await;
    let start = std::time::Instant::now();
    while host.reports().is_empty() {
        assert!(start.elapsed().as_secs() < 20, "a request to another origin was reported");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_page_speaks_chinese() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let english = page.shown("#generate").await;
    let choose = "
        const select = document.querySelector('#language');
        select.value = 'zh'; select.dispatchEvent(new Event('change', { bubbles: true }));";
    page.eval(choose, vec![]).await;
    page.wait_for("Chinese", "return document.documentElement.lang.startsWith('zh')", Value::Null).await;
    assert_ne!(page.shown("#generate").await, english);
    page.finish().await;
}

/// Opens the site, has the model continue a text, and gives the page back.
async fn continues(address: &str) -> Page {
    continues_in(&Browser::find().expect("chromium and chromedriver"), address).await
}

/// The same in this browser.
async fn continues_in(browser: &Browser, address: &str) -> Page {
    let page = Page::open_in(browser, address).await;
    page.wait_for_state("ready").await;
    page.set("max_new_tokens", json!(20)).await;
    page.write(PROMPT).await;
    let text = page.generate().await;
    assert!(text.len() > PROMPT.len(), "continued: {text:?}");
    assert_eq!(page.console().await, Vec::<String>::new(), "the console has no errors");
    page
}

/// Someone else's page, as the README shows it; `site` is where they put the built folder.
fn embedding(site: &str) -> String {
    format!(
        r#"<!doctype html>
<meta charset="utf-8"><link rel="icon" href="data:,"><title>Someone else's page</title>
<p id="out"></p>
<script type="module">
  import {{ load }} from '{site}inkling.js';
  const model = await load({{ url: '{site}models/stories/model.gguf' }});
  for await (const e of model.generate('Once upon a time', {{ max_new_tokens: 30, do_sample: false }}))
    document.querySelector('#out').textContent += e.text;
  document.body.dataset.state = 'ready';
</script>"#
    )
}

/// Opens someone else's page and waits for the text it generates by itself.
async fn generates_alone(address: &str) {
    let page = Page::ready(address).await;
    let text = page.shown("#out").await;
    assert!(text.len() > 20, "generated {text:?}");
    page.finish().await;
}
