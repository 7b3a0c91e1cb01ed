/**
 * Training in the page: the typed client of a worker in which a corpus becomes a vocabulary, a model, and a trained one.
 *
 *     import { createTraining } from './inkling.js';
 *     const training = await createTraining();
 *     await training.clean([{ name: 'mine.txt', blob: file }], { separator: '\n\n' });
 *     await training.trainVocabulary({ kind: 'byte-level-bpe', size: 512 });
 *     await training.build({ model_type: 'gpt2', n_layer: 3, n_head: 4, n_embd: 64, n_positions: 64 }, { max_steps: 500 });
 *     await training.run({ onEvent: (event) => console.log(event) });
 *     const files = await training.exportFolder();
 *
 * The settings have the names of src/train/recipe.rs; what is left out is at its default.
 */

import { chooseArtifact } from './artifacts.js';
import { InklingError, aborted, checkSignal, checkThreads, connect, wrong } from './connection.js';
import { toWire } from './wire.js';
import { threadsFor } from './threads.js';

/** @import { Connection } from './connection.js' */
/** @import { Source } from './inkling.js' */
/** @import { TrainingEngine } from './artifacts.js' */
/** @import { CleanReport, CorpusOptions, Evaluation, Merge, PlanReport, Replay, RunEnd, StateReport, TextFile } from './protocol.js' */
/** @import { TrainingEvent, TrainingOpened, TrainingOptions, VocabularyOptions, VocabularyReport } from './protocol.js' */

/**
 * `checkpoint`: bytes that `checkpoint()` gave, to go on from there.
 * @typedef {{ checkpoint?: Blob | Uint8Array<ArrayBuffer>, signal?: AbortSignal, threads?: number }} TrainingOpenOptions
 */

/**
 * @typedef {object} RunOptions
 * @property {(event: TrainingEvent) => void} [onEvent]
 * @property {AbortSignal} [signal]  pauses: the step under way is finished, then `run` ends with code `aborted`
 * @property {number} [steps]  at most so many, then `run` ends; without it, until the training is finished
 * @property {{ prompt: string, tokens: number, seed: number }} [sample]  a text to write at every measurement
 * @property {number} [checkpointEvery]  milliseconds between two checkpoints, which come as events; one comes at the end too
 */

/** A pause waits for the step, the measurement or the sample under way. */
const PAUSE_PATIENCE = 180_000;

