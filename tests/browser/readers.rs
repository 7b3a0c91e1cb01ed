//! Models that read, on the pages that are theirs and through the JavaScript API: what the page says is what the engine says
//! natively. The models are the tiny ones of tests/fixtures/encoders, opened as a person opens files.
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};
use inkling::files::Files;
use inkling::reader::Reader;
use inkling::tasks::{self, Step};
use xtask::process;

/// The folder of a fixture.
fn folder(model: &str) -> PathBuf {
    process::root().join("tests/fixtures/encoders").join(model)
}

/// What the engine says natively, offsets in UTF-16 units as the page has them.
fn said(model: &str, task: &str, arguments: &Value) -> Value {
    let reader = Reader::open(Files::open(&folder(model)).unwrap()).unwrap();
    let mut task = tasks::begin(&reader, task, arguments.as_object().unwrap()).unwrap();
    let context = arguments["context"].as_str().unwrap_or_default().to_string();
    loop {
        if let Step::Done(outcome) = task.step(&reader).unwrap() {
            return outcome.json(&|byte| context[..byte].encode_utf16().count());
        }
    }
}

/// Numbers to four digits, so that two machines' arithmetic agree.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!((number.as_f64().unwrap_or_default() * 1e4).round() / 1e4),
        Value::Array(all) => all.iter().map(rounded).collect(),
        Value::Object(all) => all.iter().map(|(name, value)| (name.clone(), rounded(value))).collect(),
        other => other.clone(),
    }
}

impl Page {
    /// Opens a task page with a fixture of tests/fixtures, whose folder is chosen in the page's own field.
    pub async fn opens(&self, view: &str, fixture: &str) {
        self.eval("location.hash = arguments[0]", vec![json!(view)]).await;
        let there = "return document.querySelector(`#${arguments[0]}-folder`) !== null";
        self.wait_for(view, there, json!(view)).await;
        let folder = process::root().join("tests/fixtures").join(fixture);
        self.press(&format!("#{view}-folder"), &folder.display().to_string()).await;
        let ready = "const [view] = arguments[0];
            return document.querySelector(`#${view}`).dataset.state === 'ready' && !document.querySelector(`#${view} .task-loading:not([hidden])`)";
        self.wait_for(&format!("{fixture} on {view}"), ready, json!([view])).await;
    }

    async fn reader(&self, view: &str, model: &str) {
        self.opens(view, &format!("encoders/{model}")).await;
    }

    async fn texts(&self, selector: &str) -> Vec<String> {
        let body = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)";
        let found = self.eval(body, vec![json!(selector)]).await;
        found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_string()).collect()
    }

    async fn fill_in(&self, field: &str, text: &str) {
        let body = "const field = document.querySelector(arguments[0]);
            field.value = arguments[1];
            field.dispatchEvent(new Event('input', { bubbles: true }));";
        self.eval(body, vec![json!(field), json!(text)]).await;
    }

    async fn until(&self, what: &str, selector: &str) {
        self.wait_for(what, "return document.querySelector(arguments[0]) !== null", json!(selector)).await;
    }
}

/// The folder of a fixture as a field for folders takes it.
fn path(model: &str) -> String {
    folder(model).display().to_string()
}

#[tokio::test]
async fn gaps_are_filled_by_button_and_by_word() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.reader("fill", "bert-masked").await;
    page.fill_in("#fill-text", "the quick brown fox").await;
    // A click on a word leaves it out, and the model says what could stand there.
    page.click("#fill .task-word:nth-of-type(2)").await;
    page.until("candidates", "#fill .task-candidate").await;
    let text = "return document.querySelector('#fill-text').value";
    assert_eq!(page.eval(text, vec![]).await, json!("the [MASK] brown fox"));
    let wanted = said("bert-masked", "fill-mask", &json!({ "text": "the [MASK] brown fox", "top_k": 8 }));
    let tokens: Vec<&str> =
        wanted.as_array().unwrap().iter().map(|one| one["token_str"].as_str().unwrap().trim()).collect();
    assert_eq!(page.texts("#fill .task-token").await, tokens);
    assert_eq!(page.eval("return document.activeElement.className", vec![]).await, json!("task-word"));
    // A gap as one writes it who knows no model's name for it.
    page.fill_in("#fill-text", "the ___ brown fox").await;
    page.click("#fill .task-go").await;
    page.wait_for("the gap", &format!("{text} === 'the [MASK] brown fox'"), Value::Null).await;
    // Two gaps, written in two ways, of which one is filled by a candidate.
    page.fill_in("#fill-text", "[MASK] quick ____ fox").await;
    page.click("#fill .task-go").await;
    page.wait_for("two gaps", "return document.querySelectorAll('#fill .task-filled').length === 2", Value::Null).await;
    let put = page.texts("#fill .task-filled:nth-of-type(2) .task-token").await.remove(0);
    page.click("#fill .task-filled:nth-of-type(2) .task-candidate").await;
    page.wait_for("one gap", "return document.querySelectorAll('#fill .task-filled').length === 1", Value::Null).await;
    // A piece of a word is written on to the word before it.
    let filled =
        put.strip_prefix("##").map_or(format!("[MASK] quick {put} fox"), |rest| format!("[MASK] quick{rest} fox"));
    assert_eq!(page.eval(text, vec![]).await, json!(filled));
    page.finish().await;
}

