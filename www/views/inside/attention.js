/**
 * The Attention panel: every head in small, one head as a matrix and as arcs over the tokens, and heads switched off to see what
 * the prediction owes to them.
 */

import { number, t } from '../../i18n.js';
import { draw, make } from '../dom.js';
import { figure } from './figure.js';
import { Colours, bar, choices, counted, css, onTheme, percent, picker, precise, tokenText, visible } from './words.js';

/** @import { Candidate, Inspection } from '../../inspection.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

/** Cells a side of a head in small. */
const CELLS = 16;
/** Rows of tokens of the arcs: more would be a fur. */
const MOST_ARCS = 64;

/** @typedef {number | 'mean' | 'max'} Head */

export class Panel {
  #layer = 0;
  /** @type {Head} */ #head = 0;
  /** The token whose attention is followed. */ #row = -1;
  #view = 'matrix';
  #colours = new Colours();
  /** Heads that are off, as "layer head". @type {Set<string>} */ #off = new Set();
  #overview = make('div', { class: 'inside-heads' });
  #controls = make('div', { class: 'inside-line' });
  #canvas = make('canvas', { class: 'inside-matrix', tabindex: '0', role: 'img' });
  #svg = draw('svg', { class: 'inside-arcs', role: 'img' });
  #tokens = make('p', { class: 'inside-row', dir: 'auto' });
  #said = make('p', { class: 'inside-said', role: 'status' });
  #effect = make('div', { class: 'inside-effect' });
  /** Of one head, row by row. @type {Float32Array} */ #values = new Float32Array();
  /** The same in colours, without the frame: pointing at a row must not paint all of it again. @type {HTMLCanvasElement | null} */ #painted = null;
  /** @type {Inspection['overview'] | null} */ #small = null;
  #figure = figure('inside.attention', [this.#canvas, this.#svg], () => this.#table());

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    this.root = make('div', { class: 'inside-attention' }, this.#overview, this.#controls, this.#tokens, this.#figure.root, this.#said, this.#effect);
    this.#canvas.addEventListener('pointermove', (event) => this.#point(event));
    this.#canvas.addEventListener('keydown', (event) => this.#move(event));
    this.#overview.addEventListener('keydown', (event) => this.#fromHeadToHead(event));
    this.close = onTheme(() => this.#paint());
  }

  relabel() {
    this.#label();
  }

  async update() {
    const { model } = this.subject;
    if (!model) return;
    const { layers, heads } = model.info;
    this.#layer = Math.min(this.#layer, layers - 1);
    if (typeof this.#head === 'number') this.#head = Math.min(this.#head, heads - 1);
    for (const name of this.#off) {
      const [layer = 0, head = 0] = name.split(' ').map(Number);
      if (layer >= layers || head >= heads) this.#off.delete(name);
    }
    const { overview } = await this.subject.inspect({ overview: CELLS, topK: 0, without: this.#without() });
    this.#small = overview ?? null;
    this.#showOverview();
    await this.#showHead();
    await this.#showEffect();
  }

  /** @returns {[number, number][]} */
  #without() {
    return [...this.#off].map((name) => /** @type {[number, number]} */ (name.split(' ').map(Number)));
  }

  // ---- every head in small ----

  #showOverview() {
    const small = this.#small;
    if (!small) return;
    const colours = new Colours();
    const { cells, layers, heads, values, habits } = small;
    const focused = /** @type {HTMLElement | null} */ (this.#overview.contains(document.activeElement) ? document.activeElement : null)?.dataset.head;
    this.#overview.style.setProperty('--heads', String(heads));
    this.#overview.replaceChildren();
    for (let layer = 0; layer < layers; layer += 1) {
      const row = make('div', { class: 'inside-heads-row', role: 'group', 'aria-label': t('inside.layer', { layer: number(layer + 1) }) }, make('span', { class: 'faded', text: number(layer + 1) }));
      for (let head = 0; head < heads; head += 1) {
        const at = layer * heads + head;
        const canvas = make('canvas', { width: cells, height: cells });
        paint(canvas, values.subarray(at * cells * cells, (at + 1) * cells * cells), cells, colours);
        const [first = 0, before = 0, itself = 0] = habits.subarray(3 * at, 3 * at + 3);
        const button = make(
          'button',
          {
            type: 'button',
            'data-head': `${layer} ${head}`,
            'aria-pressed': String(layer === this.#layer && head === this.#head),
            'data-off': this.#off.has(`${layer} ${head}`),
            tabindex: layer === this.#layer && head === (typeof this.#head === 'number' ? this.#head : 0) ? '0' : '-1',
            title: t('inside.attention.habits', { layer: number(layer + 1), head: number(head + 1), first: percent(first), before: percent(before), itself: percent(itself) }),
            on: { click: () => this.#choose(layer, head) },
          },
          canvas,
        );
        button.setAttribute('aria-label', button.title);
        row.append(button);
      }
      this.#overview.append(row);
    }
    if (focused) /** @type {HTMLElement | null} */ (this.#overview.querySelector(`[data-head="${focused}"]`))?.focus();
  }

  /** The arrow keys go from head to head, of which one is in the order of the Tab key. @param {KeyboardEvent} event */
  #fromHeadToHead(event) {
    const [down, right] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key] ?? [];
    const { head: at } = /** @type {HTMLElement} */ (event.target).dataset;
    if (down === undefined || right === undefined || at === undefined) return;
    event.preventDefault();
    const [layer = 0, head = 0] = at.split(' ').map(Number);
    const next = /** @type {HTMLElement | null} */ (this.#overview.querySelector(`[data-head="${layer + down} ${head + right}"]`));
    if (!next) return;
    for (const button of this.#overview.querySelectorAll('button')) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  }

  /** @param {number} layer @param {Head} head */
  #choose(layer, head) {
    this.#layer = layer;
    this.#head = head;
    for (const button of this.#overview.querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset.head === `${layer} ${head}`));
    void this.frame.run(() => this.#showHead());
  }

  // ---- one head ----

  async #showHead() {
    const { attention } = await this.subject.inspect({ attention: [{ layer: this.#layer, head: this.#head }], topK: 0, without: this.#without() });
    this.#values = attention[0].values;
    const n = this.subject.tokens.length;
    if (this.#row < 0 || this.#row >= n) this.#row = n - 1;
    this.#paint();
    this.#label();
    this.#figure.update();
  }

  #label() {
    const { model, tokens } = this.subject;
    if (!model) return;
    const { heads, layers } = model.info;
    const name = `${this.#layer} ${this.#head}`;
    this.#controls.replaceChildren(
      picker(t('inside.attention.layer'), counted(layers), String(this.#layer), (value) => this.#choose(Number(value), this.#head)),
      picker(
        t('inside.attention.head'),
        [...counted(heads), ['mean', t('inside.attention.mean')], ['max', t('inside.attention.max')]],
        String(this.#head),
        (value) => this.#choose(this.#layer, value === 'mean' || value === 'max' ? value : Number(value)),
      ),
      choices(t('inside.attention.view'), [['matrix', t('inside.attention.matrix')], ['arcs', t('inside.attention.arcs')]], this.#view, (view) => ((this.#view = view), this.#paint())),
      ...(typeof this.#head === 'number'
        ? [make('button', { type: 'button', id: 'attention-off', 'aria-pressed': String(this.#off.has(name)), text: t('inside.attention.off'), on: { click: () => this.#toggle(name) } })]
        : []),
      ...(this.#off.size > 0 ? [make('button', { type: 'button', id: 'attention-on', text: t('inside.attention.on', { count: this.#off.size }), on: { click: () => (this.#off.clear(), this.#again()) } })] : []),
    );
    this.#tokens.replaceChildren(
      ...tokens.map((token, i) => {
        const piece = make('button', { type: 'button', class: 'inside-token', 'data-at': i, tabindex: i === this.#row ? '0' : '-1', on: { click: () => this.#follow(i), pointerenter: () => this.#follow(i), focus: () => this.#follow(i), keydown: (event) => this.#step(event) } }, tokenText(token.text));
        return piece;
      }),
    );
    this.#follow(this.#row);
  }

  /** @param {string} name */
  #toggle(name) {
    if (!this.#off.delete(name)) this.#off.add(name);
    this.#again();
  }

  #again() {
    void this.frame.run(() => this.update());
  }

  /** The arrow keys go along the tokens. @param {KeyboardEvent} event */
  #step(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    /** @type {HTMLElement | undefined} */ (this.#tokens.children[this.#row + step])?.focus();
  }

  /** Shows where a token looks: the darker the other, the more. @param {number} row */
  #follow(row) {
    const { tokens } = this.subject;
    const n = tokens.length;
    if (row < 0 || row >= n || this.#values.length !== n * n) return;
    this.#row = row;
    const colours = this.#colours;
    const weights = this.#values.subarray(row * n, (row + 1) * n);
    for (const [i, piece] of [...this.#tokens.children].entries()) {
      const button = /** @type {HTMLElement} */ (piece);
      button.style.backgroundColor = i <= row ? css(colours.ramp(Math.sqrt(weights[i] ?? 0) * 0.3)) : '';
      button.tabIndex = i === row ? 0 : -1;
      button.toggleAttribute('data-here', i === row);
    }
    const best = [...weights.entries()].sort((a, b) => b[1] - a[1]).slice(0, 3).filter(([, weight]) => weight > 0.01);
    const list = best.map(([i, weight]) => `${visible(tokens[i]?.text ?? '')} (${percent(weight)})`).join(', ');
    this.#said.textContent = t('inside.attention.looks', { text: visible(tokens[row]?.text ?? ''), list });
    if (this.#view === 'arcs') this.#paintArcs();
    else this.#mark();
  }

  /** Everything that depends on the values or the theme. */
  #paint() {
    this.#colours = new Colours();
    const n = this.subject.tokens.length;
    const matrix = this.#view === 'matrix';
    this.#canvas.toggleAttribute('hidden', !matrix);
    this.#svg.toggleAttribute('hidden', matrix);
    if (n === 0 || this.#values.length !== n * n) return;
    const label = t('inside.attention.label', { layer: number(this.#layer + 1), head: this.#headName() });
    this.#canvas.setAttribute('aria-label', label);
    this.#svg.setAttribute('aria-label', label);
    this.#painted = make('canvas', { width: n, height: n });
    paint(this.#painted, this.#values, n, this.#colours);
    this.#follow(this.#row);
  }

  #headName() {
    return typeof this.#head === 'number' ? number(this.#head + 1) : t(`inside.attention.${this.#head}`);
  }

  /** The matrix, with the row that is followed framed. */
  #mark() {
    const n = this.subject.tokens.length;
    const size = Math.max(1, Math.floor(640 / n));
    this.#canvas.width = this.#canvas.height = n * size;
    const context = this.#canvas.getContext('2d');
    if (!context || !this.#painted) return;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#painted, 0, 0, n * size, n * size);
    context.strokeStyle = css(this.#colours.above);
    context.lineWidth = 2;
    context.strokeRect(1, this.#row * size + 1, (this.#row + 1) * size - 2, Math.max(1, size - 2));
  }

  /** Arcs from each token to those it looks at; the followed one's are strong. */
  #paintArcs() {
    const colours = this.#colours;
    const { tokens } = this.subject;
    const n = tokens.length;
    const from = Math.max(0, Math.min(this.#row - MOST_ARCS + 8, n - MOST_ARCS));
    const shown = tokens.slice(from, from + MOST_ARCS);
    const step = 44;
    const width = Math.max(1, shown.length) * step;
    const height = Math.min(320, 60 + width / 4);
    const x = (/** @type {number} */ i) => (i - from) * step + step / 2;
    const arcs = [];
    for (let q = from; q < from + shown.length; q += 1) {
      for (let k = from; k <= q; k += 1) {
        const weight = this.#values[q * n + k] ?? 0;
        if (weight < (q === this.#row ? 0.01 : 0.15) || k === q) continue;
        const rise = Math.min(height - 30, 14 + ((x(q) - x(k)) * (height - 40)) / width);
        const strong = q === this.#row;
        arcs.push(
          draw('path', {
            d: `M${x(k)} ${height - 24}C${x(k)} ${height - 24 - rise * 1.3},${x(q)} ${height - 24 - rise * 1.3},${x(q)} ${height - 24}`,
            fill: 'none',
            stroke: css(strong ? colours.above : colours.line),
            'stroke-width': (strong ? 1 + 6 * weight : 3 * weight).toFixed(2),
            opacity: strong ? 0.95 : 0.35,
          }),
        );
      }
    }
    const names = shown.map((token, i) => draw('text', { x: x(from + i), y: height - 8, 'text-anchor': 'middle', class: from + i === this.#row ? 'here' : '' }, cut(visible(token.text))));
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...arcs, ...names);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const n = this.subject.tokens.length;
    const place = this.#canvas.getBoundingClientRect();
    const row = Math.floor(((event.clientY - place.top) / place.height) * n);
    if (row !== this.#row && row >= 0 && row < n) this.#follow(row);
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.#follow(Math.min(Math.max(this.#row + step, 0), this.subject.tokens.length - 1));
  }

  // ---- heads that are off ----

  async #showEffect() {
    if (this.#off.size === 0) return this.#effect.replaceChildren();
    const [whole, without] = await Promise.all([this.subject.inspect({ topK: 6 }), this.subject.inspect({ topK: 200, without: this.#without() })]);
    const most = Math.max(whole.topK[0]?.probability ?? 1, without.topK[0]?.probability ?? 1);
    const find = (/** @type {Candidate} */ { id }) => without.topK.find((other) => other.id === id)?.probability ?? 0;
    const shown = [...whole.topK, ...without.topK.slice(0, 3).filter(({ id }) => !whole.topK.some((other) => other.id === id))];
    const before = (/** @type {Candidate} */ candidate) => (whole.topK.includes(candidate) ? candidate.probability : 0);
    return this.#effect.replaceChildren(
      make('h4', { text: t('inside.attention.effect', { count: this.#off.size }) }),
      make(
        'ol',
        { class: 'inside-candidates' },
        ...shown.map((candidate) => make('li', {}, tokenText(candidate.text), bar(before(candidate) / most, percent(before(candidate)), 'before'), bar(find(candidate) / most, percent(find(candidate)), 'after'))),
      ),
    );
  }

  #table() {
    const { tokens } = this.subject;
    const n = tokens.length;
    return {
      head: [t('inside.table.token'), ...tokens.map(({ text }, i) => `${i + 1} ${visible(text)}`)],
      rows: tokens.map(({ text }, q) => [`${q + 1} ${visible(text)}`, ...Array.from(this.#values.subarray(q * n, q * n + q + 1), precise)]),
    };
  }
}

/** Weights as pixels, one each; by their roots, so that small ones are seen. @param {HTMLCanvasElement} canvas @param {Float32Array} values @param {number} n @param {Colours} colours */
function paint(canvas, values, n, colours) {
  const image = new ImageData(n, n);
  for (const [i, value] of values.entries()) {
    const above = i % n > Math.floor(i / n);
    const [r, g, b] = colours.ramp(Math.sqrt(value));
    image.data.set([r, g, b, above ? 0 : 255], 4 * i);
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0);
}

/** @param {string} words */
const cut = (words) => ([...words].length > 6 ? `${[...words].slice(0, 5).join('')}…` : words);
