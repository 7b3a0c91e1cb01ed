/**
 * The messages between a page (`inkling.js`) and its worker (`worker.js`), as types. There is no code here.
 *
 * Every request carries a number and ends exactly once: `done`, `error`, or `aborted`. Until then it may send
 * `progress` (while a model is opened, or does a task) or `events` (while it generates or trains), several at once where they come fast.
 * They carry deltas; only the preview of a beam search is a whole text. A worker either holds a model (`open`) or a training (`training`), not both.
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
 * @typedef {{ type: 'open', request: number, source: WireSource, artifact: string, threads: number, cacheType: string | null }
 *         | { type: 'tokenize', request: number, text: string }
 *         | { type: 'generate', request: number, prompt: string | number[], config: GenerationConfig }
 *         | { type: 'look', request: number, method: 'inspect' | 'choice' | 'score' | 'continuations' | 'neighbors' | 'explain' | 'form' | 'tokenizeChat', args: any[] }
 *         | { type: 'run', request: number, task: string, args: object }
 *         | TrainingRequest
 *         | { type: 'stop', request: number }} ToWorker
 */

/**
 * `fatal` says that the worker's memory can no longer be trusted: the client throws the worker away.
 * @typedef {{ type: 'progress', request: number, progress: LoadProgress | RunProgress }
 *         | { type: 'events', request: number, events: (StreamedEvent | TrainingEvent)[] }
 *         | { type: 'done', request: number, result: OpenResult | Token[] | GenerateResult | RunResult | TrainingResult }
 *         | { type: 'error', request: number, code: string, message: string, fatal: boolean }
 *         | { type: 'aborted', request: number }} FromWorker
 */

/**
 * Bytes of the model: first fetched over the network, then read into the engine. `totalBytes` is null while unknown.
 * @typedef {{ phase: 'download' | 'open', loadedBytes: number, totalBytes: number | null }} LoadProgress
 */

/** Of a task: so many of its parts (masks, pieces of a text, texts) are done. @typedef {{ phase: 'run', done: number, total: number }} RunProgress */

/** What a task gives, see tasks.js. @typedef {{ result: any, memoryBytes: number }} RunResult */

/**
 * `prefixes`: what a text begins with, by the names of config.json's task_specific_params.
 * @typedef {{ layers: number, heads: number, contextLength: number, prefixes: { name: string, prefix: string | null }[] }} EncoderInfo
 */

/**
 * As the model's files name them. `tagged`: each target language is chosen by a token of its own, `>>fra<<`.
 * @typedef {{ source: string[], target: string[], tagged: boolean }} Languages
 */

/**
 * What a loaded model says of itself.
 * @typedef {object} ModelInfo
 * @property {string[]} tasks  what it can do, as transformers calls its pipelines, what it is for first
 * @property {string | null} [maskToken]  what stands for a gap, in a model that fills them
 * @property {EncoderInfo | null} [encoder]  of a model that makes one text of another, what reads the first
 * @property {Languages | null} [languages]  of a model that translates, where its files say
 * @property {string} architecture
 * @property {number} parameters
 * @property {number} vocabSize
 * @property {number} contextLength  the most tokens the model can attend to
 * @property {number} headDim  the width of a head
 * @property {number} keyValueHeads
 * @property {string} quantization  the format of most weights
 * @property {'BPE' | 'Unigram' | 'WordPiece' | 'WordLevel'} tokenizer  the kind of its vocabulary
 * @property {string[]} decodedFormats  formats without a fast path of their own: rows are decoded as they are used
 * @property {number} layers
 * @property {number} heads
 * @property {number} hiddenSize
 * @property {number} weightBytes
 * @property {string | null} sha256
 * @property {string | null} name
 * @property {string} artifact  which build of the engine runs, e.g. `simd128`
 * @property {number} threads
 * @property {'f32' | 'f16' | 'q8'} cacheType  how keys and values are kept
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

/**
 * How a conversation becomes the text the model reads: a Jinja template, the special tokens by the names of transformers, and
 * tokens that end a reply besides those that end every text.
 * @typedef {{ template: string, special_tokens: Record<string, string>, end_of_turn: number[] }} ChatTemplate
 */

