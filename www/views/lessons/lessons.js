/**
 * The Lessons view: a list of lessons, and one of them step by step, each step with a panel of the Inside view on the model that is
 * loaded. The address says which: `#lessons/next/2?model=stories&lock=1`.
 */

import { goesOn } from '../../catalog.js';
import { addWords, getLanguage, number, onLanguage, t, translate } from '../../i18n.js';
import en from '../../i18n/en/lessons.js';
import zh from '../../i18n/zh/lessons.js';
import insideEn from '../../i18n/en/inside.js';
import insideZh from '../../i18n/zh/inside.js';
import { LESSONS } from '../../lessons/plan.js';
import { currentView } from '../../views.js';
import { addSheets, make } from '../dom.js';
import { PANELS, SHEETS } from '../inside/panels.js';
import { isAborted, problemWords } from '../inside/problems.js';
import { Subject } from '../inside/subject.js';
import { tokenText } from '../inside/words.js';
import { aboutOf, inLanguage } from './checks.js';
import { LinkBox } from './link.js';
import { Presenter } from './presenter.js';
import { questionOf } from './question.js';

/** @import { Lesson, Step } from '../../lessons/plan.js' */
/** @import { Page } from '../../views.js' */
/** @import { PanelView } from '../inside/panels.js' */

addWords({ en, zh });
addWords({ en: insideEn, zh: insideZh });

/** The words of a lesson. @typedef {{ title: string, goal: string, steps: { heading: string, words: string[], formula?: string, question?: string, right?: string, wrong?: string }[] }} LessonWords */

/** Keys that a clicker sends, and how far they go. @type {Record<string, number>} */
const STEPS = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 };

/** @param {HTMLElement} root @param {Page} page */
export function open(root, page) {
  addSheets([...SHEETS, './lessons.css'], import.meta.url);
  const view = new Lessons(root, page);
  onLanguage(() => void view.route());
  addEventListener('hashchange', () => void view.route());
  addEventListener('keydown', (event) => view.key(event));
  page.onModel(() => void view.changed());
  void view.route();
}

