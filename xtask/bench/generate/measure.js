/**
 * One measurement of one engine in the page: the time until a model is ready, then prompts one after the other, some of
 * which only warm the engine up. native.rs and llamacpp.py of this bench measure in the same way.
 */

/**
 * What is to be done. The prompt is the same as ids and as text.
 * @typedef {object} Run
 * @property {number[]} ids
 * @property {string} text
 * @property {number} newTokens  none for an encoder
 * @property {boolean} timed
 */

/**
 * @typedef {object} Task
 * @property {string} model  the address of the file or, for transformers.js, the name of the folder in /models/
 * @property {number} context  positions that there must be room for
 * @property {Run[]} runs
 */

/**
 * An engine with a model in it. `generate` gives the times of the new tokens, in milliseconds as the page's clock has
 * them; a run is counted from the call. `encode` ends when the text's vector is there.
 * @typedef {object} Engine
 * @property {string} how  in words, what of the engine runs
 * @property {(run: Run) => Promise<number[]>} generate
 * @property {(run: Run) => Promise<void>} [encode]
 * @property {() => number | null} memory  bytes of the engine's own memory, where it tells
 */

/** @param {() => Promise<Engine>} open @param {Task} task */
export async function measure(open, { runs }) {
  const began = performance.now();
  const engine = await open();
  const loadMs = performance.now() - began;
  const results = [];
  for (const run of runs) {
    const start = performance.now();
    if (run.newTokens === 0) {
      if (!engine.encode) throw new Error('expected an engine that encodes');
      await engine.encode(run);
      const promptTokens = run.ids.length;
      const prefill = (promptTokens * 1000) / (performance.now() - start);
      if (run.timed) results.push({ promptTokens, newTokens: 0, prefill });
      continue;
    }
    const stamps = await engine.generate(run);
    const { length } = stamps;
    if (length !== run.newTokens) throw new Error(`expected ${run.newTokens} new tokens, found ${length}`);
    if (!run.timed) continue;
    const [first, last] = [stamps[0] - start, stamps[length - 1] - start];
    results.push({
      promptTokens: run.ids.length,
      newTokens: length,
      prefill: (run.ids.length * 1000) / first,
      decode: ((length - 1) * 1000) / (last - first),
    });
  }
  return { loadMs, how: engine.how, memoryBytes: engine.memory(), runs: results };
}

/** A file as a Blob, for engines that take one. @param {string} url */
export async function blobOf(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: HTTP ${answer.status}`);
  return answer.blob();
}
