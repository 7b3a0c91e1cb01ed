/**
 * Letting other messages in between two units of a worker's work. A message to oneself is the cheapest way: a timer
 * waits 4 ms, and the browser's scheduler can starve the stop.
 */

const hop = new MessageChannel();
/** @type {(() => void)[]} */
const waiting = [];
hop.port1.onmessage = () => waiting.shift()?.();

/** Lets waiting messages be handled. @returns {Promise<void>} */
export function turn() {
  return new Promise((resolve) => {
    waiting.push(resolve);
    hop.port2.postMessage(null);
  });
}
