/** The Tokens panel: the text in the pieces the model reads, each with its number, its bytes and how it came about; beside a second vocabulary. */

import { titleOf } from '../../catalog.js';
import { number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { Beside } from './beside.js';
import { figure } from './figure.js';
import { tokenText, visible } from './words.js';

/** @import { ExplainedToken } from '../../inspection.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

/** Tokens that are shown at most; more are counted. */
const MOST = 2000;

export class Panel {
  #own = new Pieces();
  #other = new Pieces();
  #beside = new Beside('tokens-with', 'inside.tokens.with.none', () => void this.#compare());
  #progress = make('span', { class: 'faded', role: 'status' });
  #figure = figure('inside.tokens', [this.#own.root], () => this.#own.table());

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    this.root = make(
      'div',
      {},
      this.#figure.root,
      make('p', { class: 'inside-line' }, make('label', { for: 'tokens-with', words: 'inside.tokens.with' }), this.#beside.list, this.#progress),
      this.#other.root,
    );
    this.#other.root.hidden = true;
  }

  async update() {
    const { model, text, signal } = this.subject;
    if (!model) return;
    this.#own.show(await model.explain(text, { signal }), text, model.info.vocabSize);
    this.#figure.update();
    this.#offer();
    await this.#compare();
  }

  relabel() {
    this.#offer();
  }

  close() {
    this.#beside.close();
  }

  /** The models whose vocabulary could be beside. */
  #offer() {
    this.#beside.offer(this.frame.models(), this.subject.entry?.id ?? '');
  }

  async #compare() {
    const { entry } = this.#beside;
    const { text } = this.subject;
    this.#other.root.hidden = entry === null;
    try {
      const model = await this.#beside.model((loading) => (this.#progress.textContent = t('inside.loading', { model: titleOf(loading) })));
      if (!model || !entry) return;
      this.#other.show(await model.explain(text), text, model.info.vocabSize, titleOf(entry));
      this.#progress.textContent = '';
    } catch (error) {
      this.#progress.textContent = t('inside.error', { message: error instanceof Error ? error.message : String(error) });
    }
  }
}

/** A text in pieces, and one of them in detail. */
class Pieces {
  #count = make('p', { class: 'inside-count' });
  #list = make('ol', { class: 'inside-pieces', label: 'inside.tokens' });
  #detail = make('div', { class: 'inside-detail', role: 'status' });
  root = make('div', {}, this.#count, this.#list, this.#detail);
  /** @type {ExplainedToken[]} */ #tokens = [];
  #text = '';
  #at = -1;

  /** @param {ExplainedToken[]} tokens @param {string} text @param {number} vocabulary @param {string} [title] */
  show(tokens, text, vocabulary, title = '') {
    this.#tokens = tokens;
    this.#text = text;
    const counted = tokens.filter(({ start, end }) => end > start).length;
    const values = { count: counted, characters: number([...text].length), bytes: number(new TextEncoder().encode(text).length), size: number(vocabulary) };
    this.#count.textContent = [title, t('inside.tokens.count', values)].filter(Boolean).join(': ');
    const focused = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...tokens.slice(0, MOST).map((token, i) => this.#piece(token, i)));
    if (this.#at >= tokens.length) this.#at = -1;
    if (focused) /** @type {HTMLElement | undefined} */ (this.#list.children[Math.max(0, this.#at)]?.firstElementChild)?.focus();
    this.#explain();
  }

  /** @param {ExplainedToken} token @param {number} i */
  #piece(token, i) {
    const select = () => {
      this.#at = i;
      for (const [at, item] of [...this.#list.children].entries()) item.toggleAttribute('data-chosen', at === i);
      this.#explain();
    };
    const button = make(
      'button',
      { type: 'button', class: `inside-piece tint-${i % 4}`, tabindex: i === Math.max(0, this.#at) ? '0' : '-1', on: { click: select, focus: select, keydown: (event) => this.#move(event, i) } },
      tokenText(this.#words(token)),
      make('small', { text: String(token.id) }),
    );
    return make('li', { 'data-chosen': i === this.#at }, button);
  }

  /** The arrow keys go from piece to piece. @param {KeyboardEvent} event @param {number} i */
  #move(event, i) {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const to = Math.min(Math.max(i + step, 0), this.#list.children.length - 1);
    for (const [at, item] of [...this.#list.children].entries()) item.firstElementChild?.setAttribute('tabindex', at === to ? '0' : '-1');
    /** @type {HTMLElement | null | undefined} */ (this.#list.children[to]?.firstElementChild)?.focus();
  }

  /** What a token reads as: of a special one its name, of a part of a character its bytes. @param {ExplainedToken} token */
  #words({ token, special, bytes }) {
    if (special) return token;
    const text = new TextDecoder().decode(new Uint8Array(bytes));
    return text.includes('\ufffd') ? bytes.map(hex).join(' ') : text;
  }

  #explain() {
    const token = this.#tokens[this.#at];
    if (!token) return this.#detail.replaceChildren(make('p', { class: 'faded', words: 'inside.tokens.choose' }), ...this.#why());
    const { id, special, bytes, merges } = token;
    /** @type {HTMLElement[]} */
    const rows = [
      make('p', {}, make('strong', {}, tokenText(this.#words(token))), ` ${t('inside.tokens.id', { id: String(id) })}`),
      make('p', { text: special ? t('inside.tokens.special') : t('inside.tokens.bytes', { count: bytes.length, bytes: bytes.map(hex).join(' ') }) }),
    ];
    if (merges.length > 0) {
      const steps = merges.map(({ left, right, rank }) =>
        make('li', {}, tokenText(left), ' + ', tokenText(right), ' → ', tokenText(left + right), make('small', { class: 'faded', text: ` ${t('inside.tokens.rank', { rank: number(rank + 1) })}` })),
      );
      rows.push(make('details', {}, make('summary', { text: t('inside.tokens.merges', { count: merges.length }) }), make('ol', { class: 'inside-merges' }, ...steps)));
    }
    return this.#detail.replaceChildren(...rows, ...this.#why());
  }

  /** A character that takes several tokens, and why. */
  #why() {
    const shared = this.#tokens.find(({ start, end }, i) => end > start && this.#tokens[i + 1]?.start === start && this.#tokens[i + 1]?.end === end);
    if (!shared) return [];
    const character = this.#text.slice(shared.start, shared.end);
    const parts = this.#tokens.filter(({ start, end }) => start === shared.start && end === shared.end).length;
    const inBytes = [...new TextEncoder().encode(character)].map(hex).join(' ');
    return [make('p', { class: 'inside-callout', text: t('inside.tokens.why', { character: visible(character), parts, bytes: inBytes, count: inBytes.split(' ').length }) })];
  }

  table() {
    return {
      head: [t('inside.table.token'), t('inside.table.id'), t('inside.table.bytes')],
      rows: this.#tokens.map((token) => [visible(this.#words(token)), token.id, token.bytes.map(hex).join(' ')]),
    };
  }
}

/** @param {number} byte */
const hex = (byte) => byte.toString(16).toUpperCase().padStart(2, '0');
