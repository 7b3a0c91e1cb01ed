/** What the engine runs, by `model_type` of a config.json: the list of src/model/mod.rs, for pages that ask before they fetch. */

export const ARCHITECTURES = ['gpt2', 'llama', 'qwen2', 'qwen3'];
