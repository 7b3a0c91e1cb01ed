//! The keys and values of the positions a sequence has already been through.

use crate::error::{Error, Result};

/// Keys and values per layer, each `[positions, width]` in f32. It grows with use.
#[derive(Clone)]
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
        let layer = &mut self.layers[layer];
        for (held, new) in [(&mut layer.keys, keys), (&mut layer.values, values)] {
            held.try_reserve(new.len()).map_err(|_| Error::OutOfMemory {
                what: "the context (KV cache)".into(),
                needed: ((held.len() + new.len()) * size_of::<f32>()) as u64,
            })?;
            held.extend_from_slice(new);
        }
        Ok((&layer.keys, &layer.values))
    }
}
