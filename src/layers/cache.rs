//! The keys and values of the positions a sequence has already been through.

use crate::error::Result;
use crate::kernels::attention::{Held, append};
use crate::kernels::{CacheType, Rows};
use std::sync::Arc;

/// Keys and values of the text that an encoder-decoder translates, sums up or answers, per layer of its decoder and
/// key-value head.
pub struct Crossed {
    layers: Vec<Vec<Held>>,
}

impl Crossed {
    /// `layers`: by layer and key-value head, all of one length.
    pub fn new(layers: Vec<Vec<Held>>) -> Self {
        Self { layers }
    }

    /// What the heads of a layer hold.
    pub fn layer(&self, layer: usize) -> &[Held] {
        &self.layers[layer]
    }

    /// The size in memory of what is held.
    fn size_in_bytes(&self) -> usize {
        self.layers.iter().flatten().map(Held::size_in_bytes).sum()
    }
}

/// Keys and values per layer and key-value head, each `[positions, dim]`: a head reads its own from end to end. It grows
/// with use.
pub struct KvCache {
    layers: Vec<Vec<Held>>,
    dim: usize,
    kind: CacheType,
    /// Copies share it.
    crossed: Option<Arc<Crossed>>,
}

impl KvCache {
    /// An empty cache for `layers` layers of `heads` key-value heads of width `dim`.
    pub fn new(layers: usize, heads: usize, dim: usize, kind: CacheType) -> Self {
        let empty = Held { keys: Rows::new(kind), values: Rows::new(kind) };
        Self { layers: vec![vec![empty; heads]; layers], dim, kind, crossed: None }
    }

    /// How keys and values are kept.
    pub fn kind(&self) -> CacheType {
        self.kind
    }

    /// Positions held. While a forward pass is under way its last layers lag behind its first.
    pub fn len(&self) -> usize {
        let last = self.layers.last().and_then(|heads| heads.last());
        last.map_or(0, |head| head.len(self.dim))
    }

    /// What a layer holds.
    pub fn layer(&self, layer: usize) -> &[Held] {
        &self.layers[layer]
    }

    /// The source text that the positions are written from.
    pub fn crossed(&self) -> Option<&Arc<Crossed>> {
        self.crossed.as_ref()
    }

    /// Replaces it and forgets all positions, which came of another.
    pub fn cross(&mut self, source: Crossed) {
        self.truncate(0);
        self.crossed = Some(Arc::new(source));
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size in memory of what is held.
    pub fn size_in_bytes(&self) -> usize {
        let own: usize = self.layers.iter().flatten().map(Held::size_in_bytes).sum();
        own + self.crossed.as_ref().map_or(0, |crossed| crossed.size_in_bytes())
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        for head in self.layers.iter_mut().flatten() {
            head.keys.truncate(len, self.dim);
            head.values.truncate(len, self.dim);
        }
    }

    /// Adds positions (`[n, heads · dim]`) to one layer.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) when it cannot grow; what it held stays.
    pub fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) -> Result<()> {
        append(&mut self.layers[layer], self.dim, keys, values)
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
        copy.crossed = self.crossed.clone();
        Ok(copy)
    }
}
