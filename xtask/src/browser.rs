//! The browser of the tests and benches: Chromium and its driver, and the one list of flags they run with.
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::tools;

/// Flags for a browser that shows nothing, keeps nothing and asks nothing of the network by itself.
const FLAGS: &[&str] = &[
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
    // Chromium's sandbox refuses to run as root, which is what a container is; the tests open only our own pages.
    "--no-sandbox",
];

/// Chromium and the driver that fits it.
pub struct Browser {
    pub chromium: PathBuf,
    pub driver: PathBuf,
}

impl Browser {
    /// The browser on this machine: as the variables CHROMIUM and CHROMEDRIVER say, else from PATH.
    pub fn find() -> Option<Self> {
        let chromium = named("CHROMIUM", &["chromium", "chromium-browser", "google-chrome", "chrome"])?;
        Some(Self { chromium, driver: named("CHROMEDRIVER", &["chromedriver"])? })
    }

    /// The same, fetched first where it is lacking.
    pub fn ensure() -> Result<Self> {
        if let Some(browser) = Self::find() {
            return Ok(browser);
        }
        tools::apt_install("chromium and chromedriver", &["chromium", "chromium-driver", "fonts-liberation"])?;
        match Self::find() {
            Some(browser) => Ok(browser),
            None => bail!("expected chromium and chromedriver on PATH, found none; set CHROMIUM and CHROMEDRIVER"),
        }
    }

    /// What a WebDriver session asks for, with some more flags for Chromium.
    pub fn capabilities(&self, more: &[&str]) -> Value {
        let flags = [FLAGS, more].concat();
        json!({
            "goog:chromeOptions": { "args": flags, "binary": self.chromium },
            "goog:loggingPrefs": { "browser": "ALL" },
        })
    }
}

/// A chromedriver of one's own. Dropping it ends it and its browsers.
pub struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    /// Starts one on a port that is free. Chromedriver takes the port of IPv4 that the system gives it for IPv6 too, and
    /// ends when another process holds that one, so a few tries are made.
    pub fn start(browser: &Browser) -> Result<Self> {
        const TRIES: usize = 5;
        let mut printed = String::new();
        for _ in 0..TRIES {
            let mut process = Command::new(&browser.driver)
                .arg("--port=0")
                .stdout(Stdio::piped())
                .spawn()
                .context("starting chromedriver")?;
            let stdout = process.stdout.take().context("expected chromedriver's output, found none")?;
            let mut lines = BufReader::new(stdout).lines();
            let port = lines.find_map(|line| {
                let line = line.ok()?;
                let port = line
                    .split_once("started successfully on port ")
                    .map(|(_, port)| port.trim_end_matches('.').parse().ok());
                printed.push_str(&line);
                printed.push('\n');
                port.flatten()
            });
            if let Some(port) = port {
                // Reading on keeps chromedriver from stopping at a full or closed pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self { process, port });
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        bail!("expected chromedriver to name its port, found in {TRIES} tries:\n{printed}")
    }

    /// A browser.
    pub async fn connect(&self, capabilities: Value) -> Result<Client> {
        let Value::Object(capabilities) = capabilities else { bail!("expected capabilities in an object") };
        let url = format!("http://127.0.0.1:{}", self.port);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities).connect(&url).await.context("starting a session of chromedriver")
    }
}

impl Drop for Driver {
    /// Asks chromedriver to end, which ends its browsers too; killing it would leave them running.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The file a variable names, or the first of these programs on PATH.
fn named(variable: &str, programs: &[&str]) -> Option<PathBuf> {
    match env::var_os(variable) {
        Some(file) => Some(PathBuf::from(file)).filter(|file| file.is_file()),
        None => programs.iter().find_map(|program| tools::find(program)),
    }
}