class Lessons {
  #presenter = new Presenter();
  #subject = new Subject();
  #text = make('textarea', { id: 'lesson-text', rows: 2, dir: 'auto', spellcheck: 'false', label: 'inside.text', on: { input: () => this.#soon() } });
  #note = make('p', { class: 'inside-problem', role: 'status' });
  #stage = make('div', { class: 'lesson-stage inside-panel' });
  /** @type {PanelView | null} */ #panel = null;
  /** @type {string} */ #mounted = '';
  /** Lesson and step that are shown. @type {{ lesson: Lesson, step: number } | null} */ #at = null;
  #link = new LinkBox();
  /** The model that the address asks for. @type {string | null} */ #wanted = null;
  /** The text of the step, where the address has another than the lesson. @type {string | null} */ #given = null;
  #turn = 0;
  #typing = 0;

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.root = root;
    this.page = page;
    this.#presenter.onChange = () => {
      const button = document.getElementById('lesson-present');
      button?.setAttribute('data-i18n', this.#presenter.on ? 'lessons.leave' : 'lessons.present');
      translate(this.root);
    };
  }

  /** The language that the model writes. */
  #language() {
    return this.page.current()?.languages[0] ?? getLanguage();
  }

  async route() {
    const [view, rest = ''] = location.hash.slice(1).split(/\/(.*)/s);
    if (view !== 'lessons') {
      document.body.classList.remove('locked');
      return this.#presenter.stop();
    }
    const [path = '', query = ''] = rest.split('?');
    const [id = '', place = '1'] = path.split('/');
    const options = new URLSearchParams(query);
    const lesson = LESSONS.find((one) => one.id === id);
    const turn = ++this.#turn;
    document.body.classList.toggle('locked', options.get('lock') === '1');
    this.#given = options.get('text');
    const seed = Number(options.get('seed'));
    if (Number.isSafeInteger(seed) && seed > 0) this.#subject.seed = seed;
    this.#wanted = options.get('model');
    if (this.#wanted && this.#wanted !== this.page.current()?.id) this.page.use(this.#wanted);
    if (!lesson) return this.#list();
    const words = await wordsOf(lesson.id);
    if (turn !== this.#turn) return undefined;
    const step = Math.min(Math.max(1, Number(place) || 1), lesson.steps.length) - 1;
    if (this.#at?.lesson !== lesson) this.#presenter.start(lesson.minutes);
    this.#at = { lesson, step };
    return this.#show(lesson, words, step);
  }

  // ---- the list ----

  async #list() {
    this.#presenter.stop();
    this.#at = null;
    const all = await Promise.all(LESSONS.map(async (lesson) => ({ lesson, words: await wordsOf(lesson.id) })));
    if (this.#at) return;
    const cards = all.map(({ lesson, words }, i) =>
      make(
        'li',
        { class: 'lesson-card' },
        make('a', { href: `#lessons/${lesson.id}/1` }, make('span', { class: 'faded', text: t('lessons.number', { number: number(i + 1) }) }), make('strong', { text: words.title }), make('span', { text: words.goal }), make('span', { class: 'faded', text: t('lessons.minutes', { count: lesson.minutes }) })),
      ),
    );
    this.root.replaceChildren(make('div', { class: 'inside-head' }, make('h2', { words: 'lessons.title' }), make('p', { words: 'lessons.intro' })), make('ol', { class: 'lesson-cards' }, ...cards));
  }

  // ---- one lesson ----

  /** @param {Lesson} lesson @param {LessonWords} words @param {number} at */
  async #show(lesson, words, at) {
    const step = /** @type {Step} */ (lesson.steps[at]);
    const said = words.steps[at];
    if (!said) return;
    const nav = make(
      'div',
      { class: 'lesson-nav', role: 'group', label: 'lessons.nav' },
      make('button', { type: 'button', id: 'lesson-back', disabled: at === 0, words: 'lessons.back', on: { click: () => this.#go(-1) } }),
      make('span', { text: t('lessons.step', { step: number(at + 1), steps: number(lesson.steps.length) }) }),
      make('button', { type: 'button', id: 'lesson-next', class: 'primary', words: at + 1 < lesson.steps.length ? 'lessons.next' : 'lessons.end', on: { click: () => this.#go(1) } }),
    );
    const tools = make(
      'div',
      { class: 'lesson-tools', role: 'group', label: 'lessons.tools' },
      make('a', { href: '#lessons', class: 'lesson-all', words: 'lessons.all' }),
      this.#presenter.root,
      make('button', { type: 'button', id: 'lesson-present', words: this.#presenter.on ? 'lessons.leave' : 'lessons.present', on: { click: () => this.#presenter.toggle() } }),
      make('button', { type: 'button', id: 'lesson-pointer', words: 'lessons.pointer', on: { click: () => this.#presenter.togglePointer() } }),
      make('button', { type: 'button', id: 'lesson-link', words: 'lessons.link', on: { click: () => void this.#link.show(this.#address()) } }),
      make('button', { type: 'button', id: 'lesson-print', words: 'lessons.print', on: { click: () => this.#print(lesson, words) } }),
    );
    const card = make(
      'section',
      { class: 'stage lesson-step', 'aria-labelledby': 'lesson-heading' },
      make('p', { class: 'faded', text: words.title }),
      make('h2', { id: 'lesson-heading', tabindex: '-1', text: said.heading }),
      ...said.words.map((text) => make('p', { class: 'lesson-words', text })),
      ...(said.formula ? [make('details', {}, make('summary', { words: 'lessons.formula' }), make('pre', { text: said.formula }))] : []),
      ...(step.check ? [questionOf(step.check, said, { model: () => this.page.model(), language: () => this.#language() })] : []),
      ...(step.panel === 'train' ? [make('p', {}, make('a', { href: '#train', class: 'lesson-go', words: 'lessons.train' }))] : []),
      nav,
    );
    const shows = step.panel !== undefined && step.panel !== 'train';
    this.root.replaceChildren(tools, card, ...(shows ? [make('div', { class: 'lesson-look' }, this.#text, this.#note, this.#stage)] : []));
    translate(this.root);
    document.getElementById('lesson-heading')?.focus({ preventScroll: true });
    this.root.scrollTo({ top: 0 });
    if (!shows || !step.panel) return;
    this.#text.value = this.#given ?? inLanguage(step.text ?? {}, this.#language()) ?? '';
    await this.#mount(step.panel);
    if (step.recorded && !this.page.model()) await this.#recorded();
    await this.changed();
  }

  /** @param {string} name */
  async #mount(name) {
    if (this.#mounted === name) return;
    this.#mounted = name;
    this.#panel?.close?.();
    this.#panel = null;
    this.#stage.replaceChildren();
    const { Panel } = await /** @type {NonNullable<typeof PANELS[string]>} */ (PANELS[name])();
    if (this.#mounted !== name) return;
    this.#panel = new Panel(this.#subject, {
      setText: (text) => ((this.#text.value = text), void this.changed()),
      models: () => this.page.models().filter(goesOn),
      run: (work) => this.#run(work),
    });
    this.#stage.dataset.panel = name;
    this.#stage.replaceChildren(this.#panel.root);
    translate(this.#stage);
  }

  /** What the tokens are, before any weights have arrived. */
  async #recorded() {
    const answer = await fetch(new URL('../../lessons/recorded.json', import.meta.url));
    const recorded = await answer.json();
    if (this.page.model() || this.#mounted !== 'tokens') return;
    const pieces = inLanguage(recorded.tokens, getLanguage());
    this.#stage.replaceChildren(
      make('p', { class: 'faded', text: t('lessons.recorded', { model: pieces.model }) }),
      make('ol', { class: 'inside-pieces' }, ...pieces.tokens.map((/** @type {{ id: number, text: string }} */ { id, text }, /** @type {number} */ i) => make('li', {}, make('span', { class: `inside-piece tint-${i % 4}` }, tokenText(text), make('small', { text: String(id) }))))),
    );
    this.#text.value = pieces.text;
    // The panel comes in its place with the model.
    this.#mounted = '';
  }

  #soon() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => void this.changed(), 120);
  }

  /** The text or the model is another one. */
  async changed() {
    const step = this.#at?.lesson.steps[this.#at.step];
    // Whoever comes back is shown the step anew.
    if (currentView() !== 'lessons' || !step?.panel || step.panel === 'train') return;
    if (this.page.model()) await this.#mount(step.panel);
    await this.#run(async () => {
      await this.#subject.take(this.page.model(), this.page.current(), this.#text.value);
      if (this.#subject.ready) await this.#panel?.update();
    });
  }

  /** @param {() => Promise<void>} work */
  async #run(work) {
    try {
      await work();
      const other = this.#wanted !== null && this.#wanted !== this.page.current()?.id;
      const ready = other ? t('lessons.link.other', { wanted: this.#wanted ?? '', model: this.page.title() }) : '';
      this.#note.textContent = this.#subject.ready ? ready : t(this.page.model() ? 'inside.empty' : 'inside.waiting');
      this.#stage.dataset.state = this.#subject.ready ? 'ready' : 'waiting';
    } catch (error) {
      if (!isAborted(error)) this.#note.textContent = problemWords(error);
    }
  }

  /** @param {number} by */
  #go(by) {
    if (!this.#at) return;
    const { lesson, step } = this.#at;
    const options = new URLSearchParams(location.hash.split('?')[1]);
    // That was the text of one step.
    options.delete('text');
    const query = String(options);
    const next = step + by + 1;
    // Whoever was given a lesson stays in it.
    if (next < 1 || (next > lesson.steps.length && options.get('lock') === '1')) return;
    location.hash = next > lesson.steps.length ? '#lessons' : `#lessons/${lesson.id}/${next}${query ? `?${query}` : ''}`;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!this.#at || currentView() !== 'lessons' || event.ctrlKey || event.metaKey || event.altKey) return;
    // A dialog over the lesson has the keys.
    if (document.querySelector('dialog[open]')) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest('input, textarea, select, .inside-panel')) return;
    const by = STEPS[event.key];
    if (by !== undefined) this.#go(by);
    else if (event.key === 'Escape') this.#presenter.leave();
    else if (event.key === 'p') this.#presenter.togglePointer();
    else return;
    event.preventDefault();
  }

  /** The address of this step with this model and seed, and without what could distract; a model of somebody's own is only on their machine. */
  #address() {
    if (!this.#at) return location.href;
    const { lesson, step } = this.#at;
    const options = new URLSearchParams({ lock: '1', seed: String(this.#subject.seed) });
    const entry = this.page.current();
    if (entry && 'url' in entry.source) options.set('model', entry.id);
    const text = inLanguage(lesson.steps[step]?.text ?? {}, this.#language()) ?? '';
    if (lesson.steps[step]?.panel && this.#text.value !== text) options.set('text', this.#text.value);
    const link = new URL(location.href);
    link.hash = `lessons/${lesson.id}/${step + 1}?${options}`;
    return link.href;
  }

  /** The whole lesson on paper, with room to write. @param {Lesson} lesson @param {LessonWords} words */
  #print(lesson, words) {
    const asked = (/** @type {number} */ i) => {
      const check = lesson.steps[i]?.check;
      const question = words.steps[i]?.question;
      if (!check || !question) return [];
      const texts = [aboutOf(check, this.#language())].flat();
      return [make('p', { class: 'lesson-question', text: question.replace('{text}', texts.join(' / ')) }), make('p', { class: 'lesson-blank' })];
    };
    const sheet = make(
      'article',
      { class: 'lesson-sheet' },
      make('h1', { text: words.title }),
      make('p', { text: words.goal }),
      ...words.steps.flatMap((step, i) => [make('h2', { text: step.heading }), ...step.words.map((text) => make('p', { text })), ...(step.formula ? [make('pre', { text: step.formula })] : []), ...asked(i)]),
    );
    document.body.append(sheet);
    addEventListener('afterprint', () => sheet.remove(), { once: true });
    print();
  }
}

/** @param {string} id @returns {Promise<LessonWords>} */
async function wordsOf(id) {
  return (await import(`../../lessons/${getLanguage()}/${id}.js`)).default;
}

