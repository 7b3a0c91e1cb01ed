/**
 * The text that a person and the model write together: who wrote which part, and every step back and forth.
 * Knows nothing of the screen.
 */

/** A stretch of the model's text; each continuation is one, until the person writes into it. @typedef {{ start: number, end: number }} Range */

/**
 * One step of the history: at `at`, `removed` became `inserted`.
 * @typedef {object} Step
 * @property {number} at
 * @property {string} removed
 * @property {string} inserted
 * @property {Range[]} before  the model's ranges before the step
 * @property {Range[]} after
 * @property {boolean} typing  a step of the person's that further typing may join
 * @property {number} time
 */

/** Typing joins the step before it within this many milliseconds. */
const TYPING_PAUSE = 1200;
const MOST_STEPS = 1000;

export class CowrittenText {
  text = '';
  /** Sorted, apart from each other, never empty. @type {Range[]} */
  ranges = [];
  /** @type {Step[]} */ #past = [];
  /** @type {Step[]} */ #future = [];
  /** The continuation being written. @type {Step | null} */ #open = null;

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** The continuation at the end of the text, if the text ends with one. @returns {Range | null} */
  get lastContinuation() {
    const last = this.ranges.at(-1);
    return last && last.end === this.text.length ? last : null;
  }

  /**
   * The person changed the text to `next`; the caret now stands at `caret`, which tells apart changes that look the same,
   * such as which of two equal letters is the new one.
   * @param {string} next @param {number} caret @param {number} now
   */
  edit(next, caret, now) {
    const old = this.text;
    if (next === old) return;
    const shorter = Math.min(old.length, next.length);
    let suffix = commonSuffix(old, next, Math.min(shorter, next.length - caret));
    if (isLowSurrogate(old, old.length - suffix)) suffix -= 1;
    let prefix = commonPrefix(old, next, shorter - suffix);
    if (isLowSurrogate(old, prefix) || isLowSurrogate(next, prefix)) prefix -= 1;
    const step = this.#step(prefix, old.slice(prefix, old.length - suffix), next.slice(prefix, next.length - suffix), now);
    step.typing = true;
    step.after = cut(this.ranges, step.at, step.removed.length, step.inserted.length);
    this.#apply(step);
    if (!this.#joinTyping(step)) this.#record(step);
  }

  /** A continuation begins at `at`: what follows is set aside. @param {number} at @param {number} now */
  begin(at, now) {
    this.finish();
    const step = this.#step(at, this.text.slice(at), '', now);
    step.after = cut(this.ranges, at, step.removed.length, 0);
    this.#apply(step);
    this.#open = step;
  }

  /** The continuation goes on. @param {string} delta */
  append(delta) {
    const step = this.#open;
    if (!step) return;
    const words = clean(delta);
    step.inserted += words;
    this.text += words;
    this.#cover(step);
  }

  /** The continuation now reads like this. @param {string} whole */
  revise(whole) {
    const step = this.#open;
    if (!step) return;
    step.inserted = clean(whole);
    this.text = this.text.slice(0, step.at) + step.inserted;
    this.#cover(step);
  }

  /** The continuation is complete: one step. One that brought nothing leaves the text as it was. */
  finish() {
    const step = this.#open;
    this.#open = null;
    if (!step) return;
    if (step.inserted === '') this.#revert(step);
    else this.#record(step);
  }

  /** @returns {number | null} where the caret belongs, or null if there is nothing to undo */
  undo() {
    const step = this.#past.pop();
    if (!step) return null;
    this.#revert(step);
    this.#future.push(step);
    return step.at + step.removed.length;
  }

  /** @returns {number | null} where the caret belongs, or null if there is nothing to redo */
  redo() {
    const step = this.#future.pop();
    if (!step) return null;
    this.#apply(step);
    this.#past.push(step);
    return step.at + step.inserted.length;
  }

  /** The text in stretches, each the person's or the model's. @returns {{ text: string, model: boolean }[]} */
  segments() {
    const segments = [];
    let at = 0;
    for (const { start, end } of this.ranges) {
      if (start > at) segments.push({ text: this.text.slice(at, start), model: false });
      segments.push({ text: this.text.slice(start, end), model: true });
      at = end;
    }
    if (at < this.text.length) segments.push({ text: this.text.slice(at), model: false });
    return segments;
  }

  /** What is worth keeping when the tab is reloaded. */
  save() {
    return { text: this.text, ranges: this.ranges };
  }

  /** Takes back what `save` gave; anything else is ignored. @param {any} saved */
  restore(saved) {
    if (typeof saved?.text !== 'string') return;
    this.text = saved.text;
    /** @type {Range[]} */
    const ranges = [];
    for (const range of Array.isArray(saved.ranges) ? saved.ranges : []) {
      const { start, end } = range ?? {};
      if (!Number.isInteger(start) || !Number.isInteger(end)) continue;
      if (start >= (ranges.at(-1)?.end ?? 0) && end > start && end <= this.text.length) ranges.push({ start, end });
    }
    this.ranges = ranges;
  }

  /** All that a continuation inserted is one range. @param {Step} step */
  #cover(step) {
    const end = step.at + step.inserted.length;
    const kept = cut(step.before, step.at, step.removed.length, 0);
    step.after = end > step.at ? [...kept, { start: step.at, end }] : kept;
    this.ranges = step.after;
  }

