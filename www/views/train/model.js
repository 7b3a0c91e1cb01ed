/** Stage three: the model, drawn from the tensors it will have, and what it will take. */

import { bytes, has, number, t } from '../../i18n.js';
import { duration } from './duration.js';
import { draw, facts, field, make, numeric, select } from './dom.js';

/** @import { Key } from '../../i18n.js' */
/** @import { Session } from './session.js' */
/** @import { PlanReport } from '../../protocol.js' */
/** @import { Shape } from './presets.js' */
/** @import { Stage, View } from './train.js' */

/** @typedef {PlanReport['tensors'][number]} Tensor */

/** The longest side of a matrix in the drawing, in pixels. */
const LONGEST = 84;
/** So many blocks are drawn one behind another. */
const MOST_SHADOWS = 5;

/** What a tensor is for, by the end of its name, in GPT-2's and Llama's words. @type {[RegExp, Key][]} */
const PURPOSES = [
  [/wte\.weight$|embed_tokens\.weight$/, 'train.model.tokens'],
  [/wpe\.weight$/, 'train.model.positions'],
  [/c_attn\.weight$/, 'train.model.qkv'],
  [/q_proj\.weight$/, 'train.model.q'],
  [/k_proj\.weight$/, 'train.model.k'],
  [/v_proj\.weight$/, 'train.model.v'],
  [/attn\.c_proj\.weight$|o_proj\.weight$/, 'train.model.out'],
  [/c_fc\.weight$|up_proj\.weight$/, 'train.model.up'],
  [/gate_proj\.weight$/, 'train.model.gate'],
  [/mlp\.c_proj\.weight$|down_proj\.weight$/, 'train.model.down'],
  [/lm_head\.weight$/, 'train.model.head'],
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

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    this.result = make('div', { class: 'train-result', id: 'train-model-result' },
      this.#facts, this.#warnings, this.#figure,
      make('details', {}, make('summary', { words: 'train.model.tensors' }), make('div', { class: 'train-scroll' }, make('table', {}, this.#table))));
    this.body = [
      this.#base,
      this.#options,
      make('details', {}, make('summary', { words: 'train.model.advanced' }), this.#advanced),
      this.result,
    ];
  }

  show() {
    this.#showBase();
    this.#showOptions();
    const { plan } = this.session;
    this.result.hidden = plan === null;
    if (!plan) return;
    const { millisecondsPerStep, steps, fits } = this.session;
    const perStep = millisecondsPerStep ?? (plan.secondsPerStep === null ? null : plan.secondsPerStep * 1000);
    const epochs = plan.tokens > 0 ? (steps * plan.tokensPerStep) / plan.tokens : plan.epochs;
    this.#facts.replaceChildren(...facts([
      ['train.model.parameters', number(plan.parameters), 'train-parameters'],
      ['train.model.memory', t('train.model.memory.value', { needed: bytes(plan.memoryBytes), available: bytes(plan.availableBytes) })],
      ['train.model.steps', number(steps)],
      ['train.model.epochs', number(epochs, { maximumFractionDigits: 1 })],
      ['train.model.time', perStep === null ? t('train.model.time.unknown') : duration((steps * perStep) / 1000), 'train-time'],
    ]));
    const warnings = plan.warnings.map((code) => `train.warning.${code}`).filter(has).map((words) => make('p', { words }));
    if (!fits) warnings.unshift(make('p', { class: 'bad', text: t('train.model.too_large', { needed: bytes(plan.memoryBytes), available: bytes(plan.availableBytes) }) }));
    this.#warnings.replaceChildren(...warnings);
    this.#draw(plan);
  }

  #showBase() {
    const { session, view } = this;
    const current = view.page.current();
    const from = (/** @type {string} */ value) => {
      if (value === 'files') return view.chooseFolder();
      session.base = value === 'loaded' && current ? { title: view.titleOf(current), source: current.source } : null;
      if (session.base) session.change((settings) => (settings.training.learning_rate = 3e-4));
      for (const stage of /** @type {const} */ (['vocabulary', 'model'])) session.onChange(stage);
    };
    const choice = make('select', { id: 'train-base', on: { change: () => from(choice.value) } });
    choice.append(make('option', { value: 'scratch', words: 'train.base.scratch' }));
    if (session.base) choice.append(make('option', { value: 'base', text: session.base.title }));
    if (current && session.base?.source !== current.source) choice.append(make('option', { value: 'loaded', text: t('train.base.loaded', { name: view.titleOf(current) }) }));
    choice.append(make('option', { value: 'files', words: 'train.base.files' }));
    choice.value = session.base ? 'base' : 'scratch';
    this.#base.replaceChildren(field('train.base', choice, session.base ? 'train.base.help' : undefined));
  }

  #showOptions() {
    const { session } = this;
    if (this.#options.contains(document.activeElement) || this.#advanced.contains(document.activeElement)) return;
    const { shape, training, steps, seconds } = session.settings;
    const size = (/** @type {Exclude<keyof Shape, 'architecture'>} */ name, /** @type {Key} */ words, /** @type {number} */ min, /** @type {number} */ max, step = 1) =>
      field(words, numeric({ min, max, step, value: shape[name] }, (value) => session.change((settings) => (settings.shape = { ...settings.shape, [name]: value })), { id: `train-${name}` }));
    const architecture = select({ gpt2: 'train.model.gpt2', llama: 'train.model.llama' }, shape.architecture, (value) => session.change((settings) => (settings.shape = { ...settings.shape, architecture: /** @type {'gpt2'} */ (value) })), { id: 'train-architecture' });
    const context = size('context', 'train.model.context', 8, 4096);
    this.#options.replaceChildren(...(session.base
      ? [context]
      : [
          field('train.model.architecture', architecture),
          size('layers', 'train.model.layers', 1, 96),
          size('heads', 'train.model.heads', 1, 96),
          size('width', 'train.model.width', 4, 8192),
          context,
        ]));
    if (!session.base && shape.width % shape.heads !== 0) this.#options.append(make('p', { class: 'bad', text: t('train.model.heads.bad', { width: shape.width, heads: shape.heads }) }));
    const set = (/** @type {(training: Session['settings']['training']) => void} */ change) => session.change((settings) => change(settings.training));
    const limit = make('input', { type: 'checkbox', id: 'train-limit', on: { change: () => session.change((settings) => (settings.steps = limit.checked ? session.steps : null)) } });
    limit.checked = steps !== null;
    const prompt = make('input', { type: 'text', value: training.sample_prompt ?? '', on: { change: () => set((to) => (to.sample_prompt = prompt.value)) } });
    this.#advanced.replaceChildren(
      field('train.training.seconds', numeric({ min: 0.1, max: 1440, step: 'any', value: Math.round(seconds / 6) / 10 }, (value) => session.change((settings) => Object.assign(settings, { seconds: value * 60, steps: null })), { id: 'train-minutes' }), 'train.training.seconds.help'),
      make('label', { class: 'field-train check' }, limit, make('span', { words: 'train.training.limit' })),
      field('train.training.steps', numeric({ min: 1, max: 1_000_000, value: session.steps }, (value) => session.change((settings) => (settings.steps = value)), { id: 'train-steps', disabled: steps === null })),
      field('train.training.batch', numeric({ min: 1, max: 1024, value: training.batch_size }, (value) => set((to) => (to.batch_size = value)), { id: 'train-batch' })),
      field('train.training.lr', numeric({ min: 0, max: 10, step: 'any', value: training.learning_rate }, (value) => set((to) => (to.learning_rate = value)), { id: 'train-rate' }), 'train.training.rate.help'),
      ...(shape.architecture === 'gpt2' && !session.base ? [field('train.training.dropout', numeric({ min: 0, max: 0.9, step: 'any', value: shape.dropout }, (value) => session.change((settings) => (settings.shape = { ...settings.shape, dropout: value }))), 'train.training.dropout.help')] : []),
      field('train.training.decay', numeric({ min: 0, max: 10, step: 'any', value: training.weight_decay ?? 0.1 }, (value) => set((to) => (to.weight_decay = value)))),
      field('train.training.clip', numeric({ min: 0, max: 1000, step: 'any', value: training.max_grad_norm ?? 1 }, (value) => set((to) => (to.max_grad_norm = value)))),
      field('train.training.optim', select({ adamw: 'train.training.optim.adamw', muon: 'train.training.optim.muon' }, training.optim ?? 'adamw', (value) => set((to) => (to.optim = /** @type {'muon'} */ (value))))),
      field('train.training.patience', numeric({ min: 0, max: 1000, value: training.early_stopping_patience ?? 0 }, (value) => set((to) => (to.early_stopping_patience = value))), 'train.training.patience.help'),
      field('train.training.prompt', prompt, 'train.training.prompt.help'),
      field('train.training.seed', numeric({ min: 0, max: 2 ** 32 - 1, value: training.seed ?? 1 }, (value) => set((to) => (to.seed = value)))),
    );
  }

  /** Embedding, blocks, head, each with its matrices in proportion. @param {PlanReport} plan */
  #draw({ tensors }) {
    const block = (/** @type {Tensor} */ { name }) => /(?:^|\.)(?:h|layers)\.(\d+)\./.exec(name)?.[1] ?? null;
    const blocks = new Set(tensors.map(block)).size - (tensors.some((tensor) => block(tensor) === null) ? 1 : 0);
    const outer = tensors.filter((tensor) => block(tensor) === null);
    const head = outer.filter(({ name }) => /lm_head/.test(name));
    const norms = outer.filter(({ name, shape }) => !head.some((other) => other.name === name) && shape.length === 1);
    const embedding = outer.filter((tensor) => !head.includes(tensor) && !norms.includes(tensor));
    const one = tensors.filter((tensor) => block(tensor) === '0');
    const attention = one.filter(({ name }) => /attn/.test(name));
    const mlp = one.filter(({ name }) => /mlp/.test(name));
    const scale = LONGEST / Math.max(1, ...tensors.filter(({ shape }) => shape.length === 2).flatMap(({ shape }) => shape.map(Math.sqrt)));
    const part = (/** @type {Key} */ words, /** @type {Tensor[]} */ list) =>
      make('div', { class: 'tensors' }, make('h5', { words }), ...list.filter(({ shape }) => shape.length === 2).map((tensor) => matrix(tensor, scale)));
    const box = (/** @type {string} */ title, /** @type {Tensor[]} */ list, /** @type {(Node | null)[]} */ ...inside) =>
      make('div', { class: 'part' }, make('h4', { text: title }), make('p', { class: 'faded', text: t('train.model.count', { count: sum(list) }) }), ...inside);
    const shadows = Array.from({ length: Math.min(MOST_SHADOWS, blocks - 1) }, () => make('span', { class: 'shadow', 'aria-hidden': 'true' }));
    const stack = box(t('train.model.blocks', { blocks }), one, part('train.model.attention', attention), part('train.model.mlp', mlp), make('p', { class: 'faded', text: t('train.model.each', { blocks }) }));
    this.#figure.replaceChildren(
      box(t('train.model.embedding'), embedding, part('train.model.tables', embedding)),
      arrow(),
      make('div', { class: 'stack' }, ...shadows, stack),
      arrow(),
      box(t('train.model.output'), [...norms, ...head], head.length > 0 ? part('train.model.matrix', head) : make('p', { class: 'faded', words: 'train.model.tied' })),
    );
    this.#table.replaceChildren(...tensors.map(({ name, shape, parameters }) =>
      make('tr', {}, make('th', { scope: 'row' }, make('code', { text: name })), make('td', { text: shape.join(' × ') }), make('td', { class: 'count', text: number(parameters) }))));
  }

  relabel() {
    this.show();
  }
}

/** @param {Tensor[]} tensors */
const sum = (tensors) => tensors.reduce((all, { parameters }) => all + parameters, 0);

const arrow = () => make('span', { class: 'arrow', 'aria-hidden': 'true', text: '→' });

/** A matrix as a rectangle; sides go by the root, so that small ones stay visible. @param {Tensor} tensor @param {number} scale */
function matrix({ name, shape }, scale) {
  const [rows = 1, columns = 1] = shape;
  const [height, width] = [rows, columns].map((side) => Math.max(3, Math.round(Math.sqrt(side) * scale)));
  const purpose = PURPOSES.find(([pattern]) => pattern.test(name))?.[1];
  const picture = draw('svg', { width: width ?? 3, height: height ?? 3, class: 'matrix', 'aria-hidden': 'true' }, draw('rect', { width: '100%', height: '100%', rx: 1.5 }));
  return make('div', { class: 'tensor', title: name }, picture, make('span', {}, make('span', purpose ? { words: purpose } : { text: name }), make('small', { text: `${number(rows)} × ${number(columns)}` })));
}
