//! The task pages: each does what it says with the page's own model or a fixture, offline, and says what a model cannot do.
use serde_json::{Value, json};

use crate::common::generate;
use crate::driver::Page;
use crate::hosts::{Host, dist};
use crate::inside::engine;
use crate::offline::wait_until_kept;

/// What the command line makes of a sentence.
fn translated(sentence: &str, beams: usize) -> String {
    let mut translator = engine("models/translator");
    let ids = translator.encode_prompt(sentence).unwrap();
    let settings = json!({ "do_sample": false, "num_beams": beams, "max_new_tokens": 60 });
    let written = generate(&mut translator, &ids, &settings).unwrap();
    written[0].text.trim().to_string()
}

impl Page {
    /// Opens a task page and waits until it is in a state.
    async fn task(&self, name: &str, state: &str) {
        self.eval("location.hash = arguments[0]", vec![json!(name)]).await;
        let there = "const [name, state] = arguments[0];
            return document.querySelector(`#${name}`)?.dataset.state === state";
        self.wait_for(&format!("{name}: {state}"), there, json!([name, state])).await;
    }

    /// Puts a text into a field, as typing or pasting does.
    async fn put(&self, field: &str, text: &str) {
        let body = "const field = document.querySelector(arguments[0]);
            field.value = arguments[1];
            for (const type of ['input', 'change']) field.dispatchEvent(new Event(type, { bubbles: true }));";
        self.eval(body, vec![json!(field), json!(text)]).await;
    }

    /// How many elements there are.
    async fn count(&self, selector: &str) -> u64 {
        let body = "return document.querySelectorAll(arguments[0]).length";
        self.eval(body, vec![json!(selector)]).await.as_u64().unwrap()
    }

    /// Starts what a task page does and waits for its end; what its status line says.
    async fn perform(&self, name: &str) -> String {
        self.click(&format!("#{name} .task-go")).await;
        let over = "return document.querySelector(`#${arguments[0]}`).dataset.state === 'ready' && document.querySelector(`#${arguments[0]} .task-status`).textContent !== ''";
        self.wait_for(&format!("the end of {name}"), over, json!(name)).await;
        self.shown(&format!("#{name} .task-status")).await
    }
}

#[tokio::test]
async fn the_shipped_translator_serves_its_page() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.task("translate", "ready").await;
    assert_eq!(page.shown("#translate .task-serving strong").await, "Translator");
    let pair = page
        .eval("return ['from', 'to'].map((end) => document.querySelector(`#translate-${end}`).value)", vec![])
        .await;
    assert_eq!(pair, json!(["en", "fr"]));
    for beams in [1, 4] {
        page.put("#translate-text", "I want to go home. We were very tired.\n\nShe is a good friend.").await;
        page.put("#translate-beams", &beams.to_string()).await;
        page.perform("translate").await;
        let [first, second, third] = ["I want to go home.", "We were very tired.", "She is a good friend."]
            .map(|sentence| translated(sentence, beams));
        assert_eq!(page.shown("#translate-result").await, format!("{first} {second}\n\n{third}"), "{beams} beams");
    }
    // The model of the Write view is another one, and stays.
    page.eval("location.hash = 'write'", vec![]).await;
    assert_eq!(page.shown("#model-name").await, "Stories");
    page.finish().await;
}

#[tokio::test]
async fn a_long_translation_shows_how_far_it_is_and_stops() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.task("translate", "ready").await;
    // Two hundred kilobytes, pasted.
    let paste = "
        const text = 'I want to go home. We were very tired. '.repeat(5200);
        const area = document.querySelector('#translate-text');
        const clipboardData = new DataTransfer();
        clipboardData.setData('text/plain', text);
        area.focus();
        const began = performance.now();
        area.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
        return [text === area.value, performance.now() - began]";
    let pasted = page.eval(paste, vec![]).await;
    assert!(pasted[0] == true && pasted[1].as_f64().unwrap() < 2000.0, "{pasted}");
    page.click("#translate .task-go").await;
    let under_way = "return document.querySelectorAll('#translate-result .task-sentence').length > 2 && /10,400/.test(document.querySelector('#translate .task-status').textContent)";
    page.wait_for("some sentences", under_way, Value::Null).await;
    page.press("#translate-text", "\u{e00c}").await;
    page.wait_for("the stop", "return document.querySelector('#translate').dataset.state === 'ready'", Value::Null)
        .await;
    assert_eq!(page.shown("#translate .task-status").await, "Stopped.");
    page.put("#translate-text", "Where is my book?").await;
    page.perform("translate").await;
    assert_eq!(page.shown("#translate-result").await, translated("Where is my book?", 4));
    page.finish().await;
}

