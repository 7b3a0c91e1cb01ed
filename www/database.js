/** IndexedDB, which plain http has too, by promises: shelves of records, each with an `id`, or with keys of one's own. */

/**
 * A shelf whose records carry their key as `id`, or (`keyed: false`) one whose keys are given apart.
 * @typedef {{ name: string, keyed: boolean }} Shelf
 */

export class Database {
  /** @type {Promise<IDBDatabase> | null} */ #opening = null;

  /** @param {string} name @param {Shelf[]} shelves */
  constructor(name, shelves) {
    this.name = name;
    this.shelves = shelves;
  }

  /** Opens it, or makes it. @returns {Promise<IDBDatabase>} */
  open() {
    this.#opening ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, 1);
      request.onupgradeneeded = () => {
        for (const { name, keyed } of this.shelves) request.result.createObjectStore(name, keyed ? { keyPath: 'id' } : {});
      };
      request.onsuccess = () => {
        // A database that the browser takes away is opened anew by the next who asks.
        request.result.onclose = () => (this.#opening = null);
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error('another tab holds an older database'));
    });
    this.#opening.catch(() => (this.#opening = null));
    return this.#opening;
  }

  /**
   * Changes a record while nobody else can: `change` gets what is there and says what is to be, or undefined to leave it.
   * @template R
   * @param {string} shelf @param {string} id @param {(record: R | undefined) => R | undefined} change
   * @returns {Promise<void>}
   * @throws as {@link on}
   */
  async update(shelf, id, change) {
    await this.on(shelf, 'readwrite', (store) => {
      const request = store.get(id);
      request.onsuccess = () => {
        const next = change(request.result);
        if (next !== undefined) store.put(next);
      };
      return request;
    });
  }

  /**
   * One request in a transaction of its own.
   * @template T
   * @param {string} shelf @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest<T>} ask
   * @returns {Promise<T>}
   * @throws an error of code `storage_full`, or `storage` where the browser gives none
   */
  async on(shelf, mode, ask) {
    try {
      const transaction = (await this.open()).transaction(shelf, mode);
      const request = ask(transaction.objectStore(shelf));
      return await new Promise((resolve, reject) => {
        // Kept is only what the transaction has kept.
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
      });
    } catch (error) {
      throw storageError(error);
    }
  }
}

/** What a browser's storage says, with a code. @param {unknown} error */
export function storageError(error) {
  const { name = '', message = String(error) } = /** @type {Partial<DOMException>} */ (error ?? {});
  return Object.assign(new Error(message || name), { code: name === 'QuotaExceededError' ? 'storage_full' : 'storage' });
}
