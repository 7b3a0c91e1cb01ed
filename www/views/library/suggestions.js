/**
 * Models that are known to run here and are worth a look. Sizes are about right: the hub says what they are when asked.
 * A further one is one more entry; `chat`: it was trained to take turns, and the Chat view offers it.
 */

const ENGLISH = ['en'];

/** @type {{ repository: string, chat?: boolean, file: string | null, bytes: number, parameters: number, languages: string[], license: string, purpose: { en: string, zh: string } }[]} */
export const SUGGESTIONS = [
  {
    repository: 'distilbert/distilgpt2',
    file: null,
    bytes: 354e6,
    parameters: 82e6,
    languages: ENGLISH,
    license: 'Apache-2.0',
    purpose: {
      en: 'GPT-2’s little sister: quick, and good enough to see what GPT-2 does.',
      zh: 'GPT-2 的精简版：速度快，足以看出 GPT-2 的样子。',
    },
  },
  {
    repository: 'openai-community/gpt2',
    file: null,
    bytes: 551e6,
    parameters: 124e6,
    languages: ENGLISH,
    license: 'MIT',
    purpose: {
      en: 'The GPT-2 of the textbooks. Continues any English text; knows the web of 2019.',
      zh: '教科书里的 GPT-2。能续写任何英文，知识停留在 2019 年的网络。',
    },
  },
  {
    repository: 'openai-community/gpt2-medium',
    file: null,
    bytes: 1.52e9,
    parameters: 355e6,
    languages: ENGLISH,
    license: 'MIT',
    purpose: {
      en: 'Three times as large: keeps to its subject for longer, and writes more slowly.',
      zh: '大三倍：更能守住话题，写得也更慢。',
    },
  },
  {
    repository: 'openai-community/gpt2-large',
    file: null,
    bytes: 3.25e9,
    parameters: 774e6,
    languages: ENGLISH,
    license: 'MIT',
    purpose: {
      en: 'For computers with much memory. Noticeably better sense; close to the most a tab can hold.',
      zh: '适合内存很大的电脑。明显更通顺，已接近一个标签页的上限。',
    },
  },
  {
    repository: 'HuggingFaceTB/SmolLM2-135M',
    file: null,
    bytes: 271e6,
    parameters: 135e6,
    languages: ENGLISH,
    license: 'Apache-2.0',
    purpose: {
      en: 'As small as GPT-2 but of 2024: knows far more, and is of the Llama family.',
      zh: '与 GPT-2 差不多大，却是 2024 年的模型：懂得多得多，属于 Llama 一族。',
    },
  },
  {
    repository: 'HuggingFaceTB/SmolLM2-360M',
    file: null,
    bytes: 726e6,
    parameters: 362e6,
    languages: ENGLISH,
    license: 'Apache-2.0',
    purpose: {
      en: 'The next size: a good balance of sense and speed on an ordinary laptop.',
      zh: '再大一号：在普通笔记本上兼顾质量与速度。',
    },
  },
  {
    repository: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    chat: true,
    file: null,
    bytes: 271e6,
    parameters: 135e6,
    languages: ENGLISH,
    license: 'Apache-2.0',
    purpose: {
      en: 'Taught to reply: the smallest that chats at all. Quick, friendly, and often wrong.',
      zh: '学过对话，能聊天的模型里最小的。快、友善，也常常出错。',
    },
  },
  {
    repository: 'HuggingFaceTB/SmolLM2-360M-Instruct-GGUF',
    chat: true,
    file: null,
    bytes: 386e6,
    parameters: 362e6,
    languages: ENGLISH,
    license: 'Apache-2.0',
    purpose: {
      en: 'The next size, quantized: follows simple wishes in English.',
      zh: '再大一号的量化版：能照办简单的英文请求。',
    },
  },
  {
    repository: 'unsloth/Llama-3.2-1B-Instruct-GGUF',
    chat: true,
    file: null,
    bytes: 808e6,
    parameters: 1.24e9,
    languages: ['en', 'de', 'fr', 'it', 'pt', 'hi', 'es', 'th'],
    license: 'Llama 3.2',
    purpose: {
      en: 'For computers with memory to spare: the best sense here in eight languages, and the slowest.',
      zh: '适合内存充裕的电脑：八种语言，在这里最通顺，也最慢。',
    },
  },
  {
    repository: 'Qwen/Qwen2.5-0.5B-Instruct-GGUF',
    chat: true,
    file: null,
    bytes: 676e6,
    parameters: 494e6,
    languages: ['zh', 'en'],
    license: 'Apache-2.0',
    purpose: {
      en: 'Chinese, English and some thirty other languages, in several quantizations. Writes on more soberly than GPT-2.',
      zh: '中文、英文和约三十种其他语言，有多种量化可选。续写比 GPT-2 更稳当。',
    },
  },
  {
    repository: 'Qwen/Qwen3-0.6B-GGUF',
    chat: true,
    file: null,
    bytes: 639e6,
    parameters: 596e6,
    languages: ['zh', 'en'],
    license: 'Apache-2.0',
    purpose: {
      en: 'The generation after: a hundred languages, and the best sense of its size.',
      zh: '再下一代：支持上百种语言，在同等大小中最通顺。',
    },
  },
  {
    repository: 'ggml-org/Qwen2.5-Coder-0.5B-Q8_0-GGUF',
    file: null,
    bytes: 531e6,
    parameters: 494e6,
    languages: ['en', 'zh'],
    license: 'Apache-2.0',
    purpose: {
      en: 'For code: begin a function in Python, JavaScript, C or Rust, and it goes on.',
      zh: '写代码用：用 Python、JavaScript、C 或 Rust 写个函数开头，它会接着写。',
    },
  },
  {
    repository: 'EleutherAI/pythia-160m',
    file: null,
    bytes: 375e6,
    parameters: 162e6,
    languages: ENGLISH,
    license: 'Apache-2.0',
    purpose: {
      en: 'Made for looking inside: what it read is public, and so are its states along the way. As large as GPT-2.',
      zh: '专为研究内部而做：读过什么、训练途中的样子都公开。与 GPT-2 一样大。',
    },
  },
  {
    repository: 'unsloth/gemma-3-270m-it-GGUF',
    file: null,
    bytes: 292e6,
    parameters: 268e6,
    languages: ['en', 'zh'],
    license: 'Gemma',
    purpose: {
      en: 'Gemma 3, the smallest: most of it is a vocabulary of 262,144 tokens for over a hundred languages.',
      zh: '最小的 Gemma 3：参数多半是含 262144 个词元的词表，涵盖上百种语言。',
    },
  },
  {
    repository: 'souljoy/gpt2-small-chinese-cluecorpussmall',
    file: null,
    bytes: 244e6,
    parameters: 61e6,
    languages: ['zh'],
    license: 'Apache-2.0',
    purpose: {
      en: 'A Chinese GPT-2 with a vocabulary of single characters: light and quick.',
      zh: '中文 GPT-2，以单字为词表：小巧快速。',
    },
  },
];
