/** Stage two: the vocabulary, as it grows merge by merge, and a text as it is cut with what there is so far. */

import { number, t } from '../../i18n.js';
import { draw, facts, field, make, numeric, select } from '../dom.js';

/** @import { Session } from './session.js' */
/** @import { Stage, View } from './train.js' */

/** The film of all merges, in milliseconds, and of one picture. */
const FILM = 12_000;
const PICTURE = 90;
const MOST_SAMPLE = 400;
/** Points of the falling line. */
const TRACED = 24;
/** Colours of pieces, as many as the style sheet has. */
const COLOURS = 6;

/** @implements {Stage} */
export class VocabularyStage {
  /** @type {'vocabulary'} */ name = 'vocabulary';
  #options = make('div', { class: 'train-options' });
  #facts = make('dl', { class: 'train-facts' });
  #slider = make('input', {
    id: 'train-merges',
    type: 'range',
    min: 0,
    max: 0,
    label: 'train.vocabulary.merges',
    on: { input: () => this.#go(Number(this.#slider.value)) },
  });
  #play = make('button', { type: 'button', id: 'train-play', on: { click: () => this.#toggle() } });
  #merge = make('p', { class: 'train-merge', id: 'train-merge' });
  #tokens = make('strong', { id: 'train-tokens' });
  #graph = draw('svg', {
    viewBox: '0 0 300 60',
    class: 'train-falling',
    'aria-hidden': 'true',
    preserveAspectRatio: 'none',
  });
  #pieces = make('p', { class: 'train-pieces', id: 'train-pieces', translate: 'no', dir: 'auto' });
  #sample = make('textarea', {
    rows: 2,
    maxlength: MOST_SAMPLE,
    label: 'train.vocabulary.sample',
    dir: 'auto',
    translate: 'no',
    spellcheck: 'false',
    on: { input: () => this.#go(Number(this.#slider.value)) },
  });
  #examples = make('p', { class: 'train-examples', translate: 'no' });
  #note = make('p', { class: 'train-note' });
  #player = make('div', { class: 'train-player' }, this.#play, this.#slider);
  #cut = make('div', {}, make('h4', { words: 'train.vocabulary.sample' }), this.#sample, this.#pieces);
  #count = make('p', { class: 'train-count' }, make('span', { words: 'train.vocabulary.corpus' }), ' ', this.#tokens);
  #timer = 0;
  /** Tokens in the corpus by number of merges, as far as seen. @type {Map<number, number>} */ #seen = new Map();
  /** The picture asked for last, while another is on its way. @type {number | null} */ #next = null;
  #busy = false;
  /** @type {object | null} */ #shown = null;

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    this.result = make(
      'div',
      { class: 'train-result', id: 'train-vocabulary-result' },
      this.#facts,
      this.#note,
      this.#player,
      this.#merge,
      this.#count,
      this.#graph,
      this.#cut,
      make('h4', { words: 'train.vocabulary.examples' }),
      this.#examples,
    );
    this.body = [this.#options, this.result];
    this.#label();
  }

  show() {
    this.#showOptions();
    const { vocabulary, clean } = this.session;
    this.result.hidden = vocabulary === null;
    if (!vocabulary) {
      this.#stop();
      this.#shown = null;
      return;
    }
    this.#facts.replaceChildren(
      ...facts([
        ['train.vocabulary.size', number(vocabulary.size), 'train-vocabulary-size'],
        ['train.vocabulary.merges', number(vocabulary.merges)],
        ['train.vocabulary.tokens', number(vocabulary.tokens)],
        ['train.vocabulary.bytes', number(vocabulary.bytesPerToken, { maximumFractionDigits: 2 })],
      ]),
    );
    const fewer = vocabulary.requested > vocabulary.size && this.session.settings.vocabulary.kind !== 'characters';
    this.#note.textContent = fewer
      ? t('train.vocabulary.fewer', { requested: vocabulary.requested, size: vocabulary.size })
      : '';
    this.#examples.replaceChildren(...vocabulary.examples.map((text, i) => piece(text, i)));
    const { replayable } = this.session;
    const growing = replayable && vocabulary.merges > 0;
    for (const part of [this.#player, this.#merge, this.#count, this.#graph]) part.toggleAttribute('hidden', !growing);
    this.#cut.hidden = !replayable;
    if (this.#shown === vocabulary) return;
    this.#shown = vocabulary;
    this.#stop();
    this.#seen.clear();
    void this.#trace(vocabulary.merges);
    this.#slider.max = String(vocabulary.merges);
    if (!replayable) return;
    if (!this.#sample.value) this.#sample.value = firstWords(clean?.preview ?? '');
    const still = !growing || this.view.still;
    this.#go(still ? vocabulary.merges : 0);
    if (!still) this.#start();
  }

  #showOptions() {
    const { session } = this;
    const { kind, size } = session.settings.vocabulary;
    if (this.#options.contains(document.activeElement)) return;
    if (session.base)
      return this.#options.replaceChildren(
        make('p', { text: t('train.vocabulary.base', { name: session.base.title }) }),
      );
    this.#options.replaceChildren(
      field(
        'train.vocabulary.kind',
        select(
          {
            'byte-level-bpe': 'train.vocabulary.kind.bytes',
            bpe: 'train.vocabulary.kind.bpe',
            characters: 'train.vocabulary.kind.characters',
          },
          kind,
          (value) => session.change(({ vocabulary }) => (vocabulary.kind = /** @type {'bpe'} */ (value))),
          { id: 'train-kind' },
        ),
        'train.vocabulary.kind.help',
      ),
      field(
        'train.vocabulary.wanted',
        numeric(
          { min: 2, max: 50_000, value: size },
          (value) => session.change(({ vocabulary }) => (vocabulary.size = value)),
          { id: 'train-size' },
        ),
        'train.vocabulary.wanted.help',
      ),
    );
  }

  #toggle() {
    if (this.#timer) return this.#stop();
    if (Number(this.#slider.value) >= Number(this.#slider.max)) this.#go(0);
    this.#start();
  }

  #start() {
    clearInterval(this.#timer);
    const total = Number(this.#slider.max);
    // The first merges matter most: they go one by one.
    let at = Number(this.#slider.value);
    const pace = Math.max(1, (2 * total * PICTURE) / FILM);
    this.#timer = setInterval(() => {
      at = Math.min(total, at + Math.max(1, (pace * at) / total));
      this.#go(Math.floor(at));
      if (at >= total) this.#stop();
    }, PICTURE);
    this.#label();
  }

  #stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#label();
  }

  #label() {
    this.#play.textContent = t(this.#timer ? 'train.vocabulary.pause' : 'train.vocabulary.play');
  }

  /** Shows the vocabulary after so many merges, or, while the engine is at another picture, the last that was asked for. @param {number} merges */
  #go(merges) {
    this.#slider.value = String(merges);
    this.#next = merges;
    if (!this.#busy) void this.#follow();
  }

  async #follow() {
    this.#busy = true;
    try {
      while (this.#next !== null) {
        const merges = this.#next;
        this.#next = null;
        const training = await this.session.training();
        const [{ tokens, pieces }, [merge]] = await Promise.all([
          training.replay(merges, this.#sample.value.slice(0, MOST_SAMPLE)),
          merges > 0 ? training.merges(merges - 1, merges) : [undefined],
        ]);
        this.#seen.set(merges, tokens);
        this.#tokens.textContent = number(tokens);
        this.#pieces.replaceChildren(...pieces.map(piece));
        this.#merge.replaceChildren(
          ...(merge
            ? [
                `${number(merges)}. `,
                piece(merge.left, 0),
                ' + ',
                piece(merge.right, 1),
                ' → ',
                piece(merge.merged, 3),
                ` ${t('train.vocabulary.count', { count: merge.count })}`,
              ]
            : [t('train.vocabulary.beginning')]),
        );
        this.#slider.setAttribute('aria-valuetext', t('train.vocabulary.valuetext', { merges, tokens }));
        this.#drawFall();
      }
    } catch {
      // A training that is gone has no vocabulary to show.
      this.#stop();
    } finally {
      this.#busy = false;
    }
  }

  /** How the corpus shrinks, at some points from the first merge to the last. @param {number} total */
  async #trace(total) {
    try {
      const training = await this.session.training();
      for (let i = 0; i <= TRACED && total > 0; i++) {
        const merges = Math.round(total * (i / TRACED) ** 2);
        const { tokens } = await training.replay(merges, '');
        this.#seen.set(merges, tokens);
      }
      this.#drawFall();
    } catch {
      // As below: there is nothing to show.
    }
  }

  #drawFall() {
    const total = Number(this.#slider.max);
    const points = [...this.#seen].sort(([a], [b]) => a - b);
    const most = Math.max(...points.map(([, tokens]) => tokens), 1);
    const line = points
      .map(([merges, tokens]) => `${(300 * merges) / Math.max(total, 1)},${58 - (54 * tokens) / most}`)
      .join(' ');
    const at = (300 * Number(this.#slider.value)) / Math.max(total, 1);
    this.#graph.replaceChildren(
      draw('polyline', { points: line, class: 'line' }),
      draw('line', { x1: at, x2: at, y1: 0, y2: 60, class: 'mark' }),
    );
  }

  relabel() {
    this.#label();
    this.show();
    if (this.session.vocabulary && this.session.replayable) this.#go(Number(this.#slider.value));
  }
}

/** A token as it stands in the text; white space is made visible. @param {string} text @param {number} index */
function piece(text, index) {
  const visible = text.replace(/\n/g, '⏎').replace(/\t/g, '⇥').replace(/ /g, '·');
  return make('span', { class: `piece c${index % COLOURS}`, text: visible });
}

/** @param {string} text */
function firstWords(text) {
  const start = text.slice(0, 180);
  const end = start.lastIndexOf(' ');
  return end > 60 ? start.slice(0, end) : start;
}
