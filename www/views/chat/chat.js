/**
 * The Chat view: a conversation with the model of the Write view. What the model reads is made by its chat template and can
 * be looked at; any turn can be changed, and the engine re-uses what it has read of it.
 */

import { addWords, onLanguage, t, translate } from '../../i18n.js';
import en from '../../i18n/en/chat.js';
import zh from '../../i18n/zh/chat.js';
import { recallInTab, rememberInTab } from '../../store.js';
import { currentView } from '../../views.js';
import { copyText } from '../copy.js';
import { addSheets, make } from '../dom.js';
import { download, fileName } from '../download.js';
import { Bubble } from './bubble.js';
import { example } from './example.js';
import { Conversation } from './conversation.js';
import { Meter } from './meter.js';
import { isAborted, problemOf } from './problems.js';
import { Raw } from './raw.js';
import { Reader } from './reader.js';
import { Shelf } from './shelf.js';
import { suggestions } from './suggested.js';
import { opened, split } from './thinking.js';

/** @import { Page } from '../../views.js' */
/** @import { Turn } from './conversation.js' */

addWords({ en, zh });

/** How long somebody who types must pause before the tokens are counted, in milliseconds. */
const PAUSE = 400;
/** New tokens of a reply, unless somebody says otherwise. */
const REPLY = 400;

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  addSheets(['../view.css', './chat.css'], import.meta.url);
  const chat = new Chat(page);
  root.append(...chat.parts);
  translate(root);
  onLanguage(() => chat.relabel());
  page.onModel(() => chat.modelChanged());
  addEventListener('hashchange', () => currentView() === 'chat' && chat.look(0));
  chat.modelChanged();
}

