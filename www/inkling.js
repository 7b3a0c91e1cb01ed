/**
 * inkling: a language model inside the page.
 *
 *     import { load } from './inkling.js';
 *     const model = await load({ url: 'models/stories/' });
 *     for await (const event of model.generate('Once upon a time', { max_new_tokens: 64 })) {
 *       document.body.append(event.text);
 *     }
 *     await model.dispose();
 *
 * Works from any folder and from another origin (which then has to allow it by CORS). Each model lives in a worker of
 * its own; what can go wrong arrives as an `InklingError` with a stable `code`.
 */

import { chooseArtifact } from './artifacts.js';

/** @import { FromWorker, ToWorker, WireSource, NamedBlob, LoadProgress, ModelInfo, Parameter } from './protocol.js' */
/** @import { Token, GenerationConfig, GenerateEvent, StreamedEvent, OpenResult, GenerateResult } from './protocol.js' */

/**
 * `url`: a folder (with config.json and the rest) or a .gguf; `files` beside it saves looking for them, `bytes` is their
 * known total. `files` alone: what a person picked or dropped. `hub`: `owner/name` on huggingface.co.
 * @typedef {{ url: string | URL, files?: string[], bytes?: number }
 *         | { files: Iterable<File | Blob | NamedBlob> }
 *         | { hub: string }} Source
 */

/**
 * @typedef {object} LoadOptions
 * @property {(progress: LoadProgress) => void} [onProgress]
 * @property {AbortSignal} [signal]  ends the load at once
 * @property {number} [threads]  at most so many; a build of the engine without threads uses one
 */

/** @typedef {GenerationConfig & { signal?: AbortSignal }} GenerateOptions */

/**
 * Everything that can go wrong. Codes: `bad_file`, `missing_file`, `bad_tensor`, `missing_tensor`, `bad_config`,
 * `unsupported`, `bad_tokenizer`, `bad_parameter`, `empty_prompt`, `context_full`, `out_of_memory`, `io`, `engine`,
 * `bad_source` (load was called with something that is no source), `crashed` (the engine stopped for good; load again),
 * `disposed` (dispose was called), `aborted` (through a signal; `name` is then `AbortError`, as everywhere on the web).
 */
export class InklingError extends Error {
  /** @param {string} code @param {string} message @param {ErrorOptions} [options] */
  constructor(code, message, options) {
    super(message, options);
    this.name = code === 'aborted' ? 'AbortError' : 'InklingError';
    this.code = code;
  }
}

/**
 * Opens a model in a fresh worker. A model opened before stays as it is.
 * @param {Source} source
 * @param {LoadOptions} [options]
 * @returns {Promise<Model>}
 */
