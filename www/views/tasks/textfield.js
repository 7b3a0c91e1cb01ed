/** A field for a text of the person's: typed, pasted, from a file, or dropped; and how long it is. */

import { number, onLanguage, t } from '../../i18n.js';
import { fromGb18030 } from '../../encoding.js';
import { recallInTab, rememberInTab } from '../../store.js';
import { make } from '../dom.js';

/** @import { Key } from '../../i18n.js' */

/** Larger files are no text to be read in one go, in bytes. */
const LARGEST = 4_000_000;
/** A text that is kept while the tab is reloaded, in characters. */
const MOST_KEPT = 300_000;
const AFTER_TYPING = 300;
/** A browser may take seconds to paste a longer text by itself, in characters. */
const LONG_PASTE = 10_000;

/** Files whose name ends like this are text; others are when the browser says so. */
const TEXT = /\.(txt|md|markdown|csv|tsv|json|jsonl|html?|xml|tex|srt|vtt|log|py|rs|js|ts|c|h|cpp|java|go|rb|sh|toml|ya?ml)$/i;

/** @param {{ name: string, blob: Blob }} file */
export const isText = ({ name, blob }) => (TEXT.test(name) || blob.type.startsWith('text/')) && !/^(config|tokenizer|vocab|generation_config|special_tokens_map|tokenizer_config)\.(json|txt)$/.test(name.split('/').at(-1) ?? '');

export class TextField {
  /** The text is another one; called at each change. */ onInput = () => {};
  #soon = 0;
  #count = make('span', { class: 'faded task-count' });
  #problem = make('span', { class: 'bad', role: 'status' });

  /** @param {string} id @param {{ label: Key, placeholder: Key, rows?: number, kept?: boolean, files?: boolean }} about */
  constructor(id, { label, placeholder, rows = 6, kept = true, files = true }) {
    this.id = id;
    this.kept = kept;
    this.area = make('textarea', { id, rows, dir: 'auto', spellcheck: 'false', translate: 'no', placeholder, on: { input: () => this.#typed(), paste: (event) => this.#pasted(event) } });
    if (kept) this.area.value = String(recallInTab(id) ?? '');
    const input = make('input', { id: `${id}-file`, type: 'file', accept: '.txt,.md,.csv,.srt,text/*' });
    input.addEventListener('change', () => {
      const [file] = input.files ?? [];
      if (file) void this.take({ name: file.name, blob: file });
      input.value = '';
    });
    const tools = make(
      'div',
      { class: 'task-field-tools' },
      files ? make('span', { class: 'file' }, input, make('label', { for: input.id, words: 'tasks.text.file' })) : null,
      make('button', { type: 'button', words: 'tasks.text.clear', on: { click: () => (this.set(''), this.area.focus()) } }),
      this.#count,
      this.#problem,
    );
    this.root = make('div', { class: 'task-field' }, make('label', { for: id, words: label }), this.area, tools);
    onLanguage(() => this.#tell());
    this.#tell();
  }

  get value() {
    return this.area.value;
  }

  /** @param {string} text @param {string} [lang]  its language, where it is known */
  set(text, lang) {
    this.area.value = text;
    if (lang) this.area.lang = lang;
    else this.area.removeAttribute('lang');
    this.#typed();
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    const text = event.clipboardData?.getData('text/plain') ?? '';
    if (text.length < LONG_PASTE) return;
    event.preventDefault();
    this.area.setRangeText(text.replace(/\r\n?/g, '\n'), this.area.selectionStart, this.area.selectionEnd, 'end');
    this.#typed();
  }

  #typed() {
    this.#problem.textContent = '';
    this.onInput();
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => {
      this.#tell();
      if (this.kept) rememberInTab(this.id, this.value.length > MOST_KEPT ? '' : this.value);
    }, AFTER_TYPING);
  }

  #tell() {
    this.#count.textContent = t('tasks.text.count', { characters: number(this.area.value.length) });
  }

  /** The text of a file. @param {{ name: string, blob: Blob }} file */
  async take({ name, blob }) {
    if (blob.size > LARGEST) return void (this.#problem.textContent = t('tasks.text.large', { name }));
    const { bytes } = fromGb18030(new Uint8Array(await blob.arrayBuffer()));
    const text = new TextDecoder().decode(bytes);
    if (text.includes('\0')) return void (this.#problem.textContent = t('tasks.text.binary', { name }));
    return this.set(text.replace(/\r\n?/g, '\n'));
  }
}
