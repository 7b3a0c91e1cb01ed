//! `cargo xtask build --zip`: the site as one file, for a USB stick, a learning platform, or a host that takes archives.
use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::{compress, folder};

/// The folder that the archive unpacks to.
const FOLDER: &str = "inkling";

/// Writes a site into an archive. The forms that only some hosts serve are left out, and so is when it was made: the same
/// site is the same archive.
pub fn write(site: &Path, archive: &Path) -> Result<()> {
    let file = File::create(archive).with_context(|| format!("writing {}", archive.display()))?;
    let mut zip = ZipWriter::new(file);
    for path in folder::files(site)?.iter().filter(|path| !compress::is_compressed(path)) {
        add(&mut zip, &site.join(path), &format!("{FOLDER}/{path}"))
            .with_context(|| format!("writing {}", archive.display()))?;
    }
    zip.finish().with_context(|| format!("writing {}", archive.display()))?;
    Ok(())
}

fn add(zip: &mut ZipWriter<File>, file: &Path, path: &str) -> Result<()> {
    let packed = match path.ends_with(".gguf") {
        true => CompressionMethod::Stored,
        false => CompressionMethod::Deflated,
    };
    zip.start_file(
        path,
        SimpleFileOptions::default().compression_method(packed).last_modified_time(DateTime::default()),
    )?;
    io::copy(&mut File::open(file)?, zip)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;

    #[test]
    fn an_archive_holds_the_site_in_one_folder() {
        let folder = std::env::temp_dir().join(format!("inkling-archive-{}", std::process::id()));
        let site = folder.join("dist");
        fs::create_dir_all(site.join("models")).unwrap();
        for (name, text) in [("index.html", "page"), ("index.html.br", "x"), ("models/model.gguf", "weights")] {
            fs::write(site.join(name), text).unwrap();
        }
        let (first, second) = (folder.join("a.zip"), folder.join("b.zip"));
        write(&site, &first).unwrap();
        write(&site, &second).unwrap();
        assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
        let mut archive = zip::ZipArchive::new(File::open(&first).unwrap()).unwrap();
        let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["inkling/index.html", "inkling/models/model.gguf"]);
        let mut text = String::new();
        archive.by_name("inkling/models/model.gguf").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "weights");
        fs::remove_dir_all(folder).unwrap();
    }
}
