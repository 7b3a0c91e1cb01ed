//! Hosts for the built page: each serves `dist/` on a free port, the ways real hosts do.
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use tokio::task::JoinHandle;
use xtask::server;

/// A running server; it ends with the test that started it.
pub struct Host {
    origin: String,
    reports: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Host {
    /// With the headers of isolation, as `cargo xtask serve` sends them.
    pub async fn isolated(dist: &Path) -> Self {
        Self::start(server::site(dist, true)).await
    }

    /// Files and nothing else, as `cargo xtask serve --plain` or any file host.
    pub async fn plain(dist: &Path) -> Self {
        Self::start(server::site(dist, false)).await
    }

    /// The site in a folder of somebody's host.
    pub async fn below(path: &str, dist: &Path) -> Self {
        Self::start(Router::new().nest_service(path, server::site(dist, false))).await
    }

    /// Someone else's page, beside the site in a folder or without it.
    pub async fn of_someone_else(page: String, path: &str, site: Option<(&str, &Path)>) -> Self {
        let host = Router::new().route(path, get(move || async move { Html(page) }));
        Self::start(match site {
            Some((folder, dist)) => host.nest_service(folder, server::site(dist, false)),
            None => host,
        })
        .await
    }

    /// A host that lets pages of other origins use its files.
    pub async fn shared(dist: &Path) -> Self {
        Self::start(server::with_header(server::site(dist, false), "access-control-allow-origin", "*")).await
    }

    /// A host whose browser reports every request to another origin, from the page and from its workers.
    pub async fn watched(dist: &Path) -> Self {
        let policy = "default-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' data: blob:; report-uri /reports";
        let site = server::with_header(server::site(dist, true), "content-security-policy-report-only", policy);
        Self::start(site).await
    }

    /// A plain host at an address of this machine's own that is not localhost, as a school's server is, or none where the
    /// machine has no other address.
    pub async fn on_the_network(dist: &Path) -> Option<Self> {
        let Some(address) = server::lan_addresses().into_iter().next() else {
            println!("skipped: this machine has no address but localhost");
            return None;
        };
        Some(Self::start_at(&address.to_string(), server::site(dist, false)).await)
    }

    /// Ends, as a network that is gone.
    pub async fn stop(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }

    async fn start(site: Router) -> Self {
        Self::start_at("127.0.0.1", site).await
    }

    async fn start_at(address: &str, site: Router) -> Self {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let sink = reports.clone();
        let report = post(move |body: String| async move { sink.lock().unwrap().push(body) });
        let listener = server::listen(address, 0).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let site = Router::new().route("/reports", report).fallback_service(site);
        let serving = tokio::spawn(server::serve(listener, site));
        Self { origin, reports, serving }
    }

    /// The address of the machine, without the port.
    pub fn ip(&self) -> &str {
        self.origin.trim_start_matches("http://").split(':').next().unwrap_or_default()
    }

    /// The address of a path on this host.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// What the browser reported so far.
    pub fn reports(&self) -> Vec<String> {
        self.reports.lock().unwrap().clone()
    }
}

/// The folder of the built site, or none, said aloud, where only `cargo test` runs.
pub fn dist() -> Option<PathBuf> {
    let dist = std::env::var_os("INKLING_DIST").map(PathBuf::from);
    if dist.is_none() {
        println!("skipped: the tests of the page run under `cargo xtask test page`");
    }
    dist
}

/// A file of the reference data beside the project, or none, said aloud.
pub fn reference(file: &str) -> Option<PathBuf> {
    let path = xtask::process::root().join("../shared/data/checkpoints").join(file);
    match path.canonicalize() {
        Ok(path) => Some(path),
        Err(_) => {
            println!("skipped: {} is not there", path.display());
            None
        }
    }
}
