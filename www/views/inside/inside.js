/**
 * The Inside view: a text at the top and panels below it, each showing the same model on the same text in its own way. Any
 * number of panels stand side by side. The address says which: `#inside/tokens+next`.
 */

import { goesOn } from '../../catalog.js';
import { addWords, onLanguage, t, translate } from '../../i18n.js';
import en from '../../i18n/en/inside.js';
import zh from '../../i18n/zh/inside.js';
import { currentView } from '../../views.js';
import { addSheets, make } from '../dom.js';
import { PANELS, SHEETS } from './panels.js';
import { isAborted, problemWords } from './problems.js';
import { MOST, Subject } from './subject.js';

/** @import { Key } from '../../i18n.js' */
/** @import { Page } from '../../views.js' */
/** @import { PanelView } from './panels.js' */

addWords({ en, zh });

/** How long somebody who types must pause before the model reads again, in milliseconds: a small model at once, a large one later. */
const PAUSE = { small: 60, large: 350 };
const LARGE = 30e6;

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  addSheets(SHEETS, import.meta.url);
  const view = new Inside(page);
  root.append(...view.parts);
  translate(root);
  onLanguage(() => view.relabel());
  addEventListener('hashchange', () => view.route());
  page.onModel(() => view.changed(0));
  view.route();
}

