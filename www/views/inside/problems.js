/** What went wrong while something was looked at, in words. */

import { has, t } from '../../i18n.js';

/** @import { Key } from '../../i18n.js' */

/** Whether somebody has asked for something else meanwhile: then the next answer is on its way. @param {unknown} error */
export function isAborted(error) {
  const { code, name } = /** @type {{ code?: string, name?: string }} */ (error ?? {});
  return code === 'aborted' || name === 'AbortError';
}

/** @param {unknown} error */
export function problemWords(error) {
  const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error ?? {});
  const key = `inside.error.${code}`;
  return has(key) ? t(/** @type {Key} */ (key)) : t('inside.error', { message });
}
