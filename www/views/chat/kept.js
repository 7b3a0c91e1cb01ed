/** Conversations that are kept in this browser, if the person wants that: IndexedDB, which plain http has too. */

import { Database } from '../../database.js';
import { recall, remember } from '../../store.js';

/** @import { Saved } from './conversation.js' */

const database = new Database('inkling-chats', [{ name: 'chats', keyed: true }]);

export const keeps = () => recall('keepChats') === 'on';

/** @param {boolean} on */
export const setKeeps = (on) => remember('keepChats', on ? 'on' : 'off');

/** @param {Saved} saved */
export const keepChat = (saved) => database.on('chats', 'readwrite', (store) => store.put(saved));

/** The newest first. @returns {Promise<Saved[]>} */
export async function keptChats() {
  const all = await database.on('chats', 'readonly', (store) => store.getAll());
  return all.sort((a, b) => b.savedAt - a.savedAt);
}

/** @param {string} id */
export const discardChat = (id) => database.on('chats', 'readwrite', (store) => store.delete(id));

export const discardAll = () => database.on('chats', 'readwrite', (store) => store.clear());
