//! The Train view, as a person meets it: from a pasted text to a model that writes, over a reload, and where it refuses.
use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};

/// Opens the Train view with a text pasted, and a number of steps instead of the preset's time.
async fn with_text(host: &Host, text: &str, steps: u32) -> Page {
    let page = Page::ready(&host.address("/")).await;
    page.click("#views [data-view=train]").await;
    page.wait_for("the view", "return document.querySelector('#train-start')?.disabled === false", Value::Null).await;
    set(&page, "#train-paste", json!(text)).await;
    set(&page, "#train-limit", json!(true)).await;
    page.wait_for("a number of steps", "return !document.querySelector('#train-steps').disabled", Value::Null).await;
    set(&page, "#train-steps", json!(steps)).await;
    page
}

/// Sets a control of the view, as a person's typing or choosing would.
async fn set(page: &Page, selector: &str, value: Value) {
    let body = "
        const control = document.querySelector(arguments[0]);
        if (control.type === 'checkbox') control.checked = arguments[1]; else control.value = String(arguments[1]);
        for (const type of ['input', 'change']) control.dispatchEvent(new Event(type, { bubbles: true }));";
    page.eval(body, vec![json!(selector), value]).await;
}

/// Waits for a status of the view: a stage at work, or how the training stands.
async fn wait_for_status(page: &Page, status: &str) {
    let body = "return document.querySelector('#train').dataset.status === arguments[0]";
    page.wait_for(&format!("status {status}"), body, json!(status)).await;
}

/// Waits for so many measurements on the held-out text.
async fn wait_for_measurements(page: &Page, count: usize) {
    let body = "return document.querySelectorAll('#train-curve circle').length >= arguments[0]";
    page.wait_for(&format!("{count} points of the loss"), body, json!(count)).await;
}

/// The step shown, of all steps.
async fn step(page: &Page) -> u64 {
    let shown = page.shown("#train-at").await;
    let step = shown.split('/').next().unwrap_or_default().replace(',', "");
    step.trim().parse().unwrap_or_else(|error| panic!("a step in {shown:?}: {error}"))
}

/// A text that ships with the page.
fn corpus(dist: &std::path::Path) -> String {
    std::fs::read_to_string(dist.join("corpora/village-en.txt")).expect("the page's own text")
}

#[tokio::test]
async fn a_pasted_text_becomes_a_model_that_writes() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = with_text(&host, &corpus(&dist), 100).await;
    page.click("#train-start").await;
    wait_for_measurements(&page, 3).await;
    wait_for_status(&page, "finished").await;

    let losses =
        "return [...document.querySelectorAll('#train-losses td:nth-child(2)')].map((td) => Number(td.textContent))";
    let losses: Vec<f64> = serde_json::from_value(page.eval(losses, vec![]).await).unwrap();
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.8 * first, "the held-out loss falls: {losses:?}");
    let samples = page.eval("return document.querySelectorAll('#train-samples li').length", vec![]).await;
    assert!(samples.as_u64().unwrap() >= 3, "{samples} samples");
    for shown in ["#train-text-result", "#train-vocabulary-result", "#train-figure", "#train-speed"] {
        assert!(page.shown(shown).await.len() > 2, "{shown} shows something");
    }

    let catch = "
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { window.exported = blob; return make.call(URL, blob); };";
    page.eval(catch, vec![]).await;
    page.click("#train-export").await;
    page.wait_for("the folder", "return window.exported !== undefined", Value::Null).await;
    let read = "
        window.folder = null;
        import('./zip.js').then(async ({ unzip }) => {
            const files = await unzip(window.exported);
            const config = files.find(({ name }) => name.endsWith('/config.json'));
            window.folder = { names: files.map(({ name }) => name.split('/')[1]), config: JSON.parse(await config.blob.text()) };
        });";
    page.eval(read, vec![]).await;
    page.wait_for("its files", "return window.folder !== null", Value::Null).await;
    let folder = page.eval("return window.folder", vec![]).await;
    assert_eq!(folder["config"]["model_type"], "gpt2");
    for name in ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"] {
        assert!(folder["names"].as_array().unwrap().contains(&json!(name)), "{name} in {folder}");
    }

    page.click("#train-write").await;
    let own = "return document.querySelector('#model').dataset.model.startsWith('own:') && document.body.dataset.state === 'ready'";
    page.wait_for("the model under Write", own, Value::Null).await;
    // So small a model may well end its text at once.
    page.set("max_new_tokens", json!(20)).await;
    page.set("min_new_tokens", json!(20)).await;
    page.write("Nora").await;
    assert!(page.generate().await.len() > "Nora".len() + 5);
    page.finish().await;
}

