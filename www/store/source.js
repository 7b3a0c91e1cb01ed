/** The files of a model that a program asks for by its name on a hub, or by its id in the store. */

import { InklingError, say } from '../connection.js';
import { store } from './client.js';
import { HUB } from './hub.js';

/** @import { LoadProgress, NamedBlob } from '../protocol.js' */
/** @import { Choice } from './hub.js' */
/** @import { StoredEntry } from './protocol.js' */

/**
 * @param {{ hub: string, revision?: string, file?: string, hubUrl?: string } | { stored: string }} source
 * @param {{ onProgress?: (progress: LoadProgress) => void, signal?: AbortSignal }} options
 * @returns {Promise<NamedBlob[]>}
 */
export async function fromStore(source, { onProgress, signal }) {
  if ('stored' in source) {
    if (typeof source.stored !== 'string') throw new InklingError('bad_source', `expected stored: an id, found ${say(source.stored)}`);
    return store.files(source.stored);
  }
  const { hub, revision = 'main', file = null, hubUrl = HUB } = source;
  if (typeof hub !== 'string' || !/^[\w.-]+(\/[\w.-]+)?$/.test(hub)) {
    throw new InklingError('bad_source', `expected hub: 'owner/name', found ${say(hub)}`);
  }
  for (const [name, value] of Object.entries({ revision, file, hubUrl })) {
    if (value !== null && typeof value !== 'string') throw new InklingError('bad_source', `expected ${name}: a string, found ${say(value)}`);
  }
  // What is here is not asked for again, also where there is no network.
  const { models } = await store.list();
  const here = storedOf(models, { repository: hub, revision, file });
  if (here) return store.files(here.id);

  const { choices } = await store.look(`${hub}@${revision}`, hubUrl);
  const choice = choiceOf(choices, file);
  if (!choice) {
    const names = choices.map(({ files }) => files.at(-1)?.name).join(', ');
    const wanted = file ?? (choices.length > 1 ? 'file: one of the models there' : 'a model in safetensors or GGUF');
    throw new InklingError('missing_file', `${hub}: expected ${wanted}, found ${names || 'none'}`);
  }
  const progress = (/** @type {number} */ loadedBytes, /** @type {number} */ totalBytes) =>
    onProgress?.({ phase: 'download', loadedBytes, totalBytes });
  return store.fetch(choice, { onProgress: progress, signal });
}

/** A model of a hub, by name. @typedef {{ repository: string, revision: string, file: string | null }} Named */

/** The model of the store that is meant, if it is there as a whole. @param {StoredEntry[]} models @param {Named} named */
export const storedOf = (models, { repository, revision, file }) =>
  models.find(({ phase, origin, files }) => {
    if (phase !== 'complete' || origin.kind !== 'hub' || origin.repository !== repository) return false;
    return [origin.revision, origin.commit].includes(revision) && (file === null || files.some(({ name }) => name === file));
  });

/** Of what a repository has, the file that is named, else its checkpoint, else the only one. @param {Choice[]} choices @param {string | null} file */
export function choiceOf(choices, file) {
  const fits = choices.filter(({ files }) => file === null || files.some(({ url }) => decodeURIComponent(url).endsWith(`/${file}`)));
  return fits.find(({ kind }) => kind === 'safetensors') ?? (fits.length === 1 ? fits[0] : undefined);
}
