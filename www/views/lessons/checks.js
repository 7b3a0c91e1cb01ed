/** Answers, checked against the model that is loaded: what it says is the solution, whoever is right. */

import { number, t } from '../../i18n.js';
import { settledAfter } from '../inside/layers.js';
import { percent, visible } from '../inside/words.js';

/** @import { Model } from '../../inkling.js' */
/** @import { Check } from '../../lessons/plan.js' */

/** Whether the answer is the model's, and what that is, in words. @typedef {{ right: boolean, told: string }} Verdict */

/** The text of a question for a model that writes this language. @param {Record<string, any>} texts @param {string} language */
export const inLanguage = (texts, language) => texts[language.split('-')[0] ?? ''] ?? texts.en;

/** What a question is about: one text, or several. @param {Check} check @param {string} language @returns {string | string[]} */
export const aboutOf = (check, language) => inLanguage('text' in check ? check.text : check.texts, language);

/** Han characters follow one another without a space. @param {string} text */
const spaced = (text) => (/^\p{Script=Han}/u.test(text) ? text : ` ${text.trimStart()}`);

/** @param {Model} model @param {string} text */
const countOf = async (model, text) => (await model.tokenize(text)).filter(({ start, end }) => end > start).length;

/**
 * @param {Model} model @param {Check} check @param {string} language  that the model writes
 * @param {string} answer  a number, a word, or the place of a choice
 * @returns {Promise<Verdict>}
 */
export async function verdict(model, check, language, answer) {
  switch (check.kind) {
    case 'tokens': {
      const count = await countOf(model, inLanguage(check.text, language));
      return { right: Number(answer) === count, told: t('lessons.told.tokens', { count }) };
    }
    case 'rank': {
      const prompt = inLanguage(check.text, language);
      const whole = prompt + spaced(answer);
      const scored = await model.score(whole, { top: 3 });
      // Signs that a tokenizer puts before a text are no part of the prompt's count.
      const signs = scored.length - (await countOf(model, whole));
      const token = scored[signs + (await countOf(model, prompt))];
      const best = token?.top?.[0];
      if (!token || token.rank === undefined || !best) return { right: false, told: t('lessons.told.nothing') };
      const values = { text: visible(token.text), rank: number(token.rank + 1), probability: percent(token.probability ?? 0), best: visible(best.text), most: percent(best.probability) };
      return { right: token.rank === 0, told: t(token.rank === 0 ? 'lessons.told.first' : 'lessons.told.rank', values) };
    }
    case 'likelier': {
      const ways = inLanguage(check.ways, language);
      const logs = await model.continuations(inLanguage(check.text, language), ways);
      const best = logs.indexOf(Math.max(...logs));
      return { right: Number(answer) === best, told: ways.map((/** @type {string} */ way, /** @type {number} */ i) => `${way.trim()} ${percent(Math.exp(logs[i] ?? 0))}`).join(', ') };
    }
    case 'entropy': {
      const texts = inLanguage(check.texts, language);
      const found = await Promise.all(texts.map(async (/** @type {string} */ text) => (await model.inspect(text, { topK: 1 })).entropy));
      const best = found.indexOf(Math.max(...found));
      return { right: Number(answer) === best, told: texts.map((/** @type {string} */ text, /** @type {number} */ i) => `“${text}” ${t('inside.bits', { bits: number(found[i], { maximumFractionDigits: 1 }) })}`).join(', ') };
    }
    case 'layers': {
      const { logitLens = [] } = await lastLens(model, inLanguage(check.text, language));
      const settled = settledAfter(logitLens);
      return { right: Number(answer) === settled, told: t('lessons.told.layers', { layer: number(settled) }) };
    }
    default:
      return { right: false, told: '' };
  }
}

/** @param {Model} model @param {string} text */
async function lastLens(model, text) {
  const { ids } = await model.inspect(text, { topK: 1 });
  return model.inspect(ids, { logitLens: { top: 1, positions: [ids.length - 1] }, topK: 1 });
}
