/** How tokens, numbers and colours are shown: the same in every panel. */

import { number, t } from '../../i18n.js';
import { make } from '../dom.js';

/** @typedef {{ id: number, text: string }} TokenLike */

/** Characters that show nothing of themselves, and what stands for them. @type {[RegExp, string][]} */
const SIGNS = [
  [/\r\n?|\n/g, '⏎'],
  [/\t/g, '⇥'],
  [/ /g, '␣'],
  [/[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}]/gu, '·'],
  [/\ufffd/g, '▯'],
];

/** A token as text in which nothing is invisible. A space before a word is what most tokens begin with, and stays light. @param {string} text */
export function visible(text) {
  const shown = SIGNS.reduce((words, [what, sign]) => words.replace(what, sign), text);
  return shown === '' ? '∅' : shown;
}

/** The same on a page. Direction is each token's own. @param {string} text @param {Record<string, unknown>} [about] */
export const tokenText = (text, about = {}) => make('bdi', { class: 'token-text', translate: 'no', text: visible(text), ...about });

/** @param {number} value */
export const percent = (value) =>
  number(value, { style: 'percent', maximumFractionDigits: value >= 0.1 ? 0 : value >= 0.001 ? 1 : 3 });

/** @param {number} value */
export const precise = (value) =>
  Number.isFinite(value) ? number(value, { maximumSignificantDigits: 4, useGrouping: false }) : '–';

/** @param {number} value */
export const bits = (value) => t('inside.bits', { bits: number(value, { maximumFractionDigits: 2 }) });

/** A list of choices as buttons of which one is pressed. @param {string} label @param {[string, string][]} options  value, words @param {string} value @param {(value: string) => void} onChange */
export function choices(label, options, value, onChange) {
  const group = make('div', { class: 'inside-choices', role: 'group', 'aria-label': label });
  for (const [name, words] of options) {
    const button = make('button', {
      type: 'button',
      text: words,
      'data-value': name,
      'aria-pressed': String(name === value),
      on: {
        click: () => {
          for (const other of group.children) other.setAttribute('aria-pressed', String(other === button));
          onChange(name);
        },
      },
    });
    group.append(button);
  }
  return group;
}

/** A list of which one is chosen, with its label before it. @param {string} label @param {[string, string][]} options  value, words @param {string} value @param {(value: string) => void} onChange */
export function picker(label, options, value, onChange) {
  const list = make('select', { on: { change: () => onChange(list.value) } }, ...options.map(([name, text]) => make('option', { value: name, text })));
  list.value = value;
  return make('label', { class: 'inside-select' }, make('span', { text: label }), list);
}

/** The options of a picker that counts from one. @param {number} count @returns {[string, string][]} */
export const counted = (count) => Array.from({ length: count }, (_, i) => [String(i), number(i + 1)]);

/** A length from 0 to 1 as a bar with the number beside it. @param {number} share @param {string} words @param {string} [kind] */
export function bar(share, words, kind = '') {
  const fill = make('span', { class: `inside-fill ${kind}` });
  fill.style.setProperty('--share', String(Math.min(1, Math.max(0, share))));
  return make('span', { class: 'inside-bar' }, fill, make('span', { class: 'inside-number', text: words }));
}

/**
 * Colours of a page as its theme has them: a ramp from paper to ink through blue, in steps of lightness that a bad projector
 * and colour-blind eyes tell apart, and its two ends for numbers below and above zero.
 */
export class Colours {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    const read = (/** @type {string} */ name) => parse(style.getPropertyValue(name));
    this.paper = read('--paper');
    this.ink = read('--ink');
    this.line = read('--line');
    this.above = read('--above');
    this.below = read('--below');
  }

  /** @param {number} share  0 to 1 */
  ramp(share) {
    const at = Math.min(1, Math.max(0, share));
    return at < 0.6 ? mix(this.paper, this.line, at / 0.6) : mix(this.line, this.ink, ((at - 0.6) / 0.4) * 0.75);
  }

  /** @param {number} share  -1 to 1 */
  signed(share) {
    return mix(this.paper, share < 0 ? this.below : this.above, Math.min(1, Math.abs(share)));
  }
}

/** @typedef {[number, number, number]} Rgb */

/** @param {string} hex @returns {Rgb} */
function parse(hex) {
  const digits = hex.trim().replace('#', '');
  const at = (/** @type {number} */ i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16) || 0;
  return [at(0), at(1), at(2)];
}

/** @param {Rgb} from @param {Rgb} to @param {number} share @returns {Rgb} */
const mix = (from, to, share) =>
  /** @type {Rgb} */ (from.map((value, i) => Math.round(value + ((to[i] ?? 0) - value) * share)));

/** @param {Rgb} colour */
export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/** The theme has changed, and what was painted with it is to be painted again. @param {() => void} listener @returns {() => void} no more of it */
export function onTheme(listener) {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  return () => observer.disconnect();
}