/// Each page for the first time when there is no network: with what ships, or a model out of files.
#[tokio::test]
async fn task_pages_need_no_network() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    wait_until_kept(&page).await;
    host.stop().await;
    page.reload().await;
    page.task("translate", "ready").await;
    page.put("#translate-text", "Can you help me?").await;
    page.perform("translate").await;
    assert_eq!(page.shown("#translate-result").await, translated("Can you help me?", 4));

    page.task("fill", "ready").await;
    page.put("#fill-text", "Tom and his dog went to the [MASK] to play.").await;
    page.perform("fill").await;
    assert_eq!(page.shown("#fill .task-token").await, "park");

    for (view, fixture, fields, result) in [
        ("summarise", "seq2seq/t5-relu-tied", [("text", "The quick brown fox."); 2], "#summarise-result"),
        ("ask", "encoders/bert-answer", [("text", "It is a house."), ("question", "What is it?")], "#ask .task-token"),
        ("search", "encoders/bert-sentences", [("text", "A fox.\n\nA house."), ("query", "a fox")], "#search-hits li"),
    ] {
        page.opens(view, fixture).await;
        for (field, text) in fields {
            page.put(&format!("#{view}-{field}"), text).await;
        }
        page.perform(view).await;
        assert_ne!(page.shown(result).await, "", "{view}");
    }
    crate::chat::replies(&page).await;
}

/// An encoder-decoder writes on its pages what it writes natively, by beams, and shows which words it looked at.
#[tokio::test]
async fn an_encoder_decoder_translates_and_summarises() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let model = "tests/fixtures/seq2seq/t5-relu-tied";
    let mut native = engine(model);
    let mut writes = |prompt: &str, settings: Value| {
        let ids = native.encode_prompt(prompt).unwrap();
        generate(&mut native, &ids, &settings).unwrap()[0].text.trim().to_string()
    };
    page.opens("translate", "seq2seq/t5-relu-tied").await;
    let sentence = "The quick brown fox was in the house.";
    for beams in [1, 4] {
        page.put("#translate-text", sentence).await;
        page.put("#translate-beams", &beams.to_string()).await;
        page.perform("translate").await;
        let target = page.eval("return document.querySelector('#translate-to').value", vec![]).await;
        let language = json!({ "de": "German", "fr": "French", "ro": "Romanian" })[target.as_str().unwrap()].clone();
        let prompt = format!("translate English to {}: {sentence}", language.as_str().unwrap());
        let room = 2 * engine(model).encode_prompt(sentence).unwrap().len() + 16;
        let wanted = writes(&prompt, json!({ "do_sample": false, "num_beams": beams, "max_new_tokens": room }));
        assert_eq!(page.shown("#translate-result").await.trim(), wanted, "{beams} beams");
    }
    page.click("#translate .task-attention summary").await;
    let words = "return document.querySelectorAll('#translate .task-alignments .task-look').length > 3";
    page.wait_for("the words that were looked at", words, Value::Null).await;

    page.opens("summarise", "seq2seq/t5-relu-tied").await;
    page.put("#summarise-text", sentence).await;
    for (length, least, most) in [("short", 8, 32), ("long", 56, 180)] {
        page.put("#summarise-length", length).await;
        page.perform("summarise").await;
        let settings = json!({ "do_sample": false, "num_beams": 4, "no_repeat_ngram_size": 3, "min_new_tokens": least, "max_new_tokens": most });
        let wanted = writes(&format!("summarize: {sentence}"), settings);
        assert_eq!(page.shown("#summarise-result").await.trim(), wanted, "{length}");
    }
    page.finish().await;
}

#[tokio::test]
async fn a_page_without_a_model_says_what_it_is_for_and_what_the_open_one_can_do() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    for name in ["ask", "summarise", "search"] {
        page.task(name, "empty").await;
        let shown = page.shown(&format!("#{name} .task-mark")).await;
        assert!(shown.starts_with(if name == "search" { "Recorded: " } else { "Drawn up by hand" }), "{name}: {shown}");
        let note = page.shown(&format!("#{name} .task-also")).await;
        assert_eq!(note, "Stories, which is open, cannot do this. It can: Write");
        let offers = format!("return document.querySelectorAll('#{name} .task-row button').length");
        assert!(page.eval(&offers, vec![]).await.as_u64().unwrap() >= 2, "{name} offers models");
        let disabled = format!("return document.querySelector('#{name} .task-go').disabled");
        assert_eq!(page.eval(&disabled, vec![]).await, json!(true));
    }
    // A model that was not trained for it can be had, but not unasked.
    let here = "return document.querySelector('#search .task-row [data-model=gaps]')?.disabled";
    assert_eq!(page.eval(here, vec![]).await, json!(false));
    page.click("#search .task-example").await;
    assert!(page.shown("#search .task-status").await.starts_with("No model is open"));
    // A text that is dropped is the page's text, and not a model.
    let drop = "
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['First line.\\r\\nSecond.'], 'notes.txt', { type: 'text/plain' }));
        for (const type of ['dragover', 'drop']) document.querySelector('#search').dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));";
    page.eval(drop, vec![]).await;
    let taken = "return document.querySelector('#search-text').value === 'First line.\\nSecond.'";
    page.wait_for("the dropped text", taken, Value::Null).await;
    page.finish().await;
}