  /** @param {number} at @param {string} removed @param {string} inserted @param {number} time @returns {Step} */
  #step(at, removed, inserted, time) {
    return { at, removed, inserted, before: this.ranges, after: this.ranges, typing: false, time };
  }

  /** @param {Step} step */
  #apply({ at, removed, inserted, after }) {
    this.text = this.text.slice(0, at) + inserted + this.text.slice(at + removed.length);
    this.ranges = after;
  }

  /** @param {Step} step */
  #revert({ at, removed, inserted, before }) {
    this.text = this.text.slice(0, at) + removed + this.text.slice(at + inserted.length);
    this.ranges = before;
  }

  /** @param {Step} step */
  #record(step) {
    this.#past.push(step);
    this.#future = [];
    if (this.#past.length > MOST_STEPS) this.#past.shift();
  }

  /** Letters typed one after another, or deleted one after another, are one step. @param {Step} step */
  #joinTyping(step) {
    const last = this.#past.at(-1);
    if (!last?.typing || step.time - last.time > TYPING_PAUSE || last.inserted.endsWith('\n')) return false;
    if (this.#future.length > 0) return false;
    const typedOn = step.removed === '' && last.removed === '' && step.at === last.at + last.inserted.length;
    const erasedOn = step.inserted === '' && last.inserted === '' && step.at + step.removed.length === last.at;
    if (!typedOn && !erasedOn) return false;
    last.inserted += step.inserted;
    last.removed = step.removed + last.removed;
    last.at = Math.min(last.at, step.at);
    last.after = step.after;
    last.time = step.time;
    return true;
  }
}

/** The ranges after `removed` characters at `at` became `inserted` ones of the person's. @param {Range[]} ranges @param {number} at @param {number} removed @param {number} inserted */
function cut(ranges, at, removed, inserted) {
  /** @type {Range[]} */
  const kept = [];
  for (const { start, end } of ranges) {
    if (start < at) kept.push({ start, end: Math.min(end, at) });
    const rest = Math.max(start, at + removed);
    if (end > rest) kept.push({ start: rest + inserted - removed, end: end + inserted - removed });
  }
  return kept;
}

/** A text area knows only one kind of line break, and the text must equal what it shows. @param {string} text */
const clean = (text) => text.replace(/\r\n?/g, '\n');

/** Whether a cut before `at` would halve a character. @param {string} text @param {number} at */
const isLowSurrogate = (text, at) => at > 0 && (text.charCodeAt(at) & 0xfc00) === 0xdc00;

/** @param {string} a @param {string} b @param {number} most */
function commonPrefix(a, b, most) {
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}

/** @param {string} a @param {string} b @param {number} most */
function commonSuffix(a, b, most) {
  let length = 0;
  while (length < most && a.charCodeAt(a.length - 1 - length) === b.charCodeAt(b.length - 1 - length)) length += 1;
  return length;
}
