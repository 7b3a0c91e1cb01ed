/**
 * inkling: a language model inside the page.
 *
 *     import { load } from './inkling.js';
 *     const model = await load({ url: 'models/stories/model.gguf' });
 *     for await (const event of model.generate('Once upon a time', { max_new_tokens: 64 })) {
 *       document.body.append(event.text);
 *     }
 *     await model.dispose();
 *
 * Works from any folder and from another origin (which then has to allow it by CORS). Each model lives in a worker of
 * its own; what can go wrong arrives as an `InklingError` with a stable `code`.
 */

import { chooseArtifact } from './artifacts.js';
import { InklingError, aborted, checkSignal, checkThreads, connect, isObject, wrong } from './connection.js';
import { threadsFor } from './threads.js';
import { toWire } from './wire.js';

export { InklingError };

/** @import { Connection } from './connection.js' */
/** @import { Training, TrainingOpenOptions } from './training.js' */
/** @import { ToWorker, NamedBlob, LoadProgress, ModelInfo, Parameter } from './protocol.js' */
/** @import { ChatTemplate, Message } from './protocol.js' */
/** @import { Token, GenerationConfig, GenerateEvent, StreamedEvent, OpenResult, GenerateResult } from './protocol.js' */

/**
 * `url`: a folder (with config.json and the rest) or a .gguf; `files` beside it saves looking for them, `bytes` is their
 * known total. `files` alone: what a person picked or dropped. `hub`: `owner/name` on huggingface.co, or on `hubUrl`;
 * of several models there `file` names one. It is fetched once and kept in the browser; `stored` is the id of one there.
 * @typedef {{ url: string | URL, files?: string[], bytes?: number }
 *         | { files: Iterable<File | Blob | NamedBlob> }
 *         | { hub: string, revision?: string, file?: string, hubUrl?: string }
 *         | { stored: string }} Source
 */

/**
 * @typedef {object} LoadOptions
 * @property {(progress: LoadProgress) => void} [onProgress]
 * @property {AbortSignal} [signal]  ends the load at once
 * @property {number} [threads]  at most so many, else one for each core; `info.threads` says how many there are
 * @property {'f32' | 'f16' | 'q8'} [cacheType]  how keys and values are kept: exactly (the default), in half or in a
 *   quarter of the memory; the smaller, the faster with a long text
 */

/** @import { Choice, ExplainedToken, InspectOptions, Inspection, ModelForm, Neighbor, ScoredToken } from './inspection.js' */

/** @import { Answer, AnswerOptions, EmbedOptions, Filled, FillMaskOptions, Means, SummarizeOptions, TranslateOptions } from './tasks.js' */

/** @typedef {GenerationConfig & { signal?: AbortSignal }} GenerateOptions */

/** @typedef {import('./chat-template.js').TemplateOptions} TemplateOptions */
/** @typedef {GenerateOptions & Pick<TemplateOptions, 'tools' | 'documents' | 'chat_template' | 'continue_final_message'> & { chat_template_kwargs?: Record<string, unknown> }} ChatOptions */

/** A look at a long text through a large model may take so long, in milliseconds; an engine that takes longer is given up. */
const LONGEST_LOOK = 120_000;

/**
 * Opens a model in a fresh worker. A model opened before stays as it is.
 * @param {Source} source
 * @param {LoadOptions} [options]
 * @returns {Promise<Model>}
 */
