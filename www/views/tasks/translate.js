/** The Translate page: a text and its translation side by side, sentence by sentence. */

import { getLanguage, onLanguage, t } from '../../i18n.js';
import { directionsOf } from '../../translation.js';
import { make } from '../dom.js';
import { alignmentOf } from './alignment.js';
import { Frame } from './frame.js';
import { pageTasks } from './pages.js';
import { sentences } from './passages.js';
import { suggestionOf } from './suggestions.js';
import { TextField } from './textfield.js';

/** @import { Page } from '../../views.js' */
/** @import { Direction } from '../../translation.js' */
/** @import { Pair } from './alignment.js' */
/** @import { Serving } from './served.js' */

/** By language: something to begin with. @type {Record<string, string[]>} */
const EXAMPLES = {
  en: ['Where is my book?', 'I want to go home. We were very tired.', 'She is a good friend.', 'Can you help me?'],
  zh: ['你好吗？', '我昨天买了一本新书。', '这条河流经三个城市。'],
  de: ['Wo ist mein Buch?', 'Der Zug kommt heute später an.'],
  fr: ['Où est mon livre ?', 'Le train arrive plus tard aujourd’hui.'],
  es: ['¿Dónde está mi libro?', 'Mañana vamos a la playa.'],
  ru: ['Где моя книга?', 'Сегодня поезд опаздывает.'],
};

/** What a chat model is offered to be told to write: it says of itself nothing of languages. */
const TOLD = ['en', 'zh', 'fr', 'de', 'es', 'it', 'pt', 'ru', 'ja', 'ko', 'ar', 'hi'];

/** Languages that put no space between sentences. */
const CLOSE = ['zh', 'ja', 'th'];

/** A sentence of so many tokens may lose parts of itself in a small model; one that becomes a quarter of that has. */
const LONG = 40;

/** How many tokens a translation may have for those of its sentence. @param {number} tokens */
const room = (tokens) => Math.min(2 * tokens + 16, 400);

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  new Translate(root, page);
}

class Translate {
  #source = new TextField('translate-text', { label: 'translate.source', placeholder: 'translate.placeholder', rows: 8 });
  #from = make('select', { id: 'translate-from', on: { change: () => this.#pickFrom() } });
  #to = make('select', { id: 'translate-to', on: { change: () => this.#pickTo() } });
  #beams = make('select', { id: 'translate-beams' }, make('option', { value: '1', words: 'translate.greedy' }), make('option', { value: '4', words: 'translate.beams' }));
  #target = make('div', { id: 'translate-result', class: 'task-target', dir: 'auto', translate: 'no', tabindex: '0', role: 'region', label: 'translate.target' });
  /** @type {Direction[]} */ #directions = [];
  #frame;

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.#beams.value = '4';
    this.#frame = new Frame(root, page, { name: 'translate', tasks: pageTasks('translate'), main: this.#source });
    const frame = this.#frame;
    const pick = (/** @type {import('../../i18n.js').Key} */ words, /** @type {HTMLElement} */ control) => make('label', { class: 'task-pick' }, make('span', { words }), control);
    frame.work.append(
      make('div', { class: 'task-options' }, pick('translate.from', this.#from), pick('translate.to', this.#to), pick('translate.search', this.#beams)),
      make('div', { class: 'task-pair' }, this.#source.root, make('div', { class: 'task-field' }, make('span', { class: 'task-label', words: 'translate.target' }), this.#target)),
    );
    frame.onServing = () => this.#serving();
    frame.onGo = () => void this.#go();
    frame.copied = () => this.#target.textContent ?? '';
    this.#source.onInput = () => {
      frame.copyable(false);
      frame.result.replaceChildren();
    };
    onLanguage(() => this.#serving());
    this.#serving();
  }

  #serving() {
    const { serving } = this.#frame;
    const before = [this.#from.value, this.#to.value];
    this.#directions = serving ? directionsFor(serving) : [];
    this.#list(this.#from, this.#directions.map(({ from }) => from), before[0]);
    this.#pickFrom(before[1]);
  }

  /** @param {string} [wanted] */
  #pickFrom(wanted) {
    const from = this.#from.value || null;
    this.#list(this.#to, this.#directions.filter((one) => one.from === from).map(({ to }) => to), wanted);
    this.#source.area.lang = this.#from.value;
    this.#pickTo();
    this.#frame.offer((EXAMPLES[this.#from.value.split('-')[0] || getLanguage()] ?? []).map((text) => ({ text, lang: this.#from.value, run: () => this.#example(text) })));
  }

  #pickTo() {
    this.#target.lang = this.#to.value;
  }

