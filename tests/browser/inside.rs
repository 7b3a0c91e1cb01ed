//! The Inside view: every panel on the page's own model and on one of the Llama type, acted on, its numbers those of the
//! command line.
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};
use inkling::Engine;
use inkling::convert::Source;
use inkling::files::Files;
use inkling::inspect::{Wish, inspect, report, score};
use inkling::kernels::Format;
use inkling::model::{self, Fields};
use inkling::weights::{Planned, write_safetensors};
use xtask::process;

const TEXT: &str = "Once upon a time, there was a little";

/// A model beside the page, read by the same engine natively.
pub fn engine(folder: &str) -> Engine {
    Engine::open(Files::open(&process::root().join(folder)).unwrap()).unwrap()
}

fn seen(engine: &mut Engine, text: &str, options: Value) -> (inkling::inspect::Inspection, Value) {
    let ids = engine.encode_prompt(text).unwrap();
    let found = inspect(engine, &ids, &Wish::from_json(options.as_object().unwrap()).unwrap()).unwrap();
    let told = report::json(engine, &found);
    (found, told)
}

/// Opens panels, with a text to look at.
async fn look(page: &Page, panels: &str, text: &str) {
    let body = "
        location.hash = `#inside/${arguments[0]}`;
        for (let tries = 0; tries < 400 && !document.querySelector('#inside-text'); tries += 1) await new Promise((done) => setTimeout(done, 25));
        const area = document.querySelector('#inside-text');
        area.value = arguments[1];
        area.dispatchEvent(new Event('input', { bubbles: true }));";
    page.eval(body, vec![json!(panels), json!(text)]).await;
    settled(page, panels, text).await;
}

/// Waits until the panels show this text.
async fn settled(page: &Page, panels: &str, text: &str) {
    let body = "
        const [names, text] = arguments[0];
        const panels = names.split('+').map((name) => document.querySelector(`.inside-panel[data-panel='${name}']`));
        return document.querySelector('#inside-text')?.value === text && panels.every((panel) => panel?.dataset.state === 'ready' && !panel.querySelector('.inside-problem').textContent);";
    // A text that was just typed is read a moment later.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    page.wait_for(&format!("{panels} on {text:?}"), body, json!([panels, text])).await;
}

async fn texts(page: &Page, selector: &str) -> Vec<String> {
    let found = page
        .eval(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)",
            vec![json!(selector)],
        )
        .await;
    found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_string()).collect()
}

/// A table twin: its cells, opened first.
async fn table(page: &Page, panel: &str, nth: usize) -> Vec<Vec<String>> {
    let body = "
        const figure = document.querySelectorAll(`.inside-panel[data-panel='${arguments[0]}'] figure`)[arguments[1]];
        const details = figure.querySelector('figcaption details');
        details.open = true;
        for (let tries = 0; tries < 100 && !figure.querySelector('.inside-table tbody tr'); tries += 1) await new Promise((done) => setTimeout(done, 20));
        return [...figure.querySelectorAll('.inside-table tr')].map((row) => [...row.children].map((cell) => cell.textContent));";
    let rows = page.eval(body, vec![json!(panel), json!(nth)]).await;
    let row = |row: &Value| row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_string()).collect();
    rows.as_array().unwrap().iter().map(row).collect()
}

/// A number of the page, in the digits it shows.
fn close(shown: &str, wanted: f32, what: &str) {
    let shown: f32 =
        shown.replace('\u{2212}', "-").parse().unwrap_or_else(|_| panic!("{what}: {shown:?} is no number"));
    assert!(
        (shown - wanted).abs() <= 2e-3 * wanted.abs().max(1e-2),
        "{what}: the page shows {shown}, the engine computes {wanted}"
    );
}

