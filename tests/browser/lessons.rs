//! The lessons: gone through, presented, and shared with a class.
use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};
use crate::inside::engine;
use crate::offline::wait_until_kept;

/// A lesson from its first step to its last with the keyboard alone and the network cut, in both languages; each question is
/// answered by the model.
#[tokio::test]
async fn lessons_need_a_keyboard_and_nothing_else() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/#library")).await;
    wait_until_kept(&page).await;
    host.stop().await;
    for (language, answer) in [("en", "10"), ("zh", "7")] {
        page.eval("localStorage.setItem('inkling.language', arguments[0]); sessionStorage.clear(); location.hash = '#lessons'", vec![json!(language)]).await;
        page.reload().await;
        page.wait_for("the lessons", "return document.querySelectorAll('.lesson-card').length === 8", Value::Null)
            .await;
        page.eval("document.querySelector('.lesson-card a').focus()", vec![]).await;
        page.press(".lesson-card a", "\u{e007}").await;
        // The address is there before the step is.
        let step = "return location.hash === `#lessons/tokens/${arguments[0]}` && Number(document.querySelector('.lesson-nav span')?.textContent.match(/\\d+/)[0]) === arguments[0]";
        page.wait_for("the first step", step, json!(1)).await;
        page.wait_for(
            "the pieces",
            "return document.querySelectorAll('#lessons .inside-piece').length > 4",
            Value::Null,
        )
        .await;
        for next in 2..=4 {
            page.press("#lesson-heading", "\u{e014}").await;
            page.wait_for("the next step", step, json!(next)).await;
        }
        page.press("#lesson-answer", &format!("{answer}\u{e007}")).await;
        page.wait_for(
            "a verdict",
            "return document.querySelector('.lesson-result').dataset.right !== undefined",
            Value::Null,
        )
        .await;
        let told = page.shown(".lesson-result").await;
        let text = if language == "en" { "The rabbit hopped happily." } else { "两个黄鹂鸣翠柳" };
        let folder = if language == "en" { "models/stories" } else { "models/poems" };
        let count =
            engine(folder).tokenizer().encode_with_offsets(text).unwrap().iter().filter(|p| p.end > p.start).count();
        assert!(told.contains(&count.to_string()), "{told} for {count}");
        page.press("#lesson-heading", "\u{e012}").await;
        page.wait_for("the step before", step, json!(3)).await;
    }
    // Presenting takes everything else away, and Escape brings it back.
    page.click("#lesson-present").await;
    page.wait_for("presenting", "return document.body.classList.contains('presenting') && getComputedStyle(document.querySelector('header')).display === 'none'", Value::Null).await;
    assert_eq!(page.shown("#lesson-present").await, "退出放映");
    page.click("#lesson-present").await;
    page.wait_for("the page by its button", "return !document.body.classList.contains('presenting')", Value::Null)
        .await;
    page.click("#lesson-present").await;
    page.press("#lesson-heading", "\u{e00c}").await;
    page.wait_for("the page", "return !document.body.classList.contains('presenting')", Value::Null).await;
    page.finish().await;
}

/// The link for the class has a code, and opens the same step with the same text, draw and model without the menus.
#[tokio::test]
async fn a_class_is_given_what_its_teacher_sees() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/#lessons/next/2")).await;
    let settled = "return document.querySelector('#lessons .lesson-stage')?.dataset.state === 'ready' && document.querySelector('#next-draw') !== null";
    page.wait_for("the step", settled, Value::Null).await;
    page.click("#next-draw").await;
    page.eval("const area = document.querySelector('#lessons .lesson-look textarea'); area.value = 'The dog was'; area.dispatchEvent(new Event('input'))", vec![]).await;
    let said = "return document.querySelector('.inside-verdict').textContent.includes(arguments[0])";
    page.wait_for("another draw", said, json!("2")).await;
    page.click("#lesson-link").await;
    page.wait_for(
        "the code",
        "return document.querySelector('.lesson-code svg path')?.getAttribute('d').length > 2000",
        Value::Null,
    )
    .await;
    let warned = page.shown(".lesson-link [role=status]").await;
    assert!(warned.contains("this machine"), "an address of this machine is of no use to others: {warned}");
    let link = page.eval("return document.querySelector('#link-address').value", vec![]).await;
    let link = link.as_str().unwrap();
    let pairs = ["seed=2", "lock=1", "model=stories", "text=The+dog+was"];
    assert!(pairs.iter().all(|pair| link.contains(pair)), "{link}");
    let verdict = page.shown(".inside-verdict").await;
    page.finish().await;

    let page = Page::ready(link).await;
    page.wait_for("the same step", settled, Value::Null).await;
    page.wait_for(
        "the same draw",
        "return document.querySelector('.inside-verdict').textContent === arguments[0]",
        json!(verdict),
    )
    .await;
    let shown = page.eval("return [document.querySelector('#lessons .lesson-look textarea').value, getComputedStyle(document.querySelector('#views')).display]", vec![]).await;
    assert_eq!(shown, json!(["The dog was", "none"]));
    page.eval("location.hash = '#write'", vec![]).await;
    page.wait_for(
        "the menus again",
        "return getComputedStyle(document.querySelector('#views')).display !== 'none'",
        Value::Null,
    )
    .await;
    page.finish().await;
}