#[tokio::test]
async fn an_answer_is_shown_in_its_place() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.reader("ask", "bert-answer").await;
    let context = "😀 The quick brown fox was in the house. It's a house on the hill, which is odd. ".repeat(40);
    page.fill_in("#ask-text", &context).await;
    page.fill_in("#ask-question", "Where was it?").await;
    page.click("#ask .task-go").await;
    page.until("an answer", "#ask .task-candidate").await;
    let arguments = json!({ "question": "Where was it?", "context": context, "top_k": 4, "max_answer_len": 30, "handle_impossible_answer": true });
    let wanted = said("bert-answer", "question-answering", &arguments);
    let best = &wanted[0];
    let (start, answer) = (best["start"].as_u64().unwrap(), best["answer"].as_str().unwrap());
    let answers: Vec<&str> = wanted
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["answer"].as_str().unwrap())
        .map(|answer| if answer.is_empty() { "no answer" } else { answer })
        .collect();
    assert_eq!(page.texts("#ask .task-token").await, answers);
    if !answer.is_empty() {
        let place = "const mark = document.querySelector('#ask .task-place mark');
            return [mark.textContent, mark.previousSibling.textContent.length]";
        assert_eq!(page.eval(place, vec![]).await, json!([answer, start]));
    }
    page.finish().await;
}

#[tokio::test]
async fn passages_are_found_by_their_vectors() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.reader("search", "bert-sentences").await;
    let passages = ["The quick brown fox.", "Who was it?", "It is a house on the hill."];
    page.fill_in("#search-text", &passages.join("\n\n")).await;
    page.fill_in("#search-query", "a quick fox").await;
    page.click("#search .task-go").await;
    page.until("passages", "#search-hits li").await;
    let vectors = |texts: &[&str]| -> Vec<Vec<f64>> {
        let found = said(
            "bert-sentences",
            "feature-extraction",
            &json!({ "texts": texts, "normalize": true, "truncate": true }),
        );
        serde_json::from_value(found).unwrap()
    };
    let query = vectors(&["a quick fox"]).remove(0);
    let mut order: Vec<(f64, &str)> = vectors(&passages)
        .iter()
        .zip(passages)
        .map(|(vector, text)| (vector.iter().zip(&query).map(|(a, b)| a * b).sum(), text))
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let wanted: Vec<&str> = order.iter().map(|(_, text)| *text).collect();
    assert_eq!(page.texts("#search-hits .task-passage").await, wanted);
    assert_eq!(page.texts("#search-hits .task-number").await[0], format!("{:.2}", order[0].0));
    // The next question is answered as it is typed.
    page.fill_in("#search-query", "on the hill").await;
    page.wait_for(
        "another order or the same, for the new question",
        "return document.querySelector('#search .task-place mark') !== null",
        Value::Null,
    )
    .await;
    // What is too much is said, and stays.
    page.fill_in("#search-text", &"a\n\n".repeat(10_001)).await;
    page.click("#search .task-go").await;
    page.until("that it is too much", "#search .alert[data-code=many_passages] p").await;
    let later = "await new Promise((done) => setTimeout(done, 500));
        return document.querySelector('#search .task-stage .alert').textContent";
    let said = page.eval(later, vec![]).await;
    assert!(said.as_str().unwrap().contains("at most 10000 passages, found 10001"), "{said}");
    page.finish().await;
}

