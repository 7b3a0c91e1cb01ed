/** The bar of measurements: speeds, memory, context, and what the loaded model is. A dash where nothing was measured. */

import { bytes, number, rate, t } from './i18n.js';
import { byId } from './notices.js';

/** @import { ModelInfo, Stats } from './protocol.js' */

export class Meters {
  /** @type {ModelInfo | null} */ #info = null;
  /** @type {Stats | null} */ #stats = null;
  /** Tokens in the text as it stands. @type {number | null} */ #tokens = null;
  /** Tokens at the beginning of the text that the model is not shown; `many` if nobody counted them. @type {number | 'many'} */ #aside = 0;

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
    this.#tokens = stats.contextTokens + (this.#aside === 'many' ? 0 : this.#aside);
    this.show();
  }

  /** How much of the beginning of the text the model is not shown. @param {number | 'many'} tokens */
  setAside(tokens) {
    this.#aside = tokens;
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
    put('context', info ? this.#context(info.contextLength) : '–');
    byId('context').classList.toggle('full', info !== null && (this.#tokens ?? 0) >= info.contextLength);
    put('artifact', info ? info.artifact : '–');
    put('parameters', info ? number(info.parameters, { notation: 'compact', maximumSignificantDigits: 3 }) : '–');
    const slow = info?.decodedFormats.join(', ') ?? '';
    put('quantization', slow ? t('meter.quantization.slow', { format: info?.quantization ?? '' }) : (info?.quantization ?? '–'));
    byId('quantization').title = slow ? t('meter.quantization.slow.hint', { formats: slow }) : '';
  }

  /** The last token written was never read: it is one more than the model attends to. @param {number} limit */
  #context(limit) {
    const total = this.#tokens;
    if (this.#aside === 'many') return t('meter.context.end', { limit });
    if (this.#aside > 0 && total !== null && total > this.#aside) {
      return t('meter.context.part', { used: Math.min(total - this.#aside, limit), total });
    }
    return `${total === null ? '–' : number(total === limit + 1 ? limit : total)} / ${number(limit)}`;
  }
}

/** @param {string} id @param {string} text */
function put(id, text) {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
}
