//! The models that ship, as a person meets them: the list, the one the page begins with, and what it does not know.
use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";

/// The catalogue that was built.
fn catalog(dist: &std::path::Path) -> Vec<Value> {
    let catalog = std::fs::read(dist.join("models/catalog.json")).expect("the catalogue");
    let catalog: Value = serde_json::from_slice(&catalog).expect("the catalogue is JSON");
    catalog["models"].as_array().expect("a list of models").clone()
}

/// The model that a language begins with.
fn default_of(models: &[Value], language: &str) -> Value {
    let begins = |model: &&Value| model["default_for"].as_array().is_some_and(|all| all.contains(&json!(language)));
    models.iter().find(begins).unwrap_or_else(|| panic!("a model to begin with in {language}")).clone()
}

async fn model_in_use(page: &Page) -> Value {
    page.eval("return document.querySelector('#model').dataset.model", vec![]).await
}

async fn wait_for_model(page: &Page, id: &Value) {
    let ready = "return document.querySelector('#model').dataset.model === arguments[0] && document.body.dataset.state === 'ready'";
    page.wait_for(&format!("model {id}"), ready, id.clone()).await;
}

/// Chooses a language of the page as a person does.
async fn speak(page: &Page, language: &str) {
    let choose = "
        const select = document.querySelector('#language');
        select.value = arguments[0]; select.dispatchEvent(new Event('change', { bubbles: true }));";
    page.eval(choose, vec![json!(language)]).await;
}

/// Opens the page as somebody does for the first time whose language is this.
async fn first_visit(host: &Host, language: &str) -> Page {
    let page = Page::ready(&host.address("/")).await;
    speak(&page, language).await;
    // A tab remembers what it holds; a new one begins anew.
    page.eval("addEventListener('pagehide', () => sessionStorage.clear())", vec![]).await;
    page.reload().await;
    page
}

#[tokio::test]
async fn the_list_says_what_each_model_is() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let mut models = catalog(&dist);
    // What only reads or only translates is offered where that is done.
    models.retain(|model| model["tasks"].as_array().is_some_and(|tasks| tasks.contains(&json!("text-generation"))));
    let page = Page::ready(&host.address("/")).await;
    assert_eq!(model_in_use(&page).await, default_of(&models, "en")["id"]);

    page.click("#model").await;
    let read = "return [...document.querySelectorAll('.model-row')].map((row) => ({
        id: row.dataset.model, shown: row.innerText + (row.nextElementSibling?.innerText ?? ''),
        current: row.getAttribute('aria-current'), height: row.clientHeight,
        name: document.getElementById(row.getAttribute('aria-labelledby')).innerText }))";
    for language in ["en", "zh"] {
        speak(&page, language).await;
        let rows = page.eval(read, vec![]).await;
        assert_eq!(rows.as_array().unwrap().len(), models.len());
        for (row, model) in rows.as_array().unwrap().iter().zip(&models) {
            assert_eq!(row["id"], model["id"]);
            assert_eq!(row["name"], model["title"][language]);
            assert!(row["height"].as_u64().unwrap() > 20, "{} is to be seen", row["id"]);
            let shown = row["shown"].as_str().unwrap();
            let megabytes = format!("{:.1}", model["bytes"].as_f64().unwrap() / 1e6);
            assert!(shown.contains(&megabytes), "its size, {megabytes}: {shown:?}");
            // Two digits of the parameters, in the millions or, in Chinese, the ten thousands.
            let parameters = match language {
                "en" => format!("{:.1}M", model["parameters"].as_f64().unwrap() / 1e6),
                _ => format!("{:.0}万", (model["parameters"].as_f64().unwrap() / 1e5).round() * 10.0),
            };
            assert!(shown.contains(&parameters), "its parameters, {parameters}: {shown:?}");
            for part in ["title", "description", "data"].map(|part| &model[part]).iter().filter(|part| !part.is_null())
            {
                assert!(shown.contains(part[language].as_str().unwrap()), "{part} in {shown:?}");
            }
            let current = model["id"] == default_of(&models, "en")["id"];
            assert_eq!(row["current"] == json!("true"), current, "{} and whether it is in use", row["id"]);
        }
    }
    page.finish().await;
}

#[tokio::test]
async fn the_keyboard_chooses_a_model() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let [first, second] = [0, 1].map(|at| catalog(&dist)[at]["id"].clone());
    let opened = "return document.querySelector('#models').open";

    page.press("#model", DOWN).await;
    assert_eq!(page.eval(opened, vec![]).await, json!(true));
    let focused = "return document.activeElement.dataset.model ?? document.activeElement.id";
    assert_eq!(page.eval(focused, vec![]).await, first, "the arrow goes to the one in use");
    page.press(":focus", DOWN).await;
    assert_eq!(page.eval(focused, vec![]).await, second);
    page.press(":focus", ESCAPE).await;
    assert_eq!(page.eval(opened, vec![]).await, json!(false));
    assert_eq!(page.eval("return document.activeElement.id", vec![]).await, json!("model"));
    assert_eq!(model_in_use(&page).await, first, "Escape chooses nothing");

    page.press("#model", DOWN).await;
    page.press(":focus", DOWN).await;
    page.press(":focus", ENTER).await;
    wait_for_model(&page, &second).await;
    assert_eq!(page.eval(opened, vec![]).await, json!(false));
    // What a person chose, the tab keeps.
    page.reload().await;
    assert_eq!(model_in_use(&page).await, second);
    page.finish().await;
}

