/** The loss curve: every step faintly, their running mean, the held-out text as points, and what blind guessing would cost. */

import { number, t } from '../../i18n.js';
import { draw, make } from '../dom.js';

/** @import { History } from './session.js' */

const HEIGHT = 280;
const MARGIN = { left: 46, right: 12, top: 12, bottom: 28 };
/** More points than this are one another's neighbours on the screen. */
const MOST_POINTS = 600;
/** The running mean forgets a step after about so many. */
const MEAN_OVER = 8;

export class Curve {
  #svg = draw('svg', { class: 'curve', role: 'img', id: 'train-curve' });
  root = make('div', { class: 'train-curve' });
  #width = 600;
  /** @type {() => void} */ #again = () => {};

  constructor() {
    this.root.append(this.#svg);
    new ResizeObserver(([entry]) => {
      this.#width = Math.max(240, entry?.contentRect.width ?? 600);
      this.#again();
    }).observe(this.root);
  }

  /**
   * @param {History} history @param {{ maxSteps: number, choices: number, scale: number }} frame  `scale` turns nats
   * per token into what is shown
   */
  show(history, { maxSteps, choices, scale }) {
    this.#again = () => this.show(history, { maxSteps, choices, scale });
    const width = this.#width;
    const train = thin(history.train);
    const heldOut = history.heldOut.map(({ step, natsPerToken }) => ({ step, value: natsPerToken * scale }));
    const blind = Math.log(Math.max(2, choices)) * scale;
    const values = [...train.map(({ loss }) => loss * scale), ...heldOut.map(({ value }) => value)];
    const top = Math.max(blind, ...values) * 1.04;
    const lowest = Math.min(blind, ...values);
    const bottom = lowest > top / 2 ? Math.floor(lowest * 0.8) : 0;
    const last = Math.max(1, maxSteps, history.last?.step ?? 0);
    const x = (/** @type {number} */ step) => MARGIN.left + ((width - MARGIN.left - MARGIN.right) * step) / last;
    const y = (/** @type {number} */ value) =>
      MARGIN.top + ((HEIGHT - MARGIN.top - MARGIN.bottom) * (top - value)) / (top - bottom);
    const path = (/** @type {{ step: number, value: number }[]} */ points) =>
      points.map(({ step, value }) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(' ');

    const grid = ticks(bottom, top, 5).map((value) =>
      draw(
        'g',
        { class: 'tick' },
        draw('line', { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
        draw(
          'text',
          { x: MARGIN.left - 6, y: y(value) + 4, 'text-anchor': 'end' },
          number(value, { maximumFractionDigits: 2 }),
        ),
      ),
    );
    const feet = ticks(0, last, Math.max(2, Math.floor(width / 120))).map((step) =>
      draw(
        'text',
        { class: 'foot', x: x(step), y: HEIGHT - 8, 'text-anchor': step > 0.95 * last ? 'end' : 'middle' },
        number(step),
      ),
    );
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute('height', String(HEIGHT));
    this.#svg.replaceChildren(
      ...grid,
      ...feet,
      draw('line', { class: 'blind', x1: MARGIN.left, x2: width - MARGIN.right, y1: y(blind), y2: y(blind) }),
      draw(
        'text',
        { class: 'blind', x: width - MARGIN.right, y: y(blind) + 14, 'text-anchor': 'end' },
        t('train.curve.blind', { count: choices }),
      ),
      draw('polyline', { class: 'raw', points: path(train.map(({ step, loss }) => ({ step, value: loss * scale }))) }),
      draw('polyline', { class: 'mean', points: path(train.map(({ step, mean }) => ({ step, value: mean * scale }))) }),
      draw('polyline', { class: 'heldout', points: path(heldOut) }),
      ...heldOut.map(({ step, value }) => draw('circle', { class: 'heldout', cx: x(step), cy: y(value), r: 3.5 })),
    );
    const [first, latest] = [heldOut[0], heldOut.at(-1)];
    this.#svg.setAttribute(
      'aria-label',
      t('train.curve.label', {
        step: history.last?.step ?? 0,
        loss: train.length > 0 ? number((train.at(-1)?.mean ?? 0) * scale, { maximumFractionDigits: 2 }) : '–',
        first: first ? number(first.value, { maximumFractionDigits: 2 }) : '–',
        latest: latest ? number(latest.value, { maximumFractionDigits: 2 }) : '–',
      }),
    );
  }
}

/** Every step with the running mean up to it, and of many steps some. @param {History['train']} steps */
function thin(steps) {
  let [sum, weight] = [0, 0];
  const all = steps.map(({ step, loss }) => {
    const keep = 1 - 1 / MEAN_OVER;
    [sum, weight] = [sum * keep + loss, weight * keep + 1];
    return { step, loss, mean: sum / weight };
  });
  const every = Math.ceil(all.length / MOST_POINTS);
  return all.filter((_, i) => i % every === 0 || i === all.length - 1);
}

/** Round numbers between two others. @param {number} low @param {number} high @param {number} most */
function ticks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
  return found;
}
