//! OpenAI's GPT-2: `hparams.json`, `encoder.json`, `vocab.bpe` and a TensorFlow checkpoint, `model.ckpt.index` with
//! `model.ckpt.data-00000-of-00001`.
//!
//! The index is a sorted table of the format LevelDB has (`table_format.md` there), from names of tensors to
//! `BundleEntryProto` (tensorflow/core/protobuf/tensor_bundle.proto).
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use inkling::kernels::Format;
use serde_json::{Value, json};

use super::{Foreign, names};

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// The last bytes of a table: the places of two blocks, and the magic number.
const FOOTER: usize = 48;
/// What TensorFlow calls 32-bit floats.
const DT_FLOAT: u64 = 1;

/// Where a tensor is.
#[derive(Default)]
struct Entry {
    dtype: u64,
    shape: Vec<usize>,
    shard: u64,
    offset: u64,
    size: u64,
}

/// The weights under the names transformers has for them.
pub fn tensors(folder: &Path) -> Result<Vec<Foreign>> {
    let prefix = checkpoint(folder)?;
    let index = format!("{prefix}.index");
    let bytes = fs::read(folder.join(&index)).with_context(|| format!("reading {index}"))?;
    let table = read_table(&bytes).with_context(|| format!("{index}: expected a table of TensorFlow"))?;
    let mut tensors = Vec::new();
    for (key, value) in table {
        // The first one is about the table itself.
        let Some(name) = translate(&key) else { continue };
        let entry = read_entry(&value).with_context(|| format!("{index}: expected a description of {key}"))?;
        ensure!(entry.dtype == DT_FLOAT, "{key}: expected 32-bit floats, found the type {}", entry.dtype);
        ensure!(entry.shard == 0, "{key}: expected one file of data, found several");
        // A convolution of width one is a matrix.
        let shape = match entry.shape[..] {
            [1, rows, cols] => vec![rows, cols],
            _ => entry.shape.clone(),
        };
        let place = folder.join(format!("{prefix}.data-00000-of-00001"));
        let (offset, size) = (entry.offset, entry.size);
        tensors.push(Foreign::new(name, shape, Format::F32, move || read_data(&place, offset, size)));
    }
    tensors.sort_by(|a, b| a.planned.name.cmp(&b.planned.name));
    Ok(tensors)
}

/// Writes config.json, vocab.json and merges.txt.
pub fn companions(folder: &Path, to: &Path) -> Result<()> {
    let text = fs::read_to_string(folder.join("hparams.json")).context("reading hparams.json")?;
    let hparams: Value = serde_json::from_str(&text).context("hparams.json: expected JSON")?;
    let field = |name: &str| {
        hparams[name]
            .as_u64()
            .with_context(|| format!("hparams.json: expected a number {name}, found {}", hparams[name]))
    };
    let last = field("n_vocab")?.saturating_sub(1);
    let config = json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new",
        "vocab_size": field("n_vocab")?, "n_positions": field("n_ctx")?, "n_embd": field("n_embd")?,
        "n_head": field("n_head")?, "n_layer": field("n_layer")?, "n_inner": null, "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": true, "bos_token_id": last, "eos_token_id": last,
    });
    fs::write(to.join("config.json"), config.to_string()).context("writing config.json")?;
    for (from, name) in [("encoder.json", "vocab.json"), ("vocab.bpe", "merges.txt")] {
        fs::copy(folder.join(from), to.join(name)).with_context(|| format!("{from} beside hparams.json"))?;
    }
    Ok(())
}

/// The name that the files of the checkpoint begin with: `model.ckpt`, or with the number of a step.
fn checkpoint(folder: &Path) -> Result<String> {
    let all = names(folder)?;
    let mut found = all.iter().filter_map(|name| name.strip_suffix(".index"));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(name.to_string()),
        (None, _) => bail!("expected model.ckpt.index beside hparams.json, found {}", all.join(", ")),
        (Some(one), Some(other)) => bail!("expected one checkpoint, found {one} and {other}"),
    }
}

/// transformers' name for a variable of OpenAI's program; none for what is no weight of the model.
fn translate(key: &str) -> Option<String> {
    let name = key.strip_prefix("model/")?;
    let name = match name.strip_prefix('h') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("h.{rest}"),
        _ => name.to_string(),
    };
    let (path, last) = match name.rsplit_once('/') {
        Some((path, "g" | "w")) => (path, Some("weight")),
        Some((path, "b")) => (path, Some("bias")),
        _ if ["wte", "wpe"].contains(&name.as_str()) => (name.as_str(), Some("weight")),
        // An optimizer's own.
        _ => return None,
    };
    let path = path.replace('/', ".");
    last.map(|last| format!("{path}.{last}"))
}

fn read_data(file: &Path, offset: u64, size: u64) -> Result<Vec<u8>> {
    let context = || format!("{}: {size} bytes at {offset}", file.display());
    let mut file: File = File::open(PathBuf::from(file)).with_context(context)?;
    let mut bytes = vec![0; usize::try_from(size)?];
    file.seek(SeekFrom::Start(offset)).with_context(context)?;
    file.read_exact(&mut bytes).with_context(context)?;
    Ok(bytes)
}

// ---- the table ----

/// Bytes that are read from their beginning.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).context("it ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number in groups of seven bits, the lowest first.
    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("a number of more than 64 bits")
    }

    fn len(&mut self) -> Result<usize> {
        Ok(usize::try_from(self.varint()?)?)
    }
}

