//! Hosts for the built page: each serves `dist/` on a free port, the ways real hosts do.
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use xtask::server;

/// A running server; it ends with the test that started it.
pub struct Host {
    origin: String,
    reports: Arc<Mutex<Vec<String>>>,
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

    async fn start(site: Router) -> Self {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let sink = reports.clone();
        let report = post(move |body: String| async move { sink.lock().unwrap().push(body) });
        let listener = server::listen("127.0.0.1", 0).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(server::serve(listener, Router::new().route("/reports", report).fallback_service(site)));
        Self { origin, reports }
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
