/**
 * Which model: the ones that ship with the page, the ones trained here, and the person's own by button or drop, each with
 * what is known of it. Only chooses; loading is the page's.
 */

import { bytes, getLanguage, number, onLanguage, t } from './i18n.js';
import { bytesOf, defaultOf, goesOn, inLanguage, readCatalog, titleOf } from './catalog.js';
import { acceptDrops, picked } from './drops.js';
import { Menu } from './menu.js';
import { button, byId, element } from './notices.js';
import { openOwn } from './own.js';

/** @import { Entry } from './catalog.js' */
/** @import { NamedBlob } from './protocol.js' */
/** @import { SavedModel } from './store.js' */

export class Picker {
  /** The person wants this one. @type {(entry: Entry) => void} */ onPick = () => {};
  /** What was dropped cannot be read. @type {(message: string) => void} */ onUnreadable = () => {};
  #menu = new Menu('models', '.model-row');
  #files = new Menu('open', 'input');
  #list = byId('model-list');
  /** @type {Entry[]} */ #shipped = [];
  /** @type {Entry[]} */ #own = [];
  /** Trained here and kept. @type {Entry[]} */ #saved = [];
  /** Fetched from elsewhere and kept. @type {Entry[]} */ #stored = [];
  /** In use, or on its way. @type {Entry | null} */ #current = null;
  /** Of rows made: their parts need names of their own. */ #count = 0;

  constructor() {
    onLanguage(() => this.#show());
    for (const id of ['files', 'folder']) {
      const input = /** @type {HTMLInputElement} */ (byId(id));
      input.addEventListener('change', () => {
        this.#take(picked(input));
        // So that choosing the same file again is a change again.
        input.value = '';
        this.#files.close();
      });
    }
    acceptDrops(
      (files) => this.#take(files),
      (message) => this.onUnreadable(message),
    );
    this.#show();
  }

  /** Reads the catalogue. */
  async readCatalog() {
    this.#shipped = await readCatalog();
    this.#show();
  }

  /** The model to begin with in the page's language. @returns {Entry | null} */
  get default() {
    return defaultOf(this.#shipped, getLanguage());
  }

  /** Every model that is listed. @returns {Entry[]} */
  get all() {
    return [...this.#shipped, ...this.#saved, ...this.#stored, ...this.#own];
  }

  /** @param {string} id @returns {Entry | null} */
  find(id) {
    return this.all.find((entry) => entry.id === id) ?? null;
  }

  /** Shows which model is in use (or on its way). @param {Entry | null} entry */
  current(entry) {
    this.#current = entry;
    this.#show();
  }

  /** Keeps a model of the person's in the list, so that they can come back to it. @param {Entry} entry */
  keep(entry) {
    if (entry.id.startsWith('own:')) this.#own = [...this.#own.filter(({ id }) => id !== entry.id), entry];
    this.current(entry);
  }

  /** @param {SavedModel[]} models */
  offerSaved(models) {
    this.#saved = models.map(({ id, title, files, parameters }) => ({
      id: `saved:${id}`,
      source: { files },
      languages: [],
      title: { en: title },
      parameters,
    }));
    this.#show();
  }

  /** @param {Entry[]} entries */
  offerStored(entries) {
    const same = entries.length === this.#stored.length && entries.every(({ id }, i) => id === this.#stored[i]?.id);
    this.#stored = entries;
    if (!same) this.#show();
  }

  /** @param {NamedBlob[]} files */
  #take(files) {
    openOwn(files, (entry) => this.onPick(entry));
  }

  #show() {
    const groups = [
      { label: t('model.shipped'), entries: this.#shipped.filter(goesOn) },
      { label: t('model.saved'), entries: this.#saved },
      { label: t('model.stored'), entries: this.#stored },
      { label: t('model.own'), entries: this.#own },
    ].filter(({ entries }) => entries.length > 0);
    const focused = /** @type {HTMLElement | null} */ (document.activeElement?.closest('.model-row') ?? null);
    this.#list.replaceChildren(
      ...groups.flatMap(({ label, entries }) => {
        const list = element('ul', '');
        list.setAttribute('aria-label', label);
        list.append(...entries.map((entry) => this.#row(entry)));
        return [Object.assign(element('h3', label), { ariaHidden: 'true' }), list];
      }),
    );
    if (groups.length === 0) this.#list.append(element('p', t('model.none')));
    const more = Object.assign(element('a', t('model.more')), { href: '#library', className: 'more' });
    more.addEventListener('click', () => this.#menu.close());
    this.#list.append(more);
    if (focused) this.#rows().find(({ dataset }) => dataset.model === focused.dataset.model)?.focus();
    byId('model-name').textContent = this.#current ? titleOf(this.#current) : '–';
    byId('model').dataset.model = this.#current?.id ?? '';
  }

  /** @returns {HTMLElement[]} */
  #rows() {
    return [...this.#list.querySelectorAll('.model-row')].map((row) => /** @type {HTMLElement} */ (row));
  }

  /** @param {Entry} entry */
  #row(entry) {
    const item = element('li', '');
    const row = button('', () => {
      this.#menu.close();
      this.onPick(entry);
    });
    row.className = 'model-row';
    row.dataset.model = entry.id;
    if (entry.id === this.#current?.id) row.setAttribute('aria-current', 'true');
    const place = `model-row-${this.#count++}`;
    /** @type {[string, string][]} */
    const lines = [['title', titleOf(entry)], ['facts', facts(entry)], ['about', inLanguage(entry.description)]];
    for (const [part, words] of lines) {
      if (words) row.append(Object.assign(element('span', words), { className: part, id: `${place}-${part}` }));
    }
    // The title is what a screen reader calls it; the rest it reads after a pause.
    row.setAttribute('aria-labelledby', `${place}-title`);
    row.setAttribute('aria-describedby', `${place}-facts ${place}-about`);
    item.append(row);
    const credit = creditOf(entry);
    if (credit) item.append(credit);
    return item;
  }
}

/** Size and parameters, where they are known. @param {Entry} entry */
function facts(entry) {
  const size = bytesOf(entry);
  const found = [];
  if (size !== null) found.push('url' in entry.source ? t('model.download', { size: bytes(size) }) : bytes(size));
  if (entry.parameters) {
    const parameters = number(entry.parameters, { notation: 'compact', maximumSignificantDigits: 2 });
    found.push(t('model.parameters', { parameters }));
  }
  return found.join(' · ');
}

/** What the model learned from, with the addresses its licence wants named. @param {Entry} entry */
function creditOf({ data }) {
  const words = inLanguage(data?.words);
  if (!data || !words) return null;
  const line = element('p', t('model.data', { data: words }));
  line.className = 'credit';
  for (const address of data.links) {
    const { protocol, host, pathname, href } = new URL(address);
    if (protocol !== 'https:') continue;
    const shown = (host + pathname).replace(/^www\.|\/$/g, '');
    line.append(' ', Object.assign(element('a', shown), { href, target: '_blank', rel: 'noreferrer' }));
  }
  return line;
}
