/** What the engine runs, by `model_type` of a config.json: the lists of src/model, for pages that ask before they fetch. */

export const ARCHITECTURES = ['gpt2', 'llama', 'mistral', 'qwen2', 'qwen3', 'phi3', 'smollm3', 'gemma3_text', 'gpt_neox', 't5', 'mt5', 'marian', 'bart'];

/** Those of which only the part that reads text is run. */
export const WITH_PICTURES = ['gemma3'];

/** Those that read a text as a whole. */
export const ENCODERS = ['bert', 'distilbert', 'roberta', 'xlm-roberta', 'camembert', 'modernbert'];
