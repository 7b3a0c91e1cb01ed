/**
 * What is at an address before anything of it is fetched: a repository of a hub that answers as Hugging Face's does, a
 * .gguf file, or a folder. Each model that can be had there is a choice, with its files and their sizes.
 */

import { looksLikeHtml } from '../answers.js';
import { readIndex } from '../sources.js';
import { StoreError, reach, refusal } from './errors.js';

/** @import { Origin } from './records.js' */

export const HUB = 'https://huggingface.co';

/** One file of a model, before it is here. @typedef {{ name: string, url: string, size: number, sha256: string | null }} Remote */

/**
 * A model that can be had.
 * @typedef {object} Choice
 * @property {string} id  what it is stored as
 * @property {string} title
 * @property {'safetensors' | 'gguf'} kind
 * @property {string} quantization  as the file's name says it; empty where it does not
 * @property {Origin} origin
 * @property {string | null} license
 * @property {Remote[]} files
 * @property {number} bytes
 */

/** `modelType`: as the repository says; `problem`: a code, where there is nothing to be had. @typedef {{ title: string, page: string | null, license: string | null, modelType: string | null, choices: Choice[], problem: 'none' | 'pytorch_only' | 'split' | null }} Found */

/** What somebody asked for. @typedef {{ kind: 'hub', hub: string, repository: string, revision: string, file: string | null } | { kind: 'link', url: URL }} Wish */

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const SMALL = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'vocab.json', 'merges.txt', 'vocab.txt'];
/** What models of some kinds have besides: vocabularies of sentencepiece, chat templates, how vectors of texts are made. */
const BESIDE = ['spiece.model', 'sentencepiece.bpe.model', 'tokenizer.model', 'source.spm', 'target.spm', 'chat_template.jinja', 'modules.json', 'sentence_bert_config.json', '1_Pooling/config.json'];

/**
 * Reads `owner/name`, `owner/name@revision`, a link to a repository or a file of it, or any other address.
 * @param {string} text @param {string} hub  the address of the hub
 * @returns {Wish}
 */