  /** @param {HTMLSelectElement} list @param {(string | null)[]} tags @param {string} [wanted] */
  #list(list, tags, wanted) {
    const names = new Intl.DisplayNames([document.documentElement.lang || 'en'], { type: 'language' });
    const unique = [...new Set(tags)];
    const named = unique.map((tag) => ({ tag: tag ?? '', name: tag ? (names.of(tag) ?? tag) : t(this.#directions.length > 1 ? 'translate.any' : 'translate.unknown') }));
    named.sort((a, b) => a.name.localeCompare(b.name, document.documentElement.lang));
    list.replaceChildren(...named.map(({ tag, name }) => make('option', { value: tag, text: name })));
    if (wanted && unique.includes(wanted)) list.value = wanted;
    else if (unique.includes('en') && list === this.#from) list.value = 'en';
    list.disabled = unique.length < 2;
  }

  /** @param {string} text */
  #example(text) {
    this.#source.set(text, this.#from.value);
    void this.#go();
  }

  async #go() {
    const frame = this.#frame;
    const text = this.#source.value;
    this.#target.replaceChildren();
    frame.result.replaceChildren();
    frame.copyable(false);
    if (text.trim() === '') return frame.say('tasks.empty');
    const [from, to] = [this.#from.value, this.#to.value];
    const beams = Number(this.#beams.value);
    /** @type {Pair[]} */
    const pairs = [];
    let short = false;
    const direction = this.#directions.find((one) => (one.from ?? '') === from && (one.to ?? '') === to);
    await frame.run(async ({ model, entry, signal, progress }) => {
      const parts = sentences(text, from || undefined);
      const total = parts.filter((part) => hasWords(part.text)).length;
      let done = 0;
      for (const [i, part] of parts.entries()) {
        const bare = part.text.trim();
        if (!hasWords(bare)) {
          this.#target.append(part.text);
          continue;
        }
        progress(done++, total);
        const [before = '', after = ''] = part.text.split(bare, 2);
        const shown = make('span', { class: 'task-sentence' });
        this.#target.append(before, shown);
        const tokens = await model.tokenize(bare);
        const [translated] = await model.translate(bare, {
          src_lang: from || undefined,
          tgt_lang: to || undefined,
          prompt: entry.translation?.prompt,
          do_sample: false,
          num_beams: beams,
          max_new_tokens: room(tokens.length),
          signal,
          onText: (so) => (shown.textContent = so),
        });
        shown.textContent = translated?.translation_text ?? '';
        if (tokens.length > LONG) short ||= (await model.tokenize(shown.textContent)).length < tokens.length / 4;
        if (direction) pairs.push({ prompt: direction.prompt(bare), written: shown.textContent });
        this.#target.append(gap(after, to, i === parts.length - 1));
      }
    });
    frame.copyable(this.#target.textContent !== '');
    frame.warn(text, from === '' ? [] : [from], 'translate.foreign');
    if (short) frame.result.append(make('p', { class: 'task-foreign', words: 'translate.short' }));
    const alignment = alignmentOf(frame, pairs);
    if (alignment) frame.result.append(alignment);
    return undefined;
  }
}

/** @param {string} text */
const hasWords = (text) => /[\p{L}\p{N}]/u.test(text);

/** What stands between two sentences of a translation. @param {string} after  what stood there in the original @param {string} to @param {boolean} last */
function gap(after, to, last) {
  if (after.includes('\n')) return after;
  const close = CLOSE.includes(to.split('-')[0] ?? '');
  return close || last ? '' : ' ';
}

/** What a model translates, by what it says and what is known of it. @param {Serving} serving */
function directionsFor({ entry, model }) {
  if (entry.translation) return directionsOf(model.info, entry.translation);
  const found = directionsOf(model.info);
  if (found.length === 0) return TOLD.map((to) => ({ from: null, to, prompt: (/** @type {string} */ text) => text, continues: false }));
  // Files of many Marian models do not say which languages they are for; their names do.
  const name = entry.title.en ?? entry.id;
  const [, from, to] = /opus-mt-([a-z]{2,3})-([a-z]{2,3})\b/.exec(name) ?? [];
  const languages = suggestionOf(name)?.languages ?? [];
  return found.map((one) => ({ ...one, from: one.from ?? from ?? languages[0] ?? null, to: one.to ?? to ?? languages[1] ?? null }));
}
