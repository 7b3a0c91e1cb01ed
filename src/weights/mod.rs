//! Tensors by name, from safetensors (one file or shards) or GGUF: any `Read + Seek`, one tensor in memory at a time.
//!
//! Opening reads the headers only, and checks them against the length of the file before anything is allocated; the
//! parsers of the two containers say what they found, and what holds for both is checked here.

mod arriving;
mod cursor;
mod gguf;
mod gguf_writer;
mod metadata;
mod safetensors;
mod safetensors_writer;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::io::SeekFrom;

pub use arriving::Arriving;
use arriving::Header;
pub use gguf_writer::{GgufWriter, Planned, Value};
pub use metadata::Metadata;
pub use safetensors_writer::write_safetensors;

use crate::error::{Error, Result, try_vec};
use crate::files::{Files, ReadSeek};
use crate::kernels::Format;

/// The most that is read at a time: between two pieces progress is told and a worker can be stopped.
const PIECE: usize = 16 << 20;

/// Where a tensor is, and what it is.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// How its values are stored.
    pub format: Format,
    /// Outermost dimension first, as in PyTorch; a row of the last dimension is contiguous.
    pub shape: Vec<usize>,
    span: Span,
}

/// The place of a tensor: which container, and which of its bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    container: usize,
    offset: u64,
    len: u64,
}

/// What a container's header says of one tensor.
struct Found {
    name: String,
    shape: Vec<usize>,
    kind: Kind,
    /// From the start of the file.
    offset: u64,
    /// 0 where it is not known, for a type this engine has never heard of.
    len: u64,
}

/// The type of the values in a container.
enum Kind {
    Readable(Format),
    /// A type the engine does not compute with, by name.
    Other(String),
}

/// A name in the containers: a tensor, or one whose type cannot be read (harmless until it is asked for).
enum Entry {
    Tensor(TensorInfo),
    Other { kind: String, container: usize },
}

/// One open file.
struct Container {
    name: String,
    reader: Box<dyn ReadSeek>,
}

/// Called with the bytes loaded so far and in all.
pub type Progress = Box<dyn FnMut(u64, u64)>;

/// The tensors of a model.
#[derive(Default)]
pub struct Weights {
    containers: Vec<Container>,
    entries: BTreeMap<String, Entry>,
    metadata: Metadata,
    meter: Meter,
}

/// How much has been loaded, and who wants to know.
#[derive(Default)]
struct Meter {
    total: u64,
    loaded: u64,
    progress: Option<Progress>,
}

impl Meter {
    fn add(&mut self, bytes: u64) {
        // A tensor read twice (tied embeddings) must not take the bar beyond its end.
        self.loaded = self.loaded.saturating_add(bytes).min(self.total);
        if let Some(progress) = &mut self.progress {
            progress(self.loaded, self.total);
        }
    }
}

impl Weights {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names, or else the only
    /// `*.safetensors` there is. Takes the files it opens.
    ///
    /// # Errors
    /// [`Error::MissingFile`] for no weights or a missing shard, [`Error::MissingTensor`] for a tensor that the index
    /// promises, [`Error::BadFile`] and [`Error::BadTensor`] for damaged headers.
    pub fn safetensors(files: &mut Files) -> Result<Self> {
        let mut weights = Self::default();
        if files.contains("model.safetensors") || !files.contains(safetensors::INDEX) {
            let name = safetensors::only_file(files)?;
            weights.add_safetensors(files, &name)?;
            return Ok(weights);
        }
        let index = safetensors::read_index(files)?;
        let mut shards: Vec<&String> = index.values().collect();
        shards.sort();
        shards.dedup();
        for shard in shards {
            weights.add_safetensors(files, shard)?;
        }
        for (tensor, shard) in &index {
            if weights.container_of(tensor).is_none_or(|container| container.name != *shard) {
                return Err(Error::MissingTensor {
                    name: tensor.clone(),
                    expected: format!("it in {shard}, as {} says", safetensors::INDEX),
                    found: weights.container_of(tensor).map_or("none".to_string(), |c| format!("it in {}", c.name)),
                });
            }
        }
        Ok(weights)
    }

