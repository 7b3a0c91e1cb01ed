//! A file of weights that arrives from its beginning to its end, as from the network. As soon as the header is here,
//! each tensor is put where it will stay: nothing of the file is in memory twice.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

use super::{Found, Kind, Metadata, check_spans, gguf, safetensors};
use crate::error::{Error, Result, try_vec};
use crate::files::{ReadSeek, hex};

/// What must be here before the header is looked for: more than the header of most models. Trying costs as much as
/// reading the header, so after one that failed twice as much must be here.
const FIRST_TRY: usize = 4 << 20;
/// Hashing larger files would take longer than loading them.
const LARGEST_HASHED: u64 = 64 << 20;
/// Bytes that are hashed at once.
const PIECE: usize = 1 << 16;

/// What a container's header says.
pub struct Header {
    pub(super) metadata: Metadata,
    pub(super) found: Vec<Found>,
}

/// The bytes of a tensor, as far as they are here.
struct Region {
    offset: u64,
    len: usize,
    bytes: Vec<u8>,
}

/// A GGUF or safetensors file, told apart by its name, of which more and more is here.
pub struct Arriving {
    name: String,
    len: u64,
    /// How many bytes are here, or were.
    arrived: u64,
    /// What came before the header was known; then only the file's first bytes, which say what it is.
    head: Vec<u8>,
    next_try: usize,
    header: Option<Header>,
    /// Where tensors go, in the order of the file.
    regions: Vec<Region>,
    /// The first region that is not complete.
    current: usize,
    hash: Option<Sha256>,
    /// Where the next byte is read.
    position: u64,
    /// Whether bytes were asked for that are not here yet.
    starved: bool,
}

impl Arriving {
    /// A file of `len` bytes, none of which is here.
    pub fn new(name: impl Into<String>, len: u64) -> Self {
        Self {
            name: name.into(),
            len,
            arrived: 0,
            head: Vec::new(),
            next_try: FIRST_TRY,
            header: None,
            regions: Vec::new(),
            current: 0,
            hash: (len <= LARGEST_HASHED).then(Sha256::new),
            position: 0,
            starved: false,
        }
    }

    /// Takes the next `count` bytes: `copy` puts those from the given place on into a slice.
    ///
    /// # Errors
    /// [`Error::BadFile`] for more bytes than the file has, and as soon as that is known, all that a damaged header is
    /// refused for; [`Error::OutOfMemory`].
    pub fn write(&mut self, count: usize, copy: &mut dyn FnMut(usize, &mut [u8])) -> Result<()> {
        if count as u64 > self.len - self.arrived {
            return Err(self.bad(format!("{} bytes", self.len), "more"));
        }
        if let Some(hash) = &mut self.hash {
            let mut piece = try_vec(0u8, count.min(PIECE), "a piece of the model")?;
            for at in (0..count).step_by(PIECE) {
                let piece = &mut piece[..(count - at).min(PIECE)];
                copy(at, piece);
                hash.update(piece);
            }
        }
        if self.header.is_some() {
            return self.place(count, copy);
        }
        let held = self.head.len();
        self.head.try_reserve(count).map_err(|_| Error::OutOfMemory {
            what: "the header of the model file".into(),
            needed: (held + count) as u64,
        })?;
        self.head.resize(held + count, 0);
        copy(0, &mut self.head[held..]);
        self.arrived += count as u64;
        if self.head.len() >= self.next_try || self.arrived == self.len { self.try_header() } else { Ok(()) }
    }

    /// Says that nothing follows.
    ///
    /// # Errors
    /// [`Error::BadFile`] when bytes are lacking, and as [`Self::write`].
    pub fn finish(&mut self) -> Result<()> {
        if self.arrived < self.len {
            return Err(self.bad(format!("{} bytes", self.len), format!("{} bytes", self.arrived)));
        }
        // An empty file has not been looked at.
        if self.header.is_none() { self.try_header() } else { Ok(()) }
    }

