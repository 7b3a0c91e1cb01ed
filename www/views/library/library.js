/**
 * The Models view: getting a model from a hub or an address, what is kept in this browser, and what this browser can. Each
 * part is a file beside this one. `#library/owner/name` has that repository in the field.
 */

import { addWords, onLanguage, translate } from '../../i18n.js';
import en from '../../i18n/en/library.js';
import zh from '../../i18n/zh/library.js';
import { store } from '../../store/client.js';
import { addSheets, make } from '../dom.js';
import { Abilities } from './abilities.js';
import { Finder } from './finder.js';
import { Shelf } from './shelf.js';

/** @import { Page } from '../../views.js' */

addWords({ en, zh });

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  addSheets(['../view.css', './library.css'], import.meta.url);
  const shelf = new Shelf(page);
  const finder = new Finder((choice) => shelf.begin(choice));
  const abilities = new Abilities();
  shelf.onLook = (text) => finder.look(text);
  root.append(
    make('div', { class: 'library-head' }, make('h2', { words: 'library.title' }), make('p', { words: 'library.intro' })),
    shelf.root,
    finder.root,
    abilities.root,
  );
  store.watch((state) => {
    shelf.show(state);
    finder.stored(state);
    abilities.tier(state.tier);
  });
  onLanguage(() => {
    shelf.relabel();
    finder.relabel();
    abilities.relabel();
  });
  translate(root);
  const route = () => {
    const [view, ...rest] = location.hash.slice(1).split('/');
    if (view === 'library' && rest.length > 0) finder.offer(decodeURIComponent(rest.join('/')));
  };
  addEventListener('hashchange', route);
  route();
}
