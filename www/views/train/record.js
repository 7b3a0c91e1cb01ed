/**
 * What is kept of a training: its last checkpoint, in this browser's store where there is room, and in memory always, so
 * that it can be downloaded.
 */

import { keep } from '../../store.js';

/** @import { SavedTraining } from '../../store.js' */

export class RunRecord {
  /** Empty: nothing is being recorded. */ id = '';
  title = '';
  step = 0;
  maxSteps = 0;
  finished = false;
  /** Time spent training. */ seconds = 0;
  /** @type {{ step: number, text: string }[]} */ samples = [];
  /** @type {Blob | null} */ checkpoint = null;
  /** Whether the last checkpoint is in the store. */ safe = true;
  /** The first refusal of a store that took the one before. @type {(code: string, detail: string) => void} */ onStorage =
    () => {};
  #refused = false;

  /** A new training. @param {string} title */
  static begin(title) {
    return Object.assign(new RunRecord(), {
      id: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`,
      title,
      safe: false,
    });
  }

  /** One to go on with: where it came from, it still is. @param {Blob} checkpoint @param {SavedTraining | null} saved @param {string} title @param {number} step */
  static of(checkpoint, saved, title, step) {
    return Object.assign(RunRecord.begin(title), { ...saved, title, step, checkpoint, safe: true });
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes @param {{ step: number, maxSteps: number, finished: boolean, samples: { step: number, text: string }[] }} about */
  async take(bytes, about) {
    Object.assign(this, about);
    this.checkpoint = new Blob([bytes]);
    await this.write();
  }

  async write() {
    const saved = this.saved();
    if (!saved) return;
    try {
      await keep('trainings', saved);
      this.safe = true;
      this.#refused = false;
    } catch (error) {
      // The one before is still there; this one can be downloaded.
      const { code = 'storage', message = '' } = /** @type {{ code?: string, message?: string }} */ (error);
      this.safe = false;
      if (!this.#refused) this.onStorage(code, message);
      this.#refused = true;
    }
  }

  /** @returns {SavedTraining | null} */
  saved() {
    const { id, title, step, maxSteps, finished, seconds, samples, checkpoint } = this;
    return checkpoint && { id, title, step, maxSteps, finished, seconds, samples, checkpoint, savedAt: Date.now() };
  }
}
