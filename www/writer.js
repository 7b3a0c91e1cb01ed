/** Writing with the model: continue, from the caret, try again, stop, and what became of it. */

import { closeUp } from './han.js';

/** @import { Model } from './inkling.js' */
/** @import { GenerationConfig, Sequence, Stats } from './protocol.js' */
/** @import { CowrittenText } from './document.js' */
/** @import { Editor } from './editor.js' */
/** @import { Settings } from './settings.js' */
/** @import { Alternatives } from './alternatives.js' */
/** @import { Notices } from './notices.js' */
/** @import { Meters } from './meters.js' */

/** `end`: go on at the end; `caret`: from the caret; `again`: the last continuation anew. @typedef {'end' | 'caret' | 'again'} From */

/** Characters a token never exceeds on average: how far back to look for the last part of a text. */
const LONGEST_TOKENS = 12;
/** What a screen reader is given at once. */
const MOST_ANNOUNCED = 1000;
/** By so many characters at its beginning, a text is known again. */
const TELLING = 40;
/** Errors after which the engine is gone. */
const FATAL = ['crashed', 'out_of_memory', 'disposed'];

export class Writer {
  /** Writing has begun or ended. @type {(writing: boolean) => void} */ onChange = () => {};
  /** The engine is gone. @type {(code: string, detail: string) => void} */ onFatal = () => {};
  /** @type {Model | null} */ model = null;
  /** Where the person accepted that the model sees only the end of a long text. */ lastPartOnly = false;
  /** @type {AbortController | null} */ #running = null;
  /** Of the text for which that was accepted, the beginning. */ #accepted = '';
  /** Something else has the status line: what becomes of this continuation is not told. */ #quiet = false;
  /** Where the alternatives belong, and what stood around it. @type {{ at: number, before: string, after: string, aside: boolean } | null} */
  #place = null;

  /**
   * @param {{ text: CowrittenText, editor: Editor, settings: Settings, alternatives: Alternatives, notices: Notices,
   *           meters: Meters }} parts
   */
  constructor(parts) {
    this.parts = parts;
  }

  get writing() {
    return this.#running !== null;
  }

  /** @param {{ quiet?: boolean }} [options]  quiet: without a word in the status line */
  stop({ quiet = false } = {}) {
    this.#quiet = quiet;
    this.#running?.abort();
  }

