/** Which page is for which task. */

/** By the name of the view: tasks, as transformers calls its pipelines. A chat model can be told to do some of them. @type {Record<string, string[]>} */
const PAGES = {
  write: ['text-generation'],
  chat: ['chat'],
  translate: ['translation', 'chat'],
  summarise: ['summarization', 'text2text-generation', 'chat'],
  ask: ['question-answering'],
  fill: ['fill-mask'],
  search: ['feature-extraction'],
};

/** The pages that a model can serve. @param {string[]} tasks  what it can do @returns {('write' | 'translate' | 'summarise' | 'ask' | 'fill' | 'search')[]} */
export const pagesFor = (tasks) =>
  /** @type {any} */ (Object.keys(PAGES).filter((name) => document.querySelector(`#tasks [data-view=${name}]`) && PAGES[name]?.some((task) => tasks.includes(task))));

/** The tasks of which a page does one. @param {string} name */
export const pageTasks = (name) => PAGES[name] ?? [];
