/** How much of what the model can read at once the conversation takes. */

import { t } from '../../i18n.js';
import { make } from '../dom.js';

/** From this share on it is nearly full. */
const NEARLY = 0.8;

export class Meter {
  #bar = make('meter', { id: 'chat-meter', min: 0, 'aria-labelledby': 'chat-meter-words' });
  #words = make('span', { id: 'chat-meter-words' });
  root = make('div', { class: 'chat-meter', hidden: true }, this.#bar, this.#words);
  /** @type {{ used: number, limit: number } | null} */ #shown = null;

  /** Whether nothing more fits. */
  get full() {
    return this.#shown !== null && this.#shown.used >= this.#shown.limit;
  }

  get numbers() {
    return this.#shown ?? { used: 0, limit: 0 };
  }

  /** @param {number} used  tokens @param {number} limit */
  show(used, limit) {
    this.#shown = { used, limit };
    this.relabel();
  }

  hide() {
    this.#shown = null;
    this.root.hidden = true;
  }

  relabel() {
    const shown = this.#shown;
    if (!shown) return;
    const { used, limit } = shown;
    this.root.hidden = false;
    this.#bar.max = limit;
    this.#bar.high = limit * NEARLY;
    this.#bar.value = Math.min(used, limit);
    const state = used >= limit ? 'full' : used >= limit * NEARLY ? 'nearly' : 'fine';
    this.root.dataset.state = state;
    this.#words.textContent = t(`chat.meter.${state}`, { used, limit });
  }
}
