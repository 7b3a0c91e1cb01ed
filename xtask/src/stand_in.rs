//! A stand-in for Hugging Face's hub: the listing, and files that come from another origin by a redirect, with ranges and
//! ETags. It can be told to misbehave, and counts what it sends.
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use futures_util::stream;
use futures_util::{Stream, StreamExt};
use inkling::files::hex;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::server;

pub const REPOSITORY: &str = "someone/tiny";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Bytes of a broken answer that go out at once.
const PIECE: usize = 64 << 10;
/// How long a line is still before it breaks.
const DRAIN: Duration = Duration::from_millis(250);

/// What the server does with one request for a file.
#[derive(Clone, Debug)]
pub enum Act {
    /// What it was asked for.
    Serve,
    /// The same, but the line breaks after so many bytes.
    Cut(usize),
    /// The same, so many bytes at a time with a pause in between.
    Slow(usize, Duration),
    /// An answer of this status with these headers and words.
    Refuse(u16, Vec<(&'static str, String)>, &'static str),
    /// The whole file, whatever part was asked for.
    Whole,
    /// Another part than the one that was asked for.
    OtherPart,
    /// More bytes than were asked for.
    TooLong,
    /// A whole file that ends early, without saying how long it is.
    Truncated,
    /// A page of HTML, with status 200.
    Html,
    /// As if the file had changed: another ETag and other bytes.
    Changed,
    /// Other bytes under the same ETag.
    Damaged,
    /// A body that is said to be gzip, with the length of something else.
    BadGzip,
}

/// A request for a file. `count` is how many there were before, of all files.
pub struct Asked<'a> {
    pub file: &'a str,
    pub count: usize,
}

