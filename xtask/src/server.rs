//! A static file server for `dist/`, as a plain host is: files, ranges, validators and nothing clever. It can send the
//! headers that isolate the page, without which a browser gives it no threads.
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// The headers of an isolated page (cross-origin isolation).
const ISOLATION: [(&str, &str); 3] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Bytes of a file that are read at once: models are large.
const CHUNK: usize = 1 << 20;

/// Serves the files of a folder, with the headers of isolation or as a host that knows nothing of them.
pub fn site(folder: &Path, isolated: bool) -> Router {
    // Files change at the same address while one works on them: a browser may keep them but has to ask each time.
    let site = Router::new()
        .fallback_service(ServeDir::new(folder).with_buf_chunk_size(CHUNK))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    let headers = if isolated { &ISOLATION[..] } else { &[] };
    headers.iter().fold(site, |site, (name, value)| with_header(site, name, value))
}

/// The same site with one more header on every response.
pub fn with_header(site: Router, name: &'static str, value: &'static str) -> Router {
    let layer = SetResponseHeaderLayer::overriding(HeaderName::from_static(name), HeaderValue::from_static(value));
    site.layer(layer)
}

/// Opens a port, or says which one is taken and what to do.
pub async fn listen(host: &str, port: u16) -> Result<TcpListener> {
    TcpListener::bind((host, port)).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("port {port} of {host} is taken; try another: cargo xtask serve --port {}", port.wrapping_add(1))
        }
        ErrorKind::PermissionDenied => anyhow!("port {port} needs more rights; try: cargo xtask serve --port 8080"),
        _ => anyhow!("could not listen on {host} port {port}: {error}"),
    })
}

/// Answers requests until the process ends.
pub async fn serve(listener: TcpListener, site: Router) -> Result<()> {
    axum::serve(listener, site).await.context("serving")
}

/// The addresses others reach this machine by, IPv4 only: they are what people can type.
pub fn lan_addresses() -> Vec<Ipv4Addr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let addresses = interfaces.into_iter().filter_map(|interface| match interface.ip() {
        IpAddr::V4(address) if !address.is_loopback() && !address.is_link_local() => Some(address),
        _ => None,
    });
    let mut addresses: Vec<Ipv4Addr> = addresses.collect();
    // Containers and virtual machines have addresses as well; a school's network is mostly one of these.
    addresses.sort_by_key(|address| !matches!(address.octets(), [192, 168, ..] | [10, ..]));
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_this_machine_alone_is_told() {
        assert!(lan_addresses().iter().all(|address| !address.is_loopback()));
    }
}
