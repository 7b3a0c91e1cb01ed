/** inkling as any page has it: the built site, through its public module. */

/** @import { Engine, Task } from './measure.js' */

/**
 * `artifact` asks for a build of the engine that is not the one this browser would be given: the others are taken off
 * the list that the page chooses from.
 * @param {Task} task @param {{ threads: number, artifact?: string, cacheType?: string }} options @returns {Promise<Engine>}
 */
export async function open({ model: url }, { threads, artifact, cacheType }) {
  const dist = '/dist';
  const [{ load }, { ARTIFACTS }] = await Promise.all([import(`${dist}/inkling.js`), import(`${dist}/artifacts.js`)]);
  if (artifact) {
    const wanted = ARTIFACTS.filter((/** @type {{ name: string }} */ { name }) => name === artifact);
    if (wanted.length === 0) throw new Error(`expected a build ${artifact} in dist/, found none`);
    ARTIFACTS.splice(0, ARTIFACTS.length, ...wanted);
  }
  const model = await load({ url }, { threads, cacheType });
  const { info } = model;
  return {
    how: `build ${info.artifact}, ${info.threads} of ${threads} thread${threads > 1 ? 's' : ''}, ${info.cacheType} cache`,
    async generate({ ids, text, newTokens }) {
      const prompt = ids.length > 0 ? ids : text;
      const stamps = [];
      // No token ends the text: all write as many.
      const config = { max_new_tokens: newTokens, do_sample: false, eos_token_id: [] };
      for await (const event of model.generate(prompt, config)) if (event.type === 'token') stamps.push(performance.now());
      return stamps;
    },
    async encode({ text }) {
      const [vector] = await model.embed([text]);
      if (vector.length !== info.hiddenSize) throw new Error(`expected ${info.hiddenSize} values, found ${vector.length}`);
    },
    memory: () => info.memoryBytes,
  };
}
