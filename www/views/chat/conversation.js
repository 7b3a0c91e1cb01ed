/** A conversation: its system message and turns, what changes them, and what can be taken back. No page in here. */

/** @import { Message, Stats } from '../../protocol.js' */

/**
 * `stats` are those of the reply, `end` why it ended.
 * @typedef {{ role: 'user' | 'assistant', content: string, stats?: Stats, end?: 'eos' | 'length' | 'stop_string' | 'context' | 'stopped' }} Turn
 */
/** @typedef {{ id: string, system: string, turns: Turn[], model: string, savedAt: number }} Saved */

/** Changes that can be taken back. */
const MOST_STEPS = 50;

export class Conversation {
  id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  system = '';
  /** @type {Turn[]} */ turns = [];
  /** @type {{ system: string, turns: Turn[] }[]} */ #before = [];

  get empty() {
    return this.turns.length === 0;
  }

  get canUndo() {
    return this.#before.length > 0;
  }

  /** What a template is given, up to a turn. @param {number} [end]  the first turn that is left out @returns {Message[]} */
  messages(end = this.turns.length) {
    const system = this.system.trim() === '' ? [] : [{ role: 'system', content: this.system.trim() }];
    return [...system, ...this.turns.slice(0, end).map(({ role, content }) => ({ role, content }))];
  }

  /** @param {Turn} turn */
  add(turn) {
    this.turns.push(turn);
  }

  /** Remembers how it is, for {@link undo}. */
  mark() {
    this.#before.push({ system: this.system, turns: this.turns.map((turn) => ({ ...turn })) });
    if (this.#before.length > MOST_STEPS) this.#before.shift();
  }

  undo() {
    const before = this.#before.pop();
    if (before) Object.assign(this, before);
  }

  /** Leaves out a turn and all after it. @param {number} at */
  cut(at) {
    this.turns.length = Math.min(at, this.turns.length);
  }

  /** @param {string} model  its title @returns {Saved} */
  save(model) {
    const turns = this.turns.map((turn) => ({ ...turn }));
    return { id: this.id, system: this.system, turns, model, savedAt: Date.now() };
  }

  /** What was saved, as far as it is one: a browser's store is not only ours to write. @param {any} saved */
  static from(saved) {
    const made = new Conversation();
    if (typeof saved?.id === 'string') made.id = saved.id;
    if (typeof saved?.system === 'string') made.system = saved.system;
    const isTurn = (/** @type {any} */ turn) => ['user', 'assistant'].includes(turn?.role) && typeof turn.content === 'string';
    if (Array.isArray(saved?.turns)) made.turns = saved.turns.filter(isTurn);
    return made;
  }

  /** A line to know it by. */
  get title() {
    return titleOf(this.turns);
  }

  /** @param {{ model: string, words: { system: string, user: string, assistant: string } }} about */
  markdown({ model, words }) {
    const part = (/** @type {string} */ who, /** @type {string} */ text) => `**${who}**\n\n${text.trim()}\n`;
    const turns = this.turns.map(({ role, content }) => part(role === 'user' ? words.user : `${words.assistant} (${model})`, content));
    return [...(this.system.trim() ? [part(words.system, this.system)] : []), ...turns].join('\n');
  }

  /** @param {{ model: string }} about */
  json({ model }) {
    return `${JSON.stringify({ model, messages: this.messages() }, null, 2)}\n`;
  }
}

/** The beginning of what was asked first. @param {Turn[]} turns */
export function titleOf(turns) {
  const first = (turns.find(({ role }) => role === 'user')?.content ?? '').trim().replace(/\s+/g, ' ');
  return first.length > 60 ? `${[...first].slice(0, 60).join('')}…` : first;
}
