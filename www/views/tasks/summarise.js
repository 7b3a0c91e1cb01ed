/** The Summarise page: a text in a few sentences, or whatever a model that follows instructions is told to do with it. */

import { onLanguage, t } from '../../i18n.js';
import { make } from '../dom.js';
import { Frame } from './frame.js';
import { pageTasks } from './pages.js';
import { sentences } from './passages.js';
import { TextField } from './textfield.js';

/** @import { Page } from '../../views.js' */
/** @import { Key } from '../../i18n.js' */
/** @import { Work } from './frame.js' */

/** Tokens of a summary: at least, at most. @type {Record<string, [number, number]>} */
const LENGTHS = { short: [8, 32], medium: [24, 80], long: [56, 180] };

/** Besides the text, a model reads the instruction and what ends a text, in tokens. */
const BESIDE = 16;
/** More instruction than this is a text of its own, in characters. */
const LONGEST_INSTRUCTION = 500;

/** @type {[string, string][]} */
const EXAMPLES = [
  [
    'en',
    'The town council met on Tuesday evening to decide about the old swimming pool. It was built in 1962 and has not been repaired since 1995. Last winter, two pipes burst and the hall had to be closed for six weeks. The council heard three proposals. The first was to repair the pool for four million. The second was to build a new one beside the school for nine million. The third was to close it and pay for buses to the pool of the next town. After two hours the council chose the repair, by eleven votes to eight. Work will begin in May, and the pool is to open again in the autumn of next year. Until then, the swimming club will train in the river.',
  ],
  [
    'zh',
    '镇议会周二晚上开会，决定老游泳馆的去留。游泳馆建于一九六二年，自一九九五年以来没有大修过。去年冬天两根水管爆裂，馆内关闭了六周。会上有三个方案：第一，花四百万修缮；第二，花九百万在学校旁新建；第三，关闭游泳馆，出钱让居民坐车去邻镇。讨论两个小时后，议会以十一票对八票决定修缮。工程五月开工，明年秋天重新开放。在此之前，游泳队将在河里训练。',
  ],
];

/** @type {Key[]} */
const INSTRUCTIONS = ['summarise.try.title', 'summarise.try.question', 'summarise.try.simple'];

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  new Summarise(root, page);
}

class Summarise {
  #text = new TextField('summarise-text', { label: 'summarise.text', placeholder: 'summarise.placeholder', rows: 9 });
  #length = make('select', { id: 'summarise-length', on: { change: () => this.#tell() } }, ...Object.keys(LENGTHS).map((name) => make('option', { value: name, words: /** @type {Key} */ (`summarise.${name}`) })));
  #told = make('span', { class: 'faded' });
  #instruction = make('input', { id: 'summarise-instruction', type: 'text', dir: 'auto', autocomplete: 'off', maxlength: LONGEST_INSTRUCTION, placeholder: 'summarise.instruction.placeholder' });
  #tries = make('div', { class: 'task-tries' });
  #free = make('div', { class: 'task-field' }, make('label', { for: 'summarise-instruction', words: 'summarise.instruction' }), this.#instruction, this.#tries);
  #offer = make('div', { class: 'task-parts', role: 'status', hidden: true });
  #result = make('div', { id: 'summarise-result', class: 'task-target', dir: 'auto', translate: 'no', tabindex: '0', role: 'region', label: 'summarise.result', hidden: true });
  #frame;

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.#length.value = 'medium';
    this.#frame = new Frame(root, page, { name: 'summarise', tasks: pageTasks('summarise'), main: this.#text });
    const frame = this.#frame;
    frame.work.append(this.#text.root, make('div', { class: 'task-options' }, make('label', { class: 'task-pick' }, make('span', { words: 'summarise.length' }), this.#length), this.#told), this.#free);
    frame.result.append(this.#offer, this.#result);
    frame.onServing = () => this.#serving();
    frame.onGo = () => void this.#go(false);
    frame.copied = () => this.#result.textContent ?? '';
    this.#text.onInput = () => this.#clear();
    onLanguage(() => {
      this.#tell();
      this.#examples();
    });
    this.#tell();
    this.#examples();
    this.#serving();
  }

  /** Only models for text to text of any kind, and for chat, follow instructions. */
  #serving() {
    const tasks = this.#frame.serving?.model.info.tasks ?? [];
    this.#free.hidden = !tasks.includes('text2text-generation') && !tasks.includes('chat');
    this.#clear();
  }

