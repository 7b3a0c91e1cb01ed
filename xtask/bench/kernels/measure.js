/** Kernels are measured inside the engine: here is only asked. */

/**
 * @typedef {object} Task
 * @property {{ format: string, rows: number, cols: number, bytes: number }[]} sizes
 * @property {number} batch  rows of activations in a slice of a prompt
 * @property {number} far  bytes that no cache holds
 * @property {number} milliseconds  that each is measured for
 */

/** @template T @param {() => Promise<T>} open */
export const measure = (open) => open();
