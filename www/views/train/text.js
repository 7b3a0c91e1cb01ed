/** Stage one: the text. Pasted, from files, or one that comes with the page; and what the cleaning took out. */

import { bytes, getLanguage, number, t } from '../../i18n.js';
import { recallInTab, rememberInTab } from '../../store.js';
import { facts, field, make, numeric, select } from '../dom.js';

/** @import { Session } from './session.js' */
/** @import { Key } from '../../i18n.js' */
/** @import { TextFile } from '../../protocol.js' */
/** @import { Stage, View } from './train.js' */

/** A text that came with the page. @typedef {{ id: string, file: string, language: string, bytes: number, title: Record<string, string>, description: Record<string, string> }} Corpus */
/** @typedef {TextFile & { columns: string[], corpus?: string }} Source */

const CORPORA = 'corpora/index.json';
/** Larger files are cut: the trainer holds a text several times over in its 4 GiB. */
export const MOST_BYTES = 64_000_000;
/** A text that is kept while the tab is reloaded. */
const MOST_KEPT = 500_000;
const AFTER_TYPING = 400;
/** What the column with the text is usually called. */
const TEXT_COLUMN = /text|content|body|story|sentence|document|文|内容/i;

/** @implements {Stage} */
export class TextStage {
  /** @type {'text'} */ name = 'text';
  /** @type {Corpus[]} */ #corpora = [];
  /** @type {Source[]} */ #sources = [];
  #typing = 0;
  #area = make('textarea', {
    id: 'train-paste',
    rows: 8,
    spellcheck: 'false',
    dir: 'auto',
    translate: 'no',
    placeholder: 'train.text.placeholder',
    label: 'train.text.paste',
    on: { input: () => this.#typed() },
  });
  #list = make('ul', { class: 'train-files' });
  #chips = make('div', { class: 'train-chips' });
  #options = make('div', { class: 'train-options' });
  #result = make('div', { class: 'train-result', id: 'train-text-result' });
  #input = make('input', {
    id: 'train-files',
    type: 'file',
    multiple: true,
    accept: '.txt,.md,.csv,.tsv,.jsonl,text/*',
  });

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    this.#area.value = String(recallInTab('train.text') ?? '');
    this.#input.addEventListener('change', () => {
      void this.take([...(this.#input.files ?? [])].map((file) => ({ name: file.name, blob: file })));
      this.#input.value = '';
    });
    this.body = [
      make(
        'div',
        { class: 'train-columns' },
        make('div', {}, this.#area, this.#list),
        make(
          'div',
          {},
          make(
            'span',
            { class: 'file' },
            this.#input,
            make('label', { for: 'train-files', words: 'train.text.files' }),
          ),
          make('p', { class: 'faded', words: 'train.text.files.hint' }),
          make('h4', { words: 'train.text.corpora' }),
          this.#chips,
        ),
      ),
      make('details', {}, make('summary', { words: 'train.text.cleaning' }), this.#options),
      this.#result,
    ];
    this.#showOptions();
    void this.#readCorpora();
    if (this.#area.value) void this.#use();
  }

  async #readCorpora() {
    try {
      const answer = await fetch(CORPORA);
      const found = answer.ok ? await answer.json() : [];
      this.#corpora = Array.isArray(found) ? found : [];
    } catch {
      // Without them there is still one's own text.
    }
    this.#showCorpora();
  }

  #showCorpora() {
    const language = getLanguage();
    const sorted = [...this.#corpora].sort((a, b) => Number(b.language === language) - Number(a.language === language));
    const used = new Set(this.#sources.map(({ corpus }) => corpus));
    this.#chips.replaceChildren(
      ...sorted.map((corpus) => {
        const title = make('strong', { text: corpus.title[language] ?? corpus.title.en ?? corpus.id });
        const more = make('span', {
          class: 'faded',
          text: `${bytes(corpus.bytes)} · ${corpus.description[language] ?? corpus.description.en ?? ''}`,
        });
        return make(
          'button',
          {
            type: 'button',
            'data-corpus': corpus.id,
            'aria-pressed': String(used.has(corpus.id)),
            on: { click: () => void this.#toggle(corpus) },
          },
          title,
          more,
        );
      }),
    );
  }

  /** The text that comes with the page, for those who brought none. */
  async useFirstCorpus() {
    const first = this.#corpora.find(({ language }) => language === getLanguage()) ?? this.#corpora[0];
    if (first) await this.#toggle(first);
  }

  /** @param {Corpus} corpus */
  async #toggle(corpus) {
    const before = this.#sources.length;
    this.#sources = this.#sources.filter((source) => source.corpus !== corpus.id);
    if (this.#sources.length === before) {
      const answer = await fetch(new URL(corpus.file, new URL(CORPORA, document.baseURI)));
      if (!answer.ok) return this.view.error('io', { detail: `${corpus.file}: HTTP ${answer.status}` });
      this.#sources.push({ name: corpus.file, blob: await answer.blob(), columns: [], corpus: corpus.id });
    }
    await this.#use();
  }

  /** Files that a person chose or dropped. @param {TextFile[]} files */
  async take(files) {
    for (const { name, blob } of files) {
      /** @type {Source} */
      const source = { name, blob, columns: [] };
      if (blob.size > MOST_BYTES) {
        const cut = () => void this.take([{ name, blob: blob.slice(0, MOST_BYTES) }]);
        this.view.error('too_large', {
          values: { name, size: bytes(blob.size), limit: bytes(MOST_BYTES) },
          remedies: [{ label: 'train.action.cut', run: cut }],
        });
        continue;
      }
      if (/\.(csv|tsv|jsonl)$/i.test(name)) {
        try {
          source.columns = await (await this.session.training()).columns(source);
          source.column = source.columns.find((column) => TEXT_COLUMN.test(column)) ?? source.columns[0] ?? null;
        } catch (error) {
          this.view.fail(error);
          continue;
        }
      }
      this.#sources = [...this.#sources.filter((other) => other.name !== name), source];
    }
    await this.#use();
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => void this.#use(), AFTER_TYPING);
  }

  /** What is typed is used at once when somebody asks for it. */
  async settle() {
    if (this.#typing) await this.#use();
  }

  async #use() {
    clearTimeout(this.#typing);
    this.#typing = 0;
    const pasted = this.#area.value;
    rememberInTab('train.text', pasted.length <= MOST_KEPT ? pasted : '');
    /** @type {TextFile[]} */
    const files = this.#sources.map(({ name, blob, column = null }) => ({ name, blob, column }));
    if (pasted.trim() !== '') files.unshift({ name: 'text.txt', blob: new Blob([pasted]), column: null });
    const corpus = this.#corpora.find(({ id }) => id === this.#sources[0]?.corpus);
    const title =
      pasted.trim() !== ''
        ? ''
        : corpus
          ? (corpus.title[getLanguage()] ?? corpus.id)
          : (this.#sources[0]?.name.replace(/\.\w+$/, '') ?? '');
    await this.session.use(files, title);
    this.#showSources();
    this.#showCorpora();
  }

  #showSources() {
    this.#list.replaceChildren(
      ...this.#sources.map((source) => {
        const { name, blob, columns } = source;
        const remove = () => {
          this.#sources = this.#sources.filter((other) => other !== source);
          void this.#use();
          this.#area.focus();
        };
        const column = make('select', {
          label: 'train.text.column',
          on: {
            change: () => {
              source.column = column.value;
              void this.#use();
            },
          },
        });
        column.append(...columns.map((text) => make('option', { text, value: text })));
        column.value = source.column ?? '';
        return make(
          'li',
          {},
          make('span', { class: 'name', text: name }),
          make('span', { class: 'faded', text: bytes(blob.size) }),
          columns.length > 0 ? column : null,
          make('button', { type: 'button', words: 'train.text.remove', on: { click: remove } }),
        );
      }),
    );
  }

  #showOptions() {
    const { session } = this;
    const { corpus } = session.settings;
    const set = (/** @type {(corpus: Session['settings']['corpus']) => void} */ change) =>
      session.change((settings) => change(settings.corpus));
    const lower = make('input', {
      type: 'checkbox',
      on: { change: () => set((to) => (to.lowercase = lower.checked)) },
    });
    lower.checked = corpus.lowercase ?? false;
    const separators = /** @type {Record<string, Key>} */ ({
      auto: 'train.text.separator.auto',
      '<|endoftext|>': 'train.text.separator.token',
      '\n\n': 'train.text.separator.paragraph',
      '\n': 'train.text.separator.line',
      '': 'train.text.separator.file',
    });
    this.#options.replaceChildren(
      field(
        'train.text.separator',
        select(separators, corpus.separator, (value) => set((to) => (to.separator = value))),
        'train.text.separator.help',
      ),
      field(
        'train.text.unicode',
        select(
          { nfc: 'train.text.unicode.nfc', nfkc: 'train.text.unicode.nfkc', none: 'train.text.unicode.none' },
          corpus.unicode ?? 'nfc',
          (value) => set((to) => (to.unicode = /** @type {'nfc'} */ (value))),
        ),
        'train.text.unicode.help',
      ),
      field(
        'train.text.whitespace',
        select(
          { collapse: 'train.text.whitespace.collapse', keep: 'train.text.whitespace.keep' },
          corpus.whitespace ?? 'collapse',
          (value) => set((to) => (to.whitespace = /** @type {'keep'} */ (value))),
        ),
      ),
      field(
        'train.text.rare',
        numeric({ min: 0, max: 1000, value: corpus.min_character_count ?? 0 }, (value) =>
          set((to) => (to.min_character_count = value)),
        ),
        'train.text.rare.help',
      ),
      make('label', { class: 'field-train check' }, lower, make('span', { words: 'train.text.lowercase' })),
    );
  }

  show() {
    const { clean } = this.session;
    this.#result.hidden = clean === null;
    if (!clean) return;
    const rows = clean.removed.map(({ what, count, examples }) =>
      make(
        'tr',
        {},
        make('th', { scope: 'row', words: /** @type {Key} */ (`train.removed.${what}`) }),
        make('td', { class: 'count', text: number(count) }),
        make('td', { class: 'examples' }, ...examples.map((text) => make('code', { text }))),
      ),
    );
    this.#result.replaceChildren(
      make(
        'dl',
        { class: 'train-facts' },
        ...facts([
          ['train.text.documents', `${number(clean.documents)}`],
          [
            'train.text.heldout',
            t('train.text.heldout.value', { documents: clean.heldOutDocuments, size: bytes(clean.heldOutBytes) }),
          ],
          ['train.text.characters', number(clean.characters)],
          ['train.text.size', bytes(clean.bytes)],
          ['train.text.alphabet', number(clean.alphabet)],
        ]),
      ),
      ...(clean.encodings ?? []).map(({ name, encoding }) =>
        make('p', { class: 'faded', text: t('train.text.encoding', { name, encoding }) }),
      ),
      rows.length > 0
        ? make('table', {}, make('caption', { words: 'train.text.removed' }), make('tbody', {}, ...rows))
        : make('p', { words: 'train.text.nothing' }),
      make('h4', { words: 'train.text.preview' }),
      make('div', {
        class: 'train-preview',
        tabindex: 0,
        role: 'region',
        label: 'train.text.preview',
        dir: 'auto',
        translate: 'no',
        text: clean.preview,
      }),
    );
  }

  /** After a change of language. */
  relabel() {
    this.#showCorpora();
    this.#showSources();
    this.show();
  }
}
