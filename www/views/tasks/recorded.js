/**
 * What a page shows while no model serves it, so that one sees what it is for: what a model said when it was asked, with its
 * name, or an example drawn up by hand. Each is marked as what it is.
 */

import { getLanguage, number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { bar } from './bars.js';

/** From all-MiniLM-L6-v2 as PyTorch runs it, on the passages of the page's first example: the last answer is a wrong one. */
const SEARCHED = {
  model: 'all-MiniLM-L6-v2',
  lang: 'en',
  questions: [
    {
      question: 'How do I get to the sea?',
      hits: /** @type {[number, string][]} */ ([
        [0.3385, 'The bus to the coast leaves at half past eight from the market.'],
        [0.1942, 'Please close the windows when it rains.'],
      ]),
    },
    {
      question: 'When are pets awake?',
      hits: /** @type {[number, string][]} */ ([
        [0.5547, 'Cats sleep for most of the day and hunt at dusk.'],
        [0.1891, 'Please close the windows when it rains.'],
      ]),
    },
    {
      question: 'What can I borrow for a rainy afternoon?',
      hits: /** @type {[number, string][]} */ ([
        [0.3652, 'Please close the windows when it rains.'],
        [0.2338, 'The library lends board games, too.'],
      ]),
    },
  ],
};

/** Question, and the text around its answer. @type {Record<string, [string, string, string, string]>} */
const ASKED = {
  en: ['Who built the lighthouse?', 'The lighthouse on Gull Rock was built in 1871 by ', 'two brothers from the village', ', Tom and Edwin Hale. Its lamp burned whale oil until 1923.'],
  zh: ['谁修了桥？', '青石桥建于一八七一年，由', '村里的两兄弟石大和石二', '修成。桥原来是木头的，一九二三年换成了石头。'],
};

/** A text and its summary. @type {Record<string, [string, string]>} */
const SUMMED = {
  en: [
    'The council met on Tuesday to decide about the old swimming pool. It heard three proposals: to repair it for four million, to build a new one for nine, or to close it. After two hours it chose the repair, by eleven votes to eight. The pool is to open again in the autumn of next year.',
    'The council will have the old pool repaired; it opens again next autumn.',
  ],
  zh: ['镇议会周二开会决定老游泳馆的去留。方案有三个：花四百万修缮，花九百万新建，或者关闭。讨论两小时后，议会以十一票对八票决定修缮，明年秋天重新开放。', '议会决定修缮老游泳馆，明年秋天重新开放。'],
};

/** The example of a page, or nothing. @param {string} name @returns {HTMLElement | null} */
export function recorded(name) {
  const language = getLanguage();
  if (name === 'search') {
    const { model, lang, questions } = SEARCHED;
    return marked(t('tasks.recorded', { model }), ...questions.flatMap(({ question, hits }) => [asked(question, lang), ...hits.map(([score, text]) => hit(score, text, lang))]));
  }
  if (name === 'ask') {
    const [question, before, answer, after] = ASKED[language] ?? /** @type {[string, string, string, string]} */ (ASKED.en);
    return marked(t('tasks.byhand'), asked(question, language), make('p', { class: 'task-sequence', translate: 'no' }, before, make('mark', { class: 'model', text: answer }), after));
  }
  if (name === 'summarise') {
    const [text, summary] = SUMMED[language] ?? /** @type {[string, string]} */ (SUMMED.en);
    return marked(t('tasks.byhand'), make('p', { class: 'task-sequence', text }), make('p', { class: 'task-answer', text: summary }));
  }
  return null;
}

/** @param {string} mark @param {HTMLElement[]} parts */
const marked = (mark, ...parts) => make('div', { class: 'task-recorded-body' }, make('p', { class: 'task-mark', text: mark }), ...parts);

/** @param {string} text @param {string} lang */
const asked = (text, lang) => make('p', { class: 'task-label', lang, translate: 'no', text });

/** @param {number} score @param {string} text @param {string} lang */
const hit = (score, text, lang) =>
  make('div', { class: 'task-hit' }, bar(score, number(score, { minimumFractionDigits: 2, maximumFractionDigits: 2 })), make('span', { class: 'task-passage', lang, translate: 'no', text }));
