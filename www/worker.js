/**
 * The worker: opens one model, or one training (worker-training.js), then answers requests. It alone imports the
 * WebAssembly module. Generation is pumped one unit at a time; after each that takes longer than a frame of the screen,
 * or several that do not, the worker sends what came and listens, so that a stop takes effect at once.
 */

import { ARTIFACTS } from './artifacts.js';
import { deliver } from './sources.js';
import { startThreads } from './threads.js';
import { turn } from './turn.js';

/** @import { FromWorker, LoadProgress, ToWorker, WireSource, Stats, StreamedEvent, OpenResult, GenerateResult, RunResult, TrainingOpened } from './protocol.js' */
/** @import { Trainer } from './worker-training.js' */
/** @import { Engine, EngineEvent, EngineModule, Loading, Report } from './artifacts.js' */

/** @type {Engine | null} */
let engine = null;
/** @type {Trainer | null} */
let trainer = null;
/** @type {WebAssembly.Memory | null} */
let memory = null;
/** Requests being answered. @type {Set<number>} */
const running = new Set();
/** Of these, the ones that are to stop. @type {Set<number>} */
const stopping = new Set();

/**
 * How long the worker computes before it sends and listens, in milliseconds: less than a frame of the screen. Messages
 * take a small model as long as its tokens, and its threads fall asleep meanwhile.
 */
const PAUSE = 12;

/** @param {FromWorker} message @param {Transferable[]} [transfer]  what need not be copied */
const post = (message, transfer = []) => self.postMessage(message, { transfer });
const memoryBytes = () => memory?.buffer.byteLength ?? 0;

self.onmessage = async (/** @type {MessageEvent<ToWorker>} */ { data }) => {
  const { request } = data;
  if (data.type === 'stop') {
    // A stop may cross the last message of its request on the way.
    if (running.has(request)) stopping.add(request);
    return;
  }
  running.add(request);
  try {
    const result = await answer(data);
    if (result === null) post({ type: 'aborted', request });
    else post({ type: 'done', request, result }, result instanceof Uint8Array ? [result.buffer] : []);
  } catch (error) {
    post({ type: 'error', request, ...describe(error) });
  } finally {
    running.delete(request);
    stopping.delete(request);
  }
};

/** @param {Exclude<ToWorker, { type: 'stop' }>} message */
async function answer(message) {
  if (message.type === 'open') return open(message);
  if (message.type === 'training') return openTraining(message);
  if (message.type !== 'tokenize' && message.type !== 'generate' && message.type !== 'look' && message.type !== 'run') {
    if (!trainer) throw Object.assign(new Error('expected an open training, found none'), { code: 'engine' });
    return trainer.answer(message);
  }
  if (!engine) throw Object.assign(new Error('expected an open model, found none'), { code: 'engine' });
  if (message.type === 'tokenize') return engine.tokenize(message.text);
  if (message.type === 'look') return look(engine, message);
  if (message.type === 'run') return run(engine, message);
  return generate(engine, message);
}

/** @param {Extract<ToWorker, { type: 'open' }>} message @returns {Promise<OpenResult>} */
async function open({ request, source, artifact, threads: wanted, cacheType }) {
  const report = (/** @type {LoadProgress} */ progress) => post({ type: 'progress', request, progress });
  const starting = start(artifact, wanted);
  // The engine and the model's bytes travel together.
  const [{ module, threads }, loading] = await Promise.all([starting, take(starting, source, report)]);
  engine = module.Engine.open(loading, (loadedBytes, totalBytes) => {
    // Of files that were picked, the whole way has been told.
    if (source.kind === 'url') report({ phase: 'open', loadedBytes, totalBytes });
  });
  if (cacheType !== null) engine.setCacheType(cacheType);
  const info = /** @type {any} */ ({ ...engine.info(), artifact, threads: await threads, memoryBytes: memoryBytes() });
  return { info, parameters: engine.parameters(), chat: engine.chat() };
}

/** The files of a model, in the engine's memory. @param {Promise<{ module: EngineModule }>} starting @param {WireSource} source @param {Report} report */
async function take(starting, source, report) {
  /** @type {Loading | null} */
  let files = null;
  const arriving = async () => {
    const { module } = await starting;
    return (files ??= new module.Loading());
  };
  await deliver(
    source,
    async (name, length) => {
      const files = await arriving();
      const file = files.file(name, length);
      return (bytes) => files.write(file, bytes);
    },
    report,
  );
  return arriving();
}

