/** The settings of a training: what the presets choose for a text of this size, and what the engine is given. */

/** @import { CorpusOptions, TrainingOptions, VocabularyOptions } from '../../protocol.js' */

/** @typedef {'lesson' | 'lunch' | 'free'} PresetName */
/** @typedef {{ architecture: 'gpt2' | 'llama', layers: number, heads: number, width: number, context: number, dropout: number }} Shape */

/**
 * `steps`: null means as many as fit in `seconds`, once it is known how long one takes.
 * `separator`: `auto` is found from the text.
 * @typedef {object} Settings
 * @property {PresetName} preset
 * @property {Partial<Omit<CorpusOptions, 'held_out'>> & { separator: string, held_out: number | 'auto' }} corpus
 * @property {VocabularyOptions} vocabulary
 * @property {Shape} shape
 * @property {Partial<TrainingOptions> & { learning_rate: number, batch_size: number }} training
 * @property {number | null} steps
 * @property {number} seconds
 */

/** Of the time a preset has, the share for steps; the rest is for measurements and samples. */
const FOR_STEPS = 0.85;
const FEWEST_STEPS = 40;
/** A text that is read more often than this is learned by heart. */
const MOST_EPOCHS = 40;
/** So many times during a training, the held-out text is measured and a sample written. */
const MEASUREMENTS = 20;
/** More held-out text than this only takes time. */
const HELD_OUT_BYTES = 20_000;

/** @type {Record<'lesson' | 'lunch', { seconds: number, shape: Shape, batch: number, rate: number, bytesPerMerge: number, most: number }>} */
const PRESETS = {
  lesson: {
    seconds: 100,
    shape: { architecture: 'gpt2', layers: 3, heads: 4, width: 64, context: 64, dropout: 0.1 },
    batch: 8,
    rate: 4e-3,
    bytesPerMerge: 150,
    most: 512,
  },
  lunch: {
    seconds: 30 * 60,
    shape: { architecture: 'gpt2', layers: 4, heads: 4, width: 128, context: 128, dropout: 0.1 },
    batch: 8,
    rate: 3e-3,
    bytesPerMerge: 250,
    most: 2048,
  },
};

/**
 * @param {PresetName} preset @param {{ bytes: number, chinese: boolean }} text
 * @param {Settings | null} [before]  what the person has chosen of the cleaning stays
 * @returns {Settings}
 */
export function settingsFor(preset, text, before = null) {
  if (preset === 'free' && before) return { ...before, preset, steps: before.steps ?? 500 };
  const { seconds, shape, batch, rate, bytesPerMerge, most } = PRESETS[preset === 'lunch' ? 'lunch' : 'lesson'];
  const merges = Math.max(64, Math.floor(text.bytes / bytesPerMerge));
  const size = Math.min(most, 256 + merges);
  return {
    preset,
    corpus: before?.corpus ?? {
      separator: 'auto',
      unicode: 'nfc',
      whitespace: 'collapse',
      lowercase: false,
      min_character_count: 0,
      held_out: 'auto',
    },
    // Chinese has its units in plain sight, and three bytes for each.
    vocabulary: text.chinese
      ? { kind: 'characters', size: 6000 }
      : { kind: 'byte-level-bpe', size: 8 * Math.floor(size / 8) },
    shape,
    training: {
      learning_rate: rate,
      batch_size: batch,
      weight_decay: 0.1,
      max_grad_norm: 1,
      lr_scheduler_type: 'cosine',
      early_stopping_patience: 6,
      seed: 1,
      sample_prompt: '',
    },
    steps: preset === 'free' ? 500 : null,
    seconds,
  };
}

/** The cleaning, for a text of this size and shape. @param {Settings} settings @param {{ bytes: number, head: string }} text @returns {Partial<CorpusOptions>} */
export function corpusOptions({ corpus }, { bytes, head }) {
  const separator = corpus.separator === 'auto' ? separatorOf(head) : corpus.separator;
  const held_out =
    corpus.held_out === 'auto' ? Math.min(0.1, Math.max(0.001, HELD_OUT_BYTES / Math.max(bytes, 1))) : corpus.held_out;
  return { ...corpus, separator, held_out };
}

/** What stands between the documents of a text, to judge by its beginning. @param {string} head */
function separatorOf(head) {
  if (head.includes('<|endoftext|>')) return '<|endoftext|>';
  const lines = head.split('\n').filter((line) => line.trim() !== '');
  const paragraphs = head.split(/\n\s*\n/).length;
  if (paragraphs >= 10) return '\n\n';
  // Many short lines are verse or a list; a few long ones are paragraphs.
  return lines.length >= 20 ? '\n' : '';
}

/** Whether a text is mostly Chinese. @param {string} head */
export const isChinese = (head) => (head.match(/\p{Script=Han}/gu)?.length ?? 0) > 0.3 * head.replace(/\s/g, '').length;

/** The fields of config.json. @param {Shape} shape @returns {Record<string, unknown>} */
export function modelConfig({ architecture, layers, heads, width, context, dropout }) {
  if (architecture === 'gpt2') {
    return {
      model_type: 'gpt2',
      n_layer: layers,
      n_head: heads,
      n_embd: width,
      n_positions: context,
      resid_pdrop: dropout,
      embd_pdrop: dropout,
      attn_pdrop: dropout,
      tie_word_embeddings: true,
    };
  }
  return {
    model_type: 'llama',
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    hidden_size: width,
    // As wide as makes a gated layer as large as GPT-2's.
    intermediate_size: 16 * Math.ceil((width * 8) / 3 / 16),
    max_position_embeddings: context,
    attention_dropout: dropout,
    tie_word_embeddings: true,
  };
}

/** @param {Settings} settings @param {number} steps @returns {Partial<TrainingOptions>} */
export function trainingOptions({ training, shape }, steps) {
  return {
    ...training,
    min_learning_rate: training.learning_rate / 10,
    max_steps: steps,
    warmup_steps: Math.min(100, Math.ceil(steps / 10)),
    eval_steps: Math.max(5, Math.round(steps / MEASUREMENTS)),
    sequence_length: shape.context,
  };
}

/**
 * How many steps: what the person says, else as many as fit in the time, unless the text is read too often by then.
 * @param {Settings} settings @param {number | null} milliseconds  for one step @param {number} stepsPerEpoch
 */
export function stepsFor({ steps, seconds }, milliseconds, stepsPerEpoch) {
  if (steps !== null) return steps;
  if (milliseconds === null) return 500;
  const fitting = (seconds * 1000 * FOR_STEPS) / Math.max(milliseconds, 0.1);
  return Math.floor(Math.max(FEWEST_STEPS, Math.min(fitting, MOST_EPOCHS * stepsPerEpoch)));
}