/** @typedef {{ info: ModelInfo, parameters: Parameter[], chat: ChatTemplate | null }} OpenResult */

/**
 * `start` and `end` are UTF-16 offsets into the text that was given; `text` is the piece as it shows alone. `unknown`:
 * the characters there are not in the vocabulary, and all the model gets of them is that something stood there; `special`: a
 * mark of the vocabulary rather than words.
 * @typedef {{ id: number, text: string, start: number, end: number, unknown: boolean, special: boolean }} Token
 */

/**
 * Names and meanings of Hugging Face `GenerationConfig`, and `seed`.
 * @typedef {object} GenerationConfig
 * @property {number} [max_length]
 * @property {number} [max_new_tokens]
 * @property {number} [min_new_tokens]
 * @property {number} [min_length]
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
 * @property {number} [forced_bos_token_id]
 * @property {number | number[]} [forced_eos_token_id]
 * @property {boolean} [renormalize_logits]
 * @property {number} [decoder_start_token_id]
 * @property {number} [encoder_repetition_penalty]
 * @property {number} [encoder_no_repeat_ngram_size]
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
 * prompt, while a character is incomplete, and during beam search, whose best text so far comes as `preview`, with the new
 * tokens and the sum of log-probabilities of every beam.
 * @typedef {{ type: 'prefill', text: '', done: number, total: number, stats: Stats }
 *         | { type: 'token', text: string, sequence: number, id: number, stats: Stats }
 *         | { type: 'preview', text: '', preview: string, beams: { ids: number[], score: number }[], stats: Stats }} StreamedEvent
 */

/** @typedef {{ sequences: Sequence[], text: string, stats: Stats }} GenerateResult */

/**
 * One turn of a conversation. Templates may read more of it: `name`, `tool_calls`, `reasoning_content`.
 * @typedef {{ role: string, content?: unknown } & Record<string, unknown>} Message
 */

/** What the worker of chat templates is asked: whether its module is there, and for a text. @typedef {{ type: 'ready', request: number } | { type: 'render', request: number, template: string, context: string, now: number }} ChatRequest */

/**
 * The last event. Its `text` is what no earlier event brought (after beam search: all of it), so that the `text` of all
 * events of one sequence, joined, is that sequence.
 * @typedef {{ type: 'done', text: string, sequence: 0, sequences: Sequence[], stats: Stats }} DoneEvent
 */

/** @typedef {StreamedEvent | DoneEvent} GenerateEvent */

// ---- training; the reports are what src/web/train.rs gives ----

/** A file of text, not yet read. `column`: of a table, which one to read. @typedef {{ name: string, blob: Blob, column?: string | null }} TextFile */

/**
 * `ask` is one call of the trainer itself; the other requests need files read, or go on for a while. `train` sends
 * events, and a `stop` ends it after the step under way.
 * @typedef {{ type: 'training', request: number, artifact: string, threads: number, checkpoint: Blob | null }
 *         | { type: 'clean', request: number, files: TextFile[], corpus: Partial<CorpusOptions> }
 *         | { type: 'columns', request: number, file: TextFile }
 *         | { type: 'build-from', request: number, source: WireSource, training: Partial<TrainingOptions> }
 *         | { type: 'measure', request: number, steps: number }
 *         | { type: 'ask', request: number, method: string, args: any[] }
 *         | { type: 'train', request: number, steps: number | null, checkpointEvery: number | null,
 *             sample: { prompt: string, tokens: number, seed: number } | null }} TrainingRequest
 */

/** @typedef {{ artifact: string, threads: number, memoryBytes: number, state: StateReport | null }} TrainingOpened */

/**
 * Names and meanings of src/train/recipe.rs.
 * @typedef {object} CorpusOptions
 * @property {string} separator  what stands between two documents; empty: a file is a document
 * @property {'none' | 'nfc' | 'nfkc'} unicode
 * @property {boolean} lowercase
 * @property {'keep' | 'collapse'} whitespace
 * @property {number} min_character_count
 * @property {number} held_out  share of the documents, 0 to 0.5
 * @property {number} seed
 */

