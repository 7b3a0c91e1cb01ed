/** The bar of measurements: speeds, memory, context, and what the loaded model is. A dash where nothing was measured. */

import { bytes, number, rate } from './i18n.js';
import { byId } from './notices.js';

/** @import { ModelInfo, Stats } from './protocol.js' */

export class Meters {
  /** @type {ModelInfo | null} */ #info = null;
  /** @type {Stats | null} */ #stats = null;
  /** Tokens in the text as it stands. @type {number | null} */ #tokens = null;

  /** @param {ModelInfo | null} info */
  model(info) {
    this.#info = info;
    this.#stats = null;
    this.#tokens = null;
    this.show();
  }

  /** @param {Stats} stats */
  stats(stats) {
    this.#stats = stats;
    this.#tokens = stats.contextTokens;
    this.show();
  }

  /** @param {number | null} tokens */
  tokens(tokens) {
    this.#tokens = tokens;
    this.show();
  }

  show() {
    const info = this.#info;
    put('speed-prefill', rate(this.#stats?.prefillTokensPerSecond ?? null));
    put('speed-decode', rate(this.#stats?.decodeTokensPerSecond ?? null));
    put('memory', info ? bytes(this.#stats?.memoryBytes ?? info.memoryBytes) : '–');
    const used = this.#tokens === null ? '–' : number(this.#tokens);
    put('context', info ? `${used} / ${number(info.contextLength)}` : '–');
    byId('context').classList.toggle('full', info !== null && (this.#tokens ?? 0) >= info.contextLength);
    put('artifact', info ? info.artifact : '–');
    put('parameters', info ? number(info.parameters, { notation: 'compact', maximumSignificantDigits: 3 }) : '–');
    put('quantization', info ? info.quantization : '–');
  }
}

/** @param {string} id @param {string} text */
function put(id, text) {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
}
