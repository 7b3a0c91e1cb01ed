/** Messages between a page and the worker of its store. */

/** @import { Choice } from './hub.js' */
/** @import { Origin } from './records.js' */
/** @import { TierName } from './places.js' */
/** @import { Waiting } from './download.js' */

/**
 * @typedef {{ type: 'watch' | 'list', request: number }
 *         | { type: 'look', request: number, text: string, hub: string }
 *         | { type: 'add', request: number, choice: Choice }
 *         | { type: 'resume' | 'pause' | 'remove' | 'files' | 'verify', request: number, id: string }} StoreRequest
 */

/**
 * A model of the store as a page shows it.
 * @typedef {object} StoredEntry
 * @property {string} id
 * @property {string} title
 * @property {Origin} origin
 * @property {string | null} license
 * @property {number} bytes
 * @property {number} loadedBytes  of these, here
 * @property {number} verifiedBytes  of these, looked through by the check under way
 * @property {'downloading' | 'verifying' | 'elsewhere' | 'paused' | 'failed' | 'complete'} phase  `elsewhere`: another page fetches it
 * @property {boolean} wanted  another visit goes on with it by itself
 * @property {number | null} speed  bytes per second
 * @property {Waiting | null} waiting
 * @property {{ code: string, message: string } | null} failure
 * @property {number} savedAt
 * @property {number} usedAt
 * @property {number} checkedAt
 * @property {{ name: string, size: number, sha256: string | null }[]} files
 */

/** `problem`: why the browser's storage cannot be read. @typedef {{ tier: TierName, models: StoredEntry[], problem?: string }} StoreState */

export {};
