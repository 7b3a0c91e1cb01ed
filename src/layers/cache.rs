//! The keys and values of the positions a sequence has already been through.

use crate::error::{Error, Result};

/// Keys and values per layer, each `[positions, width]` in f32. It grows with use.
pub struct KvCache {
    layers: Vec<Layer>,
    width: usize,
}

#[derive(Clone, Default)]
struct Layer {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    /// An empty cache for `layers` layers of `width` = key-value heads × head width.
    pub fn new(layers: usize, width: usize) -> Self {
        Self { layers: vec![Layer::default(); layers], width }
    }

    /// Positions held. While a forward pass is under way its last layers lag behind its first.
    pub fn len(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.keys.len() / self.width.max(1))
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size in memory of what is held.
    pub fn size_in_bytes(&self) -> usize {
        self.layers.iter().map(|layer| (layer.keys.capacity() + layer.values.capacity()) * size_of::<f32>()).sum()
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.keys.truncate(len * self.width);
            layer.values.truncate(len * self.width);
        }
    }

    /// Adds positions to one layer and returns all its keys and values.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when it cannot grow; what it held stays.
    pub fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) -> Result<(&[f32], &[f32])> {
        let width = self.width;
        let layer = &mut self.layers[layer];
        for held in [&mut layer.keys, &mut layer.values] {
            grow(held, keys.len(), width)?;
        }
        layer.keys.extend_from_slice(keys);
        layer.values.extend_from_slice(values);
        Ok((&layer.keys, &layer.values))
    }

    /// A copy, or [`Error::OutOfMemory`].
    pub fn try_clone(&self) -> Result<Self> {
        let mut copy = Self::new(self.layers.len(), self.width);
        for (i, layer) in self.layers.iter().enumerate() {
            copy.append(i, &layer.keys, &layer.values)?;
        }
        Ok(copy)
    }
}

/// Makes room for `more` values: in steps of a quarter, and of 64 positions at least, so that little is left unused and
/// little is copied.
fn grow(held: &mut Vec<f32>, more: usize, width: usize) -> Result<()> {
    let wanted = held.len() + more;
    if wanted <= held.capacity() {
        return Ok(());
    }
    let room = more.max(held.len() / 4).max(64 * width);
    held.try_reserve_exact(room).map_err(|_| Error::OutOfMemory {
        what: "the context (KV cache)".into(),
        needed: (wanted as u64).saturating_mul(size_of::<f32>() as u64),
    })
}
