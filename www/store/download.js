/**
 * The download of one model: several ranges at once, each going on at the byte where it broke off. Bytes are written
 * where they stay as they come; what was written is noted twice a second, so that another page, or the same after a crash,
 * goes on from there.
 */

import { looksLikeHtml, piecesOf } from '../answers.js';
import { Changed, StoreError, refusal, reach } from './errors.js';
import { PIECE } from './places.js';
import { here } from './records.js';

/** @import { Place, Tier } from './places.js' */
/** @import { Segment, StoredFile, StoredModel } from './records.js' */

/** Ranges fetched at once: more do not make a line faster, and servers count connections. */
const CONNECTIONS = 4;
/** Bytes of one range. */
const RANGE = 8 * PIECE;
/** How often what is here is noted, in milliseconds. */
const NOTE_EVERY = 500;
/** How often in a row nothing may come before the download gives up, and the waits between, in milliseconds. */
const TRIES = 7;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** How often a file may change at its source during one download. */
const CHANGES = 3;

/** Why nothing comes right now. @typedef {{ why: 'offline' } | { why: 'retry' | 'rate_limited', until: number, message: string }} Waiting */

export class Download {
  /** @type {Map<number, Place>} */ #places = new Map();
  /** Requests under way, by file. @type {Map<StoredFile, Set<AbortController>>} */ #requests = new Map();
  /** Ranges under way. @type {Set<Segment>} */ #taken = new Set();
  #failures = 0;
  #changes = 0;
  #noted = 0;
  #wake = () => {};
  /** What ended it. @type {unknown} */ #failure = null;
  #ended = false;
  /** @type {Waiting | null} */ waiting = null;

  /**
   * @param {StoredModel} model @param {Tier} tier
   * @param {{ note: (model: StoredModel) => Promise<void>, progress: () => void }} told  `note`: keep this record; `progress`: something new to show
   */
  constructor(model, tier, told) {
    this.model = model;
    this.tier = tier;
    this.told = told;
  }

  /**
   * Fetches what is not here yet.
   * @param {AbortSignal} signal  pauses: what is here stays
   * @throws {StoreError} when it cannot go on
   */
  async run(signal) {
    const stop = () => this.#end(null);
    signal.addEventListener('abort', stop, { once: true });
    try {
      for (const [i, file] of this.model.files.entries()) {
        if (file.segments.length === 0) file.segments = segmentsOf(file);
        if (here(file) < file.size || file.size === 0) this.#places.set(i, await this.tier.open(this.model.id, i));
      }
      if (signal.aborted) stop();
      await Promise.all(Array.from({ length: CONNECTIONS }, () => this.#work()));
    } finally {
      signal.removeEventListener('abort', stop);
      await this.#close();
    }
    if (this.#failure) throw this.#failure;
  }

  /** @param {unknown} failure */
  #end(failure) {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    for (const requests of this.#requests.values()) for (const request of requests) request.abort();
    this.#wake();
  }

  async #close() {
    for (const place of this.#places.values()) {
      try {
        await place.close();
      } catch (error) {
        this.#failure ??= error;
      }
    }
    this.#places.clear();
    await this.told.note(structuredClone(this.model));
  }

  /** Fetches one range after the other. */
  async #work() {
    while (!this.#ended) {
      const job = this.#next();
      if (job === 'none') return;
      if (job === 'wait') {
        await this.#change();
        continue;
      }
      this.#taken.add(job.segment);
      try {
        await this.#fetch(job);
      } catch (error) {
        if (error instanceof Changed) this.#startOver(job.file, error);
        else if (error instanceof StoreError && error.retryable) await this.#wait(error);
        else this.#end(error);
      } finally {
        this.#taken.delete(job.segment);
        this.#changed();
      }
    }
  }

  /** @returns {{ index: number, file: StoredFile, segment: Segment } | 'wait' | 'none'} */
  #next() {
    let pending = false;
    for (const [index, file] of this.model.files.entries()) {
      const busy = (this.#requests.get(file)?.size ?? 0) > 0;
      for (const segment of file.segments) {
        if (segment.have >= segment.end - segment.start) continue;
        pending = true;
        if (this.#taken.has(segment)) continue;
        // The first answer says whether there are parts to be had.
        if (busy && file.ranges !== true) break;
        return { index, file, segment };
      }
    }
    return pending ? 'wait' : 'none';
  }

  /** Others look for work again. */
  #changed() {
    const wake = this.#wake;
    this.#wake = () => {};
    wake();
  }

