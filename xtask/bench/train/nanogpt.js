/**
 * `@genai-fi/nanogpt` by its own trainer, step by step. Its entry module does not export the trainer, so the package's
 * files are imported one by one. Its model is GPT-2's but for norms without a mean (RMSNorm) and layers without biases.
 * Without WebGPU it cannot limit the gradient's norm, so it is spared that work here.
 */
import { batchOf } from './measure.js';

/** @import { Engine, Task } from './measure.js' */

const PACKAGE = '/npm/@genai-fi/nanogpt/dist';

/** @param {Task} task @param {{ backend: 'cpu' | 'webgl' }} options @returns {Promise<Engine>} */
export async function open(task, { backend }) {
  const { TeachableLLM, models } = await import(`${PACKAGE}/main.js`);
  const { default: PreTrainer } = await import(`${PACKAGE}/training/PreTrainer.js`);
  await TeachableLLM.selectBackend(backend);
  const { layers, heads, width, context, batch, vocabulary, adamw } = task;
  const model = new models.NanoGPTV1({
    vocabSize: vocabulary,
    blockSize: context,
    nLayer: layers,
    nHead: heads,
    nEmbed: width,
    mlpFactor: 4,
    useRope: false,
  });
  const trainer = new PreTrainer(model, null, {
    learningRate: adamw.rate,
    minLearningRate: adamw.rate,
    warmupSteps: 0,
    beta1: adamw.beta1,
    beta2: adamw.beta2,
    epsilon: adamw.epsilon,
    weightDecay: adamw.decay,
    lossScaling: 1,
  });
  // The package does not export what makes a tensor, but its engine is a global, as in all of TensorFlow.js.
  const engine = /** @type {any} */ (globalThis)._tfengine;
  const shape = [batch, context];
  let taken = 0;
  const step = async () => {
    const { inputs, targets } = batchOf(task, taken++);
    const xs = engine.makeTensor(inputs, shape, 'int32');
    const ys = engine.makeTensor(targets, shape, 'int32');
    const loss = trainer.trainStep({}, { xs, ys });
    const value = (await loss.data())[0];
    for (const tensor of [xs, ys, loss]) tensor.dispose();
    return value;
  };
  return {
    get parameters() {
      // Its variables are made in the first step.
      const variables = Object.values(engine.registeredVariables).filter(({ trainable }) => trainable);
      return variables.reduce((sum, { size }) => sum + size, 0);
    },
    how: `tfjs, ${engine.backendName}${backend === 'webgl' ? ` by ${renderer()}` : ''}`,
    async steps(count) {
      const losses = [];
      for (let i = 0; i < count; i++) losses.push(await step());
      return losses;
    },
  };
}

/** What draws for WebGL: without a GPU, a program. */
function renderer() {
  const context = new OffscreenCanvas(1, 1).getContext('webgl');
  const name = context?.getParameter(context.getExtension('WEBGL_debug_renderer_info')?.UNMASKED_RENDERER_WEBGL ?? 0);
  return `${name}`.match(/SwiftShader|llvmpipe/)?.[0] ?? name;
}
