/** The model as a picture: embedding, blocks, head, each with its matrices in proportion. */

import { number, t } from '../../i18n.js';
import { draw, make } from '../dom.js';

/** @import { Key } from '../../i18n.js' */
/** @import { PlanReport } from '../../protocol.js' */

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

/** @param {Tensor[]} tensors @returns {Node[]} */
export function diagram(tensors) {
  const block = (/** @type {Tensor} */ { name }) => /(?:^|\.)(?:h|layers)\.(\d+)\./.exec(name)?.[1] ?? null;
  const blocks = new Set(tensors.map(block)).size - (tensors.some((tensor) => block(tensor) === null) ? 1 : 0);
  const outer = tensors.filter((tensor) => block(tensor) === null);
  const head = outer.filter(({ name }) => /lm_head/.test(name));
  const norms = outer.filter(({ name, shape }) => !head.some((other) => other.name === name) && shape.length === 1);
  const embedding = outer.filter((tensor) => !head.includes(tensor) && !norms.includes(tensor));
  const one = tensors.filter((tensor) => block(tensor) === '0');
  const attention = one.filter(({ name }) => /attn/.test(name));
  const mlp = one.filter(({ name }) => /mlp/.test(name));
  const scale =
    LONGEST /
    Math.max(1, ...tensors.filter(({ shape }) => shape.length === 2).flatMap(({ shape }) => shape.map(Math.sqrt)));
  const part = (/** @type {Key} */ words, /** @type {Tensor[]} */ list) =>
    make(
      'div',
      { class: 'tensors' },
      make('h5', { words }),
      ...list.filter(({ shape }) => shape.length === 2).map((tensor) => matrix(tensor, scale)),
    );
  const box = (/** @type {string} */ title, /** @type {Tensor[]} */ list, /** @type {(Node | null)[]} */ ...inside) =>
    make(
      'div',
      { class: 'part' },
      make('h4', { text: title }),
      make('p', { class: 'faded', text: t('train.model.count', { count: sum(list) }) }),
      ...inside,
    );
  const shadows = Array.from({ length: Math.min(MOST_SHADOWS, blocks - 1) }, () =>
    make('span', { class: 'shadow', 'aria-hidden': 'true' }),
  );
  const stack = box(
    t('train.model.blocks', { blocks }),
    one,
    part('train.model.attention', attention),
    part('train.model.mlp', mlp),
    make('p', { class: 'faded', text: t('train.model.each', { blocks }) }),
  );
  return [
    box(t('train.model.embedding'), embedding, part('train.model.tables', embedding)),
    arrow(),
    make('div', { class: 'stack' }, ...shadows, stack),
    arrow(),
    box(
      t('train.model.output'),
      [...norms, ...head],
      head.length > 0 ? part('train.model.matrix', head) : make('p', { class: 'faded', words: 'train.model.tied' }),
    ),
  ];
}

/** @param {Tensor[]} tensors */
const sum = (tensors) => tensors.reduce((all, { parameters }) => all + parameters, 0);

const arrow = () => make('span', { class: 'arrow', 'aria-hidden': 'true', text: '→' });

/** A matrix as a rectangle; sides go by the root, so that small ones stay visible. @param {Tensor} tensor @param {number} scale */
function matrix({ name, shape }, scale) {
  const [rows = 1, columns = 1] = shape;
  const [height, width] = [rows, columns].map((side) => Math.max(3, Math.round(Math.sqrt(side) * scale)));
  const purpose = PURPOSES.find(([pattern]) => pattern.test(name))?.[1];
  const picture = draw(
    'svg',
    { width: width ?? 3, height: height ?? 3, class: 'matrix', 'aria-hidden': 'true' },
    draw('rect', { width: '100%', height: '100%', rx: 1.5 }),
  );
  return make(
    'div',
    { class: 'tensor', title: name },
    picture,
    make(
      'span',
      {},
      make('span', purpose ? { words: purpose } : { text: name }),
      make('small', { text: `${number(rows)} × ${number(columns)}` }),
    ),
  );
}
