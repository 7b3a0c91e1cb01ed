//! A `Blob` as a Rust reader. `FileReaderSync` exists in workers only; it copies just the bytes asked for, so the
//! file is never in JavaScript's memory as a whole.

use crate::files::Files;
use js_sys::{Array, Reflect};
use std::io::{BufReader, Error, Read, Result, Seek, SeekFrom};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, FileReaderSync};

/// Small reads are served from a buffer of this size.
const BUFFER: usize = 64 << 10;

/// Reads a blob from any place.
pub struct BlobReader {
    blob: Blob,
    reader: FileReaderSync,
    size: u64,
    position: u64,
}

impl BlobReader {
    /// A reader that does not cross to JavaScript for every small read.
    pub fn buffered(blob: Blob) -> std::result::Result<BufReader<Self>, JsValue> {
        let size = blob.size() as u64;
        Ok(BufReader::with_capacity(BUFFER, Self { blob, reader: FileReaderSync::new()?, size, position: 0 }))
    }
}

/// `files`, an array of `{name: string, blob: Blob}`, to be read.
pub fn files_of(files: Array) -> std::result::Result<Files, JsValue> {
    let mut set = Files::new();
    for file in files {
        let name = Reflect::get(&file, &"name".into())?.as_string().unwrap_or_default();
        let blob = Reflect::get(&file, &"blob".into())?.dyn_into()?;
        set.insert(name, Box::new(BlobReader::buffered(blob)?));
    }
    Ok(set)
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let end = (self.position + out.len() as u64).min(self.size);
        let len = end.saturating_sub(self.position) as usize;
        if len == 0 {
            return Ok(0);
        }
        let failed = |error: JsValue| Error::other(format!("{error:?}"));
        let slice = self.blob.slice_with_f64_and_f64(self.position as f64, end as f64).map_err(failed)?;
        let bytes = js_sys::Uint8Array::new(&self.reader.read_as_array_buffer(&slice).map_err(failed)?.into());
        if bytes.length() as usize != len {
            return Err(Error::other(format!("expected {len} bytes, found {}", bytes.length())));
        }
        bytes.copy_to(&mut out[..len]);
        self.position = end;
        Ok(len)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => i128::from(offset),
            SeekFrom::End(offset) => i128::from(self.size) + i128::from(offset),
            SeekFrom::Current(offset) => i128::from(self.position) + i128::from(offset),
        };
        self.position = u64::try_from(target).map_err(|_| Error::other("seek before the start"))?;
        Ok(self.position)
    }
}