/** @param {Extract<ToWorker, { type: 'training' }>} message @returns {Promise<TrainingOpened>} */
async function openTraining({ artifact, threads: wanted, checkpoint }) {
  const [{ module, threads: started }, { Trainer }] = await Promise.all([
    start(artifact, wanted),
    import('./worker-training.js'),
  ]);
  const threads = await started;
  trainer = await Trainer.open(module.Training, checkpoint, {
    post: (request, event, transfer) => post({ type: 'events', request, events: [event] }, transfer),
    stopped: (request) => stopping.has(request),
    memoryBytes,
    take: (source) => take(Promise.resolve({ module }), source, () => {}),
  });
  return { artifact, threads, memoryBytes: memoryBytes(), state: checkpoint ? trainer.engine.state() : null };
}

/**
 * Fetches the engine and has its threads start; how many there are is known later.
 * @param {string} artifact
 * @param {number} wanted
 * @returns {Promise<{ module: EngineModule, threads: number | Promise<number> }>}
 */
async function start(artifact, wanted) {
  const build = ARTIFACTS.find(({ name }) => name === artifact);
  if (!build) throw Object.assign(new Error(`expected a known build of the engine, found ${artifact}`), { code: 'engine' });
  try {
    const [script, binary] = [build.script, build.binary].map((path) => new URL(path, import.meta.url));
    /** @type {[EngineModule, WebAssembly.Module]} */
    const [module, compiled] = await Promise.all([import(script.href), compile(binary)]);
    memory = (await module.default({ module_or_path: compiled })).memory;
    if (!build.threads) return { module, threads: 1 };
    const started = { script: script.href, module: compiled, memory };
    return { module, threads: startThreads(wanted - 1, started).then((count) => count + 1) };
  } catch (error) {
    if (error instanceof RangeError) throw error;
    // The browser could run it but does not accept it, or it is not there.
    const code = error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError ? 'unsupported' : 'io';
    const found = error instanceof Error ? error.message : String(error);
    throw Object.assign(new Error(`expected the engine at ${build.binary}, found: ${found}`), { code });
  }
}

/** @param {URL} binary @returns {Promise<WebAssembly.Module>} */
async function compile(binary) {
  const answer = await fetch(binary);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  // Compiling while it arrives works only with the right type, which not every host sends.
  const streams = answer.headers.get('content-type') === 'application/wasm';
  return streams ? WebAssembly.compileStreaming(answer) : WebAssembly.compile(await answer.arrayBuffer());
}

/** @param {Engine} engine @param {Extract<ToWorker, { type: 'generate' }>} message @returns {Promise<GenerateResult | null>} */
async function generate(engine, { request, prompt, config }) {
  // Tokenizing a long prompt takes a while: a stop that came before it must not wait for it.
  await turn();
  if (stopping.has(request)) return null;
  const meter = new Meter(engine.start(prompt, config));
  let streamed = 0;
  /** What has come and was not sent. @type {StreamedEvent[]} */
  let events = [];
  let paused = performance.now();
  const send = () => {
    if (events.length > 0) post({ type: 'events', request, events });
    events = [];
  };
  try {
    for (;;) {
      const began = performance.now();
      const event = engine.advance();
      const now = performance.now();
      const stats = meter.add(event, now - began);
      if (event.type === 'done') {
        return { sequences: event.sequences, text: event.sequences[0]?.text.slice(streamed) ?? '', stats };
      }
      if (event.type === 'token' && event.sequence === 0) streamed += event.text.length;
      events.push(streamedEvent(event, stats));
      const isFirst = stats.newTokens === 1;
      if (now - paused < PAUSE && !isFirst) continue;
      send();
      await turn();
      if (stopping.has(request)) {
        engine.cancel();
        return null;
      }
      paused = performance.now();
    }
  } finally {
    send();
  }
}

/** @param {Engine} engine @param {Extract<ToWorker, { type: 'look' }>} message @returns {Promise<any>} */
async function look(engine, { request, method, args }) {
  // Somebody who types asks again before this is answered, and does not want it then.
  await turn();
  if (stopping.has(request)) return null;
  // @ts-ignore: each method has arguments of its own
  return engine[method](...args);
}

