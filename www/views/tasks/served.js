/**
 * Which model serves the task pages: one that was opened for them, else the one of the Write view where it can do what is
 * asked. There is one more model at most, so that a page for another task does not cost another one's memory.
 */

import { bytesOf } from '../../catalog.js';
import { load } from '../../inkling.js';

/** @import { Entry } from '../../catalog.js' */
/** @import { Model } from '../../inkling.js' */
/** @import { LoadProgress } from '../../protocol.js' */
/** @import { Page } from '../../views.js' */

/** A model, and what is known of it. @typedef {{ entry: Entry, model: Model }} Serving */
/** @typedef {{ entry: Entry, code: string, message: string }} Failure */

/** A model that ships and is no larger is opened without being asked for, in bytes. */
const LIGHT = 12e6;

/** What every model that reads can do; nobody is served by one that was not trained for it before they choose it. */
const VECTORS = 'feature-extraction';

/** Errors after which a model is gone. */
export const FATAL = ['crashed', 'out_of_memory', 'disposed'];

/** All that a model can do: what its files say, and what its catalogue entry knows besides. @param {Serving} serving */
export const tasksOf = ({ entry, model }) => [...new Set([...model.info.tasks, ...(entry.tasks ?? [])])];

/**
 * Whether a model that serves a page was trained for what the page does. Vectors can be had of every model that reads; that
 * they are near where meanings are, it must have been trained for.
 * @param {string} name  of the page @param {Serving} serving
 */
export const trainedFor = (name, { model }) => name !== 'search' || model.task === VECTORS;

export class Served {
  /** Opened for the task pages. @type {Serving | null} */ #own = null;
  /** @type {{ entry: Entry, stop: AbortController, progress: LoadProgress } | null} */ loading = null;
  /** @type {Failure | null} */ failure = null;
  /** @type {Set<() => void>} */ #listeners = new Set();
  /** What was opened last for each task: a page that is come back to has its model again. @type {Map<string, Entry>} */ #last = new Map();
  /** The person's own models that were opened here. @type {Entry[]} */ #mine = [];
  /** Models whose engine has stopped. @type {WeakSet<Model>} */ #dead = new WeakSet();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    page.onModel(() => this.#tell());
  }

  /** Calls back whenever another model serves, or one is on its way. @param {() => void} listener */
  watch(listener) {
    this.#listeners.add(listener);
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }

  /** The model that does one of these tasks. @param {string[]} tasks @returns {Serving | null} */
  of(tasks) {
    return this.#open.find((serving) => tasksOf(serving).some((task) => tasks.includes(task))) ?? null;
  }

  /** The model that is open, whatever it can do. @returns {Serving | null} */
  get any() {
    return this.#open[0] ?? null;
  }

  get #open() {
    const model = this.page.model();
    const entry = this.page.current();
    const all = [this.#own, model && entry ? { entry, model } : null].filter((serving) => serving !== null);
    return all.filter((serving) => !this.#dead.has(serving.model));
  }

  /** Every model that can be opened without fetching it from a hub. @returns {Entry[]} */
  get all() {
    return [...this.page.models().filter(({ id }) => !this.#mine.some((own) => own.id === id)), ...this.#mine];
  }

  /** Where nobody serves, opens what served before, else a small model that ships. @param {string[]} tasks */
  begin(tasks) {
    if (this.loading || this.failure || this.of(tasks)) return;
    const before = tasks.map((task) => this.#last.get(task)).find((entry) => entry !== undefined);
    const able = this.page.models().filter((entry) => entry.tasks?.some((task, i) => tasks.includes(task) && (i === 0 || task !== VECTORS)));
    const next = before ?? able.find((entry) => 'url' in entry.source && (bytesOf(entry) ?? Infinity) <= LIGHT);
    if (next) void this.open(next);
  }

  /** @param {Entry} entry */
  async open(entry) {
    this.loading?.stop.abort();
    const stop = new AbortController();
    const phase = 'files' in entry.source ? 'open' : 'download';
    const mine = { entry, stop, progress: /** @type {LoadProgress} */ ({ phase, loadedBytes: 0, totalBytes: bytesOf(entry) }) };
    this.loading = mine;
    this.failure = null;
    this.#tell();
    try {
      const model = await load(entry.source, {
        signal: stop.signal,
        onProgress: (progress) => {
          mine.progress = progress;
          if (this.loading === mine) this.#tell();
        },
      });
      if (this.loading !== mine) return void model.dispose();
      this.take({ entry, model });
      if ('hub' in entry.source) void this.#keep();
    } catch (error) {
      const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error);
      if (this.loading === mine && code !== 'aborted') this.failure = { entry, code, message };
    } finally {
      if (this.loading === mine) this.loading = null;
      this.#tell();
    }
  }

  /** A model that is open serves from now on. @param {Serving} next */
  take({ entry, model }) {
    const before = this.#own;
    const own = { ...entry, parameters: model.info.parameters, tasks: entry.tasks ?? model.info.tasks };
    this.#own = { entry: own, model };
    for (const task of tasksOf(this.#own)) this.#last.set(task, own);
    if (own.id.startsWith('own:')) this.#mine = [...this.#mine.filter(({ id }) => id !== own.id), own];
    this.loading?.stop.abort();
    this.loading = this.failure = null;
    // Whoever uses the one before stops, and then it goes.
    this.#tell();
    void before?.model.dispose();
  }

  cancel() {
    this.loading?.stop.abort();
    this.loading = null;
    this.#tell();
  }

  /** What went wrong while a model worked: one that is gone is said, with a way to have it back. @param {Serving} serving @param {unknown} error */
  lost(serving, error) {
    const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error);
    if (!FATAL.includes(code)) return false;
    // Another has taken its place meanwhile.
    if (!this.#open.some(({ model }) => model === serving.model)) return true;
    this.#dead.add(serving.model);
    void serving.model.dispose();
    if (this.#own?.model === serving.model) this.#own = null;
    this.failure = { entry: serving.entry, code, message };
    this.#tell();
    return true;
  }

  dismiss() {
    this.failure = null;
    this.#tell();
  }

  /** The page lists what has been fetched. */
  async #keep() {
    const { storedEntries } = await import('../../store/entries.js');
    await storedEntries((entries) => this.page.stored(entries)).catch(() => {});
  }
}

/** @type {Served | null} */
let served = null;

/** The same for every task page. @param {Page} page */
export const servedBy = (page) => (served ??= new Served(page));
