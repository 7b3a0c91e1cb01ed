/** The Search page: the passages of a text by what they mean, and how alike two sentences are. */

import { getLanguage, number, onLanguage, t } from '../../i18n.js';
import { make } from '../dom.js';
import { bar } from './bars.js';
import { Frame } from './frame.js';
import { passages, sentences } from './passages.js';
import { TextField } from './textfield.js';

/** @import { Page } from '../../views.js' */
/** @import { Part } from './passages.js' */
/** @import { Work } from './frame.js' */

/** How long somebody who types must pause before it is searched, in milliseconds. */
const PAUSE = 200;
const SHOWN = 10;
/** A longer paragraph is taken in parts, in characters: models of this kind read some hundred words, or characters of Chinese. */
const LONGEST = { alphabet: 900, han: 220 };
/** A text in more parts than these is not searched. */
const MOST_PASSAGES = 10_000;
/** So many are embedded at a time, so that what is on the way can be shown. */
const BATCH = 16;

/** What has been embedded of which text by which model. @typedef {{ text: string, kind: string, model: object, parts: Part[], vectors: Float32Array[] }} Index */

/** @type {Record<string, { text: string, questions: string[] }>} */
const EXAMPLES = {
  en: {
    text: 'Water the tomatoes in the morning, before the sun is high.\n\nThe bus to the coast leaves at half past eight from the market.\n\nIf the bread does not rise, the yeast was too old or the kitchen too cold.\n\nPlease close the windows when it rains.\n\nThe library lends board games, too.\n\nCats sleep for most of the day and hunt at dusk.\n\nfunction add(a, b) { return a + b; }',
    questions: ['How do I get to the sea?', 'baking problems', 'When are pets awake?', 'sum of two numbers'],
  },
  zh: {
    text: '早上太阳还不高的时候给西红柿浇水。\n\n去海边的公交车八点半从集市出发。\n\n面团发不起来，不是酵母太旧，就是厨房太冷。\n\n下雨时请关好窗户。\n\n图书馆也出借桌游。\n\n猫一天大部分时间都在睡觉，黄昏时出来捕猎。',
    questions: ['怎么去看海？', '做面包遇到的问题', '宠物什么时候醒着？'],
  },
};

/** @type {Record<string, [string, string]>} */
const PAIRS = { en: ['The cat is sleeping on the sofa.', 'A pet takes a nap on the couch.'], zh: ['猫在沙发上睡觉。', '宠物在长椅上打盹。'] };

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  new Search(root, page);
}