#[tokio::test]
async fn programs_fill_answer_and_embed() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let mut found = Vec::new();
    let context = "The quick brown fox was in the house.";
    for (model, call) in [
        ("bert-masked", "model.fillMask('the [MASK] brown fox', { top_k: 3 })"),
        ("bert-answer", "model.answer('Where was it?', context)"),
        (
            "bert-sentences",
            "model.embed(['Who was it?'], { normalize: false }).then((all) => all.map((one) => Array.from(one)))",
        ),
    ] {
        page.eval(
            "document.querySelector('#given')?.remove();
             const input = document.createElement('input');
             Object.assign(input, { type: 'file', webkitdirectory: true, id: 'given' });
             document.body.append(input);",
            vec![],
        )
        .await;
        page.press("#given", &path(model)).await;
        let script = format!(
            "const context = arguments[0];
             const {{ load }} = await import(new URL('inkling.js', document.baseURI));
             const code = (promise) => promise.then(() => 'no error', (error) => error.code);
             const model = await load({{ files: document.querySelector('#given').files }});
             const stop = new AbortController();
             const stopped = code(model.embed(Array(5000).fill('the quick fox'), {{ signal: stop.signal, onProgress: () => stop.abort() }}));
             const found = [model.task, await stopped, await code(model.generate('a').next()), await code(model.embed('a', {{ topk: 3 }})), await {call}];
             await model.dispose();
             return found"
        );
        found.push(page.eval(&script, vec![json!(context)]).await);
    }
    let asked = json!({ "question": "Where was it?", "context": context });
    let wanted = [
        ("fill-mask", said("bert-masked", "fill-mask", &json!({ "text": "the [MASK] brown fox", "top_k": 3 }))),
        ("question-answering", said("bert-answer", "question-answering", &asked)),
        (
            "feature-extraction",
            said("bert-sentences", "feature-extraction", &json!({ "texts": ["Who was it?"], "normalize": false })),
        ),
    ];
    for (found, (task, result)) in found.iter().zip(wanted) {
        assert_eq!(rounded(found), rounded(&json!([task, "aborted", "wrong_task", "bad_parameter", result])));
    }
    page.finish().await;
}

#[tokio::test]
async fn an_encoder_in_the_write_view_is_shown_its_page() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.press("#folder", &path("bert-masked")).await;
    page.wait_for("the offer", "return document.querySelector('#error').dataset.code === 'wrong_task'", Value::Null)
        .await;
    let kept = "return [document.querySelector('#model').dataset.model.startsWith('own:'), document.querySelector('#generate').disabled]";
    assert_eq!(page.eval(kept, vec![]).await, json!([false, false]), "the model from before stays");
    assert_eq!(page.shown("#status").await, "Ready.");
    page.click("#error .actions button").await;
    page.wait_for("the page for it", "return document.querySelector('#fill')?.dataset.state === 'ready'", Value::Null)
        .await;
    assert!(page.shown("#fill .task-serving").await.contains("bert-masked"));

    // A view that looks into models takes it; the Write view then says why it cannot go on, whatever fails besides.
    page.eval("location.hash = 'inside'", vec![]).await;
    page.press("#folder", &path("bert-masked")).await;
    page.wait_for("the model", "return document.querySelector('#model').dataset.model === 'own:bert-masked' && document.body.dataset.state === 'ready'", Value::Null)
        .await;
    page.eval("location.hash = 'write'", vec![]).await;
    page.choose(&process::root().join("tests/fixtures/encoders/bert-masked/config.json")).await;
    page.wait_for("an error", "return document.querySelector('#error').textContent.trim() !== ''", Value::Null).await;
    assert!(page.shown("#status").await.starts_with("bert-masked does not go on"));
    page.finish().await;
}

/// A folder whose name says nothing is called what its description calls it.
#[tokio::test]
async fn a_folder_is_called_by_a_name_that_says_something() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let body = "
        const { openOwn } = await import('./own.js');
        const called = (name, config) => new Promise((done) => openOwn([{ name, blob: new Blob([config]) }], ({ title }) => done(title.en)));
        const described = JSON.stringify({ _name_or_path: 'people/Their-Model/', model_type: 'bert' });
        return [
          await called('mine/config.json', described),
          await called('model/config.json', described),
          await called(`${'0a'.repeat(20)}/config.json`, described),
          await called('main/config.json', JSON.stringify({ _name_or_path: './', model_type: 'bert' })),
          await called('checkpoint-30/config.json', 'not JSON'),
          await called('model.gguf', ''),
        ];";
    let wanted = json!(["mine", "Their-Model", "Their-Model", "bert", "checkpoint-30", "model.gguf"]);
    assert_eq!(page.eval(body, vec![]).await, wanted);
    page.finish().await;
}
