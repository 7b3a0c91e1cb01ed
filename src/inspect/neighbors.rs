//! Tokens whose embeddings point the same way.

use super::best;
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

pub(super) fn of(engine: &Engine, token: u32, count: usize) -> Result<Vec<Neighbor>> {
    let table = engine.decoder.embeddings();
    let one: Vec<f32> = table.forward(&[token])?.flatten_all()?.to_vec1()?;
    let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let own = length(&one);
    let entries = engine.spec().vocab_size as u32;
    let mut similarities: Vec<f32> = Vec::with_capacity(entries as usize);
    for from in (0..entries).step_by(AT_ONCE as usize) {
        let ids: Vec<u32> = (from..(from + AT_ONCE).min(entries)).collect();
        for (id, row) in ids.iter().zip(table.forward(&ids)?.to_vec2::<f32>()?) {
            let along: f32 = row.iter().zip(&one).map(|(a, b)| a * b).sum();
            // Rows of a padded vocabulary name no token.
            let counts = *id != token && engine.tokenizer.token(*id).is_some();
            similarities.push(if counts { along / (own * length(&row)) } else { f32::NEG_INFINITY });
        }
    }
    let found = best(&similarities, &similarities, count).into_iter();
    let found = found.filter(|candidate| candidate.logit > f32::NEG_INFINITY);
    Ok(found.map(|candidate| Neighbor { id: candidate.id, similarity: candidate.logit }).collect())
}
