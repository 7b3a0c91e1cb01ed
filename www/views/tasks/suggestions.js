/**
 * Models of the hub that do a task and are small enough for a tab, each with what it gets wrong. Sizes are about right: the
 * hub says what they are when asked. A further one is one more entry.
 */

/** @import { Entry } from '../../catalog.js' */

/**
 * @typedef {object} Suggestion
 * @property {string} repository
 * @property {string} [file]  of a repository that has several models
 * @property {string[]} tasks
 * @property {number} bytes
 * @property {number} parameters
 * @property {string[]} languages  of the texts; `mul`: about a hundred
 * @property {string} license
 * @property {{ en: string, zh: string }} about
 * @property {Entry['embedding']} [embedding]
 */

const FILL = ['fill-mask'];
const ASK = ['question-answering'];
const EMBED = ['feature-extraction'];
const SUMMARISE = ['summarization', 'text2text-generation'];
const T5 = ['text2text-generation', 'translation', 'summarization'];

/** Marian models: from, to, bytes. @type {[string, string, number][]} */
const MARIAN = [
  ['en', 'de', 298e6],
  ['de', 'en', 298e6],
  ['en', 'fr', 301e6],
  ['fr', 'en', 301e6],
  ['en', 'es', 312e6],
  ['es', 'en', 312e6],
  ['en', 'zh', 312e6],
  ['zh', 'en', 312e6],
  ['en', 'ru', 307e6],
  ['ru', 'en', 307e6],
];

