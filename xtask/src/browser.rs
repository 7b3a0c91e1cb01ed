//! The browsers of the tests and benches: Chromium, and for some tests Firefox, with their drivers, and the one list of
//! flags that Chromium runs with.
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

use crate::tools::{self, GECKODRIVER};

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

/// A browser and the driver that fits it.
pub struct Browser {
    pub program: PathBuf,
    pub driver: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Chromium,
    Firefox,
}

impl Browser {
    /// Chromium on this machine: as the variables CHROMIUM and CHROMEDRIVER say, else from PATH.
    pub fn find() -> Option<Self> {
        let program = named("CHROMIUM", &["chromium", "chromium-browser", "google-chrome", "chrome"])?;
        Some(Self { program, driver: named("CHROMEDRIVER", &["chromedriver"])?, kind: Kind::Chromium })
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

    /// Firefox on this machine: as the variables FIREFOX and GECKODRIVER say, else from PATH.
    pub fn firefox() -> Option<Self> {
        let program = named("FIREFOX", &["firefox", "firefox-esr"])?;
        Some(Self { program, driver: named("GECKODRIVER", &["geckodriver"])?, kind: Kind::Firefox })
    }

    /// The same, fetched first where it is lacking.
    pub fn ensure_firefox() -> Result<Self> {
        if let Some(browser) = Self::firefox() {
            return Ok(browser);
        }
        const NAMES: &[&str] = &["firefox", "firefox-esr"];
        if named("FIREFOX", NAMES).is_none() {
            tools::apt_install("firefox", &["firefox-esr"])?;
        }
        let program = named("FIREFOX", NAMES).context("expected firefox on PATH, found none; set FIREFOX")?;
        Ok(Self { program, driver: GECKODRIVER.path()?, kind: Kind::Firefox })
    }

    /// What a WebDriver session asks for, with some more flags for Chromium.
    pub fn capabilities(&self, more: &[&str]) -> Value {
        match self.kind {
            Kind::Chromium => json!({
                "goog:chromeOptions": { "args": ([FLAGS, more].concat()), "binary": self.program },
                "goog:loggingPrefs": { "browser": "ALL" },
            }),
            Kind::Firefox => json!({ "moz:firefoxOptions": { "args": ["-headless"], "binary": self.program } }),
        }
    }

    /// Whether it tells what is in its console.
    pub fn has_console(&self) -> bool {
        self.kind == Kind::Chromium
    }
}

/// A browser's driver of one's own. Dropping it ends it and its browsers.
pub struct Driver {
    process: Child,
    port: u16,
    kind: Kind,
}

impl Driver {
    /// Starts one on a port that is free. Chromedriver takes the port of IPv4 that the system gives it for IPv6 too, and
    /// ends when another process holds that one, so a few tries are made.
    pub fn start(browser: &Browser) -> Result<Self> {
        const TRIES: usize = 5;
        // What each says before the number of its port.
        let told = match browser.kind {
            Kind::Chromium => "started successfully on port ",
            Kind::Firefox => "Listening on 127.0.0.1:",
        };
        let mut printed = String::new();
        for _ in 0..TRIES {
            let mut command = Command::new(&browser.driver);
            command.arg("--port=0").stdout(Stdio::piped());
            // So that it can be ended with the browsers it has started.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let mut process = command.spawn().with_context(|| format!("starting {}", browser.driver.display()))?;
            let stdout = process.stdout.take().context("expected the driver's output, found none")?;
            let mut lines = BufReader::new(stdout).lines();
            let port = lines.find_map(|line| {
                let line = line.ok()?;
                let port = line.split_once(told).and_then(|(_, port)| port.trim_end_matches('.').parse().ok());
                printed.push_str(&line);
                printed.push('\n');
                port
            });
            if let Some(port) = port {
                // Reading on keeps the driver from stopping at a full or closed pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self { process, port, kind: browser.kind });
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        bail!("expected the browser's driver to name its port, found in {TRIES} tries:\n{printed}")
    }

    /// A browser.
    pub async fn connect(&self, capabilities: Value) -> Result<Client> {
        let Value::Object(capabilities) = capabilities else { bail!("expected capabilities in an object") };
        let url = format!("http://127.0.0.1:{}", self.port);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities).connect(&url).await.context("starting a session of the browser's driver")
    }
}

impl Drop for Driver {
    /// Asks chromedriver to end, which ends its browsers too; killing it would leave them running. Others are ended with
    /// all that they have started.
    fn drop(&mut self) {
        if self.kind != Kind::Chromium {
            let group = format!("-{}", self.process.id());
            let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        } else if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
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