class Inside {
  subject = new Subject();
  #text = make('textarea', {
    id: 'inside-text',
    rows: 2,
    dir: 'auto',
    spellcheck: 'false',
    placeholder: 'inside.text.placeholder',
    on: { input: () => this.changed() },
  });
  #note = make('p', { class: 'faded', id: 'inside-note', role: 'status' });
  #chips = make('div', { class: 'inside-chips', role: 'group', label: 'inside.panels' });
  #place = make('div', { class: 'inside-panels' });
  /** Open panels by name. @type {Map<string, { box: HTMLElement, problem: HTMLElement, panel: PanelView | null }>} */ #open = new Map();
  #soon = 0;
  /** Text or model may be another than the panels show: while the view is hidden nothing is computed for it. */ #stale = true;

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.#text.value = page.text() || firstPrompt(page);
    this.parts = [
      make(
        'div',
        { class: 'inside-head' },
        make('h2', { words: 'inside.title' }),
        make('p', { words: 'inside.intro' }),
        make('label', { for: 'inside-text', words: 'inside.text' }),
        this.#text,
        this.#note,
        this.#chips,
      ),
      this.#place,
    ];
    for (const name of Object.keys(PANELS)) {
      this.#chips.append(
        make('button', {
          type: 'button',
          'data-panel': name,
          'aria-pressed': 'false',
          words: /** @type {Key} */ (`inside.${name}`),
          on: { click: () => this.#toggle(name) },
        }),
      );
    }
  }

  /** Opens what the address says. */
  route() {
    const [view, rest = ''] = location.hash.slice(1).split('/');
    if (view !== 'inside') return;
    const wanted = decodeURIComponent(rest.split('?')[0] ?? '').split('+').filter((name) => Object.hasOwn(PANELS, name));
    const names = wanted.length > 0 ? wanted : this.#open.size > 0 ? [...this.#open.keys()] : ['tokens', 'next'];
    for (const name of [...this.#open.keys()]) if (!names.includes(name)) this.#close(name);
    for (const name of names) void this.#show(name);
    for (const chip of this.#chips.children) {
      chip.setAttribute('aria-pressed', String(names.includes(/** @type {HTMLElement} */ (chip).dataset.panel ?? '')));
    }
    if (this.#stale) this.changed(0);
  }

  /** @param {string} name */
  #toggle(name) {
    const names = new Set(this.#open.keys());
    // One always stays: a view of nothing helps nobody.
    if (names.has(name) && names.size > 1) names.delete(name);
    else names.add(name);
    location.hash = `#inside/${[...names].join('+')}`;
  }

  /** @param {string} name */
  #close(name) {
    const opened = this.#open.get(name);
    opened?.panel?.close?.();
    opened?.box.remove();
    this.#open.delete(name);
  }

  /** @param {string} name */
  async #show(name) {
    if (this.#open.has(name)) return;
    const problem = make('p', { class: 'inside-problem', role: 'status' });
    const title = `inside-title-${name}`;
    const box = make(
      'section',
      { class: 'stage inside-panel', 'data-panel': name, 'aria-labelledby': title, 'data-state': 'loading' },
      make(
        'div',
        { class: 'stage-head' },
        make('h3', { id: title, tabindex: '-1', words: /** @type {Key} */ (`inside.${name}`) }),
        make('p', { class: 'faded', words: /** @type {Key} */ (`inside.${name}.intro`) }),
      ),
      problem,
    );
    const opened = { box, problem, panel: /** @type {PanelView | null} */ (null) };
    this.#open.set(name, opened);
    this.#place.append(box);
    try {
      const { Panel } = await /** @type {NonNullable<typeof PANELS[string]>} */ (PANELS[name])();
      if (!box.isConnected) return;
      opened.panel = new Panel(this.subject, {
        setText: (text) => this.#setText(text),
        models: () => this.page.models().filter(goesOn),
        run: (work) => this.#run(opened, work),
      });
      box.append(opened.panel.root);
      translate(box);
      await this.#update(opened);
    } catch (error) {
      this.#fail(opened, error);
    }
  }

  /** @param {string} text */
  #setText(text) {
    this.#text.value = text;
    this.changed(0);
  }

  /** The text or the model may be another one. @param {number} [after]  in milliseconds */
  changed(after) {
    this.#stale = true;
    clearTimeout(this.#soon);
    if (currentView() !== 'inside') return;
    const model = this.page.model();
    const pause = (model?.info.parameters ?? 0) > LARGE ? PAUSE.large : PAUSE.small;
    this.#soon = setTimeout(() => void this.#take(), after ?? pause);
  }

  async #take() {
    const { subject } = this;
    this.#stale = false;
    try {
      await subject.take(this.page.model(), this.page.current(), this.#text.value);
    } catch (error) {
      if (isAborted(error)) return;
      for (const opened of this.#open.values()) this.#fail(opened, error);
      return;
    }
    this.#tell();
    await Promise.all([...this.#open.values()].map((opened) => this.#update(opened)));
  }

  /** What is looked at, in a line. */
  #tell() {
    const { subject } = this;
    const { model, tokens, cut } = subject;
    if (!model) this.#note.textContent = t('inside.waiting');
    else if (tokens.length === 0) this.#note.textContent = t('inside.empty');
    else {
      const count = t('inside.count', { count: tokens.length, model: this.page.title() });
      this.#note.textContent = cut > 0 ? `${count} ${t('inside.cut', { cut, most: MOST })}` : count;
    }
  }

  /** @param {{ box: HTMLElement, problem: HTMLElement, panel: PanelView | null }} opened */
  #update(opened) {
    const { panel } = opened;
    return panel ? this.#run(opened, () => panel.update()) : Promise.resolve();
  }

  /** Does a panel's work, and says in it what went wrong. @param {{ box: HTMLElement, problem: HTMLElement }} opened @param {() => Promise<void>} work */
  async #run(opened, work) {
    if (!this.subject.ready) {
      opened.box.dataset.state = 'empty';
      opened.problem.textContent = this.subject.model ? t('inside.empty') : t('inside.waiting');
      return;
    }
    opened.box.dataset.state = 'working';
    try {
      await work();
      opened.problem.textContent = '';
      opened.box.dataset.state = 'ready';
    } catch (error) {
      this.#fail(opened, error);
    }
  }

  /** @param {{ box: HTMLElement, problem: HTMLElement }} opened @param {unknown} error */
  #fail(opened, error) {
    if (isAborted(error)) return;
    opened.box.dataset.state = 'failed';
    opened.problem.textContent = problemWords(error);
  }

  relabel() {
    this.#tell();
    for (const { panel } of this.#open.values()) panel?.relabel();
    for (const opened of this.#open.values()) void this.#update(opened);
  }
}

/** @param {Page} page */
const firstPrompt = (page) => page.current()?.prompts?.[0] ?? t('inside.sample');

