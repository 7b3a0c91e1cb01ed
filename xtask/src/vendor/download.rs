//! One file of a hub: fetched into a place beside its own, gone on with at the byte where it broke off, and only given its
//! name when its length and its hash are right.
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use inkling::files::hex;
use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::hub::Remote;

/// How often in a row nothing may come.
const TRIES: u32 = 6;
/// A listing is never larger.
const LARGEST_TEXT: u64 = 64 << 20;

/// One that answers with whatever status the server has.
fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// A text, such as a listing.
pub fn text(address: &str) -> Result<String> {
    let mut answer = agent().get(address).call().with_context(|| format!("asking for {address}"))?;
    if !answer.status().is_success() {
        bail!(refusal(address, &mut answer));
    }
    answer.body_mut().with_config().limit(LARGEST_TEXT).read_to_string().with_context(|| format!("reading {address}"))
}

/// What the server says instead of a file, in its own words.
fn refusal(address: &str, answer: &mut Response<Body>) -> String {
    let header = answer.headers().get("x-error-message").and_then(|words| words.to_str().ok()).map(str::to_string);
    let said = header.or_else(|| answer.body_mut().with_config().limit(2000).read_to_string().ok()).unwrap_or_default();
    let line = said.lines().next().unwrap_or_default().chars().take(300).collect::<String>();
    format!("{address}: expected a file, found HTTP {} {line}", answer.status())
}

/// Fetches a file unless it is there.
pub fn file(address: &str, place: &Path, remote: &Remote) -> Result<()> {
    if fs::metadata(place).is_ok_and(|data| data.len() == remote.size) {
        return Ok(());
    }
    let folder = place.parent().context("expected a folder for the file")?;
    fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
    let mut part = place.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(part)
        .with_context(|| format!("writing {}", part.display()))?;
    println!("Fetching {} ({:.1} MB)", remote.name, remote.size as f64 / 1e6);
    let mut tries = 0;
    loop {
        let have = file.metadata().context("measuring what is there")?.len();
        if have > remote.size {
            file.set_len(0).context("emptying a file that is too long")?;
            continue;
        }
        if have == remote.size {
            break;
        }
        match fetch(address, &mut file, have, remote) {
            Ok(()) => {}
            Err(Fault::Fatal(error)) => return Err(error),
            Err(Fault::Broken(error)) => {
                let more = file.metadata().context("measuring what is there")?.len() > have;
                tries = if more { 0 } else { tries + 1 };
                if tries >= TRIES {
                    return Err(error.context("what has arrived is kept; run the command again to go on"));
                }
                println!("The connection broke off ({error:#}); going on");
                std::thread::sleep(Duration::from_millis(200 << tries));
            }
        }
    }
    if let Some(expected) = &remote.sha256 {
        let found = hash(&mut file)?;
        if found != *expected {
            drop(file);
            fs::remove_file(part).ok();
            bail!("{}: expected SHA-256 {expected}, found {found}; it was thrown away", remote.name);
        }
    }
    file.sync_all().with_context(|| format!("writing {}", part.display()))?;
    fs::rename(part, place).with_context(|| format!("naming {}", place.display()))
}

enum Fault {
    /// It may go better the next time.
    Broken(anyhow::Error),
    Fatal(anyhow::Error),
}

/// What is lacking of a file, as far as it comes.
fn fetch(address: &str, file: &mut File, have: u64, remote: &Remote) -> std::result::Result<(), Fault> {
    let broken = |error: anyhow::Error| Fault::Broken(error);
    let mut request = agent().get(address);
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let mut answer = request.call().map_err(|error| broken(error.into()))?;
    let status = answer.status();
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return Err(broken(anyhow::anyhow!(refusal(address, &mut answer))));
    }
    if !status.is_success() {
        return Err(Fault::Fatal(anyhow::anyhow!(refusal(address, &mut answer))));
    }
    if have > 0 && status != StatusCode::PARTIAL_CONTENT {
        // It gives no parts: from the beginning then.
        file.set_len(0).map_err(|error| Fault::Fatal(error.into()))?;
    }
    let mut reader = answer.body_mut().as_reader().take(remote.size + 1);
    let mut piece = vec![0; 1 << 20];
    let mut first = status != StatusCode::PARTIAL_CONTENT;
    loop {
        let len = reader.read(&mut piece).map_err(|error| broken(error.into()))?;
        if len == 0 {
            return Ok(());
        }
        if std::mem::take(&mut first) && piece[..len].trim_ascii_start().starts_with(b"<") {
            return Err(Fault::Fatal(anyhow::anyhow!("{address}: expected a file of a model, found a web page")));
        }
        file.write_all(&piece[..len]).map_err(|error| Fault::Fatal(error.into()))?;
    }
}

fn hash(file: &mut File) -> Result<String> {
    file.seek(SeekFrom::Start(0)).context("reading what was fetched")?;
    let mut hasher = Sha256::new();
    std::io::copy(file, &mut hasher).context("reading what was fetched")?;
    Ok(hex(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc;

    /// A server that sends `bytes` but breaks off after so many, each time; it tells the ranges it was asked for.
    fn server(bytes: Vec<u8>, step: usize) -> (String, mpsc::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/file", listener.local_addr().unwrap());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap().to_lowercase();
                let from: usize = request
                    .lines()
                    .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok())
                    .unwrap_or(0);
                sender.send(from).ok();
                let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len() - from);
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&bytes[from..(from + step).min(bytes.len())]).unwrap();
            }
        });
        (address, receiver)
    }

    fn place(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("inkling-vendor-{}-{name}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        folder.join("file")
    }

    #[test]
    fn a_file_goes_on_at_the_byte_where_it_broke_off() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let (address, asked) = server(bytes.clone(), 30_000);
        let sha256 = Some(hex(&Sha256::digest(&bytes)));
        let place = place("cut");
        file(&address, &place, &Remote { name: "file".into(), size: 100_000, sha256 }).unwrap();
        assert_eq!(fs::read(&place).unwrap(), bytes);
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [0, 30_000, 60_000, 90_000]);
        fs::remove_dir_all(place.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_is_not_right_is_never_given_its_name() {
        let place = place("wrong");
        let remote =
            |sha256: Option<&str>| Remote { name: "file".into(), size: 5000, sha256: sha256.map(str::to_string) };
        let (address, _asked) = server(vec![7; 5000], 5000);
        let error = file(&address, &place, &remote(Some("00"))).unwrap_err().to_string();
        assert!(error.contains("expected SHA-256 00"), "{error}");
        let (address, _asked) = server(b"<!doctype html>".repeat(400)[..5000].to_vec(), 5000);
        let error = file(&address, &place, &remote(None)).unwrap_err().to_string();
        assert!(error.contains("web page"), "{error}");
        assert!(!place.exists());
        fs::remove_dir_all(place.parent().unwrap()).unwrap();
    }
}
