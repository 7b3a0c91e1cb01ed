/** What the model looks at from a gap: its attention to every other token, the mean of all heads, layer by layer. */

import { number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { percent } from './bars.js';

/** @import { Frame } from './frame.js' */

/** Of a longer text, so many tokens on either side of the gap are shown. */
const AROUND = 40;

/**
 * A part of the page that is computed when it is opened.
 * @param {Frame} frame @param {string} text @param {number} gap  which one @param {string} mask
 */
export function attentionOf(frame, text, gap, mask) {
  const place = make('div', {});
  const details = make('details', { class: 'task-attention' }, make('summary', { words: 'fill.attention' }), place);
  details.addEventListener('toggle', () => {
    if (details.open && !place.hasChildNodes()) void fill(frame, { text, gap, mask }, place);
  });
  return details;
}

/** @param {Frame} frame @param {{ text: string, gap: number, mask: string }} asked @param {HTMLElement} place */
async function fill(frame, { text, gap, mask }, place) {
  const found = await frame.run(
    async ({ model, signal }) => {
      const layers = Array.from({ length: model.info.layers }, (_, layer) => ({ layer, head: /** @type {const} */ ('mean') }));
      return model.inspect(text, { attention: layers, topK: 0, signal });
    },
    { quiet: true },
  );
  if (!found) return;
  const { tokens } = found;
  const at = tokens.flatMap(({ text: token }, i) => (token === mask ? [i] : []))[gap] ?? -1;
  if (at < 0) return;
  /** @type {Float32Array[]} */
  const layers = found.attention.map((/** @type {{ values: Float32Array }} */ { values }) => values.subarray(at * tokens.length, (at + 1) * tokens.length));
  const mean = tokens.map((_, i) => layers.reduce((sum, row) => sum + (row[i] ?? 0), 0) / layers.length);
  const pick = make('select', { label: 'fill.attention.layer' }, make('option', { value: 'all', words: 'fill.attention.all' }), ...layers.map((_, i) => make('option', { value: i, text: t('fill.attention.of', { number: number(i + 1) }) })));
  const line = make('p', { class: 'task-looks', dir: 'auto', translate: 'no' });
  const show = () => {
    const row = pick.value === 'all' ? mean : (layers[Number(pick.value)] ?? mean);
    const most = Math.max(...row);
    const [from, to] = [Math.max(0, at - AROUND), at + AROUND];
    line.replaceChildren(
      ...tokens.slice(from, to).flatMap(({ text: token }, i) => {
        const share = row[from + i] ?? 0;
        const part = make('span', { class: from + i === at ? 'task-look task-gap' : 'task-look', text: token.trim() || token, title: percent(share) });
        part.style.setProperty('--share', String(share / most));
        return [part, ' '];
      }),
    );
  };
  pick.addEventListener('change', show);
  show();
  // In numbers too, for those who see no shades.
  const order = [...mean.keys()].filter((i) => i !== at).sort((a, b) => (mean[b] ?? 0) - (mean[a] ?? 0)).slice(0, 5);
  const most = order.map((i) => `${tokens[i]?.text.trim()} ${percent(mean[i] ?? 0)}`).join(', ');
  place.append(pick, line, make('p', { class: 'faded', text: t('fill.attention.most', { tokens: most }) }));
}
