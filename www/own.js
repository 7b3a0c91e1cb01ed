/** A model of the person's own, of files that they picked or dropped: what it is called. */

/** @import { Entry } from './catalog.js' */
/** @import { NamedBlob } from './protocol.js' */

/** Names that any model might have, and those that a hub's cache gives its folders. */
const SAYS_NOTHING = /^(model|models|main|master|weights|snapshot|checkpoint([-_]\d+)?|final|best|output|[0-9a-f]{40})$/i;
/** A description is never longer, in bytes. */
const MOST = 1e6;

/** Opens the files as a model under a name that says something, if they have one. @param {NamedBlob[]} files @param {(entry: Entry) => void} open */
export function openOwn(files, open) {
  const [first] = files;
  if (!first) return;
  const folder = first.name.includes('/') ? first.name.slice(0, first.name.indexOf('/')) : '';
  const name = folder || (files.find((file) => /\.(gguf|safetensors)$/i.test(file.name)) ?? first).name;
  const openAs = (/** @type {string} */ title) => open({ id: `own:${title}`, source: { files }, languages: [], title: { en: title } });
  const description = files.find((file) => file.name.split('/').at(-1) === 'config.json');
  if (!description || description.blob.size > MOST || !SAYS_NOTHING.test(name.replace(/\.\w+$/, ''))) return openAs(name);
  return void nameIn(description.blob).then((found) => openAs(found ?? name));
}

/** What a config.json calls its model, else its kind. @param {Blob} blob */
async function nameIn(blob) {
  try {
    const { _name_or_path: path, model_type: kind } = JSON.parse(await blob.text());
    const name = typeof path === 'string' ? path.split(/[\\/]/).filter(Boolean).at(-1) : undefined;
    if (name && !/^\.+$/.test(name) && !SAYS_NOTHING.test(name)) return name.slice(0, 100);
    return typeof kind === 'string' && kind !== '' ? kind.slice(0, 100) : null;
  } catch {
    // Opening it will say what is wrong with it.
    return null;
  }
}
