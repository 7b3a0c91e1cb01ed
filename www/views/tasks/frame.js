/**
 * What the task pages have in common: what the page is for, the model that serves it, the person's part, starting and
 * stopping, how far it is, what went wrong, and the result. A page fills in its own part and says what is to be done.
 */

import { addWords, getLanguage, has, number, onLanguage, t, translate } from '../../i18n.js';
import en from '../../i18n/en/tasks.js';
import zh from '../../i18n/zh/tasks.js';
import { dropped } from '../../drops.js';
import { fillAlert } from '../../notices.js';
import { currentView } from '../../views.js';
import { copyText } from '../copy.js';
import { addSheets, make } from '../dom.js';
import { ModelLine } from './models.js';
import { isIn } from './scripts.js';
import { recorded } from './recorded.js';
import { servedBy, trainedFor } from './served.js';
import { known } from './suggestions.js';
import { isText } from './textfield.js';

/** @import { Key } from '../../i18n.js' */
/** @import { Page } from '../../views.js' */
/** @import { Serving } from './served.js' */
/** @import { TextField } from './textfield.js' */

addWords({ en, zh });

/** Work that goes on for so long is said to, in milliseconds. */
const SLOW = 4000;
const MOST_EXAMPLES = 5;

/** What a page's work is given: the model, when to stop, and how to say how far it is. @typedef {Serving & { signal: AbortSignal, progress: (done: number, total: number) => void }} Work */

/** `lang`: of the text. @typedef {{ text: string, lang: string, run: () => void }} Example */

export class Frame {
  /** Another model serves, or none. */ onServing = () => {};
  /** The person wants it done. */ onGo = () => {};
  /** The text of the result, for copying. */ copied = () => '';
  /** Where the page's own parts go. */
  work = make('div', { class: 'task-work' });
  result = make('div', { class: 'task-output' });
  #go;
  #stop = make('button', { type: 'button', class: 'primary task-stop', hidden: true, 'aria-keyshortcuts': 'Escape', on: { click: () => this.stop() } }, make('span', { words: 'action.stop' }), make('kbd', { 'aria-hidden': 'true', text: 'Esc' }));
  #bar = make('progress', { label: 'tasks.progress', hidden: true });
  #status = make('p', { role: 'status', class: 'task-status' });
  #alert = make('div', { class: 'alert', role: 'alert' });
  #examples = make('ul', { class: 'task-examples' });
  /** What is shown while no model serves. */
  #recorded = make('section', { class: 'stage task-recorded', label: 'tasks.looks', hidden: true });
  #copy = make('button', { type: 'button', words: 'action.copy', hidden: true, on: { click: () => void this.#copyResult() } });
  /** @type {AbortController | null} */ #running = null;
  /** How to say the same in another language. */ #repeat = () => {};

