/**
 * The tasks of a model beside writing on: filling a gap, answering from a text, embedding, translating, summarising. Names
 * and results are those of the pipelines of transformers. `inkling.js` fetches this file when one of them is first asked for.
 */

import { InklingError, checkSignal, isObject, wrong } from './connection.js';
import { directionsOf } from './translation.js';

/** @import { GenerateEvent, GenerationConfig, ModelInfo, RunProgress } from './protocol.js' */

/**
 * What a task asks of its model.
 * @typedef {object} Means
 * @property {ModelInfo} info
 * @property {(task: string, args: object, options: { onProgress?: (progress: any) => void, signal?: AbortSignal }) => Promise<any>} run
 * @property {(prompt: string, options: object) => AsyncGenerator<GenerateEvent, void, void>} generate
 * @property {(words: string, options: object) => AsyncGenerator<GenerateEvent, void, void>} reply  of a chat model, to one message
 */

/** @typedef {{ score: number, token: number, token_str: string, sequence: string }} Filled  `sequence`: the text with the token in its place */
/** @typedef {{ top_k?: number, signal?: AbortSignal }} FillMaskOptions */

/** `start` and `end` are UTF-16 offsets into the context; where the text has no answer, `answer` is empty. @typedef {{ score: number, start: number, end: number, answer: string }} Answer */
/**
 * @typedef {object} AnswerOptions
 * @property {number} [top_k]  so many answers, the likeliest first
 * @property {number} [doc_stride]  tokens that two neighbouring parts of a long text share
 * @property {number} [max_seq_len]  tokens that are read at once, the question's too
 * @property {number} [max_answer_len]  in tokens
 * @property {boolean} [handle_impossible_answer]  whether there may be no answer
 * @property {(progress: RunProgress) => void} [onProgress]
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} EmbedOptions
 * @property {'mean' | 'cls' | 'max'} [pooling]  how the vectors of a text's tokens become one; else as the model's files say,
 *   or their mean
 * @property {boolean} [normalize]  to length 1, as is usual
 * @property {boolean} [truncate]  whether a text longer than the model can read is cut, rather than refused
 * @property {(progress: RunProgress) => void} [onProgress]
 * @property {AbortSignal} [signal]
 */

/** `onText` is called with all of the text so far. @typedef {GenerationConfig & { onText?: (text: string) => void, signal?: AbortSignal }} WritingOptions */
/**
 * `src_lang` and `tgt_lang`: BCP 47, where the model knows several; `prompt`: for a model that translates by going on, what
 * it goes on from, with `{text}` in it: the translation ends with the line.
 * @typedef {WritingOptions & { src_lang?: string, tgt_lang?: string, prompt?: string }} TranslateOptions
 */
/** `prefix`: an instruction before the text, instead of the model's own. @typedef {WritingOptions & { prefix?: string }} SummarizeOptions */

/** What a chat model is told, in English, which all of them know best. */
const ASK_SUMMARY = 'Summarise the following text in a few sentences. Write only the summary, in the language of the text.';
/** @param {string} language  its English name */
const askTranslation = (language) => `Translate the following text into ${language}. Write only the translation.`;

/** What T5 was trained to see before a text that is to be summarised. */
const SUMMARIZE = 'summarize: ';

/** @param {Means} means @param {string} text @param {FillMaskOptions} options @returns {Promise<Filled[] | Filled[][]>} */
export async function fillMask({ run }, text, options) {
  const { top_k = 5, signal, ...others } = checked(options);
  checkText('text', text);
  checkCount('top_k', top_k);
  return run('fill-mask', { ...others, text, top_k }, { signal });
}

/** @param {Means} means @param {string} question @param {string} context @param {AnswerOptions} options @returns {Promise<Answer | Answer[]>} */
export async function answer({ run }, question, context, options) {
  const { top_k = 1, doc_stride, max_seq_len, max_answer_len = 15, handle_impossible_answer = false, onProgress, signal, ...others } = checked(options);
  checkText('question', question);
  checkText('context', context);
  checkCount('top_k', top_k);
  checkCount('max_answer_len', max_answer_len);
  const args = { ...others, question, context, top_k, doc_stride, max_seq_len, max_answer_len, handle_impossible_answer };
  return run('question-answering', args, { onProgress, signal });
}

/** @param {Means} means @param {string | string[]} texts @param {EmbedOptions} options @returns {Promise<Float32Array[]>} */
export async function embed({ run }, texts, options) {
  const { pooling, normalize = true, truncate = false, onProgress, signal, ...others } = checked(options);
  const all = typeof texts === 'string' ? [texts] : texts;
  if (!Array.isArray(all)) throw wrong('texts: a string or a list of them', texts);
  for (const text of all) checkText('texts', text);
  if (all.length === 0) return [];
  return run('feature-extraction', { ...others, texts: all, pooling, normalize, truncate }, { onProgress, signal });
}

