//! One measurement in a fresh Chromium: a page of xtask/bench/ that imports one engine and answers one call.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use axum::Router;
use serde_json::{Value, json};

use crate::browser::{Browser, Driver};
use crate::{process, server};

/// No step of any engine takes longer, in milliseconds.
const PATIENCE: u64 = 30 * 60 * 1000;

/// What the page is given to work with.
pub struct Site<'a> {
    /// The built site, at /dist/.
    pub dist: PathBuf,
    /// Packages from npm, at /npm/.
    pub packages: Option<&'a Path>,
    /// With the headers of isolation, without which there is no shared memory and there are no threads.
    pub isolated: bool,
    /// Flags of Chromium beside the usual ones.
    pub flags: &'static [&'static str],
}

/// Lets the page's engine (the name of a module in xtask/bench/) do a task. With its answer comes what `before_end` says,
/// which is asked while the processes of the browser are still there.
pub fn measure<T>(
    browser: &Browser,
    site: &Site,
    engine: &str,
    options: &Value,
    task: &Value,
    before_end: impl FnOnce() -> T,
) -> Result<(Value, T)> {
    let runtime = tokio::runtime::Runtime::new().context("starting the server")?;
    runtime.block_on(async {
        let listener = server::listen("127.0.0.1", 0).await?;
        let address = listener.local_addr().context("asking for the server's own address")?;
        let mut host = Router::new().nest_service("/dist", server::site(&site.dist, site.isolated));
        if let Some(packages) = site.packages {
            host = host.nest_service("/npm", server::site(packages, site.isolated));
        }
        let pages = server::site(&process::root().join("xtask/bench"), site.isolated);
        tokio::spawn(server::serve(listener, host.fallback_service(pages)));

        let driver = Driver::start(browser)?;
        let mut capabilities = browser.capabilities(site.flags);
        capabilities["timeouts"] = json!({ "script": PATIENCE });
        let client = driver.connect(capabilities).await?;
        client.goto(&format!("http://{address}/peer.html")).await.context("opening the page of the bench")?;
        let body = "
            const [engine, options, task, done] = arguments;
            window.run(engine, options, task).then((value) => done({ value }), (error) => done({ error: `${error}` }));";
        let args = vec![json!(engine), options.clone(), task.clone()];
        let mut answer = client.execute_async(body, args).await.context("in the page of the bench")?;
        let said = before_end();
        match answer["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => Ok((answer["value"].take(), said)),
        }
    })
}
