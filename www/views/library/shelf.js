/** The models that are kept in this browser or on their way into it, each with what can be done with it. */

import { bytes, has, t } from '../../i18n.js';
import { byId, fillAlert } from '../../notices.js';
import { store } from '../../store/client.js';
import { entriesOf, entryOf } from '../../store/entries.js';
import { forgetMissing, missing } from '../../store/memo.js';
import { storageSpace } from '../../store/space.js';
import { zip } from '../../zip.js';
import { make } from '../dom.js';
import { download, fileName } from '../download.js';
import { duration } from '../duration.js';

/** @import { Key } from '../../i18n.js' */
/** @import { Page } from '../../views.js' */
/** @import { Choice } from '../../store/hub.js' */
/** @import { StoredEntry, StoreState } from '../../store/protocol.js' */

/** What can be done with a model, by what is happening to it. */
const ACTIONS = /** @type {const} */ ({
  downloading: ['pause', 'remove'],
  verifying: [],
  elsewhere: [],
  paused: ['resume', 'remove'],
  failed: ['resume', 'again', 'remove'],
  complete: ['open', 'export', 'verify', 'remove'],
});

/** @typedef {typeof ACTIONS[keyof typeof ACTIONS][number]} Action */

/** Failures after which the same request cannot help. */
const HOPELESS = new Set(['source_changed', 'missing_file', 'forbidden']);

export class Shelf {
  /** Look at this address again. @type {(text: string) => void} */ onLook = () => {};
  #rows = make('ul', { class: 'library-rows', id: 'library-stored' });
  #empty = make('p', { class: 'faded', words: 'library.stored.none' });
  #space = make('p', { class: 'faded', id: 'library-space' });
  #error = make('div', { class: 'alert', role: 'alert', id: 'library-error' });
  #evicted = make('div', { class: 'alert', role: 'alert', id: 'library-evicted' });
  #persist = make('button', { type: 'button', id: 'library-persist', words: 'library.persist', hidden: true, on: { click: () => void this.#keep() } });
  /** @type {StoreState | null} */ #state = null;
  /** Rows by id, so that a button keeps the keyboard while numbers run. @type {Map<string, Row>} */ #shown = new Map();
  #turn = 0;
  /** What those hear who do not see the rows: changes of state, not of numbers. */
  #news = make('p', { class: 'unseen', role: 'status' });

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.root = make(
      'section',
      { class: 'stage', 'aria-labelledby': 'library-stored-title' },
      make('div', { class: 'stage-head' }, make('h3', { id: 'library-stored-title', words: 'library.stored', tabindex: '-1' }), make('p', { class: 'faded', words: 'library.stored.intro' })),
      this.#evicted,
      this.#error,
      this.#empty,
      this.#rows,
      this.#news,
      make('div', { class: 'library-foot' }, this.#space, this.#persist),
    );
  }

  /** Fetches what was chosen. @param {Choice} choice */
  async begin(choice) {
    this.#error.replaceChildren();
    await store.add(choice);
    this.root.scrollIntoView({ block: 'nearest' });
    this.#shown.get(choice.id)?.focus();
  }

