/**
 * The service worker: keeps the page, an engine and the models that ship, so that they open without a network; and adds
 * the headers that give the page threads, where its host does not send them.
 *
 * One cache holds one version of the site: sw-files.js, which the build writes, lists its files with their hashes. A new
 * version is fetched beside the old one, each file checked, and takes over as a whole when no page uses the old one.
 *
 * A classic script, because not every browser runs modules here.
 */

/** @typedef {{ version: string, files: Record<string, string> }} Site  path to SHA-256 */

/** @typedef {{ addEventListener: (type: string, listener: (event: any) => void) => void, registration: { scope: string, active: object | null },
 *    skipWaiting: () => Promise<void>, clients: { claim: () => Promise<void>, matchAll: (options: object) => Promise<{ postMessage: (message: any) => void }[]> },
 *    site: Site, importScripts: (name: string) => void }} Scope */

(() => {
  const scope = /** @type {Scope} */ (/** @type {unknown} */ (self));
  scope.importScripts('sw-files.js');
  const { version, files } = scope.site;
  const root = scope.registration.scope;
  /** Other copies of the site on this origin have caches of their own. */
  const prefix = `inkling ${root} `;
  const cacheName = prefix + version;
  const HASH = 'x-inkling-sha256';
  /** @type {{ mobile: boolean, brands: { brand: string, version: string }[] } | undefined} */
  const agent = /** @type {any} */ (navigator).userAgentData;
  const chromium = Number(agent?.brands.find(({ brand }) => brand === 'Chromium')?.version ?? 0);
  /**
   * What isolates the page. Where a page can be isolated by itself it stays the same page to its tab; the other way is a
   * change of its group of windows, after which Chromium may bring the page before it back on a reload.
   * @type {Record<string, string>}
   */
  const ISOLATION =
    chromium >= 138 && !agent?.mobile
      ? { 'document-isolation-policy': 'isolate-and-require-corp' }
      : { 'cross-origin-opener-policy': 'same-origin' };
  // Workers of a page that its host has isolated want these as well.
  ISOLATION['cross-origin-embedder-policy'] = 'require-corp';
  ISOLATION['cross-origin-resource-policy'] = 'same-origin';

  /** One function whose body uses `f32x4.relaxed_madd`, as in artifacts.js. */
  const RELAXED = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 17, 65, 0, 253, 17, 65, 0,
    253, 17, 253, 133, 2, 11,
  ]);
  const relaxed = WebAssembly.validate(RELAXED);

  /** Whether a file is kept beforehand: of the engines, those that this browser runs. @param {string} path */
  const wanted = (path) => !path.startsWith('engine/') || path.includes('simd128/') !== relaxed;

  /** Fetches what this version lacks, or takes it from an earlier one. @returns {Promise<void>} */
  async function fill() {
    const cache = await caches.open(cacheName);
    const before = (await caches.keys()).filter((name) => name.startsWith(prefix) && name !== cacheName);
    const kept = new Set((await cache.keys()).map(({ url }) => url));
    for (const [path, hash] of Object.entries(files)) {
      const address = new URL(path, root).href;
      if (!wanted(path) || kept.has(address)) continue;
      await cache.put(address, (await earlier(before, address, hash)) ?? (await fetched(address, hash)));
    }
  }

  /** @param {string[]} names @param {string} address @param {string} hash */
  async function earlier(names, address, hash) {
    for (const name of names) {
      const kept = await (await caches.open(name)).match(address);
      if (kept?.headers.get(HASH) === hash) return kept;
    }
    return null;
  }

  /** @param {string} address @param {string} hash @returns {Promise<Response>} */
  async function fetched(address, hash) {
    const answer = await fetch(address, { cache: 'no-cache' });
    if (!answer.ok) throw new Error(`${address}: expected a file, found HTTP ${answer.status}`);
    const bytes = await answer.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    if (found !== hash) throw new Error(`${address}: expected the file of version ${version}, found another one`);
    // The bytes come unpacked, whatever the host's headers say of them.
    const headers = { 'content-type': answer.headers.get('content-type') ?? '', 'content-length': `${bytes.byteLength}`, [HASH]: hash };
    return new Response(bytes, { headers });
  }

  /** The file of the site that an address means. @param {URL} url */
  function pathOf(url) {
    if (!url.href.startsWith(root)) return null;
    const path = decodeURI(url.origin + url.pathname).slice(root.length);
    return path === '' ? 'index.html' : path;
  }

  /** @param {Request} request @param {URL} url @returns {Promise<Response>} */
  async function respond(request, url) {
    const path = pathOf(url);
    const cache = await caches.open(cacheName);
    const address = path !== null && Object.hasOwn(files, path) ? new URL(path, root).href : null;
    // A part of a file is the host's business.
    const kept = address && !request.headers.has('range') ? await cache.match(address) : undefined;
    const answer = kept ?? (await fetch(request));
    if (answer.type === 'opaque' || answer.type === 'error' || answer.status === 0) return answer;
    const headers = new Headers(answer.headers);
    for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
    const { status, statusText } = answer;
    return new Response([101, 204, 205, 304].includes(status) ? null : answer.body, { status, statusText, headers });
  }

  /** @param {object} message */
  async function tell(message) {
    for (const page of await scope.clients.matchAll({ type: 'window', includeUncontrolled: true })) page.postMessage(message);
  }

  /** Fills the cache and says how that went. */
  async function prepare() {
    try {
      await fill();
      await tell({ offline: 'ready', version });
    } catch (error) {
      await tell({ offline: 'failed', detail: String(error) });
    }
  }

  scope.addEventListener('install', (event) => {
    // The first has nothing to be mixed with: it takes over at once, and fills its cache when a page asks for it.
    event.waitUntil(scope.registration.active ? fill() : scope.skipWaiting());
  });

  scope.addEventListener('activate', (event) => {
    const clean = async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith(prefix) && name !== cacheName);
      await Promise.all(old.map((name) => caches.delete(name)));
      await scope.clients.claim();
    };
    event.waitUntil(clean());
  });

  scope.addEventListener('message', (event) => {
    if (event.data === 'prepare') event.waitUntil(prepare());
    if (event.data !== 'update') return;
    const update = async () => {
      // A page that was not loaded anew would go on with files of two versions.
      const pages = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
      if (pages.length > 1) await tell({ offline: 'others' });
      else await scope.skipWaiting();
    };
    event.waitUntil(update());
  });

  scope.addEventListener('fetch', (event) => {
    const { request } = event;
    const url = new URL(request.url);
    // What goes elsewhere, or changes something, is none of our business.
    if (request.method !== 'GET' || url.origin !== location.origin) return;
    event.respondWith(respond(request, url));
  });
})();
