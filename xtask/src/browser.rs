//! The browser of the tests: Chromium and its driver, and the one list of flags they run with.
use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};
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
        tools::apt_install(
            "chromium and chromedriver for the tests",
            &["chromium", "chromium-driver", "fonts-liberation"],
        )?;
        match Self::find() {
            Some(browser) => Ok(browser),
            None => bail!("expected chromium and chromedriver on PATH, found none; set CHROMIUM and CHROMEDRIVER"),
        }
    }

    /// What a WebDriver session asks for.
    pub fn capabilities(&self) -> Value {
        json!({
            "goog:chromeOptions": { "args": FLAGS, "binary": self.chromium },
            "goog:loggingPrefs": { "browser": "ALL" },
        })
    }
}

/// The file a variable names, or the first of these programs on PATH.
fn named(variable: &str, programs: &[&str]) -> Option<PathBuf> {
    match env::var_os(variable) {
        Some(file) => Some(PathBuf::from(file)).filter(|file| file.is_file()),
        None => programs.iter().find_map(|program| tools::find(program)),
    }
}