/** @param {Means} means @param {string | string[]} text @param {TranslateOptions} options @returns {Promise<{ translation_text: string }[]>} */
export async function translate(means, text, options) {
  const { src_lang, tgt_lang, prompt, onText, signal, ...config } = checked(options);
  if (prompt === undefined && isChat(means.info, 'translation')) {
    if (typeof tgt_lang !== 'string') throw wrong('tgt_lang: the language to translate into', tgt_lang);
    const language = new Intl.DisplayNames(['en'], { type: 'language' }).of(tgt_lang) ?? tgt_lang;
    return each(text, async (words) => {
      checkText('text', words);
      const written = await allOf(means.reply(`${askTranslation(language)}\n\n${words}`, { ...config, signal }), (so) => onText?.(so.trim()));
      return { translation_text: written.trim() };
    });
  }
  const directions = directionsOf(means.info, { prompt, from: src_lang, to: tgt_lang });
  const fits = directions.find(({ from, to }) => (!src_lang || from === null || from === src_lang) && (!tgt_lang || to === null || to === tgt_lang));
  if (!fits) {
    const known = directions.map(({ from, to }) => `${from ?? '?'} to ${to ?? '?'}`).join(', ');
    if (directions.length === 0) throw cannot(means.info, 'translation');
    throw new InklingError('bad_parameter', `expected src_lang and tgt_lang: one of ${known}, found ${src_lang ?? 'any'} to ${tgt_lang ?? 'any'}`);
  }
  const writes = async (/** @type {string} */ words) => {
    checkText('text', words);
    // Of a model that goes on with a text, the rest of the line is the translation.
    const line = fits.continues ? { stop_strings: ['\n'], ...config } : config;
    const written = await allOf(means.generate(fits.prompt(words), { ...line, signal }), (so) => onText?.(fits.continues ? firstLine(so) : so));
    return { translation_text: fits.continues ? firstLine(written) : written.trim() };
  };
  return each(text, writes);
}

/** @param {Means} means @param {string | string[]} text @param {SummarizeOptions} options @returns {Promise<{ summary_text: string }[]>} */
export async function summarize(means, text, options) {
  const { prefix, onText, signal, ...config } = checked(options);
  const { tasks } = means.info;
  if (isChat(means.info, 'summarization', 'text2text-generation')) {
    return each(text, async (words) => {
      checkText('text', words);
      const written = await allOf(means.reply(`${prefix ?? ASK_SUMMARY}\n\n${words}`, { ...config, signal }), (so) => onText?.(so.trim()));
      return { summary_text: written.trim() };
    });
  }
  if (!tasks.includes('summarization') && !tasks.includes('text2text-generation')) throw cannot(means.info, 'summarization');
  const before = prefix ?? means.info.encoder?.prefixes.find(({ name }) => name === 'summarization')?.prefix ?? (/t5$/.test(means.info.architecture) ? SUMMARIZE : '');
  const writes = async (/** @type {string} */ words) => {
    checkText('text', words);
    const written = await allOf(means.generate(before + words, { ...config, signal }), (so) => onText?.(so.trim()));
    return { summary_text: written.trim() };
  };
  return each(text, writes);
}

/** One text, or each of several. @template T @param {string | string[]} text @param {(text: string) => Promise<T>} work @returns {Promise<T[]>} */
async function each(text, work) {
  const results = [];
  for (const words of Array.isArray(text) ? text : [text]) results.push(await work(words));
  return results;
}

/** All that a model writes. @param {AsyncGenerator<GenerateEvent, void, void>} events @param {(text: string) => void} onText */
async function allOf(events, onText) {
  let text = '';
  for await (const event of events) {
    if (event.type === 'preview') onText(event.preview);
    else if (event.type === 'done') text = event.sequences[0]?.text ?? text;
    else if (event.type === 'token' && event.sequence === 0) {
      text += event.text;
      onText(text);
    }
  }
  return text;
}

/** Whether the model was not trained for any of these, but can be told to do it. @param {ModelInfo} info @param {string[]} tasks */
const isChat = (info, ...tasks) => info.tasks.includes('chat') && !tasks.some((task) => info.tasks.includes(task));

/** @param {string} text */
const firstLine = (text) => text.trimStart().split('\n')[0]?.trimEnd() ?? '';

/** @template {object} T @param {T} options @returns {T} */
function checked(options) {
  if (!isObject(options)) throw wrong('options: an object', options);
  const { signal, onText, onProgress } = /** @type {any} */ (options);
  checkSignal(signal);
  for (const [name, value] of Object.entries({ onText, onProgress })) {
    if (value !== undefined && typeof value !== 'function') throw wrong(`${name}: a function`, value);
  }
  return options;
}

/** @param {string} name @param {unknown} text */
function checkText(name, text) {
  if (typeof text !== 'string') throw wrong(`${name}: a string`, text);
}

/** @param {string} name @param {unknown} count */
function checkCount(name, count) {
  if (!Number.isInteger(count) || Number(count) < 1) throw wrong(`${name}: a whole number above 0`, count);
}

/** @param {ModelInfo} info @param {string} task */
const cannot = ({ tasks }, task) =>
  new InklingError('wrong_task', `this model does not do ${task}: expected one of ${tasks.join(', ') || 'none'}, found ${task}`);
