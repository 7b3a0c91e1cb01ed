/**
 * Where the bytes of stored models lie: in the origin's own file system, else in IndexedDB, else in memory until the
 * page is closed. All three take bytes at any place of a file and give the file back as a Blob, which a browser keeps
 * outside the JavaScript heap.
 */

import { Database, storageError } from '../database.js';

/**
 * A file that is being written.
 * @typedef {object} Place
 * @property {(at: number, bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>} write  copies them, or has written them when it is done
 * @property {() => Promise<void>} flush  what was written is kept when this is done
 * @property {() => Promise<void>} close
 */

/** @typedef {'opfs' | 'indexeddb' | 'memory'} TierName */

/**
 * @typedef {object} Tier
 * @property {TierName} name
 * @property {(model: string, file: number) => Promise<Place>} open
 * @property {(model: string, file: number, size: number) => Promise<Blob>} blob  an error of code `storage_lost` where it is not there as a whole
 * @property {(model: string) => Promise<void>} remove
 */

/** Bytes of one piece where files lie in pieces. Ranges of a download begin at multiples of it. */
export const PIECE = 4 << 20;

/** The best that this browser gives this page. @returns {Promise<Tier>} */
export async function bestTier() {
  return (await fileSystem()) ?? (await pieces()) ?? new Pieces('memory', new MemoryShelf());
}

/** @param {string} model @param {number} size @param {number} found */
const lost = (model, size, found) =>
  Object.assign(new Error(`${model}: expected ${size} bytes in the browser's storage, found ${found}`), { code: 'storage_lost' });

// ---- the origin's own file system (OPFS) ----

/** The folder of all models. It may have been cleared away since it was asked for last. */
const modelsFolder = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('models', { create: true });

/** @returns {Promise<Tier | null>} */
async function fileSystem() {
  try {
    const folder = await modelsFolder();
    const probe = await folder.getFileHandle('probe', { create: true });
    (await inPlace(probe)).close();
    await folder.removeEntry('probe');
    return new FileSystem();
  } catch {
    // Not there, forbidden, or without writing in place.
    return null;
  }
}

/** Writing to a file in place, as only workers may. @typedef {{ write: (bytes: Uint8Array, options: { at: number }) => number, flush: () => void, close: () => void }} InPlace */

/** @param {FileSystemFileHandle} file @returns {Promise<InPlace>} */
const inPlace = (file) => /** @type {any} */ (file).createSyncAccessHandle();

/** @implements {Tier} */
class FileSystem {
  name = /** @type {const} */ ('opfs');

  /** @param {string} model @param {number} file @returns {Promise<Place>} */
  async open(model, file) {
    try {
      const folder = await (await modelsFolder()).getDirectoryHandle(folderName(model), { create: true });
      const handle = await inPlace(await folder.getFileHandle(`${file}`, { create: true }));
      return {
        write(at, bytes) {
          try {
            const written = handle.write(bytes, { at });
            // Some versions of Chromium do not throw where there is no room, but return a huge number.
            if (written !== bytes.byteLength) throw new DOMException('the disk is full', 'QuotaExceededError');
          } catch (error) {
            throw storageError(error);
          }
        },
        async flush() {
          handle.flush();
        },
        async close() {
          handle.close();
        },
      };
    } catch (error) {
      throw storageError(error);
    }
  }

  /** @param {string} model @param {number} file @param {number} size */
  async blob(model, file, size) {
    let found = 0;
    try {
      const folder = await (await modelsFolder()).getDirectoryHandle(folderName(model));
      const blob = await (await folder.getFileHandle(`${file}`)).getFile();
      if (blob.size === size) return blob;
      found = blob.size;
    } catch {}
    throw lost(model, size, found);
  }

  /** @param {string} model */
  async remove(model) {
    try {
      await (await modelsFolder()).removeEntry(folderName(model), { recursive: true });
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== 'NotFoundError') throw storageError(error);
    }
  }
}

/** Ids hold slashes, which names of files may not. @param {string} model */
const folderName = (model) => encodeURIComponent(model).replaceAll('*', '%2A');

