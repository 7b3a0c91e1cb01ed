/** Conversations of earlier: whether they are kept, and which there are. */

import { getLanguage, t } from '../../i18n.js';
import { make } from '../dom.js';
import { titleOf } from './conversation.js';
import { discardAll, discardChat, keepChat, keeps, keptChats, setKeeps } from './kept.js';

/** @import { Saved } from './conversation.js' */

/** How long a change waits to be kept, in milliseconds. */
const SAVE_AFTER = 500;

export class Shelf {
  #box = make('input', { type: 'checkbox', id: 'chat-keep', checked: keeps(), 'aria-describedby': 'chat-keep-help', on: { change: () => void this.#toggle() } });
  #problem = make('p', { class: 'chat-problem', role: 'status', id: 'chat-keep-problem' });
  #list = make('ul', { class: 'chat-kept', id: 'chat-kept' });
  #all = make('button', { type: 'button', id: 'chat-discard', words: 'chat.kept.discard', hidden: true, on: { click: () => void this.#run(discardAll) } });
  root = make(
    'div',
    {},
    make('label', { class: 'chat-check' }, this.#box, make('span', { words: 'chat.keep.label' })),
    make('p', { class: 'faded', id: 'chat-keep-help', words: 'chat.keep.help' }),
    this.#problem,
    this.#list,
    this.#all,
  );
  /** @type {Saved[]} */ #kept = [];
  #soon = 0;

  /** @param {{ current: () => Saved | null, open: (saved: Saved) => void }} talk */
  constructor(talk) {
    this.talk = talk;
    if (keeps()) void this.#run(async () => {});
  }

  /** The conversation is another, or has gone on. */
  changed() {
    if (!this.#box.checked) return;
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.#keep(), SAVE_AFTER);
  }

  relabel() {
    const date = new Intl.DateTimeFormat(getLanguage(), { dateStyle: 'medium', timeStyle: 'short' });
    this.#list.replaceChildren(
      ...this.#kept.map((saved) => {
        const title = titleOf(saved.turns) || t('chat.kept.untitled');
        const open = make('button', { type: 'button', class: 'chat-open', text: title, on: { click: () => this.talk.open(saved) } });
        const discard = make('button', { type: 'button', class: 'small', words: 'chat.kept.delete', on: { click: () => void this.#run(() => discardChat(saved.id)) } });
        discard.setAttribute('aria-label', `${discard.textContent}: ${title}`);
        return make('li', {}, open, make('span', { class: 'faded', text: `${date.format(saved.savedAt)} · ${saved.model}` }), discard);
      }),
    );
    this.#all.hidden = this.#kept.length === 0;
  }

  async #toggle() {
    setKeeps(this.#box.checked);
    // What is kept stays until somebody deletes it.
    if (this.#box.checked) await this.#keep();
    else await this.#run(async () => {});
  }

  async #keep() {
    const saved = this.talk.current();
    await this.#run(async () => void (saved && (await keepChat(saved))));
  }

  /** Does something with the store, and shows what is in it then. @param {() => Promise<unknown>} work */
  async #run(work) {
    try {
      await work();
      this.#kept = (await keptChats()).filter((saved) => Array.isArray(saved.turns));
      this.#problem.textContent = '';
    } catch (error) {
      // A browser that keeps nothing: the conversation lives as long as the tab.
      this.#box.checked = false;
      const full = /** @type {{ code?: string }} */ (error)?.code === 'storage_full';
      this.#problem.textContent = t(full ? 'chat.keep.full' : 'chat.keep.refused');
    }
    this.relabel();
  }
}
