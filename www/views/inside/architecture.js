/**
 * The Architecture panel: the model as it is built, drawn from its own configuration. Each part has its shape, its share of the
 * parameters, its formula, and the numbers it computes for a token of the text.
 */

import { number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { figure } from './figure.js';
import { counted, percent, picker, precise, tokenText, visible } from './words.js';

/** @import { Key } from '../../i18n.js' */
/** @import { Internals, ModelForm } from '../../inspection.js' */
/** @import { ModelInfo } from '../../protocol.js' */
/** @import { Frame } from './panels.js' */
/** @import { Subject } from './subject.js' */

/** Numbers of a vector that are shown. */
const SHOWN = 8;

/**
 * A part of the model: which tensors it is made of, its formula, and which of the numbers of a token show it.
 * @typedef {object} Block
 * @property {string} name
 * @property {RegExp | null} tensors  of those below the layer, or of the model; null: none
 * @property {RegExp} [normed]  the same of a model that norms what its parts add
 * @property {(form: ModelForm, layer: number) => string} formula
 * @property {(keyof Internals)[]} shows
 */

/** @type {Block[]} */
const BEFORE = [
  { name: 'embedding', tensors: /^(wte|embed_tokens|embed_in)\./, formula: ({ embeddingScale }) => `x = ${embeddingScale === null ? '' : `${precise(embeddingScale)} · `}E[token]`, shows: ['embedding'] },
  { name: 'position', tensors: /^wpe\./, formula: () => 'x = E[token] + P[position]', shows: ['positionEmbedding', 'stream'] },
];

/** @type {Block[]} */
const INSIDE = [
  { name: 'norm1', tensors: /^(ln_1|input_layernorm)\./, formula: normFormula, shows: ['stream', 'attentionNorm'] },
  {
    name: 'qkv',
    tensors: /^(attn\.c_attn|self_attn\.(q|k|v|qkv)_(proj|norm)|attention\.query_key_value)\./,
    formula: (form, layer) => ['q = W_q y,  k = W_k y,  v = W_v y', form.qkNorm ? 'q, k ← RMSNorm(q), RMSNorm(k)' : '', turning(form, layer)].filter(Boolean).join('\n'),
    shows: ['query', 'keys', 'values'],
  },
  { name: 'attention', tensors: null, formula: (form, layer) => `score = ${precise(form.attentionScale)} · q · k\nweight = softmax(score${seen(form, layer)})\nz = Σ weight · v`, shows: ['scores', 'weights', 'heads'] },
  {
    name: 'output',
    tensors: /^(attn\.c_proj|self_attn\.o_proj|attention\.dense)\./,
    normed: /^(self_attn\.o_proj|post_attention_layernorm)\./,
    formula: (form) => `x ← x + ${normed(form, 'W_o [z₁ … z_h]')}`,
    shows: ['attention', 'middle'],
  },
  { name: 'norm2', tensors: /^(ln_2|post_attention_layernorm)\./, normed: /^pre_feedforward_layernorm\./, formula: normFormula, shows: ['middle', 'feedForwardNorm'] },
  {
    name: 'feedForward',
    tensors: /^mlp\./,
    normed: /^(mlp|post_feedforward_layernorm)\./,
    formula: (form) => {
      const { gated, activation } = form;
      return gated ? `h = ${activation}(W_gate y) · W_up y\nx ← x + ${normed(form, 'W_down h')}` : `h = ${activation}(W_1 y + b_1)\nx ← x + W_2 h + b_2`;
    },
    shows: ['inner', 'feedForward'],
  },
];

/** @type {Block[]} */
const AFTER = [
  { name: 'finalNorm', tensors: /^(ln_f|norm|final_layer_norm)\./, formula: normFormula, shows: ['norm'] },
  { name: 'head', tensors: /^(lm_head|embed_out)\./, formula: () => 'logit[t] = W[t] · y', shows: ['norm', 'unembedding'] },
  { name: 'softmax', tensors: null, formula: () => 'p[t] = exp(logit[t]) / Σ exp(logit)', shows: [] },
];

/** How queries and keys turn in a layer, if they do. @param {ModelForm} form @param {number} layer */
function turning({ ropeTheta, rotated, layers }, layer) {
  const own = layers[layer];
  const theta = own ? own.ropeTheta : ropeTheta;
  const part = rotated === null ? '' : `[1 … ${rotated}]`;
  return theta === null ? '' : `q, k ← rotate(q${part}, k${part}; θ = ${theta})`;
}

/** Which scores a layer with a window has. @param {ModelForm} form @param {number} layer */
function seen({ layers }, layer) {
  const window = layers[layer]?.window ?? null;
  return window === null ? '' : `[i − ${window - 1} … i]`;
}

/** What a part adds. @param {ModelForm} form @param {string} added */
function normed({ postNorms }, added) {
  return postNorms ? `RMSNorm(${added})` : added;
}

/** @param {ModelForm} form */
function normFormula({ norm, normEpsilon }) {
  const epsilon = normEpsilon.toExponential(0);
  return norm === 'LayerNorm' ? `y = (x − mean) / √(variance + ${epsilon}) · w + b` : `y = x / √(mean(x²) + ${epsilon}) · w`;
}

export class Panel {
  #facts = make('p', { class: 'inside-count' });
  #diagram = make('div', { class: 'inside-diagram' });
  #controls = make('div', { class: 'inside-line' });
  #detail = make('div', { class: 'inside-detail', id: 'architecture-detail', role: 'status' });
  #figure = figure('inside.architecture', [this.#diagram], () => this.#table());
  /** @type {ModelForm | null} */ #form = null;
  #chosen = 'attention';
  #layer = 0;
  #head = 0;
  #position = -1;

  /** @param {Subject} subject @param {Frame} frame */
  constructor(subject, frame) {
    this.subject = subject;
    this.frame = frame;
    this.root = make('div', { class: 'inside-architecture' }, this.#facts, this.#figure.root, make('div', { class: 'inside-block' }, this.#controls, this.#detail));
  }

  relabel() {
    if (this.#form) this.#draw(this.#form);
  }

  async update() {
    const { model, tokens } = this.subject;
    if (!model) return;
    this.#form = await model.form();
    const { layers, heads } = model.info;
    this.#layer = Math.min(this.#layer, layers - 1);
    this.#head = Math.min(this.#head, heads - 1);
    if (this.#position < 0 || this.#position >= tokens.length) this.#position = tokens.length - 1;
    this.#draw(this.#form);
    await this.#tell();
  }

  // ---- the diagram ----

  /** Parts of the model with what they hold. @param {ModelForm} form @param {Block[]} blocks @param {string} below  a layer's prefix, or none */
  #parts(form, blocks, below) {
    return blocks.flatMap((block) => {
      const own = form.postNorms ? (block.normed ?? block.tensors) : block.tensors;
      const tensors = form.parts.filter(({ name }) => (below === '' ? !/\.\d+\./.test(name) : name.startsWith(below)) && own?.test(name.slice(below.length)));
      const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
      // A model without learned positions, or whose head is the embedding again.
      if (block.name === 'position' && tensors.length === 0) return [];
      return [{ block, tensors, parameters }];
    });
  }

  /** @param {ModelForm} form */
  #draw(form) {
    const { model } = this.subject;
    if (!model) return;
    const { info } = model;
    const total = info.parameters;
    const prefix = form.parts.find(({ name }) => /\.0\./.test(name))?.name.replace(/\.0\..*/, '.0.') ?? '';
    const group = (/** @type {Block[]} */ blocks, /** @type {string} */ below, /** @type {number} */ times) =>
      this.#parts(form, blocks, below).map(({ block, tensors, parameters }) => {
        const share = (times * parameters) / total;
        const shapes = tensors.filter(({ shape }) => shape.length === 2).map(({ shape }) => shape.join(' × '));
        const facts = [shapes.join(', '), parameters > 0 ? t('inside.architecture.share', { parameters: number(times * parameters, { notation: 'compact', maximumSignificantDigits: 3 }), share: percent(share) }) : block.name === 'head' ? t('inside.architecture.tied') : ''];
        const fill = make('span', { class: 'inside-share', 'aria-hidden': 'true' });
        fill.style.setProperty('--share', String(share));
        return make(
          'button',
          { type: 'button', 'data-block': block.name, 'aria-pressed': String(block.name === this.#chosen), on: { click: () => this.#choose(block.name) } },
          make('strong', { text: this.#nameOf(block.name) }),
          make('small', { text: facts.filter(Boolean).join(' · ') }),
          fill,
        );
      });
    this.#diagram.replaceChildren(
      make('p', { class: 'faded', text: t('inside.architecture.in', { count: this.subject.tokens.length }) }),
      ...group(BEFORE, '', 1),
      make('div', { class: 'inside-repeat' }, make('p', { class: 'faded', text: t('inside.architecture.times', { count: info.layers }) }), ...group(INSIDE, prefix, info.layers)),
      ...group(AFTER, '', 1),
      make('p', { class: 'faded', text: t('inside.architecture.out', { size: number(info.vocabSize) }) }),
    );
    const facts = t('inside.architecture.facts', {
      architecture: info.architecture,
      layers: number(info.layers),
      heads: number(info.heads),
      width: number(info.hiddenSize),
      inner: number(form.innerSize),
      vocabulary: number(info.vocabSize),
      context: number(info.contextLength),
      parameters: number(total),
      format: info.quantization,
    });
    this.#facts.textContent = [facts, ...this.#peculiar(form, info)].join(' ');
    this.#label(info);
    this.#figure.update();
  }

  /** In what this model differs from the usual one, a sentence each. @param {ModelForm} form @param {ModelInfo} info */
  #peculiar(form, { layers, headDim }) {
    const windows = form.layers.flatMap(({ window }) => (window === null ? [] : [window]));
    const still = form.layers.filter(({ ropeTheta }) => ropeTheta === null).length;
    return [
      form.parallel ? t('inside.architecture.parallel') : '',
      form.postNorms ? t('inside.architecture.postNorms') : '',
      form.rotated === null ? '' : t('inside.architecture.rotated', { rotated: number(form.rotated), width: number(headDim) }),
      windows.length === 0 ? '' : t('inside.architecture.windows', { some: number(windows.length), layers: number(layers), window: number(windows[0] ?? 0) }),
      still === 0 ? '' : t('inside.architecture.still', { some: number(still), layers: number(layers) }),
    ].filter(Boolean);
  }

  /** @param {string} name */
  #nameOf(name) {
    return t(/** @type {Key} */ (`inside.block.${name}`));
  }

  /** @param {ModelInfo} info */
  #label({ layers, heads }) {
    const change = (/** @type {() => void} */ take) => {
      take();
      void this.frame.run(() => this.#tell());
    };
    this.#controls.replaceChildren(
      picker(t('inside.architecture.token'), this.subject.tokens.map(({ text }, i) => [String(i), `${i + 1} ${visible(text)}`]), String(this.#position), (value) => change(() => (this.#position = Number(value)))),
      picker(t('inside.attention.layer'), counted(layers), String(this.#layer), (value) => change(() => (this.#layer = Number(value)))),
      picker(t('inside.attention.head'), counted(heads), String(this.#head), (value) => change(() => (this.#head = Number(value)))),
    );
  }

  /** @param {string} name */
  #choose(name) {
    this.#chosen = name;
    for (const button of this.#diagram.querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset.block === name));
    void this.frame.run(() => this.#tell());
  }

  // ---- the numbers of a part ----

  async #tell() {
    const { model } = this.subject;
    const form = this.#form;
    const block = [...BEFORE, ...INSIDE, ...AFTER].find(({ name }) => name === this.#chosen);
    if (!model || !form || !block) return;
    const found = await this.subject.inspect({ internals: { layer: this.#layer, head: this.#head, position: this.#position }, topK: 5 });
    const inside = /** @type {Internals} */ (found.internals);
    // Side by side with attention, the feed-forward part reads what that did.
    const shows = block.name === 'norm2' && form.parallel ? /** @type {(keyof Internals)[]} */ (['stream', 'feedForwardNorm']) : block.shows;
    const vectors = shows.flatMap((name) => {
      const values = inside[name];
      return values instanceof Float32Array ? [this.#vector(name, values, model.info)] : [];
    });
    this.#detail.replaceChildren(
      make('h4', { text: this.#nameOf(block.name) }),
      make('p', { text: t(/** @type {Key} */ (`inside.block.${block.name}.about`)) }),
      make('pre', { translate: 'no', text: block.formula(form, this.#layer) }),
      ...vectors,
      ...this.#byHand(block.name, inside, model.info),
      ...(block.name === 'softmax' || block.name === 'head'
        ? [make('table', {}, make('tbody', {}, ...found.topK.map(({ text, logit, probability }) => make('tr', {}, make('td', {}, tokenText(text)), make('td', { class: 'count', text: precise(logit) }), make('td', { class: 'count', text: percent(probability) })))))]
        : []),
    );
  }

  /** A vector: how long it is, and its first numbers. @param {string} name @param {Float32Array} values @param {ModelInfo} info */
  #vector(name, values, { headDim }) {
    const rows = name === 'keys' || name === 'values' ? values.length / headDim : 1;
    const length = values.length / rows;
    const first = [...values.subarray((rows - 1) * length, (rows - 1) * length + SHOWN)].map(precise).join('  ');
    const size = rows > 1 ? `${rows} × ${length}` : number(length);
    return make('p', { class: 'inside-vector' }, make('strong', { text: t(/** @type {Key} */ (`inside.vector.${name}`)) }), make('small', { class: 'faded', text: ` [${size}] ` }), make('code', { text: `${first}${length > SHOWN ? ' …' : ''}` }));
  }

  /** A number of the part, worked out from those that are shown. @param {string} name @param {Internals} inside @param {ModelInfo} info */
  #byHand(name, inside, { headDim }) {
    const { tokens } = this.subject;
    const lines = [];
    if (name === 'attention') {
      const looked = [...inside.weights.keys()].sort((a, b) => (inside.weights[b] ?? 0) - (inside.weights[a] ?? 0))[0] ?? 0;
      const key = inside.keys.subarray(looked * headDim, (looked + 1) * headDim);
      const products = [...inside.query].map((q, i) => q * (key[i] ?? 0));
      const sum = products.reduce((all, one) => all + one, 0);
      const most = Math.max(...inside.scores);
      const whole = inside.scores.reduce((all, score) => all + Math.exp(score - most), 0);
      lines.push(
        t('inside.hand.score', { token: visible(tokens[looked]?.text ?? ''), products: `${products.slice(0, 4).map(precise).join(' + ')} + …`, sum: precise(sum), scale: precise(inside.scale), score: precise(inside.scores[looked] ?? 0) }),
        t('inside.hand.weight', { score: precise(inside.scores[looked] ?? 0), most: precise(most), whole: precise(whole), weight: precise(inside.weights[looked] ?? 0) }),
      );
      const products2 = make(
        'details',
        {},
        make('summary', { words: 'inside.hand.all' }),
        make('table', {}, make('thead', {}, make('tr', {}, ...['', 'q', 'k', 'q · k'].map((text) => make('th', { scope: 'col', text })))), make('tbody', {}, ...products.map((product, i) => make('tr', {}, make('td', { text: number(i + 1) }), make('td', { class: 'count', text: precise(inside.query[i] ?? 0) }), make('td', { class: 'count', text: precise(key[i] ?? 0) }), make('td', { class: 'count', text: precise(product) }))))),
      );
      return [make('div', { class: 'inside-callout' }, ...lines.map((text) => make('p', { text })), products2)];
    }
    if (name === 'output') lines.push(t('inside.hand.add', { before: precise(inside.stream[0] ?? 0), added: precise(inside.attention[0] ?? 0), after: precise(inside.middle[0] ?? 0) }));
    if (name === 'position' && inside.positionEmbedding) lines.push(t('inside.hand.position', { token: precise(inside.embedding[0] ?? 0), position: precise(inside.positionEmbedding[0] ?? 0), sum: precise((inside.embedding[0] ?? 0) + (inside.positionEmbedding[0] ?? 0)) }));
    if (name === 'norm1') lines.push(t('inside.hand.norm', { mean: precise(inside.mean), variance: precise(inside.variance), first: precise(inside.stream[0] ?? 0) }));
    if (name === 'head') {
      const sum = inside.norm.reduce((all, y, i) => all + y * (inside.unembedding[i] ?? 0), 0);
      lines.push(t('inside.hand.logit', { products: `${[...inside.norm.subarray(0, 3)].map((y, i) => precise(y * (inside.unembedding[i] ?? 0))).join(' + ')} + …`, sum: precise(sum) }));
    }
    return lines.length > 0 ? [make('div', { class: 'inside-callout' }, ...lines.map((text) => make('p', { text })))] : [];
  }

  #table() {
    const parts = this.#form?.parts ?? [];
    return {
      head: [t('inside.architecture.tensor'), t('inside.architecture.shape'), t('inside.architecture.parameters'), t('inside.architecture.format')],
      rows: parts.map(({ name, shape, format }) => [name, shape.join(' × '), shape.reduce((product, n) => product * n, 1), format]),
    };
  }
}
