//! What axe-core finds in every view, in both themes: nothing.
use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};
use xtask::npm::Package;

const AXE: Package = Package { name: "axe-core", version: "4.14.1" };

/// By the address, what is there once a view is complete.
const VIEWS: [(&str, &str); 20] = [
    ("write", "#generate:not([disabled])"),
    ("chat", "#chat-draft"),
    ("inside/tokens", "[data-panel=tokens][data-state=ready]"),
    ("inside/next", "[data-panel=next][data-state=ready]"),
    ("inside/branch", "[data-panel=branch][data-state=ready]"),
    ("inside/attention", "[data-panel=attention][data-state=ready]"),
    ("inside/layers", "[data-panel=layers][data-state=ready]"),
    ("inside/architecture", "[data-panel=architecture][data-state=ready]"),
    ("inside/compare", "[data-panel=compare][data-state=ready]"),
    ("inside/embeddings", "[data-panel=embeddings][data-state=ready]"),
    ("lessons", ".lesson-card"),
    ("lessons/tokens/1", ".lesson-stage[data-state=ready]"),
    ("lessons/tokens/4", "#lesson-answer"),
    ("train", "#train h2"),
    ("library", "#library h2"),
    ("translate", "#translate .task-go:not([disabled])"),
    ("summarise", "#summarise .task-recorded"),
    ("ask", "#ask .task-recorded"),
    ("fill", "#fill .task-go:not([disabled])"),
    ("search", "#search .task-go:not([disabled])"),
];

#[tokio::test]
async fn axe_finds_nothing() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    page.eval(&axe(), vec![]).await;
    let mut found = Vec::new();
    for theme in ["light", "dark"] {
        let choose = "const theme = document.querySelector('#theme'); theme.value = arguments[0]; theme.dispatchEvent(new Event('change'))";
        page.eval(choose, vec![json!(theme)]).await;
        for (address, complete) in VIEWS {
            page.eval(
                "document.querySelector('dialog[open]')?.close(); location.hash = arguments[0]",
                vec![json!(address)],
            )
            .await;
            page.wait_for(
                address,
                "return document.querySelector(arguments[0])?.checkVisibility() === true",
                json!(complete),
            )
            .await;
            // Table twins are looked at too.
            page.eval("for (const details of document.querySelectorAll('main:not([hidden]) figcaption details')) details.open = true", vec![]).await;
            found.extend(violations(&page, address, theme).await);
        }
        page.eval("location.hash = 'lessons/next/1'", vec![]).await;
        page.wait_for(
            "a lesson",
            "return document.querySelector('#lesson-link')?.checkVisibility() === true",
            Value::Null,
        )
        .await;
        page.click("#lesson-link").await;
        found.extend(violations(&page, "the link for the class", theme).await);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    page.finish().await;
}

/// The script of axe-core.
fn axe() -> String {
    let script = AXE.ensure().unwrap_or_else(|error| panic!("{error:#}")).join("axe-core/axe.min.js");
    std::fs::read_to_string(script).unwrap()
}

/// What axe-core finds in the page as it is, in both themes.
pub async fn found_in(page: &Page, place: &str) -> Vec<String> {
    page.eval(&axe(), vec![]).await;
    let mut found = Vec::new();
    for theme in ["light", "dark"] {
        let choose = "const theme = document.querySelector('#theme'); theme.value = arguments[0]; theme.dispatchEvent(new Event('change'))";
        page.eval(choose, vec![json!(theme)]).await;
        found.extend(violations(page, place, theme).await);
    }
    found
}

/// Each violated rule with the places, by their selectors.
async fn violations(page: &Page, place: &str, theme: &str) -> Vec<String> {
    let body = "
        const { violations } = await axe.run(document, { resultTypes: ['violations'] });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`);";
    let found = page.eval(body, vec![]).await;
    let found = found.as_array().unwrap_or_else(|| panic!("expected a list from axe, found {found}"));
    found.iter().map(|rule| format!("{place}, {theme}: {}", rule.as_str().unwrap_or_default())).collect()
}