#[tokio::test]
async fn panels_show_what_the_engine_computes() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let mut native = engine("models/stories");
    let ids = native.encode_prompt(TEXT).unwrap();

    // Tokens, by their numbers; one of them in detail.
    look(&page, "tokens", TEXT).await;
    let shown: Vec<u32> = texts(&page, ".inside-pieces li small").await.iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(shown, ids);
    page.eval("document.querySelectorAll('.inside-piece')[2].click()", vec![]).await;
    let detail = page.shown(".inside-detail").await;
    assert!(detail.contains(&ids[2].to_string()), "{detail}");

    // The next token: the logits, and every rule that is on.
    look(&page, "next", TEXT).await;
    let (_, told) = seen(&mut native, TEXT, json!({ "topK": 5 }));
    let rows = table(&page, "next", 0).await;
    for (row, candidate) in rows[1..].iter().zip(told["topK"].as_array().unwrap()) {
        assert_eq!(row[1], candidate["id"].to_string());
        close(&row[2], candidate["logit"].as_f64().unwrap() as f32, "a logit");
        close(&row[3], candidate["probability"].as_f64().unwrap() as f32, "a probability");
    }
    let stages = texts(&page, ".inside-stages strong").await;
    assert_eq!(stages[1..], ["temperature", "top_k", "top_p"]);
    let before = page.shown(".inside-verdict").await;
    page.eval("const slider = document.querySelector('#next-top_k'); slider.value = 1; slider.dispatchEvent(new Event('input'))", vec![]).await;
    page.wait_for("one token left", "return [...document.querySelectorAll('.inside-stages li')].some((stage) => stage.textContent.startsWith('top_k') && /one token/.test(stage.textContent))", Value::Null).await;
    assert_ne!(page.shown(".inside-verdict").await, "", "{before}");

    // Attention: one head, row by row; and without it another prediction.
    look(&page, "attention", TEXT).await;
    let (found, _) = seen(&mut native, TEXT, json!({ "attention": [{ "layer": 0, "head": 0 }] }));
    let rows = table(&page, "attention", 0).await;
    let n = ids.len();
    for (q, row) in rows[1..].iter().enumerate() {
        for (k, cell) in row[1..].iter().enumerate() {
            close(cell, found.attention[0].values[q * n + k], "an attention weight");
        }
    }
    page.press("[data-head='0 0']", "\u{e014}\u{e015}").await;
    let focused = page.eval("return [document.activeElement.dataset.head, document.querySelectorAll('.inside-heads [tabindex=\"0\"]').length]", vec![]).await;
    assert_eq!(focused, json!(["1 1", 1]));
    page.click("#attention-off").await;
    page.wait_for("the effect", "return document.querySelectorAll('.inside-effect li').length > 3", Value::Null).await;

    // The lens and the attribution.
    look(&page, "layers", TEXT).await;
    let best = found.top_k[0].id;
    let (found, told) =
        seen(&mut native, TEXT, json!({ "logitLens": { "positions": [n - 1] }, "attribution": best, "norms": true }));
    let parts = table(&page, "layers", 2).await;
    for (row, part) in parts[1..].iter().zip(told["attribution"]["parts"].as_array().unwrap()) {
        close(&row[1], part["value"].as_f64().unwrap() as f32, "an attribution");
    }
    let norms = table(&page, "layers", 1).await;
    assert_eq!(norms.len() - 1, native.spec().layers + 1);
    close(&norms[1][1], found.norms[n - 1], "a length");
    let lens = table(&page, "layers", 0).await;
    let last = lens.last().unwrap().last().unwrap();
    assert!(last.starts_with(&native.token_text(best).replace(' ', "␣")), "{last}");

    // The text, token by token.
    look(&page, "branch", TEXT).await;
    let scored = score(&mut native, &ids, 1).unwrap();
    let heat = table(&page, "branch", 0).await;
    for (row, scored) in heat[1..].iter().zip(&scored) {
        if let Some(expected) = &scored.expected {
            close(&row[1], expected.probability, "a probability");
        }
    }
    page.finish().await;
}

/// One token at a time, another way, beams in the same tree, and back.
#[tokio::test]
async fn a_text_branches() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    look(&page, "branch", TEXT).await;
    let path = || async { page.shown(".inside-path strong").await };
    let grown = "return document.querySelectorAll('.inside-tree button').length >= arguments[0]";
    page.click(".inside-alternatives button").await;
    page.wait_for("a twig", grown, json!(1)).await;
    let first = path().await;
    page.click("#branch-undo").await;
    page.wait_for("the beginning", "return document.querySelector('#branch-undo').disabled", Value::Null).await;
    page.eval("document.querySelectorAll('.inside-branch > .inside-alternatives button')[1].click()", vec![]).await;
    page.wait_for("another twig", grown, json!(2)).await;
    assert_ne!(path().await, first);
    page.click("#branch-undo").await;
    page.wait_for("the beginning", "return document.querySelector('#branch-undo').disabled", Value::Null).await;
    page.click("#branch-beams").await;
    page.wait_for("beams", "return document.querySelectorAll('.inside-tree [data-beam]').length > 8", Value::Null)
        .await;
    // After the first step of the search there are three beams of one token, and nothing that came later.
    page.eval("const slider = document.querySelector('#branch-step'); slider.value = 1; slider.dispatchEvent(new Event('input'))", vec![]).await;
    let shown = "return [...document.querySelectorAll('.inside-tree [data-beam]')].map((twig) => twig.dataset.beam).sort().join() === '0,1,2'";
    page.wait_for("three beams", shown, Value::Null).await;
    page.eval("const slider = document.querySelector('#branch-step'); slider.value = slider.max; slider.dispatchEvent(new Event('input'))", vec![]).await;
    let ways = table(&page, "branch", 1).await;
    assert!(ways.len() > 3, "{ways:?}");
    let likely: Vec<f64> = ways[1..].iter().map(|row| row[2].parse().unwrap()).collect();
    assert!(likely.is_sorted_by(|a, b| a >= b), "the likeliest first: {likely:?}");
    page.finish().await;
}

