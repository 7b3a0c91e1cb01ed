/** What went wrong in a chat, in words. */

import { has, t } from '../../i18n.js';

/** @import { Key, Values } from '../../i18n.js' */

/** Whether somebody stopped it. @param {unknown} error */
export function isAborted(error) {
  const { code, name } = /** @type {{ code?: string, name?: string }} */ (error ?? {});
  return code === 'aborted' || name === 'AbortError';
}

/** @param {unknown} error */
export function problemOf(error) {
  const { code = 'engine', message = String(error), ...more } = /** @type {{ code?: string, message?: string } & Values} */ (error ?? {});
  const key = `chat.error.${code}`;
  return t(/** @type {Key} */ (has(key) ? key : 'chat.error.engine'), { ...numbersOf(message), ...more, message });
}

/** The engine's own numbers, where it refuses a text by them. @param {string} message @returns {Values} */
function numbersOf(message) {
  const [limit = 0, used = 0] = (message.match(/\d+/g) ?? []).map(Number);
  return { limit, used };
}
