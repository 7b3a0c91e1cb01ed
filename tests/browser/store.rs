//! Models from elsewhere: found on a hub that behaves as Hugging Face's does, fetched in ranges, gone on with after every
//! kind of fault, checked, kept, and opened; nothing that is not whole and right is ever opened.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::driver::Page;
use crate::hosts::{Host, dist};
use crate::offline::wait_until_kept;
use xtask::stand_in::{Act, Asked, COMMIT, Hub, REPOSITORY, sha256};

const WEIGHTS: &str = "model.safetensors";

/// A checkpoint of transformers that is small, made larger by a tensor that no model asks for.
fn checkpoint(padding: usize) -> BTreeMap<String, Bytes> {
    let folder = xtask::process::root().join("tests/fixtures/models/gpt2-plain");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "expected.json" {
            files.insert(name, Bytes::from(std::fs::read(path).unwrap()));
        }
    }
    let small = files[WEIGHTS].clone();
    let header_len = u64::from_le_bytes(small[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&small[8..8 + header_len]).unwrap();
    let data = &small[8 + header_len..];
    header["padding"] =
        json!({ "dtype": "U8", "shape": [padding], "data_offsets": [data.len(), data.len() + padding] });
    let mut text = header.to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    // No two parts of it are alike.
    bytes.extend((0..padding as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8));
    files.insert(WEIGHTS.into(), bytes.into());
    files
}

/// The Models view of a page, with this hub in place of Hugging Face's.
async fn library(page: &Page, hub: &Hub) {
    page.eval(
        "localStorage.setItem('inkling.hub', arguments[0]); location.hash = '#library'",
        vec![json!(hub.address())],
    )
    .await;
    page.wait_for("the Models view", "return document.querySelector('#library-wish') !== null", Value::Null).await;
}

/// Opens the page and its Models view.
async fn open(host: &Host, hub: &Hub) -> Page {
    let page = Page::ready(&host.address("/")).await;
    library(&page, hub).await;
    page
}

/// Looks for something as a person does.
async fn look(page: &Page, text: &str) {
    page.eval(
        "document.querySelector('#library-wish').value = arguments[0]; document.querySelector('#library-look').click()",
        vec![json!(text)],
    )
    .await;
}

async fn get(page: &Page, text: &str) {
    look(page, text).await;
    take_first(page).await;
}

/// Waits for something to download, and downloads it.
async fn take_first(page: &Page) {
    page.wait_for("a choice", "return document.querySelector('.library-get:not(:disabled)') !== null", Value::Null)
        .await;
    page.eval("document.querySelector('.library-get').click()", vec![]).await;
}

/// Deletes the model of the list.
async fn delete(page: &Page) {
    act(page, "remove").await;
    page.wait_for("an empty list", "return document.querySelector('#library-stored li') === null", Value::Null).await;
}

async fn wait_for_phase(page: &Page, phase: &str) {
    let is = "return document.querySelector('#library-stored li')?.dataset.phase === arguments[0]";
    page.wait_for(&format!("the phase {phase}"), is, json!(phase)).await;
}

async fn act(page: &Page, action: &str) {
    let body = "
        const button = document.querySelector(`#library-stored [data-action=\"${arguments[0]}\"]`);
        if (!button) return false;
        button.click();
        return true;";
    assert_eq!(page.eval(body, vec![json!(action)]).await, json!(true), "there is a button to {action}");
}

/// The code of what went wrong with the model of the list.
async fn failure(page: &Page) -> String {
    let code = "return document.querySelector('#library-stored .alert')?.dataset.code ?? ''";
    page.eval(code, vec![]).await.as_str().unwrap().to_string()
}

/// SHA-256 of the weights that the store has, as it says and as they are.
async fn stored_hash(page: &Page) -> String {
    let body = "
        const { store } = await import(new URL('store/client.js', document.baseURI));
        const { hash } = await import(new URL('store/hash.js', document.baseURI));
        const { models } = await store.list();
        const files = await store.files(models[0].id);
        return hash(files.at(-1).blob, () => {});";
    page.eval(body, vec![]).await.as_str().unwrap().to_string()
}

