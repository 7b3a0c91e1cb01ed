//! The set of named files a model is made of: a folder, one `.gguf` file, or what was dropped on the page.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom};

use serde::de::DeserializeOwned;

use crate::error::{Error, Result, try_vec};
use crate::weights::Arriving;

/// Anything that can be read at any place: a file, bytes in memory, or a file of weights that has arrived.
pub trait ReadSeek: Read + Seek {
    /// The file as one that has arrived, if it is one: its tensors need not be copied.
    fn arriving(&mut self) -> Option<&mut Arriving> {
        None
    }

    /// The whole file, if it lies in memory: it need not be copied.
    fn whole(&self) -> Option<&[u8]> {
        None
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl ReadSeek for std::fs::File {}

impl<T: AsRef<[u8]>> ReadSeek for Cursor<T> {
    fn whole(&self) -> Option<&[u8]> {
        Some(self.get_ref().as_ref())
    }
}

/// Named readers. A folder common to all names ("mymodel/config.json", as a browser names the files of a dropped folder)
/// is not part of the names seen from outside.
#[derive(Default)]
pub struct Files {
    readers: BTreeMap<String, Box<dyn ReadSeek>>,
    /// The folder all names inserted so far begin with, with its final slash; `None` before the first.
    root: Option<String>,
    /// Names, as inserted, of the files that begin as GGUF files do.
    with_gguf_magic: Vec<String>,
    /// Files that lay in the same folder but are of no use: only for error messages.
    unused: Vec<String>,
}

impl Files {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces the one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, mut reader: Box<dyn ReadSeek>) {
        let name = name.into().replace('\\', "/");
        let name = name.trim_start_matches("./").trim_start_matches('/').to_string();
        let folder = name.rfind('/').map_or("", |slash| &name[..=slash]);
        self.root = Some(match &self.root {
            None => folder.to_string(),
            Some(root) => common_folder(root, folder).to_string(),
        });
        self.with_gguf_magic.retain(|other| *other != name);
        if matches!(head(&mut *reader), Ok(head) if head.starts_with(b"GGUF")) {
            self.with_gguf_magic.push(name.clone());
        }
        self.readers.insert(name, reader);
    }

    /// Opens the files of a model: a folder, of which only the files a model needs are opened, or one `.gguf` file.
    ///
    /// # Errors
    /// [`Error::MissingFile`] when there is nothing there or no weights in it, [`Error::BadFile`] for a file of another
    /// kind, [`Error::Io`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: &std::path::Path) -> Result<Self> {
        let io = |path: &std::path::Path| {
            let file = path.display().to_string();
            move |source| Error::Io { file, source }
        };
        let mut files = Self::new();
        if path.is_dir() {
            for entry in std::fs::read_dir(path).map_err(io(path))? {
                let entry = entry.map_err(io(path))?.path();
                let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
                if is_needed(name) && entry.is_file() {
                    files.insert(name, Box::new(std::fs::File::open(&entry).map_err(io(&entry))?));
                } else {
                    files.unused.push(name.to_string());
                }
            }
            let pooling = path.join(POOLING);
            if pooling.is_file() {
                files.insert(POOLING, Box::new(std::fs::File::open(&pooling).map_err(io(&pooling))?));
            }
            files.unused.sort();
            if files.gguf().is_none() && !files.names().any(|name| name.ends_with(".safetensors")) {
                return Err(
                    files.missing(format!("*.safetensors with config.json, or a .gguf file, in {}", path.display()))
                );
            }
        } else if path.exists() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("model.gguf");
            let mut file = std::fs::File::open(path).map_err(io(path))?;
            let head = head(&mut file).map_err(io(path))?;
            if !head.starts_with(b"GGUF") {
                return Err(Error::BadFile {
                    file: name.to_string(),
                    expected: "a GGUF file, or a folder with config.json and *.safetensors".to_string(),
                    found: describe(&head),
                });
            }
            files.insert(name, Box::new(file));
        } else {
            return Err(Error::MissingFile {
                expected: format!("a model folder or a .gguf file at {}", path.display()),
                found: "nothing there".to_string(),
            });
        }
        Ok(files)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let skip = self.root().len();
        self.readers.keys().map(move |name| name.get(skip..).unwrap_or(name))
    }

    /// Whether there is a file of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.readers.contains_key(&self.full(name))
    }

    /// The whole of a small file.
    ///
    /// # Errors
    /// [`Error::MissingFile`]; [`Error::BadFile`] when it is larger than `limit` bytes, which is found out before any of
    /// it is read; [`Error::Io`], [`Error::OutOfMemory`].
    pub fn read_all(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        Ok(self.view(name, limit)?.into_owned())
    }

    /// [`Self::read_all`] without a copy of what lies in memory.
    ///
    /// # Errors
    /// As there.
    pub fn view(&mut self, name: &str, limit: u64) -> Result<Cow<'_, [u8]>> {
        if !self.contains(name) {
            return Err(self.missing(name.to_string()));
        }
        let full = self.full(name);
        let Some(reader) = self.readers.get_mut(&full) else { return Ok(Cow::default()) };
        let io = |source| Error::Io { file: name.to_string(), source };
        let len = reader.seek(SeekFrom::End(0)).map_err(io)?;
        if len > limit {
            return Err(Error::BadFile {
                file: name.to_string(),
                expected: format!("at most {limit} bytes"),
                found: format!("{len} bytes"),
            });
        }
        reader.rewind().map_err(io)?;
        if reader.whole().is_none() {
            let mut bytes = try_vec(0u8, usize::try_from(len).unwrap_or(usize::MAX), name)?;
            reader.read_exact(&mut bytes).map_err(io)?;
            return Ok(Cow::Owned(bytes));
        }
        Ok(Cow::Borrowed(reader.whole().unwrap_or_default()))
    }

    /// A small JSON file.
    ///
    /// # Errors
    /// As [`read_all`](Self::read_all), and [`Error::BadFile`] when it is not the JSON expected.
    pub fn read_json<T: DeserializeOwned>(&mut self, name: &str, limit: u64) -> Result<T> {
        let bytes = self.view(name, limit)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::BadFile {
            file: name.to_string(),
            expected: "JSON".to_string(),
            found: recognize(&bytes).filter(|kind| *kind != JSON).map_or_else(|| error.to_string(), str::to_string),
        })
    }

    /// Takes a file out, to be read tensor by tensor.
    pub fn take(&mut self, name: &str) -> Option<Box<dyn ReadSeek>> {
        self.readers.remove(&self.full(name))
    }

    /// The name of the GGUF file, if the model is one: a file that begins as GGUF files do, or else one that is named
    /// `.gguf` (then reading it says what it is instead). `None` beside a `config.json` with safetensors, which is the
    /// same model in its original form. Of several the first; `Weights::gguf` refuses to choose among them.
    pub fn gguf(&self) -> Option<String> {
        self.all_gguf()
            .into_iter()
            .next()
            .filter(|_| !(self.contains("config.json") && self.names().any(|name| name.ends_with(".safetensors"))))
    }

    /// Every GGUF file here, those that really are first.
    pub(crate) fn all_gguf(&self) -> Vec<String> {
        let is_gguf = |name: &&str| self.with_gguf_magic.contains(&self.full(name));
        let is_named = |name: &&str| !is_gguf(name) && name.to_ascii_lowercase().ends_with(".gguf");
        self.names().filter(is_gguf).chain(self.names().filter(is_named)).map(str::to_string).collect()
    }

    /// The error for a file that is not here; names those that are.
    pub fn missing(&self, expected: String) -> Error {
        const SHOWN: usize = 12;
        let names: Vec<&str> = self.names().chain(self.unused.iter().map(String::as_str)).collect();
        let found = match names.len() {
            0 => "no files".to_string(),
            len if len <= SHOWN => names.join(", "),
            len => format!("{}, and {} more", names[..SHOWN].join(", "), len - SHOWN),
        };
        Error::MissingFile { expected, found }
    }

    fn root(&self) -> &str {
        self.root.as_deref().unwrap_or("")
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.root())
    }
}

