/** Which model serves a task page, what else it can do, and the models that could: open one, fetch one, or drop one's own. */

import { inLanguage, titleOf } from '../../catalog.js';
import { picked } from '../../drops.js';
import { bytes, getLanguage, has, number, onLanguage, t } from '../../i18n.js';
import { fillAlert } from '../../notices.js';
import { openOwn } from '../../own.js';
import { hubAddress } from '../../store/settings.js';
import { make } from '../dom.js';
import { pagesFor } from './pages.js';
import { FATAL, tasksOf, trainedFor } from './served.js';
import { SUGGESTIONS, entryOf, known } from './suggestions.js';

/** @import { Entry } from '../../catalog.js' */
/** @import { Key } from '../../i18n.js' */
/** @import { NamedBlob } from '../../protocol.js' */
/** @import { Served, Serving } from './served.js' */

/** Links to the pages that a model can serve, but for one. @param {string[]} tasks @param {string} but */
const linksTo = (tasks, but) =>
  pagesFor(tasks).filter((name) => name !== but).map((name) => make('a', { href: `#${name}`, words: /** @type {Key} */ (`views.${name}`) }));

/** The languages of an entry in words; none where they are not known. @param {Entry} entry */
function languagesOf({ languages }) {
  const names = new Intl.DisplayNames([document.documentElement.lang || 'en'], { type: 'language' });
  return languages.map((tag) => (tag === 'mul' ? t('tasks.languages.many') : (names.of(tag) ?? tag))).join(', ');
}

/** Size, parameters and languages, where they are known. @param {Entry} entry */
function factsOf(entry) {
  const parameters = entry.parameters && number(entry.parameters, { notation: 'compact', maximumSignificantDigits: 2 });
  return [
    entry.bytes ? bytes(entry.bytes) : '',
    parameters ? t('model.parameters', { parameters }) : '',
    languagesOf(entry),
  ].filter(Boolean).join(' · ');
}

export class ModelLine {
  #line = make('p', { class: 'task-serving' });
  #note = make('p', { class: 'task-also' });
  #bar = make('progress', { label: 'progress.label' });
  #loaded = make('span', { role: 'status' });
  #busy = make('div', { class: 'task-loading', hidden: true }, this.#bar, this.#loaded, make('button', { type: 'button', words: 'action.cancel', on: { click: () => this.served.cancel() } }));
  #alert = make('div', { class: 'alert', role: 'alert' });
  #list = make('div', { class: 'task-models-list' });
  #menu = make('details', { class: 'task-models' }, make('summary', { words: 'tasks.models' }), this.#list);
  /** The person has opened or closed the list: it stays as they left it. */ #touched = false;
  /** What is on show, so that a button keeps the keyboard while numbers run. */ #shown = '';