  /**
   * @param {HTMLElement} root @param {Page} page
   * @param {{ name: string, tasks: string[], main: TextField, buttons?: boolean }} about  `main`: takes a text that is dropped;
   *   `buttons`: whether there is something to start
   */
  constructor(root, page, { name, tasks, main, buttons = true }) {
    addSheets(['../view.css', './tasks.css', './results.css'], import.meta.url);
    this.name = name;
    this.tasks = tasks;
    this.main = main;
    this.served = servedBy(page);
    this.models = new ModelLine(this.served, name, tasks);
    const key = (/** @type {string} */ part) => /** @type {Key} */ (`${name}.${part}`);
    this.#go = make('button', { type: 'button', class: 'primary task-go', disabled: true, hidden: !buttons, on: { click: () => this.onGo() } }, make('span', { words: buttons ? key('go') : 'action.generate' }));
    root.dataset.state = 'empty';
    this.root = root;
    root.append(
      make('div', { class: 'task-head' }, make('h2', { words: key('title') }), make('p', { words: key('intro') })),
      this.#recorded,
      this.models.root,
      make(
        'section',
        { class: 'stage task-stage', label: key('title') },
        make('div', { class: 'task-example-box' }, make('h3', { words: 'tasks.examples' }), this.#examples),
        this.work,
        make('div', { class: 'task-tools', role: 'group', label: 'tasks.tools' }, this.#go, this.#stop, this.#copy, this.#bar, this.#status),
        this.#alert,
        this.result,
      ),
      make('p', { class: 'task-wrong faded', words: key('wrong') }),
    );
    this.served.watch(() => this.#changed());
    onLanguage(() => {
      this.#repeat();
      this.#showRecorded(true);
    });
    addEventListener('keydown', (event) => this.#key(event));
    root.addEventListener('dragover', (event) => this.#dragged(event));
    root.addEventListener('dragleave', () => root.classList.remove('task-drop'));
    root.addEventListener('drop', (event) => void this.#dropped(event));
    addEventListener('inkling:view', () => this.#shown());
    translate(root);
    this.models.show();
    this.#shown();
  }

  /** The model that does this page's task. */
  get serving() {
    return this.served.of(this.tasks);
  }

  /** The languages the model knows, where that is known; else none. */
  get languages() {
    const { languages = [] } = this.serving ? known(this.serving.entry) : {};
    return languages.includes('mul') ? [] : languages;
  }

  /** Whether the model may know a language; any may, where nothing is known of it. @param {string} language */
  knows(language) {
    return this.languages.length === 0 || this.languages.includes(language);
  }

  /** Says above the result where a text is in the letters of none of these languages, if there are any. @param {string} text @param {string[]} languages @param {Key} words */
  warn(text, languages, words) {
    if (languages.length > 0 && !languages.some((language) => isIn(text, language))) this.result.prepend(make('p', { class: 'task-foreign', words }));
  }

  get running() {
    return this.#running !== null;
  }

  #shown() {
    if (currentView() !== this.name) return;
    this.served.begin(this.tasks);
    this.#changed();
  }

  /** @type {Serving['model'] | null | undefined} */ #before = undefined;

  #changed() {
    const model = this.serving?.model ?? null;
    if (!this.#running) this.root.dataset.state = model ? 'ready' : this.served.loading ? 'loading' : 'empty';
    this.#go.disabled = model === null;
    this.#showRecorded(false);
    if (model === this.#before) return;
    this.#before = model;
    // What another model was asked for is of no use, nor what it said to that.
    this.#running?.abort();
    this.#alert.replaceChildren();
    this.onServing();
  }

  /** What a model does that was trained for it, while none such serves. @param {boolean} again  in another language */
  #showRecorded(again) {
    this.#recorded.hidden = this.serving !== null && trainedFor(this.name, this.serving);
    if (this.#recorded.hidden || (this.#recorded.hasChildNodes() && !again)) return;
    const example = recorded(this.name);
    if (example) this.#recorded.replaceChildren(make('h3', { text: t('tasks.looks') }), example);
    this.#recorded.hidden = example === null;
  }

  /** What to begin with, the best first; those in the page's language come before others. @param {Example[]} examples */
  offer(examples) {
    const own = getLanguage();
    const order = [...examples].sort((a, b) => Number(b.lang === own) - Number(a.lang === own));
    this.#examples.replaceChildren(
      ...order.slice(0, MOST_EXAMPLES).map(({ text, lang, run }) => make('li', {}, make('button', { type: 'button', class: 'task-example', lang, dir: 'auto', translate: 'no', text, on: { click: run } }))),
    );
  }

  /** Brings what came of it into sight. @param {Element} part */
  reveal(part) {
    part.scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
  }

  /** Says how it stands. @param {Key | null} key @param {Record<string, string | number>} [values] */
  say(key, values) {
    this.#repeat = () => (this.#status.textContent = key ? t(key, values) : '');
    this.#repeat();
  }

  /** Whether there is something to be copied. @param {boolean} possible */
  copyable(possible) {
    this.#copy.hidden = !possible;
  }

  /**
   * Does something with the model, which can be stopped; a second one takes the first one's place.
   * @template T @param {(work: Work) => Promise<T>} work @param {{ quiet?: boolean }} [options]  quiet: over in a moment, nothing is said
   * @returns {Promise<T | null>}  null where it was stopped or failed, which has been said
   */
  async run(work, { quiet = false } = {}) {
    const { serving } = this;
    if (!serving) {
      this.say(this.served.loading ? 'tasks.wait' : 'tasks.choose');
      this.models.focus();
      return null;
    }
    // What is over in a moment leaves what was said before, but for how far something is that is given up now.
    if (this.#running) this.say(null);
    const said = this.#repeat;
    this.#running?.abort();
    const mine = new AbortController();
    this.#running = mine;
    this.#alert.replaceChildren();
    this.#busy(!quiet);
    const began = performance.now();
    const end = (/** @type {() => void} */ say) => (quiet ? (this.#repeat = said)() : say());
    const slow = setTimeout(() => this.#running === mine && this.say('tasks.slow'), SLOW);
    if (!quiet) this.say('tasks.working');
    try {
      const signal = mine.signal;
      const progress = (/** @type {number} */ done, /** @type {number} */ total) => {
        if (this.#running !== mine || total < 2) return;
        clearTimeout(slow);
        this.#bar.hidden = false;
        this.#bar.max = total;
        this.#bar.value = done;
        this.say('tasks.progress.of', { done, total });
      };
      const result = await work({ ...serving, signal, progress });
      if (mine.signal.aborted) {
        if (this.#running === mine) end(() => this.say('tasks.stopped'));
        return null;
      }
      const seconds = Math.max(0.1, (performance.now() - began) / 1000);
      if (this.#running === mine) end(() => this.say('tasks.done', { seconds: number(seconds, { maximumFractionDigits: 1 }) }));
      return result;
    } catch (error) {
      const { code, name } = /** @type {{ code?: string, name?: string }} */ (error ?? {});
      if (code === 'aborted' || name === 'AbortError') {
        if (this.#running === mine) this.say('tasks.stopped');
      } else if (this.#running === mine) {
        this.say(null);
        if (!this.served.lost(serving, error)) this.fail(error);
      }
      return null;
    } finally {
      clearTimeout(slow);
      if (this.#running === mine) {
        this.#running = null;
        this.#busy(false);
        this.#changed();
      }
    }
  }

  stop() {
    this.#running?.abort();
  }

  /** @param {boolean} busy */
  #busy(busy) {
    const focused = document.activeElement;
    if (busy) this.root.dataset.state = 'working';
    this.#bar.hidden = true;
    this.#go.hidden = busy;
    this.#stop.hidden = !busy;
    // A button that goes away must not take the keyboard's place in the page with it.
    if (busy && focused === this.#go) this.#stop.focus();
    if (!busy && focused === this.#stop) this.#go.focus();
  }

  /** Says what went wrong. @param {unknown} error @param {{ words?: string, values?: Record<string, string | number> }} [more] */
  fail(error, { words, values } = {}) {
    const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error ?? {});
    const known = words ?? [`${this.name}.error.${code}`, `tasks.error.${code}`, `error.${code}`].find((key) => has(`${key}.title`)) ?? 'error.engine';
    fillAlert(this.#alert, known, { detail: message, values, actions: [{ label: 'action.dismiss', run: () => this.#alert.replaceChildren() }] });
    this.#alert.dataset.code = code;
  }

  async #copyResult() {
    this.say((await copyText(this.copied())) ? 'status.copied' : 'status.copyFailed');
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || currentView() !== this.name) return;
    if (event.key === 'Escape' && this.#running) this.stop();
    else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !this.#running) this.onGo();
    else return;
    event.preventDefault();
  }

  /** @param {DragEvent} event */
  #dragged(event) {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.root.classList.add('task-drop');
  }

  /** A text goes into the page's field, anything else is a model. @param {DragEvent} event */
  async #dropped(event) {
    this.root.classList.remove('task-drop');
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    try {
      const files = await dropped(event.dataTransfer);
      const [file] = files;
      if (file && files.length === 1 && isText(file)) await this.main.take(file);
      else this.models.take(files);
    } catch (error) {
      this.fail(error, { words: 'error.io' });
    }
  }
}
