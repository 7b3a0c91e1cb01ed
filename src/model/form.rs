//! What a block of a decoder computes, as it is told to whoever explains it.

/// In what decoders differ that are otherwise alike.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// `LayerNorm` or `RMSNorm`.
    pub norm: &'static str,
    /// What the norms add below the root.
    pub norm_epsilon: f32,
    /// The activation function by its Hugging Face name.
    pub activation: &'static str,
    /// Whether a second projection is multiplied with the activations.
    pub gated: bool,
    /// The width of the feed-forward part.
    pub inner_size: usize,
    /// The base of the rotary embedding; `None`: positions have learned embeddings.
    pub rope_theta: Option<f32>,
    /// Whether queries and keys are normed head by head.
    pub qk_norm: bool,
    /// The factor on the scores of attention; of the first layer, where they differ.
    pub attention_scale: f32,
    /// Values of a head that are rotated, where it is not the whole.
    pub rotated: Option<usize>,
    /// Whether the feed-forward part reads what attention reads, beside it, and not after it.
    pub parallel: bool,
    /// Whether what a part adds to the stream is normed before.
    pub post_norms: bool,
    /// The factor on the embeddings.
    pub embedding_scale: Option<f32>,
    /// In what layers differ; empty when they are alike.
    pub layers: Vec<LayerForm>,
}

/// What a layer need not have in common with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerForm {
    /// How many positions it sees, itself among them; `None`: all before it.
    pub window: Option<usize>,
    /// The base of its rotary embedding; `None`: nothing is rotated.
    pub rope_theta: Option<f32>,
}

impl Form {
    /// [`Self::layers`] of what layers are like: nothing when they are alike and have no window.
    pub(super) fn told_apart(layers: impl Iterator<Item = LayerForm> + Clone) -> Vec<LayerForm> {
        let first = layers.clone().next();
        let plain = layers.clone().all(|layer| Some(layer) == first && layer.window.is_none());
        if plain { Vec::new() } else { layers.collect() }
    }
}