class Search {
  #text = new TextField('search-text', { label: 'search.text', placeholder: 'search.placeholder', rows: 6 });
  #kind = make('select', { id: 'search-kind', on: { change: () => this.#changed() } }, make('option', { value: 'paragraph', words: 'search.paragraphs' }), make('option', { value: 'sentence', words: 'search.sentences' }));
  #query = make('input', { id: 'search-query', type: 'text', dir: 'auto', autocomplete: 'off', placeholder: 'search.query.placeholder', on: { input: () => this.#typed() } });
  #list = make('ol', { class: 'task-hits', id: 'search-hits' });
  #place = make('div', { class: 'task-place', dir: 'auto', translate: 'no', tabindex: '0', role: 'region', label: 'search.place', hidden: true });
  #one = make('input', { id: 'search-one', type: 'text', dir: 'auto', on: { input: () => this.#typedPair() } });
  #other = make('input', { id: 'search-other', type: 'text', dir: 'auto', on: { input: () => this.#typedPair() } });
  #alike = make('p', { class: 'task-alike', role: 'status' });
  /** @type {Index | null} */ #index = null;
  #soon = 0;
  #frame;

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.#frame = new Frame(root, page, { name: 'search', tasks: ['feature-extraction'], main: this.#text });
    const frame = this.#frame;
    frame.work.append(
      this.#text.root,
      make('div', { class: 'task-options' }, make('label', { class: 'task-pick' }, make('span', { words: 'search.split' }), this.#kind)),
      make('div', { class: 'task-field' }, make('label', { for: 'search-query', words: 'search.query' }), this.#query),
    );
    frame.result.append(this.#list, this.#place);
    frame.result.after(
      make(
        'section',
        { class: 'task-two', 'aria-labelledby': 'search-two' },
        make('h3', { id: 'search-two', words: 'search.two' }),
        make('label', { class: 'task-field' }, make('span', { words: 'search.one' }), this.#one),
        make('label', { class: 'task-field' }, make('span', { words: 'search.other' }), this.#other),
        this.#alike,
      ),
    );
    frame.onServing = () => {
      this.#changed();
      this.#offer();
    };
    frame.onGo = () => void this.#search();
    this.#text.onInput = () => this.#changed();
    onLanguage(() => this.#offer());
    this.#offer();
  }

  #offer() {
    const language = getLanguage();
    const fits = Object.entries(EXAMPLES).filter(([lang]) => this.#frame.knows(lang));
    this.#frame.offer(fits.flatMap(([lang, { text, questions }]) => questions.map((question) => ({ text: question, lang, run: () => this.#example(text, question, lang) }))));
    const pair = PAIRS[language] ?? PAIRS.en;
    if (this.#one.value === '' && this.#other.value === '' && pair) [this.#one.value, this.#other.value] = pair;
  }

  /** @param {string} text @param {string} question @param {string} lang */
  #example(text, question, lang) {
    if (this.#text.value !== text) this.#text.set(text, lang);
    this.#query.value = question;
    void this.#search();
  }

  /** What was embedded is not what there is now. */
  #changed() {
    this.#list.replaceChildren();
    this.#place.hidden = true;
    this.#alike.replaceChildren();
  }

  #typed() {
    clearTimeout(this.#soon);
    // Nobody has asked yet for the text to be embedded, which may take a while: the button does that.
    if (this.#ready()) this.#soon = setTimeout(() => void this.#search(), PAUSE);
  }

  #typedPair() {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.#compare(), PAUSE);
  }

  #ready() {
    const model = this.#frame.serving?.model;
    return this.#index !== null && this.#index.model === model && this.#index.text === this.#text.value && this.#index.kind === this.#kind.value;
  }

  async #search() {
    const frame = this.#frame;
    const question = this.#query.value.trim();
    if (this.#text.value.trim() === '') return frame.say('tasks.empty');
    const quick = this.#ready();
    if (quick && question === '') {
      this.#changed();
      return frame.say('search.ask');
    }
    const found = await frame.run(
      async (work) => {
        const index = await this.#embedded(work);
        if (!index || question === '') return null;
        const [vector] = await work.model.embed((work.entry.embedding?.query ?? '') + question, { pooling: poolingOf(work), truncate: true, signal: work.signal });
        return vector ? { index, scores: index.vectors.map((other) => dot(vector, other)) } : null;
      },
      { quiet: quick },
    );
    // What went wrong stands there: nothing more is done that would take its place.
    if (!this.#ready()) return undefined;
    if (question === '' && this.#index) return frame.say('search.ready', { count: this.#index.parts.length });
    // Another question may have been typed meanwhile.
    if (found && question === this.#query.value.trim()) this.#show(found.index, found.scores);
    return found && this.#compare();
  }

  /** The text's passages with their vectors, made once. @param {Work} work */
  async #embedded(work) {
    const { model, signal, progress } = work;
    const text = this.#text.value;
    const kind = this.#kind.value === 'sentence' ? 'sentence' : 'paragraph';
    if (this.#ready()) return this.#index;
    const lang = this.#text.area.lang || undefined;
    const parts = passages(text, kind, lang).flatMap((part) => shorter(part, lang));
    if (parts.length === 0) return null;
    if (parts.length > MOST_PASSAGES) throw Object.assign(new Error(`expected at most ${MOST_PASSAGES} passages, found ${parts.length}`), { code: 'many_passages' });
    const vectors = [];
    for (let at = 0; at < parts.length; at += BATCH) {
      progress(at, parts.length);
      const batch = parts.slice(at, at + BATCH).map(({ text: words }) => (work.entry.embedding?.passage ?? '') + words);
      vectors.push(...(await model.embed(batch, { pooling: poolingOf(work), truncate: true, signal })));
    }
    if (signal.aborted) return null;
    return (this.#index = { text, kind, model, parts, vectors });
  }

  /** @param {Index} index @param {number[]} scores */
  #show(index, scores) {
    const order = scores.map((score, i) => ({ score, part: index.parts[i] })).sort((a, b) => b.score - a.score).slice(0, SHOWN);
    this.#list.replaceChildren(
      ...order.map(({ score, part }, i) => {
        const button = make('button', { type: 'button', class: 'task-hit', 'aria-pressed': String(i === 0), on: { click: () => choose(button, part) } }, bar(score, number(score, { minimumFractionDigits: 2, maximumFractionDigits: 2 })), make('span', { class: 'task-passage', dir: 'auto', translate: 'no', text: part?.text ?? '' }));
        return make('li', {}, button);
      }),
    );
    const choose = (/** @type {HTMLElement} */ button, /** @type {Part | undefined} */ part) => {
      for (const other of this.#list.querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button));
      this.#point(index.text, part);
    };
    this.#point(index.text, order[0]?.part);
    this.#frame.reveal(this.#list);
    this.#frame.copied = () => order[0]?.part?.text ?? '';
    this.#frame.copyable(order.length > 0);
  }

  /** Shows a passage in its text. @param {string} text @param {Part | undefined} part */
  #point(text, part) {
    this.#place.hidden = !part;
    if (!part) return;
    const mark = make('mark', { class: 'model', text: text.slice(part.start, part.end) });
    this.#place.replaceChildren(text.slice(Math.max(0, part.start - 20_000), part.start), mark, text.slice(part.end, part.end + 20_000));
    this.#place.scrollTop = Math.max(0, mark.offsetTop - this.#place.clientHeight / 3);
  }

  async #compare() {
    const [one, other] = [this.#one.value.trim(), this.#other.value.trim()];
    if (!this.#frame.serving || one === '' || other === '') return this.#alike.replaceChildren();
    const found = await this.#frame.run(({ model, entry, signal }) => model.embed([one, other].map((text) => (entry.embedding?.query ?? '') + text), { pooling: entry.embedding?.pooling, truncate: true, signal }), { quiet: true });
    const [a, b] = found ?? [];
    if (!a || !b) return undefined;
    const alike = dot(a, b);
    return this.#alike.replaceChildren(bar(alike, t('search.alike', { share: number(alike, { minimumFractionDigits: 2, maximumFractionDigits: 2 }) })));
  }
}

/** @param {Work} work */
const poolingOf = ({ entry }) => entry.embedding?.pooling;

/** Of two vectors of length 1, the cosine of the angle between them. @param {Float32Array} a @param {Float32Array} b */
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

/** A long passage in parts of whole sentences, each beginning with the last one of the part before. @param {Part} part @param {string} [lang] @returns {Part[]} */
function shorter(part, lang) {
  const most = LONGEST[/\p{Script=Han}/u.test(part.text.slice(0, 40)) ? 'han' : 'alphabet'];
  if (part.text.length <= most) return [part];
  const all = sentences(part.text, lang).flatMap((one) => cut(one, most));
  const found = [];
  let first = 0;
  for (let i = 0; i < all.length; i += 1) {
    const [from, to, next] = [all[first], all[i], all[i + 1]];
    if (!from || !to || (next && next.end - from.start <= most)) continue;
    found.push({ text: part.text.slice(from.start, to.end).trim(), start: part.start + from.start, end: part.start + to.end });
    // The last sentence again, unless it fills a part by itself.
    first = i > first && next && next.end - to.start <= most ? i : i + 1;
  }
  return found;
}

/** What has no end of a sentence for very long. @param {Part} part @param {number} most @returns {Part[]} */
function cut({ text, start }, most) {
  if (text.length <= most) return [{ text, start, end: start + text.length }];
  return Array.from({ length: Math.ceil(text.length / most) }, (_, i) => {
    const piece = text.slice(i * most, (i + 1) * most);
    return { text: piece, start: start + i * most, end: start + i * most + piece.length };
  });
}
