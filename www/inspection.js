/**
 * What `model.inspect` and its kin give and take: the names are those of src/inspect. Layers, heads and positions are
 * counted from 0; matrices are row-major.
 */

/**
 * @typedef {object} InspectOptions
 * @property {number} [topK]  so many of the next tokens; 10
 * @property {boolean | { layer: number, head: number | 'mean' | 'max' }[]} [attention]  of every head, or of these
 * @property {number} [overview]  a small picture of every head, of so many cells a side
 * @property {boolean | { top?: number, positions?: number[] }} [logitLens]  what each layer would say next
 * @property {boolean} [norms]  lengths of the residual stream's vectors
 * @property {boolean} [hiddenStates]
 * @property {number} [attribution]  what every part of the model adds to the logit of this token
 * @property {boolean} [map]  every token in every layer on a plane
 * @property {{ layer: number, head: number, position: number }} [internals]
 * @property {[number, number][]} [without]  heads, as [layer, head], that are switched off
 * @property {string | number[]} [target]  what an encoder-decoder is to have written, as text or as ids after its first
 *   token; without it, what it writes
 * @property {boolean} [crossAttentions]  where each token of the text looks in the source
 * @property {boolean} [encoderAttentions]  where each token of the source looks
 * @property {boolean} [decoderAttentions]  the same as `attention`
 * @property {boolean} [encoderHiddenStates]
 */

/** @typedef {{ id: number, text: string, logit: number, probability: number }} Candidate */

/**
 * What a layer would say after one position; `rank` and `probability` are those of the token that the last layer prefers.
 * @typedef {{ position: number, top: Candidate[], entropy: number, rank: number, probability: number }} LensCell
 */

/**
 * One token on its way through one block and one head. Of the head: `query`, `scores`, `weights`, `heads`; of the block the
 * rest; `keys` and `values` are those the head looks at, row by row.
 * @typedef {object} Internals
 * @property {number} layer
 * @property {number} head
 * @property {number} position
 * @property {number} mean  of the stream before the block
 * @property {number} variance
 * @property {number} epsilon  of the norms
 * @property {number} scale  of the scores
 * @property {Float32Array} embedding
 * @property {Float32Array} [positionEmbedding]  its learned embedding
 * @property {Float32Array} stream
 * @property {Float32Array} attentionNorm
 * @property {Float32Array} query
 * @property {Float32Array} keys
 * @property {Float32Array} values
 * @property {Float32Array} scores
 * @property {Float32Array} weights
 * @property {Float32Array} heads
 * @property {Float32Array} attention
 * @property {Float32Array} middle
 * @property {Float32Array} feedForwardNorm
 * @property {Float32Array} inner
 * @property {Float32Array} feedForward
 * @property {Float32Array} norm  the final one
 * @property {Float32Array} unembedding  the output head's row of the likeliest next token
 */

/** @typedef {{ site: 'embedding' | 'position' | 'attention' | 'feedForward' | 'norm', layer: number | null, value: number }} Contribution */

/**
 * What was asked for. `attention`: by layer and head where all were asked for, else a list.
 * @typedef {object} Inspection
 * @property {number[]} ids
 * @property {{ id: number, text: string }[]} tokens
 * @property {Candidate[]} topK
 * @property {number} entropy  of the next token, in bits
 * @property {any} [attention]
 * @property {{ cells: number, layers: number, heads: number, values: Float32Array, habits: Float32Array }} [overview]
 * @property {LensCell[][]} [logitLens]  rows: the embeddings, then every block
 * @property {Float32Array} [norms]
 * @property {Float32Array} [hiddenStates]
 * @property {{ id: number, text: string, logit: number, parts: Contribution[] }} [attribution]
 * @property {Float32Array} [map]
 * @property {Internals} [internals]
 * @property {{ ids: number[], tokens: { id: number, text: string }[] }} [source]  of an encoder-decoder; `ids` are then its
 *   decoder's, the one it begins with first. `attribution` and `internals` are of decoders alone
 * @property {{ id: number, text: string }[]} [labels]  what is written after each of the `ids`
 * @property {Float32Array} [crossAttentions]  [layers, heads, ids, source ids]
 * @property {Float32Array} [encoderAttentions]  [encoder layers, encoder heads, source ids, source ids]
 * @property {Float32Array} [encoderHiddenStates]  [encoder layers + 1, source ids, hiddenSize]
 */

/**
 * How a token is chosen. A score of null: removed. `from` and `to`: its part of the line on which the draw falls.
 * @typedef {object} Choice
 * @property {{ name: string, kept: number, removed: number, entropy: number }[]} stages
 * @property {{ id: number, text: string, scores: (number | null)[], probabilities: number[], from: number, to: number }[]} candidates
 * @property {{ uniform: number, id: number, text: string } | null} draw
 * @property {{ id: number, text: string }} greedy
 */

/** A token of a text; the first has nothing before it. @typedef {{ id: number, text: string, probability?: number, rank?: number, entropy?: number, top?: Candidate[] }} ScoredToken */

/** @typedef {{ id: number, text: string, similarity: number }} Neighbor */

/** @typedef {{ id: number, token: string, special: boolean, bytes: number[], start: number, end: number, merges: { left: string, right: string, rank: number }[] }} ExplainedToken */

/**
 * @typedef {object} ModelForm
 * @property {'LayerNorm' | 'RMSNorm'} norm
 * @property {number} normEpsilon
 * @property {string} activation
 * @property {boolean} gated
 * @property {number} innerSize
 * @property {number | null} ropeTheta  null: positions have learned embeddings
 * @property {boolean} qkNorm
 * @property {number} attentionScale
 * @property {number | null} rotated  values of a head that are rotated; null: all of them, or none
 * @property {boolean} parallel  the feed-forward part reads what attention reads, beside it
 * @property {boolean} postNorms  what a part adds is normed before
 * @property {number | null} embeddingScale
 * @property {{ window: number | null, ropeTheta: number | null }[]} layers  in what layers differ; empty: they are alike
 * @property {{ name: string, shape: number[], format: string }[]} parts
 */

export {};