// ---- files in pieces: IndexedDB and memory ----

/** @typedef {[string, number, number]} Key  model, file, piece */

/**
 * @typedef {object} Shelf
 * @property {(key: Key) => Promise<Blob | undefined>} get
 * @property {(key: Key, blob: Blob) => Promise<void>} put
 * @property {(model: string) => Promise<void>} remove
 */

/** @returns {Promise<Tier | null>} */
async function pieces() {
  const database = new Database('inkling-pieces', [{ name: 'pieces', keyed: false }]);
  /** @type {Shelf} */
  const shelf = {
    get: (key) => database.on('pieces', 'readonly', (store) => store.get(key)),
    put: async (key, blob) => void (await database.on('pieces', 'readwrite', (store) => store.put(blob, key))),
    remove: (model) =>
      database.on('pieces', 'readwrite', (store) => store.delete(IDBKeyRange.bound([model], [model, []]))),
  };
  try {
    await shelf.get(['', 0, 0]);
    return new Pieces('indexeddb', shelf);
  } catch {
    return null;
  }
}

/** @implements {Shelf} */
class MemoryShelf {
  /** @type {Map<string, Blob>} */ #pieces = new Map();

  /** @param {Key} key */
  async get(key) {
    return this.#pieces.get(JSON.stringify(key));
  }

  /** @param {Key} key @param {Blob} blob */
  async put(key, blob) {
    this.#pieces.set(JSON.stringify(key), blob);
  }

  /** @param {string} model */
  async remove(model) {
    for (const key of [...this.#pieces.keys()]) if (JSON.parse(key)[0] === model) this.#pieces.delete(key);
  }
}

/** @implements {Tier} */
class Pieces {
  /** @param {'indexeddb' | 'memory'} name @param {Shelf} shelf */
  constructor(name, shelf) {
    this.name = name;
    this.shelf = shelf;
  }

  /** @param {string} model @param {number} file @returns {Promise<Place>} */
  async open(model, file) {
    const { shelf } = this;
    /** Pieces that are not full yet, with how much of them is there. @type {Map<number, { bytes: Uint8Array<ArrayBuffer>, length: number }>} */
    const begun = new Map();

    /** @param {number} number */
    const piece = async (number) => {
      let part = begun.get(number);
      if (part) return part;
      const before = await shelf.get([model, file, number]);
      part = { bytes: new Uint8Array(PIECE), length: before?.size ?? 0 };
      if (before) part.bytes.set(new Uint8Array(await before.arrayBuffer()));
      begun.set(number, part);
      return part;
    };
    /** @param {number} number @param {{ bytes: Uint8Array<ArrayBuffer>, length: number }} part */
    const keep = (number, { bytes, length }) => shelf.put([model, file, number], new Blob([bytes.subarray(0, length)]));

    const flush = async () => void (await Promise.all([...begun].map(([number, part]) => keep(number, part))));

    return {
      flush,
      async write(at, bytes) {
        for (let done = 0; done < bytes.byteLength; ) {
          const number = Math.floor((at + done) / PIECE);
          const part = await piece(number);
          const offset = at + done - number * PIECE;
          const some = bytes.subarray(done, done + PIECE - offset);
          part.bytes.set(some, offset);
          part.length = offset + some.byteLength;
          done += some.byteLength;
          if (part.length < PIECE) continue;
          await keep(number, part);
          begun.delete(number);
        }
      },
      async close() {
        await flush();
        begun.clear();
      },
    };
  }

  /** @param {string} model @param {number} file @param {number} size */
  async blob(model, file, size) {
    const keys = Array.from({ length: Math.ceil(size / PIECE) }, (_, i) => /** @type {Key} */ ([model, file, i]));
    const found = (await Promise.all(keys.map((key) => this.shelf.get(key)))).filter((blob) => blob !== undefined);
    const whole = new Blob(found);
    if (whole.size !== size) throw lost(model, size, whole.size);
    return whole;
  }

  /** @param {string} model */
  async remove(model) {
    await this.shelf.remove(model);
  }
}
