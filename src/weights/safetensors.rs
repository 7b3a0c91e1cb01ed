//! The safetensors container: eight bytes of length, a JSON header, the tensors.
//!
//! Read by hand rather than with the `safetensors` crate, which wants the whole file in memory and refuses a file for
//! one dtype it does not know.

use std::collections::BTreeMap;
use std::fmt;
use std::io::SeekFrom;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Found, Kind};
use crate::error::{Error, Result, try_vec};
use crate::files::{Files, ReadSeek, SAFETENSORS, head, recognize};
use crate::kernels::Format;

/// The file that says which shard holds which tensor.
pub const INDEX: &str = "model.safetensors.index.json";

/// The longest header the format allows.
const MAX_HEADER: u64 = 100_000_000;
/// More than any index: the largest models have some hundred thousand tensors.
const MAX_INDEX: u64 = 64 << 20;
/// More dimensions than any weight has.
const MAX_DIMS: usize = 8;

/// The name of the one safetensors file of a model that has no index.
pub fn only_file(files: &Files) -> Result<String> {
    if files.contains("model.safetensors") {
        return Ok("model.safetensors".to_string());
    }
    let all: Vec<&str> = files.names().filter(|name| name.ends_with(".safetensors")).collect();
    match all.as_slice() {
        [] => Err(files.missing(format!("model.safetensors, or {INDEX} and its shards"))),
        [name] => Ok(name.to_string()),
        _ => Err(files.missing(format!("{INDEX}, which says how the {} safetensors files belong together", all.len()))),
    }
}

/// Which shard holds each tensor.
pub fn read_index(files: &mut Files) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    Ok(files.read_json::<Index>(INDEX, MAX_INDEX)?.weight_map)
}

/// Reads the header.
pub fn parse(file: &str, reader: &mut dyn ReadSeek) -> Result<Vec<Found>> {
    let io = |source| Error::Io { file: file.to_string(), source };
    let bad =
        |expected: &str, found: String| Error::BadFile { file: file.to_string(), expected: expected.into(), found };
    let file_len = reader.seek(SeekFrom::End(0)).map_err(io)?;
    let head = head(reader).map_err(io)?;
    let Some((&len, rest)) = head.split_first_chunk::<8>() else {
        let found = recognize(&head).map_or_else(|| format!("{file_len} bytes"), str::to_string);
        return Err(bad("a safetensors file of at least 8 bytes", found));
    };
    let len = u64::from_le_bytes(len);
    if len > MAX_HEADER.min(file_len.saturating_sub(8)) || rest.first().is_some_and(|&byte| byte != b'{') {
        let found = recognize(&head).filter(|kind| *kind != SAFETENSORS);
        let found = found.map_or_else(|| format!("a header of {len} bytes in a file of {file_len}"), str::to_string);
        return Err(bad("a safetensors file", found));
    }
    let mut header = try_vec(0u8, usize::try_from(len).unwrap_or(usize::MAX), "the safetensors header")?;
    reader.seek(SeekFrom::Start(8)).map_err(io)?;
    reader.read_exact(&mut header).map_err(io)?;
    let Header(entries) =
        serde_json::from_slice(&header).map_err(|error| bad("a safetensors header in JSON", error.to_string()))?;
    entries.into_iter().map(|(name, entry)| found(name, entry, 8 + len)).collect()
}

/// Checks one entry of the header; `start` is where the data begin.
fn found(name: String, entry: Entry, start: u64) -> Result<Found> {
    let Entry { dtype, shape: Shape(shape), data_offsets: [from, to] } = entry;
    let bad = |expected: String, found: String| Error::BadTensor { name: name.clone(), expected, found };
    let (Some(len), Some(offset)) = (to.checked_sub(from), start.checked_add(from)) else {
        return Err(bad("offsets in ascending order".to_string(), format!("{from} and {to}")));
    };
    let kind = match dtype.as_str() {
        "F32" => Kind::Readable(Format::F32),
        "F16" => Kind::Readable(Format::F16),
        "BF16" => Kind::Readable(Format::BF16),
        _ => Kind::Other(dtype),
    };
    if let Kind::Readable(format) = kind {
        let bytes = shape.iter().try_fold(format.block_bytes(), |bytes, dim| bytes.checked_mul(*dim));
        if bytes.map(|bytes| bytes as u64) != Some(len) {
            let expected = bytes.map_or("an addressable number of".to_string(), |bytes| bytes.to_string());
            return Err(bad(
                format!("{expected} bytes for {} of shape {shape:?}", format.name()),
                format!("{len} bytes"),
            ));
        }
    }
    Ok(Found { name, shape, kind, offset, len })
}

/// One tensor in the header.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Shape,
    data_offsets: [u64; 2],
}

/// Dimensions, few enough that no header can make them large.
struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Dims;
        impl<'de> Visitor<'de> for Dims {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "a shape of at most {MAX_DIMS} dimensions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Shape, A::Error> {
                let mut dims = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == MAX_DIMS {
                        return Err(A::Error::invalid_length(MAX_DIMS + 1, &self));
                    }
                    dims.push(dim);
                }
                Ok(Shape(dims))
            }
        }
        deserializer.deserialize_seq(Dims)
    }
}

/// All tensors of the header, in its order, a repeated name kept so that it can be refused.
struct Header(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
