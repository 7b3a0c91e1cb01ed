/**
 * A note of what the store holds, kept apart from it: from the two the page knows that the browser has cleared models
 * away, and without starting the store's worker whether there are any, or any on their way.
 */

import { recall, remember } from '../store.js';

/** @import { StoreState } from './protocol.js' */

/** @typedef {{ id: string, title: string }} Noted */

const NAME = 'stored';
const UNFINISHED = 'unfinished';

/** What this page has removed: the store may still say for a moment that it is there. @type {Set<string>} */
const leaving = new Set();

/** Somebody fetches it again. @param {string} id */
export const comeBack = (id) => leaving.delete(id);

/** @returns {Noted[]} */
export function noted() {
  try {
    const list = JSON.parse(recall(NAME) ?? '[]');
    return Array.isArray(list) ? list.filter(({ id, title } = {}) => typeof id === 'string' && typeof title === 'string') : [];
  } catch {
    return [];
  }
}

/** What was noted and is no longer here. @param {StoreState} state @returns {Noted[]} */
export function missing({ models, problem }) {
  if (problem) return [];
  return noted().filter(({ id }) => !leaving.has(id) && !models.some((model) => model.id === id));
}

/** What is here is noted; what is missing stays noted until somebody has seen it. @param {StoreState} state */
export function note(state) {
  if (state.problem || state.tier === 'memory') return;
  const here = state.models.filter(({ id, phase }) => phase === 'complete' && !leaving.has(id)).map(({ id, title }) => ({ id, title }));
  write([...here, ...missing(state)]);
  const unfinished = String(state.models.some(({ phase, wanted }) => phase !== 'complete' && wanted));
  if (unfinished !== recall(UNFINISHED)) remember(UNFINISHED, unfinished);
}

/** Whether somebody waits for a model that was on its way when the last visit ended. */
export const unfinished = () => recall(UNFINISHED) === 'true';

/** Somebody has removed a model, or has seen that it is gone. @param {string} id */
export function forget(id) {
  leaving.add(id);
  write(noted().filter((model) => model.id !== id));
}

/** @param {StoreState} state */
export function forgetMissing(state) {
  for (const { id } of missing(state)) forget(id);
}

/** @param {Noted[]} list */
function write(list) {
  const text = JSON.stringify(list);
  if (text !== recall(NAME)) remember(NAME, text);
}
