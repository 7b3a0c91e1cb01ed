/**
 * What the model reads of a conversation: the text by its chat template, or in the plain format of this page, and the tokens
 * of it. One reading is kept, because the meter, the raw text and the reply ask for the same.
 */

/** @import { Model } from '../../inkling.js' */
/** @import { Message, Token } from '../../protocol.js' */

/**
 * Turns for a model that knows none: it has read plays and interviews.
 * @type {string}
 */
const PLAIN = `{%- for message in messages -%}
{%- if message.role == 'system' -%}{{ message.content ~ '\\n\\n' }}
{%- else -%}{{ ('User: ' if message.role == 'user' else 'Assistant: ') ~ message.content ~ ('' if loop.last and continuing else '\\n') }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}Assistant:{% endif %}`;
/** Where a model that was not trained on it begins to speak for the other side. */
const STOPS = ['\nUser:', '\nAssistant:'];

/** @typedef {{ text: string, tokens: Token[] }} Reading */

export class Reader {
  /** Whether a model without a template is asked in the plain format. */ plain = false;
  /** Whether a model that can think before it replies is to do so. */ think = true;
  /** @type {{ key: string, model: Model, reading: Promise<Reading> } | null} */ #last = null;

  /** @param {Model | null} model */
  ready(model) {
    return model !== null && (model.chatTemplate !== null || this.plain);
  }

  /** Whether the model's template can be asked not to think. @param {Model | null} model */
  thinks(model) {
    return model?.chatTemplate?.template.includes('enable_thinking') ?? false;
  }

  /** @param {Model} model @param {Message[]} messages @param {{ continues?: boolean, replies?: boolean }} [how]  goes on with the last message, or replies to it */
  read(model, messages, { continues = false, replies = true } = {}) {
    const key = JSON.stringify([messages, continues, replies, this.plain, this.think]);
    if (this.#last?.key === key && this.#last.model === model) return this.#last.reading;
    const reading = this.#read(model, messages, continues, replies);
    const mine = { key, model, reading };
    this.#last = mine;
    reading.catch(() => {
      if (this.#last === mine) this.#last = null;
    });
    return reading;
  }

  /** @param {Model} model @param {Message[]} messages @param {boolean} continues @param {boolean} replies @returns {Promise<Reading>} */
  async #read(model, messages, continues, replies) {
    if (!model.chatTemplate) {
      const text = await model.applyChatTemplate(messages, { chat_template: PLAIN, add_generation_prompt: replies && !continues, continuing: continues });
      // This text was begun by no template: the model's own first token belongs before it, and none after.
      const tokens = await model.tokenize(text);
      while (tokens.length > 0 && tokens.at(-1)?.start === tokens.at(-1)?.end && tokens.at(-1)?.start === text.length) tokens.pop();
      return { text, tokens };
    }
    const more = this.thinks(model) ? { enable_thinking: this.think } : {};
    const turn = continues ? { continue_final_message: true } : { add_generation_prompt: replies };
    const text = await model.applyChatTemplate(messages, { ...more, ...turn });
    return { text, tokens: await model.tokenizeChat(text) };
  }

  /** What a reply is asked for with, besides the settings. @param {Model} model */
  config(model) {
    const usual = model.parameters.find(({ name }) => name === 'eos_token_id')?.default;
    const ends = model.chatTemplate?.end_of_turn ?? [];
    return {
      num_beams: 1,
      num_return_sequences: 1,
      ...(model.chatTemplate ? {} : { stop_strings: STOPS }),
      ...(ends.length > 0 ? { eos_token_id: [...(Array.isArray(usual) ? usual : []), ...ends] } : {}),
    };
  }

  /** A reply without what ended it in the plain format. @param {Model} model @param {string} text */
  trimmed(model, text) {
    if (model.chatTemplate) return text;
    const stop = STOPS.find((mark) => text.endsWith(mark));
    return (stop ? text.slice(0, -stop.length) : text).trim();
  }
}