/// The model of the store writes, in the Write view.
async fn writes(page: &Page) {
    act(page, "open").await;
    page.wait_for(
        "the stored model",
        "return document.querySelector('#model').dataset.model.startsWith('stored:') && document.body.dataset.state === 'ready'",
        Value::Null,
    )
    .await;
    page.set("max_new_tokens", json!(5)).await;
    page.write("Once upon").await;
    assert!(page.generate().await.len() > "Once upon".len());
}

#[tokio::test]
async fn a_model_of_a_hub_is_fetched_once_and_opens_without_it() {
    let Some(dist) = dist() else { return };
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(checkpoint(70 << 20)).await.unwrap());
    let page = open(&host, &hub).await;
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "complete").await;
    let weights = &checkpoint(70 << 20)[WEIGHTS];
    assert_eq!(stored_hash(&page).await, sha256(weights));
    assert_eq!(hub.sent(), hub.bytes(), "each byte was fetched once");
    writes(&page).await;

    // After a reload the tab has the same model again, and asks nobody for it.
    let requests = hub.requests();
    page.reload().await;
    let model = page.eval("return document.querySelector('#model').dataset.model", vec![]).await;
    assert_eq!(model, json!(format!("stored:{REPOSITORY}@{}", &COMMIT[..12])));
    assert_eq!(hub.requests(), requests);

    page.eval("location.hash = '#library'", vec![]).await;
    wait_for_phase(&page, "complete").await;
    let saved = "
        const clicked = new Promise((resolve) => {
            HTMLAnchorElement.prototype.click = function () { resolve([this.download, fetch(this.href)]); };
        });
        document.querySelector('#library-stored [data-action=\"export\"]').click();
        const [name, file] = await clicked;
        const { unzip } = await import(new URL('zip.js', document.baseURI));
        const files = await unzip(await (await file).blob());
        return [name, files.map(({ name, blob }) => [name, blob.size]).sort()]";
    let saved = page.eval(saved, vec![]).await;
    assert_eq!(saved[0], json!("someone-tiny.zip"));
    let sizes: Vec<Value> = checkpoint(70 << 20).iter().map(|(name, bytes)| json!([name, bytes.len()])).collect();
    assert_eq!(saved[1], json!(sizes));

    act(&page, "verify").await;
    wait_for_phase(&page, "complete").await;
    page.eval("window.confirm = () => true", vec![]).await;
    delete(&page).await;
    let left = "
        const { store } = await import(new URL('store/client.js', document.baseURI));
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('models');
        let files = 0;
        for await (const _ of folder.keys()) files += 1;
        return [files, (await store.list()).models.length]";
    assert_eq!(page.eval(left, vec![]).await, json!([0, 0]));
    assert_eq!(page.eval("return document.querySelector('#library-evicted').textContent", vec![]).await, json!(""));
    page.finish().await;
}

#[tokio::test]
async fn a_download_survives_twenty_cuts() {
    let Some(dist) = dist() else { return };
    let files = checkpoint(100 << 20);
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(files.clone()).await.unwrap());
    // After one, some hundred thousand, or some million bytes, and in between a refusal.
    hub.act(|Asked { file, count }| match count {
        _ if file != WEIGHTS => Act::Serve,
        count if count % 7 == 3 => Act::Refuse(503, vec![], ""),
        count if count < 30 => Act::Cut([1, 700_001, 5_000_003, 3, 9_000_000][count % 5]),
        _ => Act::Serve,
    });
    let page = open(&host, &hub).await;
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "complete").await;
    assert!(hub.requests() > 20, "{} requests", hub.requests());
    assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
    let (sent, bytes) = (hub.sent() as f64, hub.bytes() as f64);
    assert!(sent <= 1.05 * bytes, "fetched {sent} bytes for {bytes}");
}