#[tokio::test]
async fn a_training_goes_on_after_a_reload() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = with_text(&host, &corpus(&dist), 5000).await;
    page.click("#train-start").await;
    wait_for_status(&page, "running").await;
    page.wait_for("some steps", "return /^[1-9]/.test(document.querySelector('#train-at')?.textContent)", Value::Null)
        .await;
    page.click("#train-pause").await;
    wait_for_status(&page, "paused").await;
    let before = step(&page).await;
    page.click("#train-step").await;
    page.wait_for("one more step", "return document.querySelector('#train').dataset.status === 'paused' && Number(document.querySelector('#train-at').textContent.split('/')[0].replace(',', '')) > arguments[0]", json!(before)).await;
    assert_eq!(step(&page).await, before + 1, "one step at a time");

    page.reload().await;
    page.wait_for("the offer", "return document.querySelector('#train-unfinished .continue') !== null", Value::Null)
        .await;
    page.click("#train-unfinished .continue").await;
    wait_for_status(&page, "paused").await;
    assert_eq!(step(&page).await, before, "as of the last checkpoint");
    let film = "return document.querySelector('#train-merge').checkVisibility() && /→/.test(document.querySelector('#train-merge').textContent)";
    page.wait_for("the vocabulary's film", film, Value::Null).await;
    page.click("#train-resume").await;
    let body =
        "return Number(document.querySelector('#train-at').textContent.split('/')[0].replace(',', '')) > arguments[0]";
    page.wait_for("further steps", body, json!(before + 2)).await;
    page.click("#train-stop").await;
    wait_for_status(&page, "finished").await;
    page.finish().await;
}

#[tokio::test]
async fn what_cannot_be_trained_is_refused_with_the_reason() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = with_text(&host, "", 10).await;
    let refused = async |code: &str| {
        page.click("#train-start").await;
        error(&page, code).await
    };
    refused("empty").await;
    set(&page, "#train-paste", json!("Ten words are too few for a model to learn.")).await;
    refused("bad_corpus").await;
    set(&page, "#train-paste", json!(corpus(&dist))).await;
    for (size, value) in [("width", 4096), ("layers", 96)] {
        set(&page, &format!("#train-{size}"), json!(value)).await;
    }
    let words = refused("model_too_large").await;
    assert!(words.contains("GB") && words.contains("parameters"), "the numbers are told: {words}");
    page.finish().await;
}

/// Gives the first stage a file whose contents a JavaScript expression makes.
async fn give(page: &Page, name: &str, contents: &str) {
    let body = format!(
        "const files = new DataTransfer();
         files.items.add(new File([{contents}], arguments[0]));
         const input = document.querySelector('#train-files');
         input.files = files.files;
         input.dispatchEvent(new Event('change'));"
    );
    page.eval(&body, vec![json!(name)]).await;
}

/// Waits for an error of the view; its words.
async fn error(page: &Page, code: &str) -> String {
    let body = "return document.querySelector('#train-error').dataset.code === arguments[0]";
    page.wait_for(&format!("error {code}"), body, json!(code)).await;
    page.shown("#train-error").await
}