/** Starts the worker and its engine. @param {TrainingOpenOptions} options @returns {Promise<Training>} */
export async function openTraining({ checkpoint, signal, threads: asked }) {
  checkSignal(signal);
  checkThreads(asked);
  if (signal?.aborted) throw aborted(signal);
  const artifact = chooseArtifact(asked);
  if (!artifact) {
    throw new InklingError(
      'unsupported',
      'expected a browser with WebAssembly SIMD and module workers, found one without',
    );
  }
  const connection = connect();
  const stop = () => connection.close(aborted(/** @type {AbortSignal} */ (signal)));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const blob = checkpoint === undefined ? null : checkpoint instanceof Blob ? checkpoint : new Blob([checkpoint]);
    const threads = threadsFor(asked);
    const opened = await connection.call({ type: 'training', artifact: artifact.name, threads, checkpoint: blob });
    return new Training(connection, opened);
  } catch (error) {
    connection.close(new InklingError('disposed', 'the training could not be opened'));
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** One training. Made by `createTraining`. What belongs before or after something else says so with an error. */
export class Training {
  /** @type {Connection} */ #connection;

  /** @param {Connection} connection @param {TrainingOpened} opened */
  constructor(connection, { artifact, threads, memoryBytes, state }) {
    this.#connection = connection;
    /** Which build of the engine runs. */
    this.artifact = artifact;
    /** How many threads it has. */
    this.threads = threads;
    /** WebAssembly memory in use, as last measured. */
    this.memoryBytes = memoryBytes;
    /** What the checkpoint held; null without one. @type {StateReport | null} */
    this.resumed = state;
  }

  /**
   * Cleans the files: the corpus from here on. UTF-8, UTF-16 with its mark, Windows-1252 and GB 18030 are read; a file
   * that is not text is a `bad_file`, a text too short to learn from a `bad_corpus`.
   * @param {TextFile[]} files @param {Partial<CorpusOptions>} [corpus]
   * @returns {Promise<CleanReport>}
   */
  async clean(files, corpus = {}) {
    if (!Array.isArray(files)) throw wrong('files: a list of { name, blob }', files);
    return this.#connection.call({ type: 'clean', files, corpus });
  }

  /** The names of the columns of a .csv, .tsv or .jsonl file; none for other files. @param {TextFile} file @returns {Promise<string[]>} */
  async columns(file) {
    return this.#connection.call({ type: 'columns', file });
  }

  /** @param {Partial<VocabularyOptions>} vocabulary @returns {Promise<VocabularyReport>} */
  async trainVocabulary(vocabulary) {
    return this.#ask('trainVocabulary', vocabulary);
  }

  /** Some of the merges, in the order they were learned. @param {number} from @param {number} to @returns {Promise<Merge[]>} */
  async merges(from, to) {
    return this.#ask('merges', from, to);
  }

  /** The corpus and a text as they are cut with only the first merges. @param {number} merges @param {string} text @returns {Promise<Replay>} */
  async replay(merges, text) {
    return this.#ask('replay', merges, text);
  }

  /** What a model of this shape would need, without making it. @param {object} model  fields of config.json @param {Partial<TrainingOptions>} training @returns {Promise<PlanReport>} */
  async plan(model, training) {
    return this.#ask('plan', model, training);
  }

  /** Makes the model, with fresh random weights. @param {object} model @param {Partial<TrainingOptions>} training @returns {Promise<PlanReport>} */
  async build(model, training) {
    return this.#ask('build', model, training);
  }

  /** Takes a trained model instead, to go on from its weights and with its tokenizer. @param {Source} source  as `load` takes it @param {Partial<TrainingOptions>} training @returns {Promise<PlanReport>} */
  async buildFrom(source, training) {
    return this.#connection.call({ type: 'build-from', source: toWire(source), training });
  }

  /**
   * Makes a few steps to see how long one takes, here and now. The model has then moved: build it again before training.
   * @param {number} steps @returns {Promise<number>} milliseconds for one step
   */
  async measure(steps) {
    return this.#connection.call({ type: 'measure', steps });
  }

  /**
   * Trains until the end, or for so many steps, or until the signal. A call goes on where the one before ended.
   * Other calls, such as `sample`, are answered between two steps.
   * @param {RunOptions} [options]
   * @returns {Promise<RunEnd>}
   */
  async run({ onEvent, signal, steps, sample, checkpointEvery } = {}) {
    checkSignal(signal);
    if (signal?.aborted) throw aborted(signal);
    const listen = (/** @type {TrainingEvent} */ event) => {
      if (event.type === 'steps') this.memoryBytes = event.memoryBytes;
      onEvent?.(event);
    };
    const call = this.#connection.call(
      { type: 'train', steps: steps ?? null, sample: sample ?? null, checkpointEvery: checkpointEvery ?? null },
      { onEvent: listen },
    );
    const stop = () => this.#connection.stop(call.request, PAUSE_PATIENCE);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await call;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** The loss on the held-out text, now. @returns {Promise<Evaluation>} */
  async evaluate() {
    return this.#ask('evaluate');
  }

  /** What the model writes now. @param {string} prompt @param {number} maxNewTokens @param {number} seed @returns {Promise<string>} */
  async sample(prompt, maxNewTokens, seed) {
    return this.#ask('sample', prompt, maxNewTokens, seed);
  }

  /** Everything needed to go on later, in one file. @returns {Promise<Uint8Array<ArrayBuffer>>} */
  async checkpoint() {
    return this.#ask('checkpoint');
  }

  /** @returns {Promise<StateReport>} */
  async state() {
    return this.#ask('state');
  }

  /** The best weights so far as a Hugging Face folder, which `load({ files })` opens. @returns {Promise<{ name: string, blob: Blob }[]>} */
  async exportFolder() {
    /** @type {{ name: string, bytes: Uint8Array<ArrayBuffer> }[]} */
    const files = await this.#ask('exportFolder');
    return files.map(({ name, bytes }) => ({ name, blob: new Blob([bytes]) }));
  }

  /** Frees the worker and its memory. Whatever is under way ends with an error of code `disposed`. */
  async dispose() {
    this.#connection.close(new InklingError('disposed', 'the training has been disposed'));
  }

  /**
   * @template {'trainVocabulary' | 'merges' | 'replay' | 'plan' | 'build' | 'evaluate' | 'sample' | 'checkpoint' | 'state' | 'exportFolder'} M
   * @param {M} method
   * @param {Parameters<TrainingEngine[M]>} args
   */
  #ask(method, ...args) {
    return this.#connection.call({ type: 'ask', method, args });
  }
}
