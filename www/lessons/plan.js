/**
 * The lessons: what is shown at each step, and how an answer is checked against the model that is loaded. The words are
 * beside this file, one file per lesson and language, with as many steps. A further lesson is an entry here and those files.
 */

/** What to look at, in the language that the model writes. @typedef {Record<string, string>} Texts */

/**
 * A question with an answer that the model gives.
 * `tokens`: how many tokens a text has. `rank`: a guess at the next word, with its place in the model's list. `likelier`: which
 * of some ways to go on is likeliest. `entropy`: after which of some texts the model is least sure. `layers`:
 * after which layer it has settled.
 * @typedef {{ kind: 'tokens' | 'rank' | 'layers', text: Texts } | { kind: 'likelier', text: Texts, ways: Record<string, string[]> } | { kind: 'entropy', texts: Record<string, string[]> }} Check
 */

/**
 * @typedef {object} Step
 * @property {string} [panel]  of the Inside view, or `train` for a link there
 * @property {Texts} [text]
 * @property {Check} [check]
 * @property {boolean} [recorded]  there is a recording for before the model has arrived
 */

/** @typedef {{ id: string, minutes: number, steps: Step[] }} Lesson */

const STORY = { en: 'Once upon a time, there was a little girl named Lily. She loved to', zh: '床前明月光，疑是地上' };
const SHORT = { en: 'Once upon a time, there was a', zh: '春风' };
const BALLS = { en: 'Lily had a red ball. Tom had a blue ball. Lily threw her', zh: '明月出天山，苍茫云海间' };

/** @type {Lesson[]} */
export const LESSONS = [
  {
    id: 'tokens',
    minutes: 6,
    steps: [
      { panel: 'tokens', text: { en: 'Once upon a time, there was a little girl.', zh: '床前明月光' }, recorded: true },
      { panel: 'tokens', text: { en: 'The dinosaur said: unbelievable!', zh: '白日依山尽，黄河入海流' } },
      { panel: 'tokens', text: { en: 'Lily 😀 你好', zh: '明月 😀 moon' } },
      { check: { kind: 'tokens', text: { en: 'The rabbit hopped happily.', zh: '两个黄鹂鸣翠柳' } } },
    ],
  },
  {
    id: 'next',
    minutes: 7,
    steps: [
      { panel: 'next', text: STORY },
      { panel: 'next', text: { en: 'The sky is', zh: '明月' } },
      { check: { kind: 'rank', text: { en: 'Tom was very hungry, so he ate an', zh: '黄河之水天上' } } },
      { check: { kind: 'entropy', texts: { en: ['Once upon a', 'One day,'], zh: ['床前明月', '春'] } } },
    ],
  },
  {
    id: 'choice',
    minutes: 8,
    steps: [
      { panel: 'next', text: SHORT },
      { panel: 'next', text: SHORT },
      { panel: 'compare', text: SHORT },
      { check: { kind: 'likelier', text: { en: 'The little dog wagged its', zh: '春眠不觉' }, ways: { en: [' tail', ' house', ' sky'], zh: ['晓', '书', '酒'] } } },
    ],
  },
  {
    id: 'attention',
    minutes: 8,
    steps: [
      { panel: 'attention', text: BALLS },
      { panel: 'attention', text: BALLS },
      { panel: 'attention', text: BALLS },
      { check: { kind: 'likelier', text: { en: 'Tom had a dog named Max. Lily had a cat named Kitty. The cat was named', zh: '白日依山尽，黄河入海' }, ways: { en: [' Kitty', ' Max'], zh: ['流', '山'] } } },
    ],
  },
  {
    id: 'layers',
    minutes: 7,
    steps: [
      { panel: 'layers', text: STORY },
      { panel: 'layers', text: STORY },
      { panel: 'embeddings', text: STORY },
      { check: { kind: 'layers', text: { en: 'Once upon a', zh: '床前明月' } } },
    ],
  },
  {
    id: 'training',
    minutes: 10,
    steps: [{ panel: 'train' }, { panel: 'train' }, { panel: 'architecture', text: SHORT }, { check: { kind: 'likelier', text: { en: 'She was very', zh: '月' }, ways: { en: [' happy', ' the', ' xq'], zh: ['明', '了', '机'] } } }],
  },
  {
    id: 'limits',
    minutes: 8,
    steps: [
      { panel: 'compare', text: { en: 'The doctor said that', zh: '秋风' } },
      { panel: 'branch', text: { en: 'The capital of France is', zh: '北京' } },
      { panel: 'branch', text: { en: 'Bonjour, je suis un petit', zh: '我今天去超市买' } },
      { check: { kind: 'rank', text: { en: 'Two plus two is', zh: '一加一等于' } } },
    ],
  },
  {
    id: 'bigger',
    minutes: 6,
    steps: [{ panel: 'architecture', text: SHORT }, { panel: 'compare', text: STORY }, { check: { kind: 'tokens', text: { en: 'internationalization', zh: '人工智能语言模型' } } }],
  },
];
