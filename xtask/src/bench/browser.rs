//! One visit of a fresh Chromium to a server of its own: the pages of xtask/bench/, the built site, packages, models; and
//! one measurement, in which a page imports one engine and answers one call.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use fantoccini::Client;
use serde_json::{Value, json};

use crate::browser::{Browser, Driver};
use crate::{process, server};

/// What the page is given to work with.
pub struct Site<'a> {
    /// The built site, at /dist/.
    pub dist: PathBuf,
    /// Packages from npm, at /npm/.
    pub packages: Option<&'a Path>,
    /// Models, at /models/.
    pub models: Option<&'a Path>,
    /// With the headers of isolation, without which there is no shared memory and there are no threads.
    pub isolated: bool,
    /// Flags of Chromium beside the usual ones.
    pub flags: &'static [&'static str],
    /// How long one call may take.
    pub limit: Duration,
}

/// What came of a visit.
pub struct Visit<A, S> {
    pub answer: A,
    /// What was asked while the processes of the browser were still there.
    pub said: S,
    /// The paths that the browser asked for.
    pub fetched: BTreeSet<String>,
}

/// Lets the page's engine (such as `train/jax`, a module in xtask/bench/) do a task.
pub fn measure<S>(
    browser: &Browser,
    site: &Site,
    engine: &str,
    options: &Value,
    task: &Value,
    before_end: impl FnOnce() -> S,
) -> Result<Visit<Value, S>> {
    let work = async |client: &Client, address: &str| {
        client.goto(&format!("{address}/peer.html")).await.context("opening the page of the bench")?;
        let call = "window.run(...given)";
        ask(client, call, vec![json!(engine), options.clone(), task.clone()]).await
    };
    visit(browser, site, work, before_end)
}

/// Serves the site to a browser and works with it; the address has no slash at its end.
pub fn visit<A, S>(
    browser: &Browser,
    site: &Site,
    work: impl AsyncFnOnce(&Client, &str) -> Result<A>,
    before_end: impl FnOnce() -> S,
) -> Result<Visit<A, S>> {
    let runtime = tokio::runtime::Runtime::new().context("starting the server")?;
    runtime.block_on(async {
        let listener = server::listen("127.0.0.1", 0).await?;
        let address = listener.local_addr().context("asking for the server's own address")?;
        let mut host = Router::new().nest_service("/dist", server::site(&site.dist, site.isolated));
        for (path, folder) in [("/npm", site.packages), ("/models", site.models)] {
            if let Some(folder) = folder {
                host = host.nest_service(path, server::site(folder, site.isolated));
            }
        }
        let pages = server::site(&process::root().join("xtask/bench"), site.isolated);
        let fetched = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = fetched.clone();
        let note = move |request: Request| {
            let path = request.uri().path().to_string();
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
            std::future::ready(request)
        };
        tokio::spawn(server::serve(listener, host.fallback_service(pages).layer(map_request(note))));

        let driver = Driver::start(browser)?;
        let mut capabilities = browser.capabilities(site.flags);
        capabilities["timeouts"] = json!({ "script": site.limit.as_millis() as u64 });
        let client = driver.connect(capabilities).await?;
        let answer = work(&client, &format!("http://{address}")).await?;
        let said = before_end();
        let fetched = fetched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Visit { answer, said, fetched })
    })
}

/// What an expression comes to in the page, once it is there; in it `given` are the arguments.
pub async fn ask(client: &Client, expression: &str, arguments: Vec<Value>) -> Result<Value> {
    let body = format!(
        "const given = [...arguments], done = given.pop();
         (async () => {expression})().then((value) => done({{ value }}), (error) => done({{ error: `${{error}}` }}));"
    );
    let mut answer = client.execute_async(&body, arguments).await.context("in the page of the bench")?;
    match answer["error"].as_str() {
        Some(error) => bail!("{error}"),
        None => Ok(answer["value"].take()),
    }
}
