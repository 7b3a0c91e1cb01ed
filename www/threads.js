/**
 * How many threads the engine gets, and starting them. Where something is in the way the engine works with fewer, and
 * says so in its `info`.
 */

/** @import { ThreadStart } from './protocol.js' */

/** More cores than this are rarely free, and small models gain nothing from them. */
const MOST = 8;
/** How long threads may take to start, in milliseconds. What is not there by then is not waited for. */
const PATIENCE = 4000;

/** The number of threads for a request of `asked`. @param {number | undefined} asked */
export function threadsFor(asked) {
  const cores = navigator.hardwareConcurrency || 1;
  return Math.max(1, Math.min(asked ?? cores, Math.max(cores, 2), MOST));
}

/**
 * Starts threads beside the engine's own; how many did start.
 * @param {number} count
 * @param {ThreadStart} start
 * @returns {Promise<number>}
 */
export async function startThreads(count, start) {
  const began = Array.from({ length: count }, () => startThread(start));
  return (await Promise.all(began)).filter(Boolean).length;
}

/** @param {ThreadStart} start @returns {Promise<boolean>} */
function startThread(start) {
  return new Promise((resolve) => {
    try {
      const worker = new Worker(new URL('./thread.js', import.meta.url), { type: 'module', name: 'inkling thread' });
      worker.onmessage = () => resolve(true);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve(false);
      };
      worker.postMessage(start);
    } catch {
      resolve(false);
    }
    setTimeout(() => resolve(false), PATIENCE);
  });
}