/// A language it was not made for, a task it was not trained for, a sentence that is too long for it.
#[tokio::test]
async fn what_a_model_cannot_know_is_said() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.task("fill", "ready").await;
    page.put("#fill-text", "Tom had a ____ in his hand.").await;
    page.perform("fill").await;
    assert_eq!(page.count("#fill .task-foreign").await, 0);
    page.put("#fill-text", "春天来了，花都____了。").await;
    page.perform("fill").await;
    assert!(page.shown("#fill .task-foreign").await.starts_with("Most of this text is not in the letters"));

    page.task("search", "ready").await;
    assert!(page.shown("#search .task-also").await.contains("trained for something else"));
    assert!(page.shown("#search .task-mark").await.starts_with("Recorded: "));
    assert_eq!(page.count("#search .task-example:not([lang=en])").await, 0);

    page.task("translate", "ready").await;
    page.put("#translate-text", &format!("the cat sat on the {}mat", "mat and the cat sat on the ".repeat(60))).await;
    page.perform("translate").await;
    assert!(page.shown("#translate .task-foreign").await.starts_with("A long sentence has become"));
    page.finish().await;
}

#[tokio::test]
async fn programs_translate_and_are_told_what_a_model_cannot_do() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let script = "
        const { load } = await import(new URL('inkling.js', document.baseURI));
        const code = (promise) => promise.then(() => 'no error', (error) => error.code);
        const model = await load({ url: 'models/translator/model.gguf' });
        const steps = [];
        const translated = await model.translate(['I am happy.', 'Where is my book?'], { max_new_tokens: 60, onText: (text) => steps.push(text) });
        const found = {
            task: model.task,
            tasks: model.info.tasks,
            translated,
            grows: steps.length > 2,
            fill: await code(model.fillMask('a [MASK]')),
            answer: await code(model.answer('who?', 'Tom.')),
            embed: await code(model.embed('Tom.')),
            summarize: await code(model.summarize('Tom.')),
            pair: await code(model.translate('Tom.', { tgt_lang: 'de' })),
            number: await code(model.translate(3)),
            after: (await model.translate('I am happy.', { src_lang: 'en', tgt_lang: 'fr', max_new_tokens: 60 }))[0],
        };
        await model.dispose();
        // A model that goes on with a text translates by the form of one, and has none of its own.
        const stories = await load({ url: 'models/stories/model.gguf' });
        const [line] = await stories.translate('Tom.', { prompt: 'Once, {text} said:', max_new_tokens: 30 });
        found.line = line.translation_text.length > 0 && !line.translation_text.includes('\\n');
        found.form = await code(stories.translate('Tom.'));
        await stories.dispose();
        return found;";
    let found = page.eval(script, vec![]).await;
    let wanted = json!({
        "task": "translation",
        "tasks": ["translation"],
        "translated": [{ "translation_text": translated("I am happy.", 1) }, { "translation_text": translated("Where is my book?", 1) }],
        "grows": true,
        "fill": "wrong_task",
        "answer": "wrong_task",
        "embed": "wrong_task",
        "summarize": "wrong_task",
        "pair": "bad_parameter",
        "number": "bad_parameter",
        "after": { "translation_text": translated("I am happy.", 1) },
        "line": true,
        "form": "wrong_task",
    });
    assert_eq!(found, wanted);
    page.finish().await;
}

/// A folder of any host is a model, whatever its tokenizer and its chat template are kept in.
#[tokio::test]
async fn a_folder_of_a_host_is_a_model() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let models = Host::shared(&xtask::process::root().join("tests/fixtures")).await;
    let page = Page::ready(&host.address("/")).await;
    let script = "
        const { load } = await import(new URL('inkling.js', document.baseURI));
        const found = [];
        for (const folder of ['seq2seq/t5-relu-tied', 'seq2seq/marian-tied', 'chat/llama']) {
            const model = await load({ url: arguments[0] + folder }).catch((error) => ({ task: error.message }));
            found.push([folder, model.task, model.info?.tasks.includes('chat')]);
            await model.dispose?.();
        }
        return found;";
    let found = page.eval(script, vec![json!(models.address("/"))]).await;
    let wanted = json!([
        ["seq2seq/t5-relu-tied", "text2text-generation", false],
        ["seq2seq/marian-tied", "translation", false],
        ["chat/llama", "text-generation", true],
    ]);
    assert_eq!(found, wanted);
    // What the other host lacks is asked for in vain, which browsers write down.
}