#[tokio::test]
async fn a_download_goes_on_after_a_pause_and_in_another_visit() {
    let Some(dist) = dist() else { return };
    let files = checkpoint(40 << 20);
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(files.clone()).await.unwrap());
    hub.act(|_| Act::Slow(64 << 10, Duration::from_millis(20)));
    let page = open(&host, &hub).await;
    get(&page, REPOSITORY).await;
    let begun = "return document.querySelector('#library-stored progress')?.value > arguments[0]";
    page.wait_for("a part of it", begun, json!(0.15)).await;
    act(&page, "pause").await;
    wait_for_phase(&page, "paused").await;
    let requests = hub.requests();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(hub.requests(), requests, "a pause asks for nothing");
    act(&page, "resume").await;
    page.wait_for("more of it", begun, json!(0.4)).await;

    // The page goes away in the midst of it, as a closed tab does: the next visit goes on by itself, in any view.
    page.eval("location.hash = '#write'", vec![]).await;
    page.reload().await;
    let before = hub.sent();
    let deadline = Instant::now() + Duration::from_secs(20);
    while hub.sent() == before && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(hub.sent() > before, "it goes on where nobody has asked");
    library(&page, &hub).await;
    page.wait_for("what was there", begun, json!(0.3)).await;
    // What a person has paused waits for them.
    act(&page, "pause").await;
    wait_for_phase(&page, "paused").await;
    page.reload().await;
    library(&page, &hub).await;
    wait_for_phase(&page, "paused").await;
    let requests = hub.requests();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(hub.requests(), requests, "a pause lasts");
    hub.act(|_| Act::Serve);
    act(&page, "resume").await;
    wait_for_phase(&page, "complete").await;
    assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
    assert!(hub.sent() as f64 <= 1.25 * hub.bytes() as f64, "{} of {}", hub.sent(), hub.bytes());
    page.finish().await;
}

/// In the midst of a download the file at its source becomes another one: what was there of the first is thrown away.
#[tokio::test]
async fn a_file_that_changes_is_fetched_anew_as_a_whole() {
    let Some(dist) = dist() else { return };
    let files = checkpoint(70 << 20);
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(files.clone()).await.unwrap());
    let seen = AtomicUsize::new(0);
    hub.act(move |Asked { file, .. }| match file == WEIGHTS && seen.fetch_add(1, Ordering::Relaxed) < 2 {
        true => Act::Changed,
        false => Act::Serve,
    });
    let page = open(&host, &hub).await;
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "complete").await;
    assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
    assert!(hub.sent() > hub.bytes(), "the first version was fetched in part");
    writes(&page).await;

    // Without a network the page and the model that was fetched are there.
    page.eval("location.hash = '#library'", vec![]).await;
    wait_until_kept(&page).await;
    page.eval("location.hash = '#write'", vec![]).await;
    host.stop().await;
    page.reload().await;
    let model = page.eval("return document.querySelector('#model').dataset.model", vec![]).await;
    assert!(model.as_str().unwrap().starts_with("stored:"), "{model}");
    assert!(page.generate().await.len() > "Once upon".len());
}

