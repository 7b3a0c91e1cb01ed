//! Templates rendered against what transformers made of them: those of this project, written in the manner of each family
//! of models, and those of real models where they can be had.

mod common;

use common::{Fixtures, folder, get, json, keys};
use inkling_chat::render;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn own_templates_are_rendered_as_by_transformers() {
    let fixtures = Fixtures::read();
    let mut compared = 0;
    for template in keys(&fixtures.expected) {
        let source = std::fs::read_to_string(folder().join(format!("templates/{template}.jinja"))).unwrap();
        for name in fixtures.names() {
            let wanted = get(&get(&fixtures.expected, &template), &name);
            let found = render(&source, &fixtures.context(&name), fixtures.now);
            match wanted.as_str() {
                Some(wanted) => assert_eq!(found.as_deref(), Ok(wanted), "{template}: {name}"),
                None => assert!(found.is_err(), "{template}: {name}: transformers refuses this, found {found:?}"),
            }
            compared += 1;
        }
    }
    assert!(compared >= 100, "{compared}");
}

#[test]
fn real_templates_are_rendered_as_by_transformers() {
    let Some(real) = real_templates() else { return };
    let fixtures = Fixtures::read();
    let expected = get(&json("real.json"), "templates");
    let (mut compared, mut differing) = (0, Vec::new());
    for file in keys(&expected) {
        let bytes = std::fs::read(real.join(&file)).unwrap();
        let wanted = get(&expected, &file);
        assert_eq!(sha256(&bytes), get(&wanted, "sha256").to_string(), "{file} is another file");
        let source = String::from_utf8(bytes).unwrap();
        for name in fixtures.names() {
            let found = render(&source, &fixtures.context(&name), fixtures.now);
            let wanted = get(&get(&wanted, "texts"), &name);
            let wanted = wanted.as_str().unwrap();
            let same = match &found {
                // A loop over none is a fault in Python and has no turns here.
                Ok(found) => sha256(found.as_bytes()) == wanted || wanted == "TypeError",
                Err(_) => wanted.len() != sha256(b"").len(),
            };
            compared += 1;
            if !same {
                differing.push(format!("{file}: {name}: expected {wanted}, found {found:?}"));
            }
        }
    }
    assert!(differing.is_empty(), "{} of {compared} differ:\n{}", differing.len(), differing.join("\n"));
    assert!(compared > 500, "{compared}");
    println!("{} templates of real models, {compared} texts", keys(&expected).len());
}

/// The folder of templates of real models; fetched when they are asked for first.
fn real_templates() -> Option<PathBuf> {
    let versions = get(&json("real.json"), "packages");
    let versions: Vec<String> = keys(&versions).iter().map(|name| format!("{name}-{}", get(&versions, name))).collect();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chat-templates").join(versions.join("-"));
    if place.is_dir() {
        return Some(place);
    }
    let part = place.with_extension(format!("part-{}", std::process::id()));
    let python = std::env::var("INKLING_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = folder().with_file_name("make_chat.py");
    let fetched = Command::new(&python).arg(script).arg("--fetch").arg(&part).output();
    let why = match fetched {
        Ok(output) if output.status.success() => {
            std::fs::create_dir_all(&place).unwrap();
            std::fs::remove_dir(&place).unwrap();
            std::fs::rename(&part, &place).unwrap();
            return Some(place);
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_string(),
        Err(error) => error.to_string(),
    };
    println!("skipped: the templates of real models could not be fetched with {python} and pip ({why})");
    None
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
