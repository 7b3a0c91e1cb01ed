/** inkling as any page has it: the built site, through its public module. */

/** @import { Engine, Task } from './measure.js' */

/** @param {Task} task @param {{ threads: number }} options @returns {Promise<Engine>} */
export async function open({ text, recipe }, { threads }) {
  const dist = '/dist';
  const { createTraining } = await import(`${dist}/inkling.js`);
  const training = await createTraining({ threads });
  await training.clean([{ name: 'text.txt', blob: new Blob([text]) }], recipe.corpus);
  await training.trainVocabulary(recipe.vocabulary);
  const { parameters } = await training.build(recipe.model, recipe.training);
  return {
    parameters,
    how: `wasm, build ${training.artifact}`,
    async steps(count) {
      /** @type {number[]} */
      const losses = [];
      /** @param {any} event */
      const onEvent = (event) => {
        if (event.type === 'steps') losses.push(...event.steps.map((/** @type {any} */ step) => step.loss));
      };
      await training.run({ steps: count, onEvent });
      return losses;
    },
  };
}