/** @typedef {'characters' | 'byte-level-bpe' | 'bpe'} VocabularyKind */
/** @typedef {{ kind: VocabularyKind, size: number }} VocabularyOptions */

/**
 * @typedef {object} TrainingOptions
 * @property {'adamw' | 'muon'} optim
 * @property {number} learning_rate
 * @property {number} min_learning_rate
 * @property {'cosine' | 'warmup_stable_decay'} lr_scheduler_type
 * @property {number} warmup_steps
 * @property {number} decay_steps
 * @property {number} max_steps
 * @property {number} batch_size
 * @property {number} gradient_accumulation_steps
 * @property {number} sequence_length
 * @property {number} weight_decay
 * @property {number} max_grad_norm
 * @property {number} eval_steps
 * @property {number} early_stopping_patience
 * @property {string} sample_prompt
 * @property {number} seed
 */

/** @typedef {{ corpus: CorpusOptions, vocabulary: VocabularyOptions, model: Record<string, any>, training: TrainingOptions }} Recipe */

/** @typedef {'invalid' | 'control' | 'whitespace' | 'normalized' | 'lowercased' | 'rare' | 'empty' | 'duplicate'} Removal */

/**
 * `encodings` names the files that the browser had to put into UTF-8, with what they were in.
 * @typedef {{ documents: number, characters: number, bytes: number, heldOutDocuments: number, heldOutBytes: number, alphabet: number,
 *             removed: { what: Removal, count: number, examples: string[] }[], preview: string,
 *             encodings?: { name: string, encoding: string }[] }} CleanReport
 */

/** @typedef {{ size: number, requested: number, merges: number, tokens: number, bytesPerToken: number, examples: string[] }} VocabularyReport */
/** @typedef {{ left: string, right: string, merged: string, count: number }} Merge */
/** `tokens`: in the whole corpus. @typedef {{ tokens: number, pieces: string[] }} Replay */

/**
 * @typedef {object} PlanReport
 * @property {number} parameters
 * @property {number} memoryBytes  what the training will need
 * @property {number} availableBytes  what WebAssembly can have
 * @property {{ name: string, shape: number[], parameters: number }[]} tensors
 * @property {number} tokens  in the training text
 * @property {number} tokensPerStep
 * @property {number} epochs
 * @property {number} steps
 * @property {number | null} secondsPerStep
 * @property {{ tokens: number, of: number } | null} measured  how many of the held-out tokens a measurement reads; null: no model is made yet
 * @property {string[]} warnings
 */

/** @typedef {{ step: number, maxSteps: number, loss: number, gradNorm: number, learningRate: number, tokens: number, epoch: number, evaluationDue: boolean, finished: null | 'max_steps' | 'early_stopping' }} StepReport */
/** @typedef {{ step: number, natsPerToken: number, bitsPerByte: number, best: boolean }} Evaluation */

/**
 * @typedef {{ recipe: Recipe, clean: CleanReport, vocabulary: VocabularyReport, plan: PlanReport, step: number,
 *             curve: { train: { step: number, loss: number, gradNorm: number }[], heldOut: Evaluation[] } }} StateReport
 */

/**
 * What happens during a training. Steps come several at a time where they are quick. `tokensPerSecond` is measured over
 * the last seconds of training alone; `memoryBytes` is WebAssembly's.
 * @typedef {{ type: 'steps', steps: StepReport[], tokensPerSecond: number, memoryBytes: number }
 *         | { type: 'evaluation', evaluation: Evaluation }
 *         | { type: 'sample', step: number, text: string }
 *         | { type: 'checkpoint', step: number, bytes: Uint8Array<ArrayBuffer> }} TrainingEvent
 */

/** Why a run ended: the steps asked for are done, or the training is. @typedef {{ reason: 'steps' | 'max_steps' | 'early_stopping' }} RunEnd */

/** What the trainer answers, each request with its own. @typedef {TrainingOpened | RunEnd | object | string | number} TrainingResult */

/**
 * What a further thread of the engine is given: the address of the engine's script, its module, and the memory to share.
 * @typedef {{ script: string, module: WebAssembly.Module, memory: WebAssembly.Memory }} ThreadStart
 */

export {};
