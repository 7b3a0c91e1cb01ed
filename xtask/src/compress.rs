//! Files as hosts send them compressed: `x.br` and `x.gz` beside `x`, for hosts that serve such files.
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The most that brotli looks back, as its command line does.
const WINDOW: u32 = 22;
/// Files below this are not worth a second request for another form of them, in bytes.
const SMALL: usize = 1024;

/// Writes the two files beside one, with brotli's quality from 0 to 11: the best takes a second for every 300 KB.
pub fn beside(file: &Path, quality: u32) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    if bytes.len() < SMALL {
        return Ok(());
    }
    let forms = [("br", brotli(&bytes, quality)), ("gz", gzip(&bytes))];
    for (ending, compressed) in forms {
        let mut name = file.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        let compressed = compressed.with_context(|| format!("compressing {}", file.display()))?;
        fs::write(&name, compressed).with_context(|| format!("writing {}", name.display()))?;
    }
    Ok(())
}

/// Whether a file is a compressed form of the one beside it.
pub fn is_compressed(name: &str) -> bool {
    name.ends_with(".br") || name.ends_with(".gz")
}

/// As gzip at its best.
pub fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// As brotli of this quality.
pub fn brotli(bytes: &[u8], quality: u32) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut out, 1 << 16, quality, WINDOW);
    encoder.write_all(bytes)?;
    drop(encoder);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_stand_beside_the_file() {
        let folder = std::env::temp_dir().join(format!("inkling-compress-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.js");
        fs::write(&file, vec![b'a'; 10_000]).unwrap();
        beside(&file, 9).unwrap();
        let size = |name: &str| fs::metadata(folder.join(name)).map(|data| data.len());
        assert!(size("a.js.br").unwrap() < 100 && size("a.js.gz").unwrap() < 100);
        fs::write(folder.join("b.js"), "tiny").unwrap();
        beside(&folder.join("b.js"), 9).unwrap();
        assert!(size("b.js.br").is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
