/** The Fill the gap page: a text with gaps, and what the model would put into each. */

import { onLanguage, t } from '../../i18n.js';
import { make } from '../dom.js';
import { attentionOf } from './attention.js';
import { bar, percent } from './bars.js';
import { Frame } from './frame.js';
import { words } from './passages.js';
import { TextField } from './textfield.js';

/** @import { Page } from '../../views.js' */
/** @import { Filled } from '../../tasks.js' */

/** What stands for a gap while no model says what it calls one. */
const GAP = '[MASK]';
/** Gaps in other words; not the underscores of a name in code. */
const WRITTEN = /(?<![\w])_{2,}(?![\w])|\[mask\]|<mask>/gi;
const CANDIDATES = 8;
/** Of a longer text, only the beginning can be clicked. */
const MOST_WORDS = 250;

/** With a gap where `_` is; of no one's language is code. @type {[string, string][]} */
const EXAMPLES = [
  ['en', 'The little fox was _ of the dark.'],
  ['en', 'She opened the _ and looked inside.'],
  ['', 'for i in _(10):\n    print(i)'],
  ['zh', '北京是中国的首_。'],
  ['zh', '春天来了，花都_了。'],
  ['fr', 'Paris est la _ de la France.'],
  ['de', 'Im Winter ist es sehr _.'],
];

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  new Fill(root, page);
}

