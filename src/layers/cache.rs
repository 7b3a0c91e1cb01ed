//! The keys and values of the positions a sequence has already been through.

use crate::error::Result;
use crate::kernels::attention::Held;
use crate::kernels::{CacheType, Rows};

/// Keys and values per layer and key-value head, each `[positions, dim]`: a head reads its own from end to end. It grows
/// with use.
pub struct KvCache {
    layers: Vec<Vec<Held>>,
    dim: usize,
    kind: CacheType,
}

impl KvCache {
    /// An empty cache for `layers` layers of `heads` key-value heads of width `dim`.
    pub fn new(layers: usize, heads: usize, dim: usize, kind: CacheType) -> Self {
        let empty = Held { keys: Rows::new(kind), values: Rows::new(kind) };
        Self { layers: vec![vec![empty; heads]; layers], dim, kind }
    }

    /// How keys and values are kept.
    pub fn kind(&self) -> CacheType {
        self.kind
    }

    /// Positions held. While a forward pass is under way its last layers lag behind its first.
    pub fn len(&self) -> usize {
        let last = self.layers.last().and_then(|heads| heads.last());
        last.map_or(0, |head| head.keys.values() / self.dim.max(1))
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size in memory of what is held.
    pub fn size_in_bytes(&self) -> usize {
        self.layers.iter().flatten().map(|head| head.keys.size_in_bytes() + head.values.size_in_bytes()).sum()
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        for head in self.layers.iter_mut().flatten() {
            head.keys.truncate(len, self.dim);
            head.values.truncate(len, self.dim);
        }
    }

    /// Adds positions (`[n, heads · dim]`) to one layer and returns what its heads hold.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) when it cannot grow; what it held stays.
    pub fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) -> Result<&[Held]> {
        let (dim, heads) = (self.dim, &mut self.layers[layer]);
        let width = heads.len() * dim;
        for head in heads.iter_mut() {
            for held in [&mut head.keys, &mut head.values] {
                held.grow(keys.len() / width.max(1), dim)?;
            }
        }
        for (i, head) in heads.iter_mut().enumerate() {
            for (held, new) in [(&mut head.keys, keys), (&mut head.values, values)] {
                for row in new.chunks_exact(width) {
                    held.push(&row[i * dim..(i + 1) * dim]);
                }
            }
        }
        Ok(heads)
    }

    /// A copy, or [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_clone(&self) -> Result<Self> {
        let heads = self.layers.first().map_or(0, Vec::len);
        let mut copy = Self::new(self.layers.len(), heads, self.dim, self.kind);
        for (from, to) in self.layers.iter().flatten().zip(copy.layers.iter_mut().flatten()) {
            for (from, to) in [(&from.keys, &mut to.keys), (&from.values, &mut to.values)] {
                to.grow(from.values() / self.dim.max(1), self.dim)?;
                to.extend(from);
            }
        }
        Ok(copy)
    }
}
