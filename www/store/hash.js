/** SHA-256 of a file, computed by the engine: also where the browser gives no `crypto.subtle`, and without holding the file. */

import { ARTIFACTS } from '../artifacts.js';

/** @import { EngineModule } from '../artifacts.js' */

/** Bytes read at once. */
const PIECE = 4 << 20;

/** @type {Promise<EngineModule> | null} */
let engine = null;

/** The engine of the build that every browser runs which runs any. @returns {Promise<EngineModule>} */
async function load() {
  const least = ARTIFACTS.filter(({ threads, supported }) => !threads && supported())[0];
  if (!least) throw Object.assign(new Error('expected a browser with WebAssembly SIMD, found one without'), { code: 'unsupported' });
  const [script, binary] = [least.script, least.binary].map((path) => new URL(`../${path}`, import.meta.url));
  /** @type {EngineModule} */
  const module = await import(/** @type {URL} */ (script).href);
  await module.default({ module_or_path: /** @type {URL} */ (binary) });
  return module;
}

/**
 * @param {Blob} blob
 * @param {(bytes: number) => void} progress  after each piece; may throw to stop
 * @returns {Promise<string>} in hexadecimal
 */
export async function hash(blob, progress) {
  engine ??= load();
  engine.catch(() => (engine = null));
  const hasher = new (await engine).Sha256();
  for (let at = 0; at < blob.size; at += PIECE) {
    const piece = new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer());
    hasher.update(piece);
    progress(piece.byteLength);
  }
  return hasher.hex();
}
