/**
 * What the page remembers. Choices of look are kept for the next visit; the text and the settings only as long as the
 * tab, because on a shared computer the next person must not find them. A browser may refuse all of it, and then the
 * page simply forgets.
 */

const PREFIX = 'inkling.';

/** @param {string} name @returns {string | null} */
export function recall(name) {
  return read(() => localStorage, name);
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  write(() => localStorage, name, value);
}

/** @param {string} name @returns {any} what was kept, or null */
export function recallInTab(name) {
  try {
    return JSON.parse(read(() => sessionStorage, name) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {string} name @param {unknown} value */
export function rememberInTab(name, value) {
  write(() => sessionStorage, name, JSON.stringify(value));
}

/** Even naming the storage throws where it is forbidden, hence the function. @param {() => Storage} storage @param {string} name */
function read(storage, name) {
  try {
    return storage().getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** @param {() => Storage} storage @param {string} name @param {string} value */
function write(storage, name, value) {
  try {
    storage().setItem(PREFIX + name, value);
  } catch {
    // Full or forbidden: an old value would be worse than none.
    try {
      storage().removeItem(PREFIX + name);
    } catch {}
  }
}
