/** The models of the store as the page lists and opens them. */

import { store } from './client.js';

/** @import { Entry } from '../catalog.js' */
/** @import { StoredEntry, StoreState } from './protocol.js' */

/** @param {Pick<StoredEntry, 'id' | 'title' | 'bytes'>} model @returns {Entry} */
export const entryOf = ({ id, title, bytes }) => ({
  id: `stored:${id}`,
  source: { stored: id },
  languages: [],
  title: { en: title },
  bytes,
});

/** Those that are here as a whole. @param {StoreState} state */
export const entriesOf = ({ models }) => models.filter(({ phase }) => phase === 'complete').map(entryOf);

/** Calls back with them, now and whenever that changes; ends when it has for the first time. @param {(entries: Entry[]) => void} told */
export async function storedEntries(told) {
  store.watch((state) => told(entriesOf(state)));
  told(entriesOf(await store.list()));
}
