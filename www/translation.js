/** The directions in which a model translates, and what it is given for each. */

/** @import { ModelInfo } from './protocol.js' */

/**
 * `from` and `to` are BCP 47, or null where the model does not say. `continues`: the model goes on with a text, which its
 * translation is a line of.
 * @typedef {{ from: string | null, to: string | null, prompt: (text: string) => string, continues: boolean }} Direction
 */

/** What T5 was trained on, by the names of its prompts; a model that has others says so in its own files. @type {Record<string, string>} */
const T5 = { de: 'German', fr: 'French', ro: 'Romanian' };

/** Three letters of ISO 639-3, as Marian's files have them, where two are usual. @type {Record<string, string>} */
const SHORT = {
  afr: 'af', ara: 'ar', bel: 'be', ben: 'bn', bul: 'bg', cat: 'ca', ces: 'cs', cmn: 'zh', dan: 'da', deu: 'de', ell: 'el',
  eng: 'en', epo: 'eo', est: 'et', eus: 'eu', fas: 'fa', fin: 'fi', fra: 'fr', gle: 'ga', glg: 'gl', heb: 'he', hin: 'hi',
  hrv: 'hr', hun: 'hu', hye: 'hy', ind: 'id', isl: 'is', ita: 'it', jpn: 'ja', kat: 'ka', kor: 'ko', lat: 'la', lav: 'lv',
  lit: 'lt', mkd: 'mk', msa: 'ms', mlt: 'mt', nld: 'nl', nob: 'nb', nno: 'nn', pol: 'pl', por: 'pt', ron: 'ro', rus: 'ru',
  slk: 'sk', slv: 'sl', spa: 'es', sqi: 'sq', swe: 'sv', tam: 'ta', tha: 'th', tur: 'tr', ukr: 'uk', urd: 'ur', vie: 'vi', zho: 'zh',
};

/**
 * What a model can do, by what it says of itself. `said`: what its user knows besides, such as the form of a prompt.
 * @param {ModelInfo} info @param {{ prompt?: string, from?: string, to?: string }} [said] @returns {Direction[]}
 */
export function directionsOf(info, { prompt, from, to } = {}) {
  if (prompt !== undefined) {
    const form = prompt;
    return [{ from: from ?? null, to: to ?? null, prompt: (text) => form.split('{text}').join(oneLine(text)), continues: true }];
  }
  if (!info.tasks.includes('translation')) return [];
  const prefixes = (info.encoder?.prefixes ?? []).flatMap(({ name, prefix }) => {
    const [, source, target] = /^translation_([a-z]{2,3})_to_([a-z]{2,3})$/.exec(name) ?? [];
    return source && target && typeof prefix === 'string' ? [before(prefix, source, target)] : [];
  });
  if (prefixes.length > 0) return prefixes;
  if (/t5$/.test(info.architecture)) {
    return Object.entries(T5).map(([target, name]) => before(`translate English to ${name}: `, 'en', target));
  }
  const { source = [], target = [], tagged = false } = info.languages ?? {};
  const sources = source.length > 0 ? source.map(tagOf) : [null];
  const targets = target.length > 0 ? target : [null];
  const all = sources.flatMap((one) => targets.map((name) => before(tagged && name !== null ? `>>${name}<< ` : '', one, name === null ? null : tagOf(name))));
  // A language may have several signs, one for each of its scripts or countries; the first is the usual one.
  return all.filter(({ from: a, to: b }, i) => all.findIndex((other) => other.from === a && other.to === b) === i);
}

/** A language as Marian's files name it (`fra`, `cmn_Hans`, `en`), as BCP 47. @param {string} name */
export function tagOf(name) {
  const [language = '', part = ''] = name.split(/[_-]/);
  const script = /^(?:[A-Z][a-z]{3}|[A-Z]{2})$/.test(part) ? part : '';
  return [SHORT[language] ?? language, script].filter(Boolean).join('-');
}

/** @param {string} prefix @param {string | null} from @param {string | null} to @returns {Direction} */
const before = (prefix, from, to) => ({ from, to, prompt: (text) => prefix + text, continues: false });

/** A line break would end what is to be translated. @param {string} text */
const oneLine = (text) => text.replace(/\s+/g, ' ').trim();