/// A status, headers and a body instead of what was asked for.
pub type Refusal = (u16, Vec<(&'static str, String)>, String);

type Plan = Box<dyn FnMut(Asked) -> Act + Send>;

struct Inner {
    files: BTreeMap<String, Bytes>,
    plan: Mutex<Plan>,
    /// What was sent of each file, and how many requests there were.
    sent: Mutex<BTreeMap<String, u64>>,
    count: Mutex<usize>,
    cdn: String,
    /// What the listing answers instead, if anything.
    listing: Mutex<Option<Refusal>>,
}

/// The running stand-in.
#[derive(Clone)]
pub struct Hub {
    origin: String,
    inner: Arc<Inner>,
}

impl Hub {
    /// One repository with these files, served as it should be.
    pub async fn start(files: BTreeMap<String, Bytes>) -> Result<Self> {
        Self::start_at("127.0.0.1", files).await
    }

    /// The same at another address of this machine.
    pub async fn start_at(host: &str, files: BTreeMap<String, Bytes>) -> Result<Self> {
        let (hub, cdn) = (server::listen(host, 0).await?, server::listen(host, 0).await?);
        let (origin, cdn_origin) = (address(&hub)?, address(&cdn)?);
        let inner = Arc::new(Inner {
            files,
            plan: Mutex::new(Box::new(|_| Act::Serve)),
            sent: Mutex::default(),
            count: Mutex::default(),
            cdn: cdn_origin,
            listing: Mutex::default(),
        });
        let front = Router::new()
            .route("/api/models/{owner}/{name}/revision/{revision}", get(list))
            .route("/{owner}/{name}/resolve/{commit}/{*file}", get(resolve))
            .with_state(inner.clone());
        let back = Router::new().route("/blobs/{*file}", get(blob)).with_state(inner.clone());
        tokio::spawn(server::serve(hub, shared(front)));
        tokio::spawn(server::serve(cdn, shared(back)));
        Ok(Self { origin, inner })
    }

    pub fn address(&self) -> &str {
        &self.origin
    }

    /// The address of a file on the host that has the bytes, as a link.
    pub fn link(&self, file: &str) -> String {
        format!("{}/blobs/{file}", self.inner.cdn)
    }

    /// From now on requests for files are answered so.
    pub fn act(&self, plan: impl FnMut(Asked) -> Act + Send + 'static) {
        *held(&self.inner.plan) = Box::new(plan);
    }

    /// From now on the listing is this, or (`None`) as it should be.
    pub fn list_as(&self, answer: Option<Refusal>) {
        *held(&self.inner.listing) = answer;
    }

    /// Bytes that were sent of all files.
    pub fn sent(&self) -> u64 {
        held(&self.inner.sent).values().sum()
    }

    /// Requests for files.
    pub fn requests(&self) -> usize {
        *held(&self.inner.count)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.inner.files.values().map(|bytes| bytes.len() as u64).sum()
    }
}

fn address(listener: &TcpListener) -> Result<String> {
    Ok(format!("http://{}", listener.local_addr().context("asking for a server's own address")?))
}

/// What a test that failed while it held it has left is as good as any.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets a header, unless the value cannot be one.
fn set(answer: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        answer.headers_mut().insert(name, value);
    }
}

/// With the headers by which the hub lets pages read its answers.
fn shared(site: Router) -> Router {
    let exposed = "X-Error-Code,X-Error-Message,ETag,Accept-Ranges,Content-Range,Retry-After";
    let site = server::with_header(site, "access-control-allow-origin", "*");
    server::with_header(site, "access-control-expose-headers", exposed)
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

async fn list(
    State(hub): State<Arc<Inner>>,
    Path((owner, name, revision)): Path<(String, String, String)>,
) -> Response {
    if let Some((status, headers, body)) = held(&hub.listing).clone() {
        return refuse(status, headers, body);
    }
    if format!("{owner}/{name}") != REPOSITORY || !["main", COMMIT].contains(&revision.as_str()) {
        let said =
            vec![("x-error-code", "RepoNotFound".to_string()), ("x-error-message", "Repository not found".into())];
        return refuse(404, said, r#"{"error":"Repository not found"}"#.into());
    }
    let siblings: Vec<_> = hub
        .files
        .iter()
        .map(|(name, bytes)| {
            let lfs = name.ends_with(".safetensors") || name.ends_with(".gguf");
            let lfs = lfs.then(|| json!({ "sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 134 }));
            json!({ "rfilename": name, "size": bytes.len(), "lfs": lfs })
        })
        .collect();
    let listing = json!({
        "id": REPOSITORY, "sha": COMMIT, "cardData": { "license": "mit" }, "config": { "model_type": "gpt2" },
        "siblings": siblings,
    });
    ([(header::CONTENT_TYPE, "application/json")], listing.to_string()).into_response()
}

async fn resolve(
    State(hub): State<Arc<Inner>>,
    Path((_, _, _, file)): Path<(String, String, String, String)>,
) -> Response {
    Redirect::to(&format!("{}/blobs/{file}", hub.cdn)).into_response()
}

fn refuse(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response {
    let mut answer = (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response();
    set(&mut answer, "content-type", "application/json");
    for (name, value) in headers {
        set(&mut answer, name, &value);
    }
    answer
}

async fn blob(
    State(hub): State<Arc<Inner>>,
    Path(file): Path<String>,
    method: axum::http::Method,
    asked: HeaderMap,
) -> Response {
    let Some(bytes) = hub.files.get(&file).cloned() else {
        return refuse(404, vec![], r#"{"error":"no such file"}"#.into());
    };
    if method == axum::http::Method::HEAD {
        return ([(header::CONTENT_LENGTH, bytes.len().to_string())], "").into_response();
    }
    let count = std::mem::replace(&mut *held(&hub.count), 0);
    *held(&hub.count) = count + 1;
    let act = held(&hub.plan)(Asked { file: &file, count });
    let range = asked.get(header::RANGE).and_then(|range| {
        let (start, end) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        let end = end.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1);
        Some((start.parse::<usize>().ok()?, end + 1))
    });
    let mut etag = format!("\"{}\"", &sha256(&bytes)[..16]);
    let mut whole = bytes.clone();
    if let Act::Changed | Act::Damaged = act {
        whole = whole.iter().map(|byte| byte ^ 1).collect();
    }
    if let Act::Changed = act {
        etag = "\"another-version\"".into();
    }
    let (mut start, mut end) = range.unwrap_or((0, whole.len()));
    let mut status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    match act {
        Act::Refuse(status, headers, body) => return refuse(status, headers, body.into()),
        Act::Html => return axum::response::Html("<!doctype html><title>Log in</title>").into_response(),
        Act::Whole | Act::Truncated | Act::BadGzip => (start, end, status) = (0, whole.len(), StatusCode::OK),
        Act::OtherPart => (start, end) = (start.saturating_sub(7), end.saturating_sub(7).max(1)),
        Act::TooLong => end = (end + 1000).min(whole.len()),
        _ => {}
    }
    let body = whole.slice(start..end);
    let mut answer = match act {
        Act::Cut(after) => {
            let some = body.slice(..after.min(body.len()));
            let broken = stream::once(async {
                // What is on its way arrives, else it would be counted and never have come.
                tokio::time::sleep(DRAIN).await;
                Err(io::Error::other("the line broke"))
            });
            Body::from_stream(pieces(&hub, &file, some, PIECE, Duration::ZERO).chain(broken)).into_response()
        }
        Act::Slow(step, pause) => Body::from_stream(pieces(&hub, &file, body.clone(), step, pause)).into_response(),
        Act::Truncated => {
            let some = body.slice(..body.len() / 2);
            note(&hub, &file, some.len());
            Body::from_stream(stream::once(async move { Ok::<_, io::Error>(some) })).into_response()
        }
        _ => {
            note(&hub, &file, body.len());
            Body::from(body.clone()).into_response()
        }
    };
    *answer.status_mut() = status;
    set(&mut answer, "etag", &etag);
    set(&mut answer, "content-type", "application/octet-stream");
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut answer, "content-range", &format!("bytes {start}-{}/{}", end - 1, whole.len()));
    }
    if let Act::Cut(_) | Act::Slow(..) = act {
        set(&mut answer, "content-length", &body.len().to_string());
    }
    if let Act::BadGzip = act {
        set(&mut answer, "content-encoding", "gzip");
    }
    answer
}

/// Bytes so many at a time, each counted when it goes out, with a pause before it.
fn pieces(
    hub: &Arc<Inner>,
    file: &str,
    bytes: Bytes,
    step: usize,
    pause: Duration,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (hub, file) = (hub.clone(), file.to_string());
    stream::unfold(bytes, move |mut rest| {
        let (hub, file) = (hub.clone(), file.clone());
        async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(pause).await;
            let some = rest.split_to(step.min(rest.len()));
            note(&hub, &file, some.len());
            Some((Ok(some), rest))
        }
    })
}

fn note(hub: &Inner, file: &str, bytes: usize) {
    *held(&hub.sent).entry(file.to_string()).or_default() += bytes as u64;
}
