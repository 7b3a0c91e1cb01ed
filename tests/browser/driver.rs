//! A browser on the built page: one Chromium for each test, and the page's own words for what a person does there.
use std::path::Path;
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use xtask::browser::{Browser, Driver};

/// The longest a page may take for anything on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page in a browser of its own. Dropping it ends the browser.
pub struct Page {
    client: Client,
    has_console: bool,
    _driver: Driver,
}

/// The browsers that are there: Chromium, and Firefox unless that is lacking, which is said aloud.
pub fn browsers() -> Vec<Browser> {
    let firefox = Browser::firefox();
    if firefox.is_none() {
        println!("skipped in Firefox: it or geckodriver is not there");
    }
    [Browser::find().expect("chromium and chromedriver")].into_iter().chain(firefox).collect()
}

impl Page {
    /// Opens an address in Chromium.
    pub async fn open(address: &str) -> Self {
        Self::open_in(&Browser::find().expect("chromium and chromedriver"), address).await
    }

    /// Opens an address.
    pub async fn open_in(browser: &Browser, address: &str) -> Self {
        let driver = Driver::start(browser).expect("the browser's driver starts");
        let client = driver.connect(browser.capabilities(&[])).await.expect("a session of the driver");
        client.goto(address).await.expect("the page opens");
        Self { client, has_console: browser.has_console(), _driver: driver }
    }

