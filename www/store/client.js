/**
 * The store of models as a page uses it: what is in it, and what can be fetched. The worker behind it starts with the
 * first question.
 */

import { InklingError, connect } from '../connection.js';
import { HUB } from './hub.js';
import { comeBack, forget, note } from './memo.js';

/** @import { Connection } from '../connection.js' */
/** @import { NamedBlob } from '../protocol.js' */
/** @import { Choice, Found } from './hub.js' */
/** @import { StoreState } from './protocol.js' */

export class Store {
  /** @type {Connection | null} */ #connection = null;
  /** @type {Set<(state: StoreState) => void>} */ #listeners = new Set();
  /** The last that was told. @type {StoreState | null} */ state = null;

  get #worker() {
    if (this.#connection) return this.#connection;
    const connection = connect('store/worker.js');
    this.#connection = connection;
    const told = (/** @type {StoreState} */ state) => {
      this.state = state;
      note(state);
      for (const listener of this.#listeners) listener(state);
    };
    connection.call({ type: 'watch' }, { onEvent: told }).catch(() => {
      // A worker that is gone is started anew by the next question.
      if (this.#connection === connection) this.#connection = null;
    });
    return connection;
  }

  /** Calls back whenever something is new, and once what is there is known. @param {(state: StoreState) => void} listener */
  watch(listener) {
    this.#listeners.add(listener);
    if (this.state) listener(this.state);
    void this.#worker;
  }

  /** What is in it now. @returns {Promise<StoreState>} */
  list() {
    return this.#worker.call({ type: 'list' });
  }

  /** What there is at an address or in a repository. @param {string} text @param {string} [hub] @returns {Promise<Found>} */
  look(text, hub = HUB) {
    return this.#worker.call({ type: 'look', text, hub });
  }

  /** Begins to fetch a model, or goes on with it. @param {Choice} choice @returns {Promise<string>} its id */
  add(choice) {
    comeBack(choice.id);
    return this.#worker.call({ type: 'add', choice });
  }

  /** @param {'resume' | 'pause' | 'remove' | 'verify'} type @param {string} id @returns {Promise<null>} */
  ask(type, id) {
    // Before the worker says that it is gone: what somebody takes away is not missed.
    if (type === 'remove') forget(id);
    return this.#worker.call({ type, id });
  }

  /** The files of a model that is here as a whole. @param {string} id @returns {Promise<NamedBlob[]>} */
  files(id) {
    return this.#worker.call({ type: 'files', id });
  }

  /**
   * Fetches a model and waits until it is here.
   * @param {Choice} choice
   * @param {{ onProgress?: (loadedBytes: number, totalBytes: number) => void, signal?: AbortSignal }} [options]  the signal pauses
   * @returns {Promise<NamedBlob[]>}
   */
  async fetch(choice, { onProgress, signal } = {}) {
    const id = await this.add(choice);
    await new Promise((resolve, reject) => {
      const stop = () => void this.ask('pause', id);
      const listener = (/** @type {StoreState} */ { models }) => {
        const entry = models.find((model) => model.id === id);
        if (!entry) return;
        onProgress?.(entry.loadedBytes, entry.bytes);
        if (['downloading', 'verifying', 'elsewhere'].includes(entry.phase)) return;
        this.#listeners.delete(listener);
        signal?.removeEventListener('abort', stop);
        if (entry.phase === 'complete') return resolve(undefined);
        const { code, message } = entry.failure ?? { code: 'aborted', message: 'the download was paused' };
        return reject(new InklingError(code, message));
      };
      signal?.addEventListener('abort', stop, { once: true });
      this.watch(listener);
    });
    return this.files(id);
  }
}

/** The one of this page. */
export const store = new Store();