  /** @param {Served} served @param {string} name  of the page @param {string[]} tasks */
  constructor(served, name, tasks) {
    this.served = served;
    this.name = name;
    this.tasks = tasks;
    this.root = make('section', { class: 'stage task-model', label: 'model.label' }, this.#line, this.#note, this.#busy, this.#alert, this.#menu);
    this.#menu.querySelector('summary')?.addEventListener('click', () => (this.#touched = true));
    served.watch(() => this.show());
    onLanguage(() => {
      this.#shown = '';
      this.show();
    });
    // What can be fetched depends on whether there is a network.
    for (const change of ['online', 'offline']) {
      addEventListener(change, () => {
        this.#shown = '';
        this.show();
      });
    }
  }

  /** The list, with the keyboard in it. */
  focus() {
    this.#menu.open = true;
    /** @type {HTMLElement | null} */ (this.#list.querySelector('button:not([disabled])') ?? this.#menu.querySelector('summary'))?.focus();
  }

  show() {
    const { served } = this;
    const serving = served.of(this.tasks);
    this.#showProgress();
    const state = JSON.stringify([serving?.entry.id, served.any?.entry.id, served.loading?.entry.id, served.failure, served.all.map(({ id }) => id)]);
    if (state === this.#shown) return;
    this.#shown = state;
    this.root.dataset.state = served.loading ? 'loading' : serving ? 'ready' : 'none';
    this.#line.replaceChildren(...this.#words(serving));
    this.#showNote(serving);
    this.#showFailure();
    this.#showList(serving);
    if (!this.#touched) this.#menu.open = !serving && !served.loading;
  }

  /** @param {Serving | null} serving @returns {(Node | string)[]} */
  #words(serving) {
    const { loading } = this.served;
    if (!serving) return [t(loading ? 'tasks.opening' : 'tasks.none', { name: loading ? titleOf(loading.entry) : '' })];
    const entry = known(serving.entry);
    const facts = factsOf({ ...entry, parameters: serving.model.info.parameters });
    return [t('tasks.served'), ' ', make('strong', { text: titleOf(entry) }), facts ? ` (${facts})` : ''];
  }

  /** What it can do besides, and what it is bad at; or what another one can. @param {Serving | null} serving */
  #showNote(serving) {
    const { any, loading } = this.served;
    const parts = /** @type {(Node | string)[]} */ ([]);
    if (serving) {
      const about = inLanguage(known(serving.entry).description);
      const pages = linksTo(tasksOf(serving), this.name);
      if (about) parts.push(about, ' ');
      const { tasks } = serving.model.info;
      if (tasks.includes('chat') && !this.tasks.some((task) => task !== 'chat' && tasksOf(serving).includes(task))) parts.push(t('tasks.told'), ' ');
      if (!trainedFor(this.name, serving)) parts.push(t('search.untrained'), ' ');
      if (pages.length > 0) parts.push(t('tasks.also'), ' ', ...between(pages));
    } else if (any && !loading) {
      const pages = linksTo(tasksOf(any), this.name);
      parts.push(t('tasks.cannot', { name: titleOf(any.entry) }), ' ');
      if (pages.length > 0) parts.push(t('tasks.can'), ' ', ...between(pages));
    }
    this.#note.replaceChildren(...parts);
  }

  #showProgress() {
    const { loading } = this.served;
    this.#busy.hidden = !loading;
    if (!loading) return;
    const { phase, loadedBytes, totalBytes } = loading.progress;
    const values = { name: titleOf(loading.entry), loaded: bytes(loadedBytes) };
    if (totalBytes) {
      this.#bar.max = totalBytes;
      this.#bar.value = loadedBytes;
      this.#loaded.textContent = t(`progress.${phase}`, { ...values, total: bytes(totalBytes) });
    } else {
      this.#bar.removeAttribute('value');
      this.#loaded.textContent = t(`progress.${phase}.unknown`, values);
    }
  }

  #showFailure() {
    const { failure } = this.served;
    if (!failure) return this.#alert.replaceChildren();
    const far = 'hub' in failure.entry.source && !FATAL.includes(failure.code);
    const words = far ? 'tasks.error.hub' : has(`error.${failure.code}.title`) ? `error.${failure.code}` : 'error.io';
    const actions = [
      { label: /** @type {const} */ ('action.reload'), run: () => void this.served.open(failure.entry) },
      { label: /** @type {const} */ ('action.dismiss'), run: () => this.served.dismiss() },
    ];
    this.#alert.dataset.code = failure.code;
    return fillAlert(this.#alert, words, { detail: failure.message, actions });
  }

  /** @param {Serving | null} serving */
  #showList(serving) {
    const { served, tasks } = this;
    const here = served.all.map(known);
    const able = here.filter((entry) => entry.tasks?.some((task) => tasks.includes(task)));
    // Of these it is not known before they are open what they can do.
    const others = here.filter((entry) => !entry.tasks && entry.id !== serving?.entry.id);
    const stored = new Set(here.map(({ id }) => /^stored:(.+?)@/.exec(id)?.[1]));
    const language = getLanguage();
    const speaks = (/** @type {string[]} */ languages) => Number(languages.includes(language) || languages.includes('mul'));
    const wanted = SUGGESTIONS.filter((one) => one.tasks.some((task) => tasks.includes(task)) && !stored.has(one.repository));
    // Those for the page's language first.
    wanted.sort((a, b) => speaks(b.languages) - speaks(a.languages));
    const rows = (/** @type {Entry[]} */ entries) => entries.map((entry) => this.#row(entry, entry.id === serving?.entry.id));
    const groups = [
      { words: /** @type {Key} */ ('tasks.models.here'), rows: rows(able) },
      { words: /** @type {Key} */ ('tasks.models.fetch'), rows: rows(wanted.map((one) => entryOf(one, hubAddress()))) },
      { words: /** @type {Key} */ ('tasks.models.other'), rows: rows(others) },
    ].filter(({ rows }) => rows.length > 0);
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.model;
    this.#list.replaceChildren(
      ...groups.flatMap(({ words, rows }) => [make('h3', { words }), make('ul', { class: 'task-rows' }, ...rows)]),
      make('h3', { words: 'tasks.models.own' }),
      make('p', { class: 'faded', words: 'tasks.models.own.hint' }),
      make('div', { class: 'task-files' }, this.#files(false), this.#files(true)),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-model="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Entry} entry @param {boolean} serves */
  #row(entry, serves) {
    const fetched = 'hub' in entry.source;
    const title = titleOf(entry);
    const offline = fetched && navigator.onLine === false;
    const action = serves ? 'tasks.model.serves' : fetched ? 'tasks.model.fetch' : 'tasks.model.open';
    const open = make('button', {
      type: 'button',
      'data-model': entry.id,
      disabled: serves || offline || this.served.loading?.entry.id === entry.id,
      text: t(action, { size: bytes(entry.bytes ?? 0) }),
      on: { click: () => void this.served.open(entry) },
    });
    open.setAttribute('aria-label', `${open.textContent}: ${title}`);
    return make(
      'li',
      { class: 'task-row' },
      make('span', { class: 'title', text: title, translate: 'no' }),
      make('span', { class: 'facts', text: factsOf(entry) }),
      make('span', { class: 'about', text: inLanguage(entry.description) }),
      offline ? make('span', { class: 'about', words: 'tasks.offline' }) : null,
      open,
    );
  }

  /** @param {boolean} folder */
  #files(folder) {
    const id = `${this.name}-${folder ? 'folder' : 'files'}`;
    const input = make('input', { id, type: 'file', multiple: true, webkitdirectory: folder });
    input.addEventListener('change', () => {
      this.take(picked(input));
      input.value = '';
    });
    return make('span', { class: 'file' }, input, make('label', { for: id, words: folder ? 'model.folder' : 'model.files' }));
  }

  /** Opens a model of the person's own. @param {NamedBlob[]} files */
  take(files) {
    openOwn(files, (entry) => void this.served.open(entry));
  }
}

/** Links with commas between them. @param {Node[]} links @returns {(Node | string)[]} */
const between = (links) => links.flatMap((link, i) => (i > 0 ? [', ', link] : [link]));
