/**
 * The Compare panel: the same question put to two texts, two models or two temperatures side by side; and a probe that runs a
 * sentence over a list of words and shows what the model expects after each.
 */

import { titleOf } from '../../catalog.js';
import { number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { Beside } from './beside.js';
import { figure } from './figure.js';
import { isAborted, problemWords } from './problems.js';
import { bar, percent, precise, tokenText, visible } from './words.js';

/** @import { Model } from '../../inkling.js' */
/** @import { Choice } from '../../inspection.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

const SHOWN = 10;
const WRITTEN = 30;
/** How long somebody who types must pause, in milliseconds. */
const PAUSE = 200;
/** Words of a probe at most. */
const MOST_WORDS = 40;

export class Panel {
  #sides = [new Side(0), new Side(1)];
  #columns = make('div', { class: 'inside-columns' });
  #template = make('input', { type: 'text', id: 'compare-template', dir: 'auto', spellcheck: 'false' });
  #words = make('input', { type: 'text', id: 'compare-words', dir: 'auto', spellcheck: 'false' });
  #ways = make('input', { type: 'text', id: 'compare-ways', dir: 'auto', spellcheck: 'false' });
  #chart = make('ol', { class: 'inside-probe' });
  #problem = make('p', { class: 'inside-problem', role: 'status' });
  /** @type {{ word: string, shares: number[] }[]} */ #found = [];
  #figure = figure('inside.compare.probe', [this.#chart], () => ({
    head: [t('inside.compare.word'), ...this.#list(this.#ways.value)],
    rows: this.#found.map(({ word, shares }) => [word, ...shares.map(precise)]),
  }));
  #begun = false;

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    const probe = make(
      'form',
      { class: 'inside-form', on: { submit: (event) => (event.preventDefault(), void this.#probe()) } },
      make('label', { for: 'compare-template', words: 'inside.compare.template' }),
      this.#template,
      make('label', { for: 'compare-words', words: 'inside.compare.words' }),
      this.#words,
      make('label', { for: 'compare-ways', words: 'inside.compare.ways' }),
      this.#ways,
      make('button', { type: 'submit', class: 'primary', id: 'compare-probe', words: 'inside.compare.run' }),
    );
    this.root = make(
      'div',
      { class: 'inside-compare' },
      this.#columns,
      make('p', {}, make('button', { type: 'button', class: 'primary', id: 'compare-write', words: 'inside.compare.write', on: { click: () => void this.frame.run(() => this.#write()) } })),
      make('h4', { words: 'inside.compare.probe' }),
      make('p', { class: 'faded', words: 'inside.compare.probe.help' }),
      probe,
      this.#problem,
      this.#figure.root,
    );
    for (const side of this.#sides) {
      side.onChange = () => void this.frame.run(() => this.#showSide(side));
      this.#columns.append(side.root);
    }
    this.#examples();
  }

  /** What there is to begin with, in the language of the page. */
  #examples() {
    this.#template.value = t('inside.compare.example.template');
    this.#words.value = t('inside.compare.example.words');
    this.#ways.value = t('inside.compare.example.ways');
  }

  close() {
    for (const side of this.#sides) side.close();
  }

  relabel() {
    this.#examples();
    for (const side of this.#sides) side.relabel(this.frame.models(), this.subject.entry?.id ?? '');
  }

  async update() {
    const { text, entry } = this.subject;
    for (const [i, side] of this.#sides.entries()) {
      // The left is what the view looks at; the right begins as that, and is then the person's.
      if (i === 0 || !this.#begun) side.text = text;
      side.relabel(this.frame.models(), entry?.id ?? '');
    }
    this.#begun = true;
    await Promise.all(this.#sides.map((side) => this.#showSide(side)));
  }

  /** @param {Side} side */
  async #showSide(side) {
    const { model } = this.subject;
    if (model) await side.show(model);
  }

  async #write() {
    const { model } = this.subject;
    if (model) for (const side of this.#sides) await side.write(model, this.subject.seed);
  }

  /** @param {string} text */
  #list(text) {
    return text.split(/[,，、]/).map((word) => word.trim()).filter(Boolean).slice(0, MOST_WORDS);
  }

  async #probe() {
    const { model } = this.subject;
    const [template, words, ways] = [this.#template.value, this.#list(this.#words.value), this.#list(this.#ways.value)];
    this.#problem.textContent = '';
    if (!model) return;
    if (!template.includes('{}') || words.length === 0 || ways.length < 2) {
      this.#problem.textContent = t('inside.compare.need');
      return;
    }
    // Between words of languages that put spaces between them, the space belongs to the word that follows.
    const before = template.replace(/\s+$/, '');
    const space = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(ways.join('')) ? '' : ' ';
    this.#found = [];
    try {
      for (const word of words) {
        const logs = await model.continuations(before.replace('{}', word), ways.map((way) => space + way));
        const most = Math.max(...logs);
        const shares = [...logs].map((log) => Math.exp(log - most));
        const sum = shares.reduce((all, one) => all + one, 0);
        this.#found.push({ word, shares: shares.map((share) => share / sum) });
        this.#paint(ways);
      }
    } catch (error) {
      this.#problem.textContent = t('inside.error', { message: error instanceof Error ? error.message : String(error) });
    }
    this.#figure.update();
  }

  /** @param {string[]} ways */
  #paint(ways) {
    this.#chart.replaceChildren(
      make('li', { class: 'inside-probe-head' }, make('span'), make('span', { class: 'inside-probe-line' }, ...ways.map((way, i) => make('span', { class: `tint-${i % 4}`, text: way })))),
      ...this.#found.map(({ word, shares }) => {
        const line = make('span', { class: 'inside-probe-line' });
        for (const [i, share] of shares.entries()) {
          const part = make('span', { class: `tint-${i % 4}`, text: share > 0.08 ? percent(share) : '', title: `${ways[i]} ${percent(share)}` });
          part.style.setProperty('--share', String(share));
          line.append(part);
        }
        line.setAttribute('role', 'img');
        line.setAttribute('aria-label', ways.map((way, i) => `${way} ${percent(shares[i] ?? 0)}`).join(', '));
        return make('li', {}, make('bdi', { text: word }), line);
      }),
    );
  }
}

/** One of the two: its text, its model, its temperature, and what comes of them. */
class Side {
  /** Something of it is another one. */ onChange = () => {};
  #soon = 0;
  #text = make('textarea', { rows: 2, dir: 'auto', spellcheck: 'false', on: { input: () => (clearTimeout(this.#soon), (this.#soon = setTimeout(() => this.onChange(), PAUSE))) } });
  /** What is wrong with this side; the other goes on. */ #problem = make('p', { class: 'inside-problem', role: 'status' });
  #temperature = make('input', { type: 'range', min: 0.1, max: 3, step: 0.1, value: 1, on: { input: () => ((this.#degree.textContent = number(Number(this.#temperature.value), { maximumFractionDigits: 1 })), this.onChange()) } });
  #degree = make('output', { text: '1' });
  #list = make('ol', { class: 'inside-candidates' });
  #written = make('p', { class: 'inside-written', dir: 'auto', role: 'status' });
  #figure = figure('inside.next', [this.#list], () => ({ head: [t('inside.table.token'), t('inside.table.probability')], rows: (this.#choice?.candidates ?? []).map(({ text, probabilities }) => [visible(text), precise(probabilities.at(-1) ?? 0)]) }));
  /** @type {Choice | null} */ #choice = null;
  #beside;

  /** @param {number} index */
  constructor(index) {
    const id = `compare-${index}`;
    this.#text.id = `${id}-text`;
    this.#beside = new Beside(`${id}-model`, 'inside.compare.same', () => this.onChange());
    this.#temperature.id = `${id}-temperature`;
    this.root = make(
      'div',
      { class: 'inside-side' },
      make('label', { for: `${id}-text`, words: 'inside.text' }),
      this.#text,
      this.#problem,
      make('p', { class: 'inside-line' }, make('label', { for: `${id}-model`, words: 'model.label' }), this.#beside.list),
      make('p', { class: 'inside-line' }, make('label', { for: `${id}-temperature`, words: 'parameter.temperature.label' }), this.#temperature, this.#degree),
      this.#figure.root,
      this.#written,
    );
  }

  /** @param {string} words */
  set text(words) {
    this.#text.value = words;
    this.#written.textContent = '';
  }

  /** @param {import('../../catalog.js').Entry[]} models @param {string} own */
  relabel(models, own) {
    this.#beside.offer(models, own);
  }

  close() {
    this.#beside.close();
  }

  /** @param {Model} own */
  async #which(own) {
    let waiting = false;
    const other = await this.#beside.model((entry) => {
      waiting = true;
      this.#written.textContent = t('inside.loading', { model: titleOf(entry) });
    });
    if (waiting) this.#written.textContent = '';
    return other ?? own;
  }

  /** @param {Model} own */
  async show(own) {
    try {
      await this.#look(await this.#which(own));
      this.#problem.textContent = '';
    } catch (error) {
      if (isAborted(error)) throw error;
      this.#list.replaceChildren();
      this.#problem.textContent = problemWords(error);
    }
  }

  /** @param {Model} model */
  async #look(model) {
    const temperature = Number(this.#temperature.value);
    this.#choice = await model.choice(this.#text.value, { do_sample: true, temperature, top_k: 0, top_p: 1, seed: 1, shown: SHOWN });
    const most = Math.max(...this.#choice.candidates.map(({ probabilities }) => probabilities.at(-1) ?? 0), 1e-9);
    this.#list.replaceChildren(
      ...this.#choice.candidates.slice(0, SHOWN).map(({ text, probabilities }) => make('li', {}, tokenText(text), bar((probabilities.at(-1) ?? 0) / most, percent(probabilities.at(-1) ?? 0)))),
    );
    this.#figure.update();
  }

  /** Goes on, with the same seed as the other. @param {Model} own @param {number} seed */
  async write(own, seed) {
    const model = await this.#which(own);
    const config = { do_sample: true, temperature: Number(this.#temperature.value), seed, max_new_tokens: WRITTEN };
    this.#written.replaceChildren(make('span', { class: 'faded', text: this.#text.value }));
    for await (const event of model.generate(this.#text.value, config)) this.#written.append(event.text);
  }
}
