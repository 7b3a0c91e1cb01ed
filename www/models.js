/**
 * Which model: the ones that ship with the page (models/catalog.json), and the person's own by button or drop. Only
 * chooses; loading is the page's.
 */

import { getLanguage, onLanguage, t } from './i18n.js';
import { byId, element } from './notices.js';
import { currentView } from './views.js';

/** @import { Source } from './inkling.js' */
/** @import { NamedBlob } from './protocol.js' */
/** @import { SavedModel } from './store.js' */

/** Something to load. `languages` is empty where unknown. @typedef {{ id: string, source: Source, languages: string[], title: Record<string, string> }} Entry */

const CATALOG = 'models/catalog.json';
/** A folder dropped by mistake (a whole disk) must not be walked to its end. */
const MOST_FILES = 2000;

export class Picker {
  /** The person wants this one. @type {(entry: Entry) => void} */ onPick = () => {};
  /** What was dropped cannot be read. @type {(message: string) => void} */ onUnreadable = () => {};
  #select = /** @type {HTMLSelectElement} */ (byId('model'));
  /** @type {Entry[]} */ #shipped = [];
  /** @type {Entry[]} */ #own = [];
  /** Trained here and kept. @type {Entry[]} */ #saved = [];
  #current = '';

  constructor() {
    onLanguage(() => this.#show());
    this.#select.addEventListener('change', () => {
      const entry = [...this.#shipped, ...this.#saved, ...this.#own].find(({ id }) => id === this.#select.value);
      if (entry) this.onPick(entry);
    });
    for (const id of ['files', 'folder']) {
      const input = /** @type {HTMLInputElement} */ (byId(id));
      input.addEventListener('change', () => {
        this.#offer(Array.from(input.files ?? [], (file) => ({ name: file.webkitRelativePath || file.name, blob: file })));
        // So that choosing the same file again is a change again.
        input.value = '';
        /** @type {HTMLDetailsElement} */ (byId('open')).open = false;
      });
    }
    this.#acceptDrops();
  }

  /** Reads the catalogue. @returns {Promise<Entry | null>} the model to begin with */
  async readCatalog() {
    const answer = await fetch(CATALOG);
    if (!answer.ok) throw new Error(`${CATALOG}: expected a file, found HTTP ${answer.status}`);
    const catalog = await answer.json();
    if (!Array.isArray(catalog?.models)) throw new Error(`${CATALOG}: expected a list "models", found none`);
    for (const { id, path, files, bytes, languages, title } of catalog.models) {
      if (typeof id !== 'string' || typeof path !== 'string') throw new Error(`${CATALOG}: expected id and path, found neither`);
      const url = new URL(path, new URL(CATALOG, document.baseURI)).href;
      this.#shipped.push({ id, source: { url, files, bytes }, languages: languages ?? [], title: title ?? {} });
    }
    const first = catalog.models.findIndex((/** @type {any} */ model) => model.default);
    const entry = this.#shipped[Math.max(first, 0)] ?? null;
    if (entry) this.current(entry);
    return entry;
  }

  /** Shows which model is in use (or on its way). @param {Entry | null} entry */
  current(entry) {
    this.#current = entry?.id ?? '';
    this.#show();
  }

  /** Keeps a model of the person's in the list, so that they can come back to it. @param {Entry} entry */
  keep(entry) {
    if (entry.id.startsWith('own:') && !this.#own.includes(entry)) {
      this.#own = [...this.#own.filter(({ id }) => id !== entry.id), entry];
    }
    this.current(entry);
  }

  /** @param {SavedModel[]} models */
  offerSaved(models) {
    this.#saved = models.map(({ id, title, files }) => ({ id: `saved:${id}`, source: { files }, languages: [], title: { en: title } }));
    this.#show();
  }

  /** @param {NamedBlob[]} files */
  #offer(files) {
    const first = files[0];
    if (!first) return;
    const folder = first.name.includes('/') ? first.name.slice(0, first.name.indexOf('/')) : '';
    const name = folder || (files.find((file) => /\.(gguf|safetensors)$/i.test(file.name)) ?? first).name;
    this.onPick({ id: `own:${name}`, source: { files }, languages: [], title: { en: name } });
  }

  #acceptDrops() {
    const curtain = byId('drop');
    /** Text dragged within the page is none of our business. @param {DragEvent} event */
    const hasFiles = (event) => currentView() === 'write' && (event.dataTransfer?.types.includes('Files') ?? false);
    let hide = 0;
    addEventListener('dragover', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      curtain.hidden = false;
      // Leaving the window is not reliably told, but then dragover is no longer heard.
      clearTimeout(hide);
      hide = setTimeout(() => (curtain.hidden = true), 300);
    });
    addEventListener('drop', async (event) => {
      if (!hasFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      curtain.hidden = true;
      try {
        this.#offer(await dropped(event.dataTransfer));
      } catch (error) {
        this.onUnreadable(error instanceof Error ? error.message : String(error));
      }
    });
  }

  #show() {
    const groups = [
      { label: t('model.shipped'), entries: this.#shipped },
      { label: t('model.saved'), entries: this.#saved },
      { label: t('model.own'), entries: this.#own },
    ];
    this.#select.replaceChildren(
      ...groups
        .filter(({ entries }) => entries.length > 0)
        .map(({ label, entries }) => {
          const group = document.createElement('optgroup');
          group.label = label;
          group.append(...entries.map((entry) => Object.assign(element('option', titleOf(entry)), { value: entry.id })));
          return group;
        }),
    );
    this.#select.value = this.#current;
    this.#select.disabled = groups.every(({ entries }) => entries.length === 0);
  }
}

/** @param {Entry} entry */
export const titleOf = ({ id, title }) => title[getLanguage()] ?? title.en ?? id;

/** The files in a drop; folders are walked. @param {DataTransfer} transfer @returns {Promise<NamedBlob[]>} */
async function dropped(transfer) {
  // Both lists empty themselves as soon as this turn is over.
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return files.map((file) => ({ name: file.name, blob: file }));
  /** @type {NamedBlob[]} */
  const found = [];
  const waiting = entries.filter((entry) => entry !== null);
  for (let entry = waiting.shift(); entry && found.length < MOST_FILES; entry = waiting.shift()) {
    if (entry.isDirectory) waiting.push(...(await children(/** @type {FileSystemDirectoryEntry} */ (entry))));
    else found.push({ name: entry.fullPath.slice(1), blob: await fileOf(/** @type {FileSystemFileEntry} */ (entry)) });
  }
  return found;
}

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function children(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    // A reader gives a hundred or so at a time, and nothing at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
