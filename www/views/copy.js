/** Giving a text to the clipboard. */

import { make } from './dom.js';

/** Whether it is there now; the focus stays where it was. @param {string} text */
export async function copyText(text) {
  try {
    // Missing where the page does not come over https.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    const area = make('textarea', { class: 'unseen', 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    focused?.focus();
    return copied;
  }
}
