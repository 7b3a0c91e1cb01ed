/**
 * `@huggingface/transformers` (transformers.js) on the processor: `device: 'wasm'`. `session` chooses the build of ONNX
 * Runtime: `webgpu` is what it takes by itself in Chromium, `plain` the build that only has the processor.
 */

/** @import { Engine, Task } from './measure.js' */

const BUNDLES = {
  webgpu: { script: 'ort.webgpu.min.mjs', binary: 'ort-wasm-simd-threaded.asyncify' },
  plain: { script: 'ort.wasm.min.mjs', binary: 'ort-wasm-simd-threaded' },
};

/**
 * @param {Task} task
 * @param {{ threads: number, dtype: 'fp32' | 'q8', session: 'webgpu' | 'plain', class: string }} options
 * @returns {Promise<Engine>}
 */
export async function open({ model: name }, { threads, dtype, session, class: kind }) {
  const { script, binary } = BUNDLES[session];
  const runtime = '/npm/onnxruntime-web/dist';
  map({
    'onnxruntime-web/webgpu': `${runtime}/${script}`,
    'onnxruntime-common': '/npm/onnxruntime-common/dist/esm/index.js',
    '@huggingface/tokenizers': '/npm/@huggingface/tokenizers/dist/tokenizers.min.mjs',
    '@huggingface/jinja': '/npm/@huggingface/jinja/dist/index.js',
  });
  const home = '/npm/@huggingface/transformers/dist';
  const { env, Tensor, AutoTokenizer, ...classes } = await import(`${home}/transformers.web.min.js`);
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/models/' });
  Object.assign(env, { useBrowserCache: false, useWasmCache: false });
  const base = new URL(`${runtime}/${binary}`, location.href);
  env.backends.onnx.wasm.wasmPaths = { mjs: `${base}.mjs`, wasm: `${base}.wasm` };
  env.backends.onnx.wasm.numThreads = threads;
  // As its pipelines do.
  const [tokenizer, model] = await Promise.all([
    AutoTokenizer.from_pretrained(name),
    classes[kind].from_pretrained(name, { device: 'wasm', dtype }),
  ]);
  const textOf = (/** @type {number[]} */ ids) => {
    const shape = [1, ids.length];
    const tensor = (/** @type {BigInt64Array} */ values) => new Tensor('int64', values, shape);
    const input_ids = tensor(BigInt64Array.from(ids, BigInt));
    return { input_ids, attention_mask: tensor(new BigInt64Array(ids.length).fill(1n)) };
  };
  return {
    how: `${dtype}, ONNX Runtime's ${session} build, ${env.backends.onnx.wasm.numThreads} of ${threads} threads`,
    async generate({ ids, newTokens }) {
      const { input_ids: inputs, attention_mask } = textOf(ids);
      /** @type {number[]} */
      const stamps = [];
      let puts = 0;
      // It is given the prompt first, then token by token.
      const streamer = { put: () => puts++ > 0 && stamps.push(performance.now()), end() {} };
      await model.generate({
        inputs,
        attention_mask,
        max_new_tokens: newTokens,
        min_new_tokens: newTokens,
        do_sample: false,
        streamer,
      });
      return stamps;
    },
    async encode({ ids, text }) {
      const inputs = tokenizer(text);
      const [, found] = inputs.input_ids.dims;
      if (found !== ids.length) throw new Error(`expected ${ids.length} tokens, found ${found}`);
      const { last_hidden_state } = await model(inputs);
      const [, length, width] = last_hidden_state.dims;
      // The mean over the positions, as for the similarity of sentences.
      const mean = new Float32Array(width);
      for (let i = 0; i < last_hidden_state.data.length; i++) mean[i % width] += last_hidden_state.data[i] / length;
    },
    memory: () => null,
  };
}

/** Where the modules lie that the packages import by name. @param {Record<string, string>} imports */
function map(imports) {
  const script = Object.assign(document.createElement('script'), { type: 'importmap' });
  script.textContent = JSON.stringify({ imports });
  document.head.append(script);
}