/// What a model's folder may have beside its weights and its configuration.
pub const COMPANIONS: [&str; 20] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "source.spm",
    "target.spm",
    "target_vocab.json",
    "chat_template.jinja",
    "chat_template.json",
    "sentencepiece.bpe.model",
    "modules.json",
    "sentence_bert_config.json",
    POOLING,
    "config_sentence_transformers.json",
];

/// How sentence-transformers pools, in a folder of its own.
const POOLING: &str = "1_Pooling/config.json";

/// Bytes in hexadecimal, as hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file of this name in a model's folder is worth opening.
#[cfg(not(target_arch = "wasm32"))]
fn is_needed(name: &str) -> bool {
    let own = matches!(name, "config.json" | "model.safetensors.index.json");
    own || COMPANIONS.contains(&name) || name.ends_with(".safetensors") || name.ends_with(".gguf")
}

/// The longest folder that both begin with. Folders end with a slash; the root is empty.
fn common_folder<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let end = a.bytes().take(same).rposition(|byte| byte == b'/').map_or(0, |slash| slash + 1);
    a.get(..end).unwrap_or("")
}

/// The first bytes of a file, at most 64; leaves the reader at its start.
pub(crate) fn head(mut reader: &mut dyn ReadSeek) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(64);
    reader.rewind()?;
    (&mut reader).take(64).read_to_end(&mut head)?;
    reader.rewind()?;
    Ok(head)
}

/// In words, what a file that is not what it should be is, as far as its first bytes tell.
pub(crate) fn describe(head: &[u8]) -> String {
    recognize(head).map_or_else(
        || format!("a file that begins with the bytes {:02x?}", &head[..head.len().min(8)]),
        str::to_string,
    )
}

/// A kind of file that [`recognize`] tells.
pub(crate) const SAFETENSORS: &str = "a safetensors file";
/// A kind of file that [`recognize`] tells.
pub(crate) const JSON: &str = "a JSON file";

/// The kinds of file that people end up with by mistake.
pub(crate) fn recognize(head: &[u8]) -> Option<&'static str> {
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let is_tag = |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()));
    Some(match head {
        [] => "an empty file",
        _ if ["<!doctype", "<html", "<head", "<body"].into_iter().any(is_tag) => {
            "an HTML page (an error or log-in page saved under this name?)"
        }
        _ if head.starts_with(b"version https://git-lfs") => "a git-lfs pointer instead of the file it stands for",
        _ if head.starts_with(b"GGUF") => "a GGUF file",
        _ if head.starts_with(b"PK\x03\x04") => "a ZIP archive (a PyTorch checkpoint?)",
        _ if head.starts_with(&[0x1f, 0x8b]) => "a gzip archive",
        _ if head.starts_with(&[0x80]) && head.get(1).is_some_and(|&version| (2..=5).contains(&version)) => {
            "a Python pickle (a PyTorch checkpoint?)"
        }
        _ if head.get(8) == Some(&b'{') && head.get(7) == Some(&0) => SAFETENSORS,
        _ if text.starts_with(b"{") => JSON,
        _ => return None,
    })
}
