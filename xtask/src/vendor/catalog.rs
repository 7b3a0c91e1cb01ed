//! The list of models of a built site, and adding one to it.
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{compress, folder};

/// Where a model is from.
pub struct Credit {
    pub words: String,
    pub link: String,
}

/// The entry of a model that lies in a folder of the site.
pub fn entry(id: &str, title: &str, place: &Path, parameters: u64, credit: &Credit) -> Result<Value> {
    let files = folder::files(place)?;
    let bytes = folder::bytes(place, &files)?;
    Ok(json!({
        "id": id, "path": format!("{id}/"), "files": files, "bytes": bytes, "parameters": parameters, "languages": [],
        "title": { "en": title }, "data": { "en": credit.words, "links": [credit.link] },
    }))
}

/// Puts an entry into models/catalog.json, in place of one of the same id.
pub fn add(site: &Path, entry: Value) -> Result<()> {
    let place = site.join("models/catalog.json");
    let text = fs::read_to_string(&place).with_context(|| format!("reading {}", place.display()))?;
    let mut catalog: Value =
        serde_json::from_str(&text).with_context(|| format!("{}: expected JSON", place.display()))?;
    let models =
        catalog["models"].as_array_mut().with_context(|| format!("{}: expected a list models", place.display()))?;
    models.retain(|model| model["id"] != entry["id"]);
    models.push(entry);
    let text = serde_json::to_string_pretty(&catalog).context("writing the list of models")?;
    fs::write(&place, text + "\n").with_context(|| format!("writing {}", place.display()))?;
    compress::beside(&place, 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_listed_once() {
        let site = std::env::temp_dir().join(format!("inkling-catalog-{}", std::process::id()));
        let place = site.join("models/tiny");
        fs::create_dir_all(place.join("1_Pooling")).unwrap();
        fs::write(place.join("1_Pooling/config.json"), "{}").unwrap();
        fs::write(site.join("models/catalog.json"), r#"{"models":[{"id":"stories"}]}"#).unwrap();
        fs::write(place.join("model.gguf"), vec![0; 12]).unwrap();
        for title in ["One", "Two"] {
            let credit = Credit { words: "from somewhere".into(), link: "https://example.org".into() };
            add(&site, entry("tiny", title, &place, 7, &credit).unwrap()).unwrap();
        }
        let catalog: Value = serde_json::from_slice(&fs::read(site.join("models/catalog.json")).unwrap()).unwrap();
        assert_eq!(catalog["models"].as_array().unwrap().len(), 2);
        assert_eq!(catalog["models"][1]["title"]["en"], "Two");
        assert_eq!(
            (&catalog["models"][1]["bytes"], &catalog["models"][1]["files"]),
            (&json!(14), &json!(["1_Pooling/config.json", "model.gguf"]))
        );
        fs::remove_dir_all(site).unwrap();
    }
}
