/** Another model than the one the view looks at, chosen from a list and opened when it is first needed. */

import { load } from '../../inkling.js';
import { titleOf } from '../../catalog.js';
import { make } from '../dom.js';

/** @import { Entry } from '../../catalog.js' */
/** @import { Key } from '../../i18n.js' */
/** @import { Model } from '../../inkling.js' */

export class Beside {
  /** The one that is open. @type {{ id: string, model: Model } | null} */ #opened = null;
  /** @type {Entry[]} */ #others = [];

  /** @param {string} id  of the list @param {Key} none  what the list says where no other model is chosen @param {() => void} onChange */
  constructor(id, none, onChange) {
    this.none = none;
    this.list = make('select', { id, on: { change: onChange } });
  }

  /** The models there are, less the view's own. @param {Entry[]} models @param {string} own */
  offer(models, own) {
    const chosen = this.list.value;
    this.#others = models.filter(({ id }) => id !== own);
    this.list.replaceChildren(make('option', { value: '', words: this.none }), ...this.#others.map((entry) => make('option', { value: entry.id, text: titleOf(entry) })));
    this.list.value = this.#others.some(({ id }) => id === chosen) ? chosen : '';
  }

  /** What is chosen, if anything is. */
  get entry() {
    return this.#others.find(({ id }) => id === this.list.value) ?? null;
  }

  close() {
    void this.#opened?.model.dispose();
    this.#opened = null;
    this.list.value = '';
  }

  /**
   * The model that is chosen; the one before it is closed. @param {(entry: Entry) => void} onLoading
   * @returns {Promise<Model | null>} null: none is chosen, or another one by now
   */
  async model(onLoading) {
    const { entry } = this;
    if (this.#opened && this.#opened.id !== entry?.id) {
      void this.#opened.model.dispose();
      this.#opened = null;
    }
    if (!entry || this.#opened) return this.#opened?.model ?? null;
    onLoading(entry);
    const model = await load(entry.source, { threads: 1 });
    if (this.list.value !== entry.id || this.#opened) {
      void model.dispose();
      return /** @type {{ model: Model } | null} */ (this.#opened)?.model ?? null;
    }
    this.#opened = { id: entry.id, model };
    return model;
  }
}
