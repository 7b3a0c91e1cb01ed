/** What the engine runs, by `model_type` of a config.json: the lists of src/model, for pages that ask before they fetch. */

export const ARCHITECTURES = ['gpt2', 'llama', 'mistral', 'qwen2', 'qwen3', 'phi3', 'smollm3', 'gemma3_text', 'gemma3', 'gpt_neox', 'gptneox', 't5', 'mt5', 'marian', 'bart'];

/** Those that read a text as a whole. */
export const ENCODERS = ['bert', 'distilbert', 'roberta', 'xlm-roberta', 'camembert', 'modernbert'];
