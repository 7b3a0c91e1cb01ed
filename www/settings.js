/**
 * The settings: built from the parameters the engine describes, so that a new one appears by itself. The first few are in
 * view, the rest under "More"; each says in one sentence what it does.
 */

import { has, number, onLanguage, t } from './i18n.js';
import { byId, element } from './notices.js';
import { recallInTab, rememberInTab } from './store.js';

/** @import { Key } from './i18n.js' */
/** @import { GenerationConfig, Parameter } from './protocol.js' */

/** Where the page differs from the model: writing together wants surprise, and an end in sight. @type {Record<string, unknown>} */
const PAGE_DEFAULTS = { do_sample: true, temperature: 0.8, top_k: 40, top_p: 0.95, max_new_tokens: 150 };
/** The share of the model's context that is new at most, unless somebody says so: the rest is for what it goes on from. */
const NEW_SHARE = 0.75;
const MOST_SEEDS = 2 ** 32;
/** A slider with more positions than this cannot be aimed. */
const MOST_POSITIONS = 4096;

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */
/** What `early_stopping` can be: false, true or "never", as the value of an option. */
const EARLY_STOPPING = /** @type {const} */ (['false', 'true', 'never']);
/** @typedef {{ parameter: Parameter, control: Control, row: HTMLElement, note: HTMLElement }} Field */

export class Settings {
  /** Turns a forbidden word into its token ids. @type {(text: string) => Promise<number[]>} */
  tokenize = async () => [];
  /** @type {Parameter[]} */ #parameters = [];
  /** Defaults of the model that is loaded. @type {Record<string, unknown>} */ #suited = {};
  /** What the person has set, by name; anything else is at its default. @type {Record<string, unknown>} */
  #chosen = plain(recallInTab('settings'));
  /** @type {Map<string, Field>} */ #fields = new Map();
  #newSeed = recallInTab('newSeed') !== false;
  /** @type {number} */ #seed = keptSeed(recallInTab('seed'));

