//! The service worker, and what is left where there can be none: threads on hosts that send no headers, the page without
//! a network, and new versions that are never mixed with old ones.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use xtask::{archive, precache};

use crate::driver::{Page, browsers};
use crate::hosts::{Host, dist};
use crate::{continues, continues_in};

/// Which engine a model of the page runs on, and with how many threads.
const ENGINE: &str = "
    const { load } = await import(new URL('inkling.js', document.baseURI));
    const model = await load({ url: new URL('models/poems/model.gguf', document.baseURI) }, { threads: 2 });
    const found = [model.info.artifact, model.info.threads];
    await model.dispose();
    return found";

impl Page {
    async fn engine(&self) -> Value {
        self.eval(ENGINE, vec![]).await
    }
}

/// The build with threads that a browser runs, by whether it has relaxed SIMD.
async fn threads(page: &Page) -> String {
    let relaxed = "
        const { ARTIFACTS } = await import(new URL('artifacts.js', document.baseURI));
        return ARTIFACTS.find(({ name }) => name === 'relaxed').supported() ? 'threads' : 'threads-simd128'";
    page.eval(relaxed, vec![]).await.as_str().unwrap().to_string()
}

/// Waits until all of the page is kept, in the Models view.
pub async fn wait_until_kept(page: &Page) {
    page.eval("location.hash = '#library'", vec![]).await;
    let kept = "return document.querySelector('[data-ability=\"library.ability.offline\"]')?.dataset.good === 'true'";
    page.wait_for("the page to be kept", kept, Value::Null).await;
}

#[tokio::test]
async fn a_host_without_headers_gets_threads() {
    let Some(dist) = dist() else { return };
    for (browser, path) in browsers().iter().flat_map(|browser| [(browser, "/"), (browser, "/some/sub/")]) {
        let host = if path == "/" { Host::plain(&dist).await } else { Host::below(path, &dist).await };
        let page = continues_in(browser, &host.address(path)).await;
        let what = format!("{} at {path}", browser.program.display());
        assert_eq!(page.eval("return crossOriginIsolated", vec![]).await, json!(true), "{what}");
        assert_eq!(page.engine().await, json!([threads(&page).await, 2]), "{what}");
        page.finish().await;
    }
}

/// Plain http at an address of the network: no service worker, no shared memory, no file system, and all works.
#[tokio::test]
async fn a_network_address_over_http_gets_what_there_is() {
    let Some(dist) = dist() else { return };
    for browser in browsers() {
        let Some(host) = Host::on_the_network(&dist).await else { return };
        let page = continues_in(&browser, &host.address("/")).await;
        assert_eq!(page.eval("return isSecureContext", vec![]).await, json!(false));
        let plain = threads(&page).await.replace("threads-", "").replace("threads", "relaxed");
        assert_eq!(page.engine().await, json!([plain, 1]));
        page.eval("location.hash = '#library'", vec![]).await;
        page.wait_for(
            "what the browser can do",
            "return document.querySelectorAll('#library-abilities > div').length === 4",
            Value::Null,
        )
        .await;
        let told = page.shown("#library-abilities").await;
        for words in ["in its database", "One. Browsers give several only to pages over https", "only over https"] {
            assert!(told.contains(words), "{words} in {told}");
        }
        page.finish().await;
    }
}

#[tokio::test]
async fn the_page_opens_without_a_network() {
    let Some(dist) = dist() else { return };
    for browser in browsers() {
        let host = Host::plain(&dist).await;
        let (page, address) = (continues_in(&browser, &host.address("/")).await, host.address("/"));
        wait_until_kept(&page).await;
        host.stop().await;
        page.go(&address).await;
        page.wait_for_state("ready").await;
        page.write("Once upon a time").await;
        page.set("max_new_tokens", json!(8)).await;
        assert!(page.generate().await.len() > "Once upon a time".len());
        // A view and a model that were not asked for before.
        page.eval("location.hash = '#train'", vec![]).await;
        page.wait_for("the Train view", "return document.querySelector('#train-start') !== null", Value::Null).await;
        assert_eq!(page.engine().await, json!([threads(&page).await, 2]));
        page.finish().await;
    }
}

/// A copy of the site that can be changed.
struct Copy(PathBuf);

impl Copy {
    fn of(dist: &Path, name: &str) -> Self {
        let to = std::env::temp_dir().join(format!("inkling-{name}-{}", std::process::id()));
        copy(dist, &to);
        Self(to)
    }

