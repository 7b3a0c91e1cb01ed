/** Whether a model fits: into the browser's storage, and into the memory a tab may have. */

import { StoreError } from './errors.js';

/** @import { Tier } from './places.js' */

/** The weights a tab can hold: WebAssembly's 4 GiB, less what a text needs. */
export const LARGEST = 3.6e9;
/** Kept free for the browser's own needs, in bytes. */
const SPARE = 16 << 20;

/** What the browser says of its storage; null where it says nothing, as over plain http. @returns {Promise<{ free: number } | null>} */
export async function storageSpace() {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined || usage === undefined ? null : { free: Math.max(0, quota - usage) };
  } catch {
    return null;
  }
}

/**
 * @param {number} bytes  of the model @param {number} lacking  of these, to be fetched @param {Tier} tier
 * @throws {StoreError} code `too_large` or `no_space`, with the numbers
 */
export async function checkSpace(bytes, lacking, tier) {
  if (bytes > LARGEST) {
    throw new StoreError('too_large', `expected a model of at most ${megabytes(LARGEST)}, found one of ${megabytes(bytes)}`);
  }
  const space = tier.name === 'memory' ? null : await storageSpace();
  if (space && lacking + SPARE > space.free) {
    throw new StoreError('no_space', `expected ${megabytes(lacking + SPARE)} of free storage, found ${megabytes(space.free)}`);
  }
}

/** @param {number} bytes */
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
