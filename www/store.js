/**
 * What the page remembers. Choices of look are kept for the next visit; the text and the settings only as long as the
 * tab, because on a shared computer the next person must not find them. A browser may refuse all of it, and then the
 * page simply forgets. Models and trainings are kept until a person discards them, and a refusal is an error.
 */

import { Database } from './database.js';

const PREFIX = 'inkling.';

/** @param {string} name @returns {string | null} */
export function recall(name) {
  return read(() => localStorage, name);
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  write(() => localStorage, name, value);
}

/** @param {string} name @returns {any} what was kept, or null */
export function recallInTab(name) {
  try {
    return JSON.parse(read(() => sessionStorage, name) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {string} name @param {unknown} value */
export function rememberInTab(name, value) {
  write(() => sessionStorage, name, JSON.stringify(value));
}

/** Even naming the storage throws where it is forbidden, hence the function. @param {() => Storage} storage @param {string} name */
function read(storage, name) {
  try {
    return storage().getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** @param {() => Storage} storage @param {string} name @param {string} value */
function write(storage, name, value) {
  try {
    storage().setItem(PREFIX + name, value);
  } catch {
    // Full or forbidden: an old value would be worse than none.
    try {
      storage().removeItem(PREFIX + name);
    } catch {}
  }
}

// ---- what is too large for that: models and trainings that were made here ----

/** A model that was trained here. @typedef {{ id: string, title: string, savedAt: number, parameters: number, files: { name: string, blob: Blob }[] }} SavedModel */

/**
 * A training to go on with, as of its last checkpoint; `samples` and `seconds` are what only the page knows.
 * @typedef {{ id: string, title: string, savedAt: number, step: number, maxSteps: number, finished: boolean, seconds: number,
 *             samples: { step: number, text: string }[], checkpoint: Blob }} SavedTraining
 */

/** @typedef {{ models: SavedModel, trainings: SavedTraining }} Shelves */

const database = new Database('inkling', [
  { name: 'models', keyed: true },
  { name: 'trainings', keyed: true },
]);

/** Keeps something, in place of what had its id. @template {keyof Shelves} S @param {S} shelf @param {Shelves[S]} record */
export async function keep(shelf, record) {
  await database.on(shelf, 'readwrite', (store) => store.put(record));
}

/** All there is, the newest first. @template {keyof Shelves} S @param {S} shelf @returns {Promise<Shelves[S][]>} */
export async function kept(shelf) {
  const records = await database.on(shelf, 'readonly', (store) => store.getAll());
  return records.sort((a, b) => b.savedAt - a.savedAt);
}

/** @param {keyof Shelves} shelf @param {string} id */
export async function discard(shelf, id) {
  await database.on(shelf, 'readwrite', (store) => store.delete(id));
}