    /// A new version: another style sheet and another script.
    fn publish(&self, mark: &str, complete: bool) {
        for name in ["style.css", "meters.js"] {
            let text = fs::read_to_string(self.0.join(name)).unwrap();
            fs::write(self.0.join(name), format!("{text}\n/* {mark} */\n")).unwrap();
            fs::remove_file(self.0.join(format!("{name}.br"))).ok();
            fs::remove_file(self.0.join(format!("{name}.gz"))).ok();
        }
        precache::write(&self.0).unwrap();
        if !complete {
            // As while files are still being copied to the host.
            fs::write(self.0.join("meters.js"), "// half of it").unwrap();
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => _ = fs::copy(&path, &target).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_new_version_takes_over_as_a_whole() {
    let Some(dist) = dist() else { return };
    let site = Copy::of(&dist, "versions");
    let host = Host::isolated(&site.0).await;
    let page = Page::ready(&host.address("/")).await;
    wait_until_kept(&page).await;
    let marks = "
        const texts = await Promise.all(['style.css', 'meters.js'].map(async (name) => (await fetch(name)).text()));
        return texts.map((text) => /\\/\\* (\\w+) \\*\\/\\s*$/.exec(text)?.[1] ?? '')";
    let shown = "return !document.querySelector('#update').hidden";

    // Half a version is none.
    site.publish("half", false);
    page.reload().await;
    wait_until_kept(&page).await;
    assert_eq!(page.eval(marks, vec![]).await, json!(["", ""]));

    site.publish("second", true);
    // The host's copy of a file counts only as a whole: the broken one is written anew by the next version.
    fs::write(site.0.join("meters.js"), fs::read(dist.join("meters.js")).unwrap()).unwrap();
    site.publish("third", true);
    page.reload().await;
    page.wait_for("the note of a new version", shown, Value::Null).await;
    assert_eq!(page.eval(marks, vec![]).await, json!(["", ""]), "until then all is of the old one");

    // Not while another tab uses the old one.
    page.in_new_tab(&host.address("/")).await;
    page.wait_for("the note in the other tab", shown, Value::Null).await;
    page.click("#update-now").await;
    let others = "return document.querySelector('#update-words').textContent.startsWith('Close the other tabs')";
    page.wait_for("the word that others are open", others, Value::Null).await;
    assert_eq!(page.eval(marks, vec![]).await, json!(["", ""]));
    page.close_tab().await;
    // The browser may count a closed tab for a moment.
    page.eval("window.old = true", vec![]).await;
    let now = "
        if (!window.old) return true;
        if (!(window.clicked > Date.now() - 2000)) {
            window.clicked = Date.now();
            document.querySelector('#update-now').click();
        }
        return false";
    page.wait_for("the new version", now, Value::Null).await;
    page.wait_for_state("ready").await;
    assert_eq!(page.eval(marks, vec![]).await, json!(["third", "third"]));
}

/// A list that names a model that is not there: said, and the others open.
#[tokio::test]
async fn a_missing_model_of_the_list_is_said() {
    let Some(dist) = dist() else { return };
    let site = Copy::of(&dist, "missing");
    fs::remove_dir_all(site.0.join("models/stories")).unwrap();
    precache::write(&site.0).unwrap();
    let host = Host::isolated(&site.0).await;
    let page = Page::open(&host.address("/")).await;
    page.wait_for_state("error").await;
    let code = "return document.querySelector('#error').dataset.code === 'missing_file'";
    page.wait_for("what is missing", code, Value::Null).await;
    page.click("#model").await;
    page.click("[data-model=poems]").await;
    page.wait_for_state("ready").await;
}

/// The archive, unpacked, on the server that every Python brings.
#[tokio::test]
async fn the_archive_works_on_pythons_server() {
    let Some(dist) = dist() else { return };
    let folder = std::env::temp_dir().join(format!("inkling-zip-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    archive::write(&dist, &folder.join("dist.zip")).unwrap();
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    if !python(&["-m", "zipfile", "-e", "dist.zip", "."]).status().is_ok_and(|status| status.success()) {
        println!("skipped: there is no python3");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let arguments = ["-m", "http.server", &port, "--bind", "127.0.0.1", "--directory", "inkling"];
    let mut server = python(&arguments).spawn().unwrap();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let page = continues(&format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(page.engine().await, json!(["threads", 2]));
    wait_until_kept(&page).await;
    page.eval("location.hash = '#write'", vec![]).await;
    server.kill().unwrap();
    server.wait().unwrap();
    page.reload().await;
    page.finish().await;
    fs::remove_dir_all(folder).unwrap();
}