export async function load(source, options = {}) {
  if (!isObject(options)) throw wrong('options: an object', options);
  const { onProgress, signal } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function') throw wrong('onProgress: a function', onProgress);
  checkSignal(signal);
  if (signal?.aborted) throw aborted(signal);
  const wire = toWire(source);
  const artifact = chooseArtifact();
  if (!artifact) {
    throw new InklingError('unsupported', 'expected a browser with WebAssembly SIMD and module workers, found one without');
  }
  const connection = connect();
  const stop = () => connection.close(aborted(/** @type {AbortSignal} */ (signal)));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const message = { type: /** @type {const} */ ('open'), source: wire, artifact: artifact.name, threads: 1 };
    const opened = await connection.call(message, { onProgress });
    return new Model(connection, /** @type {OpenResult} */ (opened));
  } catch (error) {
    connection.close(new InklingError('disposed', 'the model could not be opened'));
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** A fresh worker; a page may forbid it. @returns {Connection} */
function connect() {
  try {
    return new Connection();
  } catch (error) {
    throw new InklingError('unsupported', `expected a worker to start, found ${String(error)}`, { cause: error });
  }
}

/** A loaded model. Made by `load`. */
export class Model {
  /** @type {Connection} */ #connection;
  /** Ends when the generation before has ended. @type {Promise<void>} */ #turn = Promise.resolve();

  /** @param {Connection} connection @param {OpenResult} opened */
  constructor(connection, { info, parameters }) {
    this.#connection = connection;
    /** @type {ModelInfo} */
    this.info = info;
    /** The generation parameters, with this model's own defaults. @type {Parameter[]} */
    this.parameters = parameters;
  }

  /** @param {string} text @returns {Promise<Token[]>} */
  async tokenize(text) {
    if (typeof text !== 'string') throw wrong('text: a string', text);
    const tokens = await this.#connection.call({ type: 'tokenize', text: wellFormed(text) });
    return /** @type {Token[]} */ (tokens);
  }

  /**
   * Continues a prompt. Each event's `text` is what it adds; the last event has type `done` and tells how the sequences
   * ended and how fast it went. Leaving the loop early stops the engine, and so does the signal, which then ends the
   * loop with an error of code `aborted`. One model writes one thing at a time: a second call waits for the first.
   * @param {string | number[]} prompt  text, or token ids
   * @param {GenerateOptions} [options]  the names of Hugging Face GenerationConfig
   * @returns {AsyncGenerator<GenerateEvent, void, void>}
   */
  async *generate(prompt, options = {}) {
    if (!isObject(options)) throw wrong('parameters: an object', options);
    const { signal, ...config } = options;
    checkSignal(signal);
    const sent = toPrompt(prompt);
    for (const [name, value] of Object.entries(config)) checkParameter(name, value);
    const before = this.#turn;
    /** @type {() => void} */
    let finished = () => {};
    // Nobody may overtake, so that even a call that gives up passes its turn on only when it is its turn.
    this.#turn = new Promise((resolve) => (finished = () => before.then(resolve)));
    try {
      await untilAborted(before, signal);
      const message = {
        type: /** @type {const} */ ('generate'),
        prompt: sent,
        config,
      };
      yield* this.#stream(message, signal, finished);
    } finally {
      finished();
    }
  }

  /**
   * @param {Omit<Extract<ToWorker, { type: 'generate' }>, 'request'>} message
   * @param {AbortSignal | undefined} signal
   * @param {() => void} finished  called when the engine is free again, also if nobody asks for the rest of the events
   * @returns {AsyncGenerator<GenerateEvent, void, void>}
   */
  async *#stream(message, signal, finished) {
    /** Events that have arrived and not been taken yet. @type {GenerateEvent[]} */
    let waiting = [];
    /** @type {InklingError | null} */
    let failure = null;
    let ended = false;
    let wake = () => {};
    const onEvent = (/** @type {StreamedEvent} */ event) => {
      this.info.memoryBytes = event.stats.memoryBytes;
      waiting.push(event);
      wake();
    };
    const call = this.#connection.call(message, { onEvent });
    const stop = () => this.#connection.stop(call.request);
    signal?.addEventListener('abort', stop, { once: true });
    const end = call
      .then(
        (result) => {
          const { sequences, text, stats } = /** @type {GenerateResult} */ (result);
          this.info.memoryBytes = stats.memoryBytes;
          waiting.push({ type: 'done', text, sequence: 0, sequences, stats });
        },
        (error) => (failure = error),
      )
      .finally(() => {
        ended = true;
        finished();
        wake();
      });

    try {
      for (;;) {
        if (signal?.aborted) {
          await end;
          throw aborted(signal);
        }
        const events = waiting;
        waiting = [];
        for (const event of events) {
          if (signal?.aborted) break;
          yield event;
        }
        if (waiting.length > 0 || signal?.aborted) continue;
        if (failure) throw failure;
        if (ended) return;
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    } finally {
      signal?.removeEventListener('abort', stop);
      if (!ended) {
        stop();
        await end;
      }
    }
  }

  /** Frees the worker and its memory. Whatever is under way ends with an error of code `disposed`. */
  async dispose() {
    this.#connection.close(new InklingError('disposed', 'the model has been disposed'));
  }
}

/**
 * @typedef {object} Listeners
 * @property {(progress: LoadProgress) => void} [onProgress]
 * @property {(event: StreamedEvent) => void} [onEvent]
 */

/** How long a stop may take before the worker is given up, in milliseconds: longer than any single step of a model. */
const STOP_PATIENCE = 20_000;

/** One worker and the requests it has not answered yet. */
class Connection {
  /** @type {Worker} */ #worker;
  /** @type {Map<number, Listeners & { resolve: (result: any) => void, reject: (error: InklingError) => void }>} */
  #pending = new Map();
  /** Why no more calls are possible. @type {InklingError | null} */ #closed = null;
  #requests = 0;

  constructor() {
    this.#worker = startWorker();
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onmessageerror = () => this.close(new InklingError('crashed', 'a message of the engine cannot be read'));
    this.#worker.onerror = (event) => {
      event.preventDefault?.();
      this.close(new InklingError('crashed', event.message || 'the engine’s worker could not be started'));
    };
  }

  /**
   * @template {ToWorker extends infer M ? M extends ToWorker ? Omit<M, 'request'> : never : never} M
   * @param {M} message
   * @param {Listeners} [listeners]
   * @returns {Promise<any> & { request: number }}
   */
  call(message, listeners = {}) {
    const request = ++this.#requests;
    const answer = new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      this.#pending.set(request, { ...listeners, resolve, reject });
      try {
        this.#worker.postMessage({ ...message, request });
      } catch (error) {
        // Something that cannot be copied to a worker, such as a function among the parameters.
        this.#pending.delete(request);
        reject(new InklingError('bad_parameter', error instanceof Error ? error.message : String(error)));
      }
      return undefined;
    });
    return Object.assign(answer, { request });
  }

  /** Asks the worker to end a request; one that does not hear is ended itself. @param {number} request */
  stop(request) {
    if (!this.#pending.has(request)) return;
    this.#worker.postMessage({ type: 'stop', request });
    setTimeout(() => {
      if (this.#pending.has(request)) this.close(new InklingError('crashed', 'the engine did not stop when asked to'));
    }, STOP_PATIENCE);
  }

  /** Ends the worker at once, and with it every request. The last reason is what later calls are told. @param {InklingError} reason */
  close(reason) {
    this.#closed = reason;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  /** @param {FromWorker} message */
  #receive(message) {
    const pending = this.#pending.get(message.request);
    if (!pending) return;
    if (message.type === 'progress') return pending.onProgress?.(message.progress);
    if (message.type === 'event') return pending.onEvent?.(message.event);
    this.#pending.delete(message.request);
    if (message.type === 'done') pending.resolve(message.result);
    else if (message.type === 'aborted') pending.reject(new InklingError('aborted', 'stopped'));
    else {
      const error = new InklingError(message.code, message.message);
      pending.reject(error);
      if (message.fatal) this.close(new InklingError('crashed', `the engine has stopped: ${message.message}`));
    }
  }
}

/** A worker may only be started from the page's own origin, but a module may import from any. */
function startWorker() {
  const script = new URL('./worker.js', import.meta.url);
  if (script.origin === location.origin) return new Worker(script, { type: 'module', name: 'inkling' });
  const start = new Blob([`import ${JSON.stringify(script.href)};`], { type: 'text/javascript' });
  const address = URL.createObjectURL(start);
  const worker = new Worker(address, { type: 'module', name: 'inkling' });
  // The address is read when the worker starts, which is later than here.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return worker;
}

/** @param {Source} source @returns {WireSource} */
function toWire(source) {
  if (isObject(source)) {
    if ('url' in source) {
      const { url, files = null, bytes = null } = source;
      if (files !== null && !(Array.isArray(files) && files.every((name) => typeof name === 'string'))) {
        throw new InklingError('bad_source', `expected files beside url: a list of names, found ${say(files)}`);
      }
      if (bytes !== null && !Number.isFinite(bytes)) {
        throw new InklingError('bad_source', `expected bytes: a number, found ${say(bytes)}`);
      }
      return { kind: 'url', url: absolute(url), files, bytes };
    }
    if ('hub' in source) {
      if (typeof source.hub !== 'string' || !/^[\w.-]+\/[\w.-]+$/.test(source.hub)) {
        throw new InklingError('bad_source', `expected hub: 'owner/name', found ${say(source.hub)}`);
      }
      return { kind: 'url', url: `https://huggingface.co/${source.hub}/resolve/main/`, files: null, bytes: null };
    }
    if ('files' in source && typeof source.files?.[Symbol.iterator] === 'function') {
      return { kind: 'files', files: Array.from(source.files, named) };
    }
  }
  throw new InklingError('bad_source', "expected { url }, { files } or { hub: 'owner/name' }, found " + say(source));
}

/** @param {string | URL} url */
function absolute(url) {
  if (typeof url !== 'string' && !(url instanceof URL)) {
    throw new InklingError('bad_source', `expected url: an address, found ${say(url)}`);
  }
  try {
    // Like fetch: relative to the page (or the worker) that asks.
    return new URL(url, globalThis.document?.baseURI ?? location.href).href;
  } catch {
    throw new InklingError('bad_source', `expected an address, found ${JSON.stringify(url)}`);
  }
}

/** @param {File | Blob | NamedBlob} file @returns {NamedBlob} */
function named(file) {
  if (file instanceof File) return { name: file.webkitRelativePath || file.name, blob: file };
  if (file instanceof Blob) return { name: '', blob: file };
  if (isObject(file) && typeof file.name === 'string' && file.blob instanceof Blob) return { name: file.name, blob: file.blob };
  throw new InklingError('bad_source', `expected files: each a File, a Blob or { name, blob }, found ${say(file)}`);
}

/** @param {unknown} prompt @returns {string | number[]} */
function toPrompt(prompt) {
  if (typeof prompt === 'string') return wellFormed(prompt);
  const ids = isObject(prompt) && Symbol.iterator in prompt ? [.../** @type {Iterable<any>} */ (prompt)] : null;
  if (!ids) throw wrong('prompt: a string or token ids', prompt);
  const odd = ids.find((id) => !Number.isInteger(id) || id < 0);
  if (odd !== undefined || ids.includes(undefined)) throw wrong('prompt: token ids, whole numbers from 0', odd);
  return ids;
}

/** What a worker or the engine's JSON could not carry, told by the parameter's name. @param {string} name @param {unknown} value */
function checkParameter(name, value) {
  if (typeof value === 'number' && !Number.isFinite(value)) throw wrong(`${name}: a finite number`, value);
  if (['function', 'symbol', 'bigint'].includes(typeof value)) throw wrong(`${name}: a plain value`, value);
  if (isObject(value)) for (const part of Object.values(value)) checkParameter(name, part);
}

/** @param {AbortSignal | undefined} signal */
function checkSignal(signal) {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong('signal: an AbortSignal', signal);
}

/** @param {unknown} value @returns {value is object} */
const isObject = (value) => typeof value === 'object' && value !== null;

/** @param {string} expected @param {unknown} found */
const wrong = (expected, found) => new InklingError('bad_parameter', `expected ${expected}, found ${say(found)}`);

/** A value in a few words. @param {unknown} value */
function say(value) {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  return isObject(value) ? 'an object' : String(value);
}

/** A lone half of a surrogate pair becomes U+FFFD, as it would in any UTF-8; offsets stay the same. @param {string} text */
function wellFormed(text) {
  return String(text).replace(/\p{Surrogate}/gu, '\ufffd');
}

/** @param {AbortSignal} signal */
const aborted = (signal) => new InklingError('aborted', 'stopped by the caller’s signal', { cause: signal.reason });

/** @param {Promise<void>} promise @param {AbortSignal} [signal] @returns {Promise<void>} */
function untilAborted(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted(signal));
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    return promise.then(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
  });
}
