//! The tensors of a model, and how each is taken out of one kind of file for the other.

use crate::error::{Error, Result, try_vec};
use crate::kernels::Format;
use crate::kernels::matrix::transpose;
use crate::model::HEADS;
use crate::model::conversion::{Otherwise, Twin, twin, twins};
use crate::model::{Architecture, Fields};
use crate::weights::Weights;

/// The two kinds of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Hub,
    Gguf,
}

/// A tensor to be written.
pub struct Plan {
    pub twin: Twin,
    /// Its name in the file it comes from.
    name: String,
    from: Side,
    head_dim: usize,
}

/// Every tensor of the model, checked against the file it comes from.
pub fn plan(architecture: &Architecture, config: &Fields, weights: &mut Weights, from: Side) -> Result<Vec<Plan>> {
    let (mut twins, head_dim) = twins(architecture, config)?;
    // A head that is tied may still have its own values in the file, and then those count.
    let tied = twins.iter().all(|twin| twin.gguf != HEAD);
    let head = HEADS.iter().map(|head| format!("{head}.weight")).find(|name| weights.contains(name));
    if from == Side::Hub
        && tied
        && let Some(head) = head
    {
        let embedding = twins.iter().find(|twin| twin.gguf == "token_embd.weight");
        let name = embedding.map(|twin| file_name(twin, weights, from)).unwrap_or_default();
        if weights.read(&name)? != weights.read(&head)? {
            let own =
                architecture.gguf_names.iter().find(|(_, gguf)| *gguf == "output").map_or(HEADS[0], |(own, _)| own);
            twins.push(twin(architecture, format!("{own}.weight"), weights.expect(&head)?.shape.clone())?);
        }
    }
    let mut plans = Vec::with_capacity(twins.len());
    for twin in twins {
        let name = file_name(&twin, weights, from);
        let plan = Plan { twin, name, from, head_dim };
        let (wanted, found) = (plan.shape(from), &weights.expect(&plan.name)?.shape);
        if wanted != *found {
            let (expected, found) = (format!("shape {wanted:?}"), format!("shape {found:?}"));
            return Err(Error::BadTensor { name: plan.name, expected, found });
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// The output head in GGUF.
const HEAD: &str = "output.weight";

/// What stands before the names of a text model in files of one that reads pictures too.
const NESTED: [&str; 2] = ["model.language_model.", "language_model."];

fn file_name(twin: &Twin, weights: &Weights, from: Side) -> String {
    match from {
        Side::Gguf => twin.gguf.clone(),
        Side::Hub if weights.contains(&twin.hub) => twin.hub.clone(),
        Side::Hub if weights.contains(&twin.unprefixed) => twin.unprefixed.clone(),
        Side::Hub => {
            // The head under its other name, and the text model of one for pictures too.
            let heads = HEADS.iter().map(|head| format!("{head}.weight")).filter(|_| twin.gguf == HEAD);
            let nested =
                NESTED.iter().flat_map(|outer| [format!("{outer}{}", twin.hub), format!("{outer}{}", twin.unprefixed)]);
            heads.chain(nested).find(|name| weights.contains(name)).unwrap_or_else(|| twin.hub.clone())
        }
    }
}

impl Plan {
    /// Its shape in that kind of file.
    pub fn shape(&self, side: Side) -> Vec<usize> {
        let mut shape = self.twin.shape.clone();
        if side == Side::Gguf && self.twin.otherwise == Some(Otherwise::Transposed) {
            shape.reverse();
        }
        shape
    }

    /// Its bytes in that kind of file and in that format.
    pub fn read(&self, weights: &mut Weights, to: Side, format: Format) -> Result<Vec<u8>> {
        let mut own = weights.expect(&self.name)?.format;
        let mut bytes = weights.read(&self.name)?;
        let shape = self.shape(self.from);
        let cols = if shape.len() > 1 { shape.last().copied().unwrap_or(1) } else { 1 };
        let rows = shape.iter().product::<usize>() / cols.max(1);
        let mut len = shape.last().copied().unwrap_or(1);
        match self.twin.otherwise.filter(|_| to != self.from) {
            None => {}
            Some(Otherwise::Interleaved | Otherwise::Sorted) => {
                bytes = self.reorder(&bytes, rows, bytes.len() / rows.max(1))?;
            }
            Some(Otherwise::OneMore) => {
                bytes = encode(&self.name, &bytes, own, Format::F32, len)?;
                own = Format::F32;
                let more = if to == Side::Gguf { 1.0 } else { -1.0 };
                for value in bytes.as_chunks_mut::<4>().0 {
                    *value = (f32::from_le_bytes(*value) + more).to_le_bytes();
                }
            }
            Some(Otherwise::Transposed) => {
                if own.block_len() > 1 {
                    bytes = encode(&self.name, &bytes, own, Format::F32, len)?;
                    own = Format::F32;
                }
                bytes = transpose(&bytes, rows, cols, own.block_bytes())?;
                len = rows;
            }
        }
        if own == format { Ok(bytes) } else { encode(&self.name, &bytes, own, format, len) }
    }

    /// Rows in the other file's order.
    fn reorder(&self, bytes: &[u8], rows: usize, row_bytes: usize) -> Result<Vec<u8>> {
        let (dim, half) = (self.head_dim.max(2), self.head_dim.max(2) / 2);
        let sorted = self.twin.otherwise == Some(Otherwise::Sorted);
        let (kind, heads) = ((rows / 3).max(1), (rows / 3 / dim).max(1));
        let order = |row: usize| match (sorted, self.from) {
            (false, Side::Hub) => row / dim * dim + row % 2 * half + row % dim / 2,
            (false, Side::Gguf) => row / dim * dim + 2 * (row % half) + row % dim / half,
            (true, Side::Hub) => (row % kind / dim * 3 + row / kind) * dim + row % dim,
            (true, Side::Gguf) => (row / dim % 3 * heads + row / dim / 3) * dim + row % dim,
        };
        let mut out = try_vec(0u8, bytes.len(), "reordering a tensor")?;
        for (row, out) in out.chunks_exact_mut(row_bytes.max(1)).enumerate() {
            let from = order(row) * row_bytes;
            let row = bytes.get(from..from + row_bytes).ok_or_else(|| Error::BadTensor {
                name: self.name.clone(),
                expected: format!("heads of {dim} rows"),
                found: format!("{rows} rows"),
            })?;
            out.copy_from_slice(row);
        }
        Ok(out)
    }
}

/// Rows of `len` values of tensor `name` from one format to another.
pub fn encode(name: &str, bytes: &[u8], from: Format, to: Format, len: usize) -> Result<Vec<u8>> {
    /// The largest f16; beyond it neither values nor the scales of blocks are safe.
    const LARGEST: f32 = 65504.0;
    let bad = |expected: String, found: String| Error::BadTensor { name: name.to_string(), expected, found };
    let limit = if matches!(to, Format::F32 | Format::BF16) { f32::MAX } else { LARGEST };
    let blocks = |format: Format| {
        format
            .row_bytes(len)
            .filter(|bytes| *bytes > 0)
            .ok_or_else(|| bad(format!("rows of a multiple of {} values", format.block_len()), len.to_string()))
    };
    let (from_row, to_row) = (blocks(from)?, blocks(to)?);
    let mut out = try_vec(0u8, bytes.len() / from_row * to_row, "a tensor in its new format")?;
    let mut values = try_vec(0f32, len, "a row of a tensor")?;
    for (row, out) in bytes.chunks_exact(from_row).zip(out.chunks_exact_mut(to_row)) {
        from.dequantize(row, &mut values);
        if let Some(value) = values.iter().find(|value| !value.is_finite() || value.abs() > limit) {
            return Err(bad(format!("values of at most {limit:e} for {}", to.name()), value.to_string()));
        }
        to.quantize(&values, out);
    }
    Ok(out)
}
