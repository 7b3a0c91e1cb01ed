/** One turn on the page: who speaks, what they thought and say, and what can be done with it. Words enter as text only. */

import { number, rate, t } from '../../i18n.js';
import { make } from '../dom.js';
import { split } from './thinking.js';

/** @import { Turn } from './conversation.js' */

/** @typedef {{ edit: (at: number, text: string) => void, again: (at: number) => void, goOn: (at: number) => void, copy: (text: string) => void }} Actions */

export class Bubble {
  #thought = make('div', { class: 'chat-thought', dir: 'auto', translate: 'no' });
  #summary = make('summary');
  #details = make('details', { class: 'chat-thinking', hidden: true }, this.#summary, this.#thought);
  #said = make('div', { class: 'chat-said', dir: 'auto', translate: 'no' });
  #facts = make('p', { class: 'chat-facts faded' });
  #row = make('div', { class: 'chat-actions' });
  #editor = make('div', { class: 'chat-editor', hidden: true });

  /** @param {Turn} turn @param {number} at @param {Actions} actions */
  constructor(turn, at, actions) {
    this.turn = turn;
    this.at = at;
    this.actions = actions;
    const who = turn.role === 'user' ? 'chat.you' : 'chat.model';
    this.root = make(
      'li',
      { class: `chat-turn ${turn.role}`, 'data-turn': at },
      make('h3', { class: 'chat-who', words: who }),
      this.#details,
      this.#said,
      this.#editor,
      this.#facts,
      this.#row,
    );
    this.show();
  }

  /** Shows the turn as it is now. @param {{ writing?: boolean, last?: boolean, room?: boolean, possible?: boolean }} [state]  `room`: more fits behind it; `possible`: the model could reply */
  show({ writing = false, last = false, room = true, possible = true } = {}) {
    const { role, content, stats, end } = this.turn;
    const { thought, said, thinking } = role === 'assistant' ? split(content) : { thought: null, said: content, thinking: false };
    this.#details.hidden = thought === null;
    if (thought !== null) {
      put(this.#thought, thought);
      this.#summary.textContent = t(thinking && writing ? 'chat.thinking' : 'chat.thought', { count: [...thought].length });
    }
    put(this.#said, said);
    this.root.toggleAttribute('data-writing', writing);
    this.root.toggleAttribute('data-empty', !writing && said === '' && thought === null);
    if (writing) return this.#row.replaceChildren();
    this.#facts.textContent = stats ? this.#told(stats, end) : said === '' && thought === null ? t('chat.nothing') : '';
    const button = (/** @type {import('../../i18n.js').Key} */ words, /** @type {string} */ name, /** @type {() => void} */ run) =>
      make('button', { type: 'button', class: 'small', 'data-action': name, words, disabled: !possible && name !== 'copy', on: { click: run } });
    const row = [button(role === 'user' ? 'chat.edit' : 'chat.change', 'edit', () => this.#edit())];
    row.push(button(role === 'user' ? 'chat.ask.again' : 'chat.again', 'again', () => this.actions.again(this.at)));
    if (role === 'assistant' && last && room && end !== 'eos' && end !== 'stop_string') row.push(button('chat.goon', 'goon', () => this.actions.goOn(this.at)));
    row.push(button('action.copy', 'copy', () => this.actions.copy(said)));
    return this.#row.replaceChildren(...row);
  }

  /** @param {NonNullable<Turn['stats']>} stats @param {Turn['end']} end */
  #told({ promptTokens, reusedTokens, newTokens, decodeTokensPerSecond }, end) {
    const facts = [t('chat.facts.new', { count: newTokens }), rate(decodeTokensPerSecond)].filter((fact) => fact !== '–');
    facts.push(t('chat.facts.reused', { reused: number(reusedTokens), prompt: number(promptTokens) }));
    if (end && end !== 'eos' && end !== 'stop_string') facts.push(t(`chat.end.${end}`));
    return facts.join(' · ');
  }

  /** In place of the words, a field with them. */
  #edit() {
    const area = make('textarea', { rows: 3, dir: 'auto', label: 'chat.edit.label' });
    area.value = this.turn.content;
    const close = () => {
      this.#editor.hidden = true;
      this.#editor.replaceChildren();
      this.#said.hidden = this.#row.hidden = false;
      /** @type {HTMLElement | null} */ (this.#row.querySelector('[data-action=edit]'))?.focus();
    };
    const save = () => {
      const text = area.value;
      close();
      if (text.trim() !== '') this.actions.edit(this.at, text);
    };
    area.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Escape') close();
      else if (event.key === 'Enter' && !event.shiftKey) save();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.#editor.replaceChildren(
      area,
      make(
        'div',
        { class: 'chat-actions' },
        make('button', { type: 'button', class: 'primary small', 'data-action': 'save', words: this.turn.role === 'user' ? 'chat.edit.ask' : 'chat.edit.keep', on: { click: save } }),
        make('button', { type: 'button', class: 'small', words: 'action.cancel', on: { click: close } }),
      ),
    );
    this.#editor.hidden = false;
    this.#said.hidden = this.#row.hidden = true;
    area.focus();
  }
}

/** Puts a text in, or its end where the beginning is there: a selection stays. @param {HTMLElement} place @param {string} text */
function put(place, text) {
  const node = place.firstChild;
  if (!(node instanceof Text)) place.textContent = text;
  else if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}
