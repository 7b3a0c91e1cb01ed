/** Numbers as the task pages show them. */

import { number } from '../../i18n.js';
import { make } from '../dom.js';

/** A length from 0 to 1 as a bar with the number beside it. @param {number} share @param {string} words */
export function bar(share, words) {
  const fill = make('span', { class: 'task-fill' });
  fill.style.setProperty('--share', String(Math.min(1, Math.max(0, share))));
  return make('span', { class: 'task-bar' }, fill, make('span', { class: 'task-number', text: words }));
}

/** @param {number} value */
export const percent = (value) => number(value, { style: 'percent', maximumFractionDigits: value >= 0.1 ? 0 : 1 });
