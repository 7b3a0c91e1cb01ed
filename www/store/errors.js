/** Asking a model's server, and what can go wrong between it and the store, with stable codes. */

/**
 * `retryable`: the same request may succeed a little later; `after`: in milliseconds, where the server said it.
 */
export class StoreError extends Error {
  /** @param {string} code @param {string} message @param {{ retryable?: boolean, after?: number | null }} [more] */
  constructor(code, message, { retryable = false, after = null } = {}) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.after = after;
  }
}

/** The file at its source is not the one that was begun. */
export class Changed extends Error {}

/**
 * What a server answers, whatever its status. @param {string} url @param {string} what @param {RequestInit} [options]
 * @throws {StoreError} code `io`, when there is no answer
 */
export async function reach(url, what, options = {}) {
  try {
    return await fetch(url, { ...options, cache: 'no-store' });
  } catch (error) {
    const found = `found none; the server cannot be reached or does not allow this page to read it (${String(error)})`;
    throw new StoreError('io', `${what}: expected an answer from ${new URL(url).host}, ${found}`, { retryable: true });
  }
}

/** No wait is longer, whatever a server asks for, in milliseconds. */
const LONGEST_WAIT = 10 * 60_000;

/**
 * An answer that is no file, in the server's own words. @param {Response} answer @param {string} what
 * @returns {Promise<StoreError>}
 */
export async function refusal(answer, what) {
  const { status } = answer;
  const said = await words(answer);
  const message = `${what}: expected a file, found HTTP ${status}${said ? `: ${said}` : ''}`;
  const after = retryAfter(answer.headers.get('retry-after'));
  if (status === 401 || status === 403) return new StoreError('forbidden', message);
  if (status === 429) return new StoreError('rate_limited', message, { retryable: true, after });
  if (status === 408 || status >= 500) return new StoreError('io', message, { retryable: true, after });
  return new StoreError('missing_file', message);
}

/** What the server has to say, in a line. @param {Response} answer */
async function words(answer) {
  const header = answer.headers.get('x-error-message');
  if (header) return header.slice(0, 300);
  const type = answer.headers.get('content-type') ?? '';
  if (!/json|text\/plain/.test(type)) return '';
  try {
    const text = (await answer.text()).slice(0, 2000);
    const error = type.includes('json') ? JSON.parse(text)?.error : text;
    return typeof error === 'string' ? error.trim().slice(0, 300) : '';
  } catch {
    return '';
  }
}

/** Seconds or a date, as HTTP has it, in milliseconds from now. @param {string | null} header */
function retryAfter(header) {
  if (!header) return null;
  const seconds = Number(header);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), LONGEST_WAIT) : null;
}
