//! The Chat view on a tiny model with a chat template: what it reads is what the command line reads, what it writes is what
//! the engine writes; turns are edited, taken back, kept and saved; and what a template must not do is stopped.
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::accessible;
use crate::driver::Page;
use crate::hosts::{Host, dist};
use crate::inside::engine;
use inkling::Engine;
use inkling::generate::{Event, Generation};
use xtask::process;

const MODEL: &str = "tests/fixtures/chat/gguf-llama/model.gguf";

fn model() -> PathBuf {
    process::root().join(MODEL)
}

/// The page with the tiny model and the Chat view open.
async fn chatting(host: &Host) -> Page {
    let page = Page::ready(&host.address("/")).await;
    chat_with_model(&page).await;
    page
}

/// Opens the tiny model and the Chat view.
async fn chat_with_model(page: &Page) {
    page.eval("location.hash = 'write'", vec![]).await;
    page.choose(&model()).await;
    page.wait_for(
        "the tiny model",
        "return document.querySelector('#model').dataset.model.startsWith('own:') && document.body.dataset.state === 'ready'",
        Value::Null,
    )
    .await;
    page.set("do_sample", json!(false)).await;
    page.eval("location.hash = 'chat'", vec![]).await;
    page.wait_for("the view", "return document.querySelector('#chat-draft')?.checkVisibility() === true", Value::Null)
        .await;
    page.eval("document.querySelector('#chat-length').value = 12", vec![]).await;
}

/// Whether a message is answered as it is natively.
pub async fn replies(page: &Page) {
    chat_with_model(page).await;
    say(page, "The quick brown fox").await;
    let (_, _, reply) = native(json!([{ "role": "user", "content": "The quick brown fox" }]), 12);
    assert_eq!(turns(page).await[1].1, reply);
}

/// Sends a message and waits for the end of the reply.
async fn say(page: &Page, text: &str) {
    let put = "
        const draft = document.querySelector('#chat-draft');
        draft.value = arguments[0];
        draft.dispatchEvent(new Event('input', { bubbles: true }));";
    page.eval(put, vec![json!(text)]).await;
    page.click("#chat-send").await;
    settled(page).await;
}

async fn settled(page: &Page) {
    page.wait_for("the end of the reply", "return !document.querySelector('#chat-send').hidden", Value::Null).await;
}

/// Role and words of every turn.
async fn turns(page: &Page) -> Vec<(String, String)> {
    let body = "return [...document.querySelectorAll('#chat-turns .chat-turn')].map((turn) => [turn.classList.contains('user') ? 'user' : 'assistant', turn.querySelector('.chat-said').textContent])";
    serde_json::from_value(page.eval(body, vec![]).await).unwrap()
}

/// What the engine reads natively.
fn read(engine: &Engine, messages: Value) -> (String, Vec<u32>) {
    let chat = engine.chat().unwrap().clone();
    let mut context = json!(chat.special_tokens);
    context["messages"] = messages;
    context["add_generation_prompt"] = json!(true);
    let text = inkling_chat::render(&chat.template, &context.to_string(), 0).unwrap();
    let ids = engine.encode_chat(&text).unwrap();
    (text, ids)
}

/// What the engine reads and replies natively.
fn native(messages: Value, tokens: usize) -> (String, Vec<u32>, String) {
    let mut engine = engine(MODEL);
    let (text, ids) = read(&engine, messages);
    let mut config = engine.defaults().clone();
    config.max_new_tokens = Some(tokens);
    config.eos_token_id.extend(&engine.chat().unwrap().end_of_turn);
    let mut generation = Generation::start(&mut engine, ids.clone(), config).unwrap();
    loop {
        if let Event::Done { sequences, .. } = generation.advance(&mut engine, usize::MAX).unwrap() {
            return (text, ids, sequences[0].text.clone());
        }
    }
}

