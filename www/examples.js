/**
 * What an empty sheet offers: first lines for the model in use, and, where that model does not write the page's language,
 * one that does. Nothing is loaded or replaced before the person asks for it.
 */

import { bytes, getLanguage, onLanguage, t } from './i18n.js';
import { bytesOf, titleOf, writes } from './catalog.js';
import { button, byId, element } from './notices.js';

/** @import { Entry } from './catalog.js' */

export class Examples {
  /** The person begins with this line. @type {(prompt: string) => void} */ onPrompt = () => {};
  /** The person wants the model that is offered. @type {(entry: Entry) => void} */ onModel = () => {};
  /** @type {Entry | null} */ #entry = null;
  /** @type {() => Entry | null} */ #default;

  /** @param {() => Entry | null} defaultEntry  the model that the page's language begins with */
  constructor(defaultEntry) {
    this.#default = defaultEntry;
    onLanguage(() => this.#showOther());
    byId('other-language-open').addEventListener('click', () => {
      const other = this.#other();
      if (other) this.onModel(other);
    });
  }

  /** The model in use, or on its way. @param {Entry | null} entry */
  model(entry) {
    if (entry !== this.#entry) {
      this.#entry = entry;
      const prompts = entry?.prompts ?? [];
      byId('prompt-list').replaceChildren(...prompts.map((prompt) => this.#example(prompt)));
      byId('prompts').hidden = prompts.length === 0;
    }
    this.#showOther();
  }

  /** @param {string} prompt */
  #example(prompt) {
    const example = button(prompt, () => this.onPrompt(prompt));
    example.className = 'example';
    example.lang = this.#entry?.languages[0] ?? '';
    example.translate = false;
    const item = element('li', '');
    item.append(example);
    return item;
  }

  #other() {
    const entry = this.#entry;
    const other = this.#default();
    return entry && other && other.id !== entry.id && !writes(entry, getLanguage()) && writes(other, getLanguage()) ? other : null;
  }

  #showOther() {
    const entry = this.#entry;
    const foreign = entry !== null && !writes(entry, getLanguage());
    const other = this.#other();
    byId('other-language').hidden = !foreign;
    byId('other-language-open').hidden = other === null;
    if (!foreign) return;
    const names = new Intl.DisplayNames(document.documentElement.lang, { type: 'language' });
    const written = new Intl.ListFormat(document.documentElement.lang).format(entry.languages.map((tag) => names.of(tag) ?? tag));
    byId('other-language-words').textContent = t('model.language', { language: written });
    if (!other) return;
    const size = bytesOf(other);
    const name = titleOf(other);
    byId('other-language-open').textContent =
      size === null ? t('model.offer', { name }) : t('model.offer.size', { name, size: bytes(size) });
  }
}
