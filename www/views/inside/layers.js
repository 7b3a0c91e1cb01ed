/**
 * The Layers panel: what each layer would say next, where it makes up its mind, how long the vectors grow, and what each part
 * of the model adds to a token's logit.
 */

import { number, t } from '../../i18n.js';
import { draw, make } from '../dom.js';
import { figure } from './figure.js';
import { Colours, css, onTheme, percent, precise, tokenText, visible } from './words.js';

/** @import { Candidate, Inspection, LensCell } from '../../inspection.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

/** Positions of the lens: each costs a reading of the whole vocabulary in every layer. */
const POSITIONS = 12;

export class Panel {
  #lens = make('div', { class: 'inside-lens' });
  #mind = make('p', { class: 'inside-said', role: 'status' });
  #detail = make('div', { class: 'inside-detail', role: 'status' });
  #norms = draw('svg', { class: 'inside-norms', role: 'img' });
  #parts = draw('svg', { class: 'inside-parts', role: 'img' });
  #whose = make('select', { id: 'layers-token', on: { change: () => void this.frame.run(() => this.#attribute()) } });
  /** @type {LensCell[][]} */ #table = [];
  /** Lengths by layer, of the last position. @type {number[]} */ #lengths = [];
  /** @type {Inspection['attribution'] | null} */ #attribution = null;
  #lensFigure = figure('inside.layers.lens', [this.#lens], () => this.#lensTable());
  #normFigure = figure('inside.layers.norms', [this.#norms], () => ({ head: [t('inside.attention.layer'), t('inside.layers.length')], rows: this.#lengths.map((length, i) => [this.#layerName(i), precise(length)]) }));
  #partFigure = figure('inside.layers.parts', [this.#parts], () => ({ head: [t('inside.layers.part'), t('inside.table.logit')], rows: (this.#attribution?.parts ?? []).map((part) => [partName(part), precise(part.value)]) }));

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    this.root = make(
      'div',
      { class: 'inside-layers' },
      make('h4', { words: 'inside.layers.lens' }),
      this.#mind,
      this.#lensFigure.root,
      this.#detail,
      make('h4', { words: 'inside.layers.norms' }),
      this.#normFigure.root,
      make('h4', { words: 'inside.layers.parts' }),
      make('p', { class: 'inside-line' }, make('label', { for: 'layers-token', words: 'inside.layers.whose' }), this.#whose),
      this.#partFigure.root,
    );
    this.close = onTheme(() => this.#paint());
  }

  relabel() {
    this.#paint();
  }

  async update() {
    const n = this.subject.tokens.length;
    const positions = Array.from({ length: Math.min(n, POSITIONS) }, (_, i) => n - Math.min(n, POSITIONS) + i);
    const found = await this.subject.inspect({ logitLens: { top: 5, positions }, norms: true, topK: 8 });
    this.#table = found.logitLens ?? [];
    this.#lengths = this.#table.map((_, layer) => found.norms?.[layer * n + n - 1] ?? 0);
    const chosen = this.#whose.value;
    this.#whose.replaceChildren(...found.topK.map(({ id, text, probability }) => make('option', { value: id, text: `${visible(text)} · ${percent(probability)}` })));
    if (found.topK.some(({ id }) => String(id) === chosen)) this.#whose.value = chosen;
    this.#detail.replaceChildren();
    await this.#attribute();
    this.#paint();
  }

  async #attribute() {
    const { attribution } = await this.subject.inspect({ attribution: Number(this.#whose.value), topK: 0 });
    this.#attribution = attribution ?? null;
    this.#paintParts(new Colours());
    this.#partFigure.update();
  }

  #paint() {
    if (this.#table.length === 0) return;
    const colours = new Colours();
    this.#paintLens(colours);
    this.#paintNorms();
    this.#paintParts(colours);
    for (const chart of [this.#lensFigure, this.#normFigure, this.#partFigure]) chart.update();
  }

  /** @param {number} row */
  #layerName(row) {
    return row === 0 ? t('inside.layers.start') : t('inside.layer', { layer: number(row) });
  }

  /** The last layer at the top, as in the papers. @param {Colours} colours */
  #paintLens(colours) {
    const { tokens } = this.subject;
    const head = make('tr', {}, make('th', { scope: 'col', words: 'inside.attention.layer' }), ...(this.#table[0] ?? []).map(({ position }) => make('th', { scope: 'col' }, tokenText(tokens[position]?.text ?? ''))));
    const rows = this.#table.map((cells, layer) =>
      make(
        'tr',
        {},
        make('th', { scope: 'row', text: this.#layerName(layer) }),
        ...cells.map((cell) => {
          const best = cell.top[0];
          const colour = colours.ramp((best?.probability ?? 0) * 0.3);
          const button = make('button', { type: 'button', on: { click: () => this.#tell(layer, cell), focus: () => this.#tell(layer, cell) } }, tokenText(best?.text ?? ''));
          button.setAttribute('aria-label', `${visible(best?.text ?? '')}: ${percent(best?.probability ?? 0)}`);
          const made = make('td', { 'data-decided': cell.rank === 0 }, button);
          made.style.backgroundColor = css(colour);
          return made;
        }),
      ),
    );
    this.#lens.replaceChildren(make('table', {}, make('thead', {}, head), make('tbody', {}, ...rows.reverse())));
    const settled = settledAfter(this.#table);
    const final = this.#table.at(-1)?.at(-1)?.top[0];
    this.#mind.textContent = t(settled >= this.#table.length - 1 ? 'inside.layers.late' : 'inside.layers.mind', { text: visible(final?.text ?? ''), layer: this.#layerName(settled) });
  }

  /** @param {number} layer @param {LensCell} cell */
  #tell(layer, cell) {
    const list = cell.top.map(({ text, probability }) => `${visible(text)} ${percent(probability)}`).join(', ');
    this.#detail.replaceChildren(
      make('p', { text: t('inside.layers.cell', { layer: this.#layerName(layer), text: visible(this.subject.tokens[cell.position]?.text ?? ''), list }) }),
      make('p', { class: 'faded', text: t('inside.layers.cell.final', { rank: number(cell.rank + 1), probability: percent(cell.probability) }) }),
    );
  }

  #paintNorms() {
    const width = 640;
    const height = 150;
    const most = Math.max(...this.#lengths, 1e-9);
    const step = width / this.#lengths.length;
    this.#norms.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#norms.setAttribute('aria-label', t('inside.layers.norms'));
    this.#norms.replaceChildren(
      ...this.#lengths.map((length, i) => {
        const tall = ((height - 40) * length) / most;
        return draw(
          'g',
          {},
          draw('rect', { class: 'norm', x: i * step + step * 0.15, width: step * 0.7, y: height - 20 - tall, height: tall }),
          draw('text', { x: (i + 0.5) * step, y: height - 24 - tall, 'text-anchor': 'middle' }, number(length, { maximumSignificantDigits: 2 })),
          draw('text', { class: 'foot', x: (i + 0.5) * step, y: height - 5, 'text-anchor': 'middle' }, String(i)),
        );
      }),
    );
  }

  /** @param {Colours} colours */
  #paintParts(colours) {
    const parts = this.#attribution?.parts ?? [];
    const line = 18;
    const [left, width] = [170, 640];
    const height = Math.max(1, parts.length) * line + 6;
    const most = Math.max(...parts.map(({ value }) => Math.abs(value)), 1e-9);
    const middle = left + (width - left - 60) / 2;
    const scale = (width - left - 60) / 2 / most;
    this.#parts.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#parts.setAttribute('aria-label', t('inside.layers.parts'));
    this.#parts.replaceChildren(
      draw('line', { class: 'axis', x1: middle, x2: middle, y1: 0, y2: height }),
      ...parts.map((part, i) => {
        const long = Math.abs(part.value) * scale;
        const x = part.value < 0 ? middle - long : middle;
        return draw(
          'g',
          {},
          draw('text', { x: left - 8, y: i * line + 14, 'text-anchor': 'end' }, partName(part)),
          draw('rect', { x, y: i * line + 3, width: long, height: line - 5, fill: css(part.value < 0 ? colours.below : colours.above) }),
          draw('text', { class: 'foot', x: part.value < 0 ? x - 4 : x + long + 4, y: i * line + 14, 'text-anchor': part.value < 0 ? 'end' : 'start' }, number(part.value, { maximumFractionDigits: 1, signDisplay: 'always' })),
        );
      }),
    );
  }

  #lensTable() {
    const { tokens } = this.subject;
    return {
      head: [t('inside.attention.layer'), ...(this.#table[0] ?? []).map(({ position }) => `${position + 1} ${visible(tokens[position]?.text ?? '')}`)],
      rows: this.#table.map((cells, layer) => [this.#layerName(layer), ...cells.map(({ top }) => top.map((/** @type {Candidate} */ { text, probability }) => `${visible(text)} ${percent(probability)}`).join(' '))]),
    };
  }
}

/** The layer from which on the last position's answer stays what it is in the end; 0: before all. @param {LensCell[][]} lens */
export const settledAfter = (lens) => lens.map((cells) => cells.at(-1)).findLastIndex((cell) => cell?.rank !== 0) + 1;

/** @param {import('../../inspection.js').Contribution} part */
const partName = ({ site, layer }) => (layer === null ? t(`inside.site.${site}`) : t(`inside.site.${site === 'attention' ? 'attention' : 'feedForward'}.of`, { layer: number(layer + 1) }));
