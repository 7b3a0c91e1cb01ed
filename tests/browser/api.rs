//! The JavaScript API, as another site's developer uses and misuses it.
use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};

/// Runs `script`, the body of an async function with `load` and `model` at hand, on a page of someone else, and gives
/// what it returns.
async fn on_a_page(script: &str) -> Option<Value> {
    let dist = dist()?;
    let html = format!(
        r#"<!doctype html>
<meta charset="utf-8"><link rel="icon" href="data:,"><title>Someone else's page</title>
<script type="module">
  import {{ load }} from '/inkling/inkling.js';
  const url = '/inkling/models/stories/model.gguf';
  const code = (promise) => promise.then(() => 'no error', (error) => `${{error.name}} ${{error.code}}`);
  const all = async (events) => {{ let text = ''; for await (const e of events) text += e.text; return text; }};
  const run = async () => {{
    const model = await load({{ url }});
    {script}
  }};
  window.result = await run().catch((error) => `${{error.name}} ${{error.code}}: ${{error.message}}`);
  document.body.dataset.state = 'ready';
</script>"#
    );
    let host = Host::of_someone_else(html, "/page.html", Some(("/inkling/", &dist))).await;
    let page = Page::ready(&host.address("/page.html")).await;
    let result = page.eval("return window.result", vec![]).await;
    page.finish().await;
    Some(result)
}

#[tokio::test]
async fn a_model_tells_what_it_is_and_what_a_text_is_made_of() {
    let script = "
        const tokens = await model.tokenize('a 😀 cat');
        return { info: model.info, ends: tokens.map((t) => t.end), parameters: model.parameters.map((p) => p.name) };";
    let Some(found) = on_a_page(script).await else { return };
    assert_eq!(found["info"]["architecture"], "llama");
    assert_eq!((&found["info"]["artifact"], &found["info"]["threads"]), (&json!("relaxed"), &json!(1)));
    assert_eq!(found["info"]["sha256"].as_str().unwrap().len(), 64);
    assert!(found["info"]["memoryBytes"].as_u64().unwrap() > found["info"]["weightBytes"].as_u64().unwrap());
    // Offsets are in UTF-16 units, of which the emoji has two.
    assert_eq!(found["ends"].as_array().unwrap().last().unwrap(), &json!(8));
    assert!(found["parameters"].as_array().unwrap().contains(&json!("num_beams")));
}

#[tokio::test]
async fn generations_of_one_model_wait_for_each_other_and_can_be_left() {
    let script = "
        const options = { max_new_tokens: 12, do_sample: true, seed: 5 };
        const alone = await all(model.generate('Once', options));
        const together = await Promise.all([all(model.generate('Once', options)), all(model.generate('Once', options))]);
        for await (const e of model.generate('Once', { max_new_tokens: 400 })) if (e.type === 'token') break;
        const forgotten = model.generate('Once', { max_new_tokens: 30 });
        await forgotten.next();
        const stop = new AbortController();
        const stopped = code(all(model.generate('Once', { max_new_tokens: 400, signal: stop.signal })));
        setTimeout(() => stop.abort(), 30);
        return { alone, together, stopped: await stopped, after: await all(model.generate('Once', options)) };";
    let Some(found) = on_a_page(script).await else { return };
    let alone = &found["alone"];
    assert!(alone.as_str().is_some_and(|text| text.len() > 10), "{found}");
    assert_eq!(found["together"], json!([alone, alone]));
    assert_eq!(found["after"], *alone);
    assert_eq!(found["stopped"], "AbortError aborted");
}

#[tokio::test]
async fn beams_come_as_a_preview_and_a_best_text() {
    let script = "
        let previews = 0, done;
        for await (const e of model.generate('Once upon a time', { num_beams: 3, num_return_sequences: 2, max_new_tokens: 12 })) {
            if (e.type === 'preview') previews++;
            if (e.type === 'done') done = e;
        }
        return { previews, sequences: done.sequences };";
    let Some(found) = on_a_page(script).await else { return };
    assert!(found["previews"].as_u64().unwrap() > 3, "{found}");
    let scores: Vec<f64> =
        found["sequences"].as_array().unwrap().iter().map(|s| s["score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 2 && scores[0] >= scores[1], "{scores:?}");
}

#[tokio::test]
async fn misuse_is_an_error_with_a_code_and_the_model_goes_on() {
    let script = "
        const stop = new AbortController();
        const loading = load({ url }, { signal: stop.signal, onProgress: () => stop.abort() });
        const html = new File(['<!doctype html><p>Not found'], 'model.gguf');
        const huge = new Blob(Array(245).fill(new Blob([new Uint8Array(1 << 24)])));
        const header = JSON.stringify({ 'transformer.wte.weight': { dtype: 'F32', shape: [1 << 20, 980], data_offsets: [0, 4110417920] } });
        const length = new BigUint64Array([BigInt(header.length)]);
        const config = { model_type: 'gpt2', vocab_size: 1 << 20, n_embd: 980, n_head: 1, n_layer: 1 };
        const tokenizer = { version: '1.0', added_tokens: [], model: { type: 'BPE', vocab: { a: 0 }, merges: [] } };
        const files = [
            { name: 'config.json', blob: new Blob([JSON.stringify(config)]) },
            { name: 'tokenizer.json', blob: new Blob([JSON.stringify(tokenizer)]) },
            { name: 'model.safetensors', blob: new Blob([length, header, huge]) },
        ];
        const found = {
            stopped: await code(loading),
            html: await code(load({ files: [html] })),
            missing: await code(load({ url: '/inkling/models/nothing/' })),
            source: await code(load('stories')),
            memory: await code(load({ files })),
            range: await code(all(model.generate('Once', { temperature: -1 }))),
            name: await code(all(model.generate('Once', { tempreature: 1 }))),
            full: await code(all(model.generate('word '.repeat(2000)))),
            lone: (await all(model.generate('\\ud800', { max_new_tokens: 2 }))).length > 0,
        };
        await model.dispose();
        found.disposed = await code(model.tokenize('x'));
        return found;";
    let Some(found) = on_a_page(script).await else { return };
    let wanted = json!({
        "stopped": "AbortError aborted",
        "html": "InklingError bad_file",
        "missing": "InklingError missing_file",
        "source": "InklingError bad_source",
        "memory": "InklingError out_of_memory",
        "range": "InklingError bad_parameter",
        "name": "InklingError bad_parameter",
        "full": "InklingError context_full",
        "lone": true,
        "disposed": "InklingError disposed",
    });
    assert_eq!(found, wanted);
}

/// A worker that dies takes nothing with it but the model.
#[tokio::test]
async fn after_a_crash_a_fresh_worker_goes_on() {
    let script = "
        const workers = [];
        const Real = Worker;
        window.Worker = class extends Real { constructor(...args) { super(...args); workers.push(this); } };
        const doomed = await load({ url });
        const events = doomed.generate('Once upon a time', { max_new_tokens: 400 });
        await events.next();
        workers[0].dispatchEvent(new ErrorEvent('error', { message: 'RuntimeError: unreachable' }));
        const during = await code(all(events));
        const later = await code(all(doomed.generate('Once')));
        const fresh = await load({ url });
        return { during, later, text: (await all(fresh.generate('Once', { max_new_tokens: 5 }))).length > 0 };";
    let Some(found) = on_a_page(script).await else { return };
    assert_eq!(found, json!({ "during": "InklingError crashed", "later": "InklingError crashed", "text": true }));
}
