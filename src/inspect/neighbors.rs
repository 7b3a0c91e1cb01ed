//! Tokens whose embeddings point the same way.

use crate::engine::Engine;
use crate::error::Result;

/// Rows of the table that are decoded at once.
const AT_ONCE: u32 = 256;

/// A token like another.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbor {
    pub id: u32,
    /// The cosine of the angle between the embeddings.
    pub similarity: f32,
}

pub(super) fn of(engine: &Engine, id: u32, count: usize) -> Result<Vec<Neighbor>> {
    let table = engine.decoder.embeddings();
    let one: Vec<f32> = table.forward(&[id])?.flatten_all()?.to_vec1()?;
    let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let own = length(&one);
    let entries = engine.spec().vocab_size as u32;
    let mut all: Vec<Neighbor> = Vec::with_capacity(entries as usize);
    for from in (0..entries).step_by(AT_ONCE as usize) {
        let ids: Vec<u32> = (from..(from + AT_ONCE).min(entries)).collect();
        let rows = table.forward(&ids)?.to_vec2::<f32>()?;
        all.extend(ids.into_iter().zip(&rows).map(|(id, row)| {
            let along: f32 = row.iter().zip(&one).map(|(a, b)| a * b).sum();
            Neighbor { id, similarity: along / (own * length(row)) }
        }));
    }
    // Rows of a padded vocabulary name no token.
    all.retain(|neighbor| neighbor.id != id && engine.tokenizer.token(neighbor.id).is_some());
    all.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.id.cmp(&b.id)));
    all.truncate(count);
    Ok(all)
}