/// One fault after the other, each on a fresh download; the page's own model goes on writing all the while.
#[tokio::test]
async fn servers_that_misbehave_are_seen_through() {
    let Some(dist) = dist() else { return };
    let files = checkpoint(2 << 20);
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(files.clone()).await.unwrap());
    let page = open(&host, &hub).await;
    page.eval("window.confirm = () => true", vec![]).await;
    // The second request for the weights and those after it are answered well.
    let first = |act: Act| {
        let seen = AtomicUsize::new(0);
        move |Asked { file, .. }: Asked| match file == WEIGHTS && seen.fetch_add(1, Ordering::Relaxed) == 0 {
            true => act.clone(),
            false => Act::Serve,
        }
    };
    let soon = vec![("retry-after", "1".to_string())];
    for act_once in [
        Act::Whole,
        Act::OtherPart,
        Act::TooLong,
        Act::Truncated,
        Act::BadGzip,
        Act::Refuse(429, soon, r#"{"error":"too many requests"}"#),
        Act::Refuse(500, vec![], "oops"),
    ] {
        println!("once {act_once:?}");
        hub.act(first(act_once));
        get(&page, REPOSITORY).await;
        wait_for_phase(&page, "complete").await;
        assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
        delete(&page).await;
    }
    let said = vec![("x-error-message", "Access to model someone/tiny is restricted".to_string())];
    for (always, code, action) in [
        (Act::Html, "bad_file", "resume"),
        (Act::Damaged, "hash_mismatch", "resume"),
        (Act::Refuse(401, said.clone(), ""), "forbidden", "again"),
        (Act::Refuse(403, said, ""), "forbidden", "again"),
        (Act::Refuse(404, vec![], ""), "missing_file", "again"),
    ] {
        println!("always {always:?}");
        hub.act(move |Asked { file, .. }| if file == WEIGHTS { always.clone() } else { Act::Serve });
        get(&page, REPOSITORY).await;
        wait_for_phase(&page, "failed").await;
        assert_eq!(failure(&page).await, code);
        if code == "forbidden" {
            let shown = page.shown("#library-stored .alert").await;
            assert!(shown.contains("is restricted"), "the hub's own words: {shown}");
        }
        let opened = "
            const { store } = await import(new URL('store/client.js', document.baseURI));
            return store.files((await store.list()).models[0].id).then(() => 'files', (error) => error.code)";
        assert_eq!(page.eval(opened, vec![]).await, json!("missing_file"), "what is not right is not opened");
        // A way on.
        hub.act(|_| Act::Serve);
        act(&page, action).await;
        if action == "again" {
            take_first(&page).await;
        }
        wait_for_phase(&page, "complete").await;
        assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
        delete(&page).await;
    }
    // In the midst of it the file becomes another one, which is then fetched as a whole.
    hub.act(|Asked { file, .. }| match file == WEIGHTS {
        true => Act::Changed,
        false => Act::Serve,
    });
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "failed").await;
    assert_eq!(failure(&page).await, "hash_mismatch");
    page.eval("location.hash = '#write'", vec![]).await;
    page.set("max_new_tokens", json!(5)).await;
    page.write("Once upon a time").await;
    assert!(page.generate().await.len() > "Once upon a time".len(), "the loaded model goes on");
}