  /** @returns {Promise<void>} */
  #change() {
    const before = this.#wake;
    return new Promise((resolve) => (this.#wake = () => (before(), resolve())));
  }

  /** One request, of what is lacking of one range. @param {{ index: number, file: StoredFile, segment: Segment }} job */
  async #fetch({ index, file, segment }) {
    const request = new AbortController();
    const requests = this.#requests.get(file) ?? new Set();
    this.#requests.set(file, requests.add(request));
    try {
      const answer = await ask(file, segment, request.signal);
      const from = where(answer, file, segment);
      if (answer.status === 206) {
        file.ranges ??= true;
        this.#changed();
      }
      await this.#take(index, file, segment, answer, from);
    } catch (error) {
      if (!request.signal.aborted) throw error;
    } finally {
      requests.delete(request);
      request.abort();
    }
  }

  /**
   * Writes the bytes of an answer that begins at `from`; those that are here already are passed over.
   * @param {number} index @param {StoredFile} file @param {Segment} segment @param {Response} answer @param {number} from
   */
  async #take(index, file, segment, answer, from) {
    const place = this.#places.get(index);
    if (!answer.body || !place) throw new StoreError('io', `${file.name}: expected bytes, found none`, { retryable: true });
    const { segments } = file;
    let at = from;
    for await (const piece of piecesOf(answer.body)) {
      // Broken off: stopped by this page, or by the line.
      if (piece === null || this.#ended || file.segments !== segments) break;
      if (at === 0 && looksLikeHtml(piece)) {
        throw new StoreError('bad_file', `${file.name}: expected a model file at ${file.url}, found an HTML page`);
      }
      const wanted = segment.start + segment.have;
      const some = piece.subarray(Math.min(Math.max(wanted - at, 0), piece.byteLength), Math.max(segment.end - at, 0));
      at += piece.byteLength;
      if (some.byteLength > 0) {
        await place.write(wanted, some);
        segment.have += some.byteLength;
        this.#failures = 0;
        this.waiting = null;
        this.told.progress();
        await this.#note();
      }
      if (at > segment.end) {
        // A part that is too long says nothing about the bytes before; a whole file that is has another size.
        if (answer.status === 206) return;
        throw new Changed(`expected ${file.size} bytes, found more`);
      }
    }
    if (this.#ended || file.segments !== segments || segment.have >= segment.end - segment.start) return;
    const message = `${file.name}: expected ${segment.end} bytes, found the end of the answer after ${segment.start + segment.have}`;
    throw new StoreError('io', message, { retryable: true });
  }

  /** Keeps the record, once in a while. */
  async #note() {
    const now = Date.now();
    if (now - this.#noted < NOTE_EVERY) return;
    this.#noted = now;
    // First the bytes, then the note that says that they are there.
    const record = structuredClone(this.model);
    for (const place of this.#places.values()) await place.flush();
    await this.told.note(record);
  }

  /** Throws away what is here of a file. @param {StoredFile} file @param {Changed} changed */
  #startOver(file, changed) {
    for (const request of this.#requests.get(file) ?? []) request.abort();
    this.#changes += 1;
    if (this.#changes > CHANGES) {
      return this.#end(new StoreError('source_changed', `${file.name}: expected the same file in each answer, found that it changes: ${changed.message}`));
    }
    file.etag = null;
    file.segments = segmentsOf(file);
    return this.told.progress();
  }

  /** Waits until it may be worth trying again. @param {StoreError} error */
  async #wait(error) {
    if (navigator.onLine === false) {
      this.waiting = { why: 'offline' };
      this.told.progress();
      await Promise.race([online(), this.#change()]);
      return;
    }
    this.#failures += 1;
    if (this.#failures > TRIES * CONNECTIONS) return this.#end(error);
    const step = Math.floor(this.#failures / CONNECTIONS);
    const wait = error.after ?? Math.min(FIRST_WAIT * 2 ** step, LONGEST_WAIT);
    const why = error.code === 'rate_limited' ? 'rate_limited' : 'retry';
    this.waiting = { why, until: Date.now() + wait, message: error.message };
    this.told.progress();
    const end = Date.now() + wait;
    while (!this.#ended && Date.now() < end) {
      // Whatever others achieve meanwhile says that the line is there again.
      if (this.waiting === null && error.after === null) break;
      await new Promise((resolve) => setTimeout(resolve, Math.min(100, end - Date.now())));
    }
  }
}

/** The ranges of a file of which nothing is here. @param {StoredFile} file @returns {Segment[]} */
function segmentsOf({ size, ranges }) {
  if (ranges === false) return [{ start: 0, end: size, have: 0 }];
  const count = Math.max(1, Math.ceil(size / RANGE));
  return Array.from({ length: count }, (_, i) => ({ start: i * RANGE, end: Math.min((i + 1) * RANGE, size), have: 0 }));
}

/** @param {StoredFile} file @param {Segment} segment @param {AbortSignal} signal */
async function ask(file, { start, end, have }, signal) {
  const range = file.ranges === false ? undefined : `bytes=${start + have}-${end - 1}`;
  const answer = await reach(file.url, file.name, { headers: range ? { range } : {}, signal });
  if (answer.status === 416) throw new Changed(`expected ${file.size} bytes, found fewer`);
  if (!answer.ok) throw await refusal(answer, file.name);
  const type = answer.headers.get('content-type') ?? '';
  if (type.startsWith('text/html')) {
    throw new StoreError('bad_file', `${file.name}: expected a model file at ${file.url}, found an HTML page`);
  }
  return answer;
}

/**
 * Where an answer begins in its file, after a look at what it says of itself. A server that gives no parts, or others
 * than it was asked for, is asked for the whole.
 * @param {Response} answer @param {StoredFile} file @param {Segment} segment @returns {number}
 */
function where(answer, file, segment) {
  const { headers, status } = answer;
  const etag = headers.get('etag');
  // A weak one may stand for other bytes.
  const strong = etag && !etag.startsWith('W/') ? etag : null;
  if (strong && file.etag && strong !== file.etag) throw new Changed(`expected the version ${file.etag}, found ${strong}`);
  file.etag ??= strong;
  // A compressed answer counts other bytes, and across origins it may not say that it is one.
  const counts = !headers.has('content-encoding') && (status === 206 || answer.type !== 'cors');
  const length = !counts ? null : numberOf(headers.get('content-length'));
  if (status !== 206) {
    if (length !== null && length !== file.size) throw new Changed(`expected ${file.size} bytes, found ${length}`);
    wholeOnly(file, segment);
    return 0;
  }
  const from = segment.start + segment.have;
  const [, begin, end, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? [];
  if (total && total !== '*' && Number(total) !== file.size) throw new Changed(`expected ${file.size} bytes, found ${total}`);
  const other = begin !== undefined && (Number(begin) !== from || Number(end) >= segment.end);
  // Across origins a server may hide what it sent; then its length has to do.
  const odd = begin === undefined && length !== null && length > segment.end - from;
  if (!other && !odd && !headers.has('content-encoding')) return from;
  wholeOnly(file, segment);
  const found = `${file.name}: expected bytes ${from} to ${segment.end - 1}, found ${headers.get('content-range') ?? `${length} bytes`}`;
  throw new StoreError('io', found, { retryable: true, after: 0 });
}

/** From now on this file comes in one piece. What is here of its beginning is kept. @param {StoredFile} file @param {Segment} segment */
function wholeOnly(file, segment) {
  if (file.ranges === false) return;
  let have = 0;
  for (const { start, have: there, end } of file.segments) {
    have = start + there;
    if (have < end) break;
  }
  file.ranges = false;
  // The range under way becomes the whole, so that it can go on.
  Object.assign(segment, { start: 0, end: file.size, have });
  file.segments = [segment];
}

/** @param {string | null} text */
const numberOf = (text) => (text === null || !Number.isFinite(Number(text)) ? null : Number(text));

/** @returns {Promise<void>} */
const online = () =>
  new Promise((resolve) => {
    const look = setInterval(() => navigator.onLine !== false && done(), 1000);
    const done = () => {
      clearInterval(look);
      resolve();
    };
    addEventListener('online', done, { once: true });
  });