  relabel() {
    if (this.#state) this.show(this.#state);
  }

  /** @param {StoreState} state */
  show(state) {
    this.#state = state;
    const ids = new Set(state.models.map(({ id }) => id));
    for (const [id, row] of this.#shown) {
      if (ids.has(id)) continue;
      const focused = row.root.contains(document.activeElement);
      row.root.remove();
      this.#shown.delete(id);
      // The button that took it away is gone with it.
      if (focused) byId('library-stored-title').focus();
    }
    for (const entry of state.models) {
      let row = this.#shown.get(entry.id);
      if (!row) {
        row = new Row((action) => void this.#act(action, entry.id));
        this.#shown.set(entry.id, row);
        this.#rows.append(row.root);
      }
      if (row.show(entry)) this.#news.textContent = `${entry.title}: ${stateOf(entry)}`;
    }
    this.page.stored(entriesOf(state));
    this.#empty.hidden = state.models.length > 0;
    if (state.problem) this.#fail({ code: 'storage', message: state.problem });
    this.#showEvicted(state);
    void this.#showSpace(state);
  }

  /** Models that were here, and that nobody took away. @param {StoreState} state */
  #showEvicted(state) {
    const lost = missing(state);
    if (lost.length === 0) return this.#evicted.replaceChildren();
    const names = lost.map(({ title }) => title).join(', ');
    const dismiss = { label: /** @type {Key} */ ('action.dismiss'), run: () => (forgetMissing(state), this.#evicted.replaceChildren()) };
    return fillAlert(this.#evicted, 'library.evicted', { values: { names }, actions: [dismiss] });
  }

  /** @param {StoreState} state */
  async #showSpace({ tier, models }) {
    const turn = ++this.#turn;
    const space = tier === 'memory' ? null : await storageSpace();
    const kept = await navigator.storage?.persisted?.().catch(() => false);
    if (turn !== this.#turn) return;
    const here = bytes(models.reduce((sum, { loadedBytes }) => sum + loadedBytes, 0));
    const words = [space ? t('library.space', { here, free: bytes(space.free) }) : t('library.space.unknown', { here })];
    if (kept) words.push(t('library.persisted'));
    this.#space.textContent = models.length > 0 ? words.join(' ') : '';
    this.#persist.hidden = kept !== false || models.length === 0 || tier === 'memory' || !navigator.storage?.persist;
  }

  async #keep() {
    const granted = await navigator.storage.persist();
    if (!granted) this.#fail({ code: 'not_persisted', message: '' });
    if (this.#state) await this.#showSpace(this.#state);
  }

  /** @param {Action} action @param {string} id */
  async #act(action, id) {
    const entry = this.#state?.models.find((model) => model.id === id);
    if (!entry) return;
    this.#error.replaceChildren();
    try {
      if (action === 'open') this.page.write(entryOf(entry));
      else if (action === 'export') await save(entry);
      else if (action === 'again') {
        await store.ask('remove', id);
        this.onLook(addressOf(entry));
      } else if (action !== 'remove') await store.ask(action, id);
      else if (entry.phase !== 'complete' || confirm(t('library.remove.sure', { title: entry.title, size: bytes(entry.bytes) }))) {
        await store.ask('remove', id);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    const { code = 'storage', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error ?? {});
    const words = has(`library.error.${code}.title`) ? `library.error.${code}` : 'library.error.storage';
    const dismiss = { label: /** @type {Key} */ ('action.dismiss'), run: () => this.#error.replaceChildren() };
    fillAlert(this.#error, words, { detail: message, actions: [dismiss] });
    this.#error.dataset.code = code;
  }
}

/** What to look for to find a model again. @param {StoredEntry} entry */
const addressOf = ({ origin }) => (origin.kind === 'link' ? origin.url : `${origin.repository}@${origin.revision}`);

/** Gives the person the files. @param {StoredEntry} entry */
async function save({ id, title }) {
  const files = await store.files(id);
  const [first] = files;
  if (first && files.length === 1) return download(first.name, first.blob);
  return download(`${fileName(title)}.zip`, await zip(files));
}

/** One model of the list. */
class Row {
  #title = make('span', { class: 'title' });
  #facts = make('span', { class: 'facts' });
  #state = make('span', { class: 'about' });
  #bar = make('progress', { max: 1, value: 0 });
  #alert = make('div', { class: 'alert', role: 'alert' });
  #actions = make('span', { class: 'actions' });
  root = make('li', { class: 'library-row' }, this.#title, this.#facts, this.#bar, this.#state, this.#alert, this.#actions);
  #offered = '';
  #failed = '';

  /** @param {(action: Action) => void} act */
  constructor(act) {
    this.act = act;
  }

  focus() {
    this.#actions.querySelector('button')?.focus();
  }

  /** @param {StoredEntry} entry @returns {boolean}  whether something else is happening now than before */
  show(entry) {
    const before = this.root.dataset.phase;
    this.#put(entry);
    return before !== undefined && before !== entry.phase;
  }

  /** @param {StoredEntry} entry */
  #put(entry) {
    const { id, title, bytes: size, phase, origin, license, failure } = entry;
    this.root.dataset.model = id;
    this.root.dataset.phase = phase;
    this.#title.textContent = title;
    const from = origin.kind === 'hub' ? `${new URL(origin.hub).host}/${origin.repository}` : new URL(origin.url).host;
    this.#facts.textContent = [bytes(size), from, license ?? ''].filter(Boolean).join(' · ');
    this.#state.textContent = stateOf(entry);
    const share = phase === 'verifying' ? entry.verifiedBytes / Math.max(size, 1) : entry.loadedBytes / Math.max(size, 1);
    this.#bar.hidden = phase === 'complete';
    this.#bar.value = share;
    this.#bar.setAttribute('aria-label', title);
    this.#fail(failure);
    const actions = ACTIONS[phase].filter((action) => this.#makesSense(action, failure?.code ?? ''));
    const offered = `${document.documentElement.lang} ${actions.join(' ')}`;
    if (offered === this.#offered) return;
    const focused = this.#actions.contains(document.activeElement);
    this.#offered = offered;
    this.#actions.replaceChildren(...actions.map((action) => this.#button(action, title)));
    // A button that went away must not take the keyboard's place in the page with it.
    if (focused) this.#actions.querySelector('button')?.focus();
  }

  /** @param {Action} action @param {string} code */
  #makesSense(action, code) {
    if (action === 'again') return HOPELESS.has(code);
    return action !== 'resume' || !HOPELESS.has(code);
  }

  /** @param {Action} action @param {string} title */
  #button(action, title) {
    const words = /** @type {Key} */ (`library.action.${action}`);
    const primary = action === 'open' || action === 'resume';
    const made = make('button', { type: 'button', class: primary ? 'primary' : null, 'data-action': action, words, on: { click: () => this.act(action) } });
    made.setAttribute('aria-label', `${made.textContent}: ${title}`);
    return made;
  }

  /** @param {StoredEntry['failure']} failure */
  #fail(failure) {
    const failed = failure ? `${document.documentElement.lang} ${failure.code} ${failure.message}` : '';
    if (failed === this.#failed) return;
    this.#failed = failed;
    if (!failure) return this.#alert.replaceChildren();
    const words = has(`library.error.${failure.code}.title`) ? `library.error.${failure.code}` : 'library.error.io';
    fillAlert(this.#alert, words, { detail: failure.message, actions: [] });
    this.#alert.dataset.code = failure.code;
  }
}

/** What is happening, in words. @param {StoredEntry} entry */
function stateOf({ phase, bytes: size, loadedBytes, verifiedBytes, speed, waiting, usedAt, savedAt, checkedAt }) {
  const values = { loaded: bytes(loadedBytes), total: bytes(size) };
  if (phase === 'complete') {
    const said = (/** @type {number} */ at) => new Date(at).toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' });
    return t('library.state.complete', { checked: said(checkedAt || savedAt), when: said(Math.max(usedAt, savedAt)) });
  }
  if (phase === 'verifying') return t('library.state.verifying', { share: Math.round((100 * verifiedBytes) / Math.max(size, 1)) });
  if (phase === 'elsewhere') return t('library.state.elsewhere', values);
  if (phase === 'failed') return t('library.state.failed', values);
  if (phase !== 'downloading') return t('library.state.paused', values);
  if (waiting?.why === 'offline') return t('library.state.offline', values);
  if (waiting) {
    const seconds = Math.max(1, Math.round((waiting.until - Date.now()) / 1000));
    return t(waiting.why === 'retry' ? 'library.state.retry' : 'library.state.limited', { ...values, wait: duration(seconds) });
  }
  if (!speed) return t('library.state.downloading', values);
  return t('library.state.speed', { ...values, speed: bytes(speed), left: duration((size - loadedBytes) / speed) });
}