#[tokio::test]
async fn files_that_are_no_text_or_too_large_are_named_and_odd_ones_are_read() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = with_text(&host, "", 10).await;
    let remove = "document.querySelector('.train-files button').click()";

    give(&page, "large.txt", "new Uint8Array(200_000_000).fill(97)").await;
    let words = error(&page, "too_large").await;
    assert!(words.contains("large.txt") && words.contains("200 MB") && words.contains("64 MB"), "{words}");
    give(&page, "picture.bin", "crypto.getRandomValues(new Uint8Array(60_000))").await;
    page.click("#train-do-text").await;
    let words = error(&page, "bad_file").await;
    assert!(words.contains("picture.bin"), "{words}");
    page.eval(remove, vec![]).await;

    // One line in one encoding, and a file in another: one corpus.
    give(&page, "line.txt", "'Ein kurzer Satz mit vielen Wörtern darin. '.repeat(400)").await;
    give(&page, "western.txt", "Uint8Array.from('Un café crème, où ça? '.repeat(200), (c) => c.charCodeAt(0))").await;
    page.click("#train-do-text").await;
    let cleaned = "return document.querySelector('#train-text-result').hidden === false && !document.querySelector('#train-do-text').disabled";
    page.wait_for("the clean text", cleaned, Value::Null).await;
    let shown = page.shown("#train-text-result").await;
    assert!(shown.contains("Wörtern") && shown.contains("é (Windows-1252)"), "{shown}");

    // More pieces than there are in the text.
    set(&page, "#train-size", json!(50_000)).await;
    page.click("#train-do-vocabulary").await;
    let learned = "return document.querySelector('#train-vocabulary-result').hidden === false && !document.querySelector('#train-do-vocabulary').disabled";
    page.wait_for("the vocabulary", learned, Value::Null).await;
    let shown = page.shown("#train-vocabulary-result").await;
    assert!(shown.contains("You asked for 50,000"), "{shown}");
    page.finish().await;
}

#[tokio::test]
async fn a_loss_that_is_no_number_leaves_the_best_model() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = with_text(&host, &corpus(&dist), 200).await;
    for (name, value) in [("learning_rate", 10), ("weight_decay", 10), ("max_grad_norm", 0)] {
        set(&page, &format!("#train-{name}"), json!(value)).await;
    }
    page.click("#train-start").await;
    let words = error(&page, "diverged").await;
    assert!(words.contains("lower learning rate"), "what to change is said: {words}");
    let offer = "return document.querySelector('#train-export')?.checkVisibility() === true";
    page.wait_for("the best model", offer, Value::Null).await;
    page.finish().await;
}

#[tokio::test]
async fn a_full_store_loses_nothing() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = with_text(&host, &corpus(&dist), 5000).await;
    let full = "
        IDBObjectStore.prototype.put = () => { throw new DOMException('no room', 'QuotaExceededError'); };
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { window.taken = blob; return make.call(URL, blob); };";
    page.eval(full, vec![]).await;
    page.click("#train-start").await;
    wait_for_status(&page, "running").await;
    page.wait_for("some steps", "return /^[1-9]/.test(document.querySelector('#train-at')?.textContent)", Value::Null)
        .await;
    page.click("#train-pause").await;
    let words = error(&page, "storage_full").await;
    assert!(words.contains("nothing is lost"), "{words}");
    // The offer beside the error.
    page.click("#train-error button").await;
    page.wait_for("the checkpoint", "return window.taken?.size > 100_000", Value::Null).await;
    page.click("#train-resume").await;
    wait_for_status(&page, "running").await;
    page.click("#train-stop").await;
    wait_for_status(&page, "finished").await;
    page.finish().await;
}

#[tokio::test]
async fn the_model_of_the_page_is_trained_further_on_a_text() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = with_text(&host, &corpus(&dist), 6).await;
    let offered = "return document.querySelector(`#train-base option[value='model stories']`) !== null";
    page.wait_for("the page's model to start from", offered, Value::Null).await;
    set(&page, "#train-base", json!("model stories")).await;
    page.click("#train-start").await;
    wait_for_status(&page, "finished").await;
    let losses =
        "return [...document.querySelectorAll('#train-losses td:nth-child(3)')].map((td) => Number(td.textContent))";
    let losses: Vec<f64> = serde_json::from_value(page.eval(losses, vec![]).await).unwrap();
    // It knows English already, and gets used to this text.
    assert!(losses[0] < 2.0 && losses[losses.len() - 1] < losses[0], "{losses:?}");
    page.click("#train-write").await;
    let own = "return document.querySelector('#model').dataset.model.startsWith('own:') && document.body.dataset.state === 'ready'";
    page.wait_for("the model under Write", own, Value::Null).await;
    page.set("max_new_tokens", json!(20)).await;
    page.write("Once upon a time").await;
    assert!(page.generate().await.len() > "Once upon a time".len() + 20);
    page.finish().await;
}

