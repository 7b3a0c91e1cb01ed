/**
 * A worker and what has been asked of it: every request is answered exactly once, and what can go wrong is an
 * `InklingError`. `inkling.js`, `training.js`, `chat-template.js` and `store/client.js` are its users.
 */

/** @import { ChatRequest, FromWorker, ToWorker } from './protocol.js' */
/** @import { StoreRequest } from './store/protocol.js' */

/** @typedef {ToWorker | StoreRequest | ChatRequest} AnyRequest */

/**
 * Everything that can go wrong. Codes: `bad_file`, `missing_file`, `bad_tensor`, `missing_tensor`, `bad_config`,
 * `unsupported`, `bad_tokenizer`, `bad_parameter`, `empty_prompt`, `context_full`, `out_of_memory`, `io`, `engine`,
 * `bad_source` (load was called with something that is no source), `crashed` (the engine stopped for good; load again),
 * `disposed` (dispose was called), `wrong_task` (the model cannot do that; the message names what it can), `bad_corpus`,
 * `diverged` (the loss is no number any more), `aborted` (through a signal; `name` is then `AbortError`, as everywhere on
 * the web). Of chats: `no_chat_template`, `bad_messages`, `bad_template`, `template_refused` (the template itself turns the
 * conversation down), `template_limit`. Of the store of models: `forbidden`, `rate_limited`,
 * `source_changed`, `hash_mismatch`, `no_space`, `too_large`, `storage_full`, `storage_lost` (the browser has cleared it),
 * `storage`, `busy` (another page is fetching it).
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
 * @typedef {object} Listeners
 * @property {(progress: any) => void} [onProgress]  a LoadProgress, or a RunProgress
 * @property {(event: any) => void} [onEvent]  a StreamedEvent or a TrainingEvent, as the request has them
 */

/** How long a stop may take before the worker is given up, in milliseconds: longer than any single step of a model. */
const STOP_PATIENCE = 20_000;

/** One worker and the requests it has not answered yet. */
export class Connection {
  /** @type {Worker} */ #worker;
  /** @type {Map<number, Listeners & { resolve: (result: any) => void, reject: (error: InklingError) => void }>} */
  #pending = new Map();
  /** Why no more calls are possible. @type {InklingError | null} */ #closed = null;
  #requests = 0;

  /** @param {string} script  beside this file */
  constructor(script) {
    this.#worker = startWorker(script);
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onmessageerror = () =>
      this.close(new InklingError('crashed', 'a message of the engine cannot be read'));
    this.#worker.onerror = (event) => {
      event.preventDefault?.();
      this.close(new InklingError('crashed', event.message || 'the engine’s worker could not be started'));
    };
  }

  /**
   * @template {AnyRequest extends infer M ? M extends AnyRequest ? Omit<M, 'request'> : never : never} M
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

  /** Asks the worker to end a request; one that does not hear is ended itself. @param {number} request @param {number} [patience]  in milliseconds */
  stop(request, patience = STOP_PATIENCE) {
    if (!this.#pending.has(request)) return;
    this.#worker.postMessage({ type: 'stop', request });
    setTimeout(() => {
      if (this.#pending.has(request)) this.close(new InklingError('crashed', 'the engine did not stop when asked to'));
    }, patience);
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
    if (message.type === 'events') return message.events.forEach((event) => pending.onEvent?.(event));
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

/** A worker may only be started from the page's own origin, but a module may import from any. @param {string} name */
function startWorker(name) {
  const script = new URL(name, import.meta.url);
  if (script.origin === location.origin) return new Worker(script, { type: 'module', name: 'inkling' });
  const start = new Blob([`import ${JSON.stringify(script.href)};`], { type: 'text/javascript' });
  const address = URL.createObjectURL(start);
  const worker = new Worker(address, { type: 'module', name: 'inkling' });
  // The address is read when the worker starts, which is later than here.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return worker;
}

/** A fresh worker, the engine's or another; a page may forbid it. @param {string} [script] @returns {Connection} */
export function connect(script = 'worker.js') {
  try {
    return new Connection(script);
  } catch (error) {
    throw new InklingError('unsupported', `expected a worker to start, found ${String(error)}`, { cause: error });
  }
}

/** @param {AbortSignal | undefined} signal */
export function checkSignal(signal) {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong('signal: an AbortSignal', signal);
}

/** @param {unknown} threads */
export function checkThreads(threads) {
  if (threads === undefined || (Number.isInteger(threads) && Number(threads) > 0)) return;
  throw wrong('threads: a whole number above 0', threads);
}

/** @param {unknown} value @returns {value is object} */
export const isObject = (value) => typeof value === 'object' && value !== null;

/** @param {string} expected @param {unknown} found */
export const wrong = (expected, found) =>
  new InklingError('bad_parameter', `expected ${expected}, found ${say(found)}`);

/** A value in a few words. @param {unknown} value */
export function say(value) {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  return isObject(value) ? 'an object' : String(value);
}

/** @param {AbortSignal} signal */
export const aborted = (signal) =>
  new InklingError('aborted', 'stopped by the caller’s signal', { cause: signal.reason });