#[tokio::test]
async fn a_conversation_is_held() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = chatting(&host).await;
    let asked = json!({ "role": "user", "content": "The quick brown fox" });
    say(&page, "The quick brown fox").await;
    let (_, _, reply) = native(json!([asked]), 12);
    assert_eq!(
        turns(&page).await,
        [("user".into(), "The quick brown fox".into()), ("assistant".into(), reply.clone())]
    );
    assert_eq!(page.shown("#chat-problem").await, "");

    // What the model reads, token by token; the marks are marked.
    page.eval("document.querySelector('#chat-raw-box').open = true", vec![]).await;
    say(&page, "the end").await;
    let messages = json!([asked, { "role": "assistant", "content": reply }, { "role": "user", "content": "the end" }]);
    let (text, ids, second) = native(messages, 12);
    assert_eq!(turns(&page).await[3].1, second);
    let reused = page.shown("[data-turn='3'] .chat-facts").await;
    let numbers: Vec<usize> = reused.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert_eq!(numbers.last(), Some(&ids.len()), "{reused}");
    assert!(numbers[numbers.len() - 2] > 10, "tokens of the first question are read once: {reused}");
    page.click("[data-turn='3'] [data-action=again]").await;
    settled(&page).await;
    assert_eq!(turns(&page).await[3].1, second, "the same again, greedily");
    let shown = "
        await new Promise((done) => setTimeout(done, 300));
        return [...document.querySelectorAll('.chat-token')].map((token) => [token.title.match(/\\d+/)[0], token.textContent, token.classList.contains('special')])";
    let shown: Vec<(String, String, bool)> = serde_json::from_value(page.eval(shown, vec![]).await).unwrap();
    let shown_ids: Vec<u32> = shown.iter().map(|(id, _, _)| id.parse().unwrap()).collect();
    assert_eq!(shown_ids[..ids.len()], ids, "{text}");
    assert_eq!(shown[0], ("280".to_string(), "<|im_start|>".to_string(), true));
    assert!(page.shown("#chat-meter-words").await.contains("256"));
    assert_eq!(accessible::found_in(&page, "a conversation").await, Vec::<String>::new());
    page.finish().await;
}

#[tokio::test]
async fn turns_are_edited_and_taken_back() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = chatting(&host).await;
    say(&page, "one").await;
    say(&page, "two").await;
    let before = turns(&page).await;
    assert_eq!(before.len(), 4);

    page.click("[data-turn='0'] [data-action=edit]").await;
    page.eval("document.querySelector('.chat-editor textarea').value = '<b>three</b>'", vec![]).await;
    page.click(".chat-editor [data-action=save]").await;
    settled(&page).await;
    let edited = turns(&page).await;
    let (_, _, reply) = native(json!([{ "role": "user", "content": "<b>three</b>" }]), 12);
    assert_eq!(edited, [("user".into(), "<b>three</b>".into()), ("assistant".into(), reply)]);
    assert_eq!(page.eval("return document.querySelectorAll('.chat-turn b').length", vec![]).await, json!(0));
    page.click("#chat-undo").await;
    assert_eq!(turns(&page).await, before, "Undo brings back what the edit cost");
    // By the keyboard alone, as a new question.
    page.click("[data-turn='0'] [data-action=edit]").await;
    page.eval("document.querySelector('.chat-editor textarea').value = '<b>three</b>'", vec![]).await;
    page.press(".chat-editor textarea", "\u{e007}").await;
    settled(&page).await;
    assert_eq!(turns(&page).await, edited);
    page.click("#chat-undo").await;
    assert_eq!(turns(&page).await, before);

    // Saved as files.
    let watch = "
        window.saved = [];
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => (blob.text().then((text) => saved.push(text)), make(blob));";
    page.eval(watch, vec![]).await;
    page.click("#chat-json").await;
    page.click("#chat-markdown").await;
    page.wait_for("two files", "return saved.length === 2", Value::Null).await;
    let saved: Vec<String> = serde_json::from_value(page.eval("return saved", vec![]).await).unwrap();
    let messages: Value = serde_json::from_str(&saved[0]).unwrap();
    assert_eq!(messages["messages"][2], json!({ "role": "user", "content": "two" }));
    assert!(saved[1].starts_with("**You**\n\none\n"), "{}", saved[1]);

    // A reload keeps it for the tab; another language renames its parts.
    page.reload().await;
    page.wait_for("the turns", "return document.querySelectorAll('.chat-turn').length === 4", Value::Null).await;
    page.finish().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_numbers() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = chatting(&host).await;
    let long = "xyz ".repeat(100);
    say(&page, &long).await;
    let problem = page.shown("#chat-problem").await;
    let (_, ids) = read(&engine(MODEL), json!([{ "role": "user", "content": long.trim() }]));
    assert!(problem.contains("256") && problem.contains(&ids.len().to_string()), "{problem}");
    assert_eq!(turns(&page).await, []);
    let draft = page.eval("return document.querySelector('#chat-draft').value", vec![]).await;
    assert_eq!(draft, json!(long.trim()), "what was written is not lost");
    assert_eq!(page.eval("return document.querySelector('.chat-meter').dataset.state", vec![]).await, json!("full"));
    say(&page, "short").await;
    assert_eq!(turns(&page).await.len(), 2);
    assert_eq!(page.shown("#chat-problem").await, "");
    page.finish().await;
}

