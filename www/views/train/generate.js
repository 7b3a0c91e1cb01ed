/** Stage five: the model that came of it. To write with, to keep, to take along; and the models kept before. */

import { bytes, number, t } from '../../i18n.js';
import { discard, keep, kept } from '../../store.js';
import { zip } from '../../zip.js';
import { make } from '../dom.js';
import { download, fileName } from '../download.js';

/** @import { Session } from './session.js' */
/** @import { SavedModel } from '../../store.js' */
/** @import { Stage, View } from './train.js' */

/** @implements {Stage} */
export class GenerateStage {
  /** @type {'generate'} */ name = 'generate';
  #title = make('input', { type: 'text', id: 'train-name', maxlength: 80 });
  #actions = make('div', { class: 'train-actions' });
  #said = make('p', { class: 'faded', role: 'status' });
  #saved = make('ul', { class: 'train-files' });
  #savedBox = make('div', {}, make('h4', { words: 'train.generate.saved' }), this.#saved);
  #named = '';

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    /** @type {[string, import('../../i18n.js').Key, () => Promise<void>][]} */
    const actions = [
      ['train-write', 'train.generate.write', () => this.#write()],
      ['train-save', 'train.generate.save', () => this.#save()],
      ['train-export', 'train.generate.export', () => this.#export()],
      ['train-checkpoint', 'train.generate.checkpoint', () => this.#checkpoint()],
    ];
    this.#actions.append(
      ...actions.map(([id, words, run]) =>
        make('button', {
          type: 'button',
          id,
          words,
          class: id === 'train-write' ? 'primary' : null,
          on: { click: () => void this.#try(run) },
        }),
      ),
    );
    this.waiting = make('p', { class: 'faded', words: 'train.generate.waiting' });
    this.ready = make(
      'div',
      {},
      make('p', { words: 'train.generate.help' }),
      make('label', { class: 'field-train' }, make('span', { words: 'train.generate.name' }), this.#title),
      this.#actions,
      this.#said,
    );
    this.body = [this.waiting, this.ready, this.#savedBox];
    void this.listSaved();
  }

  show() {
    const { status, history, title, record } = this.session;
    const ready = history.heldOut.length > 0 && status !== 'idle';
    this.ready.hidden = !ready;
    this.waiting.hidden = ready;
    const name = record.title || title;
    if (name !== this.#named) this.#title.value = this.#named = name;
  }

  get #name() {
    return this.#title.value.trim() || t('train.generate.untitled');
  }

  /** @param {() => Promise<void>} run */
  async #try(run) {
    this.#said.textContent = '';
    try {
      await run();
    } catch (error) {
      this.view.fail(error);
    }
  }

  async #write() {
    const files = await this.session.export();
    this.view.page.write({ id: `own:${this.#name}`, source: { files }, languages: [], title: { en: this.#name } });
  }

  async #save() {
    const files = await this.session.export();
    const { record, plan } = this.session;
    await keep('models', {
      id: record.id,
      title: this.#name,
      savedAt: Date.now(),
      parameters: plan?.parameters ?? 0,
      files,
    });
    this.#said.textContent = t('train.generate.saved.done', { name: this.#name });
    await this.view.page.saved();
    await this.listSaved();
  }

  async #export() {
    const name = fileName(this.#name);
    const files = await this.session.export();
    download(`${name}.zip`, await zip(files.map((file) => ({ name: `${name}/${file.name}`, blob: file.blob }))));
  }

  async #checkpoint() {
    const bytesOf = await (await this.session.training()).checkpoint();
    download(`${fileName(this.#name)}.inkling`, new Blob([bytesOf]));
  }

  async listSaved() {
    /** @type {SavedModel[]} */
    let models = [];
    try {
      models = await kept('models');
    } catch {
      // Where nothing can be kept, nothing is listed.
    }
    this.#savedBox.hidden = models.length === 0;
    this.#saved.replaceChildren(
      ...models.map(({ id, title, parameters, files }) => {
        const size = files.reduce((sum, { blob }) => sum + blob.size, 0);
        const open = () =>
          this.view.page.write({ id: `saved:${id}`, source: { files }, languages: [], title: { en: title } });
        const further = () => this.view.startFrom({ title, source: { files } });
        const remove = () =>
          void this.#try(async () => {
            await discard('models', id);
            await this.view.page.saved();
            await this.listSaved();
          });
        return make(
          'li',
          {},
          make('span', { class: 'name', text: title }),
          make('span', {
            class: 'faded',
            text: t('train.generate.saved.about', {
              parameters: number(parameters, { notation: 'compact', maximumSignificantDigits: 3 }),
              size: bytes(size),
            }),
          }),
          make('button', { type: 'button', words: 'train.generate.open', on: { click: open } }),
          make('button', { type: 'button', words: 'train.generate.further', on: { click: further } }),
          make('button', { type: 'button', words: 'train.generate.delete', on: { click: remove } }),
        );
      }),
    );
  }

  relabel() {
    void this.listSaved();
    this.show();
  }
}
