/**
 * Chat templates: the text a model reads for a conversation. Rendering is done in a worker of its own (chat-worker.js),
 * which is fetched when it is first needed: a template is somebody's program, and one that does not end is ended.
 */

import { InklingError, connect, isObject, wrong } from './connection.js';

/** @import { Connection } from './connection.js' */
/** @import { ChatOptions, GenerateOptions, Model } from './inkling.js' */
/** @import { ChatTemplate, Message } from './protocol.js' */

/**
 * @typedef {object} TemplateOptionsKnown
 * @property {boolean} [add_generation_prompt]  whether a reply is to begin at the end; true unless one is continued
 * @property {boolean | string} [continue_final_message]  the last message is left open, to go on with
 * @property {object[]} [tools]  JSON schemas of functions
 * @property {object[]} [documents]
 * @property {string} [chat_template]  in place of the model's own
 */
/** @typedef {TemplateOptionsKnown & Record<string, unknown>} TemplateOptions */

/** The longest a template may take, in milliseconds. Those in use take a few. */
const LONGEST = 3000;
/** New tokens of a reply where nobody says how many. */
const REPLY = 256;

/** @type {Connection | null} */
let line = null;

/**
 * @param {ChatTemplate | null} own  the model's
 * @param {Message[]} messages
 * @param {TemplateOptions} options
 * @returns {Promise<string>}
 */
export async function applyChatTemplate(own, messages, options) {
  if (!Array.isArray(messages)) throw wrong('messages: a list of objects with role and content', messages);
  messages.forEach((message, i) => {
    if (!isObject(message)) throw wrong(`messages[${i}]: an object with role and content`, message);
    if (typeof message.role !== 'string') throw wrong(`messages[${i}].role: a string`, message.role);
  });
  if (!isObject(options)) throw wrong('options: an object', options);
  const { chat_template: other, ...variables } = options;
  const template = other ?? own?.template;
  if (typeof template !== 'string') {
    throw new InklingError('no_chat_template', 'expected a model with a chat template, found one without');
  }
  variables.add_generation_prompt ??= !variables.continue_final_message;
  let context = '';
  try {
    context = JSON.stringify({ ...own?.special_tokens, ...variables, messages });
  } catch (error) {
    throw new InklingError('bad_messages', `expected messages that JSON can hold, found: ${String(error)}`);
  }
  return render(template, context);
}

/** What a reply is asked for with: the part for the template, and the part for the generation. @param {Model} model @param {ChatOptions} options */
export function replyConfig(model, options) {
  if (!isObject(options)) throw wrong('parameters: an object', options);
  const { tools, documents, chat_template, continue_final_message, chat_template_kwargs, ...config } = options;
  /** @type {TemplateOptions} */
  const template = { ...chat_template_kwargs };
  for (const [name, value] of Object.entries({ tools, documents, chat_template, continue_final_message })) {
    if (value !== undefined) template[name] = value;
  }
  if (config.max_new_tokens === undefined && config.max_length === undefined) config.max_new_tokens = REPLY;
  const ends = model.chatTemplate?.end_of_turn ?? [];
  if (ends.length > 0 && config.eos_token_id === undefined) {
    const usual = model.parameters.find(({ name }) => name === 'eos_token_id')?.default;
    config.eos_token_id = [...(Array.isArray(usual) ? usual : []), ...ends];
  }
  return { template, config: /** @type {GenerateOptions} */ (config) };
}

/** @param {string} template @param {string} context  JSON @returns {Promise<string>} */
async function render(template, context) {
  line ??= connect('chat-worker.js');
  const mine = line;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  try {
    // On a slow line the module takes longer than a template may.
    await mine.call({ type: 'ready' });
    timer = setTimeout(() => {
      mine.close(new InklingError('template_limit', `chat template: expected it to end within ${LONGEST / 1000} s, found it still running`));
    }, LONGEST);
    const now = new Date();
    const clock = Math.floor(now.getTime() / 1000) - now.getTimezoneOffset() * 60;
    return await mine.call({ type: 'render', template, context, now: clock });
  } catch (error) {
    // A worker that was ended, or could not get its module, is no use to the next.
    if (line === mine && !['bad_messages', 'bad_template', 'template_refused'].includes(/** @type {InklingError} */ (error).code)) {
      line = null;
      mine.close(new InklingError('crashed', 'the worker of chat templates was ended'));
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
