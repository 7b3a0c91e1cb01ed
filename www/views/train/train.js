/**
 * The Train view: five stages from a text to a model, one below the other, and one button that goes through all of them.
 * Each stage is a file of its own beside this one.
 */

import { addWords, bytes as size, has, number, onLanguage, t, translate } from '../../i18n.js';
import en from '../../i18n/en/train.js';
import zh from '../../i18n/zh/train.js';
import { fillAlert } from '../../notices.js';
import { GenerateStage } from './generate.js';
import { Imports } from './imports.js';
import { addSheets, make } from '../dom.js';
import { ModelStage } from './model.js';
import { Session } from './session.js';
import { TextStage } from './text.js';
import { TrainingStage } from './training.js';
import { Unfinished } from './unfinished.js';
import { VocabularyStage } from './vocabulary.js';

/** @import { Key, Values } from '../../i18n.js' */
/** @import { Remedy } from '../../notices.js' */
/** @import { Page } from '../../views.js' */
/** @import { PresetName } from './presets.js' */
/** @import { StageName } from './session.js' */

/**
 * What a stage gives: its elements, and how to show the session as it is. `relabel` is for what `translate` cannot reach.
 * @typedef {{ name: StageName, body: Node[], show: () => void, relabel: () => void }} Stage
 */

/** @typedef {{ detail?: string, values?: Values, remedies?: Remedy[] }} ErrorMore */

const PRESETS = /** @type {const} */ (['lesson', 'lunch', 'free']);
/** Stages with a button of their own, to go so far and no farther. */
const BY_HAND = /** @type {const} */ (['text', 'vocabulary', 'model']);

addWords({ en, zh });

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  addSheets(['../view.css', './train.css', './stages.css'], import.meta.url);
  new View(root, page);
}

