/** The trainings that were kept, offered to whoever comes back: go on, or discard. */

import { number, t } from '../../i18n.js';
import { discard, kept } from '../../store.js';
import { make } from '../dom.js';

/** @import { Session } from './session.js' */
/** @import { SavedTraining } from '../../store.js' */
/** @import { View } from './train.js' */

export class Unfinished {
  #list = make('ul', { class: 'train-files' });
  root = make(
    'section',
    { class: 'stage', id: 'train-unfinished', hidden: true, 'aria-labelledby': 'train-unfinished-title' },
    make('h3', { id: 'train-unfinished-title', words: 'train.unfinished' }),
    make('p', { class: 'faded', words: 'train.unfinished.help' }),
    this.#list,
  );
  /** @type {SavedTraining[]} */ #found = [];

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    void this.list();
  }

  async list() {
    try {
      this.#found = await kept('trainings');
    } catch {
      this.#found = [];
    }
    this.relabel();
  }

  relabel() {
    const others = this.#found.filter(({ id }) => id !== this.session.record.id);
    this.root.hidden = others.length === 0;
    this.#list.replaceChildren(
      ...others.map((saved) => {
        const { id, title, step, maxSteps, finished, savedAt, checkpoint } = saved;
        const when = new Date(savedAt).toLocaleString(document.documentElement.lang, {
          dateStyle: 'medium',
          timeStyle: 'short',
        });
        const go = async () => {
          try {
            this.view.clearError();
            await this.session.resume(checkpoint, saved, title);
            this.relabel();
            this.view.reveal('training');
          } catch (error) {
            this.view.fail(error);
          }
        };
        const remove = async () => {
          await discard('trainings', id).catch((error) => this.view.fail(error));
          await this.list();
        };
        return make(
          'li',
          {},
          make('span', { class: 'name', text: title }),
          make('span', {
            class: 'faded',
            text: `${t(finished ? 'train.unfinished.done' : 'train.unfinished.step', { step: number(step), steps: number(maxSteps) })} · ${when}`,
          }),
          make('button', {
            type: 'button',
            class: 'continue',
            words: 'train.unfinished.open',
            on: { click: () => void go() },
          }),
          make('button', { type: 'button', words: 'train.unfinished.discard', on: { click: () => void remove() } }),
        );
      }),
    );
  }
}
