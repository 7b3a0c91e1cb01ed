/**
 * The views of the page, and which one is shown: the address after # says it, so that links, the keyboard and the back
 * button all work. A view other than the first is fetched when it is opened for the first time.
 */

import { t } from './i18n.js';
import { byId, element } from './notices.js';

/** @import { Entry } from './catalog.js' */
/** @import { Model } from './inkling.js' */
/** @import { GenerationConfig } from './protocol.js' */

/**
 * What a view may ask of the page: to write with a model, and which model is in use there; the text that is written, and all
 * models there are. `title` is that of the model in use, `use` opens a listed one, and `config` is how texts are written.
 * @typedef {{ write: (entry: Entry) => void, current: () => Entry | null, saved: () => Promise<void>,
 *             stored: (entries: Entry[]) => void, model: () => Model | null, onModel: (listener: () => void) => void,
 *             title: () => string, text: () => string, models: () => Entry[], use: (id: string) => void,
 *             config: () => Promise<GenerationConfig> }} Page
 */

/** @typedef {(root: HTMLElement, page: Page) => void} Open  fills its part of the page */

/** A view is a folder or file in views/ and a line here. @type {Record<string, (() => Promise<{ open: Open }>) | null>} */
const VIEWS = {
  write: null,
  chat: () => import('./views/chat/chat.js'),
  inside: () => import('./views/inside/inside.js'),
  lessons: () => import('./views/lessons/lessons.js'),
  train: () => import('./views/train/train.js'),
  library: () => import('./views/library/library.js'),
  translate: () => import('./views/tasks/translate.js'),
  summarise: () => import('./views/tasks/summarise.js'),
  ask: () => import('./views/tasks/ask.js'),
  fill: () => import('./views/tasks/fill.js'),
  search: () => import('./views/tasks/search.js'),
};

/** Milliseconds after which a view that is still being fetched says so. */
const PATIENCE = 300;

/** @type {Set<string>} */
const opened = new Set();

export const currentView = () => document.body.dataset.view ?? 'write';

/**
 * Shows the view of the address, now and whenever it changes.
 * @param {Page} page @param {(error: unknown) => void} onError  a view's code could not be fetched
 */
export function startViews(page, onError) {
  const show = () => {
    const wanted = location.hash.slice(1).split('/')[0] ?? '';
    // Any other anchor is inside the view that is shown.
    if (wanted !== '' && !Object.hasOwn(VIEWS, wanted)) return;
    const name = wanted || 'write';
    document.body.dataset.view = name;
    for (const part of document.querySelectorAll('[data-for]')) {
      /** @type {HTMLElement} */ (part).hidden = !/** @type {HTMLElement} */ (part).dataset.for?.split(' ').includes(name);
    }
    for (const link of document.querySelectorAll('#views a, #tasks a')) {
      const { view, group = '' } = /** @type {HTMLElement} */ (link).dataset;
      if (view === name) link.setAttribute('aria-current', 'page');
      else if (group.split(' ').includes(name)) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
    // On a narrow screen the link may lie beyond the edge of its bar.
    const bar = byId('tasks');
    const current = /** @type {HTMLElement | null} */ (bar.querySelector('[aria-current]'));
    if (current) bar.scrollLeft = current.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;
    dispatchEvent(new Event('inkling:view'));
    const fetchView = VIEWS[name];
    if (!fetchView || opened.has(name)) return;
    opened.add(name);
    const root = byId(name);
    const waiting = Object.assign(element('p', ''), { className: 'view-waiting', role: 'status' });
    root.prepend(waiting);
    const timer = setTimeout(() => (waiting.textContent = t('view.fetching')), PATIENCE);
    const fetched = fetchView().finally(() => {
      clearTimeout(timer);
      waiting.remove();
    });
    fetched.then(
      (view) => view.open(root, page),
      (error) => {
        opened.delete(name);
        onError(error);
      },
    );
  };
  addEventListener('hashchange', show);
  show();
}
