/** Stage four: the training itself, its curve, its speed, and what the model writes meanwhile. */

import { bytes, number, rate, t } from '../../i18n.js';
import { Curve } from './curve.js';
import { duration } from '../duration.js';
import { facts, field, make, select } from '../dom.js';

/** @import { Session } from './session.js' */
/** @import { Stage, View } from './train.js' */

/** @implements {Stage} */
export class TrainingStage {
  /** @type {'training'} */ name = 'training';
  #curve = new Curve();
  #facts = make('dl', { class: 'train-facts live', id: 'train-facts' });
  #samples = make('ol', {
    class: 'train-samples',
    id: 'train-samples',
    reversed: true,
    tabindex: 0,
    label: 'train.samples',
  });
  #measured = make('p', { class: 'faded', id: 'train-measured' });
  #table = make('tbody', { id: 'train-losses' });
  /** What there is once a training has begun. */ #columns = make('div', { class: 'train-columns' });
  #bar = make('progress', { id: 'train-progress', max: 1, value: 0, label: 'train.training.progress' });
  #pause = make('button', {
    type: 'button',
    id: 'train-pause',
    words: 'train.action.pause',
    on: { click: () => this.session.pause() },
  });
  #step = make('button', {
    type: 'button',
    id: 'train-step',
    words: 'train.action.step',
    on: { click: () => void this.view.go(1) },
  });
  #resume = make('button', {
    type: 'button',
    id: 'train-resume',
    words: 'train.action.resume',
    on: { click: () => void this.view.go() },
  });
  #stop = make('button', {
    type: 'button',
    id: 'train-stop',
    words: 'train.action.stop',
    on: { click: () => void this.session.finish() },
  });
  /** @type {'nats' | 'bits'} */ #unit = 'nats';
  #written = -1;
  #drawn = '';

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    const unit = select({ nats: 'train.curve.nats', bits: 'train.curve.bits' }, 'nats', (value) => {
      this.#unit = /** @type {'nats'} */ (value);
      this.#drawn = '';
      this.show();
    });
    this.#columns.append(
      make(
        'div',
        {},
        make(
          'div',
          { class: 'train-legend' },
          make('span', { class: 'key mean', words: 'train.curve.train' }),
          make('span', { class: 'key heldout', words: 'train.curve.heldout' }),
          field('train.curve.unit', unit),
        ),
        this.#curve.root,
        this.#measured,
        make(
          'details',
          {},
          make('summary', { words: 'train.curve.table' }),
          make(
            'div',
            { class: 'train-scroll' },
            make(
              'table',
              {},
              make(
                'thead',
                {},
                make(
                  'tr',
                  {},
                  make('th', { words: 'train.training.step' }),
                  make('th', { words: 'train.curve.nats' }),
                  make('th', { words: 'train.curve.bits' }),
                ),
              ),
              this.#table,
            ),
          ),
        ),
      ),
      make(
        'div',
        {},
        make('h4', { words: 'train.samples' }),
        make('p', { class: 'faded', words: 'train.samples.help' }),
        this.#samples,
      ),
    );
    this.body = [
      make('div', { class: 'train-controls' }, this.#pause, this.#resume, this.#step, this.#stop, this.#bar),
      this.#facts,
      this.#columns,
    ];
  }

  show() {
    const { status, history, busy } = this.session;
    const { last } = history;
    const focused = document.activeElement;
    this.#pause.hidden = status !== 'running';
    this.#resume.hidden = status !== 'paused' && status !== 'ready';
    this.#step.hidden = status === 'idle' || status === 'finished';
    this.#step.disabled = status === 'running' || busy !== null;
    this.#stop.hidden = status !== 'running' && status !== 'paused';
    if (focused === this.#pause && status === 'paused') this.#resume.focus();
    if (focused === this.#resume && status === 'running') this.#pause.focus();
    this.#bar.hidden = last === null;
    this.#bar.value = last ? last.step / Math.max(1, last.maxSteps) : 0;
    this.#showFacts();
    this.#showSamples();
    const { measured = null } = this.session.plan ?? {};
    this.#measured.hidden = measured === null || measured.tokens === measured.of;
    if (measured) this.#measured.textContent = t('train.curve.measured', { ...measured });
    // A picture of the same numbers is not drawn again.
    const state = `${this.#unit} ${history.train.length} ${history.heldOut.length}`;
    if (state === this.#drawn) return;
    this.#drawn = state;
    this.#columns.hidden = history.train.length === 0 && history.heldOut.length === 0;
    this.#curve.show(history, {
      maxSteps: last?.maxSteps ?? 0,
      choices: this.session.choices,
      scale: this.#unit === 'nats' ? 1 : this.#bitsPerNat(),
    });
    this.#table.replaceChildren(
      ...history.heldOut.map(({ step, natsPerToken, bitsPerByte, best }) =>
        make(
          'tr',
          { class: best ? 'best' : null },
          make('td', { text: number(step) }),
          make('td', { text: figure(natsPerToken) }),
          make('td', { text: figure(bitsPerByte) }),
        ),
      ),
    );
  }

  /** What one nat for a token is in bits for a byte: of the held-out text exactly, else of the corpus. */
  #bitsPerNat() {
    const measured = this.session.history.heldOut.at(-1);
    if (measured && measured.natsPerToken > 0) return measured.bitsPerByte / measured.natsPerToken;
    return 1 / Math.LN2 / (this.session.vocabulary?.bytesPerToken ?? 1);
  }

  #showFacts() {
    const { history, began, status } = this.session;
    const { last } = history;
    this.#facts.hidden = last === null && history.heldOut.length === 0;
    const heldOut = history.heldOut.at(-1);
    const best = history.heldOut.reduce(
      (least, one) => (one.natsPerToken < least ? one.natsPerToken : least),
      Infinity,
    );
    const done = last && began ? last.step - began.step : 0;
    const left =
      last && began && done > 0 ? ((performance.now() - began.at) / done / 1000) * (last.maxSteps - last.step) : NaN;
    this.#facts.replaceChildren(
      ...facts([
        ['train.training.step', last ? `${number(last.step)} / ${number(last.maxSteps)}` : '–', 'train-at'],
        ['train.training.epoch', last ? number(last.epoch, { maximumFractionDigits: 1 }) : '–'],
        ['train.training.loss', last ? figure(last.loss) : '–', 'train-loss'],
        ['train.training.heldout', heldOut ? figure(heldOut.natsPerToken) : '–', 'train-heldout'],
        ['train.training.bits', heldOut ? figure(heldOut.bitsPerByte) : '–', 'train-bits'],
        ['train.training.best', Number.isFinite(best) ? figure(best) : '–'],
        ['train.training.speed', history.tokensPerSecond > 0 ? rate(history.tokensPerSecond) : '–', 'train-speed'],
        ['train.training.left', status === 'running' ? duration(left) : '–', 'train-left'],
        ['train.training.norm', last ? figure(last.gradNorm) : '–'],
        [
          'train.training.rate',
          last && Number.isFinite(last.learningRate) ? number(last.learningRate, { maximumSignificantDigits: 2 }) : '–',
        ],
        ['meter.memory', history.memoryBytes > 0 ? bytes(history.memoryBytes) : '–'],
      ]),
    );
  }

  #showSamples() {
    const { samples, heldOut } = this.session.history;
    if (this.#written > samples.length || samples.length === 0) {
      this.#samples.replaceChildren();
      this.#written = 0;
    }
    this.#samples.hidden = samples.length === 0;
    const start = this.session.prompt;
    for (const { step, text } of samples.slice(Math.max(0, this.#written))) {
      const loss = heldOut.find((one) => one.step === step)?.natsPerToken;
      const about =
        loss === undefined ? t('train.samples.step', { step }) : t('train.samples.loss', { step, loss: figure(loss) });
      this.#samples.prepend(
        make(
          'li',
          {},
          make('small', { text: about }),
          make('p', { dir: 'auto', translate: 'no' }, make('span', { class: 'faded', text: start }), text),
        ),
      );
    }
    this.#written = samples.length;
  }

  relabel() {
    this.#drawn = '';
    this.#written = Infinity;
    this.show();
  }
}

/** @param {number} value */
const figure = (value) => number(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
