/** The note beside the text that names what the model in use has no token for, such as simplified characters. */

import { onLanguage, t } from './i18n.js';
import { inLanguage } from './catalog.js';
import { byId } from './notices.js';

/** @import { Entry } from './catalog.js' */
/** @import { Token } from './protocol.js' */

/** More would be a list that nobody reads. */
const MOST_NAMED = 12;

export class UnknownNote {
  #note = byId('unknown');
  /** What the model in use turned out not to know. @type {Set<string>} */ #unknown = new Set();
  /** @type {Entry | null} */ #entry = null;
  #text = '';

  constructor() {
    onLanguage(() => this.show(this.#text));
  }

  /** Another model knows other characters. @param {Entry | null} entry */
  model(entry) {
    this.#entry = entry;
    this.#unknown.clear();
    this.show(this.#text);
  }

  /** @param {string} text @param {Token[]} tokens  of that text */
  learn(text, tokens) {
    this.#unknown = unknownIn(text, tokens);
  }

  /** Says what of it stands in the text. What is new there is not said before it has been learned. @param {string} text */
  show(text) {
    this.#text = text;
    const found = [...this.#unknown].filter((piece) => text.includes(piece));
    const why = inLanguage(this.#entry?.unknown);
    const words = found.length === 0 ? '' : why ? t('unknown.why', { words: list(found), why }) : list(found);
    // Set again, the same words would be read out again.
    if (this.#note.textContent !== words) this.#note.textContent = words;
  }
}

/**
 * The pieces of a text that its tokens do not tell the model: those under the unknown token, and characters that no token
 * stands for, which some vocabularies leave out.
 * @param {string} text @param {Token[]} tokens
 */
export function unknownIn(text, tokens) {
  /** @type {Set<string>} */
  const found = new Set();
  let at = 0;
  const skip = (/** @type {number} */ to) => {
    // White space and control characters are left out by many a tokenizer, and nobody misses them.
    for (const character of text.slice(at, to)) if (!/[\s\p{C}]/u.test(character)) found.add(character);
  };
  for (const { start, end, unknown } of tokens) {
    skip(start);
    if (unknown && end > start) found.add(text.slice(start, end));
    at = Math.max(at, end);
  }
  skip(text.length);
  return found;
}

/** @param {string[]} pieces */
function list(pieces) {
  const names = pieces.map((piece) => (/^\n+$/.test(piece) ? t('unknown.line') : /^\s+$/.test(piece) ? t('unknown.space') : piece));
  const characters = names.slice(0, MOST_NAMED).join(' ');
  const more = names.length - MOST_NAMED;
  return more > 0
    ? t('unknown.characters.more', { characters, more, total: names.length })
    : t('unknown.characters', { characters });
}
