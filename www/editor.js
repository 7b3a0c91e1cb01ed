/**
 * The writing surface: a real text area, and behind it a mirror with the same measures in which the model's words are
 * marked. The mirror's own letters are invisible, so that what a person reads, selects and hears is the text area alone.
 */

/** @import { CowrittenText } from './document.js' */

/** Closer to the end than this, in pixels, the view follows the text as it grows. */
const FOLLOW = 96;

export class Editor {
  /** Called after the person has changed the text. */
  onEdit = () => {};
  #frame = 0;

  /**
   * @param {HTMLTextAreaElement} area
   * @param {HTMLElement} mirror
   * @param {HTMLElement} scroller  what scrolls when the text outgrows the page
   * @param {CowrittenText} text
   */
  constructor(area, mirror, scroller, text) {
    this.area = area;
    this.mirror = mirror;
    this.scroller = scroller;
    this.text = text;
    area.addEventListener('input', () => {
      text.edit(area.value, area.selectionEnd, performance.now());
      this.render();
      this.onEdit();
    });
  }

  get caret() {
    return this.area.selectionEnd;
  }

  /** While the model writes, the person reads. @param {boolean} locked */
  set locked(locked) {
    this.area.readOnly = locked;
  }

  /** Shows the text soon: many tokens may arrive between two pictures. */
  renderSoon() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.render({ follow: true });
    });
  }

  /** Shows the text now. @param {{ follow?: boolean, caret?: number }} [options] */
  render({ follow = false, caret } = {}) {
    const { area, scroller, text } = this;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < FOLLOW;
    const shown = area.value;
    if (shown !== text.text) {
      // Only what is new is put in, so that the selection stays and a long text is not laid out from its beginning.
      if (text.text.startsWith(shown)) area.setRangeText(text.text.slice(shown.length), shown.length, shown.length, 'preserve');
      else area.value = text.text;
    }
    this.#mark();
    if (caret !== undefined) area.setSelectionRange(caret, caret);
    if (follow && atEnd) scroller.scrollTop = scroller.scrollHeight;
  }

  /** Puts the caret at the end and the end in view. */
  toEnd() {
    this.area.setSelectionRange(this.text.text.length, this.text.text.length);
    if (this.text.text !== '') this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #mark() {
    const { mirror } = this;
    const segments = this.text.segments();
    segments.forEach(({ text, model }, index) => {
      const old = mirror.childNodes[index];
      const isMark = old instanceof HTMLElement;
      if (!old || isMark !== model) {
        const fresh = model ? document.createElement('mark') : document.createTextNode(text);
        if (fresh instanceof HTMLElement) {
          fresh.className = 'model';
          fresh.append(text);
        }
        if (old) old.replaceWith(fresh);
        else mirror.append(fresh);
        return;
      }
      const words = /** @type {Text} */ (isMark ? old.firstChild : old);
      if (words.data === text) return;
      if (text.startsWith(words.data)) words.appendData(text.slice(words.data.length));
      else words.data = text;
    });
    while (mirror.childNodes.length > segments.length) mirror.lastChild?.remove();
  }
}