#[tokio::test]
async fn a_model_without_a_template_says_so() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = Page::ready(&host.address("/#chat")).await;
    page.wait_for("the view", "return document.querySelector('#chat-plain')?.checkVisibility() === true", Value::Null)
        .await;
    assert_eq!(page.eval("return document.querySelector('#chat-send').disabled", vec![]).await, json!(true));
    assert_eq!(page.eval("return document.querySelectorAll('.chat-models li').length >= 5", vec![]).await, json!(true));
    assert_eq!(accessible::found_in(&page, "no template").await, Vec::<String>::new());
    assert!(page.shown("#chat-example").await.contains("Drawn up by hand: no model has written it."));
    page.click("#chat-plain").await;
    assert_eq!(page.eval("return document.querySelector('#chat-example').hidden", vec![]).await, json!(true));
    page.eval("document.querySelector('#chat-length').value = 5", vec![]).await;
    say(&page, "Once upon a time").await;
    assert_eq!(turns(&page).await.len(), 2, "{}", page.shown("#chat-problem").await);
    assert!(page.shown("#chat-no-template").await.contains("not a format"));
    // A suggested model is only written into the field of the Models view.
    page.eval("document.querySelector('.chat-models a').click()", vec![]).await;
    let there = "return document.querySelector('#library-wish')?.value === document.querySelector('.chat-models a').hash.slice('#library/'.length)";
    page.wait_for("the field of the Models view", there, Value::Null).await;
    page.finish().await;
}

#[tokio::test]
async fn conversations_are_kept_if_wanted() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = chatting(&host).await;
    say(&page, "keep this").await;
    let kept = "return document.querySelectorAll('#chat-kept li').length";
    assert_eq!(page.eval(kept, vec![]).await, json!(0));
    page.click("#chat-keep").await;
    page.wait_for("it is kept", "return document.querySelectorAll('#chat-kept li').length === 1", Value::Null).await;
    page.eval("addEventListener('pagehide', () => sessionStorage.clear())", vec![]).await;
    page.reload().await;
    page.wait_for("the list", "return document.querySelectorAll('#chat-kept li').length === 1", Value::Null).await;
    assert_eq!(turns(&page).await, []);
    page.click("#chat-kept .chat-open").await;
    assert_eq!(turns(&page).await[0].1, "keep this");
    page.click("#chat-discard").await;
    page.wait_for("it is deleted", "return document.querySelectorAll('#chat-kept li').length === 0", Value::Null).await;
    page.finish().await;
}

/// A reply that was cut is not said to be complete, and goes on where there is room only.
#[tokio::test]
async fn a_reply_that_is_cut_says_why() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = chatting(&host).await;
    for (tokens, why, going_on) in [(5, "cut after 5 tokens", 1), (400, "context is full", 0)] {
        page.eval("document.querySelector('#chat-length').value = arguments[0]", vec![json!(tokens)]).await;
        page.set("min_new_tokens", json!(tokens)).await;
        say(&page, "The quick brown fox").await;
        let status = page.shown("#chat-status").await;
        assert!(status.contains(why), "{status}");
        let offers = "
            await new Promise((done) => setTimeout(done, 300));
            return document.querySelectorAll('#chat-turns [data-action=goon]').length";
        assert_eq!(page.eval(offers, vec![]).await, json!(going_on), "{status}");
    }
    page.finish().await;
}

#[tokio::test]
async fn a_reply_is_stopped_by_the_keyboard() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = chatting(&host).await;
    page.eval("document.querySelector('#chat-length').value = 200", vec![]).await;
    page.set("min_new_tokens", json!(200)).await;
    let stop = "
        const list = document.querySelector('#chat-turns');
        const look = () => {
          if (list.querySelector('.assistant .chat-said')?.textContent) document.querySelector('#chat-stop').click();
          else setTimeout(look, 1);
        };
        look();";
    page.eval(stop, vec![]).await;
    page.press("#chat-draft", "go\u{e007}").await;
    page.wait_for("a turn", "return document.querySelectorAll('.chat-turn').length === 2", Value::Null).await;
    settled(&page).await;
    assert!(turns(&page).await[1].1.chars().count() < 200);
    assert_eq!(page.eval("return document.activeElement.id", vec![]).await, json!("chat-draft"));
    page.finish().await;
}