export async function load(source, options = {}) {
  if (!isObject(options)) throw wrong('options: an object', options);
  const { onProgress, signal } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function') throw wrong('onProgress: a function', onProgress);
  checkSignal(signal);
  checkThreads(options.threads);
  const { cacheType = null } = options;
  if (cacheType !== null && !['f32', 'f16', 'q8'].includes(cacheType)) throw wrong("cacheType: 'f32', 'f16' or 'q8'", cacheType);
  if (signal?.aborted) throw aborted(signal);
  const plain = await atHand(source, { onProgress, signal });
  const wire = toWire(plain);
  const artifact = chooseArtifact(options.threads);
  if (!artifact) {
    throw new InklingError('unsupported', 'expected a browser with WebAssembly SIMD and module workers, found one without');
  }
  const connection = connect();
  const stop = () => connection.close(aborted(/** @type {AbortSignal} */ (signal)));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const threads = threadsFor(options.threads);
    const type = /** @type {const} */ ('open');
    const message = { type, source: wire, artifact: artifact.name, threads, cacheType };
    const opened = await connection.call(message, { onProgress });
    return new Model(connection, /** @type {OpenResult} */ (opened));
  } catch (error) {
    connection.close(new InklingError('disposed', 'the model could not be opened'));
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/**
 * A source whose files are kept in the store, as those files; any other as it is.
 * @param {Source} source @param {Pick<LoadOptions, 'onProgress' | 'signal'>} options @returns {Promise<Source>}
 */
async function atHand(source, options) {
  if (!isObject(source) || !('hub' in source || 'stored' in source)) return source;
  const { fromStore } = await import('./store/source.js');
  return { files: await fromStore(source, options) };
}

/**
 * Begins a training in a fresh worker: a corpus, a vocabulary, a model, its training. See training.js, which is fetched
 * when this is called for the first time.
 * @param {TrainingOpenOptions} [options]
 * @returns {Promise<Training>}
 */
export async function createTraining(options = {}) {
  const { openTraining } = await import('./training.js');
  return openTraining(options);
}

/** A loaded model. Made by `load`. */
export class Model {
  /** @type {Connection} */ #connection;
  /** Ends when the generation before has ended. @type {Promise<void>} */ #turn = Promise.resolve();

  /** @param {Connection} connection @param {OpenResult} opened */
  constructor(connection, { info, parameters, chat }) {
    this.#connection = connection;
    /** @type {ModelInfo} */
    this.info = info;
    /** The generation parameters, with this model's own defaults. @type {Parameter[]} */
    this.parameters = parameters;
    /** What it is for, as transformers calls its pipelines; `info.tasks` has all it can do. @type {string} */
    this.task = info.tasks[0] ?? 'text-generation';
    /** How the model reads a conversation, or null: then nothing is known of its turns. @type {ChatTemplate | null} */
    this.chatTemplate = chat;
  }

  /**
   * The text that the model reads for a conversation, by its chat template.
   * @param {Message[]} messages
   * @param {TemplateOptions} [options]  names and meanings of transformers' apply_chat_template; any other is a variable of
   *   the template, as `enable_thinking`
   * @returns {Promise<string>}
   */
  async applyChatTemplate(messages, options = {}) {
    const { applyChatTemplate } = await import('./chat-template.js');
    return applyChatTemplate(this.chatTemplate, messages, options);
  }

  /** The tokens of a text that a chat template made: as `tokenize`, but none is added. @param {string} text @param {{ signal?: AbortSignal }} [options] @returns {Promise<Token[]>} */
  async tokenizeChat(text, { signal } = {}) {
    if (typeof text !== 'string') throw wrong('text: a string', text);
    return this.#look('tokenizeChat', [wellFormed(text)], signal);
  }

  /**
   * Replies to a conversation: the events of `generate`, on the text that the chat template makes of it.
   * @param {Message[]} messages
   * @param {ChatOptions} [options]  of 256 new tokens at most, unless they say otherwise
   * @returns {AsyncGenerator<GenerateEvent, void, void>}
   */
  async *chat(messages, options = {}) {
    const { replyConfig } = await import('./chat-template.js');
    const { template, config } = replyConfig(this, options);
    const text = await this.applyChatTemplate(messages, template);
    const tokens = await this.tokenizeChat(text, { signal: options.signal });
    yield* this.generate(tokens.map(({ id }) => id), config);
  }

  /** @param {string} text @returns {Promise<Token[]>} */
  async tokenize(text) {
    if (typeof text !== 'string') throw wrong('text: a string', text);
    const tokens = await this.#connection.call({ type: 'tokenize', text: wellFormed(text) });
    return /** @type {Token[]} */ (tokens);
  }

  /**
   * What the model computes on a text, from a fresh context: attention, what each layer would say next, and more, each only
   * if it is asked for (see inspection.js). Reading takes as long as that of a prompt.
   * @param {string | number[]} prompt  text, or token ids
   * @param {InspectOptions & { signal?: AbortSignal }} [options]
   * @returns {Promise<Inspection>}
   */
  async inspect(prompt, options = {}) {
    if (!isObject(options)) throw wrong('options: an object', options);
    const { signal, ...wish } = options;
    return this.#look('inspect', [toPrompt(prompt), wish], signal);
  }

  /**
   * How the next token is chosen: from the logits, rule by rule, to the draw. Asked again for the same text, only the rules
   * are applied again.
   * @param {string | number[]} prompt
   * @param {GenerationConfig & { newTokens?: number, shown?: number, signal?: AbortSignal }} [options]  `newTokens`: so many of
   *   the last tokens are new, and as many draws of the seed went before; `shown`: so many candidates are told
   * @returns {Promise<Choice>}
   */
  async choice(prompt, options = {}) {
    if (!isObject(options)) throw wrong('options: an object', options);
    const { signal, newTokens = 0, shown = 20, ...config } = options;
    for (const [name, value] of Object.entries(config)) checkParameter(name, value);
    return this.#look('choice', [toPrompt(prompt), newTokens, config, shown], signal);
  }

  /**
   * How likely the model finds each token of a text, and what it expected in its place.
   * @param {string | number[]} text @param {{ top?: number, signal?: AbortSignal }} [options]
   * @returns {Promise<ScoredToken[]>}
   */
  async score(text, { top = 5, signal } = {}) {
    return this.#look('score', [toPrompt(text), top], signal);
  }

  /**
   * The natural logarithms of the probabilities with which a text goes on in each of these ways.
   * @param {string | number[]} prompt @param {string[]} ways @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Float32Array>}
   */
  async continuations(prompt, ways, { signal } = {}) {
    return this.#look('continuations', [toPrompt(prompt), ways.map(wellFormed)], signal);
  }

  /** The tokens whose embeddings are most like that of one. @param {number} id @param {{ count?: number, signal?: AbortSignal }} [options] @returns {Promise<Neighbor[]>} */
  async neighbors(id, { count = 10, signal } = {}) {
    if (!Number.isInteger(id) || id < 0) throw wrong('id: a token id', id);
    return this.#look('neighbors', [id, count], signal);
  }

  /** How a text becomes tokens: the bytes of each, and the merges that made it. @param {string} text @param {{ signal?: AbortSignal }} [options] @returns {Promise<ExplainedToken[]>} */
  async explain(text, { signal } = {}) {
    if (typeof text !== 'string') throw wrong('text: a string', text);
    return this.#look('explain', [wellFormed(text)], signal);
  }

  /** The parts of the model and what tells it from others. @returns {Promise<ModelForm>} */
  async form() {
    return this.#look('form', []);
  }

  /**
   * What may stand where the text has the model's mask (`info.maskToken`), the likeliest first; with several masks, a list for each.
   * @param {string} text @param {FillMaskOptions} [options] @returns {Promise<Filled[] | Filled[][]>}
   */
  async fillMask(text, options = {}) {
    return (await import('./tasks.js')).fillMask(this.#means(), text, options);
  }

  /**
   * The part of a text that answers a question. A text longer than the model's context is read in parts that overlap.
   * @param {string} question @param {string} context @param {AnswerOptions} [options]
   * @returns {Promise<Answer | Answer[]>}  with `top_k` above 1, a list
   */
  async answer(question, context, options = {}) {
    return (await import('./tasks.js')).answer(this.#means(), question, context, options);
  }

  /** A vector for each text: alike where the texts mean the like. @param {string | string[]} texts @param {EmbedOptions} [options] @returns {Promise<Float32Array[]>} */
  async embed(texts, options = {}) {
    return (await import('./tasks.js')).embed(this.#means(), texts, options);
  }

  /** @param {string | string[]} text @param {TranslateOptions} [options] @returns {Promise<{ translation_text: string }[]>} */
  async translate(text, options = {}) {
    return (await import('./tasks.js')).translate(this.#means(), text, options);
  }

  /** @param {string | string[]} text @param {SummarizeOptions} [options] @returns {Promise<{ summary_text: string }[]>} */
  async summarize(text, options = {}) {
    return (await import('./tasks.js')).summarize(this.#means(), text, options);
  }

  /** @returns {Means} */
  #means() {
    return {
      info: this.info,
      generate: (prompt, options) => this.generate(prompt, options),
      // One that thinks before it replies is told not to: what is wanted is the reply.
      reply: (content, options) => this.chat([{ role: 'user', content }], { ...options, chat_template_kwargs: { enable_thinking: false } }),
      run: (task, args, { onProgress, signal }) =>
        this.#inTurn(signal, async () => {
          const call = this.#connection.call({ type: 'run', task, args }, { onProgress });
          const stop = () => this.#connection.stop(call.request, LONGEST_LOOK);
          signal?.addEventListener('abort', stop, { once: true });
          try {
            const { result, memoryBytes } = await call;
            this.info.memoryBytes = memoryBytes;
            return result;
          } catch (error) {
            throw signal?.aborted ? aborted(signal) : error;
          } finally {
            signal?.removeEventListener('abort', stop);
          }
        }),
    };
  }

  /** @param {Extract<ToWorker, { type: 'look' }>['method']} method @param {any[]} args @param {AbortSignal} [signal] @returns {Promise<any>} */
  async #look(method, args, signal) {
    checkSignal(signal);
    // Looking uses what the model has read, as writing does: one after the other.
    return this.#inTurn(signal, async () => {
      const call = this.#connection.call({ type: 'look', method, args });
      // It ends by itself, and soon: what is not begun is left.
      const stop = () => this.#connection.stop(call.request, LONGEST_LOOK);
      signal?.addEventListener('abort', stop, { once: true });
      try {
        const result = await call;
        if (signal?.aborted) throw aborted(signal);
        return result;
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    });
  }

  /**
   * Waits until all that was asked before is done. @template T
   * @param {AbortSignal | undefined} signal @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async #inTurn(signal, work) {
    const { before, finished } = this.#takeTurn();
    try {
      await untilAborted(before, signal);
      return await work();
    } finally {
      finished();
    }
  }

  /** A place in the line: what is `before`, and whom to tell when this one is `finished`. */
  #takeTurn() {
    const before = this.#turn;
    /** @type {() => void} */
    let finished = () => {};
    // Nobody may overtake, so that even a call that gives up passes its turn on only when it is its turn.
    this.#turn = new Promise((resolve) => (finished = () => before.then(resolve)));
    return { before, finished };
  }

  /**
   * Continues a prompt. Each event's `text` is what it adds; the last event has type `done` and tells how the sequences
   * ended and how fast it went. Leaving the loop early stops the engine, and so does the signal, which then ends the
   * loop with an error of code `aborted`. One model writes one thing at a time: a second call waits for the first.
   * @param {string | number[]} prompt  text, or token ids
   * @param {GenerateOptions} [options]  the names of Hugging Face GenerationConfig
   * @returns {AsyncGenerator<GenerateEvent, void, void>}
   */
  async *generate(prompt, options = {}) {
    if (!isObject(options)) throw wrong('parameters: an object', options);
    const { signal, ...config } = options;
    checkSignal(signal);
    const sent = toPrompt(prompt);
    for (const [name, value] of Object.entries(config)) checkParameter(name, value);
    const { before, finished } = this.#takeTurn();
    try {
      await untilAborted(before, signal);
      const message = {
        type: /** @type {const} */ ('generate'),
        prompt: sent,
        config,
      };
      yield* this.#stream(message, signal, finished);
    } finally {
      finished();
    }
  }

  /**
   * @param {Omit<Extract<ToWorker, { type: 'generate' }>, 'request'>} message
   * @param {AbortSignal | undefined} signal
   * @param {() => void} finished  called when the engine is free again, also if nobody asks for the rest of the events
   * @returns {AsyncGenerator<GenerateEvent, void, void>}
   */
  async *#stream(message, signal, finished) {
    /** Events that have arrived and not been taken yet. @type {GenerateEvent[]} */
    let waiting = [];
    /** @type {InklingError | null} */
    let failure = null;
    let ended = false;
    let wake = () => {};
    const onEvent = (/** @type {StreamedEvent} */ event) => {
      this.info.memoryBytes = event.stats.memoryBytes;
      waiting.push(event);
      wake();
    };
    const call = this.#connection.call(message, { onEvent });
    const stop = () => this.#connection.stop(call.request);
    signal?.addEventListener('abort', stop, { once: true });
    const end = call
      .then(
        (result) => {
          const { sequences, text, stats } = /** @type {GenerateResult} */ (result);
          this.info.memoryBytes = stats.memoryBytes;
          waiting.push({ type: 'done', text, sequence: 0, sequences, stats });
        },
        (error) => (failure = error),
      )
      .finally(() => {
        ended = true;
        finished();
        wake();
      });

    try {
      for (;;) {
        if (signal?.aborted) {
          await end;
          throw aborted(signal);
        }
        const events = waiting;
        waiting = [];
        for (const event of events) {
          if (signal?.aborted) break;
          yield event;
        }
        if (waiting.length > 0 || signal?.aborted) continue;
        if (failure) throw failure;
        if (ended) return;
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    } finally {
      signal?.removeEventListener('abort', stop);
      if (!ended) {
        stop();
        await end;
      }
    }
  }

  /** Frees the worker and its memory. Whatever is under way ends with an error of code `disposed`. */
  async dispose() {
    this.#connection.close(new InklingError('disposed', 'the model has been disposed'));
  }
}