  constructor() {
    onLanguage(() => this.#build());
    byId('reset').addEventListener('click', () => this.reset());
  }

  /**
   * Shows the parameters of a model that has been loaded.
   * @param {Parameter[]} parameters
   * @param {Record<string, unknown>} [suited]  what suits this model rather than the page's own defaults
   */
  describe(parameters, suited = {}) {
    this.#suited = suited;
    // The page always sets the length of what is new, which goes before the total.
    this.#parameters = parameters.filter(({ name }) => name !== 'max_length');
    this.#build();
  }

  reset() {
    this.#chosen = {};
    this.#newSeed = true;
    this.#keep();
    this.#build();
    byId('status').textContent = t('settings.reset.done');
  }

  /** How a parameter is set now. @param {string} name @returns {any} */
  value(name) {
    if (name === 'seed') return this.#seed;
    const parameter = this.#parameters.find((one) => one.name === name);
    if (!parameter) return undefined;
    return Object.hasOwn(this.#chosen, name) ? within(parameter, this.#chosen[name]) : this.#defaultOf(parameter);
  }

  /**
   * The config of the next continuation: what differs from the model's own defaults, and the seed, which moves on unless
   * it is pinned.
   * @returns {Promise<GenerationConfig>}
   */
  async config() {
    if (this.#newSeed) this.#setSeed(randomSeed());
    /** @type {Record<string, unknown>} */
    const config = {};
    for (const parameter of this.#parameters) {
      const { name } = parameter;
      if (name === 'seed') continue;
      const value = this.value(name);
      if (JSON.stringify(value) === JSON.stringify(parameter.default)) continue;
      config[name] = name === 'bad_words_ids' ? await this.#wordIds(value) : value;
    }
    config.seed = this.#seed;
    return config;
  }

  /** All that matters to what was written last, in the person's words, to be taken by another page. @returns {Record<string, unknown>} */
  shared() {
    const names = this.#parameters.map(({ name }) => name).filter((name) => name !== 'seed');
    return { ...Object.fromEntries(names.map((name) => [name, this.value(name)])), seed: this.#seed };
  }

  /** Sets what another page has shared; what this model does not have, or a damaged link has spoiled, is passed over. @param {Record<string, unknown>} shared */
  take({ seed, ...values }) {
    this.#chosen = {};
    for (const parameter of this.#parameters) {
      const { name } = parameter;
      if (Object.hasOwn(values, name) && isValue(parameter, values[name])) this.#chosen[name] = values[name];
    }
    this.#newSeed = false;
    this.#seed = keptSeed(seed);
    this.#keep();
    this.#build();
  }

  /** Settings that cannot be met together, as the `words` of an error, or null. @returns {'few_beams' | 'no_chance' | null} */
  problem() {
    const many = Number(this.value('num_return_sequences') ?? 1);
    const beams = Number(this.value('num_beams') ?? 1);
    if (many <= 1) return null;
    if (beams > 1) return many > beams ? 'few_beams' : null;
    return this.value('do_sample') ? null : 'no_chance';
  }

  /** A word is forbidden at the start of a text and inside it, which are different tokens. @param {string[]} words */
  async #wordIds(words) {
    const forms = words.flatMap((word) => [word, ` ${word}`]);
    const ids = await Promise.all(forms.map((form) => this.tokenize(form)));
    const distinct = new Map(ids.filter((list) => list.length > 0).map((list) => [list.join(), list]));
    return [...distinct.values()];
  }

  /** @param {Parameter} parameter */
  #defaultOf(parameter) {
    const value = this.#suited[parameter.name] ?? PAGE_DEFAULTS[parameter.name] ?? parameter.default;
    const { max } = limits(parameter);
    if (parameter.name !== 'max_new_tokens' || max === null) return within(parameter, value);
    return within(parameter, Math.min(Number(value), Math.floor(max * NEW_SHARE)));
  }

  #keep() {
    rememberInTab('settings', this.#chosen);
    rememberInTab('newSeed', this.#newSeed);
    rememberInTab('seed', this.#seed);
  }

  #build() {
    const basic = byId('settings-basic');
    const more = byId('settings-more');
    const rest = /** @type {HTMLElement} */ (more.closest('details'));
    this.#fields.clear();
    basic.replaceChildren();
    more.replaceChildren();
    rest.hidden = this.#parameters.length === 0;
    byId('reset').hidden = rest.hidden;
    byId('settings-waiting').hidden = !rest.hidden;
    for (const parameter of this.#parameters) {
      const shown = parameter.basic || parameter.name === 'seed';
      (shown ? basic : more).append(this.#field(parameter));
    }
    this.#dim();
  }

  /** @param {Parameter} parameter */
  #field(parameter) {
    const { name, kind } = parameter;
    const row = element('div', '');
    row.className = `field ${kind}`;
    const label = element('label', '');
    label.htmlFor = idOf(name);
    label.append(element('span', word(name, 'label') || name));
    const term = element('code', name);
    term.setAttribute('translate', 'no');
    label.append(term);
    const control = this.#control(parameter);
    const help = element('p', word(name, 'help'));
    help.id = `help-${name}`;
    help.className = 'help';
    const note = element('p', '');
    note.id = `note-${name}`;
    note.className = 'note';
    note.hidden = true;
    control.setAttribute('aria-describedby', `${help.id} ${note.id}`);
    const line = element('div', '');
    line.className = 'line';
    line.append(control);
    const slider = this.#slider(parameter, control);
    if (slider) line.prepend(slider);
    row.append(label, line, help, note);
    if (name === 'seed') row.append(this.#seedSwitch());
    this.#fields.set(name, { parameter, control, row, note });
    return row;
  }

  /** @param {Parameter} parameter @returns {Control} */
  #control(parameter) {
    const { name, kind } = parameter;
    const lines = kind === 'strings' || kind === 'id_lists';
    const control = document.createElement(lines ? 'textarea' : kind === 'early_stopping' ? 'select' : 'input');
    control.id = idOf(name);
    control.dataset.parameter = name;
    control.autocomplete = 'off';
    if (control instanceof HTMLTextAreaElement) {
      control.rows = 2;
      control.spellcheck = false;
    } else if (control instanceof HTMLSelectElement) {
      for (const value of EARLY_STOPPING) {
        control.append(Object.assign(element('option', t(`settings.early_stopping.${value}`)), { value }));
      }
    } else if (kind === 'bool') {
      control.type = 'checkbox';
    } else if (kind === 'ids') {
      control.type = 'text';
      control.inputMode = 'numeric';
    } else {
      control.type = 'number';
      control.placeholder = t('settings.unset');
      const { min, max } = limits(parameter);
      if (min !== null) control.min = String(min);
      if (max !== null) control.max = String(max);
      control.step = kind === 'int' ? '1' : 'any';
    }
    show(control, this.value(name));
    control.addEventListener('input', () => this.#changed(parameter, control));
    return control;
  }

  /** A number with a range can be dragged; the field beside it is what keyboards and screen readers use. @param {Parameter} parameter @param {Control} control */
  #slider(parameter, control) {
    const { min, max } = limits(parameter);
    const step = parameter.step ?? (parameter.kind === 'int' ? 1 : 0.01);
    if (parameter.name === 'seed' || min === null || max === null || (max - min) / step > MOST_POSITIONS) return null;
    const slider = document.createElement('input');
    slider.type = 'range';
    slider.min = String(min);
    slider.max = String(max);
    slider.step = String(step);
    slider.tabIndex = -1;
    slider.setAttribute('aria-hidden', 'true');
    slider.value = control.value;
    slider.addEventListener('input', () => {
      control.value = slider.value;
      control.dispatchEvent(new Event('input'));
    });
    control.addEventListener('input', () => (slider.value = control.value));
    return slider;
  }

  #seedSwitch() {
    const label = element('label', '');
    label.className = 'switch';
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.id = 'new-seed';
    box.checked = this.#newSeed;
    box.addEventListener('change', () => {
      this.#newSeed = box.checked;
      this.#keep();
    });
    label.append(box, element('span', t('settings.new_seed')));
    return label;
  }

  /** @param {Parameter} parameter @param {Control} control */
  #changed(parameter, control) {
    const { name } = parameter;
    const value = read(parameter, control);
    const bad = value instanceof OutOfRange;
    control.setAttribute('aria-invalid', String(bad));
    const field = this.#fields.get(name);
    if (field) {
      field.note.hidden = !bad;
      field.note.textContent = bad ? t('settings.bad', { label: word(name, 'label') || name, ...value.limits }) : '';
    }
    if (bad) return;
    if (name === 'seed') {
      // Whoever types a seed wants that one.
      if (typeof value === 'number') this.#seed = value;
      this.#newSeed = false;
      const box = /** @type {HTMLInputElement | null} */ (document.getElementById('new-seed'));
      if (box) box.checked = false;
    } else if (value === undefined) {
      delete this.#chosen[name];
    } else {
      this.#chosen[name] = value;
    }
    this.#keep();
    this.#dim();
  }

  /** @param {number} seed */
  #setSeed(seed) {
    this.#seed = seed;
    const field = this.#fields.get('seed');
    if (field) show(field.control, seed);
  }

