//! Folders with all they hold.
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The files below a folder, in order: each by its path from there, with slashes.
pub fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    add(folder, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn add(folder: &Path, before: &str, found: &mut Vec<String>) -> Result<()> {
    let reading = || format!("reading the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let path = format!("{before}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => add(&entry.path(), &format!("{path}/"), found)?,
            false => found.push(path),
        }
    }
    Ok(())
}

/// The bytes of these files of a folder.
pub fn bytes(folder: &Path, files: &[String]) -> Result<u64> {
    let sizes = files.iter().map(|path| fs::metadata(folder.join(path)).map(|data| data.len()));
    sizes.sum::<std::io::Result<_>>().with_context(|| format!("measuring {}", folder.display()))
}

/// Copies those files of a folder whose paths are wanted. The folder is made even if there are none.
pub fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    each(from, to, wanted, |from, to| fs::copy(from, to).map(|_| ()))
}

/// [`copy`], but the same bytes are not on the disk twice where that can be.
pub fn link(from: &Path, to: &Path) -> Result<()> {
    each(
        from,
        to,
        |_| true,
        |from, to| {
            fs::remove_file(to).ok();
            fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
        },
    )
}

fn each(
    from: &Path,
    to: &Path,
    wanted: impl Fn(&str) -> bool,
    put: impl Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<()> {
    let make =
        |folder: &Path| fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()));
    make(to)?;
    for path in files(from)?.iter().filter(|path| wanted(path)) {
        let (source, copied) = (from.join(path), to.join(path));
        copied.parent().map_or(Ok(()), make)?;
        put(&source, &copied).with_context(|| format!("copying {} to {}", source.display(), copied.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_deeper_comes_along() {
        let place = std::env::temp_dir().join(format!("inkling-folder-{}", std::process::id()));
        let (from, to) = (place.join("from"), place.join("to"));
        fs::create_dir_all(from.join("1_Pooling")).unwrap();
        for name in ["config.json", "1_Pooling/config.json", "notes.txt"] {
            fs::write(from.join(name), name).unwrap();
        }
        let found = files(&from).unwrap();
        assert_eq!(found, ["1_Pooling/config.json", "config.json", "notes.txt"]);
        assert_eq!(bytes(&from, &found).unwrap(), found.concat().len() as u64);
        copy(&from, &to, |path| path.ends_with(".json")).unwrap();
        assert_eq!(files(&to).unwrap(), ["1_Pooling/config.json", "config.json"]);
        for _ in 0..2 {
            link(&from, &to).unwrap();
        }
        assert_eq!(files(&to).unwrap(), files(&from).unwrap());
        assert_eq!(fs::read_to_string(to.join("1_Pooling/config.json")).unwrap(), "1_Pooling/config.json");
        assert!(files(&place.join("missing")).unwrap_err().to_string().contains("missing"));
        fs::remove_dir_all(place).unwrap();
    }
}
