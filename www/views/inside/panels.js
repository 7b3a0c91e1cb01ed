/**
 * The panels of the Inside view: a further one is a file beside this one and a line here. Its module's `Panel` is made with
 * the subject and told when that has changed.
 */

/** @import { Subject } from './subject.js' */

/**
 * @typedef {object} PanelView
 * @property {HTMLElement} root
 * @property {() => Promise<void>} update  the text or the model is another one; rejects with what went wrong
 * @property {() => void} relabel  the language is another one
 * @property {() => void} [close]  it is shown no more: lets go of what would outlive it
 */

/**
 * What a panel may ask of the view: to look at another text, and what else the page has.
 * @typedef {{ setText: (text: string) => void, models: () => import('../../catalog.js').Entry[], run: (work: () => Promise<void>) => Promise<void> }} Frame
 */

/** @typedef {{ Panel: new (subject: Subject, frame: Frame) => PanelView }} PanelModule */

/** How panels look, from what all share to those that show the model; beside this file. */
export const SHEETS = ['../view.css', './frame.css', './text.css', './model.css'].map((sheet) => new URL(sheet, import.meta.url).href);

/** By the name in the address, in the order in which they are offered. @type {Record<string, () => Promise<PanelModule>>} */
export const PANELS = {
  tokens: () => import('./tokens.js'),
  next: () => import('./next.js'),
  branch: () => import('./branch.js'),
  attention: () => import('./attention.js'),
  layers: () => import('./layers.js'),
  architecture: () => import('./architecture.js'),
  compare: () => import('./compare.js'),
  embeddings: () => import('./embeddings.js'),
};
