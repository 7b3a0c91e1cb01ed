/** Models that are made for conversations, of those that are suggested in the Models view. */

import { bytes, getLanguage, number, t } from '../../i18n.js';
import { make } from '../dom.js';
import { SUGGESTIONS } from '../library/suggestions.js';

export function suggestions() {
  const names = new Intl.DisplayNames([document.documentElement.lang || 'en'], { type: 'language' });
  const list = make('ul', { class: 'chat-models' });
  for (const { repository, bytes: size, parameters, languages, purpose, chat } of SUGGESTIONS) {
    if (!chat) continue;
    const facts = [
      t('model.download', { size: bytes(size) }),
      t('model.parameters', { parameters: number(parameters, { notation: 'compact', maximumSignificantDigits: 3 }) }),
      languages.map((tag) => names.of(tag) ?? tag).join(', '),
    ];
    list.append(
      make(
        'li',
        {},
        make('a', { href: `#library/${repository}`, text: repository.split('/').at(-1) ?? repository }),
        make('span', { class: 'faded', text: facts.join(' · ') }),
        make('span', { text: purpose[/** @type {'en' | 'zh'} */ (getLanguage())] ?? purpose.en }),
      ),
    );
  }
  return make('div', {}, make('p', { class: 'faded', words: 'chat.suggested.help' }), list);
}
