/** A question of a lesson: a field or choices, and what the model says to the answer. */

import { t } from '../../i18n.js';
import { make } from '../dom.js';
import { aboutOf, inLanguage, verdict } from './checks.js';

/** @import { Model } from '../../inkling.js' */
/** @import { Check } from '../../lessons/plan.js' */

/** @typedef {{ question?: string, right?: string, wrong?: string }} QuestionWords */

/**
 * @param {Check} check @param {QuestionWords} words @param {{ model: () => Model | null, language: () => string }} asked
 */
export function questionOf(check, words, { model, language }) {
  const shown = aboutOf(check, language());
  const text = Array.isArray(shown) ? '' : shown;
  const options = check.kind === 'likelier' ? inLanguage(check.ways, language()) : check.kind === 'entropy' ? shown : null;
  const result = make('p', { class: 'lesson-result', role: 'status' });
  const numeric = check.kind === 'tokens' || check.kind === 'layers';
  const field = make('input', { type: numeric ? 'number' : 'text', min: numeric ? 0 : null, id: 'lesson-answer', autocomplete: 'off', autocapitalize: 'none', dir: 'auto' });
  const forget = () => {
    delete result.dataset.right;
    result.textContent = '';
  };
  field.addEventListener('input', forget);
  const answer = async (/** @type {string} */ given) => {
    const now = model();
    forget();
    if (given.trim() === '' || !field.reportValidity()) return void field.focus();
    if (!now) return void (result.textContent = t('inside.waiting'));
    result.textContent = '…';
    try {
      const { right, told } = await verdict(now, check, language(), given);
      result.dataset.right = String(right);
      result.textContent = [right ? words.right : words.wrong, told].filter(Boolean).join(' ');
    } catch (error) {
      result.textContent = t('inside.error', { message: error instanceof Error ? error.message : String(error) });
    }
    return undefined;
  };
  const asked = make('p', { class: 'lesson-question', text: (words.question ?? '').replace('{text}', text) });
  if (options) {
    const buttons = options.map((/** @type {string} */ option, /** @type {number} */ i) => make('button', { type: 'button', class: 'lesson-option', text: option.trim(), on: { click: () => void answer(String(i)) } }));
    return make('div', { class: 'lesson-check' }, asked, make('div', { class: 'inside-line', role: 'group', 'aria-label': words.question ?? '' }, ...buttons), result);
  }
  asked.id = 'lesson-asked';
  field.setAttribute('aria-labelledby', 'lesson-asked');
  return make(
    'form',
    { class: 'lesson-check', on: { submit: (event) => (event.preventDefault(), void answer(field.value)) } },
    asked,
    make('div', { class: 'inside-line' }, field, make('button', { type: 'submit', class: 'primary', words: 'lessons.check' })),
    result,
  );
}
