/**
 * What the panels look at: a model and a text. Panels ask it rather than the model: the same question is asked once, and an
 * answer about a text that has changed meanwhile is nobody's.
 */

/** @import { Model } from '../../inkling.js' */
/** @import { Entry } from '../../catalog.js' */
/** @import { Choice, InspectOptions, Inspection, ScoredToken } from '../../inspection.js' */
/** @import { GenerationConfig } from '../../protocol.js' */

/** Tokens that are looked at: of a longer text the last ones, because more cannot be told apart on a screen. */
export const MOST = 256;

/** @typedef {{ id: number, text: string }} Shown */

export class Subject {
  /** @type {Model | null} */ model = null;
  /** @type {Entry | null} */ entry = null;
  text = '';
  /** The tokens that are looked at. @type {Shown[]} */ tokens = [];
  /** Tokens before those. */ cut = 0;
  /** Of every draw: the same one draws the same. */ seed = 1;
  #asked = new AbortController();
  /** Answers to questions about this text, by question. @type {Map<string, Promise<any>>} */ #answers = new Map();

  /** Another model, or another text. @param {Model | null} model @param {Entry | null} entry @param {string} text */
  async take(model, entry, text) {
    this.#asked.abort();
    const asked = new AbortController();
    this.#asked = asked;
    this.#answers.clear();
    Object.assign(this, { model, entry, text });
    this.tokens = [];
    this.cut = 0;
    if (!model || text === '') return;
    // What the model reads: with what it puts before a text, without what it puts after one.
    const all = await model.tokenize(text);
    asked.signal.throwIfAborted();
    const last = all.findLastIndex(({ start, end }) => end > start);
    const read = all.slice(0, last + 1).map(({ id, text: words }) => ({ id, text: words }));
    this.cut = Math.max(0, read.length - Math.min(MOST, model.info.contextLength));
    this.tokens = read.slice(this.cut);
  }

  /** Ends with the text: whatever a panel does for it. */
  get signal() {
    return this.#asked.signal;
  }

  get ids() {
    return this.tokens.map(({ id }) => id);
  }

  get ready() {
    return this.model !== null && this.tokens.length > 0;
  }

  /** @param {InspectOptions} options @returns {Promise<Inspection>} */
  inspect(options) {
    return this.#once(`inspect ${JSON.stringify(options)}`, (model, signal) => model.inspect(this.ids, { ...options, signal }));
  }

  /** @param {GenerationConfig & { shown?: number }} options @returns {Promise<Choice>} */
  choice(options) {
    return this.#once(`choice ${JSON.stringify(options)}`, (model, signal) => model.choice(this.ids, { ...options, signal }));
  }

  /** @returns {Promise<ScoredToken[]>} */
  score() {
    return this.#once('score', (model, signal) => model.score(this.ids, { top: 6, signal }));
  }

  /** @template T @param {string} question @param {(model: Model, signal: AbortSignal) => Promise<T>} ask @returns {Promise<T>} */
  #once(question, ask) {
    const known = this.#answers.get(question);
    if (known) return known;
    const { model, signal } = this;
    if (!model) return Promise.reject(new Error('expected a model, found none'));
    const answer = ask(model, signal);
    this.#answers.set(question, answer);
    // A question that failed may be asked again.
    answer.catch(() => this.#answers.delete(question));
    return answer;
  }
}