/// Training as someone else's page has it, from text to a model that the same page loads.
const ELSEWHERE: &str = r#"<!doctype html>
<meta charset="utf-8"><link rel="icon" href="data:,"><title>Someone else's page</title>
<script type="module">
  import { createTraining, load } from '/inkling/inkling.js';
  const code = (promise) => promise.then(() => 'no error', (error) => error.code);
  const run = async () => {
    const training = await createTraining();
    const early = await code(training.build({}, {}));
    const text = await (await fetch('/inkling/corpora/village-en.txt')).blob();
    const clean = await training.clean([{ name: 'text.txt', blob: text }], { separator: '\n\n' });
    const vocabulary = await training.trainVocabulary({ kind: 'byte-level-bpe', size: 320 });
    const [merge] = await training.merges(0, 1);
    const cut = await training.replay(0, 'the');
    const shape = { model_type: 'llama', num_hidden_layers: 1, num_attention_heads: 2, hidden_size: 16, intermediate_size: 32, max_position_embeddings: 32 };
    const plan = await training.build(shape, { max_steps: 30, eval_steps: 10, batch_size: 4, sequence_length: 32, warmup_steps: 2 });
    const events = {};
    const pause = new AbortController();
    const onEvent = ({ type }) => {
      events[type] = (events[type] ?? 0) + 1;
      if (type === 'evaluation' && events[type] === 2) pause.abort();
    };
    const paused = await code(training.run({ onEvent, signal: pause.signal, checkpointEvery: 1e6 }));
    const bytes = await training.checkpoint();
    const at = (await training.state()).step;
    await training.dispose();
    const again = await createTraining({ checkpoint: bytes });
    const { reason } = await again.run({ sample: { prompt: 'The', tokens: 5, seed: 1 }, onEvent });
    const files = await again.exportFolder();
    const model = await load({ files });
    const disposed = await code(training.state());
    return { early, documents: clean.documents, size: vocabulary.size, merge, cut, parameters: plan.parameters, paused, at,
             resumed: again.resumed.step, reason, events, architecture: model.info.architecture, disposed };
  };
  window.result = await run().catch((error) => `${error.name} ${error.code}: ${error.message}`);
  document.body.dataset.state = 'ready';
</script>"#;

#[tokio::test]
async fn a_page_of_someone_else_trains_a_model() {
    let Some(dist) = dist() else { return };
    let host = Host::of_someone_else(ELSEWHERE.to_string(), "/page.html", Some(("/inkling/", &dist))).await;
    let page = Page::ready(&host.address("/page.html")).await;
    let found = page.eval("return window.result", vec![]).await;
    assert_eq!(found["early"], "bad_parameter", "{found}");
    assert!(found["documents"].as_u64().unwrap() > 100, "{found}");
    assert_eq!(found["size"], 320);
    assert_eq!(found["cut"]["pieces"], json!(["t", "h", "e"]));
    assert!(found["merge"]["count"].as_u64().unwrap() > 100, "{found}");
    assert_eq!(found["paused"], "aborted");
    // Stopped where it was asked to, and there it went on.
    assert!(found["at"].as_u64().is_some_and(|at| (10..20).contains(&at)), "{found}");
    assert_eq!(found["resumed"], found["at"]);
    assert_eq!(found["reason"], "max_steps");
    // At the beginning, and every ten steps; one checkpoint at the pause, which was the only run that asked for any.
    assert_eq!(found["events"]["evaluation"], 4, "{found}");
    assert_eq!(found["events"]["checkpoint"], 1, "{found}");
    assert_eq!(found["architecture"], "llama");
    assert_eq!(found["disposed"], "disposed");
    page.finish().await;
}
