/** Sharing a text by a link, and what somebody is shown who opens one. */

import { bytes, onLanguage, t } from './i18n.js';
import { titleOf } from './catalog.js';
import { byId } from './notices.js';
import { LONGEST, linkOf, nameOf, readLink } from './share.js';

/** @import { Key, Values } from './i18n.js' */
/** @import { Entry } from './catalog.js' */
/** @import { LoadProgress } from './protocol.js' */
/** @import { Choice } from './store/hub.js' */
/** @import { Shared } from './share.js' */

/**
 * What sharing needs of the page.
 * @typedef {object} SharingHost
 * @property {(id: string) => Entry | null} find  a model that is listed
 * @property {() => { entry: Entry, sha256: string | null } | null} current  the model in use
 * @property {() => { prompt: string, settings: Record<string, unknown> }} text  what was written last, and how
 * @property {(entry: Entry, shared: Shared) => Promise<void>} write  opens the model and writes the text
 * @property {(name: string, progress: LoadProgress) => void} progress
 * @property {(key: Key, values?: Values) => void} status
 * @property {(error: unknown) => void} fail
 */

export class Sharing {
  #box = byId('shared');
  #words = byId('shared-words');
  #go = /** @type {HTMLButtonElement} */ (byId('shared-write'));
  /** @type {Shared | null} */ #shared = null;
  /** What would have to be fetched. @type {Choice | null} */ #choice = null;

  /** @param {SharingHost} host */
  constructor(host) {
    this.host = host;
    byId('share').addEventListener('click', () => void this.#share());
    byId('shared-no').addEventListener('click', () => this.#close());
    this.#go.addEventListener('click', () => void this.#write());
    addEventListener('hashchange', () => this.show());
    onLanguage(() => this.show());
  }

  /** Copies a link to the text. */
  async #share() {
    const { current, text, status } = this.host;
    const model = current();
    if (!model) return;
    const stored = 'stored' in model.entry.source ? await entryIn(model.entry.source.stored) : null;
    const link = linkOf({ ...text(), ...nameOf(model.entry, stored, model.sha256) });
    if (link.length > LONGEST) return status('share.long');
    try {
      await navigator.clipboard.writeText(link);
      status('share.copied');
    } catch {
      // Without leave to copy, the address bar has it.
      history.replaceState(null, '', link);
      status('share.address');
    }
  }

  /** Shows what the address shares, if anything. */
  show() {
    this.#shared = readLink(location.hash);
    this.#choice = null;
    this.#box.hidden = this.#shared === null;
    if (!this.#shared) return;
    const { prompt, model, hub, url } = this.#shared;
    byId('shared-prompt').textContent = prompt;
    const known = this.#known();
    const own = !known && !hub && !url;
    const name = known?.title ?? hub?.repository ?? url ?? model ?? '–';
    this.#words.textContent = own ? t('share.own', { model: name }) : t('share.from', { model: name });
    this.#go.textContent = t('share.write');
    this.#go.hidden = own;
    (own ? byId('shared-no') : this.#go).focus();
  }

  #close() {
    this.#box.hidden = true;
    this.#shared = null;
    history.replaceState(null, '', '#write');
  }

  /** The model of the link among those that are listed. */
  #known() {
    const entry = this.#shared?.model ? this.host.find(this.#shared.model) : null;
    return entry && { entry, title: titleOf(entry) };
  }

  /** Writes the text, or first says what that would cost. */
  async #write() {
    const shared = this.#shared;
    if (!shared) return;
    try {
      const entry = await this.#model(shared);
      if (!entry || this.#shared !== shared) return;
      this.#close();
      await this.host.write(entry, shared);
    } catch (error) {
      this.host.fail(error);
    }
  }

  /** @param {Shared} shared @returns {Promise<Entry | null>} null: the person is to be asked first */
  async #model(shared) {
    const known = this.#known();
    if (known) return known.entry;
    const address = shared.hub ? `${shared.hub.repository}@${shared.hub.revision}` : shared.url;
    if (!address) return null;
    const [{ store }, { entryOf }, { hubAddress }, { choiceOf, storedOf }] = await Promise.all([
      import('./store/client.js'),
      import('./store/entries.js'),
      import('./store/settings.js'),
      import('./store/source.js'),
    ]);
    const { models } = await store.list();
    const { hub, url } = shared;
    const here = hub
      ? storedOf(models, hub)
      : models.find(({ phase, origin }) => phase === 'complete' && origin.kind === 'link' && origin.url === url);
    if (here) return entryOf(here);
    if (this.#choice) {
      const choice = this.#choice;
      await store.fetch(choice, {
        onProgress: (loadedBytes, totalBytes) => this.host.progress(choice.title, { phase: 'download', loadedBytes, totalBytes }),
      });
      return entryOf(choice);
    }
    const { choices } = await store.look(address, hubAddress());
    const choice = choiceOf(choices, hub?.file ?? null);
    if (!choice) throw Object.assign(new Error(`expected a model at ${address}, found none`), { code: 'missing_file' });
    this.#choice = choice;
    this.#words.textContent = t('share.ask', { model: choice.title, size: bytes(choice.bytes) });
    this.#go.textContent = t('share.fetch');
    return null;
  }
}

/** @param {string} id */
async function entryIn(id) {
  const { store } = await import('./store/client.js');
  return (await store.list()).models.find((model) => model.id === id) ?? null;
}