/// The other panels, on a Llama-type model that was dropped on the page.
#[tokio::test]
async fn any_decoder_can_be_looked_into() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.choose(&process::root().join("tests/fixtures/models/gguf-llama-q8_0/model.gguf")).await;
    page.wait_for("the model", "return document.querySelector('#model').dataset.model.startsWith('own:') && document.body.dataset.state === 'ready'", Value::Null).await;
    let text = "The quick brown";
    let all = "tokens+next+branch+attention+layers+architecture+embeddings";
    look(&page, all, text).await;
    let mut native = engine("tests/fixtures/models/gguf-llama-q8_0/model.gguf");
    let n = native.encode_prompt(text).unwrap().len();
    assert_eq!(texts(&page, ".inside-heads button").await.len(), native.spec().layers * native.spec().heads);
    let parts = table(&page, "architecture", 0).await;
    let parameters: u64 = parts[1..].iter().map(|row| row[2].parse::<u64>().unwrap()).sum();
    assert_eq!(parameters, native.spec().parameters);
    for block in
        ["embedding", "norm1", "qkv", "attention", "output", "norm2", "feedForward", "finalNorm", "head", "softmax"]
    {
        page.eval("document.querySelector(`[data-block='${arguments[0]}']`).click()", vec![json!(block)]).await;
        page.wait_for(block, "return document.querySelector('#architecture-detail pre') !== null && document.querySelector(`[data-block='${arguments[0]}']`).getAttribute('aria-pressed') === 'true' && document.querySelector('.inside-panel[data-panel=architecture]').dataset.state === 'ready'", json!(block)).await;
    }
    let mut map = table(&page, "embeddings", 1).await;
    let (found, _) = seen(&mut native, text, json!({ "map": true }));
    assert_eq!(map.len() - 1, (native.spec().layers + 1) * n);
    close(&map.remove(1)[2], found.map[0], "a place on the map");
    let neighbors = table(&page, "embeddings", 0).await;
    let last = *native.encode_prompt(text).unwrap().last().unwrap();
    let wanted = native.neighbors(last, 12).unwrap();
    for (row, wanted) in neighbors[1..].iter().zip(&wanted) {
        assert_eq!(row[1], wanted.id.to_string());
    }
    page.finish().await;
}

#[tokio::test]
async fn two_sides_and_what_a_model_takes_for_granted() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    look(&page, "compare", TEXT).await;
    // Another temperature on one side, and both go on.
    page.eval("const slider = document.querySelector('#compare-1-temperature'); slider.value = 3; slider.dispatchEvent(new Event('input'))", vec![]).await;
    page.wait_for("a flatter list", "
        const sides = [...document.querySelectorAll('.inside-side')].map((side) => side.querySelector('.inside-candidates .inside-number').textContent);
        return sides[0] !== sides[1]", Value::Null).await;
    page.click("#compare-write").await;
    page.wait_for(
        "two texts",
        "return [...document.querySelectorAll('.inside-written')].every((text) => text.textContent.length > 60)",
        Value::Null,
    )
    .await;
    // The probe, against the engine.
    page.click("#compare-probe").await;
    page.wait_for("the bars", "return document.querySelectorAll('.inside-probe li').length === 7", Value::Null).await;
    let rows = table(&page, "compare", 2).await;
    let mut native = engine("models/stories");
    let ids = native.encode_prompt("The girl was sad because").unwrap();
    let ways = [" he", " she"].map(|way| native.tokenizer().encode(way, false).unwrap());
    let logs = inkling::inspect::continuations(&mut native, &ids, &ways).unwrap();
    let share = logs[0].exp() / (logs[0].exp() + logs[1].exp());
    assert_eq!(rows[1][0], "girl");
    close(&rows[1][1], share, "a share");
    page.finish().await;
}

