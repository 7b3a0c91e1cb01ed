/** Several continuations of one text as cards: they fill as the model writes, and one is chosen. */

import { onLanguage, t } from './i18n.js';
import { button, byId, element } from './notices.js';

/** @typedef {{ box: HTMLElement, title: HTMLElement, words: HTMLElement, use: HTMLButtonElement }} Card */

export class Alternatives {
  /** The person has closed the list. */ onClose = () => {};
  /** The person has chosen this one. @type {(text: string) => void} */ onChoose = () => {};
  #place = byId('alternatives');
  #list = byId('alternatives-list');
  /** @type {Card[]} */ #cards = [];
  #chosen = -1;
  #beams = false;
  #done = false;

  constructor() {
    byId('alternatives-close').addEventListener('click', () => {
      this.close();
      this.onClose();
    });
    onLanguage(() => this.#label());
  }

  /** @param {number} count @param {boolean} beams  then nothing but the best so far is known until the end */
  open(count, beams) {
    this.#beams = beams;
    this.#done = false;
    this.#chosen = -1;
    this.#cards = Array.from({ length: count }, (_, index) => this.#card(index));
    this.#list.replaceChildren(...this.#cards.map(({ box }) => box));
    this.#label();
    this.#place.hidden = false;
    // The cards have no height yet: what is in view now is where they will be.
    this.#place.scrollIntoView({ block: 'start' });
  }

  /** @param {number} index @param {string} delta */
  append(index, delta) {
    this.#cards[index]?.words.append(delta);
  }

  /** The best so far reads like this. @param {string} whole */
  preview(whole) {
    const first = this.#cards[0];
    if (first) first.words.textContent = whole;
  }

  /** No more text comes. @param {{ text: string }[]} [sequences]  the final texts, unless stopped on the way */
  finish(sequences) {
    this.#done = true;
    this.#beams = false;
    sequences?.forEach(({ text }, index) => {
      const card = this.#cards[index];
      if (card) card.words.textContent = text;
    });
    for (const { box, words } of this.#cards) box.hidden = words.textContent === '';
    if (this.#cards.every(({ box }) => box.hidden)) return this.close();
    this.#label();
    this.#place.scrollIntoView({ block: 'nearest' });
  }

  close() {
    this.#place.hidden = true;
    this.#cards = [];
    this.#list.replaceChildren();
  }

  /** @param {number} index @returns {Card} */
  #card(index) {
    const box = element('li', '');
    const title = element('h3', '');
    const words = element('p', '');
    words.className = 'words';
    words.tabIndex = 0;
    const use = button('', () => {
      this.#chosen = index;
      this.#label();
      this.onChoose(words.textContent ?? '');
    });
    box.append(title, words, use);
    return { box, title, words, use };
  }

  #label() {
    this.#cards.forEach(({ box, title, words, use }, index) => {
      const used = index === this.#chosen;
      title.textContent = this.#beams && index === 0 ? t('alternatives.best') : t('alternatives.card', { number: index + 1 });
      words.setAttribute('aria-label', title.textContent);
      words.setAttribute('role', 'group');
      use.textContent = t(used ? 'alternatives.used' : 'alternatives.use');
      use.disabled = !this.#done;
      use.setAttribute('aria-pressed', String(used));
      box.classList.toggle('chosen', used);
    });
  }
}
