/**
 * What is known of each stored model: where it came from, its files, how much of them is here, and who is fetching it.
 * Kept in IndexedDB, or in memory where the browser gives none.
 */

import { Database } from '../database.js';

/** @import { TierName } from './places.js' */

/** Bytes `start` to `end` (exclusive) of a file, of which the first `have` are here. @typedef {{ start: number, end: number, have: number }} Segment */

/**
 * A file of a stored model.
 * @typedef {object} StoredFile
 * @property {string} name
 * @property {string} url
 * @property {number} size  in bytes
 * @property {string | null} sha256  what it has to be, where that is known beforehand; then what it is
 * @property {string | null} etag  of the server, as of the first answer
 * @property {boolean | null} ranges  whether the server gives parts of it; null: not asked yet
 * @property {Segment[]} segments
 * @property {boolean} verified  it is here as a whole and was looked through
 */

/** Where a model came from. @typedef {{ kind: 'hub', hub: string, repository: string, revision: string, commit: string } | { kind: 'link', url: string }} Origin */

/**
 * @typedef {object} StoredModel
 * @property {string} id
 * @property {string} title
 * @property {Origin} origin
 * @property {string | null} license
 * @property {StoredFile[]} files
 * @property {number} bytes  of all files
 * @property {'partial' | 'complete'} state
 * @property {TierName} tier
 * @property {number} savedAt  when it was asked for; milliseconds
 * @property {number} usedAt  when it was opened last
 * @property {number} checkedAt  when every byte was last looked through
 * @property {boolean} wanted  somebody waits for it: the next visit goes on by itself, unless it was paused
 * @property {{ code: string, message: string } | null} failure  why the last try ended before its end
 * @property {{ owner: string, until: number } | null} lease  the page that is fetching it
 */

const database = new Database('inkling-store', [{ name: 'models', keyed: true }]);

/** What is kept where there is no database. @type {Map<string, StoredModel> | null} */
let memory = null;

/** Finds out whether there is a database; without one, records last as long as the page. */
export async function openRecords() {
  try {
    await database.open();
  } catch {
    memory ??= new Map();
  }
}

/** @returns {Promise<StoredModel[]>}  the last used first */
export async function allRecords() {
  const records = memory ? [...memory.values()] : await database.on('models', 'readonly', (store) => store.getAll());
  return records.sort((a, b) => Math.max(b.usedAt, b.savedAt) - Math.max(a.usedAt, a.savedAt));
}

/** @param {string} id @returns {Promise<StoredModel | null>} */
export async function readRecord(id) {
  const found = memory ? memory.get(id) : await database.on('models', 'readonly', (store) => store.get(id));
  return found ?? null;
}

/** @param {StoredModel} record */
export async function writeRecord(record) {
  if (memory) memory.set(record.id, record);
  else await database.on('models', 'readwrite', (store) => store.put(record));
}

/**
 * Takes or keeps the right to fetch a model, which one page has at a time. @param {string} id @param {string} owner
 * @param {number} milliseconds  how long, unless taken again @param {boolean} [gone]  whoever had it is gone @returns {Promise<boolean>}  whether it was had
 */
export async function claim(id, owner, milliseconds, gone = false) {
  if (memory) return true;
  let had = false;
  await database.update('models', id, (/** @type {StoredModel | undefined} */ record) => {
    if (!record) return undefined;
    const { lease } = record;
    had = gone || !lease || lease.owner === owner || lease.until < Date.now();
    return had ? { ...record, lease: { owner, until: Date.now() + milliseconds } } : undefined;
  });
  return had;
}

/** @param {string} id */
export async function deleteRecord(id) {
  if (memory) memory.delete(id);
  else await database.on('models', 'readwrite', (store) => store.delete(id));
}

/** Bytes of a file that are here. @param {StoredFile} file */
export const here = ({ segments }) => segments.reduce((sum, { have }) => sum + have, 0);

/** Bytes of a model that are here. @param {StoredModel} model */
export const hereOf = ({ files }) => files.reduce((sum, file) => sum + here(file), 0);
