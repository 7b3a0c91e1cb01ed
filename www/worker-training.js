/**
 * The worker's side of training: reads the files, asks the trainer, and pumps it step by step. Between two steps the
 * worker listens, so that a pause takes effect after the step under way, and other questions are answered meanwhile.
 */

import { fromGb18030 } from './encoding.js';
import { turn } from './turn.js';

/** @import { EngineModule, Loading, TrainingEngine } from './artifacts.js' */
/** @import { RunEnd, StepReport, TextFile, TrainingEvent, TrainingRequest, TrainingResult, WireSource } from './protocol.js' */

/**
 * What the worker lends: how to tell of an event, whether a request is to stop, how much memory is in use, and the files
 * of a model.
 * @typedef {{ post: (request: number, event: TrainingEvent, transfer?: Transferable[]) => void,
 *             stopped: (request: number) => boolean, memoryBytes: () => number,
 *             take: (source: WireSource) => Promise<Loading> }} Host
 */

/** Steps are told so often, in milliseconds: more often than the eye can use is only work. */
const TELL_EVERY = 120;
/** The speed is that of the last steps, of so many milliseconds together. */
const SPEED_OVER = 3000;
/** Checkpoints may take at most this share of the time. */
const CHECKPOINT_SHARE = 0.05;

export class Trainer {
  /** What was asked first is answered first. @type {Promise<unknown>} */ #line = Promise.resolve();
  #training = false;

  /** @param {TrainingEngine} engine @param {Host} host */
  constructor(engine, host) {
    this.engine = engine;
    this.host = host;
  }

  /** @param {EngineModule['Training']} Training @param {Blob | null} checkpoint @param {Host} host */
  static async open(Training, checkpoint, host) {
    return new Trainer(checkpoint ? Training.resume(await bytesOf(checkpoint)) : new Training(), host);
  }

  /** @param {Exclude<TrainingRequest, { type: 'training' }>} message @returns {Promise<TrainingResult | null>} null: stopped */
  async answer(message) {
    if (message.type === 'ask' && this.#training) return this.#ask(message);
    const answer = this.#line.then(() => this.#one(message));
    // A training may take hours, and does not keep others waiting.
    if (message.type !== 'train') this.#line = answer.catch(() => {});
    return answer;
  }

  /** @param {Exclude<TrainingRequest, { type: 'training' }>} message */
  #one(message) {
    switch (message.type) {
      case 'clean':
        return this.#clean(message);
      case 'columns':
        return this.#columns(message.file);
      case 'build-from':
        return this.#buildFrom(message);
      case 'measure':
        return this.#measure(message.steps);
      case 'ask':
        return this.#ask(message);
      case 'train':
        return this.#train(message);
    }
  }

  /** @param {Extract<TrainingRequest, { type: 'ask' }>} message */
  #ask({ method, args }) {
    return /** @type {any} */ (this.engine)[method](...args);
  }

  /** @param {Extract<TrainingRequest, { type: 'clean' }>} message */
  async #clean({ files, corpus }) {
    const encodings = [];
    const read = [];
    for (const { name, blob, column = null } of files) {
      const { bytes, encoding } = fromGb18030(await bytesOf(blob));
      if (encoding) encodings.push({ name, encoding });
      read.push({ name, bytes, column });
    }
    return { ...this.engine.clean(read, corpus), encodings };
  }

  /** @param {TextFile} file */
  async #columns({ name, blob }) {
    return this.engine.columns(name, fromGb18030(await bytesOf(blob)).bytes);
  }

  /** @param {Extract<TrainingRequest, { type: 'build-from' }>} message */
  async #buildFrom({ source, training }) {
    return this.engine.buildFrom(await this.host.take(source), training);
  }

  /** The middle one of the times of some steps, in milliseconds. @param {number} steps */
  async #measure(steps) {
    const times = [];
    // The first step also makes what all others find.
    for (let i = 0; i <= steps; i++) {
      await turn();
      const began = performance.now();
      const { finished } = this.engine.step();
      times.push(performance.now() - began);
      if (finished) break;
    }
    const rest = times.slice(1).sort((a, b) => a - b);
    return rest[rest.length >> 1] ?? times[0] ?? 0;
  }

  /** @param {Extract<TrainingRequest, { type: 'train' }>} message @returns {Promise<RunEnd | null>} */
  async #train({ request, steps, sample, checkpointEvery }) {
    if (this.#training)
      throw Object.assign(new Error('expected one training at a time, found another under way'), { code: 'engine' });
    this.#training = true;
    const { plan, step, curve } = this.engine.state();
    const told = new Tale(request, this.host, plan.tokensPerStep);
    try {
      let last = step;
      let checkpointed = performance.now();
      let cost = 0;
      const checkpoint = () => {
        if (checkpointEvery === null) return;
        told.flush();
        const began = performance.now();
        const bytes = this.engine.checkpoint();
        checkpointed = performance.now();
        cost = checkpointed - began;
        this.host.post(request, { type: 'checkpoint', step: last, bytes }, [bytes.buffer]);
      };
      const look = () => {
        told.flush();
        this.host.post(request, { type: 'evaluation', evaluation: this.engine.evaluate() });
        if (!sample) return;
        const text = this.engine.sample(sample.prompt, sample.tokens, sample.seed);
        this.host.post(request, { type: 'sample', step: last, text });
      };
      if (curve.heldOut.length === 0) look();
      for (let done = 1; ; done++) {
        await turn();
        if (this.host.stopped(request)) {
          checkpoint();
          return null;
        }
        const began = performance.now();
        const report = this.engine.step();
        last = report.step;
        told.add(report, performance.now() - began);
        if (report.evaluationDue) look();
        const ended = report.finished ?? (done === steps ? 'steps' : null);
        const due = performance.now() - checkpointed > Math.max(checkpointEvery ?? 0, cost / CHECKPOINT_SHARE);
        if (report.finished || due) checkpoint();
        if (ended) return { reason: ended };
      }
    } finally {
      told.flush();
      this.#training = false;
    }
  }
}

/** The steps that have not been told yet, and the speed of the last ones. */
class Tale {
  /** @type {StepReport[]} */ #steps = [];
  /** Times of the last steps, in milliseconds. @type {number[]} */ #times = [];
  #sum = 0;
  #toldAt = -Infinity;

  /** @param {number} request @param {Host} host @param {number} tokensPerStep */
  constructor(request, host, tokensPerStep) {
    this.request = request;
    this.host = host;
    this.tokensPerStep = tokensPerStep;
  }

  /** @param {StepReport} step @param {number} time */
  add(step, time) {
    this.#steps.push(step);
    this.#times.push(time);
    this.#sum += time;
    while (this.#sum > SPEED_OVER && this.#times.length > 1) this.#sum -= this.#times.shift() ?? 0;
    if (performance.now() - this.#toldAt > TELL_EVERY) this.flush();
  }

  flush() {
    if (this.#steps.length === 0) return;
    const tokensPerSecond = (this.#times.length * this.tokensPerStep * 1000) / this.#sum;
    const steps = this.#steps;
    this.#steps = [];
    this.#toldAt = performance.now();
    this.host.post(this.request, { type: 'steps', steps, tokensPerSecond, memoryBytes: this.host.memoryBytes() });
  }
}

/** @param {Blob} blob */
const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());