/// All entries of a table.
fn read_table(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let at = bytes.len().checked_sub(FOOTER).context("it is shorter than its end")?;
    let footer = &bytes[at..];
    let magic = u64::from_le_bytes(footer[FOOTER - 8..].try_into()?);
    ensure!(magic == MAGIC, "it does not end as a table does");
    let mut places = Reader(footer);
    let _about = (places.len()?, places.len()?);
    let (offset, size) = (places.len()?, places.len()?);
    let mut entries = BTreeMap::new();
    for (_, place) in read_block(bytes, offset, size)? {
        let mut place = Reader(&place);
        let (offset, size) = (place.len()?, place.len()?);
        for (key, value) in read_block(bytes, offset, size)? {
            entries.insert(String::from_utf8_lossy(&key).into_owned(), value);
        }
    }
    Ok(entries)
}

/// A block: keys that share their beginning with the one before, and values; then places to begin reading from.
#[allow(clippy::type_complexity)]
fn read_block(bytes: &[u8], offset: usize, size: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let end = offset.checked_add(size).context("a block at no place")?;
    let block = bytes.get(offset..end).context("a block beyond the end")?;
    let packed = *bytes.get(end).context("a block beyond the end")?;
    ensure!(packed == 0, "a block that is packed");
    let tail = block.len().checked_sub(4).context("a block without an end")?;
    let restarts = u32::from_le_bytes(block[tail..].try_into()?) as usize;
    let data = restarts.checked_mul(4).and_then(|len| tail.checked_sub(len)).context("a block without entries")?;
    let mut reader = Reader(&block[..data]);
    let (mut entries, mut key) = (Vec::new(), Vec::new());
    while !reader.0.is_empty() {
        let (shared, own, value) = (reader.len()?, reader.len()?, reader.len()?);
        ensure!(shared <= key.len(), "a key that begins with more than the one before has");
        key.truncate(shared);
        key.extend_from_slice(reader.take(own)?);
        entries.push((key.clone(), reader.take(value)?.to_vec()));
    }
    Ok(entries)
}

/// The fields of a message of protocol buffers that are numbers or messages; others are passed over.
fn read_entry(bytes: &[u8]) -> Result<Entry> {
    let mut entry = Entry::default();
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        match field(&mut reader)? {
            (1, Field::Number(value)) => entry.dtype = value,
            (2, Field::Bytes(shape)) => entry.shape = read_shape(shape)?,
            (3, Field::Number(value)) => entry.shard = value,
            (4, Field::Number(value)) => entry.offset = value,
            (5, Field::Number(value)) => entry.size = value,
            _ => {}
        }
    }
    let values =
        entry.shape.iter().try_fold(4usize, |bytes, &n| bytes.checked_mul(n)).context("a shape beyond reason")?;
    ensure!(
        entry.size == values as u64,
        "expected {values} bytes for the shape {:?}, found {}",
        entry.shape,
        entry.size
    );
    Ok(entry)
}

fn read_shape(bytes: &[u8]) -> Result<Vec<usize>> {
    let (mut shape, mut reader) = (Vec::new(), Reader(bytes));
    while !reader.0.is_empty() {
        let (2, Field::Bytes(dim)) = field(&mut reader)? else { continue };
        let (mut size, mut dim) = (0, Reader(dim));
        while !dim.0.is_empty() {
            if let (1, Field::Number(value)) = field(&mut dim)? {
                size = usize::try_from(value)?;
            }
        }
        shape.push(size);
    }
    Ok(shape)
}

enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
    Other,
}

fn field<'b>(reader: &mut Reader<'b>) -> Result<(u64, Field<'b>)> {
    let tag = reader.varint()?;
    let value = match tag & 7 {
        0 => Field::Number(reader.varint()?),
        1 => reader.take(8).map(|_| Field::Other)?,
        2 => {
            let len = reader.len()?;
            Field::Bytes(reader.take(len)?)
        }
        5 => reader.take(4).map(|_| Field::Other)?,
        kind => bail!("a field of the kind {kind}"),
    };
    Ok((tag >> 3, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_the_names_of_transformers() {
        for (key, name) in [
            ("model/wte", Some("wte.weight")),
            ("model/wpe", Some("wpe.weight")),
            ("model/h11/attn/c_attn/w", Some("h.11.attn.c_attn.weight")),
            ("model/h0/ln_1/g", Some("h.0.ln_1.weight")),
            ("model/h0/mlp/c_proj/b", Some("h.0.mlp.c_proj.bias")),
            ("model/ln_f/b", Some("ln_f.bias")),
            ("model/wte/Adam", None),
            ("", None),
        ] {
            assert_eq!(translate(key).as_deref(), name);
        }
    }

    #[test]
    fn bytes_that_are_no_table_are_refused() {
        for bytes in [&b""[..], &[0; 20], &[0; 100], &[0xff; 100]] {
            assert!(read_table(bytes).is_err());
        }
        let mut table = vec![0xff; 100];
        table[92..].copy_from_slice(&MAGIC.to_le_bytes());
        assert!(read_table(&table).is_err());
        for bytes in [&[0x12, 0x7f][..], &[0x0f], &[0x08]] {
            assert!(read_entry(bytes).is_err(), "{bytes:?}");
        }
    }
}
