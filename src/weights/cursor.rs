//! Reads the numbers and strings of a binary header, never past the end of the file and never into more memory than a
//! header may take, whatever lengths the header claims.

use std::io::{BufReader, Read, SeekFrom};

use crate::error::{Error, Result, try_vec};
use crate::files::ReadSeek;

/// The memory a header may take once parsed. The vocabularies of the largest models need a tenth of it.
const BUDGET: u64 = 256 << 20;

/// A place in a header.
pub struct Cursor<'a> {
    file: &'a str,
    reader: BufReader<&'a mut dyn ReadSeek>,
    position: u64,
    len: u64,
    budget: u64,
}

impl<'a> Cursor<'a> {
    /// The start of a file.
    pub fn new(file: &'a str, reader: &'a mut dyn ReadSeek) -> Result<Self> {
        let io = |source| Error::Io { file: file.to_string(), source };
        let len = reader.seek(SeekFrom::End(0)).map_err(io)?;
        reader.rewind().map_err(io)?;
        Ok(Self { file, reader: BufReader::with_capacity(1 << 16, reader), position: 0, len, budget: BUDGET })
    }

    /// How far the file has been read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// An error about this file.
    pub fn bad(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::BadFile { file: self.file.to_string(), expected: expected.into(), found: found.into() }
    }

    /// Makes sure that `count` items of at least `size` bytes can still follow, and that holding them, `memory` bytes
    /// each, is within the budget; gives the count as an index type. To be called before anything is allocated for them.
    pub fn claim(&mut self, count: u64, size: u64, memory: usize, what: &str) -> Result<usize> {
        let left = self.len.saturating_sub(self.position);
        if count.checked_mul(size).is_none_or(|bytes| bytes > left) {
            return Err(self.bad(
                format!("{count} {what} (at byte {})", self.position),
                format!("{left} bytes to the end of the file"),
            ));
        }
        let memory = count.saturating_mul(memory as u64);
        self.budget = self.budget.checked_sub(memory).ok_or_else(|| {
            self.bad(format!("a header of at most {BUDGET} bytes in memory"), format!("{count} {what} more"))
        })?;
        usize::try_from(count).map_err(|_| self.bad("an addressable count", format!("{count} {what}")))
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A little-endian u32.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian u64.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string with its length before it.
    pub fn string(&mut self) -> Result<String> {
        let len = self.u64()?;
        let len = self.claim(len, 1, 1, "bytes of text")?;
        let mut bytes = try_vec(0u8, len, "the header of the model file")?;
        self.fill(&mut bytes)?;
        String::from_utf8(bytes)
            .map_err(|error| self.bad("UTF-8 text", format!("{error} (before byte {})", self.position)))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                self.bad(format!("{} bytes more at byte {}", bytes.len(), self.position), "the end of the file")
            }
            _ => Error::Io { file: self.file.to_string(), source },
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}