#[tokio::test]
async fn what_cannot_be_had_is_said_before_anything_is_fetched() {
    let Some(dist) = dist() else { return };
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(checkpoint(1 << 10)).await.unwrap());
    let page = open(&host, &hub).await;
    let said = "return document.querySelector('#library-find-error').dataset.code === arguments[0]";
    let gated =
        vec![("x-error-code", "GatedRepo".to_string()), ("x-error-message", "Access is restricted".to_string())];
    let big = json!({ "sha": COMMIT, "siblings": [
        { "rfilename": "config.json", "size": 500 }, { "rfilename": "model.safetensors", "size": 9_000_000_000u64 }] });
    for (answer, code) in [
        ((401, gated, r#"{"error":"restricted"}"#.to_string()), "forbidden"),
        ((404, vec![], r#"{"error":"Repository not found"}"#.into()), "missing_file"),
        ((429, vec![], r#"{"error":"slow down"}"#.into()), "look_limited"),
        ((500, vec![], "".into()), "look_io"),
        ((200, vec![], "<!doctype html><title>Log in</title>".into()), "bad_file"),
        (
            (200, vec![], json!({ "siblings": [{ "rfilename": "pytorch_model.bin", "size": 9 }] }).to_string()),
            "find_pytorch_only",
        ),
        ((200, vec![], json!({ "siblings": [] }).to_string()), "find_none"),
    ] {
        hub.list_as(Some(answer));
        look(&page, REPOSITORY).await;
        page.wait_for(code, said, json!(code)).await;
        assert!(!page.shown("#library-find-error strong").await.is_empty());
    }
    look(&page, "not an address at all").await;
    page.wait_for("bad_source", said, json!("bad_source")).await;
    hub.list_as(Some((200, vec![], big.to_string())));
    look(&page, REPOSITORY).await;
    page.wait_for("the refusal", "return document.querySelector('.library-row .lack') !== null", Value::Null).await;
    let lack = page.shown(".library-row .lack").await;
    assert!(lack.contains("9 GB") && lack.contains("3.6 GB"), "with the numbers: {lack}");
    assert_eq!(page.eval("return document.querySelector('.library-get').disabled", vec![]).await, json!(true));
    assert_eq!(hub.requests(), 0, "no file was asked for");
}

#[tokio::test]
async fn two_tabs_do_not_fight_over_a_download() {
    let Some(dist) = dist() else { return };
    let files = checkpoint(20 << 20);
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(files.clone()).await.unwrap());
    hub.act(|_| Act::Slow(256 << 10, Duration::from_millis(40)));
    let page = open(&host, &hub).await;
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "downloading").await;
    page.in_new_tab(&host.address("/#library")).await;
    wait_for_phase(&page, "elsewhere").await;
    hub.act(|_| Act::Serve);
    wait_for_phase(&page, "complete").await;
    assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
    assert_eq!(hub.sent(), hub.bytes(), "each byte was fetched once");
}

#[tokio::test]
async fn a_link_to_a_file_is_enough() {
    let Some(dist) = dist() else { return };
    let gguf = std::fs::read(dist.join("models/poems/model.gguf")).unwrap();
    let files = BTreeMap::from([("poems-Q8_0.gguf".to_string(), Bytes::from(gguf))]);
    let (host, hub) = (Host::plain(&dist).await, Hub::start(files).await.unwrap());
    let page = open(&host, &hub).await;
    get(&page, &hub.link("poems-Q8_0.gguf")).await;
    wait_for_phase(&page, "complete").await;
    let shown = page.shown("#library-stored .title").await;
    assert_eq!(shown, "poems-Q8_0.gguf");
    act(&page, "open").await;
    page.wait_for(
        "the stored model",
        "return document.querySelector('#model').dataset.model.startsWith('stored:') && document.body.dataset.state === 'ready'",
        Value::Null,
    )
    .await;
    page.finish().await;
}

#[tokio::test]
async fn what_the_browser_cleared_is_named() {
    let Some(dist) = dist() else { return };
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(checkpoint(1 << 10)).await.unwrap());
    let page = open(&host, &hub).await;
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "complete").await;
    // The files alone, under a running page; then all that was stored, while the note of it remains.
    let clear = "
        const folder = await navigator.storage.getDirectory();
        for await (const name of folder.keys()) await folder.removeEntry(name, { recursive: true });";
    page.eval(clear, vec![]).await;
    act(&page, "open").await;
    page.wait_for("the error", "return document.querySelector('#error').dataset.code === 'storage_lost'", Value::Null)
        .await;
    page.eval("location.hash = '#library'", vec![]).await;
    wait_for_phase(&page, "failed").await;
    assert_eq!(failure(&page).await, "storage_lost");
    act(&page, "resume").await;
    wait_for_phase(&page, "complete").await;
    page.eval("location.href = 'icon.svg'", vec![]).await;
    let delete = "
        for (const { name } of await indexedDB.databases())
          await new Promise((resolve) => (indexedDB.deleteDatabase(name).onsuccess = resolve));";
    page.eval(delete, vec![]).await;
    page.go(&host.address("/#library")).await;
    page.wait_for(
        "the note",
        "return document.querySelector('#library-evicted')?.textContent.includes('someone/tiny')",
        Value::Null,
    )
    .await;
}

/// `load({ hub })`, as somebody else's program calls it: fetched once, then there without the hub.
#[tokio::test]
async fn a_program_loads_from_a_hub_once() {
    let Some(dist) = dist() else { return };
    let (host, hub) = (Host::plain(&dist).await, Hub::start(checkpoint(1 << 10)).await.unwrap());
    let page = Page::ready(&host.address("/")).await;
    let body = "
        const { load } = await import(new URL('inkling.js', document.baseURI));
        const model = await load({ hub: arguments[0], hubUrl: arguments[1] });
        let text = '';
        for await (const event of model.generate('Once', { max_new_tokens: 4 })) text += event.text;
        await model.dispose();
        return text";
    let text = page.eval(body, vec![json!(REPOSITORY), json!(hub.address())]).await;
    assert!(!text.as_str().unwrap().is_empty());
    let requests = hub.requests();
    hub.list_as(Some((500, vec![], "".into())));
    assert_eq!(page.eval(body, vec![json!(REPOSITORY), json!(hub.address())]).await, text);
    assert_eq!(hub.requests(), requests);
    page.finish().await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_is_there() {
    let Some(dist) = dist() else { return };
    let files = checkpoint(40 << 20);
    let (host, hub) = (Host::isolated(&dist).await, Hub::start(files.clone()).await.unwrap());
    let page = open(&host, &hub).await;
    // Before anything is fetched, by what the browser says of its room.
    page.eval("navigator.storage.estimate = async () => ({ quota: 20e6, usage: 1e6 });", vec![]).await;
    look(&page, REPOSITORY).await;
    page.wait_for("the refusal", "return document.querySelector('.library-row .lack') !== null", Value::Null).await;
    assert_eq!(hub.requests(), 0, "what does not fit is not begun");

    // In the midst of it, where the browser has said that there is room. The browser sets room aside beforehand, so it is
    // made less before the download begins, and after the page itself is kept.
    page.eval("delete navigator.storage.estimate", vec![]).await;
    wait_until_kept(&page).await;
    let used = page.eval("return (await navigator.storage.estimate()).usage", vec![]).await.as_u64().unwrap();
    page.limit_storage(Some(used + (20 << 20))).await;
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "failed").await;
    assert_eq!(failure(&page).await, "storage_full");
    page.limit_storage(None).await;
    let before = hub.sent();
    hub.act(|_| Act::Serve);
    act(&page, "resume").await;
    wait_for_phase(&page, "complete").await;
    assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
    assert!(hub.sent() - before < hub.bytes(), "what was there was not fetched again");
}

/// Plain http at a network address has no file system for pages: models go into the database.
#[tokio::test]
async fn over_plain_http_models_are_kept_as_well() {
    let Some(dist) = dist() else { return };
    let Some(host) = Host::on_the_network(&dist).await else { return };
    let files = checkpoint(70 << 20);
    let hub = Hub::start_at(host.ip(), files.clone()).await.unwrap();
    hub.act(|Asked { file, count }| match count {
        _ if file != WEIGHTS => Act::Serve,
        count if count < 12 => Act::Cut([1, 700_001, 5_000_003, 3, 9_000_000][count % 5]),
        _ => Act::Serve,
    });
    let page = open(&host, &hub).await;
    get(&page, REPOSITORY).await;
    wait_for_phase(&page, "complete").await;
    assert_eq!(stored_hash(&page).await, sha256(&files[WEIGHTS]));
    assert!(hub.sent() as f64 <= 1.05 * hub.bytes() as f64, "{} of {}", hub.sent(), hub.bytes());
    let tier = "
        const { store } = await import(new URL('store/client.js', document.baseURI));
        return (await store.list()).tier";
    assert_eq!(page.eval(tier, vec![]).await, json!("indexeddb"));
    writes(&page).await;
    page.reload().await;
    let model = page.eval("return document.querySelector('#model').dataset.model", vec![]).await;
    assert!(model.as_str().unwrap().starts_with("stored:"), "{model}");
}