    /// Opens an address of the site and waits for the default model.
    pub async fn ready(address: &str) -> Self {
        let page = Self::open(address).await;
        page.wait_for_state("ready").await;
        page
    }

    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page reloads");
        self.wait_for_state("ready").await;
    }

    /// Goes to another address in the same tab.
    pub async fn go(&self, address: &str) {
        self.client.goto(address).await.expect("the page opens");
    }

    /// Opens an address in another tab and goes on there.
    pub async fn in_new_tab(&self, address: &str) {
        let tab = self.client.new_window(true).await.expect("a new tab");
        self.client.switch_to_window(tab.handle).await.expect("the new tab");
        self.go(address).await;
    }

    /// Closes this tab and goes on in the first one.
    pub async fn close_tab(&self) {
        self.client.close_window().await.expect("the tab closes");
        let first = self.client.windows().await.expect("the tabs").remove(0);
        self.client.switch_to_window(first).await.expect("the first tab");
    }

    /// The value of a JavaScript function body.
    pub async fn eval(&self, body: &str, args: Vec<Value>) -> Value {
        // The driver does not say what an error that is no plain one says.
        let script = format!(
            "const body = async function () {{ {body}\n }};
             return body.apply(this, arguments).then((value) => ({{ value }}), (error) => ({{ error: `${{error}} (${{error?.code}})` }}))"
        );
        let mut answer = self.client.execute(&script, args).await.unwrap_or_else(|error| panic!("{body}: {error}"));
        assert!(answer["error"].is_null(), "{body}: {}", answer["error"]);
        answer["value"].take()
    }

    /// The whole document: the person's words and the model's.
    pub async fn text(&self) -> String {
        self.string("return document.querySelector('#document').value").await
    }

    /// What an element shows.
    pub async fn shown(&self, selector: &str) -> String {
        self.eval("return document.querySelector(arguments[0]).textContent", vec![json!(selector)])
            .await
            .as_str()
            .unwrap_or_default()
            .trim()
            .to_string()
    }

    async fn string(&self, body: &str) -> String {
        self.eval(body, vec![]).await.as_str().unwrap_or_default().to_string()
    }

    /// Waits until the page is in a state; fails with what the page says when it does not get there.
    pub async fn wait_for_state(&self, state: &str) {
        self.wait_for(&format!("state {state}"), "return document.body.dataset.state === arguments[0]", json!(state))
            .await;
    }

    /// Waits until a JavaScript function body returns true.
    pub async fn wait_for(&self, what: &str, body: &str, arg: Value) {
        let start = Instant::now();
        // A page that is being loaded anew answers nothing for a moment.
        let script = format!("return (async function () {{ {body}\n }}).apply(this, arguments)");
        while !matches!(self.client.execute(&script, vec![arg.clone()]).await, Ok(Value::Bool(true))) {
            if start.elapsed() > PATIENCE {
                let page = self.string("return document.body.dataset.state + ': ' + document.body.innerText").await;
                panic!(
                    "waited {PATIENCE:?} for {what}; the page shows {page}; its console: {:?}",
                    self.console().await
                );
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Replaces the document by typing.
    pub async fn write(&self, text: &str) {
        const CONTROL: char = '\u{e009}';
        const RELEASE: char = '\u{e000}';
        if self.has_console {
            self.type_keys(&format!("{CONTROL}a{RELEASE}\u{e003}{text}")).await;
        } else {
            // Firefox's driver does not let go of a key in the midst of others.
            self.client
                .find(Locator::Css("#document"))
                .await
                .expect("the document")
                .clear()
                .await
                .expect("it is emptied");
            self.type_keys(text).await;
        }
        assert_eq!(self.text().await, text, "the document holds what was typed");
    }

    /// Types into the document; keys are those of WebDriver.
    pub async fn type_keys(&self, keys: &str) {
        self.press("#document", keys).await;
    }

    /// Types with an element in focus.
    pub async fn press(&self, selector: &str, keys: &str) {
        let element =
            self.client.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
        element.send_keys(keys).await.unwrap_or_else(|error| panic!("{selector} takes no keys: {error}"));
    }

    pub async fn click(&self, selector: &str) {
        let element =
            self.client.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
        element.click().await.unwrap_or_else(|error| panic!("clicking {selector}: {error}"));
    }

    /// Sets a generation parameter in the page's settings.
    pub async fn set(&self, parameter: &str, value: Value) {
        let body = "
            const control = document.querySelector(`[data-parameter=\"${arguments[0]}\"]`);
            if (!control) return false;
            if (control.type === 'checkbox') control.checked = arguments[1]; else control.value = String(arguments[1]);
            for (const type of ['input', 'change']) control.dispatchEvent(new Event(type, { bubbles: true }));
            return true;";
        let found = self.eval(body, vec![json!(parameter), value]).await;
        assert_eq!(found, Value::Bool(true), "the settings have a control for {parameter}");
    }

    /// Presses the generate button and waits for the end; the document afterwards.
    pub async fn generate(&self) -> String {
        self.click("#generate").await;
        self.wait_for_end().await
    }

    /// Waits for the running generation; the document afterwards.
    pub async fn wait_for_end(&self) -> String {
        // A short generation may be over before it could be looked at.
        self.wait_for("the end of generation", "return document.body.dataset.state !== 'generating'", Value::Null)
            .await;
        self.wait_for_state("ready").await;
        self.text().await
    }

    /// Runs JavaScript in the page as soon as the document has grown, without the delay of asking from outside.
    pub async fn once_text_grows(&self, action: &str) {
        let body = format!(
            "const text = document.querySelector('#document'), length = text.value.length;
             const look = () => {{ if (text.value.length > length) {{ {action} }} else setTimeout(look, 1); }};
             look();"
        );
        self.eval(&body, vec![]).await;
    }

    /// Chooses files with the page's own file button.
    pub async fn choose(&self, file: &Path) {
        self.give(file, "input#files").await;
    }

    /// Drops a file on the page.
    pub async fn drop_file(&self, file: &Path) {
        self.eval(
            "const input = document.createElement('input');
             input.type = 'file'; input.id = 'dropped'; document.body.append(input);",
            vec![],
        )
        .await;
        self.give(file, "#dropped").await;
        self.eval(
            "const input = document.querySelector('#dropped'), dataTransfer = new DataTransfer();
             dataTransfer.items.add(input.files[0]);
             input.remove();
             for (const type of ['dragenter', 'dragover', 'drop'])
               document.querySelector('#document').dispatchEvent(
                 new DragEvent(type, { bubbles: true, cancelable: true, composed: true, dataTransfer }));",
            vec![],
        )
        .await;
    }

    /// Puts a file into an input.
    pub async fn give(&self, file: &Path, selector: &str) {
        let input =
            self.client.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
        input.send_keys(&file.to_string_lossy()).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// The errors in the browser's console since it was last asked; none of a browser that does not tell.
    pub async fn console(&self) -> Vec<String> {
        if !self.has_console {
            return Vec::new();
        }
        let entries = self.client.issue_cmd(BrowserLog).await.expect("the browser's log");
        let entries = entries.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    /// Gives the page's origin so much room (Chromium only); `None` takes that back.
    pub async fn limit_storage(&self, bytes: Option<u64>) {
        let mut params = json!({ "origin": self.string("return location.origin").await });
        if let Some(bytes) = bytes {
            params["quotaSize"] = json!(bytes);
        }
        self.client.issue_cmd(DevTools("Storage.overrideQuotaForOrigin", params)).await.expect("another quota");
    }

    /// Ends a test: nothing may have gone wrong unseen.
    pub async fn finish(self) {
        assert_eq!(self.console().await, Vec::<String>::new(), "the console has no errors");
    }
}

/// Chromedriver's command for the console.
#[derive(Debug)]
struct BrowserLog;

impl WebDriverCompatibleCommand for BrowserLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// A command of Chromium's developer tools.
#[derive(Debug)]
struct DevTools(&'static str, Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}
