/** Whether a text can be in a language, as far as its letters tell. */

/** The letters of languages, by the names of their scripts in BCP 47. @type {Record<string, RegExp | undefined>} */
const SCRIPTS = {
  Latn: /\p{Script=Latin}/u,
  Cyrl: /\p{Script=Cyrillic}/u,
  Arab: /\p{Script=Arabic}/u,
  Hans: /\p{Script=Han}/u,
  Hant: /\p{Script=Han}/u,
  Jpan: /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]/u,
  Kore: /[\p{Script=Hangul}\p{Script=Han}]/u,
};

/** Whether most of a text's letters are those of a language; of one whose letters are not known here, they may be. @param {string} text @param {string} language */
export function isIn(text, language) {
  const script = language === '' ? undefined : new Intl.Locale(language).maximize().script;
  const pattern = script ? SCRIPTS[script] : undefined;
  const letters = text.match(/\p{L}/gu) ?? [];
  return pattern === undefined || letters.filter((letter) => pattern.test(letter)).length >= letters.length / 2;
}
