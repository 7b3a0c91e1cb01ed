/** What the engine runs, by `model_type` of a config.json: the lists of src/model, for pages that ask before they fetch. */

export const ARCHITECTURES = ['gpt2', 'llama', 'qwen2', 'qwen3'];

/** Those that read a text as a whole. */
export const ENCODERS = ['bert', 'distilbert', 'roberta', 'xlm-roberta', 'camembert', 'modernbert'];
