/** A text in sentences and paragraphs, as its language has them. */

/** A part of a text, with its place there in UTF-16 units. @typedef {{ text: string, start: number, end: number }} Part */

/** @typedef {'sentence' | 'word'} Granularity */

/** What ends a sentence, for browsers that do not know any better. */
const ENDS = /[^.!?。！？…\n]*(?:[.!?…]+(?=\s|$)|[。！？]+["”’」』）)]*|\n|$)/g;

/** Words the sentences of a language do not end after, which browsers take for an end. */
const ABBREVIATION = /(?:^|\s)(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Nr|z\.B|d\.h|M|Mme|Sra?|bzw)\.$/;

/** Every sentence with what stands after it, so that they joined are the text. @param {string} text @param {string} [locale] @returns {Part[]} */
export function sentences(text, locale) {
  const parts = segments(text, 'sentence', locale) ?? matches(text, ENDS);
  /** @type {Part[]} */
  const whole = [];
  for (const part of parts) {
    const last = whole.at(-1);
    if (last && ABBREVIATION.test(last.text.trimEnd()) && !last.text.includes('\n')) {
      last.text += part.text;
      last.end = part.end;
    } else whole.push({ ...part });
  }
  return whole;
}

/** The words of a text, without what is between them; of Chinese and Japanese, single characters. @param {string} text @param {string} [locale] @returns {Part[]} */
export function words(text, locale) {
  const parts = segments(text, 'word', locale) ?? matches(text, /[\p{L}\p{N}\p{M}'’_-]+/gu);
  return parts.flatMap((part) => (/\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}/u.test(part.text) ? characters(part) : part));
}

/** @param {Part} part @returns {Part[]} */
function characters({ text, start }) {
  let at = start;
  return [...text].map((character) => ({ text: character, start: at, end: (at += character.length) }));
}

/** Paragraphs, or sentences, with something in them. @param {string} text @param {'paragraph' | 'sentence'} kind @param {string} [locale] @returns {Part[]} */
export function passages(text, kind, locale) {
  const parts = kind === 'sentence' ? sentences(text, locale) : matches(text, /\S(?:[^\n]|\n(?!\s*\n))*/g);
  return parts.flatMap((part) => trimmed(part) ?? []);
}

/** @param {Part} part @returns {Part | null} */
function trimmed({ text, start }) {
  const before = text.length - text.trimStart().length;
  const bare = text.trim();
  return /[\p{L}\p{N}]/u.test(bare) ? { text: bare, start: start + before, end: start + before + bare.length } : null;
}

/** @param {string} text @param {Granularity} granularity @param {string} [locale] @returns {Part[] | null} */
function segments(text, granularity, locale) {
  if (!('Segmenter' in Intl)) return null;
  try {
    const found = new Intl.Segmenter(locale, { granularity }).segment(text);
    return Array.from(found, ({ segment, index, isWordLike }) => ({ text: segment, start: index, end: index + segment.length, isWordLike }))
      .filter(({ isWordLike }) => granularity === 'sentence' || isWordLike)
      .map(({ text, start, end }) => ({ text, start, end }));
  } catch {
    // A language the browser does not know.
    return null;
  }
}

/** @param {string} text @param {RegExp} kind @returns {Part[]} */
const matches = (text, kind) =>
  Array.from(text.matchAll(kind), ({ 0: found, index }) => ({ text: found, start: index, end: index + found.length })).filter(({ text: found }) => found !== '');
