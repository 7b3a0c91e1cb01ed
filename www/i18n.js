/**
 * The page's language: which one, its words, its numbers. A language is one file in i18n/ and one line here; a view that
 * is loaded later brings its own words (i18n/xx/view.js).
 */

import en from './i18n/en.js';
import zh from './i18n/zh.js';
import { recall, remember } from './store.js';

/** @typedef {keyof typeof en} PageKey */
/** @typedef {PageKey | keyof typeof import('./i18n/en/train.js').default | keyof typeof import('./i18n/en/library.js').default | keyof typeof import('./i18n/en/inside.js').default | keyof typeof import('./i18n/en/lessons.js').default | keyof typeof import('./i18n/en/tasks.js').default | keyof typeof import('./i18n/en/chat.js').default} Key */
/** @typedef {Record<string, string | number>} Values */

/** @type {Record<string, { name: string, locale: string, words: Record<PageKey, string> }>} */
export const LANGUAGES = {
  en: { name: 'English', locale: 'en', words: en },
  zh: { name: '简体中文', locale: 'zh-CN', words: zh },
};

let language = firstLanguage();
/** @type {Set<() => void>} */
const listeners = new Set();

function firstLanguage() {
  const wanted = [recall('language'), ...(navigator.languages ?? [navigator.language])];
  for (const tag of wanted) {
    const base = tag?.toLowerCase().split('-')[0];
    if (base && Object.hasOwn(LANGUAGES, base)) return base;
  }
  return 'en';
}

/** The words of views, by language. @type {Record<string, Record<string, string>>} */
const added = Object.fromEntries(Object.keys(LANGUAGES).map((code) => [code, {}]));

/** A view brings its words, each language with the same keys. @param {Record<string, Record<string, string>>} words */
export function addWords(words) {
  for (const [code, more] of Object.entries(words)) Object.assign(added[code] ?? {}, more);
}

const current = () => /** @type {typeof LANGUAGES[string]} */ (LANGUAGES[language]);

export const getLanguage = () => language;

/** @param {string} next */
export function setLanguage(next) {
  if (!Object.hasOwn(LANGUAGES, next)) return;
  language = next;
  remember('language', next);
  translate();
  for (const listener of listeners) listener();
}

/** Calls back after every change of language. @param {() => void} listener */
export const onLanguage = (listener) => listeners.add(listener);

/** @param {string} key @returns {key is Key} */
export const has = (key) => Object.hasOwn(en, key) || Object.hasOwn(added.en ?? {}, key);

/** @param {Key} key @param {Values} [values] */
export function t(key, values = {}) {
  // A key may have a form of its own for a number, such as `status.stopped.one`.
  const form = typeof values.count === 'number' ? `${key}.${new Intl.PluralRules(current().locale).select(values.count)}` : '';
  const found = /** @type {Key} */ (has(form) ? form : key);
  const words = added[language]?.[found] ?? current().words[/** @type {PageKey} */ (found)];
  return words.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === 'number' ? number(value) : value;
  });
}

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export const number = (value, options) => new Intl.NumberFormat(current().locale, options).format(value);

/** Bytes as people count them. @param {number} value */
export function bytes(value) {
  const units = ['kilobyte', 'megabyte', 'gigabyte'];
  let scaled = value / 1000;
  let unit = 0;
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return number(scaled, { style: 'unit', unit: units[unit], maximumFractionDigits: scaled < 10 ? 1 : 0 });
}

/** @param {number | null} value  tokens per second */
export const rate = (value) =>
  value === null ? '–' : t('unit.rate', { rate: number(value, { maximumFractionDigits: value < 10 ? 1 : 0 }) });

/**
 * Puts words where the markup asks for them: `data-i18n` is the text, `data-i18n-label`, `-title` and `-placeholder` are
 * attributes.
 * @param {ParentNode} [root]
 */
export function translate(root = document) {
  if (root === document) {
    document.documentElement.lang = current().locale;
    document.title = t('page.title');
  }
  /** @type {[string, (element: HTMLElement, words: string) => void][]} */
  const places = [
    ['data-i18n', (element, words) => void (element.textContent = words)],
    ['data-i18n-label', (element, words) => element.setAttribute('aria-label', words)],
    ['data-i18n-title', (element, words) => element.setAttribute('title', words)],
    ['data-i18n-placeholder', (element, words) => element.setAttribute('placeholder', words)],
    ['data-i18n-content', (element, words) => element.setAttribute('content', words)],
  ];
  for (const [attribute, put] of places) {
    for (const element of root.querySelectorAll(`[${attribute}]`)) {
      const key = element.getAttribute(attribute) ?? '';
      if (has(key)) put(/** @type {HTMLElement} */ (element), t(key));
    }
  }
}