  #examples() {
    this.#frame.offer(EXAMPLES.map(([lang, text]) => ({ text: `${text.slice(0, lang === 'zh' ? 24 : 56)}…`, lang, run: () => this.#example(text, lang) })));
    this.#tries.replaceChildren(...INSTRUCTIONS.map((key) => make('button', { type: 'button', class: 'task-example', lang: 'en', translate: 'no', words: key, on: { click: () => (this.#instruction.value = t(key)) } })));
  }

  /** @param {string} text @param {string} lang */
  #example(text, lang) {
    this.#text.set(text, lang);
    void this.#go(false);
  }

  #clear() {
    this.#offer.hidden = true;
    this.#result.hidden = true;
    this.#frame.copyable(false);
  }

  #tell() {
    const [least, most] = this.#lengths;
    this.#told.textContent = t('summarise.tokens', { least, most });
  }

  /** @returns {[number, number]} */
  get #lengths() {
    return LENGTHS[this.#length.value] ?? [24, 80];
  }

  /** What is put before the text, where the person has said. */
  get #prefix() {
    const said = this.#free.hidden ? '' : this.#instruction.value.trim();
    return said === '' ? undefined : `${said}\n\n`;
  }

  /** @param {boolean} byPart  a text that is too long part by part */
  async #go(byPart) {
    const text = this.#text.value.trim();
    if (text === '') return this.#frame.say('tasks.empty');
    this.#clear();
    let refused = false;
    await this.#frame.run(async (work) => {
      const { model, signal } = work;
      const context = model.info.encoder?.contextLength ?? model.info.contextLength;
      const limit = context - BESIDE - (this.#prefix ? (await model.tokenize(this.#prefix)).length : 0);
      const tokens = (await model.tokenize(text)).length;
      if (signal.aborted) return;
      if (tokens <= limit) return void (await this.#write(text, work));
      const parts = await inParts(text, limit, work);
      if (signal.aborted) return;
      refused = !byPart;
      if (refused) return this.#refuse(tokens, context, parts.length);
      for (const [done, part] of parts.entries()) {
        work.progress(done, parts.length);
        await this.#write(part, work);
      }
    });
    if (refused) this.#frame.say(null);
    this.#frame.copyable(!this.#result.hidden && this.#result.textContent !== '');
    return undefined;
  }

  /** Says by how much a text is too long, and what can be done. @param {number} tokens @param {number} limit @param {number} parts */
  #refuse(tokens, limit, parts) {
    this.#offer.hidden = false;
    this.#offer.replaceChildren(
      make('p', { text: t('summarise.toolong', { tokens, limit }) }),
      make('button', { type: 'button', id: 'summarise-parts', text: t('summarise.parts', { count: parts }), on: { click: () => void this.#go(true) } }),
    );
  }

  /** @param {string} text @param {Work} work */
  async #write(text, { model, signal }) {
    const [min_new_tokens, max_new_tokens] = this.#lengths;
    const prefix = this.#prefix;
    const shown = make('p', {});
    if (this.#result.hidden) this.#result.replaceChildren();
    this.#result.hidden = false;
    this.#result.append(shown);
    this.#frame.reveal(shown);
    const told = prefix !== undefined || model.info.tasks.includes('chat');
    const own = told ? {} : { min_new_tokens, num_beams: 4, no_repeat_ngram_size: 3 };
    const [summary] = await model.summarize(text, {
      ...own,
      max_new_tokens,
      do_sample: false,
      prefix,
      signal,
      onText: (so) => (shown.textContent = so),
    });
    shown.textContent = summary?.summary_text ?? '';
  }
}

/** Parts of whole sentences, each of at most so many tokens. @param {string} text @param {number} limit @param {Work} work */
async function inParts(text, limit, { model, signal }) {
  const parts = [];
  let part = '';
  let held = 0;
  for (const { text: sentence } of sentences(text)) {
    if (signal.aborted) return [];
    // A sentence longer than all the model can read goes in pieces.
    for (const piece of await pieces(sentence, limit, model)) {
      if (held + piece.tokens > limit && part.trim() !== '') {
        parts.push(part.trim());
        [part, held] = ['', 0];
      }
      part += piece.text;
      held += piece.tokens;
    }
  }
  return part.trim() === '' ? parts : [...parts, part.trim()];
}

/** @param {string} text @param {number} limit @param {Work['model']} model @returns {Promise<{ text: string, tokens: number }[]>} */
async function pieces(text, limit, model) {
  const tokens = await model.tokenize(text);
  const found = [];
  for (let at = 0; at < tokens.length; at += limit) {
    const [first, next] = [tokens[at], tokens[at + limit]];
    found.push({ text: text.slice(at === 0 ? 0 : first?.start, next?.start), tokens: Math.min(limit, tokens.length - at) });
  }
  return found;
}
