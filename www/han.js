/**
 * Chinese without the spaces that a vocabulary of single characters leaves between them: `BertTokenizer` puts one before
 * every token that begins a word, and to it each character is one.
 */

const BETWEEN = /(?<=[\p{Script=Han}\p{Po}\p{Ps}\p{Pe}\p{Pi}\p{Pf}]) (?=\p{Script=Han})|(?<=\p{Script=Han}) (?=[\p{Po}\p{Ps}\p{Pe}\p{Pi}\p{Pf}])/gu;

/** @param {string} before  what the text comes after @param {string} text */
export function closeUp(before, text) {
  const last = before.slice(-1);
  return (last + text).replace(BETWEEN, '').slice(last.length);
}