    /// What the header says, once.
    pub(super) fn take_header(&mut self) -> Option<Header> {
        self.header.take()
    }

    /// The bytes of a tensor, if they are all here; they are then no longer part of the file.
    pub(super) fn take(&mut self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let at = self.regions.binary_search_by_key(&offset, |region| region.offset).ok()?;
        let region = &mut self.regions[at];
        (region.len as u64 == len && region.bytes.len() == region.len).then(|| std::mem::take(&mut region.bytes))
    }

    /// SHA-256 of a file that is here as a whole and not too large, in hexadecimal.
    pub(super) fn sha256(&self) -> Option<String> {
        let hash = self.hash.clone().filter(|_| self.arrived == self.len)?;
        Some(hex(&hash.finalize()))
    }

    /// Reads the header if enough of it is here.
    fn try_header(&mut self) -> Result<()> {
        self.starved = false;
        let name = self.name.clone();
        let parsed = if name.to_lowercase().ends_with(".safetensors") {
            safetensors::parse(&name, self).map(|found| (Metadata::default(), found))
        } else {
            gguf::parse(&name, self)
        };
        let (metadata, found) = match parsed {
            Ok(parsed) => parsed,
            Err(_) if self.starved && self.arrived < self.len => {
                self.next_try = self.head.len().saturating_mul(2);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        check_spans(&name, self.len, &found)?;
        let readable = found.iter().filter(|tensor| matches!(tensor.kind, Kind::Readable(_)) && tensor.len > 0);
        for Found { offset, len, .. } in readable {
            let len =
                usize::try_from(*len).map_err(|_| self.bad("tensors that fit in memory", format!("{len} bytes")))?;
            self.regions.push(Region { offset: *offset, len, bytes: Vec::new() });
        }
        self.regions.sort_unstable_by_key(|region| region.offset);
        self.header = Some(Header { metadata, found });
        let mut head = std::mem::take(&mut self.head);
        self.arrived = 0;
        self.place(head.len(), &mut |at, out| out.copy_from_slice(&head[at..][..out.len()]))?;
        head.truncate(64);
        head.shrink_to_fit();
        self.head = head;
        Ok(())
    }

    /// Puts the next bytes where they belong; those of no tensor are dropped.
    fn place(&mut self, count: usize, copy: &mut dyn FnMut(usize, &mut [u8])) -> Result<()> {
        let (start, end) = (self.arrived, self.arrived + count as u64);
        while let Some(region) = self.regions.get_mut(self.current) {
            let held = region.bytes.len();
            let from = region.offset + held as u64;
            if from >= end {
                break;
            }
            if held == 0 {
                region.bytes.try_reserve_exact(region.len).map_err(|_| Error::OutOfMemory {
                    what: "a tensor of the model".into(),
                    needed: region.len as u64,
                })?;
            }
            // Neither is longer than what is here now.
            let there = (region.len - held).min((end - from) as usize);
            region.bytes.resize(held + there, 0);
            copy((from - start) as usize, &mut region.bytes[held..]);
            if region.bytes.len() < region.len {
                break;
            }
            self.current += 1;
        }
        self.arrived = end;
        Ok(())
    }

    fn bad(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::BadFile { file: self.name.clone(), expected: expected.into(), found: found.into() }
    }
}

impl Read for Arriving {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut at = self.position;
        let mut source = self.head.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        if source.is_empty() {
            let next = self.regions.partition_point(|region| region.offset <= at);
            if let Some(region) = next.checked_sub(1).and_then(|i| self.regions.get(i)) {
                let from = usize::try_from(at - region.offset).unwrap_or(usize::MAX);
                source = region.bytes.get(from..).unwrap_or_default();
            }
        }
        let len = source.len().min(out.len());
        out[..len].copy_from_slice(&source[..len]);
        at += len as u64;
        if len == 0 && !out.is_empty() && self.position < self.len {
            self.starved = true;
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "these bytes have not arrived or are no longer here"));
        }
        self.position = at;
        Ok(len)
    }
}

