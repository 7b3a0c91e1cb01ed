/**
 * The page's side of the service worker (sw.js): starting it, knowing whether the page would open without a network, and
 * changing to a new version. Where a page may have none (plain http on a network address, some private windows) all else
 * works the same.
 */

import { recallInTab, rememberInTab } from './store.js';

/**
 * `none`: this page cannot have one; `preparing`: files are being kept; `ready`: the page opens without a network;
 * `failed`: something could not be kept; `update`: a new version waits; `others`: it waits for other tabs to be closed.
 * @typedef {'none' | 'preparing' | 'ready' | 'failed' | 'update' | 'others'} Offline
 */

/** How long the page waits for the headers that the service worker adds, in milliseconds. */
const ISOLATION_PATIENCE = 3000;

/** @type {Offline[]} */
const NEWS = ['update', 'others'];

class OfflineState {
  /** @type {Offline} */ state = 'serviceWorker' in navigator && isSecureContext ? 'preparing' : 'none';
  /** @type {Set<(state: Offline) => void>} */ #listeners = new Set();

  /** Calls back with every change. @param {(state: Offline) => void} listener */
  watch(listener) {
    this.#listeners.add(listener);
  }

  /** @param {Offline} state */
  set(state) {
    // A version that waits is news that stays.
    if (NEWS.includes(this.state) && !NEWS.includes(state)) return;
    this.state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

export const offlineState = new OfflineState();

/** @type {Promise<ServiceWorkerRegistration | null> | null} */
let registration = null;

function register() {
  registration ??= navigator.serviceWorker.register('sw.js', { updateViaCache: 'none' }).catch(() => {
    offlineState.set('none');
    return null;
  });
  return registration;
}

/**
 * On a host that does not isolate its pages, the service worker does: the page is loaded once more, now through it.
 * Done when it is clear that this does not happen.
 */
export async function isolate() {
  if (globalThis.crossOriginIsolated || offlineState.state === 'none') return;
  // Once in a tab: a browser that does not honour the headers would be asked for ever.
  if (recallInTab('isolated')) return;
  const controlled = new Promise((resolve) => {
    if (navigator.serviceWorker.controller) return resolve(true);
    navigator.serviceWorker.addEventListener('controllerchange', () => resolve(true), { once: true });
    setTimeout(() => resolve(false), ISOLATION_PATIENCE);
    return undefined;
  });
  if (!(await register()) || !(await controlled)) return;
  rememberInTab('isolated', true);
  // A tab that forgets would be loaded for ever.
  if (!recallInTab('isolated')) return;
  // A page that is still being loaded may lose the wish to be loaded anew.
  if (document.readyState !== 'complete') await new Promise((resolve) => addEventListener('load', resolve, { once: true }));
  location.reload();
  await new Promise((resolve) => setTimeout(resolve, ISOLATION_PATIENCE));
  // Still here: whatever kept it from being loaded anew, it goes on as it is.
}

/** Has the files kept, and looks out for a new version. Not before the page has what it needs. */
export async function prepareOffline() {
  if (offlineState.state === 'none') return;
  const { serviceWorker } = navigator;
  serviceWorker.addEventListener('message', ({ data }) => {
    if (data && typeof data.offline === 'string') offlineState.set(data.offline);
  });
  const registered = await register();
  if (!registered) return;
  const waiting = () => {
    if (registered.waiting && registered.active) offlineState.set('update');
  };
  waiting();
  registered.addEventListener('updatefound', () => registered.installing?.addEventListener('statechange', waiting));
  (await serviceWorker.ready).active?.postMessage('prepare');
}

/** Changes to the version that waits, and loads the page anew. */
export async function update() {
  const waiting = (await register())?.waiting;
  if (!waiting) return location.reload();
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  waiting.postMessage('update');
}
