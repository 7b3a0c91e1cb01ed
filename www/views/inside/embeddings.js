/** The Embeddings panel: tokens that mean nearly the same to the model, and the text's tokens on a plane through the layers. */

import { number, t } from '../../i18n.js';
import { draw, make } from '../dom.js';
import { figure } from './figure.js';
import { bar, precise, tokenText, visible } from './words.js';

/** @import { Neighbor } from '../../inspection.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

const NEIGHBORS = 12;
/** Tokens of the map: more would lie on one another. */
const MOST_POINTS = 60;
const SIZE = 420;

export class Panel {
  #tokens = make('p', { class: 'inside-row', dir: 'auto' });
  #list = make('ol', { class: 'inside-alternatives', label: 'inside.embeddings.neighbors' });
  #title = make('h4');
  #svg = draw('svg', { class: 'inside-map', role: 'img', viewBox: `0 0 ${SIZE} ${SIZE}` });
  #slider = make('input', { type: 'range', id: 'embeddings-layer', min: 0, max: 0, step: 1, on: { input: () => this.#paint() } });
  #layer = make('output');
  #at = -1;
  /** @type {Neighbor[]} */ #neighbors = [];
  /** @type {Float32Array} */ #map = new Float32Array();
  #neighborFigure = figure('inside.embeddings.neighbors', [this.#list], () => ({ head: [t('inside.table.token'), t('inside.table.id'), t('inside.embeddings.similarity')], rows: this.#neighbors.map(({ id, text, similarity }) => [visible(text), id, precise(similarity)]) }));
  #mapFigure = figure('inside.embeddings.map', [this.#svg], () => this.#table());

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    this.root = make(
      'div',
      { class: 'inside-embeddings' },
      this.#tokens,
      this.#title,
      this.#neighborFigure.root,
      make('h4', { words: 'inside.embeddings.map' }),
      make('p', { class: 'faded', words: 'inside.embeddings.map.help' }),
      make('p', { class: 'inside-line' }, make('label', { for: 'embeddings-layer', words: 'inside.attention.layer' }), this.#slider, this.#layer),
      this.#mapFigure.root,
    );
  }

  relabel() {
    this.#paint();
  }

  async update() {
    const { tokens, model } = this.subject;
    if (!model) return;
    if (this.#at < 0 || this.#at >= tokens.length) this.#at = tokens.length - 1;
    this.#tokens.replaceChildren(
      ...tokens.map((token, i) =>
        make('button', { type: 'button', class: 'inside-token', 'data-here': i === this.#at, 'aria-pressed': String(i === this.#at), on: { click: () => void this.frame.run(() => this.#choose(i)) } }, tokenText(token.text)),
      ),
    );
    const { map } = await this.subject.inspect({ map: true, topK: 0 });
    this.#map = map ?? new Float32Array();
    // A model begins with all its layers.
    if (this.#slider.max !== String(model.info.layers)) {
      this.#slider.max = String(model.info.layers);
      this.#slider.value = this.#slider.max;
    }
    this.#paint();
    await this.#choose(this.#at);
  }

  /** @param {number} i */
  async #choose(i) {
    this.#at = i;
    for (const [at, piece] of [...this.#tokens.children].entries()) {
      piece.toggleAttribute('data-here', at === i);
      piece.setAttribute('aria-pressed', String(at === i));
    }
    const { model, tokens, signal } = this.subject;
    const token = tokens[i];
    if (!model || !token) return;
    this.#neighbors = await model.neighbors(token.id, { count: NEIGHBORS, signal });
    this.#title.textContent = t('inside.embeddings.like', { text: visible(token.text) });
    this.#list.replaceChildren(...this.#neighbors.map(({ text, similarity }) => make('li', {}, tokenText(text), bar(Math.max(0, similarity), number(similarity, { maximumFractionDigits: 2 })))));
    this.#neighborFigure.update();
    this.#paint();
  }

  /** One layer's points, each with the way it came. */
  #paint() {
    const { tokens } = this.subject;
    const n = tokens.length;
    const rows = n === 0 ? 0 : this.#map.length / 2 / n;
    if (rows === 0) return;
    const layer = Math.min(Number(this.#slider.value), rows - 1);
    this.#layer.textContent = layer === 0 ? t('inside.layers.start') : number(layer);
    const xs = this.#map.filter((_, i) => i % 2 === 0);
    const ys = this.#map.filter((_, i) => i % 2 === 1);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const scale = (/** @type {number} */ value, /** @type {number} */ from, /** @type {number} */ to) => 30 + ((SIZE - 60) * (value - from)) / Math.max(1e-6, to - from);
    const place = (/** @type {number} */ row, /** @type {number} */ i) => [scale(this.#map[2 * (row * n + i)] ?? 0, left, right), scale(this.#map[2 * (row * n + i) + 1] ?? 0, top, bottom)];
    const first = Math.max(0, n - MOST_POINTS);
    const drawn = [];
    for (let i = first; i < n; i += 1) {
      const way = Array.from({ length: layer + 1 }, (_, row) => place(row, i).map((value) => value.toFixed(1)).join(','));
      const [x = 0, y = 0] = place(layer, i);
      const here = i === this.#at;
      drawn.push(
        draw(
          'g',
          { class: here ? 'here' : '' },
          draw('polyline', { class: 'way', points: way.join(' ') }),
          draw('circle', { cx: x, cy: y, r: here ? 6 : 4 }),
          draw('text', { x: x + 7, y: y + 4 }, visible(tokens[i]?.text ?? '')),
        ),
      );
    }
    this.#svg.setAttribute('aria-label', t('inside.embeddings.map.label', { count: n - first, layer: this.#layer.textContent }));
    this.#svg.replaceChildren(...drawn);
    this.#mapFigure.update();
  }

  #table() {
    const { tokens } = this.subject;
    const n = tokens.length;
    const rows = [];
    for (let row = 0; n > 0 && row < this.#map.length / 2 / n; row += 1) {
      for (const [i, { text }] of tokens.entries()) rows.push([row, `${i + 1} ${visible(text)}`, precise(this.#map[2 * (row * n + i)] ?? 0), precise(this.#map[2 * (row * n + i) + 1] ?? 0)]);
    }
    return { head: [t('inside.attention.layer'), t('inside.table.token'), 'x', 'y'], rows };
  }
}
