/** What the model really reads: the whole text with its marks, in tokens. */

import { number, t } from '../../i18n.js';
import { make } from '../dom.js';

/** @import { Token } from '../../protocol.js' */

/** Tokens that are shown at most; of a longer text the last. */
const MOST = 1500;

export class Raw {
  #count = make('p', { class: 'faded', id: 'chat-raw-count' });
  #text = make('div', { class: 'chat-raw', id: 'chat-raw', dir: 'auto', translate: 'no', tabindex: '0', role: 'group', label: 'chat.raw' });
  root = make(
    'details',
    { id: 'chat-raw-box', on: { toggle: () => this.onOpen() } },
    make('summary', { words: 'chat.raw' }),
    make('p', { class: 'faded', words: 'chat.raw.help' }),
    this.#count,
    this.#text,
  );
  /** Somebody wants to see it. */ onOpen = () => {};

  get open() {
    return this.root.open;
  }

  /** @param {string} problem */
  fail(problem) {
    this.#count.textContent = problem;
    this.#text.replaceChildren();
  }

  /** @param {{ text: string, tokens: Token[] }} reading */
  show({ text, tokens }) {
    const special = tokens.filter((token) => token.special).length;
    const words = t('chat.raw.count', { count: tokens.length, special: number(special), characters: number([...text].length) });
    const left = tokens.length - MOST;
    this.#count.textContent = left > 0 ? `${words} ${t('chat.raw.left', { count: left })}` : words;
    this.#text.replaceChildren(...tokens.slice(-MOST).map((token, i) => this.#token(token, i)));
  }

  /** @param {Token} token @param {number} i */
  #token({ id, text, special }, i) {
    // A line break shows itself and breaks the line; a part of a character shows a box.
    const shown = text.replaceAll('\n', '⏎\n').replaceAll('\ufffd', '▯');
    const title = t(special ? 'chat.raw.special' : 'chat.raw.token', { id: String(id) });
    return make('bdi', { class: special ? 'chat-token special' : `chat-token tint-${i % 4}`, title, text: shown });
  }
}
