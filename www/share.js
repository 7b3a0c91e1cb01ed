/**
 * Links to a text: prompt, model, settings and seed in the part of the address after #, which no server ever sees. Whoever
 * opens one is asked before anything is fetched; then the same text is written.
 *
 *     #write/?prompt=Once+upon&model=stories&sha256=…&do_sample=true&seed=7
 *
 * A model that ships is named by its id, one of a hub by `hub=owner/name`, `revision` and `file`.
 */

/** @import { Entry } from './catalog.js' */
/** @import { StoredEntry } from './store/protocol.js' */

/**
 * `model`: the id of one that ships, or the name of somebody's file; `hub`: where else it is to be had.
 * @typedef {object} Shared
 * @property {string} prompt
 * @property {string | null} model
 * @property {{ repository: string, revision: string, file: string | null } | null} hub
 * @property {string | null} url  of a model at some other address
 * @property {string | null} sha256
 * @property {Record<string, unknown>} settings  by the names of GenerationConfig, the seed among them
 */

/** Longer addresses are cut by some programs that people send them with. */
export const LONGEST = 8000;

const OWN = ['prompt', 'model', 'hub', 'revision', 'file', 'url', 'sha256'];

/** The address of this page with a text. @param {Shared} shared @returns {string} */
export function linkOf({ prompt, model, hub, url, sha256, settings }) {
  const parts = new URLSearchParams();
  parts.set('prompt', prompt);
  const named = { model, url, sha256, hub: hub?.repository, revision: hub?.revision, file: hub?.file };
  for (const [name, value] of Object.entries(named)) if (value) parts.set(name, value);
  for (const [name, value] of Object.entries(settings)) parts.set(name, JSON.stringify(value));
  const page = new URL(location.href);
  page.hash = `write/?${parts}`;
  return page.href;
}

/** What an address shares, if anything. @param {string} hash @returns {Shared | null} */
export function readLink(hash) {
  const query = /^#write\/\?(.+)$/.exec(hash)?.[1];
  if (!query) return null;
  const parts = new URLSearchParams(query);
  const get = (/** @type {string} */ name) => parts.get(name);
  /** @type {Record<string, unknown>} */
  const settings = {};
  for (const [name, value] of parts) {
    if (OWN.includes(name)) continue;
    try {
      settings[name] = JSON.parse(value);
    } catch {
      // Somebody has cut or changed the link: a setting that cannot be read stays at its default.
    }
  }
  const repository = get('hub');
  return {
    prompt: get('prompt') ?? '',
    model: get('model'),
    hub: repository ? { repository, revision: get('revision') ?? 'main', file: get('file') } : null,
    url: get('url'),
    sha256: get('sha256'),
    settings,
  };
}

/** How a link names a model. @param {Entry} entry @param {StoredEntry | null} stored  where it came from, if from the store @param {string | null} sha256 */
export function nameOf(entry, stored, sha256) {
  const none = { model: null, hub: null, url: null, sha256 };
  if (!stored) return { ...none, model: entry.id };
  const { origin, files } = stored;
  const hash = files.length === 1 ? (files[0]?.sha256 ?? sha256) : sha256;
  if (origin.kind === 'link') return { ...none, url: origin.url, sha256: hash };
  const file = files.length === 1 ? (files[0]?.name ?? null) : null;
  return { ...none, hub: { repository: origin.repository, revision: origin.commit, file }, sha256: hash };
}
