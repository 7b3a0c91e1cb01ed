//! The GGUF container, versions 2 and 3: key/value pairs, a table of tensors, the aligned data.
//!
//! The format is that of the GGUF specification in the ggml repository. Read by hand, because candle's reader trusts
//! the lengths in the file and copies each tensor.

use super::cursor::Cursor;
use super::metadata::Metadata;
use super::{Found, Kind};
use crate::error::{Error, Result};
use crate::files::{ReadSeek, describe, head};
use crate::kernels::Format;

/// As many dimensions as ggml has.
pub(super) const MAX_DIMS: u32 = 4;
/// Where the data of tensors begin, unless the file says otherwise.
pub(super) const DEFAULT_ALIGNMENT: u64 = 32;

/// ggml's types that this engine does not compute with: number, name, values and bytes of a block.
const OTHER_TYPES: [(u32, &str, usize, usize); 22] = [
    (9, "Q8_1", 32, 40),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
];

/// Reads the header.
pub fn parse(file: &str, reader: &mut dyn ReadSeek) -> Result<(Metadata, Vec<Found>)> {
    let head = head(reader).map_err(|source| Error::Io { file: file.to_string(), source })?;
    let cursor = &mut Cursor::new(file, reader)?;
    if !head.starts_with(b"GGUF") {
        return Err(cursor.bad("a GGUF file", describe(&head)));
    }
    cursor.array::<4>()?;
    let version = cursor.u32()?;
    if !matches!(version, 2 | 3) {
        let order = if matches!(version.swap_bytes(), 1..=3) { " (big-endian)" } else { "" };
        return Err(Error::Unsupported {
            what: format!("{file}: this version of GGUF"),
            expected: "2 or 3, little-endian".to_string(),
            found: format!("{}{order}", if order.is_empty() { version } else { version.swap_bytes() }),
        });
    }
    let (tensors, pairs) = (cursor.u64()?, cursor.u64()?);
    let metadata = Metadata::parse(cursor, pairs)?;
    refuse_split(file, &metadata)?;
    let alignment = alignment(&metadata)?;
    // A tensor's entry is at least the length of its name, the number of dimensions, its type and its offset.
    let tensors = cursor.claim(tensors, 8 + 4 + 4 + 8, size_of::<Found>(), "tensors")?;
    let mut found = Vec::new();
    for _ in 0..tensors {
        found.push(tensor(cursor, alignment)?);
    }
    // Offsets count from the first aligned byte after the header.
    let start = cursor.position().next_multiple_of(alignment);
    for tensor in &mut found {
        tensor.offset = tensor
            .offset
            .checked_add(start)
            .ok_or_else(|| cursor.bad(format!("tensor {} inside the file", tensor.name), "an offset near 2^64"))?;
    }
    Ok((metadata, found))
}

/// One entry of the table; its offset still counts from the start of the data.
fn tensor(cursor: &mut Cursor, alignment: u64) -> Result<Found> {
    let name = cursor.string()?;
    let dims = cursor.u32()?;
    if dims > MAX_DIMS {
        return Err(cursor.bad(format!("at most {MAX_DIMS} dimensions of tensor {name}"), dims.to_string()));
    }
    let mut shape = Vec::with_capacity(dims as usize);
    for _ in 0..dims {
        let dim = cursor.u64()?;
        shape.push(
            usize::try_from(dim).map_err(|_| cursor.bad(format!("an addressable size of {name}"), dim.to_string()))?,
        );
    }
    // GGUF lists the innermost dimension first.
    shape.reverse();
    let id = cursor.u32()?;
    let offset = cursor.u64()?;
    if !offset.is_multiple_of(alignment) {
        return Err(cursor.bad(format!("tensor {name} at a multiple of {alignment}"), offset.to_string()));
    }
    let (kind, block) = match (Format::from_ggml(id), OTHER_TYPES.iter().find(|other| other.0 == id)) {
        (Some(format), _) => (Kind::Readable(format), Some((format.block_len(), format.block_bytes()))),
        (None, Some((_, name, values, bytes))) => (Kind::Other(name.to_string()), Some((*values, *bytes))),
        (None, None) => (Kind::Other(format!("number {id}")), None),
    };
    let len = match block {
        Some((values, bytes)) => data_len(&name, &shape, values, bytes)?,
        None => 0,
    };
    Ok(Found { name, shape, kind, offset, len })
}

/// The bytes of a tensor of this shape, in blocks of `values` values and `bytes` bytes along the last dimension.
fn data_len(name: &str, shape: &[usize], values: usize, bytes: usize) -> Result<u64> {
    let bad = |expected: String| Error::BadTensor { name: name.to_string(), expected, found: format!("{shape:?}") };
    if !shape.last().copied().unwrap_or(1).is_multiple_of(values) {
        return Err(bad(format!("rows of a multiple of {values} values")));
    }
    let count = shape.iter().try_fold(1u64, |count, dim| count.checked_mul(*dim as u64));
    count
        .and_then(|count| (count / values as u64).checked_mul(bytes as u64))
        .ok_or_else(|| bad("a size that can be counted".to_string()))
}

fn alignment(metadata: &Metadata) -> Result<u64> {
    const KEY: &str = "general.alignment";
    /// Far above what any writer uses, and small enough that rounding up to it cannot overflow.
    const MAX: u64 = 1 << 30;
    match metadata.get_u64(KEY)? {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(value) if value.is_power_of_two() && value <= MAX => Ok(value),
        Some(_) => Err(metadata.bad(KEY, "a power of two")),
    }
}

fn refuse_split(file: &str, metadata: &Metadata) -> Result<()> {
    match metadata.get_u64("split.count")? {
        Some(count) if count > 1 => Err(Error::Unsupported {
            what: format!("{file}: a model split over several GGUF files"),
            expected: "one file (llama-gguf-split --merge joins them)".to_string(),
            found: format!("one of {count}"),
        }),
        _ => Ok(()),
    }
}
