/**
 * A menu in the header: a button (`summary`) that opens a sheet. It closes on Escape, on a click elsewhere, and when the
 * keyboard leaves it; the arrows go through what it holds.
 */

import { byId } from './notices.js';

export class Menu {
  /** @param {string} id  of the `details` @param {string} items  what the arrows go through */
  constructor(id, items) {
    this.details = /** @type {HTMLDetailsElement} */ (byId(id));
    this.items = items;
    this.details.addEventListener('keydown', (event) => this.#key(event));
    this.details.addEventListener('focusout', ({ relatedTarget }) => {
      // To nowhere is the window losing the focus, or a click on the sheet itself.
      if (relatedTarget instanceof Node && !this.details.contains(relatedTarget)) this.details.open = false;
    });
    document.addEventListener('click', ({ target }) => {
      if (target instanceof Node && !this.details.contains(target)) this.details.open = false;
    });
  }

  /** Closes it; the keyboard goes back to its button if it was inside. */
  close() {
    const inside = this.details.contains(document.activeElement);
    this.details.open = false;
    if (inside) this.details.querySelector('summary')?.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === 'Escape') {
      if (!this.details.open) return;
      this.close();
    } else if (['ArrowDown', 'ArrowUp', 'Home', 'End'].includes(event.key)) {
      this.details.open = true;
      const items = /** @type {HTMLElement[]} */ ([...this.details.querySelectorAll(this.items)]);
      const at = items.findIndex((item) => item === document.activeElement);
      const current = items.findIndex((item) => item.ariaCurrent === 'true');
      const next = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: items.length - 1 }[event.key] ?? 0;
      // From the button, to the one in use.
      const wanted = at < 0 && event.key.startsWith('Arrow') && current >= 0 ? current : next;
      items.at(wanted % Math.max(items.length, 1))?.focus();
    } else {
      return;
    }
    event.preventDefault();
    // The page's own Escape is for other things.
    event.stopPropagation();
  }
}
