/**
 * One measurement of one engine in the page: untimed steps until it is warm, then timed ones in a row.
 * pytorch.py and xtask/src/bench/train/native.rs measure in the same way.
 */

/**
 * What is trained, and for how long.
 * @typedef {object} Task
 * @property {number} layers
 * @property {number} heads
 * @property {number} width
 * @property {number} context
 * @property {number} batch
 * @property {number} vocabulary
 * @property {{ rate: number, beta1: number, beta2: number, epsilon: number, decay: number, clip: number }} adamw
 * @property {number[][]} rows  token ids, `context + 1` in each
 * @property {string} text  the rows as text, and inkling's own recipe for them
 * @property {{ corpus: object, vocabulary: object, model: object, training: object }} recipe
 * @property {{ warmSteps: number, warmSeconds: number, steps: number | null, seconds: number, leastSteps: number }} timing
 */

/**
 * An engine with a model in it. `steps(n)` takes n training steps and gives the loss of each.
 * @typedef {{ parameters: number, how: string, steps: (count: number) => Promise<number[]> }} Engine
 */

/** @param {() => Promise<Engine>} open @param {Task} task */
export async function measure(open, { timing }) {
  const engine = await open();
  /** @type {number[]} */
  const losses = [];
  const began = performance.now();
  // The first steps also make what all others find.
  let perStep = Infinity;
  while (losses.length < timing.warmSteps || performance.now() - began < 1000 * timing.warmSeconds) {
    const start = performance.now();
    losses.push(...(await engine.steps(1)));
    perStep = Math.min(perStep, (performance.now() - start) / 1000);
  }
  const steps = timing.steps ?? Math.max(timing.leastSteps, Math.round(timing.seconds / Math.max(perStep, 1e-4)));
  const start = performance.now();
  losses.push(...(await engine.steps(steps)));
  const seconds = (performance.now() - start) / 1000;
  const { parameters, how } = engine;
  return { parameters, how, steps, seconds, losses };
}

/** The batch of a step, as flat inputs and targets. @param {Task} task @param {number} step */
export function batchOf({ rows, batch, context }, step) {
  const inputs = new Int32Array(batch * context);
  const targets = new Int32Array(batch * context);
  for (let i = 0; i < batch; i++) {
    const row = rows[(step * batch + i) % rows.length];
    inputs.set(row.slice(0, context), i * context);
    targets.set(row.slice(1), i * context);
  }
  return { inputs, targets };
}
