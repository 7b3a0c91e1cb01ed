/** What the page says: the status line, errors with their remedy, the progress of a load, and news for screen readers. */

import { bytes, has, t } from './i18n.js';

/** @import { Key, Values } from './i18n.js' */
/** @import { LoadProgress } from './protocol.js' */

/** @typedef {{ label: Key, run: () => void }} Remedy */
/**
 * `detail` comes from the engine, in English; `words` names the texts where they are not those of the code.
 * @typedef {{ detail?: string, values?: Values, remedies?: Remedy[], words?: string }} ErrorMore
 */

export class Notices {
  #root = byId('notices');
  #home = this.#root.previousElementSibling;
  #status = byId('status');
  #error = byId('error');
  #progress = byId('progress-box');
  #bar = /** @type {HTMLProgressElement} */ (byId('progress'));
  #progressText = byId('progress-text');
  #announce = byId('announce');
  /** How to say the same again in another language. @type {() => void} */ #repeatStatus = () => {};
  /** @type {() => void} */ #repeatError = () => {};

  constructor() {
    addEventListener('inkling:view', () => this.#stand());
  }

  /** Errors and progress are said where the person is: beside the text, or at the top of a view that uses the same model. */
  #stand() {
    if (byId('elsewhere').hidden) this.#home?.after(this.#root);
    else byId('elsewhere').append(this.#root);
  }

  /** @param {Key} key @param {Values} [values] */
  status(key, values) {
    this.#repeatStatus = () => (this.#status.textContent = t(key, values));
    this.#repeatStatus();
  }

  /** For those who do not see the text arrive. @param {Key} key @param {Values} values */
  announce(key, values) {
    this.#announce.textContent = t(key, values);
  }

  /**
   * @param {string} code
   * @param {ErrorMore} [more]
   */
  error(code, more = {}) {
    this.#repeatError = () => this.#showError(code, more);
    this.#repeatError();
  }

  clearError() {
    this.#repeatError = () => {};
    this.#error.replaceChildren();
    delete this.#error.dataset.code;
  }

  /** After a change of language. */
  repeat() {
    this.#repeatStatus();
    this.#repeatError();
  }

  /** @param {string} name  of the model @param {LoadProgress} progress */
  progress(name, { phase, loadedBytes, totalBytes }) {
    this.#progress.hidden = false;
    const loaded = bytes(loadedBytes);
    if (totalBytes) {
      this.#bar.max = totalBytes;
      this.#bar.value = loadedBytes;
      this.#progressText.textContent = t(`progress.${phase}`, { name, loaded, total: bytes(totalBytes) });
    } else {
      this.#bar.removeAttribute('value');
      this.#progressText.textContent = t(`progress.${phase}.unknown`, { name, loaded });
    }
  }

  hideProgress() {
    this.#progress.hidden = true;
  }

  /** @param {string} code @param {ErrorMore} more */
  #showError(code, { detail, values, remedies = [], words = code }) {
    const known = has(`error.${words}.title`) ? words : 'engine';
    const actions = [...remedies, { label: /** @type {const} */ ('action.dismiss'), run: () => this.clearError() }];
    fillAlert(this.#error, `error.${known}`, { detail, values, actions });
    this.#error.dataset.code = code;
  }
}

/**
 * Says what went wrong, what helps, and what the engine has to say about it.
 * @param {HTMLElement} box @param {string} words  the texts are `words.title` and `words.help`
 * @param {{ detail?: string, values?: Values, actions: Remedy[] }} more
 */
export function fillAlert(box, words, { detail, values, actions }) {
  const title = element('strong', t(/** @type {Key} */ (`${words}.title`), values));
  const help = element('p', t(/** @type {Key} */ (`${words}.help`), values));
  const parts = [title, help];
  if (detail) {
    const line = element('p', detail);
    line.className = 'detail';
    line.lang = 'en';
    line.title = t('error.detail');
    parts.push(line);
  }
  const row = element('div', '');
  row.className = 'actions';
  row.append(...actions.map(({ label, run }) => button(t(label), run)));
  box.replaceChildren(...parts, row);
}

/** @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`expected an element #${id} in index.html, found none`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {string} text
 */
export function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** @param {string} text @param {() => void} run */
export function button(text, run) {
  const made = element('button', text);
  made.type = 'button';
  made.addEventListener('click', run);
  return made;
}
