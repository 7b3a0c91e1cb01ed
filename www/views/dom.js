/** Making elements: their attributes, words and listeners in one call. */

import { t } from '../i18n.js';

/** @import { Key } from '../i18n.js' */

/**
 * `words` is the key of the text, `label` that of aria-label; `on` are listeners.
 * @typedef {{ words?: Key, label?: Key, placeholder?: Key, text?: string, on?: Record<string, (event: any) => void> }} Extras
 */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Extras & Record<string, unknown>} [about]  anything else is an attribute; false and null leave it out
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, about = {}, ...children) {
  const { words, label, placeholder, text, on = {}, ...attributes } = about;
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  // The words are put in now, and marked so that another language finds them.
  if (words) made.append(t(words));
  /** @type {[string, string, Key | undefined][]} */
  const keys = [
    ['i18n', '', words],
    ['i18n-label', 'aria-label', label],
    ['i18n-placeholder', 'placeholder', placeholder],
  ];
  for (const [mark, attribute, key] of keys) {
    if (key) made.setAttribute(`data-${mark}`, key);
    if (key && attribute) made.setAttribute(attribute, t(key));
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined)
      made.setAttribute(name, value === true ? '' : String(value));
  }
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const SVG = 'http://www.w3.org/2000/svg';

/** @param {string} tag @param {Record<string, string | number>} attributes @param {(Node | string)[]} children */
export function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Adds style sheets in this order, but for those that another view has added. @param {string[]} sheets @param {string} beside  the address of the module they lie beside */
export function addSheets(sheets, beside) {
  for (const sheet of sheets) {
    const { href } = new URL(sheet, beside);
    if (!document.querySelector(`link[href="${CSS.escape(href)}"]`)) document.head.append(make('link', { rel: 'stylesheet', href }));
  }
}

/** A labelled control. @param {Key} words @param {HTMLElement} control @param {Key} [help] */
export function field(words, control, help) {
  const parts = [make('span', { words }), control];
  if (help) parts.push(make('small', { words: help }));
  return make('label', { class: 'field-train' }, ...parts);
}

/** @param {Record<string, Key>} options  value to words @param {string} value @param {(value: string) => void} onChange @param {Record<string, unknown>} [about] */
export function select(options, value, onChange, about = {}) {
  const made = make('select', { ...about, on: { change: () => onChange(made.value) } });
  for (const [name, words] of Object.entries(options)) made.append(make('option', { value: name, words }));
  made.value = value;
  return made;
}

/**
 * A number within bounds; anything else is marked and not passed on.
 * @param {{ min: number, max: number, step?: number | 'any', value: number }} bounds @param {(value: number) => void} onChange
 * @param {Record<string, unknown>} [about]
 */
export function numeric({ min, max, step = 1, value }, onChange, about = {}) {
  const made = make('input', {
    type: 'number',
    min,
    max,
    step,
    value,
    inputmode: step === 1 ? 'numeric' : 'decimal',
    ...about,
  });
  made.addEventListener('change', () => {
    const good = made.value !== '' && made.checkValidity();
    if (good) made.removeAttribute('aria-invalid');
    else made.setAttribute('aria-invalid', 'true');
    if (good) onChange(Number(made.value));
  });
  return made;
}
/** A row of name and value, as the measurements of the page are. @param {[Key, string, string?][]} rows  key, value, id */
export function facts(rows) {
  return rows.map(([words, value, id]) =>
    make('div', {}, make('dt', { words }), make('dd', { text: value, id: id ?? null })),
  );
}
