/**
 * GPT-2 and its training step for jax-js: one jitted function for the whole step, as its documentation advises. Rows of
 * the embedding are taken by a product with one-hot rows, because it cannot jit the gradient of taking them. Those rows
 * are made either inside the jitted function or before it: which is quicker depends on the size, so both are measured.
 */
import { batchOf } from './measure.js';

/** @import { Engine, Task } from './measure.js' */

/** @param {Task} task @param {{ oneHot: 'inside' | 'before' }} options @returns {Promise<Engine>} */
export async function open(task, { oneHot }) {
  const packages = '/npm';
  const jax = await import(`${packages}/@jax-js/jax/dist/index.js`);
  const { numpy: np, nn, random, tree } = jax;
  await jax.init('wasm');
  jax.defaultDevice('wasm');
  const { layers, heads, width, context, batch, vocabulary, adamw } = task;

  let seed = 0;
  const normal = (shape, deviation) => random.normal(random.key(++seed), shape).mul(deviation);
  const linear = (from, to, deviation) => ({ w: normal([from, to], deviation), b: np.zeros([to]) });
  const norm = () => ({ g: np.ones([width]), b: np.zeros([width]) });
  const residual = 0.02 / Math.sqrt(2 * layers);
  const model = {
    wte: normal([vocabulary, width], 0.02),
    wpe: normal([context, width], 0.02),
    blocks: Array.from({ length: layers }, () => ({
      ln1: norm(),
      qkv: linear(width, 3 * width, 0.02),
      proj: linear(width, width, residual),
      ln2: norm(),
      up: linear(width, 4 * width, 0.02),
      down: linear(4 * width, width, residual),
    })),
    lnf: norm(),
  };

  // A function owns its arguments: what is used again is passed as `.ref`.
  const normed = (x, { g, b }) => nn.standardize(x).mul(g).add(b);
  const through = (x, { w, b }) => np.matmul(x, w).add(b);
  const attention = (x, { qkv, proj }) => {
    const [q, k, v] = np.split(through(x, qkv).reshape([batch, context, 3 * heads, width / heads]), 3, 2);
    return through(nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([batch * context, width]), proj);
  };
  const hot = (ids) => (oneHot === 'inside' ? nn.oneHot(ids, vocabulary) : ids);
  const lossOf = ({ wte, wpe, blocks, lnf }, inputs, targets) => {
    let x = np.matmul(hot(inputs), wte.ref).reshape([batch, context, width]).add(wpe);
    x = x.reshape([batch * context, width]);
    for (const { ln1, ln2, up, down, ...block } of blocks) {
      x = x.ref.add(attention(normed(x, ln1), block));
      x = x.ref.add(through(nn.gelu(through(normed(x, ln2), up)), down));
    }
    const logits = np.matmul(normed(x, lnf), wte.transpose());
    return nn.logSoftmax(logits).mul(hot(targets)).sum().mul(-1 / (batch * context));
  };

  const { rate, beta1, beta2, epsilon, decay, clip } = adamw;
  const step = jax.jit((params, first, second, corrections, inputs, targets) => {
    const [loss, gradients] = jax.valueAndGrad(lossOf)(tree.ref(params), inputs, targets);
    const squares = tree.leaves(tree.ref(gradients)).map((g) => np.square(g).sum());
    const length = np.sqrt(squares.reduce((a, b) => a.add(b)));
    const scale = np.minimum(np.reciprocal(length.add(1e-6)).mul(clip), 1);
    const [unbias1, unbias2] = np.split(corrections, 2);
    const [all, form] = tree.flatten(params);
    const [gs, ms, vs] = [gradients, first, second].map((part) => tree.leaves(part));
    /** @type {Record<'params' | 'first' | 'second', any[]>} */
    const next = { params: [], first: [], second: [] };
    all.forEach((p, i) => {
      const g = gs[i].mul(scale.ref);
      const m = ms[i].mul(beta1).add(g.ref.mul(1 - beta1));
      const v = vs[i].mul(beta2).add(np.square(g).mul(1 - beta2));
      const change = m.ref.mul(unbias1.ref).div(np.sqrt(v.ref.mul(unbias2.ref)).add(epsilon));
      const kept = p.ndim === 2 ? 1 - rate * decay : 1;
      next.params.push(p.mul(kept).sub(change.mul(rate)));
      next.first.push(m);
      next.second.push(v);
    });
    for (const used of [scale, unbias1, unbias2]) used.dispose();
    const as = (leaves) => tree.unflatten(form, leaves);
    return [loss, as(next.params), as(next.first), as(next.second)];
  });

  const parameters = tree.leaves(model).reduce((sum, leaf) => sum + leaf.size, 0);
  const zeros = () => tree.map((leaf) => np.zeros(leaf.shape), model);
  let state = [zeros(), zeros()];
  let params = model;
  let taken = 0;
  const given = (ids) => {
    if (oneHot === 'inside') return np.array(ids);
    const rows = new Float32Array(ids.length * vocabulary);
    ids.forEach((id, i) => (rows[i * vocabulary + id] = 1));
    return np.array(rows).reshape([ids.length, vocabulary]);
  };
  return {
    parameters,
    how: `wasm, jit, one-hot rows ${oneHot} it${globalThis.crossOriginIsolated ? ', shared memory' : ''}`,
    async steps(count) {
      const losses = [];
      for (let i = 0; i < count; i++) {
        const { inputs, targets } = batchOf(task, taken++);
        const corrections = np.array([1 / (1 - beta1 ** taken), 1 / (1 - beta2 ** taken)]);
        const out = step(params, ...state, corrections, given(inputs), given(targets));
        const loss = out[0];
        [params, state] = [out[1], out.slice(2)];
        losses.push((await loss.data())[0]);
        await jax.blockUntilReady(params);
      }
      return losses;
    },
  };
}