/// Texts that are no texts, and a text that is longer than a screen.
#[tokio::test]
async fn odd_texts_are_looked_at_or_refused_in_words() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let panels = "tokens+next+attention+layers";
    look(&page, panels, "a").await;
    let html = "<img src=x onerror=\"window.hacked = 1\"> <b>bold</b> & \u{202e}\u{0}\u{7}שלום سلام 你好 😀";
    look(&page, panels, html).await;
    assert_eq!(
        page.eval(
            "return [window.hacked ?? null, document.querySelectorAll('.inside-panels b, .inside-panels img').length]",
            vec![]
        )
        .await,
        json!([null, 0])
    );
    look(&page, panels, &"The cat sat on the mat. ".repeat(60)).await;
    let note = page.shown("#inside-note").await;
    assert!(note.contains("256"), "what is left out is said: {note}");
    page.eval(
        "const area = document.querySelector('#inside-text'); area.value = ''; area.dispatchEvent(new Event('input'))",
        vec![],
    )
    .await;
    page.wait_for(
        "an empty state",
        "return [...document.querySelectorAll('.inside-panel')].every(({ dataset }) => dataset.state === 'empty')",
        Value::Null,
    )
    .await;
    page.finish().await;
}

/// A GPT-2 of odd proportions with random weights, as one file: `change` makes its config and its weights what they are.
fn odd_model(
    name: &str,
    change: impl Fn(&mut serde_json::Map<String, Value>),
    weights: impl Fn(&str, &mut [f32]),
) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("inkling-odd-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let from = process::root().join("tests/fixtures/models/gpt2-plain");
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    let mut config: Value = serde_json::from_str(&fs::read_to_string(from.join("config.json")).unwrap()).unwrap();
    let fields = config.as_object_mut().unwrap();
    change(fields);
    fs::write(folder.join("config.json"), Value::Object(fields.clone()).to_string()).unwrap();
    let (_, variables) = model::initial(&Fields::new(fields.clone()), 7).unwrap();
    let tensors: Vec<_> = variables.iter().collect();
    let planned: Vec<Planned> = tensors
        .iter()
        .map(|(name, tensor)| Planned { name: name.to_string(), shape: tensor.dims().to_vec(), format: Format::F32 })
        .collect();
    let mut file = fs::File::create(folder.join("model.safetensors")).unwrap();
    write_safetensors(&mut file, &[("format", "pt")], &planned, |i| {
        let (name, tensor) = tensors[i];
        let mut values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        weights(name, &mut values);
        Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    })
    .unwrap();
    let place = folder.join(format!("{name}.gguf"));
    let mut out = fs::File::create(&place).unwrap();
    Source::open(Files::open(&folder).unwrap()).unwrap().write_gguf(Format::F32, name, &mut out).unwrap();
    place
}

/// A deep model with a single head is looked into like any other; one whose numbers are none says so in every panel.
#[tokio::test]
async fn odd_models_are_looked_into_or_refused_in_words() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let deep = odd_model(
        "deep",
        |config| {
            config.insert("n_layer".to_string(), json!(48));
            config.insert("n_head".to_string(), json!(1));
        },
        |_, _| {},
    );
    let page = Page::ready(&host.address("/")).await;
    page.choose(&deep).await;
    let opened = "return document.querySelector('#model').dataset.model.startsWith('own:') && document.body.dataset.state === 'ready'";
    page.wait_for("the deep model", opened, Value::Null).await;
    look(&page, "next+branch+attention+layers+architecture+embeddings", "The quick brown").await;
    assert_eq!(texts(&page, ".inside-heads button").await.len(), 48);
    assert_eq!(table(&page, "layers", 1).await.len() - 1, 49);
    page.finish().await;

    let spoilt = odd_model(
        "spoilt",
        |_| {},
        |name, values| {
            if name.ends_with("ln_f.weight") {
                values.fill(f32::NAN);
            }
        },
    );
    let page = Page::ready(&host.address("/")).await;
    page.choose(&spoilt).await;
    page.wait_for("the spoilt model", opened, Value::Null).await;
    let panels = ["next", "branch", "layers", "compare"];
    page.eval("location.hash = `#inside/${arguments[0]}`", vec![json!(panels.join("+"))]).await;
    for panel in panels {
        let body = "return [...document.querySelectorAll(`.inside-panel[data-panel='${arguments[0]}'] .inside-problem`)].some((problem) => problem.textContent.length > 20)";
        page.wait_for(&format!("what is wrong, in {panel}"), body, json!(panel)).await;
    }
    // What cannot be opened is said where the person is.
    let broken = spoilt.with_file_name("broken.gguf");
    fs::write(&broken, "GGUF and nothing more").unwrap();
    page.drop_file(&broken).await;
    page.wait_for("the error", "return document.querySelector('#elsewhere #error')?.dataset.code !== undefined && document.querySelector('#elsewhere').offsetHeight > 20", Value::Null).await;
    page.eval("location.hash = '#write'", vec![]).await;
    page.wait_for(
        "the same beside the text",
        "return document.querySelector('#desk #error')?.dataset.code !== undefined",
        Value::Null,
    )
    .await;
    for model in [deep, spoilt] {
        let _ = fs::remove_dir_all(model.parent().unwrap());
    }
    page.finish().await;
}
