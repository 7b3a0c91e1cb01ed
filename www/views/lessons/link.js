/** The address of a lesson for the class: to copy, and as a QR code to photograph. The code's module is fetched when it is first shown. */

import { t } from '../../i18n.js';
import { draw, make } from '../dom.js';

/** Light modules around a code, by its standard (ISO/IEC 18004, 9.1). */
const MARGIN = 4;
/** Bytes that the largest code has room for, at the level of correction that is used (ISO/IEC 18004, table 7). */
const LONGEST = 2331;

/** @typedef {{ default: () => Promise<unknown>, qrModules: (text: string) => Uint8Array }} QrModule */

export class LinkBox {
  #field = make('input', { type: 'text', id: 'link-address', readonly: true, label: 'lessons.link.address', on: { focus: () => this.#field.select() } });
  #code = make('div', { class: 'lesson-code' });
  #said = make('p', { class: 'faded', role: 'status' });
  root = make(
    'dialog',
    { class: 'lesson-link', 'aria-labelledby': 'link-title' },
    make('h2', { id: 'link-title', words: 'lessons.link' }),
    make('p', { words: 'lessons.link.intro' }),
    this.#code,
    this.#field,
    this.#said,
    make(
      'p',
      { class: 'lesson-nav' },
      make('button', { type: 'button', class: 'primary', id: 'link-copy', words: 'lessons.link.copy', on: { click: () => void this.#copy() } }),
      make('button', { type: 'button', id: 'link-close', words: 'action.dismiss', on: { click: () => this.root.close() } }),
    ),
  );

  constructor() {
    document.body.append(this.root);
  }

  /** @param {string} address */
  async show(address) {
    this.#field.value = address;
    this.#said.textContent = isHere(new URL(address).hostname) ? t('lessons.link.here') : '';
    this.#code.replaceChildren();
    this.root.showModal();
    try {
      const code = await modulesOf(address);
      if (this.#field.value === address) this.#code.replaceChildren(picture(code));
    } catch (error) {
      // The address itself is there to copy.
      const long = address.length > LONGEST;
      this.#said.textContent = long ? t('lessons.link.long') : t('lessons.link.nocode', { message: error instanceof Error ? error.message : String(error) });
    }
  }

  async #copy() {
    try {
      // Missing where the page does not come over https.
      await navigator.clipboard.writeText(this.#field.value);
      this.#said.textContent = t('lessons.link.copied');
    } catch {
      this.#field.select();
      this.#said.textContent = t(document.execCommand('copy') ? 'lessons.link.copied' : 'lessons.link.select');
    }
  }
}

/** Whether an address leads nowhere on another machine. @param {string} host */
const isHere = (host) => host === 'localhost' || host === '[::1]' || /^127\./.test(host);

/** @param {string} text */
async function modulesOf(text) {
  /** @type {QrModule} */
  const module = await import(new URL('../../qr/inkling_qr.js', import.meta.url).href);
  await module.default();
  return module.qrModules(text);
}

/** Dark on light whatever the theme: many cameras read nothing else. @param {Uint8Array} modules */
function picture(modules) {
  const side = Math.sqrt(modules.length);
  const size = side + 2 * MARGIN;
  const squares = [...modules].flatMap((dark, i) => (dark ? [`M${MARGIN + (i % side)} ${MARGIN + Math.floor(i / side)}h1v1h-1z`] : []));
  return draw(
    'svg',
    { viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': t('lessons.link.code'), 'shape-rendering': 'crispEdges' },
    draw('rect', { width: size, height: size, fill: '#fff' }),
    draw('path', { d: squares.join(''), fill: '#000' }),
  );
}