export class View {
  session = new Session();
  /** Whether the person wants things to stand still. */ still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  #error = make('div', { id: 'train-error', class: 'alert', role: 'alert' });
  #status = make('p', { id: 'train-status', role: 'status' });
  #start = make('button', {
    id: 'train-start',
    type: 'button',
    class: 'primary',
    words: 'train.action.start',
    on: { click: () => void this.#train() },
  });
  #cancel = make('button', {
    id: 'train-cancel',
    type: 'button',
    words: 'action.cancel',
    on: { click: () => void this.#giveUp() },
  });
  #frame = 0;
  /** Stages to show again. @type {Set<StageName>} */ #stale = new Set();
  /** What the status line says, in any language. @type {() => string} */ #words = () => t('train.status.begin');
  /** @type {() => void} */ #repeatError = () => {};

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.root = root;
    this.page = page;
    const { session } = this;
    this.text = new TextStage(session, this);
    this.stages = [
      this.text,
      new VocabularyStage(session, this),
      new ModelStage(session, this),
      new TrainingStage(session, this),
      new GenerateStage(session, this),
    ];
    this.imports = new Imports(session, this);
    this.unfinished = new Unfinished(session, this);
    root.append(
      this.#head(),
      this.#bar(),
      this.unfinished.root,
      ...this.stages.map((stage, i) => this.#section(stage, i)),
      this.imports.root,
    );
    session.onChange = (stage) => this.#soon(stage);
    session.onStorage = (code, detail) =>
      this.error(code, {
        detail,
        remedies: [{ label: 'train.action.download', run: () => this.imports.downloadCheckpoint() }],
      });
    for (const { name } of this.stages) this.#soon(name);
    onLanguage(() => {
      for (const stage of this.stages) stage.relabel();
      this.unfinished.relabel();
      this.#say(this.#words);
      this.#repeatError();
    });
    addEventListener('beforeunload', (event) => {
      if (session.status === 'running' || (session.record.id !== '' && !session.record.safe)) event.preventDefault();
    });
    translate(root);
    this.#say(this.#words);
  }

  #head() {
    const presets = PRESETS.map((name) => {
      // A click, not a change: whoever has changed its numbers comes back to a preset this way.
      const radio = make('input', {
        type: 'radio',
        name: 'train-preset',
        value: name,
        id: `train-preset-${name}`,
        on: { click: () => this.#choose(name) },
      });
      radio.checked = name === 'lesson';
      return make(
        'label',
        { class: 'preset' },
        radio,
        make(
          'span',
          {},
          make('strong', { words: /** @type {Key} */ (`train.preset.${name}`) }),
          make('small', { words: /** @type {Key} */ (`train.preset.${name}.help`) }),
        ),
      );
    });
    return make(
      'div',
      { class: 'train-head' },
      make('div', { class: 'train-intro' }, make('h2', { words: 'train.title' }), make('p', { words: 'train.intro' })),
      make(
        'fieldset',
        { class: 'train-presets' },
        make('legend', { class: 'unseen', words: 'train.preset' }),
        ...presets,
      ),
      make('div', { class: 'train-go' }, this.#start, this.#cancel, this.#status),
    );
  }

  /** What stays in view: the stages, and what went wrong. */
  #bar() {
    const steps = this.stages.map(({ name }, i) =>
      make(
        'li',
        {},
        make(
          'button',
          { type: 'button', 'data-stage': name, on: { click: () => this.reveal(name) } },
          make('span', { class: 'number', text: String(i + 1) }),
          make('span', { words: /** @type {Key} */ (`train.stage.${name}`) }),
        ),
      ),
    );
    return make(
      'div',
      { class: 'train-bar' },
      make('nav', { class: 'train-steps', label: 'train.stages' }, make('ol', {}, ...steps)),
      this.#error,
    );
  }

  /** @param {Stage} stage @param {number} i */
  #section({ name, body }, i) {
    const byHand = BY_HAND.find((one) => one === name);
    return make(
      'section',
      { class: 'stage', id: `train-${name}`, 'aria-labelledby': `train-${name}-title` },
      make(
        'div',
        { class: 'stage-head' },
        make(
          'h3',
          { id: `train-${name}-title`, tabindex: -1 },
          make('span', { class: 'number', 'aria-hidden': 'true', text: String(i + 1) }),
          make('span', { words: /** @type {Key} */ (`train.stage.${name}`) }),
        ),
        make('p', { class: 'faded', words: /** @type {Key} */ (`train.stage.${name}.help`) }),
        byHand ? make('p', { class: 'stale-note', words: 'train.stale' }) : null,
        byHand
          ? make('button', {
              type: 'button',
              id: `train-do-${name}`,
              words: /** @type {Key} */ (`train.do.${name}`),
              on: { click: () => void this.#try(() => this.#upTo(byHand)) },
            })
          : null,
      ),
      ...body,
    );
  }

  /** @param {PresetName} name */
  #choose(name) {
    this.session.choose(name);
    if (name === 'free') this.reveal('model');
  }

  /** Goes to a stage. @param {StageName} name */
  reveal(name) {
    const title = document.getElementById(`train-${name}-title`);
    title?.scrollIntoView({ behavior: this.still ? 'auto' : 'smooth', block: 'start' });
    title?.focus({ preventScroll: true });
  }

  /** @param {'text' | 'vocabulary' | 'model'} stage */
  async #upTo(stage) {
    if (!(await this.#ready())) return;
    // A model's shape alone is quick to draw; how long it takes has to be tried out.
    await (stage === 'model' ? this.session.measure() : this.session.ensure(stage));
    this.#say(() => t('train.status.done'));
  }

  /** Whether there is something to work on, and every number is one that can be. */
  async #ready() {
    const wrong = /** @type {HTMLInputElement | null} */ (this.root.querySelector('input[aria-invalid="true"]'));
    if (wrong) {
      const { min, max } = wrong;
      const name = wrong.labels?.[0]?.querySelector('span')?.textContent ?? '';
      wrong.closest('details')?.setAttribute('open', '');
      this.error('bad_number', { values: { name, min, max } });
      wrong.focus();
      return false;
    }
    await this.text.settle();
    if (this.session.files.length > 0) return true;
    this.error('empty', {
      remedies: [
        { label: 'train.action.example', run: () => void this.text.useFirstCorpus().then(() => this.clearError()) },
      ],
    });
    this.#say(() => t('train.status.begin'));
    return false;
  }

  /** The one button: all that is to be done, from the text to the last step. */
  async #train() {
    const { session } = this;
    if (
      session.record.id !== '' &&
      !session.record.safe &&
      session.history.heldOut.length > 0 &&
      session.record.checkpoint
    ) {
      const again = () => {
        session.record.safe = true;
        void this.#train();
      };
      return this.error('unsaved', {
        remedies: [
          { label: 'train.action.download', run: () => this.imports.downloadCheckpoint() },
          { label: 'train.action.anyway', run: again },
        ],
      });
    }
    await this.#try(async () => {
      if (!(await this.#ready())) return;
      await session.prepare();
      const { plan } = session;
      if (plan && !session.fits) throw Object.assign(new Error(), { code: 'model_too_large' });
      // Whoever has gone elsewhere meanwhile is left there.
      if ([document.body, this.#start].includes(/** @type {HTMLElement} */ (document.activeElement)))
        this.reveal('training');
      await this.#run();
    });
  }

  /** Trains on, or one step. @param {number} [steps] */
  async go(steps) {
    await this.#try(() => this.#run(steps));
  }

  /** @param {number} [steps] */
  async #run(steps) {
    await this.session.run(steps);
    void this.unfinished.list();
  }

  async #giveUp() {
    await this.session.reset();
    this.#say(() => t('train.status.stopped'));
  }

  /** Goes on from the weights of a model. @param {NonNullable<Session['base']>} base */
  startFrom(base) {
    this.session.startFrom(base);
    this.reveal('text');
  }

  /** Asks for a model to start from. @param {'file' | 'folder'} kind */
  chooseModel(kind) {
    this.imports.choose(kind);
    this.#soon('model');
  }

  /** @param {() => Promise<void>} work */
  async #try(work) {
    this.clearError();
    try {
      await work();
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {unknown} error */
  fail(error) {
    const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (
      error ?? {}
    );
    if (code === 'aborted' || code === 'disposed') return;
    const { session } = this;
    /** @type {Remedy[]} */
    const remedies = [];
    if (code === 'diverged') {
      remedies.push({
        label: 'train.action.slower',
        run: () => {
          session.change((settings) => (settings.training.learning_rate /= 3));
          void this.#train();
        },
      });
    } else if ((code === 'crashed' || code === 'out_of_memory') && session.record.checkpoint) {
      remedies.push({ label: 'train.action.recover', run: () => void this.#try(() => session.recover()) });
    }
    const { plan } = session;
    /** @type {Values} */
    const values = plan
      ? { needed: size(plan.memoryBytes), available: size(plan.availableBytes), parameters: plan.parameters }
      : {};
    this.error(code, { detail: message, values, remedies });
    this.#say(() => t('train.status.failed'));
  }

  /** @param {string} code @param {ErrorMore} more */
  error(code, { detail, values, remedies = [] }) {
    this.#repeatError = () => {
      const known = has(`train.error.${code}.title`)
        ? `train.error.${code}`
        : has(`error.${code}.title`)
          ? `error.${code}`
          : 'error.engine';
      const run = (/** @type {Remedy} */ remedy) => ({
        label: remedy.label,
        run: () => (this.clearError(), remedy.run()),
      });
      fillAlert(this.#error, known, {
        detail,
        values,
        actions: [...remedies.map(run), { label: 'action.dismiss', run: () => this.clearError() }],
      });
      this.#error.dataset.code = code;
    };
    this.#repeatError();
  }

  clearError() {
    this.#repeatError = () => {};
    this.#error.replaceChildren();
    delete this.#error.dataset.code;
  }

  /** @param {() => string} words */
  #say(words) {
    this.#words = words;
    const next = words();
    // Said once is enough, for those who hear it.
    if (this.#status.textContent !== next) this.#status.textContent = next;
  }

  /** A stage is shown again in the next picture; a tab in the background has none, and needs none. @param {StageName} stage */
  #soon(stage) {
    this.#stale.add(stage);
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const stale = this.#stale;
      this.#stale = new Set();
      for (const one of this.stages) if (stale.has(one.name)) one.show();
      this.#showProgress();
    });
  }

  #showProgress() {
    const { session } = this;
    const { status, busy } = session;
    this.root.dataset.status = busy ?? status;
    const working = busy !== null || status === 'running';
    this.#start.disabled = working;
    this.#cancel.hidden = busy === null;
    const made = { text: session.clean, vocabulary: session.vocabulary, model: session.plan };
    for (const name of BY_HAND) {
      /** @type {HTMLButtonElement} */ (document.getElementById(`train-do-${name}`)).disabled = working;
      const section = /** @type {HTMLElement} */ (document.getElementById(`train-${name}`));
      section.dataset.stale = String(made[name] !== null && !working && !session.current(name));
    }
    for (const button of this.root.querySelectorAll('.train-steps button')) {
      const name = /** @type {StageName} */ (/** @type {HTMLElement} */ (button).dataset.stage);
      /** @type {HTMLElement} */ (button).dataset.state = this.#stateOf(name);
    }
    if (busy) this.#say(() => t(`train.status.${busy}`));
    else if (status === 'running') this.#say(() => t('train.status.running'));
    else if (status === 'paused') this.#say(() => t('train.status.paused'));
    else if (status === 'finished' && session.history.last?.finished === 'early_stopping') {
      const { step, maxSteps } = session.history.last;
      this.#say(() => t('train.status.early', { step: number(step), steps: number(maxSteps) }));
    } else if (status === 'finished') this.#say(() => t('train.status.finished'));
  }

  /** @param {StageName} name @returns {'done' | 'doing' | 'todo'} */
  #stateOf(name) {
    const { clean, vocabulary, plan, status, busy, base } = this.session;
    switch (name) {
      case 'text':
        return busy === 'text' ? 'doing' : clean ? 'done' : 'todo';
      case 'vocabulary':
        return busy === 'vocabulary' ? 'doing' : vocabulary || (base && plan) ? 'done' : 'todo';
      case 'model':
        return busy === 'model' || busy === 'measure' || busy === 'build' ? 'doing' : plan ? 'done' : 'todo';
      case 'training':
        return status === 'running' || status === 'paused' ? 'doing' : status === 'finished' ? 'done' : 'todo';
      case 'generate':
        return status === 'finished' ? 'doing' : 'todo';
    }
  }
}
