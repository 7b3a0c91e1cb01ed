//! Looking inside a model that reads: the same pass, probe and report as of one that writes. What its layers would say is
//! what its head for masked tokens makes of their streams, at every place of the text and not after it.

use super::{Cell, Inspection, Lens, Wish, attention, best, entropy, fits, keep_streams, lens, map, take_streams};
use crate::error::{Error, Result};
use crate::layers::rows;
use crate::model::encoder::Head;
use crate::model::{Probe, Site};
use crate::reader::{Reader, Tokens};
use crate::sample::softmax;

/// Reads a text and keeps what was wished for. `top_k` tells of the first mask, or else of the last token, and is empty for
/// a model that predicts no tokens, as the lens is.
///
/// # Errors
/// As [`inspect`](super::inspect), and [`Error::Unsupported`] for what is only to be seen in a model that writes.
pub fn inspect_reading(reader: &Reader, tokens: &Tokens, wish: &Wish) -> Result<Inspection> {
    let (spec, n) = (reader.spec(), tokens.ids.len());
    if n == 0 {
        return Err(Error::EmptyPrompt);
    }
    if n > spec.context_length {
        return Err(Error::ContextFull { limit: spec.context_length, found: n });
    }
    wish.check(spec, n)?;
    for (name, wished) in [("attribution", wish.attribution.is_some()), ("internals", wish.internals.is_some())] {
        if wished {
            let (expected, found) = ("a model that continues a text".into(), spec.architecture.into());
            return Err(Error::Unsupported { what: format!("the option {name}"), expected, found });
        }
    }
    let mut probe = Probe { without: wish.without.clone(), ..Probe::default() };
    if keep_streams(&mut probe, wish) {
        fits("hidden states", (spec.layers + 1).saturating_mul(n).saturating_mul(spec.hidden_size))?;
    }
    attention::ask(&mut probe, wish, spec, n)?;
    let hidden = reader.read_seen(tokens, &mut probe)?;
    let mut found = Inspection { ids: tokens.ids.clone(), ..Inspection::default() };
    if let Head::Masked(head) = reader.encoder.head() {
        let mask = reader.tokenizer.mask_token_id();
        let at = tokens.ids.iter().position(|id| Some(*id) == mask).unwrap_or(n - 1);
        let logits: Vec<f32> = head.forward(&hidden.narrow(0, at, 1)?)?.flatten_all()?.to_vec1()?;
        let probabilities = softmax(&logits)?;
        found.top_k = best(&logits, &probabilities, wish.top_k);
        found.entropy = entropy(&probabilities);
    }
    attention::take(&mut found, &mut probe, wish, spec, n);
    take_streams(&mut found, &probe, wish, spec);
    if let Some(lens) = &wish.lens {
        found.lens = look(reader, &probe, lens, n)?;
    }
    if wish.map {
        found.map = map::of(spec, &probe);
    }
    Ok(found)
}

/// Rows: the embeddings, then the stream after every block.
fn look(reader: &Reader, probe: &Probe, wish: &Lens, n: usize) -> Result<Vec<Vec<Cell>>> {
    let Head::Masked(head) = reader.encoder.head() else { return Ok(Vec::new()) };
    let width = reader.spec().hidden_size;
    lens::table(reader.spec(), wish, n, |layer, positions| {
        let stream = probe.values(layer, Site::Stream);
        let picked: Vec<f32> = positions.iter().flat_map(|p| &stream[p * width..(p + 1) * width]).copied().collect();
        Ok(head.forward(&reader.encoder.finish(&rows(picked, positions.len())?)?)?.to_vec2()?)
    })
}