class Chat {
  #talk = Conversation.from(recallInTab('chat'));
  #reader = new Reader();
  #meter = new Meter();
  #raw = new Raw();
  #shelf = new Shelf({
    current: () => (this.#talk.empty ? null : this.#talk.save(this.page.title())),
    open: (saved) => this.#take(Conversation.from(saved)),
  });
  /** @type {Bubble[]} */ #bubbles = [];
  /** The reply under way. @type {AbortController | null} */ #writing = null;
  /** Nothing more fits behind the last turn. */ #full = false;
  #soon = 0;
  /** The last look asked for. */ #turn = 0;
  /** What went wrong, and how it is said. @type {() => void} */ #repeat = () => {};

  #about = make('p', { class: 'faded', id: 'chat-about', role: 'status' });
  #nothing = make('div', { class: 'chat-nothing', id: 'chat-no-template', hidden: true });
  #example = make('section', { class: 'stage', id: 'chat-example', label: 'chat.example.title', hidden: true });
  #system = make('textarea', { id: 'chat-system', rows: 2, dir: 'auto', placeholder: 'chat.system.placeholder', on: { input: () => this.#changed() } });
  #list = make('ol', { class: 'chat-turns', id: 'chat-turns', label: 'chat.turns' });
  #starters = make('div', { class: 'chat-starters', id: 'chat-starters' });
  #problem = make('p', { class: 'chat-problem', id: 'chat-problem', role: 'alert' });
  #status = make('p', { class: 'faded', id: 'chat-status', role: 'status' });
  #heard = make('p', { class: 'unseen', 'aria-live': 'polite', id: 'chat-heard' });
  #draft = make('textarea', { id: 'chat-draft', rows: 2, dir: 'auto', enterkeyhint: 'send', label: 'chat.draft', placeholder: 'chat.draft.placeholder', 'aria-describedby': 'chat-keys', on: { input: () => this.#drafted(), keydown: (event) => this.#key(event) } });
  #send = make('button', { type: 'button', id: 'chat-send', class: 'primary', words: 'chat.send', on: { click: () => void this.#ask() } });
  #stop = make('button', { type: 'button', id: 'chat-stop', class: 'primary', words: 'action.stop', hidden: true, 'aria-keyshortcuts': 'Escape', on: { click: () => this.#writing?.abort() } });
  #undo = make('button', { type: 'button', id: 'chat-undo', words: 'action.undo', on: { click: () => this.#takeBack() } });
  #new = make('button', { type: 'button', id: 'chat-new', words: 'chat.new', on: { click: () => this.#take(new Conversation()) } });
  #think = make('input', { type: 'checkbox', id: 'chat-think', checked: true, on: { change: () => ((this.#reader.think = this.#think.checked), this.look(0)) } });
  #thinkRow = make('label', { class: 'chat-check', hidden: true }, this.#think, make('span', { words: 'chat.think' }));
  #length = make('input', { type: 'number', id: 'chat-length', min: 1, max: 4096, step: 1, value: String(recallInTab('chatLength') ?? REPLY), inputmode: 'numeric', on: { change: () => rememberInTab('chatLength', this.#reply()) } });
  #exports = ['markdown', 'json'].map((kind) => make('button', { type: 'button', id: `chat-${kind}`, words: /** @type {'chat.markdown' | 'chat.json'} */ (`chat.${kind}`), on: { click: () => this.#export(kind) } }));
  #suggested = make('details', { id: 'chat-suggested' }, make('summary', { words: 'chat.suggested' }));

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.#system.value = this.#talk.system;
    this.#raw.onOpen = () => this.look(0);
    this.parts = [
      make('div', { class: 'chat-head' }, make('h2', { words: 'chat.title' }), make('p', { words: 'chat.intro' }), make('p', { class: 'chat-honest', words: 'chat.honest' }), this.#about),
      this.#example,
      make(
        'div',
        { class: 'stage chat', on: { keydown: (event) => event.key === 'Escape' && this.#writing?.abort() } },
        this.#nothing,
        make('details', { class: 'chat-system', open: this.#talk.system !== '' }, make('summary', { words: 'chat.system' }), make('label', { for: 'chat-system', class: 'faded', words: 'chat.system.help' }), this.#system),
        this.#list,
        this.#starters,
        this.#problem,
        this.#status,
        this.#heard,
        make('div', { class: 'chat-write' }, this.#draft, make('div', { class: 'chat-buttons' }, this.#send, this.#stop, this.#undo, this.#new)),
        make('p', { class: 'faded chat-keys', id: 'chat-keys', words: 'chat.keys' }),
        this.#meter.root,
        make('div', { class: 'chat-options' }, make('label', { class: 'chat-check' }, make('span', { words: 'chat.length' }), this.#length), this.#thinkRow, make('a', { href: '#write', words: 'chat.settings' })),
        this.#raw.root,
      ),
      make('div', { class: 'stage chat-more' }, make('h3', { words: 'chat.keep' }), make('div', { class: 'chat-buttons' }, ...this.#exports), this.#shelf.root),
      make('div', { class: 'stage' }, this.#suggested),
    ];
    this.#draw();
  }

  // ---- the model ----

  /** The model in use, if it writes. */
  #model() {
    const model = this.page.model();
    return model?.info.tasks.includes('text-generation') ? model : null;
  }

  modelChanged() {
    // Words of one model would be the cache of another: whatever is being written ends.
    this.#writing?.abort();
    this.#reader.plain = false;
    this.#full = false;
    // Without a template what helps is another model: the list is open.
    this.#suggested.open = this.page.model() !== null && !this.#model()?.chatTemplate;
    this.#fail(null);
    this.relabel();
    this.look(0);
  }

  relabel() {
    const model = this.#model();
    const about = model?.chatTemplate ? 'chat.about' : model ? 'chat.about.none' : this.page.model() ? 'chat.about.other' : 'chat.waiting';
    this.#about.textContent = t(about, { model: this.page.title() });
    this.#thinkRow.hidden = !this.#reader.thinks(model);
    this.#nothing.hidden = model === null || model.chatTemplate !== null;
    const plain = this.#reader.plain;
    this.#nothing.replaceChildren(
      make('p', {}, make('strong', { words: plain ? 'chat.plain.on' : 'chat.none' })),
      make('p', { words: plain ? 'chat.plain.about' : 'chat.none.why' }),
      plain
        ? make('button', { type: 'button', words: 'chat.plain.stop', on: { click: () => this.#setPlain(false) } })
        : make('button', { type: 'button', id: 'chat-plain', words: 'chat.plain', on: { click: () => this.#setPlain(true) } }),
    );
    this.#example.replaceChildren();
    this.#suggested.replaceChildren(/** @type {Node} */ (this.#suggested.firstChild), suggestions());
    this.#starters.replaceChildren(
      ...['chat.starter.1', 'chat.starter.2', 'chat.starter.3'].map((words) => {
        const key = /** @type {'chat.starter.1'} */ (words);
        return make('button', { type: 'button', words: key, on: { click: () => ((this.#draft.value = t(key)), this.#drafted(), this.#draft.focus()) } });
      }),
    );
    this.#meter.relabel();
    this.#shelf.relabel();
    this.#repeat();
    for (const bubble of this.#bubbles) bubble.show(this.#stateOf(bubble));
    if (!this.#writing) this.#status.textContent = '';
    this.#show();
  }

  /** @param {boolean} plain */
  #setPlain(plain) {
    this.#reader.plain = plain;
    this.relabel();
    this.look(0);
    if (plain) this.#draft.focus();
  }

  // ---- what is possible ----

  #show() {
    const model = this.#model();
    const ready = this.#reader.ready(model);
    const idle = this.#writing === null;
    this.#send.hidden = !idle;
    this.#stop.hidden = idle;
    this.#send.disabled = !ready || !idle || this.#draft.value.trim() === '';
    this.#undo.disabled = !idle || !this.#talk.canUndo;
    this.#new.disabled = !idle || this.#talk.empty;
    this.#system.readOnly = !idle;
    for (const button of this.#exports) button.disabled = !idle || this.#talk.empty;
    // Until somebody talks to a model, one that was trained for it or not.
    this.#example.hidden = this.page.model() === null || ready || !this.#talk.empty;
    if (this.#example.hidden) this.#example.replaceChildren();
    else if (!this.#example.hasChildNodes()) this.#example.append(...example());
    this.#starters.hidden = !this.#talk.empty || !ready || !idle;
    this.#raw.root.hidden = !ready;
  }

  /** @param {Bubble} bubble */
  #stateOf(bubble) {
    const last = bubble.at === this.#talk.turns.length - 1;
    return { writing: this.#writing !== null && last, last, room: !this.#full, possible: this.#writing === null && this.#reader.ready(this.#model()) };
  }

  /** Draws the turns anew. */
  #draw() {
    const actions = {
      edit: (/** @type {number} */ at, /** @type {string} */ text) => this.#edit(at, text),
      again: (/** @type {number} */ at) => this.#again(at),
      goOn: (/** @type {number} */ at) => void this.#write(at, true),
      copy: (/** @type {string} */ text) => void this.#copy(text),
    };
    this.#bubbles = this.#talk.turns.map((turn, at) => new Bubble(turn, at, actions));
    this.#list.replaceChildren(...this.#bubbles.map(({ root }) => root));
    this.#list.hidden = this.#talk.empty;
    for (const bubble of this.#bubbles) bubble.show(this.#stateOf(bubble));
    this.#show();
  }

  // ---- what is read ----

  #changed() {
    this.#talk.system = this.#system.value;
    this.#save();
    this.look();
  }

  #drafted() {
    this.#show();
    this.look();
  }

  /** Counts, and shows what would be read, when the person pauses. @param {number} [after]  in milliseconds */
  look(after = PAUSE) {
    clearTimeout(this.#soon);
    if (currentView() !== 'chat' || this.#writing) return;
    this.#soon = setTimeout(() => void this.#look(), after);
  }

  async #look() {
    const model = this.#model();
    const mine = ++this.#turn;
    const draft = this.#draft.value.trim();
    /** @type {{ role: string, content: string }[]} */
    const more = draft === '' ? [] : [{ role: 'user', content: draft }];
    const messages = [...this.#talk.messages(), ...more];
    if (!model || !this.#reader.ready(model) || (this.#talk.empty && draft === '')) {
      this.#meter.hide();
      this.#raw.fail(t('chat.raw.empty'));
      return;
    }
    try {
      const replies = messages.at(-1)?.role === 'user';
      const reading = await this.#reader.read(model, messages, { replies });
      if (mine !== this.#turn || model !== this.#model()) return;
      this.#meter.show(reading.tokens.length, model.info.contextLength);
      if (draft === '') this.#setFull(reading.tokens.length >= model.info.contextLength);
      if (this.#raw.open) this.#raw.show(reading);
    } catch (error) {
      if (mine !== this.#turn || isAborted(error)) return;
      // What is wrong with the template is said when it is asked for a reply; here, where its text would stand.
      this.#meter.hide();
      this.#raw.fail(problemOf(error));
    }
  }

  /** @param {boolean} full */
  #setFull(full) {
    if (full === this.#full) return;
    this.#full = full;
    const last = this.#bubbles.at(-1);
    last?.show(this.#stateOf(last));
  }

  // ---- writing ----

  async #ask() {
    const content = this.#draft.value.trim();
    if (content === '' || this.#writing || !this.#reader.ready(this.#model())) return;
    this.#talk.mark();
    this.#talk.add({ role: 'user', content });
    this.#draft.value = '';
    const written = await this.#write(this.#talk.turns.length);
    // What could not even be read is given back to be changed.
    if (!written && this.#talk.turns.at(-1)?.content === content) {
      this.#talk.undo();
      this.#draft.value = content;
      this.#draw();
      this.#save();
      this.look(0);
    }
  }

  /** Another reply in this place; what came after it goes. @param {number} at */
  #again(at) {
    this.#talk.mark();
    this.#replace(at);
  }

  /** @param {number} at */
  #replace(at) {
    // Of a question, its reply.
    const from = this.#talk.turns[at]?.role === 'user' ? at + 1 : at;
    this.#talk.cut(from);
    void this.#write(from);
  }

  /** @param {number} at @param {string} text */
  #edit(at, text) {
    const turn = this.#talk.turns[at];
    if (!turn || this.#writing) return;
    this.#talk.mark();
    this.#talk.turns[at] = { role: turn.role, content: text };
    if (turn.role === 'user') this.#replace(at);
    else {
      this.#draw();
      this.#save();
      this.look(0);
    }
  }

  /** Writes the reply that stands at a place, or goes on with it; whether anything was read. @param {number} at @param {boolean} [continues] */
  async #write(at, continues = false) {
    const model = this.#model();
    if (!model || this.#writing) return false;
    const mine = new AbortController();
    this.#writing = mine;
    this.#fail(null);
    clearTimeout(this.#soon);
    this.#turn += 1;
    /** @type {Turn} */
    const reply = continues ? /** @type {Turn} */ (this.#talk.turns[at]) : { role: 'assistant', content: '' };
    if (continues) this.#talk.mark();
    const messages = continues ? this.#talk.messages(at + 1) : this.#talk.messages(at);
    if (!continues) this.#talk.add(reply);
    this.#draw();
    this.#stop.focus();
    const bubble = this.#bubbles[at];
    bubble?.root.scrollIntoView({ block: 'nearest' });
    this.#status.textContent = t('chat.reading');
    let began = false;
    try {
      const reading = await this.#reader.read(model, messages, { continues });
      const used = reading.tokens.length;
      const limit = model.info.contextLength;
      this.#meter.show(used, limit);
      if (this.#raw.open) this.#raw.show(reading);
      if (used >= limit) throw Object.assign(new Error(''), { code: 'context_full', used, limit });
      const before = continues ? reply.content : opened(reading.text);
      const settings = { ...(await this.page.config()), ...this.#reader.config(model), max_new_tokens: this.#reply(), signal: mine.signal };
      if (mine.signal.aborted) throw Object.assign(new Error(''), { code: 'aborted' });
      let words = '';
      for await (const event of model.generate(reading.tokens.map(({ id }) => id), settings)) {
        if (event.type === 'prefill') {
          this.#status.textContent = t('chat.reading.part', { done: event.done, total: event.total });
          continue;
        }
        began = true;
        words += event.text;
        reply.content = before + words;
        reply.stats = event.stats;
        this.#meter.show(event.stats.contextTokens, limit);
        if (event.type === 'done') reply.end = event.sequences[0]?.finishReason ?? 'eos';
        else this.#status.textContent = t('chat.writing', { count: event.stats.newTokens });
        bubble?.show({ writing: true });
        this.#follow();
      }
      reply.content = continues ? reply.content : this.#reader.trimmed(model, reply.content);
      const { end } = reply;
      this.#full = end === 'context';
      this.#status.textContent = t(end === 'length' || end === 'context' ? `chat.done.${end}` : 'chat.done', { count: reply.stats?.newTokens ?? 0 });
    } catch (error) {
      if (isAborted(error)) {
        reply.end = 'stopped';
        began = true;
        this.#status.textContent = t('chat.stopped');
      } else {
        this.#status.textContent = '';
        this.#fail(error);
      }
    } finally {
      this.#writing = null;
    }
    if (reply.content === '' && !continues) {
      // A reply of nothing is one; what was stopped or failed before its first word is none.
      if (!began || reply.end === 'stopped') this.#talk.cut(at);
    }
    this.#draw();
    const { said } = split(reply.content);
    this.#heard.textContent = said ? t('chat.heard', { text: [...said].slice(0, 1000).join('') }) : '';
    this.#draft.focus({ preventScroll: true });
    this.#save();
    this.look(0);
    return began;
  }

  /** Keeps the end of the reply in sight of who was at it. */
  #follow() {
    const place = this.#list.closest('main');
    if (!place || currentView() !== 'chat') return;
    const end = this.#draft.getBoundingClientRect().top;
    const below = end - place.getBoundingClientRect().bottom;
    if (below > -200 && below < 400) place.scrollTop += Math.max(0, below + 160);
  }

  #reply() {
    const wanted = Math.trunc(Number(this.#length.value));
    const good = wanted >= 1 && wanted <= 4096;
    if (good) this.#length.removeAttribute('aria-invalid');
    else this.#length.setAttribute('aria-invalid', 'true');
    return good ? wanted : REPLY;
  }

  // ---- the rest ----

  /** @param {unknown} error  null: nothing is wrong */
  #fail(error) {
    this.#repeat = () => (this.#problem.textContent = error === null ? '' : problemOf(error));
    this.#repeat();
    const code = /** @type {{ code?: string } | null} */ (error)?.code;
    if (code) this.#problem.dataset.code = code;
    else delete this.#problem.dataset.code;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // The Enter that ends a composition belongs to it.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key !== 'Enter' || event.shiftKey) return;
    event.preventDefault();
    void this.#ask();
  }

  #takeBack() {
    this.#talk.undo();
    this.#system.value = this.#talk.system;
    this.#fail(null);
    this.#draw();
    this.#save();
    this.look(0);
  }

  /** Another conversation in place of this one. @param {Conversation} talk */
  #take(talk) {
    if (this.#writing) return;
    this.#talk = talk;
    this.#system.value = talk.system;
    this.#fail(null);
    this.#status.textContent = '';
    this.#draw();
    this.#save();
    this.look(0);
    this.#draft.focus();
  }

  #save() {
    rememberInTab('chat', this.#talk.empty && this.#talk.system === '' ? null : this.#talk.save(this.page.title()));
    this.#shelf.changed();
  }

  /** @param {string} text */
  async #copy(text) {
    this.#status.textContent = t((await copyText(text)) ? 'status.copied' : 'status.copyFailed');
  }

  /** @param {string} kind */
  #export(kind) {
    const model = this.page.title();
    const words = { system: t('chat.system'), user: t('chat.you'), assistant: t('chat.model') };
    const text = kind === 'json' ? this.#talk.json({ model }) : this.#talk.markdown({ model, words });
    const type = kind === 'json' ? 'application/json' : 'text/markdown';
    download(`${fileName(this.#talk.title)}.${kind === 'json' ? 'json' : 'md'}`, new Blob([text], { type }));
  }
}
