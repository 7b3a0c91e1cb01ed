/**
 * `@wllama/wllama` 3: llama.cpp's server inside a worker. It takes text, whose words are one token each, and its own
 * clock is taken, which leaves out what its requests cost.
 */
import { blobOf } from './measure.js';

/** @import { Engine, Task } from './measure.js' */

/** @param {Task} task @param {{ threads: number, load?: object }} options @returns {Promise<Engine>} */
export async function open({ model, context }, { threads, load = {} }) {
  const home = '/npm/@wllama/wllama/esm';
  const { Wllama } = await import(`${home}/index.min.js`);
  const wllama = new Wllama({ default: `${home}/wasm/wllama.wasm` }, { suppressNativeLog: true });
  // Its second build, for browsers that lack something, would be fetched from elsewhere.
  wllama.setCompat(null);
  await wllama.loadModel([await blobOf(model)], { n_ctx: context, n_threads: threads, n_gpu_layers: 0, ...load });
  const settings = Object.entries(load).map(([name, value]) => `${name} ${value}`);
  return {
    how: [`llama.cpp ${Wllama.getLibllamaVersion()}`, `${wllama.getNumThreads()} of ${threads} threads`, ...settings].join(', '),
    async generate({ ids, text, newTokens }) {
      const { timings } = await wllama.createCompletion({
        prompt: text,
        max_tokens: newTokens,
        temperature: 0,
        ignore_eos: true,
        cache_prompt: false,
      });
      const end = performance.now();
      const { prompt_n: read, predicted_n: written, predicted_ms: time } = timings;
      if (read !== ids.length) throw new Error(`expected a prompt of ${ids.length} tokens, found ${read}`);
      return Array.from({ length: written }, (_, i) => end - (time * (written - 1 - i)) / (written - 1));
    },
    memory: () => null,
  };
}