  /** A setting that has no effect as things are looks like it, and says why. */
  #dim() {
    for (const { parameter, row, note, control } of this.#fields.values()) {
      const needs = parameter.needs ?? (parameter.name === 'seed' ? 'do_sample' : null);
      const idle = needs === 'do_sample' ? !this.value('do_sample') : needs === 'num_beams' ? this.value('num_beams') <= 1 : false;
      row.classList.toggle('idle', idle);
      if (control.getAttribute('aria-invalid') === 'true') continue;
      const problem = parameter.name === 'num_return_sequences' ? this.problem() : null;
      note.hidden = !idle && !problem;
      note.textContent = problem ? t(`error.${problem}.help`) : idle && needs ? t(`settings.needs.${needs}`) : '';
    }
  }
}

class OutOfRange {
  /** @param {{ min: string, max: string }} limits */
  constructor(limits) {
    this.limits = limits;
  }
}

/** @param {Parameter} parameter */
function limits({ name, min, max }) {
  if (name === 'seed') return { min: min ?? 0, max: max ?? MOST_SEEDS - 1 };
  return { min: min ?? null, max: max ?? null };
}

/** What was chosen for one model, or usual on this page, may be too much for a smaller one. @param {Parameter} parameter @param {unknown} value */
function within(parameter, value) {
  const { min, max } = limits(parameter);
  return typeof value === 'number' ? Math.min(Math.max(value, min ?? -Infinity), max ?? Infinity) : value;
}

