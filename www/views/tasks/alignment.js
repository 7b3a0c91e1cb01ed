/**
 * Which words of a sentence its translation was written from: for each token that was written, what the decoder attended to in
 * the source, the mean of all heads and layers.
 */

import { t } from '../../i18n.js';
import { make } from '../dom.js';
import { percent } from './bars.js';

/** @import { Frame } from './frame.js' */

/** A sentence as the model was given it, and what it wrote. @typedef {{ prompt: string, written: string }} Pair */

/** A longer text has so many rows that nobody looks at them. */
const MOST = 40;

/**
 * A part of the page that is computed when it is opened, or nothing for a model that has no source to look at.
 * @param {Frame} frame @param {Pair[]} pairs
 */
export function alignmentOf(frame, pairs) {
  if (!frame.serving?.model.info.encoder || pairs.length === 0) return null;
  const place = make('div', { class: 'task-alignments' });
  const details = make('details', { class: 'task-attention' }, make('summary', { words: 'translate.alignment' }), make('p', { class: 'faded', words: 'translate.alignment.how' }), place);
  details.addEventListener('toggle', () => {
    if (details.open && !place.hasChildNodes()) void fill(frame, pairs.slice(0, MOST), place);
  });
  return details;
}

/** @param {Frame} frame @param {Pair[]} pairs @param {HTMLElement} place */
async function fill(frame, pairs, place) {
  await frame.run(
    async ({ model, signal }) => {
      for (const { prompt, written } of pairs) {
        const found = await model.inspect(prompt, { target: written, crossAttentions: true, topK: 0, signal });
        const rows = meanOf(found.crossAttentions, found.labels?.length ?? 0, found.source?.tokens.length ?? 0);
        if (found.source && found.labels) place.append(pairOf(found.source.tokens, found.labels, rows));
      }
    },
    { quiet: true },
  );
}

/** The mean of all heads: a row for each token that was written. @param {Float32Array | undefined} values  [heads of all layers, n, m] @param {number} n @param {number} m */
function meanOf(values, n, m) {
  const heads = values && n * m > 0 ? values.length / (n * m) : 0;
  return Array.from({ length: n }, (_, row) =>
    Array.from({ length: m }, (_, column) => {
      let sum = 0;
      for (let head = 0; head < heads; head += 1) sum += values?.[(head * n + row) * m + column] ?? 0;
      return heads > 0 ? sum / heads : 0;
    }),
  );
}

/** @param {{ text: string }[]} source @param {{ text: string }[]} written @param {number[][]} rows */
function pairOf(source, written, rows) {
  const above = source.map(({ text }) => make('span', { class: 'task-look', text: text.trim() || text }));
  const buttons = written.map(({ text }, i) => {
    const row = rows[i] ?? [];
    const best = [...row.keys()].sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0)).slice(0, 3);
    const from = best.map((j) => `${source[j]?.text.trim()} ${percent(row[j] ?? 0)}`).join(', ');
    const button = make('button', { type: 'button', class: 'task-word', tabindex: i === 0 ? '0' : '-1', text: text.trim() || text, title: from, on: { focus: () => show(i), mouseenter: () => show(i), click: () => show(i) } });
    return button;
  });
  const told = make('p', { class: 'faded', role: 'status' });
  const show = (/** @type {number} */ chosen) => {
    const row = rows[chosen] ?? [];
    const most = Math.max(...row, 1e-9);
    for (const [j, part] of above.entries()) part.style.setProperty('--share', String((row[j] ?? 0) / most));
    for (const [i, button] of buttons.entries()) button.setAttribute('aria-pressed', String(i === chosen));
    told.textContent = t('translate.alignment.from', { word: written[chosen]?.text.trim() ?? '', from: buttons[chosen]?.title ?? '' });
  };
  const below = make('p', { class: 'task-words', dir: 'auto', translate: 'no' }, ...buttons.flatMap((button) => [button, ' ']));
  below.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step ? buttons[buttons.findIndex((one) => one === document.activeElement) + step] : undefined;
    if (!next) return;
    event.preventDefault();
    for (const button of buttons) button.setAttribute('tabindex', button === next ? '0' : '-1');
    next.focus();
  });
  return make('div', { class: 'task-aligned' }, make('p', { class: 'task-looks', dir: 'auto', translate: 'no' }, ...above.flatMap((part) => [part, ' '])), below, told);
}
