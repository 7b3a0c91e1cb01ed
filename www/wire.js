/** Where a model comes from, as a caller says it, made plain for the worker. */

import { InklingError, isObject, say } from './connection.js';

/** @import { Source } from './inkling.js' */
/** @import { NamedBlob, WireSource } from './protocol.js' */

/** @param {Source} source @returns {WireSource} */
export function toWire(source) {
  if (isObject(source)) {
    if ('url' in source) {
      const { url, files = null, bytes = null } = source;
      if (files !== null && !(Array.isArray(files) && files.every((name) => typeof name === 'string'))) {
        throw new InklingError('bad_source', `expected files beside url: a list of names, found ${say(files)}`);
      }
      if (bytes !== null && !Number.isFinite(bytes)) {
        throw new InklingError('bad_source', `expected bytes: a number, found ${say(bytes)}`);
      }
      return { kind: 'url', url: absolute(url), files, bytes };
    }
    if ('files' in source && typeof source.files?.[Symbol.iterator] === 'function') {
      return { kind: 'files', files: Array.from(source.files, named) };
    }
  }
  throw new InklingError('bad_source', "expected { url }, { files }, { hub: 'owner/name' } or { stored: id }, found " + say(source));
}

/** @param {string | URL} url */
function absolute(url) {
  if (typeof url !== 'string' && !(url instanceof URL)) {
    throw new InklingError('bad_source', `expected url: an address, found ${say(url)}`);
  }
  try {
    // Like fetch: relative to the page (or the worker) that asks.
    return new URL(url, globalThis.document?.baseURI ?? location.href).href;
  } catch {
    throw new InklingError('bad_source', `expected an address, found ${JSON.stringify(url)}`);
  }
}

/** @param {File | Blob | NamedBlob} file @returns {NamedBlob} */
function named(file) {
  if (file instanceof File) return { name: file.webkitRelativePath || file.name, blob: file };
  if (file instanceof Blob) return { name: '', blob: file };
  if (isObject(file) && typeof file.name === 'string' && file.blob instanceof Blob)
    return { name: file.name, blob: file.blob };
  throw new InklingError('bad_source', `expected files: each a File, a Blob or { name, blob }, found ${say(file)}`);
}
