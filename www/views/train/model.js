/** Stage three: the model, drawn from the tensors it will have, and what it will take. */

import { goesOn, readCatalog, titleOf } from '../../catalog.js';
import { bytes, has, number, t } from '../../i18n.js';
import { diagram } from './diagram.js';
import { duration } from '../duration.js';
import { facts, field, make, numeric, select } from '../dom.js';

/** @import { Entry } from '../../catalog.js' */
/** @import { Key } from '../../i18n.js' */
/** @import { Session } from './session.js' */
/** @import { Shape } from './presets.js' */
/** @import { Stage, View } from './train.js' */

/** What is set by a number. @typedef {'batch_size' | 'learning_rate' | 'weight_decay' | 'max_grad_norm' | 'early_stopping_patience' | 'seed'} NumberName */
/** @type {[NumberName, Key, { min: number, max: number, step?: 'any' }, Key?][]} */
const NUMBERS = [
  ['batch_size', 'train.training.batch', { min: 1, max: 1024 }],
  ['learning_rate', 'train.training.lr', { min: 0, max: 10, step: 'any' }, 'train.training.rate.help'],
  ['weight_decay', 'train.training.decay', { min: 0, max: 10, step: 'any' }],
  ['max_grad_norm', 'train.training.clip', { min: 0, max: 1000, step: 'any' }],
  ['early_stopping_patience', 'train.training.patience', { min: 0, max: 1000 }, 'train.training.patience.help'],
  ['seed', 'train.training.seed', { min: 0, max: 2 ** 32 - 1 }],
];

/** @implements {Stage} */
export class ModelStage {
  /** @type {'model'} */ name = 'model';
  #options = make('div', { class: 'train-options' });
  #advanced = make('div', { class: 'train-options' });
  #facts = make('dl', { class: 'train-facts' });
  #warnings = make('div', { class: 'train-note' });
  #figure = make('figure', { class: 'train-model', id: 'train-figure' });
  #table = make('tbody');
  #base = make('div', { class: 'train-base' });
  /** Models that come with the page. @type {Entry[]} */ #shipped = [];

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    this.result = make(
      'div',
      { class: 'train-result', id: 'train-model-result' },
      this.#facts,
      this.#warnings,
      this.#figure,
      make(
        'details',
        {},
        make('summary', { words: 'train.model.tensors' }),
        make('div', { class: 'train-scroll' }, make('table', {}, this.#table)),
      ),
    );
    this.body = [
      this.#base,
      this.#options,
      make('details', {}, make('summary', { words: 'train.model.advanced' }), this.#advanced),
      this.result,
    ];
    readCatalog().then(
      (models) => {
        this.#shipped = models.filter(goesOn);
        this.#showBase();
      },
      // Without them there is still a new model, and one's own.
      () => {},
    );
  }

  show() {
    this.#showBase();
    this.#showOptions();
    const { plan } = this.session;
    this.result.hidden = plan === null;
    if (!plan) return;
    const { millisecondsPerStep, fits, status } = this.session;
    // Of the training there is, else of the one the settings describe.
    const steps = status === 'idle' ? this.session.steps : plan.steps;
    const perStep = millisecondsPerStep ?? (plan.secondsPerStep === null ? null : plan.secondsPerStep * 1000);
    const epochs = plan.tokens > 0 ? (steps * plan.tokensPerStep) / plan.tokens : plan.epochs;
    this.#facts.replaceChildren(
      ...facts([
        ['train.model.parameters', number(plan.parameters), 'train-parameters'],
        [
          'train.model.memory',
          t('train.model.memory.value', { needed: bytes(plan.memoryBytes), available: bytes(plan.availableBytes) }),
        ],
        ['train.model.steps', number(steps)],
        ['train.model.epochs', number(epochs, { maximumFractionDigits: 1 })],
        [
          'train.model.time',
          perStep === null ? t('train.model.time.unknown') : duration((steps * perStep) / 1000),
          'train-time',
        ],
      ]),
    );
    const warnings = plan.warnings
      .map((code) => `train.warning.${code}`)
      .filter(has)
      .map((words) => make('p', { words }));
    if (!fits)
      warnings.unshift(
        make('p', {
          class: 'bad',
          text: t('train.model.too_large', { needed: bytes(plan.memoryBytes), available: bytes(plan.availableBytes) }),
        }),
      );
    this.#warnings.replaceChildren(...warnings);
    const { tensors } = plan;
    this.#figure.replaceChildren(...diagram(tensors));
    this.#table.replaceChildren(
      ...tensors.map(({ name, shape, parameters }) =>
        make(
          'tr',
          {},
          make('th', { scope: 'row' }, make('code', { text: name })),
          make('td', { text: shape.join(' × ') }),
          make('td', { class: 'count', text: number(parameters) }),
        ),
      ),
    );
  }