/** @type {Suggestion[]} */
export const SUGGESTIONS = [
  {
    repository: 'distilbert/distilroberta-base',
    tasks: FILL,
    bytes: 331e6,
    parameters: 82e6,
    languages: ['en'],
    license: 'Apache-2.0',
    about: { en: 'Quick, and good at grammar. Prefers the commonest word to the true one.', zh: '速度快，语法感好；常选最常见的词，而不是正确的词。' },
  },
  {
    repository: 'google-bert/bert-base-uncased',
    tasks: FILL,
    bytes: 441e6,
    parameters: 110e6,
    languages: ['en'],
    license: 'Apache-2.0',
    about: { en: 'The BERT of the textbooks. Knows no capitals, and has the prejudices of its texts about who does which work.', zh: '教科书里的 BERT。不分大小写；对“谁做什么工作”带有语料里的偏见。' },
  },
  {
    repository: 'answerdotai/ModernBERT-base',
    tasks: FILL,
    bytes: 599e6,
    parameters: 149e6,
    languages: ['en'],
    license: 'Apache-2.0',
    about: { en: 'BERT as of 2024: texts of 8,192 tokens, and code. Facts it fills in are guesses all the same.', zh: '2024 年的 BERT：能读 8192 个词元，也懂代码；填出的“事实”仍只是猜测。' },
  },
  {
    repository: 'google-bert/bert-base-chinese',
    tasks: FILL,
    bytes: 412e6,
    parameters: 103e6,
    languages: ['zh'],
    license: 'Apache-2.0',
    about: { en: 'One character for each gap. Words of several characters need as many gaps, and these are guessed apart.', zh: '一个空填一个字；多字词要留多个空，而每个空是分开猜的。' },
  },
  {
    repository: 'FacebookAI/xlm-roberta-base',
    tasks: FILL,
    bytes: 1.12e9,
    parameters: 278e6,
    languages: ['mul'],
    license: 'MIT',
    about: { en: 'A hundred languages in one, most of its size being their vocabulary. Weaker in each than a model of that language alone.', zh: '一个模型懂一百种语言，体积大半是词表；在每种语言上都不如专门的模型。' },
  },
  {
    repository: 'distilbert/distilbert-base-cased-distilled-squad',
    tasks: ASK,
    bytes: 261e6,
    parameters: 65e6,
    languages: ['en'],
    license: 'Apache-2.0',
    about: { en: 'Points at an answer always, also where the text has none.', zh: '总会指出一个答案，哪怕文中根本没有。' },
  },
  {
    repository: 'deepset/minilm-uncased-squad2',
    tasks: ASK,
    bytes: 133e6,
    parameters: 33e6,
    languages: ['en'],
    license: 'CC-BY-4.0',
    about: { en: 'Small, and can say that there is no answer. Mistakes negations, and whoever stands nearest for who is meant.', zh: '小巧，会说“没有答案”；常弄错否定句，也常把离得最近的人当成所问的人。' },
  },
  {
    repository: 'deepset/xlm-roberta-base-squad2',
    tasks: ASK,
    bytes: 1.11e9,
    parameters: 277e6,
    languages: ['mul'],
    license: 'CC-BY-4.0',
    about: { en: 'Trained on English questions, and answers in a hundred languages, with less certainty. Can say that there is no answer.', zh: '用英文问题训练，也能用一百种语言回答，只是没那么准；会说“没有答案”。' },
  },
  {
    repository: 'sentence-transformers/all-MiniLM-L6-v2',
    tasks: EMBED,
    bytes: 91e6,
    parameters: 23e6,
    languages: ['en'],
    license: 'Apache-2.0',
    about: { en: 'Finds what is about the same thing. “He came.” and “He did not come.” are more alike to it (0.69) than a sleeping cat and a napping pet (0.55).', zh: '能找到谈同一件事的话；但在它看来，“他来了”和“他没来”（0.69）比“猫在睡觉”和“宠物在打盹”（0.55）还要像。' },
  },
  {
    repository: 'intfloat/multilingual-e5-small',
    tasks: EMBED,
    bytes: 471e6,
    parameters: 118e6,
    languages: ['mul'],
    license: 'MIT',
    about: { en: 'Finds a passage in one language by a question in another. Its similarities all lie between 0.7 and 1: only their order counts.', zh: '可以用一种语言的问题找到另一种语言的段落；相似度都在 0.7 到 1 之间，只看先后。' },
    embedding: { pooling: 'mean', query: 'query: ', passage: 'passage: ' },
  },
  {
    repository: 'BAAI/bge-small-zh-v1.5',
    tasks: EMBED,
    bytes: 95e6,
    parameters: 24e6,
    languages: ['zh'],
    license: 'MIT',
    about: { en: 'For Chinese. Takes rare names for one another.', zh: '专为中文。生僻的人名、地名容易混淆。' },
    embedding: { pooling: 'cls', query: '为这个句子生成表示以用于检索相关文章：' },
  },
  {
    repository: 'google-t5/t5-small',
    tasks: T5,
    bytes: 242e6,
    parameters: 61e6,
    languages: ['en', 'de', 'fr', 'ro'],
    license: 'Apache-2.0',
    about: { en: 'From English into German, French and Romanian, and short summaries. Leaves things out, and copies where it should sum up.', zh: '英语译德、法、罗马尼亚语，也能写短摘要；会漏译，摘要多半是照抄。' },
  },
  {
    repository: 'google/flan-t5-small',
    tasks: T5,
    bytes: 308e6,
    parameters: 77e6,
    languages: ['en', 'de', 'fr'],
    license: 'Apache-2.0',
    about: { en: 'Follows short instructions in English. Often answers with a piece of the text, and cannot count or reason.', zh: '能听懂简短的英文指令；常用原文片段作答，不会计数，也不会推理。' },
  },
  {
    repository: 'sshleifer/distilbart-cnn-6-6',
    tasks: SUMMARISE,
    bytes: 460e6,
    parameters: 230e6,
    languages: ['en'],
    license: 'Apache-2.0',
    about: { en: 'Summaries in the manner of news. Now and then puts in what the text does not say.', zh: '写新闻式的摘要；偶尔会写进原文没有的内容。' },
  },
  ...MARIAN.map(([from, to, bytes]) => ({
    repository: `Helsinki-NLP/opus-mt-${from}-${to}`,
    tasks: ['translation'],
    bytes,
    parameters: bytes / 4,
    languages: [from, to],
    license: from === 'zh' || to === 'zh' ? 'CC-BY-4.0' : 'Apache-2.0',
    about: {
      en: 'One direction, sentence by sentence. Loses who “she” is from one sentence to the next; poor at names and slang.',
      zh: '只译一个方向，一句一句地译；不记得上一句里的“她”是谁，人名和俚语译得差。',
    },
  })),
  {
    repository: 'Qwen/Qwen2.5-0.5B-Instruct-GGUF',
    file: 'qwen2.5-0.5b-instruct-q8_0.gguf',
    tasks: ['text-generation', 'chat'],
    bytes: 676e6,
    parameters: 494e6,
    languages: ['zh', 'en'],
    license: 'Apache-2.0',
    about: { en: 'A chat model, told in words what to do. Leaves things out, and now and then makes something up.', zh: '对话模型，用文字告诉它做什么。会遗漏内容，偶尔还会编造。' },
  },
];

/** What is known of a repository, also where it is called by what it was called before. @param {string} repository */
export function suggestionOf(repository) {
  const name = repository.split('/').at(-1);
  return SUGGESTIONS.find((suggestion) => suggestion.repository.split('/').at(-1) === name) ?? null;
}

/** To be fetched, and kept. @param {Suggestion} suggestion @param {string} hubUrl @returns {Entry} */
export const entryOf = ({ repository, file, tasks, bytes, parameters, languages, about, embedding }, hubUrl) => ({
  id: `hub:${repository}`,
  source: { hub: repository, file, hubUrl },
  languages,
  title: { en: repository.split('/').at(-1) ?? repository },
  description: about,
  bytes,
  parameters,
  tasks,
  embedding,
});

/** A model of the store by the name it was fetched under, with what is known of it. @param {Entry} entry @returns {Entry} */
export function known(entry) {
  const [, repository = ''] = /^stored:(.+?)@/.exec(entry.id) ?? [];
  const found = suggestionOf(repository);
  if (!found) return entry;
  return { ...entry, languages: found.languages, description: found.about, tasks: found.tasks, embedding: found.embedding };
}