/** @param {unknown} prompt @returns {string | number[]} */
function toPrompt(prompt) {
  if (typeof prompt === 'string') return wellFormed(prompt);
  const ids = isObject(prompt) && Symbol.iterator in prompt ? [.../** @type {Iterable<any>} */ (prompt)] : null;
  if (!ids) throw wrong('prompt: a string or token ids', prompt);
  const odd = ids.find((id) => !Number.isInteger(id) || id < 0);
  if (odd !== undefined || ids.includes(undefined)) throw wrong('prompt: token ids, whole numbers from 0', odd);
  return ids;
}

/** What a worker or the engine's JSON could not carry, told by the parameter's name. @param {string} name @param {unknown} value */
function checkParameter(name, value) {
  if (typeof value === 'number' && !Number.isFinite(value)) throw wrong(`${name}: a finite number`, value);
  if (['function', 'symbol', 'bigint'].includes(typeof value)) throw wrong(`${name}: a plain value`, value);
  if (isObject(value)) for (const part of Object.values(value)) checkParameter(name, part);
}

/** A lone half of a surrogate pair becomes U+FFFD, as it would in any UTF-8; offsets stay the same. @param {string} text */
function wellFormed(text) {
  return String(text).replace(/\p{Surrogate}/gu, '\ufffd');
}

/** @param {Promise<void>} promise @param {AbortSignal} [signal] @returns {Promise<void>} */
function untilAborted(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted(signal));
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    return promise.then(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
  });
}
