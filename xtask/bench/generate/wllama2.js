/** `@wllama/wllama` 2, the lightest way to run llama.cpp in a page: the loop of its own completion, on token ids. */
import { blobOf } from './measure.js';

/** @import { Engine, Task } from './measure.js' */

/** @param {Task} task @param {{ threads: number }} options @returns {Promise<Engine>} */
export async function open({ model, context }, { threads }) {
  const home = '/npm/@wllama/wllama/esm';
  const { Wllama } = await import(`${home}/index.min.js`);
  const builds = ['single-thread/wllama.wasm', 'multi-thread/wllama.wasm'];
  const paths = Object.fromEntries(builds.map((build) => [build, `${home}/${build}`]));
  const wllama = new Wllama(paths, { suppressNativeLog: true });
  await wllama.loadModel([await blobOf(model)], { n_ctx: context, n_threads: threads });
  return {
    how: `${wllama.getNumThreads()} of ${threads} threads`,
    async generate({ ids, newTokens }) {
      await wllama.kvClear();
      await wllama.samplingInit({ temp: 0 });
      const stamps = [];
      await wllama.decode(ids, {});
      for (;;) {
        const { token } = await wllama.samplingSample();
        stamps.push(performance.now());
        if (stamps.length === newTokens) return stamps;
        await wllama.samplingAccept([token]);
        await wllama.decode([token], {});
      }
    },
    memory: () => null,
  };
}
