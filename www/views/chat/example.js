/** A conversation drawn up by hand, for as long as no model that takes turns is open: what the view is for. */

import { t } from '../../i18n.js';
import { make } from '../dom.js';

/** @type {{ role: string, words: 'chat.example.ask' | 'chat.example.reply' | 'chat.example.again' | 'chat.example.simpler' }[]} */
const TURNS = [
  { role: 'user', words: 'chat.example.ask' },
  { role: 'assistant', words: 'chat.example.reply' },
  { role: 'user', words: 'chat.example.again' },
  { role: 'assistant', words: 'chat.example.simpler' },
];

/** As ChatML, which the templates of Qwen and of SmolLM write. @param {string} role @param {string} text */
const marked = (role, text) => `<|im_start|>${role}\n${text}<|im_end|>\n`;

/** @returns {Node[]} */
export const example = () => [
  make('h3', { words: 'chat.example.title' }),
  make('p', { class: 'faded', words: 'chat.example.mark' }),
  make(
    'ol',
    { class: 'chat-turns' },
    ...TURNS.map(({ role, words }) =>
      make('li', { class: `chat-turn ${role}` }, make('h4', { class: 'chat-who', words: role === 'user' ? 'chat.you' : 'chat.model' }), make('div', { class: 'chat-said', words })),
    ),
  ),
  make(
    'details',
    { class: 'chat-reads' },
    make('summary', { words: 'chat.example.reads' }),
    make('pre', { translate: 'no', tabindex: '0', text: TURNS.map(({ role, words }) => marked(role, t(words))).join('') }),
  ),
];
