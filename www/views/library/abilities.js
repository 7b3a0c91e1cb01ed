/** What this browser can do for the page, and what would make it faster or keep more. */

import { t } from '../../i18n.js';
import { chooseArtifact } from '../../artifacts.js';
import { threadsFor } from '../../threads.js';
import { offlineState } from '../../offline.js';
import { make } from '../dom.js';

/** @import { Key } from '../../i18n.js' */
/** @import { TierName } from '../../store/places.js' */

/** One line of the list: whether all is well, and in words what is and what would help. @typedef {{ name: Key, good: boolean, words: string }} Ability */

export class Abilities {
  #list = make('dl', { class: 'library-abilities', id: 'library-abilities' });
  root = make(
    'section',
    { class: 'stage', 'aria-labelledby': 'library-abilities-title' },
    make('div', { class: 'stage-head' }, make('h3', { id: 'library-abilities-title', words: 'library.abilities' })),
    this.#list,
  );
  /** @type {TierName | null} */ #tier = null;

  constructor() {
    offlineState.watch(() => this.relabel());
    this.relabel();
  }

  /** @param {TierName} tier */
  tier(tier) {
    if (tier === this.#tier) return;
    this.#tier = tier;
    this.relabel();
  }

  relabel() {
    const rows = [this.#storage(), this.#engine(), this.#threads(), this.#offline()].filter((row) => row !== null);
    this.#list.replaceChildren(
      ...rows.map(({ name, good, words }) =>
        make('div', { 'data-good': String(good), 'data-ability': name }, make('dt', { text: t(name) }), make('dd', { text: words })),
      ),
    );
  }

  /** @returns {Ability | null} */
  #storage() {
    const tier = this.#tier;
    if (!tier) return null;
    return { name: 'library.ability.storage', good: tier !== 'memory', words: t(`library.ability.storage.${tier}`) };
  }

  /** @returns {Ability} */
  #engine() {
    const artifact = chooseArtifact(1);
    const name = /** @type {const} */ ('library.ability.engine');
    if (!artifact) return { name, good: false, words: t('library.ability.engine.none') };
    const relaxed = artifact.name === 'relaxed';
    return { name, good: relaxed, words: t(relaxed ? 'library.ability.engine.relaxed' : 'library.ability.engine.simd128') };
  }

  /** @returns {Ability} */
  #threads() {
    const name = /** @type {const} */ ('library.ability.threads');
    const threads = threadsFor(undefined);
    if (chooseArtifact()?.threads) return { name, good: true, words: t('library.ability.threads.yes', { count: threads }) };
    if (!isSecureContext) return { name, good: false, words: t('library.ability.threads.insecure') };
    return { name, good: false, words: t('library.ability.threads.isolation') };
  }

  /** @returns {Ability} */
  #offline() {
    const { state } = offlineState;
    return { name: 'library.ability.offline', good: state === 'ready', words: t(`library.ability.offline.${state}`) };
  }
}
