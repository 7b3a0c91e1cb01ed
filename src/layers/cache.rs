//! The keys and values of the positions a sequence has already been through.

use crate::error::{Error, Result};
use crate::kernels::attention::Held;

/// Keys and values per layer and key-value head, each `[positions, dim]` in f32: a head reads its own from end to end.
/// It grows with use.
pub struct KvCache {
    layers: Vec<Vec<Held>>,
    dim: usize,
}

impl KvCache {
    /// An empty cache for `layers` layers of `heads` key-value heads of width `dim`.
    pub fn new(layers: usize, heads: usize, dim: usize) -> Self {
        Self { layers: vec![vec![Held::default(); heads]; layers], dim }
    }

    /// Positions held. While a forward pass is under way its last layers lag behind its first.
    pub fn len(&self) -> usize {
        let last = self.layers.last().and_then(|heads| heads.last());
        last.map_or(0, |head| head.keys.len() / self.dim.max(1))
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size in memory of what is held.
    pub fn size_in_bytes(&self) -> usize {
        let values = |head: &Held| head.keys.capacity() + head.values.capacity();
        self.layers.iter().flatten().map(values).sum::<usize>() * size_of::<f32>()
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        for head in self.layers.iter_mut().flatten() {
            head.keys.truncate(len * self.dim);
            head.values.truncate(len * self.dim);
        }
    }

    /// Adds positions (`[n, heads · dim]`) to one layer and returns what its heads hold.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when it cannot grow; what it held stays.
    pub fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) -> Result<&[Held]> {
        let (dim, heads) = (self.dim, &mut self.layers[layer]);
        let width = heads.len() * dim;
        for head in heads.iter_mut() {
            for held in [&mut head.keys, &mut head.values] {
                grow(held, keys.len() / width.max(1) * dim, dim)?;
            }
        }
        for (i, head) in heads.iter_mut().enumerate() {
            for (held, new) in [(&mut head.keys, keys), (&mut head.values, values)] {
                for row in new.chunks_exact(width) {
                    held.extend_from_slice(&row[i * dim..(i + 1) * dim]);
                }
            }
        }
        Ok(heads)
    }

    /// A copy, or [`Error::OutOfMemory`].
    pub fn try_clone(&self) -> Result<Self> {
        let heads = self.layers.first().map_or(0, Vec::len);
        let mut copy = Self::new(self.layers.len(), heads, self.dim);
        for (from, to) in self.layers.iter().flatten().zip(copy.layers.iter_mut().flatten()) {
            for (from, to) in [(&from.keys, &mut to.keys), (&from.values, &mut to.values)] {
                grow(to, from.len(), self.dim)?;
                to.extend_from_slice(from);
            }
        }
        Ok(copy)
    }
}

/// Makes room for `more` values: in steps of a quarter, and of 64 positions at least, so that little is left unused and
/// little is copied.
fn grow(held: &mut Vec<f32>, more: usize, dim: usize) -> Result<()> {
    let wanted = held.len() + more;
    if wanted <= held.capacity() {
        return Ok(());
    }
    let room = more.max(held.len() / 4).max(64 * dim);
    held.try_reserve_exact(room).map_err(|_| Error::OutOfMemory {
        what: "the context (KV cache)".into(),
        needed: (wanted as u64).saturating_mul(size_of::<f32>() as u64),
    })
}