/** Does a task, part by part. @param {Engine} engine @param {Extract<ToWorker, { type: 'run' }>} message @returns {Promise<RunResult | null>} */
async function run(engine, { request, task, args }) {
  await turn();
  if (stopping.has(request)) return null;
  engine.begin(task, args);
  let paused = performance.now();
  for (;;) {
    const step = engine.step();
    if ('result' in step) return { result: step.result, memoryBytes: memoryBytes() };
    if (performance.now() - paused < PAUSE) continue;
    post({ type: 'progress', request, progress: { phase: 'run', done: step.done, total: step.total } });
    await turn();
    if (stopping.has(request)) {
      engine.cancel();
      return null;
    }
    paused = performance.now();
  }
}

/** @param {Exclude<EngineEvent, { type: 'done' }>} event @param {Stats} stats @returns {StreamedEvent} */
function streamedEvent(event, stats) {
  switch (event.type) {
    case 'prefill':
      return { type: 'prefill', text: '', done: event.done, total: event.total, stats };
    case 'token':
      return { type: 'token', text: event.text, sequence: event.sequence, id: event.id, stats };
    case 'preview':
      return { type: 'preview', text: '', preview: event.text, beams: event.beams, stats };
  }
}

/** Tokens and the time the engine took for them, prompt and new ones apart. */
class Meter {
  /** @param {{ promptTokens: number, reusedTokens: number }} started */
  constructor({ promptTokens, reusedTokens }) {
    this.promptTokens = promptTokens;
    this.reusedTokens = reusedTokens;
    this.prefillTime = 0;
    this.prefillTokens = 0;
    this.decodeTime = 0;
    /** New tokens of each sequence. @type {number[]} */
    this.lengths = [0];
  }

  /** @param {EngineEvent} event @param {number} time  in milliseconds @returns {Stats} */
  add(event, time) {
    if (event.type === 'prefill') {
      this.prefillTime += time;
      this.prefillTokens = Math.max(this.prefillTokens, event.done - (event.total - this.total()));
    } else {
      // A sequence's first token comes from what the model had read: only what follows is decoding.
      const place = event.type === 'token' ? event.sequence : 0;
      if ((this.lengths[place] ?? 0) > 0) this.decodeTime += time;
      if (event.type === 'token') this.lengths[event.sequence] = (this.lengths[event.sequence] ?? 0) + 1;
      // Beams show no single tokens: one preview is one step of all beams.
      if (event.type === 'preview') this.lengths[0] = (this.lengths[0] ?? 0) + 1;
      if (event.type === 'done') this.lengths = event.sequences.map(({ ids }) => ids.length);
    }
    const newTokens = this.lengths.reduce((sum, length) => sum + length, 0);
    const decoded = this.lengths.reduce((sum, length) => sum + Math.max(0, length - 1), 0);
    return {
      promptTokens: this.promptTokens,
      reusedTokens: this.reusedTokens,
      newTokens,
      contextTokens: this.promptTokens + Math.max(...this.lengths),
      prefillTokensPerSecond: rate(this.prefillTokens, this.prefillTime),
      decodeTokensPerSecond: rate(decoded, this.decodeTime),
      memoryBytes: memoryBytes(),
    };
  }

  /** Prompt tokens that have to be computed. */
  total() {
    return this.promptTokens - this.reusedTokens;
  }
}

/** @param {number} tokens @param {number} milliseconds */
const rate = (tokens, milliseconds) => (tokens > 0 && milliseconds > 0 ? (tokens * 1000) / milliseconds : null);

/** @param {unknown} error @returns {{ code: string, message: string, fatal: boolean }} */
function describe(error) {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof WebAssembly.RuntimeError) {
    // After a trap the engine's memory is in an unknown state. A failed allocation ends in a trap too: it is told from
    // others by what it says, or by a memory that has grown close to its 4 GiB limit.
    const full = /out of memory|allocation/i.test(message) || memoryBytes() > 3.5 * 2 ** 30;
    return { code: full ? 'out_of_memory' : 'crashed', message, fatal: true };
  }
  if (error instanceof RangeError) {
    // Too much memory asked of the browser, or a stack overflow in the midst of the engine.
    return { code: /memory|allocat/i.test(message) ? 'out_of_memory' : 'crashed', message, fatal: true };
  }
  const code = /** @type {{ code?: unknown }} */ (error)?.code;
  if (code === 'out_of_memory') return { code, message, fatal: true };
  return { code: typeof code === 'string' ? code : 'engine', message, fatal: false };
}