  #showBase() {
    const { session, view } = this;
    const current = view.page.current();
    const others = current && !this.#shipped.some(({ id }) => id === current.id) ? [current] : [];
    const models = [...this.#shipped, ...others].filter(({ id }) => id !== session.base?.id);
    const from = (/** @type {string} */ value) => {
      if (value === 'folder' || value === 'file') return view.chooseModel(value);
      const model = models.find(({ id }) => value === `model ${id}`);
      session.startFrom(model ? { id: model.id, title: titleOf(model), source: model.source } : null);
    };
    const choice = make('select', { id: 'train-base', on: { change: () => from(choice.value) } });
    choice.append(make('option', { value: 'scratch', words: 'train.base.scratch' }));
    if (session.base) choice.append(make('option', { value: 'base', text: session.base.title }));
    choice.append(...models.map((model) => make('option', { value: `model ${model.id}`, text: titleOf(model) })));
    choice.append(
      make('option', { value: 'file', words: 'train.base.file' }),
      make('option', { value: 'folder', words: 'train.base.folder' }),
    );
    choice.value = session.base ? 'base' : 'scratch';
    this.#base.replaceChildren(field('train.base', choice, session.base ? 'train.base.help' : undefined));
  }

  #showOptions() {
    const { session } = this;
    if (this.#options.contains(document.activeElement) || this.#advanced.contains(document.activeElement)) return;
    const { shape, training, steps, seconds } = session.settings;
    const size = (
      /** @type {Exclude<keyof Shape, 'architecture'>} */ name,
      /** @type {Key} */ words,
      /** @type {number} */ min,
      /** @type {number} */ max,
      step = 1,
    ) =>
      field(
        words,
        numeric(
          { min, max, step, value: shape[name] },
          (value) => session.change((settings) => (settings.shape = { ...settings.shape, [name]: value })),
          { id: `train-${name}` },
        ),
      );
    const architecture = select(
      { gpt2: 'train.model.gpt2', llama: 'train.model.llama' },
      shape.architecture,
      (value) =>
        session.change(
          (settings) => (settings.shape = { ...settings.shape, architecture: /** @type {'gpt2'} */ (value) }),
        ),
      { id: 'train-architecture' },
    );
    const context = size('context', 'train.model.context', 8, 4096);
    this.#options.replaceChildren(
      ...(session.base
        ? [context]
        : [
            field('train.model.architecture', architecture),
            size('layers', 'train.model.layers', 1, 96),
            size('heads', 'train.model.heads', 1, 96),
            size('width', 'train.model.width', 4, 8192),
            context,
          ]),
    );
    if (!session.base && shape.width % shape.heads !== 0)
      this.#options.append(
        make('p', { class: 'bad', text: t('train.model.heads.bad', { width: shape.width, heads: shape.heads }) }),
      );
    const set = (/** @type {(training: Session['settings']['training']) => void} */ change) =>
      session.change((settings) => change(settings.training));
    const limit = make('input', {
      type: 'checkbox',
      id: 'train-limit',
      on: { change: () => session.change((settings) => (settings.steps = limit.checked ? session.steps : null)) },
    });
    limit.checked = steps !== null;
    const prompt = make('input', {
      type: 'text',
      value: training.sample_prompt ?? '',
      on: { change: () => set((to) => (to.sample_prompt = prompt.value)) },
    });
    const numbers = NUMBERS.map(([name, words, bounds, help]) =>
      field(
        words,
        numeric({ ...bounds, value: training[name] ?? 0 }, (value) => set((to) => (to[name] = value)), {
          id: `train-${name}`,
        }),
        help,
      ),
    );
    const dropout = numeric(
      { min: 0, max: 0.9, step: 'any', value: shape.dropout },
      (value) => session.change((settings) => (settings.shape = { ...settings.shape, dropout: value })),
      { id: 'train-dropout' },
    );
    const optimizers = /** @type {const} */ ({
      adamw: 'train.training.optim.adamw',
      muon: 'train.training.optim.muon',
    });
    const optim = select(optimizers, training.optim ?? 'adamw', (value) =>
      set((to) => (to.optim = /** @type {'muon'} */ (value))),
    );
    const time = numeric(
      { min: 0.1, max: 1440, step: 'any', value: Math.round(seconds / 6) / 10 },
      (value) => session.change((settings) => Object.assign(settings, { seconds: value * 60, steps: null })),
      { id: 'train-minutes' },
    );
    const count = numeric(
      { min: 1, max: 1_000_000, value: steps ?? session.steps },
      (value) => session.change((settings) => (settings.steps = value)),
      { id: 'train-steps', disabled: steps === null },
    );
    this.#advanced.replaceChildren(
      field('train.training.seconds', time, 'train.training.seconds.help'),
      make('label', { class: 'field-train check' }, limit, make('span', { words: 'train.training.limit' })),
      field('train.training.steps', count),
      ...numbers,
      // A model that is there already keeps its own.
      ...(session.base ? [] : [field('train.training.dropout', dropout, 'train.training.dropout.help')]),
      field('train.training.optim', optim),
      field('train.training.prompt', prompt, 'train.training.prompt.help'),
    );
  }

  relabel() {
    this.show();
  }
}
