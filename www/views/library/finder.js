/** Looking for a model: suggestions, a field for a repository or an address, and what was found there. */

import { bytes, getLanguage, has, number, t } from '../../i18n.js';
import { fillAlert } from '../../notices.js';
import { ARCHITECTURES, ENCODERS } from '../../architectures.js';
import { HUB } from '../../store/hub.js';
import { store } from '../../store/client.js';
import { hubAddress, setHubAddress } from '../../store/settings.js';
import { LARGEST, storageSpace } from '../../store/space.js';
import { make } from '../dom.js';
import { SUGGESTIONS as FOR_TASKS } from '../tasks/suggestions.js';
import { SUGGESTIONS } from './suggestions.js';

/** @import { Key } from '../../i18n.js' */
/** @import { Choice, Found } from '../../store/hub.js' */
/** @import { StoreState } from '../../store/protocol.js' */

/** What a model takes in memory beside its file: the engine and a text. */
const BESIDE = 64e6;

export class Finder {
  #field = make('input', {
    id: 'library-wish',
    type: 'text',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    placeholder: 'library.find.placeholder',
    'aria-describedby': 'library-wish-help',
  });
  #hub = make('input', { id: 'library-hub', type: 'text', inputmode: 'url', autocomplete: 'off', spellcheck: 'false' });
  #go = make('button', { id: 'library-look', type: 'submit', class: 'primary', words: 'library.find.look' });
  #status = make('p', { id: 'library-find-status', role: 'status' });
  #error = make('div', { class: 'alert', role: 'alert', id: 'library-find-error' });
  #found = make('div', { id: 'library-found' });
  #suggestions = make('ul', { class: 'library-suggestions' });
  #forTasks = make('ul', { class: 'library-suggestions' });
  /** @type {Found | null} */ #last = null;
  /** @type {{ free: number } | null} */ #space = null;
  /** What is in the store, and whether as a whole. @type {Map<string, boolean>} */ #stored = new Map();
  /** The last look asked for. */ #turn = 0;
  /** @type {() => void} */ #repeat = () => {};

  /** @param {(choice: Choice) => Promise<void>} get */
  constructor(get) {
    this.get = get;
    this.#hub.value = hubAddress();
    this.#hub.addEventListener('change', () => this.#setHub());
    const form = make(
      'form',
      { class: 'library-form', on: { submit: (event) => (event.preventDefault(), void this.look(this.#field.value)) } },
      make('label', { for: 'library-wish', words: 'library.find.label' }),
      make('div', { class: 'library-ask' }, this.#field, this.#go),
      make('small', { id: 'library-wish-help', class: 'faded', words: 'library.find.help' }),
    );
    const mirror = make(
      'details',
      {},
      make('summary', { words: 'library.hub' }),
      make('label', { class: 'library-hub' }, make('span', { words: 'library.hub.label' }), this.#hub),
      make('small', { class: 'faded', words: 'library.hub.help' }),
    );
    this.root = make(
      'section',
      { class: 'stage', 'aria-labelledby': 'library-find-title' },
      make('div', { class: 'stage-head' }, make('h3', { id: 'library-find-title', words: 'library.find' }), make('p', { class: 'faded', words: 'library.find.intro' })),
      form,
      this.#status,
      this.#error,
      this.#found,
      make('h4', { words: 'library.suggestions' }),
      this.#suggestions,
      make('details', {}, make('summary', { words: 'library.suggestions.tasks' }), this.#forTasks),
      mirror,
    );
    this.relabel();
  }

  relabel() {
    this.#suggestions.replaceChildren(...SUGGESTIONS.map((suggestion) => this.#suggestion(suggestion)));
    const others = FOR_TASKS.filter(({ repository }) => !SUGGESTIONS.some((one) => one.repository === repository));
    this.#forTasks.replaceChildren(...others.map(({ about, file = null, ...suggestion }) => this.#suggestion({ ...suggestion, file, purpose: about })));
    this.#showFound();
    this.#repeat();
  }

  /** What is there already is not offered again. @param {StoreState} state */
  stored({ models }) {
    const stored = new Map(models.map(({ id, phase }) => [id, phase === 'complete']));
    if (stored.size === this.#stored.size && [...stored].every(([id, whole]) => this.#stored.get(id) === whole)) return;
    this.#stored = stored;
    this.#showFound();
  }

  /** Writes a repository into the field, from where a person has it looked for: a link asks nobody. @param {string} text */
  offer(text) {
    this.#field.value = text;
    this.#go.focus();
  }

  #setHub() {
    const address = setHubAddress(this.#hub.value);
    if (address) this.#hub.removeAttribute('aria-invalid');
    else this.#hub.setAttribute('aria-invalid', 'true');
    this.#hub.value = address ?? this.#hub.value;
  }

  /** Asks what is at an address. Nothing leaves the origin before this. @param {string} text */
  async look(text) {
    if (text.trim() === '') return this.#field.focus();
    this.#setHub();
    this.#field.value = text;
    const turn = ++this.#turn;
    this.#last = null;
    this.#showFound();
    this.#error.replaceChildren();
    this.#repeat = () => (this.#status.textContent = t('library.find.looking', { name: text.trim() }));
    this.#repeat();
    try {
      const found = await store.look(text, this.#hub.value);
      if (turn !== this.#turn) return;
      this.#space = await storageSpace();
      this.#last = found;
      this.#repeat = () => (this.#status.textContent = found.problem ? '' : t('library.find.count', { count: found.choices.length, name: found.title }));
      this.#repeat();
      this.#showFound();
      if (found.problem) this.fail({ code: `find_${found.problem}`, message: '' });
      else this.#found.querySelector('button')?.focus({ preventScroll: true });
    } catch (error) {
      if (turn === this.#turn) this.#failLook(error);
    }
  }

  /** @param {unknown} error */
  #failLook(error) {
    const { code = 'io', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error ?? {});
    // Of a look there is nothing that could be gone on with.
    const own = code === 'io' ? 'look_io' : code === 'rate_limited' ? 'look_limited' : code;
    this.fail({ code: own, message });
  }

  /** @param {unknown} error */
  fail(error) {
    const { code = 'io', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error ?? {});
    const words = has(`library.error.${code}.title`) ? `library.error.${code}` : 'library.error.io';
    this.#repeat = () => {
      this.#status.textContent = '';
      const dismiss = { label: /** @type {Key} */ ('action.dismiss'), run: () => ((this.#repeat = () => {}), this.#error.replaceChildren()) };
      fillAlert(this.#error, words, { detail: message, actions: [dismiss] });
      this.#error.dataset.code = code;
    };
    this.#repeat();
  }

  #showFound() {
    const found = this.#last;
    if (!found || found.choices.length === 0) return this.#found.replaceChildren();
    const facts = [found.modelType, found.license && t('library.license', { license: found.license })].filter(Boolean).join(' · ');
    const head = make('p', { class: 'faded', text: facts });
    if (found.page) head.append(' ', make('a', { href: found.page, target: '_blank', rel: 'noreferrer', words: 'library.page' }));
    const list = make('ul', { class: 'library-rows' });
    list.append(...found.choices.map((choice) => this.#choice(choice)));
    return this.#found.replaceChildren(make('h4', { text: found.title }), head, list);
  }

  /** @param {Choice} choice */
  #choice(choice) {
    const { title, kind, quantization, files, id } = choice;
    const whole = this.#stored.get(id);
    const stored = whole !== undefined;
    const lack = stored ? null : this.#lack(choice);
    const get = make('button', {
      type: 'button',
      class: 'library-get',
      disabled: stored || lack !== null,
      words: whole ? 'library.get.stored' : stored ? 'library.get.begun' : 'library.get',
      on: { click: () => void this.get(choice).catch((error) => this.fail(error)) },
    });
    get.setAttribute('aria-label', `${get.textContent}: ${title}`);
    const needs = t('library.needs', { size: bytes(choice.bytes), memory: bytes(choice.bytes + BESIDE) });
    const name = kind === 'gguf' ? (files.at(-1)?.name ?? title) : t('library.folder', { count: files.length });
    const facts = [kind === 'gguf' ? `GGUF ${quantization}`.trim() : 'safetensors', needs].join(' · ');
    return make(
      'li',
      { class: 'library-row' },
      make('span', { class: 'title', text: name }),
      make('span', { class: 'facts', text: facts }),
      lack ? make('span', { class: 'lack', text: lack }) : null,
      make('span', { class: 'actions' }, get),
    );
  }

  /** Why a model cannot be had, with the numbers. @param {Choice} choice */
  #lack({ bytes: size }) {
    const kind = this.#last?.modelType;
    if (kind && ![...ARCHITECTURES, ...ENCODERS].includes(kind)) return t('library.lack.kind', { kind });
    if (size > LARGEST) return t('library.lack.memory', { size: bytes(size), most: bytes(LARGEST) });
    if (this.#space && size > this.#space.free) return t('library.lack.space', { size: bytes(size), free: bytes(this.#space.free) });
    return null;
  }

  /** @param {typeof SUGGESTIONS[number]} suggestion */
  #suggestion({ repository, file, bytes: size, parameters, languages, license, purpose }) {
    const name = repository.split('/').at(-1) ?? repository;
    const names = new Intl.DisplayNames([document.documentElement.lang || 'en'], { type: 'language' });
    const facts = [
      t('library.about', { size: bytes(size) }),
      t('model.parameters', { parameters: number(parameters, { notation: 'compact', maximumSignificantDigits: 3 }) }),
      languages.map((tag) => names.of(tag) ?? tag).join(', '),
      license,
    ];
    const wish = file ? `${HUB}/${repository}/blob/main/${file}` : repository;
    const look = make('button', {
      type: 'button',
      'data-repository': repository,
      words: 'library.find.look',
      on: { click: () => void this.look(wish) },
    });
    look.setAttribute('aria-label', `${look.textContent}: ${name}`);
    return make(
      'li',
      { class: 'library-row' },
      make('span', { class: 'title', text: name }),
      make('span', { class: 'facts', text: facts.join(' · ') }),
      make('span', { class: 'about', text: purpose[/** @type {'en' | 'zh'} */ (getLanguage())] ?? purpose.en }),
      make('span', { class: 'actions' }, look),
    );
  }
}