class Fill {
  #text = new TextField('fill-text', { label: 'fill.text', placeholder: 'fill.placeholder', rows: 3 });
  #words = make('div', { class: 'task-words', role: 'group', label: 'fill.words', dir: 'auto', on: { keydown: (event) => this.#arrow(event) } });
  #mask = GAP;
  #frame;

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.#frame = new Frame(root, page, { name: 'fill', tasks: ['fill-mask'], main: this.#text });
    const frame = this.#frame;
    frame.work.append(
      this.#text.root,
      make('div', { class: 'task-options' }, make('button', { type: 'button', id: 'fill-insert', words: 'fill.insert', on: { click: () => this.#insert() } }), make('span', { class: 'faded', words: 'fill.hint' })),
      this.#words,
    );
    frame.onServing = () => this.#serving();
    frame.onGo = () => void this.#go();
    frame.copied = () => this.#text.value;
    this.#text.onInput = () => {
      frame.result.replaceChildren();
      this.#showWords();
    };
    onLanguage(() => this.#offer());
    this.#serving();
  }

  #serving() {
    const mask = this.#frame.serving?.model.info.maskToken ?? GAP;
    if (mask !== this.#mask && this.#text.value.includes(this.#mask)) this.#text.set(this.#text.value.split(this.#mask).join(mask));
    this.#mask = mask;
    this.#frame.result.replaceChildren();
    this.#showWords();
    this.#offer();
  }

  #offer() {
    const { languages: own = [], prompts = [] } = this.#frame.serving?.entry ?? {};
    // A model of the list has examples of its own.
    const fits =
      prompts.length > 0
        ? prompts.map((prompt) => [own[0] ?? '', prompt.replace(GAP, '_')])
        : EXAMPLES.filter(([lang]) => this.#frame.knows(lang));
    this.#frame.offer(fits.map(([lang, text]) => ({ text: text.replace('_', '____'), lang, run: () => this.#example(text, lang) })));
  }

  /** @param {string} text @param {string} lang */
  #example(text, lang) {
    this.#text.set(text.replace('_', this.#mask), lang);
    void this.#go();
  }

  /** A gap at the caret, or in place of what is selected. */
  #insert() {
    const { area } = this.#text;
    const { selectionStart: start, selectionEnd: end, value } = area;
    const before = value.slice(0, start);
    // Chinese has no spaces, and the gap of most other languages is a word.
    const space = start === end && /[\p{L}\p{N}]$/u.test(before) && !/\p{Script=Han}$/u.test(before) ? ' ' : '';
    this.#text.set(before + space + this.#mask + value.slice(end));
    const caret = start + space.length + this.#mask.length;
    area.focus();
    area.setSelectionRange(caret, caret);
  }

  /** Every word is a button that makes a gap of it. */
  #showWords() {
    const text = this.#text.value;
    const all = words(hidden(text.slice(0, 4000), this.#mask)).slice(0, MOST_WORDS);
    const parts = /** @type {(Node | string)[]} */ ([]);
    let at = 0;
    for (const { text: word, start, end } of all) {
      parts.push(...this.#between(text.slice(at, start)));
      parts.push(make('button', { type: 'button', class: 'task-word', tabindex: '-1', translate: 'no', text: word, on: { click: () => this.#remove(start, end) } }));
      at = end;
    }
    parts.push(...this.#between(text.slice(at, at + 200)));
    this.#words.hidden = all.length === 0;
    this.#words.replaceChildren(...parts);
    // One stop for the keyboard, and arrows from word to word.
    this.#words.querySelector('button')?.setAttribute('tabindex', '0');
  }

  /** What stands between words, the gaps marked. @param {string} text @returns {(Node | string)[]} */
  #between(text) {
    return text.split(this.#mask).flatMap((part, i) => (i > 0 ? [make('span', { class: 'task-gap', text: '____' }), part] : [part]));
  }

  /** @param {number} start @param {number} end */
  #remove(start, end) {
    const text = this.#text.value;
    const at = [...this.#words.querySelectorAll('button')].findIndex((one) => one === document.activeElement);
    this.#text.set(text.slice(0, start) + this.#mask + text.slice(end));
    // The word's button is gone, and the keyboard stays where it was.
    const next = [...this.#words.querySelectorAll('button')].at(Math.max(0, at - 1));
    if (at >= 0) (next ?? this.#text.area).focus();
    void this.#go();
  }

  /** @param {KeyboardEvent} event */
  #arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...this.#words.querySelectorAll('button')];
    const at = all.findIndex((one) => one === document.activeElement);
    const next = all[at + step];
    if (!next) return;
    for (const one of all) one.setAttribute('tabindex', one === next ? '0' : '-1');
    next.focus();
    event.preventDefault();
  }

  async #go() {
    const frame = this.#frame;
    if (this.#text.value.trim() === '') return frame.say('tasks.empty');
    // As people write gaps who do not know what this model calls one.
    const text = this.#text.value.replace(WRITTEN, this.#mask);
    if (text !== this.#text.value) this.#text.set(text);
    if (!text.includes(this.#mask)) return frame.say('fill.nogap', { mask: this.#mask });
    frame.result.replaceChildren();
    const found = await frame.run(({ model, signal }) => model.fillMask(text, { top_k: CANDIDATES, signal }));
    if (found && this.#text.value === text) this.#show(gaps(found));
    return undefined;
  }

  /** @param {Filled[][]} found */
  #show(found) {
    const many = found.length > 1;
    this.#frame.result.replaceChildren(
      ...found.map((candidates, gap) => {
        const whole = make('p', { class: 'task-sequence', dir: 'auto', translate: 'no' });
        const tell = (/** @type {Filled | undefined} */ filled) => {
          if (filled) whole.replaceChildren(...this.#filledIn(gap, filled));
        };
        tell(candidates[0]);
        const list = make('ol', { class: 'task-candidates' }, ...candidates.map((filled) => this.#candidate(filled, gap, () => tell(filled))));
        return make('section', { class: 'task-filled' }, many ? make('h3', { text: t('fill.gap', { number: gap + 1 }) }) : make('h3', { words: 'fill.candidates' }), list, whole, attentionOf(this.#frame, this.#text.value, gap, this.#mask));
      }),
    );
    this.#frame.warn(this.#text.value.split(this.#mask).join(' '), this.#frame.languages, 'fill.foreign');
    this.#frame.copyable(true);
    const [first] = this.#frame.result.children;
    if (first) this.#frame.reveal(first);
  }

  /** @param {Filled} filled @param {number} gap @param {() => void} tell */
  #candidate(filled, gap, tell) {
    const word = filled.token_str.trim() || filled.token_str;
    const button = make('button', { type: 'button', class: 'task-candidate', on: { click: () => this.#put(gap, filled), focus: tell, mouseenter: tell } }, make('span', { class: 'task-token', translate: 'no', dir: 'auto', text: word }), ' ', bar(filled.score, percent(filled.score)));
    button.title = t('fill.put');
    return make('li', {}, button);
  }

  /** The text with a candidate in its gap. @param {number} gap @param {Filled} filled @returns {(Node | string)[]} */
  #filledIn(gap, filled) {
    const { before, word, after } = joined(this.#text.value.split(this.#mask), gap, filled.token_str);
    return [before.join('____').slice(-300), make('mark', { class: 'model', text: word }), after.join('____').slice(0, 300)];
  }

  /** Puts a candidate into the text; the other gaps are looked at again, now that one is filled. @param {number} gap @param {Filled} filled */
  #put(gap, filled) {
    const parts = this.#text.value.split(this.#mask);
    const { before, word, after } = joined(parts, gap, filled.token_str);
    this.#text.set(before.join(this.#mask) + word + after.join(this.#mask));
    if (parts.length > 2) void this.#go();
    else {
      this.#frame.copyable(true);
      this.#frame.say('fill.done');
    }
    // The candidate's button is gone; a keyboard on the screen is not to come up for that.
    if (matchMedia('(pointer: fine)').matches) this.#text.area.focus();
  }
}

/** A token in its gap: a piece of a word is written on to what stands before it. @param {string[]} parts  of the text between its gaps @param {number} gap @param {string} token */
function joined(parts, gap, token) {
  const word = token.trim() || token;
  const before = parts.slice(0, gap + 1);
  const after = parts.slice(gap + 1);
  if (!word.startsWith('##')) return { before, word, after };
  return { before: [...before.slice(0, -1), (before.at(-1) ?? '').trimEnd()], word: word.slice(2), after };
}

/** The text with its gaps blanked, at the same length. @param {string} text @param {string} mask */
const hidden = (text, mask) => text.split(mask).join(' '.repeat(mask.length));

/** @param {Filled[] | Filled[][]} found @returns {Filled[][]} */
const gaps = (found) => (Array.isArray(found[0]) ? /** @type {Filled[][]} */ (found) : [/** @type {Filled[]} */ (found)]);