  /** What the person accepted for one text does not hold for another, nor for one that fits. @param {number | null} [tokens]  in the text, if counted */
  reconsider(tokens = null) {
    if (!this.lastPartOnly) return;
    const { text, settings } = this.parts;
    const other = !text.text.startsWith(this.#accepted);
    if (other || (this.model && tokens !== null && tokens <= roomFor(this.model, settings.value('max_new_tokens')))) this.wholeText();
  }

  /** The model is to see all of the text again. */
  wholeText() {
    this.lastPartOnly = false;
    this.parts.meters.setAside(0);
  }

  /** @param {From} from @param {number} [fromAt]  the caret, where it may have moved since */
  async write(from, fromAt) {
    const { text, editor, settings, alternatives, notices } = this.parts;
    const model = this.model;
    if (!model || this.#running) return;
    const again = text.lastContinuation;
    if (from === 'again' && !again) return;
    const at = from === 'again' && again ? again.start : from === 'caret' ? (fromAt ?? editor.caret) : text.text.length;
    if (from === 'caret' && at === 0) return;
    const problem = settings.problem();
    if (problem) return notices.error('bad_parameter', { words: problem });
    this.#quiet = false;
    const running = new AbortController();
    this.#running = running;
    notices.clearError();
    notices.status('status.reading');
    alternatives.close();
    this.onChange(true);
    const aside = from === 'caret' && text.text.slice(at).trim() !== '';
    const state = { stats: /** @type {Stats | null} */ (null), many: 1, begun: false };
    try {
      const before = text.text.slice(0, at);
      const config = await settings.config();
      const prompt = this.lastPartOnly ? await this.#lastPart(model, before) : before;
      const sequences = await this.#follow(model, prompt, at, { ...config, signal: running.signal }, state);
      this.#end(sequences, state, at, aside);
    } catch (error) {
      this.#fail(error, state, { from, at, aside });
    } finally {
      text.finish();
      this.#running = null;
      this.onChange(false);
      editor.render({ follow: true, caret: state.begun && state.many === 1 ? text.text.length : undefined });
    }
  }

  /** Shows what arrives until the end. @param {Model} model @param {string} prompt @param {number} at @param {GenerationConfig & { signal: AbortSignal }} config @param {{ stats: Stats | null, many: number, begun: boolean }} state @returns {Promise<Sequence[]>} */
  async #follow(model, prompt, at, config, state) {
    const { text, editor, settings, alternatives, notices, meters } = this.parts;
    const many = Number(settings.value('num_return_sequences') ?? 1);
    state.many = many;
    /** @type {Sequence[]} */
    let sequences = [];
    const begin = () => {
      if (state.begun) return;
      state.begun = true;
      notices.status('status.generating');
      if (many > 1) {
        const after = text.text.slice(at);
        this.#place = { at, before: text.text.slice(0, at), after, aside: after.trim() !== '' };
        alternatives.open(many, Number(settings.value('num_beams') ?? 1) > 1);
      } else {
        text.begin(at, performance.now());
      }
    };
    const tidy = model.info.tokenizer === 'WordPiece' ? closeUp : (/** @type {string} */ _, /** @type {string} */ words) => words;
    /** Text so far, by sequence. @type {string[]} */
    const written = [];
    for await (const event of model.generate(prompt, config)) {
      state.stats = event.stats;
      meters.stats(event.stats);
      if (event.type === 'prefill') {
        if (event.total > event.done && !this.#quiet) notices.status('status.reading.part', { done: event.done, total: event.total });
        continue;
      }
      begin();
      if (event.type === 'token') {
        const before = written[event.sequence] ?? prompt;
        const words = tidy(before, event.text);
        written[event.sequence] = before + words;
        if (many > 1) alternatives.append(event.sequence, words);
        else text.append(words);
      } else if (event.type === 'preview') {
        const words = tidy(prompt, event.preview);
        if (many > 1) alternatives.preview(words);
        else text.revise(words);
      } else {
        sequences = event.sequences.map((sequence) => ({ ...sequence, text: tidy(prompt, sequence.text) }));
        if (many > 1) alternatives.finish(sequences);
        else text.revise(sequences[0]?.text ?? '');
      }
      if (many === 1) editor.renderSoon();
    }
    return sequences;
  }

  /** @param {Sequence[]} sequences @param {{ stats: Stats | null, many: number }} state @param {number} at @param {boolean} aside */
  #end(sequences, { stats, many }, at, aside) {
    const { text, notices } = this.parts;
    const count = stats?.newTokens ?? 0;
    const reason = sequences[0]?.finishReason ?? 'length';
    if (this.#quiet) return;
    if (many > 1) {
      notices.status('status.choose', { count: sequences.length });
      return;
    }
    notices.status(`status.done.${reason}`, { count });
    // What was written stays, so that going on is going on at the end.
    if (reason === 'context') this.#contextFull('end', at);
    else if (aside) notices.status('status.aside');
    notices.announce('announce.done', { text: text.text.slice(at, at + MOST_ANNOUNCED) });
  }

  /** @param {unknown} error @param {{ stats: Stats | null, many: number, begun: boolean }} state @param {{ from: From, at: number, aside: boolean }} asked */
  #fail(error, { stats, many, begun }, { from, at, aside }) {
    const { alternatives, notices } = this.parts;
    alternatives.finish();
    const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error);
    if (code === 'aborted') {
      if (this.#quiet) return;
      const key = aside && begun && many === 1 ? 'status.stopped.aside' : 'status.stopped';
      return notices.status(key, { count: stats?.newTokens ?? 0 });
    }
    if (FATAL.includes(code)) return this.onFatal(code, message);
    notices.status('status.ready');
    if (code === 'context_full') return this.#contextFull(from, at);
    if (code === 'empty_prompt') return notices.error(code);
    return notices.error(code, { detail: message });
  }

  /** @param {From} from  what was asked for, and is to go on @param {number} at */
  #contextFull(from, at) {
    const { notices, text } = this.parts;
    const shown = text.text;
    notices.status('status.done.context');
    if (this.lastPartOnly) return;
    const slide = () => {
      this.lastPartOnly = true;
      this.#accepted = text.text.slice(0, TELLING);
      void this.write(from, text.text === shown ? at : undefined);
    };
    const limit = this.model?.info.contextLength ?? 0;
    notices.error('context_full', { values: { limit }, remedies: [{ label: 'action.slide', run: slide }] });
  }

  /** The last part of a text that leaves the model room for what it is to write, beginning with a word. @param {Model} model @param {string} before */
  async #lastPart(model, before) {
    const { meters, settings } = this.parts;
    const room = roomFor(model, settings.value('max_new_tokens'));
    const tail = before.slice(-room * LONGEST_TOKENS);
    const tokens = await model.tokenize(tail);
    const first = tokens.at(-room);
    if (tokens.length <= room || !first) {
      if (tail === before) this.wholeText();
      else meters.setAside('many');
      return tail;
    }
    let part = tail.slice(first.start);
    const space = part.search(/\s/);
    if (space >= 0 && space < 40) part = part.slice(space + 1);
    const start = tail.length - part.length;
    meters.setAside(tail === before ? tokens.filter(({ end }) => end <= start).length : 'many');
    return part;
  }

  /** Puts an alternative in the text, in place of the one that was chosen before. @param {string} words */
  choose(words) {
    const { text, editor, notices } = this.parts;
    const place = this.#place;
    if (this.#running || !place) return;
    // If the person has written meanwhile, an alternative goes to the end like any continuation.
    const same = text.text === place.before + place.after;
    text.begin(same ? place.at : text.text.length, performance.now());
    text.append(words);
    text.finish();
    if (same) place.after = text.text.slice(place.at);
    editor.render();
    editor.toEnd();
    notices.status(same && place.aside ? 'status.aside' : 'status.ready');
    notices.announce('announce.done', { text: words.slice(0, MOST_ANNOUNCED) });
    this.onChange(false);
  }
}

/** How many tokens of text leave room for what is to be written; never less than a quarter of the context. @param {Model} model @param {unknown} wanted  new tokens */
function roomFor(model, wanted) {
  const limit = model.info.contextLength;
  return Math.max(Math.floor(limit / 4), limit - 1 - (Number(wanted) || Math.floor(limit / 2)));
}
