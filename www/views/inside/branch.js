/**
 * The Branch panel: one token at a time, any alternative to take, and all that was tried as a tree to walk, compare and undo.
 * Beams grow in the same tree. Above it the text, each token as surprising as the model found it.
 */

import { number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { figure } from './figure.js';
import { Colours, bar, css, onTheme, percent, precise, tokenText, visible } from './words.js';

/** @import { ScoredToken } from '../../inspection.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

const ALTERNATIVES = 8;
const BEAMS = 3;
const BEAM_STEPS = 8;

/**
 * A token that was taken: how likely it was after those before it. `beams`: by the steps of the search at which a beam went
 * through it, that beam's place.
 * @typedef {{ id: number, text: string, probability: number, parent: Twig | null, children: Twig[], beams: Map<number, number> }} Twig
 */

export class Panel {
  #heat = make('p', { class: 'inside-heat', dir: 'auto' });
  #expected = make('div', { class: 'inside-detail', role: 'status' });
  #path = make('p', { class: 'inside-path', dir: 'auto', role: 'status' });
  #alternatives = make('ol', { class: 'inside-alternatives', label: 'inside.branch.alternatives' });
  #tree = make('div', { class: 'inside-tree' });
  #bar = make('div', { class: 'inside-line' });
  /** How many steps the search for beams had, and after which of them it is shown. */ #steps = 0;
  #step = 0;
  #said = make('span');
  #slider = make('input', { type: 'range', id: 'branch-step', min: 1, on: { input: () => this.#showStep(Number(this.#slider.value)) } });
  #search = make('div', { class: 'inside-search', hidden: true }, make('p', { class: 'faded', words: 'inside.branch.search' }), make('label', { for: 'branch-step' }, this.#said), this.#slider);
  /** @type {ScoredToken[]} */ #scored = [];
  /** @type {Twig} */ #root = twig(-1, '', 1, null);
  /** Where the person stands. */ #at = this.#root;
  /** Takes the likeliest of what may come there. @type {(() => Promise<void>) | null} */ #likeliest = null;
  #heatFigure = figure('inside.branch.heat', [this.#heat], () => this.#heatTable());
  #treeFigure = figure('inside.branch.tree', [this.#tree], () => this.#treeTable());

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    this.root = make(
      'div',
      { class: 'inside-branch' },
      make('h4', { words: 'inside.branch.heat' }),
      this.#heatFigure.root,
      this.#expected,
      make('h4', { words: 'inside.branch.step' }),
      this.#path,
      this.#alternatives,
      this.#bar,
      make('h4', { words: 'inside.branch.tree' }),
      this.#search,
      this.#treeFigure.root,
    );
    this.close = onTheme(() => this.#showHeat());
    this.relabel();
  }

  relabel() {
    const button = (/** @type {string} */ id, /** @type {import('../../i18n.js').Key} */ words, /** @type {() => void} */ run) =>
      make('button', { type: 'button', id: `branch-${id}`, words, on: { click: run } });
    this.#bar.replaceChildren(
      button('likeliest', 'inside.branch.likeliest', () => this.#likeliest && this.#do(this.#likeliest)),
      button('undo', 'inside.branch.undo', () => this.#do(() => this.#walk(this.#at.parent ?? this.#root))),
      button('beams', 'inside.branch.beams', () => this.#do(() => this.#beams())),
      button('keep', 'inside.branch.keep', () => this.frame.setText(this.subject.text + this.#textOf(this.#at))),
      button('clear', 'inside.branch.clear', () => this.#do(() => this.#clear())),
    );
    this.#tellStep();
  }

  /** @param {() => Promise<void>} work */
  #do(work) {
    void this.frame.run(work);
  }

  async update() {
    this.#scored = await this.subject.score();
    this.#showHeat();
    await this.#clear();
  }

  async #clear() {
    this.#root = twig(-1, '', 1, null);
    [this.#steps, this.#step] = [0, 0];
    this.#search.hidden = true;
    await this.#walk(this.#root);
  }

  // ---- the text that is there ----

  #showHeat() {
    const colours = new Colours();
    this.#heat.replaceChildren(
      ...this.#scored.map((token, i) => {
        const surprise = token.probability === undefined ? 0 : Math.min(1, -Math.log2(Math.max(token.probability, 1e-9)) / 12);
        const piece = make(
          'button',
          { type: 'button', class: 'inside-surprise', disabled: token.probability === undefined, on: { click: () => this.#showExpected(i), focus: () => this.#showExpected(i) } },
          tokenText(token.text),
        );
        const colour = colours.ramp(surprise * 0.75);
        piece.style.backgroundColor = css(colour);
        piece.style.color = css(contrast(colour));
        if (token.probability !== undefined) piece.setAttribute('aria-label', `${visible(token.text)}: ${percent(token.probability)}`);
        return piece;
      }),
    );
    this.#heatFigure.update();
    this.#expected.replaceChildren(make('p', { class: 'faded', words: 'inside.branch.heat.choose' }));
  }

  /** What was expected in place of a token. @param {number} i */
  #showExpected(i) {
    const token = this.#scored[i];
    if (!token?.top || token.probability === undefined || token.rank === undefined) return;
    const most = token.top[0]?.probability ?? 1;
    const rows = token.top.map((candidate) =>
      make(
        'li',
        { 'data-chosen': candidate.id === token.id },
        tokenText(candidate.text),
        bar(candidate.probability / most, percent(candidate.probability)),
        candidate.id === token.id
          ? null
          : make('button', { type: 'button', words: 'inside.branch.instead', on: { click: () => this.#instead(i, candidate.text) } }),
      ),
    );
    this.#expected.replaceChildren(
      make('p', { text: t('inside.branch.was', { text: visible(token.text), probability: percent(token.probability), rank: number(token.rank + 1) }) }),
      make('ol', { class: 'inside-alternatives' }, ...rows),
    );
  }

  /** The text up to a token, and another one in its place. @param {number} i @param {string} words */
  #instead(i, words) {
    const before = this.#scored.slice(0, i);
    // Special tokens at the beginning are the tokenizer's, not the person's.
    const text = before.filter(({ text }, at) => at > 0 || this.subject.text.startsWith(text)).map(({ text }) => text).join('');
    this.frame.setText(text + words);
  }

  // ---- the tree ----

  /** @param {Twig} at */
  #idsTo(at) {
    /** @type {number[]} */
    const ids = [];
    for (let node = at; node.parent; node = node.parent) ids.unshift(node.id);
    return ids;
  }

  /** @param {Twig} at */
  #textOf(at) {
    let text = '';
    for (let node = at; node.parent; node = node.parent) text = node.text + text;
    return text;
  }

  /** Goes to a place in the tree and asks what may come there. @param {Twig} at */
  async #walk(at) {
    this.#at = at;
    const { model, signal } = this.subject;
    if (!model) return;
    const ids = [...this.subject.ids, ...this.#idsTo(at)];
    const { candidates } = await model.choice(ids, { do_sample: false, shown: ALTERNATIVES, signal });
    const most = candidates[0]?.probabilities[0] ?? 1;
    const focused = this.#alternatives.contains(document.activeElement);
    this.#path.replaceChildren(
      make('span', { class: 'faded', text: tail(this.subject.text) }),
      make('strong', {}, this.#textOf(at) === '' ? '▏' : this.#textOf(at)),
    );
    this.#alternatives.replaceChildren(
      ...candidates.map(({ id, text, probabilities }, nth) => {
        const probability = probabilities[0] ?? 0;
        const grow = () => this.#walk(child(this.#at, id, text, probability));
        if (nth === 0) this.#likeliest = grow;
        const button = make('button', { type: 'button', 'data-id': id, on: { click: () => this.#do(grow) } }, tokenText(text), bar(probability / most, percent(probability)));
        return make('li', {}, button);
      }),
    );
    if (focused) this.#alternatives.querySelector('button')?.focus();
    for (const [name, possible] of /** @type {[string, boolean][]} */ ([['undo', at.parent !== null], ['keep', at.parent !== null], ['clear', this.#root.children.length > 0]])) {
      const button = this.#bar.querySelector(`#branch-${name}`);
      if (button instanceof HTMLButtonElement) button.disabled = !possible;
    }
    this.#showTree();
  }

  /** Beam search from here: every beam there was at any step is a branch of the tree. */
  async #beams() {
    const { model, signal } = this.subject;
    if (!model) return;
    const from = this.#at;
    const ids = [...this.subject.ids, ...this.#idsTo(from)];
    /** The beams after each step, best first. @type {number[][][]} */
    const steps = [];
    for await (const event of model.generate(ids, { num_beams: BEAMS, num_return_sequences: BEAMS, max_new_tokens: BEAM_STEPS, do_sample: false, signal })) {
      if (event.type === 'preview') steps.push(event.beams.map((beam) => beam.ids));
      if (event.type !== 'done') continue;
      // The end is a step of its own where a beam ended, or went on.
      const last = event.sequences.map((sequence) => sequence.ids);
      if (String(last) !== String(steps.at(-1))) steps.push(last);
    }
    // One that another goes on from needs no look of its own.
    const paths = new Set(steps.flat().map(String));
    const longest = [...paths].filter((path) => ![...paths].some((other) => other.startsWith(`${path},`)));
    for (const path of longest) {
      const scored = await model.score([...ids, ...path.split(',').map(Number)], { top: 1, signal });
      let node = from;
      for (const { id, text, probability = 0 } of scored.slice(ids.length)) node = child(node, id, text, probability);
    }
    forget(this.#root);
    for (const [step, beams] of steps.entries()) {
      for (const [rank, beam] of beams.entries()) {
        let node = /** @type {Twig | undefined} */ (from);
        for (const id of beam) {
          node = node?.children.find((other) => other.id === id);
          if (node && !node.beams.has(step + 1)) node.beams.set(step + 1, rank);
        }
      }
    }
    this.#steps = steps.length;
    this.#slider.max = String(steps.length);
    this.#slider.value = String(steps.length);
    this.#search.hidden = steps.length < 2;
    this.#step = steps.length;
    this.#tellStep();
    await this.#walk(from);
  }

  /** The search as it was after so many steps. @param {number} step */
  #showStep(step) {
    this.#step = step;
    this.#tellStep();
    this.#showTree();
  }

  #tellStep() {
    this.#said.textContent = t('inside.branch.search.step', { step: number(this.#step), steps: number(this.#steps) });
  }

  /** Whether a twig is there yet: the person's own always are. @param {Twig} node */
  #isGrown({ beams }) {
    return beams.size === 0 || Math.min(...beams.keys()) <= this.#step;
  }

  #showTree() {
    /** @param {Twig[]} twigs @returns {HTMLElement} */
    const list = (twigs) =>
      make(
        'ul',
        {},
        ...twigs.map((node) => {
          const here = node === this.#at;
          // A stretch without a fork is one line.
          const line = [node];
          const next = () => (line.at(-1)?.children ?? []).filter((other) => this.#isGrown(other));
          while (next().length === 1 && line.at(-1) !== this.#at) line.push(...next());
          const last = /** @type {Twig} */ (line.at(-1));
          const steps = line.map((step) =>
            make(
              'button',
              { type: 'button', 'aria-current': step === this.#at ? 'true' : null, 'data-beam': step.beams.get(this.#step) ?? null, 'data-dropped': step.beams.size > 0 && !step.beams.has(this.#step), title: percent(step.probability), on: { click: () => this.#do(() => this.#walk(step)) } },
              tokenText(step.text),
            ),
          );
          return make('li', { 'data-here': here }, ...steps, make('small', { class: 'faded', text: ` ${percent(likelihood(last))}` }), next().length > 0 ? list(next()) : null);
        }),
      );
    this.#tree.replaceChildren(this.#root.children.length > 0 ? list(this.#root.children) : make('p', { class: 'faded', words: 'inside.branch.tree.none' }));
    this.#treeFigure.update();
  }

  #heatTable() {
    return {
      head: [t('inside.table.token'), t('inside.table.probability'), t('inside.table.rank'), t('inside.table.entropy')],
      rows: this.#scored.map(({ text, probability, rank, entropy }) => [visible(text), probability === undefined ? '' : precise(probability), rank === undefined ? '' : rank + 1, entropy === undefined ? '' : precise(entropy)]),
    };
  }

  /** The ends of all branches, the likeliest first. */
  #treeTable() {
    /** @type {Twig[]} */
    const leaves = [];
    const visit = (/** @type {Twig} */ node) => (node.children.length > 0 ? node.children.forEach(visit) : node.parent && leaves.push(node));
    visit(this.#root);
    leaves.sort((a, b) => likelihood(b) - likelihood(a));
    return {
      head: [t('inside.table.text'), t('inside.table.tokens'), t('inside.table.probability'), t('inside.table.log')],
      rows: leaves.map((leaf) => [this.#textOf(leaf), this.#idsTo(leaf).length, precise(likelihood(leaf)), precise(Math.log(likelihood(leaf)))]),
    };
  }
}

/** @param {number} id @param {string} text @param {number} probability @param {Twig | null} parent @returns {Twig} */
const twig = (id, text, probability, parent) => ({ id, text, probability, parent, children: [], beams: new Map() });

/** The child with a token, made where there is none. @param {Twig} parent @param {number} id @param {string} text @param {number} probability */
function child(parent, id, text, probability) {
  const known = parent.children.find((other) => other.id === id);
  if (known) return known;
  const made = twig(id, text, probability, parent);
  parent.children.push(made);
  return made;
}

/** No beam ever went through this or what grows from it. @param {Twig} node */
function forget(node) {
  node.beams.clear();
  node.children.forEach(forget);
}

/** Of all from the text to here. @param {Twig} at */
function likelihood(at) {
  let product = 1;
  for (let node = at; node.parent; node = node.parent) product *= node.probability;
  return product;
}

/** The end of a text. @param {string} text */
const tail = (text) => (text.length > 160 ? `…${text.slice(-160)}` : text);

/** Black or white, whichever is easier to read on it. @param {[number, number, number]} colour @returns {[number, number, number]} */
const contrast = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? [20, 20, 20] : [255, 255, 255]);