export function readWish(text, hub) {
  const words = text.trim().replace(/\/+$/, '');
  const plain = /^(?:([\w.-]+)\/)?([\w.-]+)(?:@([\w./-]+))?$/.exec(words);
  if (plain && !/\.gguf$/i.test(words)) {
    const [, owner, name = '', revision = 'main'] = plain;
    return { kind: 'hub', hub, repository: owner ? `${owner}/${name}` : name, revision, file: null };
  }
  const url = toUrl(/^[a-z]+:\/\//i.test(words) ? words : `https://${words}`);
  // Some browsers take any words for the name of a host.
  if (!url || !['http:', 'https:'].includes(url.protocol) || !/^[\w.:[\]-]+$/.test(url.host)) {
    throw new StoreError('bad_source', `expected owner/name or an http(s) address, found ${JSON.stringify(words.slice(0, 80))}`);
  }
  // Words with slashes between them are no host, unless somebody says that they are.
  if (!/^[a-z]+:\/\//i.test(words) && !/[.:]/.test(url.host) && url.host !== 'localhost') {
    throw new StoreError('bad_source', `expected owner/name or an address, found ${JSON.stringify(words.slice(0, 80))}`);
  }
  const known = [new URL(hub).host, 'huggingface.co', 'hf.co', 'www.huggingface.co'];
  if (!known.includes(url.host)) return { kind: 'link', url };
  const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  const at = parts.findIndex((part) => ['tree', 'blob', 'resolve', 'raw', 'commit'].includes(part));
  const repository = parts.slice(0, at < 0 ? 2 : at).join('/');
  const other = ['datasets', 'spaces', 'docs', 'papers', 'collections'].includes(parts[0] ?? '');
  if (other || !/^[\w.-]+(\/[\w.-]+)?$/.test(repository)) {
    throw new StoreError('bad_source', `expected the address of a model, found ${url.href}`);
  }
  const rest = at < 0 ? [] : parts.slice(at + 1);
  const file = rest.length > 1 && parts[at] !== 'tree' && parts[at] !== 'commit' ? rest.slice(1).join('/') : null;
  // Whoever has set a mirror cannot reach the hub itself.
  return { kind: 'hub', hub, repository, revision: rest[0] ?? 'main', file };
}

/** @param {string} text */
function toUrl(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** What is there. @param {Wish} wish @returns {Promise<Found>} */
export const look = (wish) => (wish.kind === 'hub' ? lookAtHub(wish) : lookAtLink(wish.url));

/** @param {Extract<Wish, { kind: 'hub' }>} wish @returns {Promise<Found>} */
async function lookAtHub({ hub, repository, revision, file }) {
  const base = hub.replace(/\/+$/, '');
  const listing = await json(`${base}/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`, repository);
  const siblings = Array.isArray(listing?.siblings) ? listing.siblings : [];
  const commit = typeof listing?.sha === 'string' ? listing.sha : revision;
  const license = typeof listing?.cardData?.license === 'string' ? listing.cardData.license : null;
  const modelType = listing?.config?.model_type ?? listing?.gguf?.architecture ?? null;
  /** @type {Remote[]} */
  const all = siblings.flatMap((/** @type {any} */ { rfilename, size, lfs }) => {
    if (typeof rfilename !== 'string' || !Number.isSafeInteger(size)) return [];
    const path = rfilename.split('/').map(encodeURIComponent).join('/');
    const sha256 = typeof lfs?.sha256 === 'string' ? lfs.sha256.toLowerCase() : null;
    return [{ name: rfilename, url: `${base}/${repository}/resolve/${commit}/${path}`, size, sha256 }];
  });
  const origin = /** @type {const} */ ({ kind: 'hub', hub: base, repository, revision, commit });
  /** @type {Choice[]} */
  const choices = [];
  const folder = hubFolder(all);
  if (folder && !file) {
    choices.push(choice(`${repository}@${commit.slice(0, 12)}`, repository, 'safetensors', '', { origin, license }, folder));
  }
  const ggufs = all.filter(({ name }) => /\.gguf$/i.test(name) && (!file || name === file));
  const whole = ggufs.filter(({ name }) => !/-\d{5}-of-\d{5}\.gguf$/i.test(name) && !/mmproj/i.test(name));
  for (const gguf of whole) {
    const name = lastPart(gguf.name);
    const id = `${repository}@${commit.slice(0, 12)}/${gguf.name}`;
    choices.push(choice(id, `${repository.split('/').pop()} ${quantizationOf(name)}`.trim(), 'gguf', quantizationOf(name), { origin, license }, [{ ...gguf, name }]));
  }
  choices.sort((a, b) => a.bytes - b.bytes);
  const problem = choices.length > 0 ? null : ggufs.length > 0 ? 'split' : all.some(({ name }) => name === 'pytorch_model.bin') ? 'pytorch_only' : 'none';
  return { title: repository, page: `${base}/${repository}`, license, modelType, choices, problem };
}

/** The files of a checkpoint in safetensors, if it is one. @param {Remote[]} all */
function hubFolder(all) {
  const named = (/** @type {string} */ name) => all.find((file) => file.name === name);
  if (!named('config.json')) return null;
  const weights = named(WEIGHTS);
  const index = named(INDEX);
  const shards = all.filter(({ name }) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
  const small = [...SMALL, ...BESIDE].flatMap((name) => named(name) ?? []);
  if (weights) return [...small, weights];
  return index && shards.length > 0 ? [...small, index, ...shards] : null;
}

/**
 * @param {string} id @param {string} title @param {Choice['kind']} kind @param {string} quantization
 * @param {{ origin: Origin, license: string | null }} from @param {Remote[]} files @returns {Choice}
 */
const choice = (id, title, kind, quantization, { origin, license }, files) => ({
  id,
  title,
  kind,
  quantization,
  origin,
  license,
  files,
  bytes: files.reduce((sum, { size }) => sum + size, 0),
});

/** The format that a file's name ends in, as they are usually named. @param {string} name */
const quantizationOf = (name) => /[.-]((?:I?Q\d\w*|F16|F32|BF16))\.gguf$/i.exec(name)?.[1]?.toUpperCase() ?? '';

/** @param {URL} url @returns {Promise<Found>} */
async function lookAtLink(url) {
  /** @type {Origin} */
  const origin = { kind: 'link', url: url.href };
  const from = { origin, license: null };
  const found = { page: null, license: null, modelType: null, problem: null };
  const name = decodeURIComponent(lastPart(url.pathname));
  if (/\.gguf$/i.test(name)) {
    const file = await head(url, name);
    if (!file) throw new StoreError('missing_file', `expected a file at ${url.href}, found none`);
    const made = choice(url.href, name, 'gguf', quantizationOf(name), from, [file]);
    return { ...found, title: name, choices: [made] };
  }
  const folder = new URL(url);
  if (/\.json$|\.safetensors$/i.test(folder.pathname)) folder.pathname = folder.pathname.slice(0, folder.pathname.lastIndexOf('/') + 1);
  if (!folder.pathname.endsWith('/')) folder.pathname += '/';
  const at = (/** @type {string} */ file) => head(new URL(file, folder), file);
  const small = (await Promise.all(SMALL.map(at))).filter((file) => file !== null);
  const title = decodeURIComponent(folder.pathname.split('/').filter(Boolean).pop() ?? folder.host);
  if (!small.some(({ name }) => name === 'config.json')) {
    const alone = await at('model.gguf');
    if (alone) return { ...found, title, choices: [choice(folder.href, title, 'gguf', '', from, [alone])] };
    throw new StoreError('missing_file', `${folder.href}: expected config.json or model.gguf, found neither`);
  }
  const weights = await at(WEIGHTS);
  if (weights) return { ...found, title, choices: [choice(folder.href, title, 'safetensors', '', from, [...small, weights])] };
  const index = await at(INDEX);
  if (!index) throw new StoreError('missing_file', `${folder.href}: expected ${WEIGHTS} or ${INDEX}, found neither`);
  const { shards: names } = readIndex(await text(index.url, INDEX));
  const shards = await Promise.all(names.map(at));
  const lacking = names.find((_, i) => !shards[i]);
  if (lacking) throw new StoreError('missing_file', `${folder.href}: expected ${lacking}, found none`);
  const files = [...small, index, ...shards.filter((file) => file !== null)];
  return { ...found, title, choices: [choice(folder.href, title, 'safetensors', '', from, files)] };
}

/** The size of a file, without the file; null where there is none. @param {URL} url @param {string} name @returns {Promise<Remote | null>} */
async function head(url, name) {
  const answer = await reach(url.href, name, { method: 'HEAD' });
  const type = answer.headers.get('content-type') ?? '';
  if (answer.status === 404 || answer.status === 410 || (answer.ok && type.startsWith('text/html'))) return null;
  const length = Number(answer.headers.get('content-length'));
  if (answer.ok && length > 0 && !answer.headers.has('content-encoding')) return { name, url: url.href, size: length, sha256: null };
  // A host that does not answer HEAD, or tells no length: one byte tells the rest.
  const part = await reach(url.href, name, { headers: { range: 'bytes=0-0' } });
  if (part.status === 404 || part.status === 410) return null;
  if (!part.ok) throw await refusal(part, name);
  const total = Number(/\/(\d+)$/.exec(part.headers.get('content-range') ?? '')?.[1]);
  if (total > 0) {
    await part.body?.cancel();
    return { name, url: url.href, size: total, sha256: null };
  }
  // A small file may as well be fetched to be measured.
  if (part.status === 200 && !/\.(gguf|safetensors)$/i.test(name)) {
    const bytes = new Uint8Array(await part.arrayBuffer());
    return looksLikeHtml(bytes) ? null : { name, url: url.href, size: bytes.byteLength, sha256: null };
  }
  await part.body?.cancel();
  throw new StoreError('io', `${name}: expected the server to say how long the file is, found that it does not`);
}

/** @param {string} url @param {string} what */
async function text(url, what) {
  const answer = await reach(url, what);
  if (!answer.ok) throw await refusal(answer, what);
  return answer.text();
}

/** @param {string} url @param {string} what @returns {Promise<any>} */
async function json(url, what) {
  const words = await text(url, what);
  try {
    return JSON.parse(words);
  } catch {
    const found = looksLikeHtml(new TextEncoder().encode(words.slice(0, 256))) ? 'an HTML page' : JSON.stringify(words.slice(0, 60));
    throw new StoreError('bad_file', `${what}: expected a listing in JSON at ${url}, found ${found}`);
  }
}

/** @param {string} path */
const lastPart = (path) => path.slice(path.lastIndexOf('/') + 1);
