/** A chart with what everyone needs of it: a table that says the same, the numbers as CSV, and the picture as a file. */

import { t } from '../../i18n.js';
import { make } from '../dom.js';
import { download, fileName } from '../download.js';
import { savePicture } from './picture.js';

/** @import { Key } from '../../i18n.js' */

/** @typedef {{ head: string[], rows: (string | number)[][] }} Table */

/** Rows that a table on the page has at most; the CSV has all. */
const MOST_ROWS = 400;

/**
 * @param {Key} title @param {Element[]} picture  the last canvas or svg among them is what is saved @param {() => Table} table
 * @param {{ open?: boolean }} [options]
 */
export function figure(title, picture, table, { open = false } = {}) {
  const place = make('div', { class: 'inside-table', role: 'group', tabindex: '0', label: title });
  const show = () => {
    const { head, rows } = table();
    const cells = (/** @type {(string | number)[]} */ row, /** @type {'th' | 'td'} */ tag) =>
      make('tr', {}, ...row.map((cell) => make(tag, { text: String(cell), scope: tag === 'th' ? 'col' : null })));
    const more = rows.length > MOST_ROWS ? make('p', { class: 'faded', text: t('inside.table.more', { count: rows.length - MOST_ROWS }) }) : null;
    place.replaceChildren(
      make('table', {}, make('caption', { class: 'unseen', text: t(title) }), make('thead', {}, cells(head, 'th')), make('tbody', {}, ...rows.slice(0, MOST_ROWS).map((row) => cells(row, 'td')))),
      ...(more ? [more] : []),
    );
  };
  const details = make('details', { on: { toggle: () => details.open && show() } }, make('summary', { words: 'inside.table' }), place);
  details.open = open;
  const save = (/** @type {Key} */ words, /** @type {() => void | Promise<void>} */ run) => make('button', { type: 'button', words, on: { click: () => void run() } });
  const name = () => fileName(t(title));
  /** @type {HTMLElement} */
  const root = make(
    'figure',
    { class: 'inside-figure' },
    ...picture,
    make(
      'figcaption',
      {},
      details,
      make(
        'span',
        { class: 'inside-save', role: 'group', label: 'inside.save' },
        save('inside.save.csv', () => download(`${name()}.csv`, new Blob(['\ufeff', csv(table())], { type: 'text/csv' }))),
        save('inside.save.picture', () => savePicture(root, name())),
      ),
    ),
  );
  return {
    root,
    /** The numbers are other ones. */
    update: () => {
      if (details.open) show();
    },
  };
}

/** RFC 4180. @param {Table} table */
export function csv({ head, rows }) {
  const cell = (/** @type {string | number} */ value) => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n');
}
