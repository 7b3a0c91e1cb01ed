/** Presenting: large type, one thing on the screen, a pointer that others see, and the time. */

import { number, t } from '../../i18n.js';
import { make } from '../dom.js';

export class Presenter {
  #clock = make('span', { class: 'lesson-clock', role: 'timer', label: 'lessons.clock' });
  #pointer = make('div', { class: 'lesson-pointer', hidden: true, 'aria-hidden': 'true' });
  #began = 0;
  #minutes = 0;
  #ticking = 0;
  root = this.#clock;
  /** Presenting has begun or ended. */ onChange = () => {};

  constructor() {
    document.body.append(this.#pointer);
    addEventListener('pointermove', ({ clientX, clientY }) => {
      if (this.#pointer.hidden) return;
      this.#pointer.style.setProperty('--x', `${clientX}px`);
      this.#pointer.style.setProperty('--y', `${clientY}px`);
    });
    document.addEventListener('fullscreenchange', () => {
      if (!document.fullscreenElement) this.leave();
    });
  }

  get on() {
    return document.body.classList.contains('presenting');
  }

  /** @param {number} minutes  that the lesson takes */
  start(minutes) {
    this.#began = Date.now();
    this.#minutes = minutes;
    clearInterval(this.#ticking);
    this.#ticking = setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  stop() {
    clearInterval(this.#ticking);
    this.leave();
  }

  async enter() {
    document.body.classList.add('presenting');
    this.onChange();
    try {
      await document.documentElement.requestFullscreen();
    } catch {
      // Large type does without.
    }
  }

  leave() {
    document.body.classList.remove('presenting');
    this.onChange();
    this.#pointer.hidden = true;
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
  }

  toggle() {
    if (this.on) this.leave();
    else void this.enter();
  }

  togglePointer() {
    this.#pointer.hidden = !this.#pointer.hidden;
  }

  #tick() {
    const seconds = Math.floor((Date.now() - this.#began) / 1000);
    const spent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    this.#clock.textContent = t('lessons.time', { spent, minutes: number(this.#minutes) });
    this.#clock.toggleAttribute('data-over', seconds > 60 * this.#minutes);
  }
}
