/** The Next token panel: from the logits to the choice, rule by rule, as the sliders move. */

import { has, number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { figure } from './figure.js';
import { bar, bits, choices, percent, precise, tokenText, visible } from './words.js';

/** @import { Key } from '../../i18n.js' */
/** @import { Choice } from '../../inspection.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

const SHOWN = 16;

/** The sliders: parameter, where it begins, its range; `off` is where it does nothing. */
const SLIDERS = /** @type {const} */ ([
  { name: 'repetition_penalty', value: 1, min: 1, max: 2, step: 0.05, off: 1 },
  { name: 'temperature', value: 0.8, min: 0.1, max: 3, step: 0.05, off: 1 },
  { name: 'top_k', value: 40, min: 0, max: 100, step: 1, off: 0 },
  { name: 'top_p', value: 0.95, min: 0.05, max: 1, step: 0.01, off: 1 },
  { name: 'min_p', value: 0, min: 0, max: 0.5, step: 0.01, off: 0 },
]);

export class Panel {
  #mode = 'sample';
  /** @type {Record<string, number>} */ #values = Object.fromEntries(SLIDERS.map(({ name, value }) => [name, value]));
  #controls = make('div', { class: 'inside-controls' });
  #stages = make('ol', { class: 'inside-stages' });
  #rows = make('ol', { class: 'inside-candidates' });
  #draw = make('div', { class: 'inside-draw' });
  #verdict = make('p', { class: 'inside-verdict', role: 'status' });
  /** @type {Choice | null} */ #choice = null;
  #figure = figure('inside.next', [this.#rows], () => this.#table());

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    this.root = make('div', { class: 'inside-next' }, this.#controls, this.#stages, this.#figure.root, this.#draw, this.#verdict);
    this.#build();
  }

  relabel() {
    this.#build();
  }

  #build() {
    const modes = /** @type {[string, string][]} */ ([
      ['greedy', t('inside.next.greedy')],
      ['sample', t('inside.next.sample')],
      ['beams', t('inside.next.beams')],
    ]);
    const sliders = SLIDERS.map(({ name, min, max, step, off }) => {
      const output = make('output', { text: number(this.#values[name] ?? 0, { maximumFractionDigits: 2 }) });
      const input = make('input', {
        type: 'range',
        id: `next-${name}`,
        min,
        max,
        step,
        on: {
          input: () => {
            this.#values[name] = Number(input.value);
            output.textContent = number(Number(input.value), { maximumFractionDigits: 2 });
            row.toggleAttribute('data-off', Number(input.value) === off);
            this.#again();
          },
        },
      });
      input.value = String(this.#values[name]);
      const label = make('label', { for: `next-${name}` });
      const key = `parameter.${name}.label`;
      label.append(has(key) ? t(/** @type {Key} */ (key)) : name, ' ', make('code', { text: name, translate: 'no' }));
      const row = make('div', { class: 'inside-slider', 'data-off': this.#values[name] === off }, label, input, output);
      return row;
    });
    const seed = make('button', { type: 'button', id: 'next-draw', words: 'inside.next.again', on: { click: () => ((this.subject.seed += 1), this.#again()) } });
    this.#controls.replaceChildren(
      choices(t('inside.next.how'), modes, this.#mode, (mode) => ((this.#mode = mode), this.#again())),
      ...sliders,
      seed,
    );
  }

  #again() {
    void this.frame.run(() => this.update());
  }

  async update() {
    const { repetition_penalty, temperature, top_k, top_p, min_p } = /** @type {Record<typeof SLIDERS[number]['name'], number>} */ (this.#values);
    const sampled = this.#mode === 'sample';
    const config = sampled ? { do_sample: true, temperature, top_k, top_p, seed: this.subject.seed, ...(min_p > 0 ? { min_p } : {}) } : { do_sample: false };
    const choice = await this.subject.choice({ ...config, repetition_penalty, min_new_tokens: 0, no_repeat_ngram_size: 0, num_beams: 1, typical_p: 1, shown: SHOWN });
    this.#choice = choice;
    for (const part of this.#controls.children) {
      if (part.classList.contains('inside-slider') || part.id === 'next-draw') part.toggleAttribute('hidden', !sampled && !part.querySelector('#next-repetition_penalty'));
    }
    this.#showStages(choice);
    this.#showRows(choice);
    this.#showDraw(choice);
    this.#figure.update();
  }

  /** @param {Choice} choice */
  #showStages({ stages }) {
    this.#stages.replaceChildren(
      ...stages.map(({ name, kept, removed, entropy }) =>
        make(
          'li',
          {},
          make('strong', { text: name === 'logits' ? t('inside.next.logits') : name, translate: name === 'logits' ? null : 'no' }),
          make('span', { text: t('inside.next.kept', { count: kept }) }),
          removed > 0 ? make('span', { text: t('inside.next.removed', { share: percent(removed) }) }) : null,
          make('span', { class: 'faded', text: t('inside.next.entropy', { entropy: bits(entropy), like: number(2 ** entropy, { maximumSignificantDigits: 2 }) }) }),
        ),
      ),
    );
  }

  /** @param {Choice} choice */
  #showRows({ candidates, draw, greedy }) {
    const chosen = draw?.id ?? greedy.id;
    // Bars compare with one another, so the longest fills its place.
    const most = Math.max(1e-6, ...candidates.flatMap(({ probabilities }) => [probabilities[0] ?? 0, probabilities.at(-1) ?? 0]));
    this.#rows.replaceChildren(
      ...candidates.map(({ id, text, scores, probabilities }) => {
        const [before, after] = [probabilities[0] ?? 0, probabilities.at(-1) ?? 0];
        const gone = scores.at(-1) === null;
        return make(
          'li',
          { 'data-chosen': id === chosen, 'data-gone': gone },
          tokenText(text, { title: `id ${id}, logit ${precise(scores[0] ?? 0)}` }),
          bar(before / most, percent(before), 'before'),
          bar(after / most, gone ? t('inside.next.gone') : percent(after), 'after'),
        );
      }),
    );
  }

  /** The line on which the draw falls: each token as long as it is likely. @param {Choice} choice */
  #showDraw({ candidates, draw, greedy }) {
    this.#draw.hidden = !draw;
    if (!draw) {
      const verdict = this.#mode === 'beams' ? 'inside.next.verdict.beams' : 'inside.next.verdict.greedy';
      this.#verdict.textContent = t(verdict, { text: visible(greedy.text) });
      return;
    }
    const parts = candidates.filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from);
    const line = make('div', { class: 'inside-draw-line', 'aria-hidden': 'true' });
    for (const [i, { id, text, from, to }] of parts.entries()) {
      const part = make('span', { class: `tint-${i % 4}`, 'data-chosen': id === draw.id, title: `${visible(text)} ${percent(to - from)}` }, to - from > 0.04 ? tokenText(text) : null);
      part.style.setProperty('--from', String(from));
      part.style.setProperty('--share', String(to - from));
      line.append(part);
    }
    const needle = make('span', { class: 'inside-needle' });
    needle.style.setProperty('--from', String(draw.uniform));
    line.append(needle);
    this.#draw.replaceChildren(make('h4', { words: 'inside.next.draw' }), line);
    this.#verdict.textContent = t('inside.next.verdict.sample', {
      uniform: number(draw.uniform, { maximumFractionDigits: 4 }),
      text: visible(draw.text),
      seed: String(this.subject.seed),
    });
  }

  #table() {
    const stages = this.#choice?.stages ?? [];
    return {
      head: [t('inside.table.token'), t('inside.table.id'), t('inside.table.logit'), ...stages.map(({ name }) => (name === 'logits' ? t('inside.table.probability') : name))],
      rows: (this.#choice?.candidates ?? []).map(({ id, text, scores, probabilities }) => [visible(text), id, precise(scores[0] ?? 0), ...probabilities.map(precise)]),
    };
  }
}