#[tokio::test]
async fn templates_are_rendered_and_bounded_by_the_api() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let input = "
        const input = document.createElement('input');
        input.type = 'file'; input.id = 'given'; document.body.append(input);";
    page.eval(input, vec![]).await;
    page.give(&model(), "#given").await;
    let body = "
        const { load } = await import('./inkling.js');
        const file = document.querySelector('#given').files[0];
        const model = await load({ files: [file] });
        const messages = [{ role: 'user', content: 'Hi <b>&' }];
        const code = (chat_template, more = {}) => model.applyChatTemplate(messages, { chat_template, ...more }).then((text) => text, (error) => error.code);
        const deep = '{% set x = [] %}' + '{% set x = [x] %}'.repeat(3000) + '{{ x }}';
        const nested = '{% set y = [1] %}' + '{% with x = [y, y] %}{% with y = [x, x] %}'.repeat(20) + '{% set b = 1 %}';
        const twin = '{% set b = [1] %}' + '{% with a = [b, b] %}{% with b = [a, a] %}'.repeat(20) + '{{ y == b }}';
        const found = {
          text: await model.applyChatTemplate(messages),
          closed: await model.applyChatTemplate(messages, { add_generation_prompt: false }),
          continued: await model.applyChatTemplate([...messages, { role: 'assistant', content: 'Well, ' }], { continue_final_message: true }),
          variable: await code('{{ enable_thinking }} {{ bos_token }}', { enable_thinking: false }),
          refused: await code(`{{ raise_exception('no') }}`),
          broken: await code('{% if %}'),
          endless: await code('{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'),
          minus: await code('{{ ' + '-'.repeat(4000) + '1 }}'),
          deep: await code(deep),
          hang: await code(nested + twin + '{% endwith %}'.repeat(80)),
          large: await code('x'.repeat(1 << 20)),
          none: await model.applyChatTemplate('no').catch((error) => error.code),
          nobody: await model.chat([{ content: 'Hi' }]).next().catch((error) => error.code),
        };
        found.after = await code('{{ messages[0].content }}');
        let reply = '';
        for await (const { text } of model.chat(messages, { max_new_tokens: 8, do_sample: false })) reply += text;
        found.reply = reply;
        await model.dispose();
        return found;";
    let found = page.eval(body, vec![]).await;
    let (text, _, reply) = native(json!([{ "role": "user", "content": "Hi <b>&" }]), 8);
    assert_eq!(found["text"], json!(text));
    assert_eq!(found["reply"], json!(reply));
    assert_eq!(found["closed"], json!("<|im_start|>user\nHi <b>&<|im_end|>\n"));
    assert_eq!(found["continued"], json!("<|im_start|>user\nHi <b>&<|im_end|>\n<|im_start|>assistant\nWell, "));
    assert_eq!(found["variable"], json!("False <|endoftext|>"));
    for (name, code) in [
        ("refused", "template_refused"),
        ("broken", "bad_template"),
        ("endless", "template_limit"),
        ("deep", "bad_template"),
        ("hang", "template_limit"),
        ("large", "template_limit"),
        ("none", "bad_parameter"),
        ("nobody", "bad_parameter"),
        ("after", "Hi <b>&"),
    ] {
        assert_eq!(found[name], json!(code), "{name}");
    }
    page.finish().await;
}

#[tokio::test]
async fn thoughts_are_folded() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let body = "
        const { split, opened } = await import('./views/chat/thinking.js');
        return [...['a<think>b', '<thi', '<think>\\nI see', '<think>\\nI see\\n</think>\\n\\nYes <b>', '<think>\\n\\n</think>\\n\\nYes', '']
          .map((text) => { const { thought, said, thinking } = split(text); return [thought, said, thinking]; }),
          opened('assistant\\n<think>\\n'), opened('assistant\\n')];";
    let found = page.eval(body, vec![]).await;
    let wanted = json!([
        [null, "a<think>b", false],
        [null, "", false],
        ["I see", "", true],
        ["I see", "Yes <b>", false],
        [null, "Yes", false],
        [null, "", false],
        "<think>\n",
        ""
    ]);
    assert_eq!(found, wanted);

    // A conversation of earlier, in which a model has thought.
    let kept = json!({ "id": "a", "system": "", "turns": [
        { "role": "user", "content": "2+2?" }, { "role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\n4" }] });
    page.eval("sessionStorage.setItem('inkling.chat', arguments[0])", vec![json!(kept.to_string())]).await;
    page.go(&host.address("/#chat")).await;
    page.reload().await;
    page.wait_for("the turns", "return document.querySelectorAll('.chat-turn').length === 2", Value::Null).await;
    let shown = "const turn = document.querySelector('.chat-turn.assistant'); return [turn.querySelector('details').open, turn.querySelector('.chat-thought').textContent, turn.querySelector('.chat-said').textContent]";
    assert_eq!(page.eval(shown, vec![]).await, json!([false, "Two and two.", "4"]));
    page.finish().await;
}
