/** How the page looks: its colours, its language, and where the settings stand. */

import { LANGUAGES, getLanguage, setLanguage } from './i18n.js';
import { byId, element } from './notices.js';
import { remember } from './store.js';

const narrow = matchMedia('(max-width: 46rem)');

/** On a wide screen the settings stand beside the text, on a narrow one they cover everything. @param {boolean} open */
function toggleSettings(open) {
  const cover = open && narrow.matches;
  byId('settings').classList.toggle('sheet-open', cover);
  byId('settings').classList.toggle('closed', !open && !narrow.matches);
  byId('settings-toggle').setAttribute('aria-expanded', String(open));
  for (const covered of document.querySelectorAll('header, #tasks, #paper, #desk, footer')) covered.toggleAttribute('inert', cover);
}

/** Puts the settings away; the keyboard is where they are brought back. */
export function closeSettings() {
  toggleSettings(false);
  byId('settings-toggle').focus();
}

export function startLook() {
  const theme = /** @type {HTMLSelectElement} */ (byId('theme'));
  theme.value = document.documentElement.dataset.choice ?? 'auto';
  theme.addEventListener('change', () => {
    document.documentElement.dataset.choice = theme.value;
    dispatchEvent(new Event('inkling:theme'));
    remember('theme', theme.value);
  });

  const language = /** @type {HTMLSelectElement} */ (byId('language'));
  for (const [code, { name, locale }] of Object.entries(LANGUAGES)) {
    language.append(Object.assign(element('option', name), { value: code, lang: locale }));
  }
  language.value = getLanguage();
  language.addEventListener('change', () => setLanguage(language.value));

  byId('settings-toggle').addEventListener('click', () => {
    toggleSettings(byId('settings-toggle').getAttribute('aria-expanded') !== 'true');
    if (narrow.matches) byId('settings-close').focus();
  });
  byId('settings-close').addEventListener('click', closeSettings);
  narrow.addEventListener('change', () => toggleSettings(!narrow.matches));
  toggleSettings(!narrow.matches);
}
