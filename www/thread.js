/**
 * One more thread of the engine: a worker that shares the engine's memory and works on parts of its products. It says
 * when it is about to begin and does not listen after that; it ends with the worker that started it.
 */

/** @import { EngineModule } from './artifacts.js' */
/** @import { ThreadStart } from './protocol.js' */

self.onmessage = async (/** @type {MessageEvent<ThreadStart>} */ { data: { script, module, memory } }) => {
  /** @type {EngineModule} */
  const engine = await import(script);
  await engine.default({ module_or_path: module, memory });
  self.postMessage('ready');
  engine.serveThread?.();
};