#[tokio::test]
async fn in_chinese_the_page_opens_on_poems() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let poems = default_of(&catalog(&dist), "zh");
    let page = first_visit(&host, "zh").await;
    assert_eq!(model_in_use(&page).await, poems["id"]);
    assert_eq!(page.shown("#model-name").await, poems["title"]["zh"]);
    let examples = "return [...document.querySelectorAll('.example')].map((example) => example.textContent)";
    assert_eq!(page.eval(examples, vec![]).await, poems["prompts"]);

    let prompt = poems["prompts"][0].as_str().unwrap();
    page.click(".example").await;
    assert_eq!(page.text().await, prompt);
    page.set("max_new_tokens", json!(24)).await;
    page.set("min_new_tokens", json!(12)).await;
    let verse = page.generate().await;
    let new = verse.strip_prefix(prompt).expect("it begins with the line");
    assert!(new.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "in Chinese: {verse:?}");
    page.finish().await;
}

#[tokio::test]
async fn another_language_takes_neither_text_nor_model_away() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let models = catalog(&dist);
    let (english, chinese) = (default_of(&models, "en")["id"].clone(), default_of(&models, "zh")["id"].clone());
    let page = Page::ready(&host.address("/")).await;
    page.write("Once upon a time").await;
    speak(&page, "zh").await;
    assert_eq!(model_in_use(&page).await, english);
    assert_eq!(page.text().await, "Once upon a time");
    page.reload().await;
    assert_eq!(model_in_use(&page).await, english, "a text keeps its model");
    assert_eq!(page.text().await, "Once upon a time");

    // On an empty sheet the other model is offered, and comes when asked for.
    page.click("#new").await;
    page.click("#other-language-open").await;
    wait_for_model(&page, &chinese).await;
    assert_eq!(page.eval("return document.querySelector('#other-language').hidden", vec![]).await, json!(true));
    page.finish().await;
}

#[tokio::test]
async fn characters_the_model_does_not_know_are_named() {
    let Some(dist) = dist() else { return };
    let host = Host::plain(&dist).await;
    let poems = default_of(&catalog(&dist), "zh");
    let page = first_visit(&host, "zh").await;
    let named = "return document.querySelector('#unknown').textContent !== ''";
    page.write("明月爱春风").await;
    page.wait_for("the note", named, Value::Null).await;
    for (language, begins) in [("zh", "这个模型不认识：爱 风。"), ("en", "This model does not know: 爱 风. ")]
    {
        speak(&page, language).await;
        let expected = format!("{begins}{}", poems["unknown"][language].as_str().unwrap());
        assert_eq!(page.shown("#unknown").await, expected);
    }
    // What is gone from the text is gone from the note at once.
    page.type_keys("\u{e003}").await;
    assert!(page.shown("#unknown").await.starts_with("This model does not know: 爱."));
    page.write("明月").await;
    assert_eq!(page.shown("#unknown").await, "");

    // Also where nobody waited for it before going on.
    page.set("max_new_tokens", json!(5)).await;
    page.write("春风").await;
    page.type_keys("\u{e009}\u{e007}").await;
    page.wait_for("the note", "return document.querySelector('#unknown').textContent.includes('风')", Value::Null)
        .await;
    page.wait_for_end().await;
    page.finish().await;
}

/// A link holds all that matters: another browser writes the same text with it, and only when asked to.
#[tokio::test]
async fn a_shared_link_writes_the_same_text_elsewhere() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let prompt = "One day, a \"red\" bird & a cat";
    page.write(prompt).await;
    page.set("max_new_tokens", json!(30)).await;
    page.set("temperature", json!(1.1)).await;
    let text = page.generate().await;
    // Where copying is not allowed, the address has the link.
    page.eval("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))", vec![]).await;
    page.click("#share").await;
    page.wait_for("the link", "return location.hash.startsWith('#write/?prompt=')", Value::Null).await;
    let link = page.eval("return location.href", vec![]).await.as_str().unwrap().to_string();

    let other = Page::ready(&link).await;
    other.wait_for("the offer", "return !document.querySelector('#shared').hidden", Value::Null).await;
    assert_eq!(other.shown("#shared-prompt").await, prompt);
    assert_eq!(other.text().await, "", "nothing is written before somebody says so");
    other.click("#shared-write").await;
    other.wait_for("a text", "return document.querySelector('#document').value !== ''", Value::Null).await;
    assert_eq!(other.wait_for_end().await, text);
    // What was cut on its way is no harm.
    other.go(&link[..link.len() - 20].replace("temperature", "temper%ature")).await;
    other.wait_for_state("ready").await;
    other.click("#shared-no").await;
    other.wait_for("the offer to be gone", "return document.querySelector('#shared').hidden", Value::Null).await;
    other.finish().await;
    page.finish().await;
}