/** Whether something can be the value of a parameter at all, whatever its bounds. @param {Parameter} parameter @param {unknown} value */
function isValue({ kind, default: usual }, value) {
  if (value === null) return usual === null || usual === undefined;
  if (kind === 'bool') return typeof value === 'boolean';
  if (kind === 'early_stopping') return typeof value === 'boolean' || value === 'never';
  if (kind === 'int') return Number.isSafeInteger(value);
  if (kind === 'float') return Number.isFinite(value);
  if (!Array.isArray(value)) return false;
  return value.every((one) => (kind === 'ids' ? Number.isSafeInteger(one) && one >= 0 : typeof one === 'string'));
}

/** What a control says: undefined means "at its default". @param {Parameter} parameter @param {Control} control */
function read(parameter, control) {
  if (control instanceof HTMLInputElement && control.type === 'checkbox') return control.checked;
  const text = control.value.trim();
  switch (parameter.kind) {
    case 'early_stopping':
      return text === 'never' ? text : text === 'true';
    case 'strings':
      return someOf(lines(control.value).map((line) => line.replaceAll('\\n', '\n').replaceAll('\\t', '\t')));
    case 'id_lists':
      return someOf(lines(control.value).map((line) => line.trim()));
    case 'ids': {
      const ids = text.split(/[\s,，、]+/).filter(Boolean).map(Number);
      if (ids.some((id) => !Number.isInteger(id) || id < 0)) return new OutOfRange({ min: '0', max: '…' });
      return someOf(ids);
    }
    default: {
      if (text === '' && control.validity.valid) return undefined;
      const { min, max } = limits(parameter);
      const value = parameter.kind === 'int' ? Math.trunc(Number(text)) : Number(text);
      const within = (min === null || value >= min) && (max === null || value <= max);
      if (text !== '' && Number.isFinite(value) && within) return value;
      return new OutOfRange({ min: number(min ?? -Infinity), max: number(max ?? Infinity) });
    }
  }
}

/** An empty list is no wish at all. @template T @param {T[]} list */
const someOf = (list) => (list.length > 0 ? list : undefined);

/** @param {string} text */
const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');

/** @param {Control} control @param {any} value */
function show(control, value) {
  if (control instanceof HTMLInputElement && control.type === 'checkbox') control.checked = Boolean(value);
  else if (Array.isArray(value)) {
    const separator = control instanceof HTMLTextAreaElement ? '\n' : ', ';
    control.value = value.map((one) => String(one).replaceAll('\n', '\\n').replaceAll('\t', '\\t')).join(separator);
  } else control.value = value === null || value === undefined ? '' : String(value);
}

/** @param {string} name @param {'label' | 'help'} part */
function word(name, part) {
  const key = `parameter.${name}.${part}`;
  return has(key) ? t(/** @type {Key} */ (key)) : '';
}

/** @param {string} name */
const idOf = (name) => (name === 'seed' ? 'seed' : `parameter-${name}`);

/** What the tab kept, if it can be a seed. @param {unknown} seed */
const keptSeed = (seed) => (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0 ? seed : randomSeed());

/** @param {unknown} kept @returns {Record<string, unknown>} */
const plain = (kept) => (typeof kept === 'object' && kept !== null && !Array.isArray(kept) ? { ...kept } : {});

const randomSeed = () => Math.floor(Math.random() * MOST_SEEDS);
