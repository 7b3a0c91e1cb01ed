/** The Ask page: a question about a text, answered by the place in the text that answers it. */

import { onLanguage, t } from '../../i18n.js';
import { make } from '../dom.js';
import { bar, percent } from './bars.js';
import { Frame } from './frame.js';
import { TextField } from './textfield.js';

/** @import { Page } from '../../views.js' */
/** @import { Answer } from '../../tasks.js' */

const ANSWERS = 4;
/** Around an answer, so many characters are shown of a long text. */
const AROUND = 20_000;

/** Language, text, questions. @type {[string, string, string[]][]} */
const EXAMPLES = [
  [
    'en',
    'The lighthouse on Gull Rock was built in 1871 by two brothers from the village, Tom and Edwin Hale. Its lamp burned whale oil until 1923, when it was replaced by an electric one. Since 1988 nobody has lived in the tower. A retired teacher, Mrs Okafor, opens it to visitors on Sundays.',
    ['Who built the lighthouse?', 'When did the lamp become electric?', 'How many steps has the tower?'],
  ],
  [
    'zh',
    '青石桥建于一八七一年，由村里的两兄弟石大和石二修成。桥原来是木头的，一九二三年换成了石头。如今每逢周日，退休教师吴老师会在桥头给游客讲桥的故事。',
    ['谁修了桥？', '桥什么时候换成了石头？', '桥有多长？'],
  ],
  ['en', 'def area(width, height):\n    """Area of a rectangle in square metres."""\n    return width * height', ['What is the unit of the area?']],
];

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  new Ask(root, page);
}

class Ask {
  #context = new TextField('ask-text', { label: 'ask.text', placeholder: 'ask.placeholder', rows: 6 });
  #question = make('input', { id: 'ask-question', type: 'text', dir: 'auto', autocomplete: 'off', placeholder: 'ask.question.placeholder', on: { keydown: (event) => this.#enter(event) } });
  #none = make('input', { id: 'ask-none', type: 'checkbox', checked: true });
  #frame;
  /** The text the shown answers are places in. */ #read = '';

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.#frame = new Frame(root, page, { name: 'ask', tasks: ['question-answering'], main: this.#context });
    const frame = this.#frame;
    frame.work.append(
      this.#context.root,
      make('div', { class: 'task-field' }, make('label', { for: 'ask-question', words: 'ask.question' }), this.#question),
      make('label', { class: 'task-check' }, this.#none, make('span', { words: 'ask.none' })),
    );
    frame.onServing = () => frame.result.replaceChildren();
    frame.onGo = () => void this.#go();
    this.#context.onInput = () => (frame.result.replaceChildren(), frame.copyable(false));
    onLanguage(() => this.#offer());
    this.#offer();
  }

  #offer() {
    this.#frame.offer(EXAMPLES.flatMap(([lang, text, questions]) => questions.map((question) => ({ text: question, lang, run: () => this.#example(text, question, lang) }))));
  }

  /** @param {string} text @param {string} question @param {string} lang */
  #example(text, question, lang) {
    if (this.#context.value !== text) this.#context.set(text, lang);
    this.#question.value = question;
    this.#question.lang = lang;
    void this.#go();
  }

  /** @param {KeyboardEvent} event */
  #enter(event) {
    if (event.key !== 'Enter' || event.isComposing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    void this.#go();
  }

  async #go() {
    const frame = this.#frame;
    const [text, question] = [this.#context.value, this.#question.value.trim()];
    if (text.trim() === '' || question === '') return frame.say('ask.empty');
    frame.result.replaceChildren();
    const found = await frame.run(({ model, signal, progress }) =>
      model.answer(question, text, {
        top_k: ANSWERS,
        max_answer_len: 30,
        handle_impossible_answer: this.#none.checked,
        signal,
        onProgress: ({ done, total }) => progress(done, total),
      }),
    );
    if (found && this.#context.value === text) this.#show(text, Array.isArray(found) ? found : [found]);
    return undefined;
  }

  /** @param {string} text @param {Answer[]} answers */
  #show(text, answers) {
    this.#read = text;
    const [best] = answers;
    if (!best) return this.#frame.say('ask.nothing');
    const place = make('div', { class: 'task-place', dir: 'auto', translate: 'no', tabindex: '0', role: 'region', label: 'ask.place' });
    const list = make('ol', { class: 'task-candidates' });
    for (const answer of answers) {
      const words = answer.answer === '' ? t('ask.no') : answer.answer;
      const button = make('button', { type: 'button', class: 'task-candidate', 'aria-pressed': String(answer === best), on: { click: () => choose(answer, button) } }, make('span', { class: answer.answer === '' ? 'task-token faded' : 'task-token', dir: 'auto', translate: answer.answer === '' ? null : 'no', text: words }), bar(answer.score, percent(answer.score)));
      list.append(make('li', {}, button));
    }
    const choose = (/** @type {Answer} */ answer, /** @type {HTMLElement} */ button) => {
      for (const other of list.querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button));
      this.#point(place, answer);
    };
    const line = make('p', { class: 'task-answer', role: 'status', dir: 'auto' });
    line.textContent = best.answer === '' ? t('ask.no.long') : best.answer;
    this.#frame.result.replaceChildren(line, place, make('h3', { words: 'ask.candidates' }), list);
    this.#frame.copied = () => best.answer;
    this.#frame.copyable(best.answer !== '');
    this.#point(place, best);
    this.#frame.reveal(place);
    return undefined;
  }

  /** Shows the text with an answer in it, where it is. @param {HTMLElement} place @param {Answer} answer */
  #point(place, { start, end, answer }) {
    const text = this.#read;
    if (answer === '') return place.replaceChildren(text.slice(0, 2 * AROUND));
    const from = Math.max(0, start - AROUND);
    const mark = make('mark', { class: 'model', text: text.slice(start, end) });
    place.replaceChildren(from > 0 ? '…' : '', text.slice(from, start), mark, text.slice(end, end + AROUND));
    place.scrollTop = Math.max(0, mark.offsetTop - place.clientHeight / 3);
    return undefined;
  }
}
