/** The directions in which a model translates, and what it is given for each. */

/** @import { ModelInfo } from './protocol.js' */

/**
 * `from` and `to` are BCP 47, or null where the model does not say. `continues`: the model goes on with a text, which its
 * translation is a line of.
 * @typedef {{ from: string | null, to: string | null, prompt: (text: string) => string, continues: boolean }} Direction
 */

/** What T5 was trained on, by the names of its prompts; a model that has others says so in its own files. @type {Record<string, string>} */
const T5 = { de: 'German', fr: 'French', ro: 'Romanian' };

/** Three letters of ISO 639-3 that Marian's signs have, where two are usual. @type {Record<string, string>} */
const SHORT = {
  afr: 'af', ara: 'ar', bel: 'be', ben: 'bn', bul: 'bg', cat: 'ca', ces: 'cs', cmn: 'zh', dan: 'da', deu: 'de', ell: 'el',
  eng: 'en', epo: 'eo', est: 'et', eus: 'eu', fas: 'fa', fin: 'fi', fra: 'fr', gle: 'ga', glg: 'gl', heb: 'he', hin: 'hi',
  hrv: 'hr', hun: 'hu', hye: 'hy', ind: 'id', isl: 'is', ita: 'it', jpn: 'ja', kat: 'ka', kor: 'ko', lat: 'la', lav: 'lv',
  lit: 'lt', mkd: 'mk', msa: 'ms', mlt: 'mt', nld: 'nl', nob: 'nb', nno: 'nn', pol: 'pl', por: 'pt', ron: 'ro', rus: 'ru',
  slk: 'sk', slv: 'sl', spa: 'es', sqi: 'sq', swe: 'sv', tam: 'ta', tha: 'th', tur: 'tr', ukr: 'uk', urd: 'ur', vie: 'vi', zho: 'zh',
};

/** `>>fra<<`, `>>cmn_Hans<<`: what a text begins with for a Marian model that writes several languages. */
const SIGN = /^>>([a-z]{2,3})(?:[_-]([A-Za-z]{2,8}))?(?:[_-]\w+)*<<$/;

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
  const prefixes = Object.entries(info.taskPrefixes ?? {}).flatMap(([task, prefix]) => {
    const [, source, target] = /^translation_([a-z]{2,3})_to_([a-z]{2,3})$/.exec(task) ?? [];
    return source && target ? [before(prefix, source, target)] : [];
  });
  if (prefixes.length > 0) return prefixes;
  if (/t5$/.test(info.architecture)) {
    return Object.entries(T5).map(([target, name]) => before(`translate English to ${name}: `, 'en', target));
  }
  const source = info.sourceLanguage ?? null;
  const signs = (info.languageTokens ?? []).flatMap((sign) => {
    const target = tagOf(sign);
    return target ? [before(`${sign} `, source, target)] : [];
  });
  // A tag may have several signs; the first is the usual one.
  const byTag = signs.filter(({ to: target }, i) => signs.findIndex((other) => other.to === target) === i);
  return byTag.length > 0 ? byTag : [before('', source, info.targetLanguage ?? null)];
}

/** The language of a Marian model's sign, as BCP 47. @param {string} sign @returns {string | null} */
export function tagOf(sign) {
  const [, language, script] = SIGN.exec(sign) ?? [];
  if (!language) return null;
  return [SHORT[language] ?? language, script].filter(Boolean).join('-');
}

/** @param {string} prefix @param {string | null} from @param {string | null} to @returns {Direction} */
const before = (prefix, from, to) => ({ from, to, prompt: (text) => prefix + text, continues: false });

/** A line break would end what is to be translated. @param {string} text */
const oneLine = (text) => text.replace(/\s+/g, ' ').trim();
