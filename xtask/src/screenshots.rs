//! `cargo xtask screenshots`: every view of the built page as pictures, light and dark, in both languages, on a projector and
//! on a phone, for looking at before something is called done.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fantoccini::Client;
use serde_json::{Value, json};

use crate::browser::{Browser, Driver};
use crate::{process, server};

#[derive(clap::Args)]
pub struct Args {
    /// The folder that the pictures go to
    #[arg(long, default_value = "target/screenshots")]
    out: PathBuf,
    /// Only views whose name has this in it
    #[arg(long, default_value = "")]
    only: String,
}

/// What is looked at: the name of the picture, and the address after #.
const VIEWS: &[(&str, &str)] = &[
    ("write", "write"),
    ("chat", "chat"),
    ("tokens", "inside/tokens"),
    ("next", "inside/next"),
    ("branch", "inside/branch"),
    ("attention", "inside/attention"),
    ("layers", "inside/layers"),
    ("architecture", "inside/architecture"),
    ("compare", "inside/compare"),
    ("embeddings", "inside/embeddings"),
    ("side-by-side", "inside/tokens+next"),
    ("lessons", "lessons"),
    ("lesson", "lessons/next/1"),
    ("train", "train"),
    ("library", "library"),
    ("translate", "translate"),
    ("summarise", "summarise"),
    ("ask", "ask"),
    ("fill", "fill"),
    ("search", "search"),
];

/// Width and height of a window, by what it stands for.
const SCREENS: [(&str, u32, u32); 2] = [("projector", 1280, 720), ("phone", 360, 740)];

/// The longest a view may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(args: Args) -> Result<()> {
    let dist = process::root().join("dist");
    ensure!(
        dist.join("index.html").exists(),
        "expected the built page in dist/, found none; run cargo xtask build first"
    );
    let out = process::root().join(&args.out);
    fs::create_dir_all(&out).with_context(|| format!("making the folder {}", out.display()))?;
    let browser = Browser::ensure()?;
    let runtime = tokio::runtime::Runtime::new().context("starting the server")?;
    let count = runtime.block_on(async {
        let listener = server::listen("127.0.0.1", 0).await?;
        let address = format!("http://{}", listener.local_addr().context("asking for the server's own address")?);
        tokio::spawn(server::serve(listener, server::site(&dist, true)));
        let driver = Driver::start(&browser)?;
        let mut count = 0;
        for language in ["en", "zh"] {
            for theme in ["light", "dark"] {
                let client = driver.connect(browser.capabilities(&[])).await?;
                count += pictures(&client, &address, &out, (language, theme), &args.only).await?;
                client.close().await.context("closing the browser")?;
            }
        }
        Ok::<_, anyhow::Error>(count)
    })?;
    println!("{count} pictures in {}", args.out.display());
    Ok(())
}

/// Every view in one language and theme.
async fn pictures(
    client: &Client,
    address: &str,
    out: &Path,
    (language, theme): (&str, &str),
    only: &str,
) -> Result<usize> {
    client.goto(address).await.context("opening the page")?;
    let look =
        "localStorage.setItem('inkling.language', arguments[0]); localStorage.setItem('inkling.theme', arguments[1])";
    client.execute(look, vec![json!(language), json!(theme)]).await.context("choosing language and theme")?;
    client.refresh().await.context("loading the page anew")?;
    wait(client, "the model", "return document.body.dataset.state === 'ready'").await?;
    let mut count = 0;
    for (name, hash) in VIEWS.iter().filter(|(name, _)| name.contains(only)) {
        for (screen, width, height) in SCREENS {
            client.set_window_size(width, height).await.context("setting the size of the window")?;
            client.execute("location.hash = arguments[0]", vec![json!(hash)]).await.context("opening a view")?;
            wait(
                client,
                name,
                "const view = document.body.dataset.view;
                 const main = document.querySelector(`main[data-for~='${view}']`);
                 const panels = [...document.querySelectorAll('.inside-panel')];
                 return main.childElementCount > 0 && (view !== 'inside' || (panels.length > 0 && panels.every(({ dataset }) => dataset.state === 'ready')));",
            )
            .await?;
            // What is drawn when a size has changed comes a frame later.
            tokio::time::sleep(Duration::from_millis(250)).await;
            let picture = whole(client).await?;
            let path = out.join(format!("{name}-{screen}-{theme}-{language}.png"));
            fs::write(&path, picture).with_context(|| format!("writing {}", path.display()))?;
            count += 1;
        }
    }
    Ok(count)
}

async fn wait(client: &Client, what: &str, body: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        if client.execute(body, vec![]).await.is_ok_and(|found| found == Value::Bool(true)) {
            return Ok(());
        }
        ensure!(
            start.elapsed() < PATIENCE,
            "expected {what} to be there within {PATIENCE:?}, found it still on its way"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A picture of the view from top to bottom: the window is as tall as what it would scroll over.
async fn whole(client: &Client) -> Result<Vec<u8>> {
    const TALLEST: u64 = 12_000;
    let tall = "const view = document.body.dataset.view;
        const main = document.querySelector(`main[data-for~='${view}']`);
        return main.scrollHeight - main.clientHeight";
    let more = client.execute(tall, vec![]).await.context("asking for the height of the view")?.as_u64().unwrap_or(0);
    let (width, height) = client.get_window_size().await.context("asking for the size of the window")?;
    if more > 0 {
        let all = (height + more).min(TALLEST) as u32;
        client.set_window_size(width as u32, all).await.context("making the window taller")?;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    client.screenshot().await.context("taking a picture")
}
