/**
 * The messages between a page (`inkling.js`) and its worker (`worker.js`), as types. There is no code here.
 *
 * Every request carries a number and ends exactly once: `done`, `error`, or `aborted`. Until then it may send
 * `progress` (while a model is opened) or `event` (while it generates). Events carry deltas; only the preview of a beam search is a whole text.
 */

/**
 * A file of a model: its name (a path inside the chosen folder, or just a file name) and its bytes, not yet read.
 * @typedef {{ name: string, blob: Blob }} NamedBlob
 */

/**
 * Where a model comes from, made plain for the worker: absolute addresses only.
 * `files` of a url are the names known beforehand (a catalogue entry); null means: find out.
 * @typedef {{ kind: 'url', url: string, files: string[] | null, bytes: number | null }
 *         | { kind: 'files', files: NamedBlob[] }} WireSource
 */

/**
 * @typedef {{ type: 'open', request: number, source: WireSource, artifact: string, threads: number }
 *         | { type: 'tokenize', request: number, text: string }
 *         | { type: 'generate', request: number, prompt: string | number[], config: GenerationConfig }
 *         | { type: 'stop', request: number }} ToWorker
 */

/**
 * `fatal` says that the worker's memory can no longer be trusted: the client throws the worker away.
 * @typedef {{ type: 'progress', request: number, progress: LoadProgress }
 *         | { type: 'event', request: number, event: StreamedEvent }
 *         | { type: 'done', request: number, result: OpenResult | Token[] | GenerateResult }
 *         | { type: 'error', request: number, code: string, message: string, fatal: boolean }
 *         | { type: 'aborted', request: number }} FromWorker
 */

/**
 * Bytes of the model: first fetched over the network, then read into the engine. `totalBytes` is null while unknown.
 * @typedef {{ phase: 'download' | 'open', loadedBytes: number, totalBytes: number | null }} LoadProgress
 */

/**
 * What a loaded model says of itself.
 * @typedef {object} ModelInfo
 * @property {string} architecture
 * @property {number} parameters
 * @property {number} vocabSize
 * @property {number} contextLength  the most tokens the model can attend to
 * @property {string} quantization
 * @property {number} layers
 * @property {number} heads
 * @property {number} hiddenSize
 * @property {number} weightBytes
 * @property {string | null} sha256
 * @property {string | null} name
 * @property {string} artifact  which build of the engine runs, e.g. `simd128`
 * @property {number} threads
 * @property {number} memoryBytes  WebAssembly memory; kept up to date while the model works
 */

/**
 * One generation parameter as the engine describes it: a settings panel can be built from a list of these.
 * `needs` names the switch without which it has no effect.
 * @typedef {object} Parameter
 * @property {string} name
 * @property {'float' | 'int' | 'bool' | 'early_stopping' | 'ids' | 'id_lists' | 'strings'} kind
 * @property {unknown} default
 * @property {number | null} [min]
 * @property {number | null} [max]
 * @property {number | null} [step]
 * @property {'do_sample' | 'num_beams' | null} [needs]
 * @property {boolean} basic
 */

/** @typedef {{ info: ModelInfo, parameters: Parameter[] }} OpenResult */

/**
 * `start` and `end` are UTF-16 offsets into the text that was given; `text` is the piece as it shows alone.
 * @typedef {{ id: number, text: string, start: number, end: number }} Token
 */

/**
 * Names and meanings of Hugging Face `GenerationConfig`, and `seed`.
 * @typedef {object} GenerationConfig
 * @property {number} [max_length]
 * @property {number} [max_new_tokens]
 * @property {number} [min_new_tokens]
 * @property {boolean} [do_sample]
 * @property {number} [temperature]
 * @property {number} [top_k]
 * @property {number} [top_p]
 * @property {number} [min_p]
 * @property {number} [typical_p]
 * @property {number} [repetition_penalty]
 * @property {number} [no_repeat_ngram_size]
 * @property {number[][]} [bad_words_ids]
 * @property {number} [num_beams]
 * @property {number} [length_penalty]
 * @property {boolean | 'never'} [early_stopping]
 * @property {number} [num_return_sequences]
 * @property {number | number[]} [eos_token_id]
 * @property {string[]} [stop_strings]
 * @property {number} [seed]
 */

/**
 * Measured, not estimated. A rate is null until something has been measured.
 * @typedef {object} Stats
 * @property {number} promptTokens
 * @property {number} reusedTokens  of these, how many were still in the cache from the run before
 * @property {number} newTokens  over all sequences
 * @property {number} contextTokens  tokens the longest sequence holds, prompt included
 * @property {number | null} prefillTokensPerSecond
 * @property {number | null} decodeTokensPerSecond  of the tokens after each sequence's first, which reading brings forth
 * @property {number} memoryBytes
 */

/** @typedef {{ ids: number[], text: string, finishReason: 'eos' | 'length' | 'stop_string' | 'context', score: number | null }} Sequence */

/**
 * What one unit of work brought. `text` is what it adds to the text of `sequence`; it is '' while the engine reads the
 * prompt, while a character is incomplete, and during beam search, whose best text so far comes as `preview`.
 * @typedef {{ type: 'prefill', text: '', done: number, total: number, stats: Stats }
 *         | { type: 'token', text: string, sequence: number, id: number, stats: Stats }
 *         | { type: 'preview', text: '', preview: string, stats: Stats }} StreamedEvent
 */

/** @typedef {{ sequences: Sequence[], text: string, stats: Stats }} GenerateResult */

/**
 * The last event. Its `text` is what no earlier event brought (after beam search: all of it), so that the `text` of all
 * events of one sequence, joined, is that sequence.
 * @typedef {{ type: 'done', text: string, sequence: 0, sequences: Sequence[], stats: Stats }} DoneEvent
 */

/** @typedef {StreamedEvent | DoneEvent} GenerateEvent */

export {};
