/**
 * The models that ship with the page, as models/catalog.json lists them, and what is said of any model before it is
 * loaded.
 */

import { getLanguage } from './i18n.js';

/** @import { Source } from './inkling.js' */

/** The same in each language of the page. @typedef {Record<string, string>} Words */

/**
 * Something to load, and what is known of it. All but the first four may be missing: little is known of a model that
 * somebody drops on the page.
 * @typedef {object} Entry
 * @property {string} id
 * @property {Source} source
 * @property {string[]} languages  what it writes; empty where unknown
 * @property {Words} title
 * @property {Words} [description]  one line
 * @property {number} [bytes]  to download
 * @property {number} [parameters]
 * @property {string[]} [defaultFor]  the languages of the page that begin with it
 * @property {string[]} [prompts]  what to begin a text with
 * @property {Record<string, unknown>} [settings]  generation parameters that suit it, instead of the page's defaults
 * @property {string[]} [tasks]  what it can do, as `info.tasks` will say once it is loaded, and what its user knows besides
 * @property {{ prompt: string, from: string, to: string }} [translation]  of a model that translates by going on with a text: its form, with `{text}` in it
 * @property {{ pooling?: 'mean' | 'cls', query?: string, passage?: string }} [embedding]  of a model that embeds: how, and what stands before a question and a text
 * @property {Words} [unknown]  why it may not know a character
 * @property {{ words: Words, links: string[] }} [data]  what it learned from, by whom, under which licence
 */

const CATALOG = 'models/catalog.json';

/** @returns {Promise<Entry[]>} */
export async function readCatalog() {
  const answer = await fetch(CATALOG);
  if (!answer.ok) throw new Error(`${CATALOG}: expected a file, found HTTP ${answer.status}`);
  const catalog = await answer.json();
  if (!Array.isArray(catalog?.models)) throw new Error(`${CATALOG}: expected a list "models", found none`);
  return catalog.models.map(entryOf);
}

/** @param {any} model @returns {Entry} */
function entryOf({ id, path, files, bytes, parameters, languages, default_for, title, description, data, unknown, prompts, settings, tasks, translation, embedding }) {
  if (typeof id !== 'string' || typeof path !== 'string') throw new Error(`${CATALOG}: expected id and path, found neither`);
  const url = new URL(path, new URL(CATALOG, document.baseURI)).href;
  const { links = [], ...words } = data ?? {};
  return {
    id,
    source: { url, files, bytes },
    languages: languages ?? [],
    title: title ?? {},
    description,
    bytes,
    parameters,
    defaultFor: default_for ?? [],
    prompts: prompts ?? [],
    settings,
    tasks,
    translation,
    embedding,
    unknown,
    data: data && { words, links },
  };
}

/** The model a person who reads this language begins with. @param {Entry[]} entries @param {string} language */
export const defaultOf = (entries, language) =>
  entries.find(({ defaultFor }) => defaultFor?.includes(language)) ?? entries[0] ?? null;

/** Whether it writes the language; `true` where that is not known. @param {Entry} entry @param {string} language */
export const writes = ({ languages }, language) =>
  languages.length === 0 || languages.some((tag) => tag.split('-')[0] === language);

/** Whether it goes on with a text; `true` where that is not known. @param {Entry} entry */
export const goesOn = ({ tasks }) => tasks?.includes('text-generation') ?? true;

/** In the page's language, else in English. @param {Words | undefined} words */
export const inLanguage = (words) => words?.[getLanguage()] ?? words?.en ?? '';

/** @param {Entry} entry */
export const titleOf = ({ id, title }) => inLanguage(title) || id;

/** What it weighs, where that is known. @param {Entry} entry @returns {number | null} */
export function bytesOf({ bytes, source }) {
  if (bytes !== undefined) return bytes;
  if (!('files' in source) || 'url' in source) return null;
  return [...source.files].reduce((sum, file) => sum + (file instanceof Blob ? file : file.blob).size, 0);
}
