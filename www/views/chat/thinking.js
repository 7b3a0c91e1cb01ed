/** A reply in two parts: what the model thought before it, between `<think>` and `</think>`, and what it says. */

const BEGIN = '<think>';
const END = '</think>';

/**
 * `thought` is null where there is none; `thinking`: it has not come to an end.
 * @param {string} text @returns {{ thought: string | null, said: string, thinking: boolean }}
 */
export function split(text) {
  const start = text.trimStart();
  if (!start.startsWith(BEGIN)) {
    // While the first token comes in pieces it may still become one.
    const opening = start !== '' && BEGIN.startsWith(start);
    return { thought: null, said: opening ? '' : text, thinking: false };
  }
  const rest = start.slice(BEGIN.length);
  const end = rest.indexOf(END);
  if (end < 0) return { thought: rest.trim(), said: '', thinking: true };
  const thought = rest.slice(0, end).trim();
  // An empty thought is how a template says that there is to be none.
  return { thought: thought === '' ? null : thought, said: rest.slice(end + END.length).replace(/^\n+/, ''), thinking: false };
}

/** What a text that ends in an opened thought leaves open: the reply goes on inside it. @param {string} text  that the model reads */
export const opened = (text) => (text.trimEnd().endsWith(BEGIN) ? `${BEGIN}\n` : '');