    /// Opens the GGUF file of this name, and takes it.
    ///
    /// # Errors
    /// [`Error::MissingFile`]; [`Error::BadFile`] for a damaged header or another kind of file; [`Error::Unsupported`]
    /// for another version and for split files.
    pub fn gguf(files: &mut Files, name: &str) -> Result<Self> {
        let all = files.all_gguf();
        let mut reader = files.take(name).ok_or_else(|| files.missing(name.to_string()))?;
        let (metadata, found) = match header_of(&mut *reader) {
            Some(Header { metadata, found }) => (metadata, found),
            None => gguf::parse(name, &mut *reader)?,
        };
        if all.len() > 1 {
            return Err(Error::BadFile {
                file: name.to_string(),
                expected: "one GGUF file to choose".to_string(),
                found: all.join(", "),
            });
        }
        let mut weights = Self { metadata, ..Self::default() };
        weights.add(name, reader, found)?;
        Ok(weights)
    }

    /// Every name, sorted, including tensors of types that cannot be read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The tensor of this name; `None` also where its type cannot be read. [`expect`](Self::expect) tells the two apart.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.expect(name).ok()
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], or for a type that cannot be read [`Error::Unsupported`] (GGUF) or
    /// [`Error::BadTensor`] (safetensors).
    pub fn expect(&self, name: &str) -> Result<&TensorInfo> {
        let (kind, container) = match self.entries.get(name) {
            Some(Entry::Tensor(info)) => return Ok(info),
            Some(Entry::Other { kind, container }) => (kind, self.containers.get(*container)),
            None => return Err(self.missing(name)),
        };
        let file = container.map_or("", |container| &container.name);
        if file.ends_with(".safetensors") {
            return Err(Error::BadTensor {
                name: name.to_string(),
                expected: "F32, F16 or BF16".to_string(),
                found: kind.clone(),
            });
        }
        Err(Error::Unsupported {
            what: format!("tensor {name} of type {kind}"),
            expected: Format::ALL.map(Format::name).join(", "),
            found: kind.clone(),
        })
    }

    /// The key/value pairs of a GGUF file; empty for safetensors.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The same, to take out what is large.
    pub(crate) fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// The bytes of all tensors that can be read.
    pub fn total_bytes(&self) -> u64 {
        self.meter.total
    }

    /// Exactly the tensor's little-endian bytes, in one allocation.
    ///
    /// # Errors
    /// As [`expect`](Self::expect); [`Error::OutOfMemory`]; [`Error::BadFile`] when the file has become shorter;
    /// [`Error::Io`].
    pub fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let span = self.expect(name)?.span;
        let container = self
            .containers
            .get_mut(span.container)
            .ok_or(Error::MissingFile { expected: format!("the file of tensor {name}"), found: "none".to_string() })?;
        let file = &container.name;
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::BadFile {
                file: file.clone(),
                expected: format!("{} bytes of tensor {name} at byte {}", span.len, span.offset),
                found: "the end of the file (has it changed?)".to_string(),
            },
            _ => Error::Io { file: file.clone(), source },
        };
        let mut bytes = try_vec(0u8, usize::try_from(span.len).unwrap_or(usize::MAX), name)?;
        container.reader.seek(SeekFrom::Start(span.offset)).map_err(failed)?;
        for piece in bytes.chunks_mut(PIECE) {
            container.reader.read_exact(piece).map_err(failed)?;
            self.meter.add(piece.len() as u64);
        }
        Ok(bytes)
    }

    /// [`Self::read`] for a tensor that is not read again: one that has arrived in memory is given away, not copied.
    ///
    /// # Errors
    /// As there.
    pub fn take(&mut self, name: &str) -> Result<Vec<u8>> {
        let Span { container, offset, len } = self.expect(name)?.span;
        let arriving = self.containers.get_mut(container).and_then(|container| container.reader.arriving());
        let Some(bytes) = arriving.and_then(|arriving| arriving.take(offset, len)) else { return self.read(name) };
        self.meter.add(len);
        Ok(bytes)
    }

    /// SHA-256 in hexadecimal of a file that arrived; none for several files, nor for one of more than 64 MiB, which
    /// would take longer to hash than to load.
    pub fn sha256(&mut self) -> Option<String> {
        let [Container { reader, .. }] = self.containers.as_mut_slice() else { return None };
        reader.arriving()?.sha256()
    }

    /// What to call while tensors are read, with the bytes loaded so far and [`total_bytes`](Self::total_bytes).
    pub fn set_progress(&mut self, progress: Progress) {
        self.meter.progress = Some(progress);
    }

    fn add_safetensors(&mut self, files: &mut Files, name: &str) -> Result<()> {
        let mut reader = files.take(name).ok_or_else(|| files.missing(name.to_string()))?;
        let found = match header_of(&mut *reader) {
            Some(Header { found, .. }) => found,
            None => safetensors::parse(name, &mut *reader)?,
        };
        self.add(name, reader, found)
    }

    /// Adds a container, once its tensors are known to lie inside the file and apart.
    fn add(&mut self, file: &str, mut reader: Box<dyn ReadSeek>, found: Vec<Found>) -> Result<()> {
        let io = |source| Error::Io { file: file.to_string(), source };
        check_spans(file, reader.seek(SeekFrom::End(0)).map_err(io)?, &found)?;
        let container = self.containers.len();
        for Found { name, shape, kind, offset, len } in found {
            let entry = match kind {
                Kind::Readable(format) => {
                    self.meter.total = self.meter.total.saturating_add(len);
                    Entry::Tensor(TensorInfo { format, shape, span: Span { container, offset, len } })
                }
                Kind::Other(kind) => Entry::Other { kind, container },
            };
            match self.entries.entry(name) {
                Slot::Vacant(slot) => slot.insert(entry),
                Slot::Occupied(slot) => {
                    return Err(Error::BadFile {
                        file: file.to_string(),
                        expected: "every tensor once".to_string(),
                        found: format!("{} a second time", slot.key()),
                    });
                }
            };
        }
        self.containers.push(Container { name: file.to_string(), reader });
        Ok(())
    }

    fn container_of(&self, tensor: &str) -> Option<&Container> {
        let container = match self.entries.get(tensor)? {
            Entry::Tensor(info) => info.span.container,
            Entry::Other { container, .. } => *container,
        };
        self.containers.get(container)
    }

    fn missing(&self, name: &str) -> Error {
        let files: Vec<&str> = self.containers.iter().map(|container| container.name.as_str()).collect();
        Error::MissingTensor {
            name: name.to_string(),
            expected: format!("it in {}", files.join(", ")),
            found: format!("{} other tensors", self.entries.len()),
        }
    }
}

/// What the header says, where a file that has arrived knows it already.
fn header_of(reader: &mut dyn ReadSeek) -> Option<Header> {
    reader.arriving()?.take_header()
}

/// Refuses tensors that reach past the end of the file, or share bytes.
fn check_spans(file: &str, file_len: u64, found: &[Found]) -> Result<()> {
    let bad = |expected: String, found: String| Err(Error::BadFile { file: file.to_string(), expected, found });
    let mut spans = Vec::with_capacity(found.len());
    for tensor in found {
        let Some(end) = tensor.offset.checked_add(tensor.len).filter(|end| *end <= file_len) else {
            let (name, len, offset) = (&tensor.name, tensor.len, tensor.offset);
            return bad(
                format!("{len} bytes of tensor {name} at byte {offset}"),
                format!("a file of {file_len} bytes"),
            );
        };
        if tensor.len > 0 {
            spans.push((tensor.offset, end, &tensor.name));
        }
    }
    spans.sort_unstable();
    for pair in spans.windows(2) {
        if let [(_, end, first), (start, _, second)] = pair
            && start < end
        {
            let found = format!("{first} ending at byte {end} and {second} beginning at byte {start}");
            return bad("tensors that do not overlap".to_string(), found);
        }
    }
    Ok(())
}