impl Seek for Arriving {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::other("seek before the start"))?;
        Ok(self.position)
    }
}

impl ReadSeek for Arriving {
    fn arriving(&mut self) -> Option<&mut Arriving> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::kernels::Format;
    use crate::weights::{GgufWriter, Planned, Value, Weights};
    use std::io::Cursor;

    const NAME: &str = "model.gguf";
    const TENSORS: [(&str, usize); 4] = [("a", 40), ("b", 33), ("empty", 0), ("c", 700)];

    fn file() -> Vec<u8> {
        let table = TENSORS.map(|(name, len)| Planned { name: name.into(), shape: vec![len], format: Format::F32 });
        let pairs = [("general.name".to_string(), Value::String("a name of some length".into()))];
        let mut out = Vec::new();
        let mut writer = GgufWriter::start(&mut out, &pairs, &table).unwrap();
        for (i, (_, len)) in TENSORS.iter().enumerate() {
            let values: Vec<f32> = (0..*len).map(|at| (i * 1000 + at) as f32).collect();
            writer.tensor(bytemuck::cast_slice(&values)).unwrap();
        }
        writer.finish().unwrap();
        out
    }

    /// `bytes` as the beginning of a file of `len` bytes, in pieces.
    fn arrive(bytes: &[u8], len: u64, piece: usize, first_try: usize) -> Result<Arriving> {
        let mut arriving = Arriving { next_try: first_try, ..Arriving::new(NAME, len) };
        for piece in bytes.chunks(piece) {
            arriving.write(piece.len(), &mut |at, out| out.copy_from_slice(&piece[at..][..out.len()]))?;
        }
        arriving.finish()?;
        Ok(arriving)
    }

    fn open(reader: Box<dyn ReadSeek>) -> Weights {
        let mut files = Files::new();
        files.insert(NAME, reader);
        Weights::gguf(&mut files, NAME).unwrap()
    }

    #[test]
    fn tensors_are_those_of_the_file_however_it_arrives() {
        let file = file();
        let mut whole = open(Box::new(Cursor::new(file.clone())));
        for piece in [1, 7, 64, 500, 1 << 20] {
            for first_try in [16, 300, FIRST_TRY] {
                let mut arrived = open(Box::new(arrive(&file, file.len() as u64, piece, first_try).unwrap()));
                assert_eq!(arrived.metadata().get_str("general.name").unwrap(), Some("a name of some length"));
                let hash: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(arrived.sha256(), Some(hash));
                for (name, _) in TENSORS {
                    let expected = whole.read(name).unwrap();
                    assert_eq!(arrived.read(name).unwrap(), expected, "{name} in pieces of {piece}");
                    assert_eq!(arrived.take(name).unwrap(), expected, "{name} in pieces of {piece}");
                }
                let error = arrived.read("c").unwrap_err();
                assert_eq!(error.code(), "bad_file", "what was given away is no longer there");
            }
        }
    }

    #[test]
    fn too_few_and_too_many_bytes_are_told() {
        let file = file();
        let len = file.len() as u64;
        for (bytes, len) in [(&file[..100], len), (&file[..file.len() - 1], len), (&file[..], len - 1), (&file[..0], 0)]
        {
            let error = arrive(bytes, len, 64, 16).err().expect("an error");
            assert_eq!(error.code(), "bad_file", "{error}");
        }
    }

    #[test]
    fn a_damaged_header_is_refused_before_the_rest_arrives() {
        let mut file = file();
        file[0] = b'X';
        let mut arriving = Arriving { next_try: 16, ..Arriving::new(NAME, 1 << 40) };
        let error = arriving.write(64, &mut |at, out| out.copy_from_slice(&file[at..][..out.len()])).unwrap_err();
        assert!(error.to_string().contains("expected a GGUF file"), "{error}");
    }
}
