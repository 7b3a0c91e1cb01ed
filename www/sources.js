/**
 * From "where the model is" to its files as named Blobs: fetched from a folder or a .gguf address, or sorted out of what
 * a person picked. Runs in the worker. Bytes go from the network into Blobs, which the browser may keep on disk; the
 * JavaScript heap never holds a file.
 */

/** @import { NamedBlob, WireSource } from './protocol.js' */
/** @import { Report } from './artifacts.js' */

/** How often progress is told, in milliseconds: more often than the eye can use is only work. */
const REPORT_EVERY = 40;

/** Bytes of a download that are handed to the browser at once. */
const PIECE = 8 << 20;

const WEIGHTS = 'model.safetensors';
const GGUF = 'model.gguf';
const WEIGHTS_INDEX = 'model.safetensors.index.json';
const OPTIONAL = ['generation_config.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'];

/** A file that is absent or not what it should be, with a stable code. */
export class SourceError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * @param {WireSource} source
 * @param {Report} report
 * @returns {Promise<NamedBlob[]>}
 */
export async function collect(source, report) {
  if (source.kind === 'files') return sortOut(source.files);
  const download = new Download(source.bytes, report);
  const address = new URL(source.url);
  // An address made from bytes has no folder and no name: it can only be the one file.
  if (['blob:', 'data:'].includes(address.protocol)) return [await download.required(address, GGUF)];
  if (address.pathname.toLowerCase().endsWith('.gguf')) {
    const name = decodeName(address.pathname.slice(address.pathname.lastIndexOf('/') + 1));
    return [await download.required(address, name)];
  }
  if (!address.pathname.endsWith('/')) address.pathname += '/';
  if (source.files) {
    return Promise.all(source.files.map((name) => download.required(new URL(name, address), name)));
  }
  return probe(address, download);
}

/**
 * Finds out which files a folder has: those every Hugging Face checkpoint has, or `model.gguf`, which is how models ship
 * with the page.
 * @param {URL} folder @param {Download} download
 */
async function probe(folder, download) {
  const at = (/** @type {string} */ name) => new URL(name, folder);
  const config = await download.optional(at('config.json'), 'config.json');
  if (!config) {
    const gguf = await download.optional(at(GGUF), GGUF);
    if (gguf) return [gguf];
    throw new SourceError('missing_file', `${folder.href}: expected config.json or ${GGUF}, found neither`);
  }

  const weights = async () => {
    const whole = await download.optional(at(WEIGHTS), WEIGHTS);
    if (whole) return [whole];
    const index = await download.optional(at(WEIGHTS_INDEX), WEIGHTS_INDEX);
    if (!index) {
      throw new SourceError('missing_file', `${folder.href}: expected ${WEIGHTS} or ${WEIGHTS_INDEX}, found neither`);
    }
    const { shards, bytes } = await readIndex(index.blob);
    download.expect(bytes);
    return [index, ...(await Promise.all(shards.map((name) => download.required(at(name), name))))];
  };

  const tokenizer = async () => {
    const whole = await download.optional(at('tokenizer.json'), 'tokenizer.json');
    if (whole) return [whole];
    const parts = await Promise.all(['vocab.json', 'merges.txt'].map((name) => download.optional(at(name), name)));
    if (parts.includes(null)) {
      throw new SourceError(
        'missing_file',
        `${folder.href}: expected tokenizer.json, or vocab.json and merges.txt, found neither`,
      );
    }
    return parts;
  };

  const extras = () => Promise.all(OPTIONAL.map((name) => download.optional(at(name), name)));
  const found = (await Promise.all([weights(), tokenizer(), extras()])).flat();
  return [config, ...found.filter((file) => file !== null)];
}

/** The shards an index names. @param {Blob} blob @returns {Promise<{ shards: string[], bytes: number }>} */
async function readIndex(blob) {
  let index;
  try {
    index = JSON.parse(await blob.text());
  } catch (error) {
    throw new SourceError('bad_file', `${WEIGHTS_INDEX}: expected JSON, found ${String(error)}`);
  }
  const shards = [...new Set(Object.values(index?.weight_map ?? {}))];
  // A shard's name comes from a file of unknown origin: it must stay inside the folder.
  const odd = shards.find((name) => typeof name !== 'string' || !/^[\w.-]+\.safetensors$/.test(name));
  if (shards.length === 0 || odd !== undefined) {
    const what = shards.length === 0 ? 'no file' : JSON.stringify(odd);
    throw new SourceError('bad_file', `${WEIGHTS_INDEX}: expected weight_map to name .safetensors files, found ${what}`);
  }
  return { shards: /** @type {string[]} */ (shards), bytes: Number(index?.metadata?.total_size) || 0 };
}

/** The downloads of one load, and their common progress. */
class Download {
  /** @param {number | null} bytes  the total when it is known beforehand @param {Report} report */
  constructor(bytes, report) {
    this.loaded = 0;
    this.announced = 0;
    this.expected = bytes ?? 0;
    /** Whether the total is worth telling: not before the weights, nearly all of it, have said how long they are. */
    this.weighed = bytes !== null;
    this.report = report;
    this.lastReport = -Infinity;
  }

  /** A better guess at the total, from an index file. @param {number} bytes */
  expect(bytes) {
    this.expected = Math.max(this.expected, this.loaded + bytes);
  }

  /** @param {number} bytes  just arrived */
  count(bytes) {
    this.loaded += bytes;
    const now = performance.now();
    if (now - this.lastReport < REPORT_EVERY) return;
    this.lastReport = now;
    const total = Math.max(this.expected, this.announced);
    const known = this.weighed && total >= this.loaded;
    this.report({ phase: 'download', loadedBytes: this.loaded, totalBytes: known ? total : null });
  }

  /** @param {URL} url @param {string} name @returns {Promise<NamedBlob>} */
  async required(url, name) {
    const answer = await this.fetch(url, name);
    if (answer instanceof SourceError) throw answer;
    return answer;
  }

  /** A file that may be absent: absent is a 4xx answer, or a host that answers a missing file with an HTML page. @param {URL} url @param {string} name @returns {Promise<NamedBlob | null>} */
  async optional(url, name) {
    const answer = await this.fetch(url, name);
    return answer instanceof SourceError ? null : answer;
  }

  /**
   * Returns (rather than throws) the errors that mean "no such file here".
   * @param {URL} url @param {string} name @returns {Promise<NamedBlob | SourceError>}
   */
  async fetch(url, name) {
    let response;
    try {
      response = await fetch(url);
    } catch {
      throw new SourceError(
        'io',
        `${name}: expected an answer from ${url.href}, found none; the server cannot be reached or does not allow this page to read it`,
      );
    }
    if (response.status >= 400 && response.status < 500) {
      return new SourceError('missing_file', `${name}: expected a file at ${url.href}, found HTTP ${response.status}`);
    }
    if (!response.ok || !response.body) {
      throw new SourceError('io', `${name}: expected a file at ${url.href}, found HTTP ${response.status}`);
    }

    // A compressed answer announces its compressed length, which says nothing about the bytes that arrive here.
    const length = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length'));
    if (length > 0) {
      this.announced += length;
      if (/\.(safetensors|gguf)$/i.test(name)) this.weighed = true;
    }
    let received = 0;
    /** @type {Blob[]} */
    const pieces = [];
    /** What has arrived and is no piece yet. @type {Uint8Array<ArrayBuffer>[]} */
    let waiting = [];
    let held = 0;
    // The browser takes over the bytes of a piece: little of the file is in JavaScript's memory at any time.
    const hand = () => {
      pieces.push(new Blob(waiting));
      waiting = [];
      held = 0;
    };
    let ended = false;
    try {
      for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        if (received === 0 && looksLikeHtml(value)) {
          await reader.cancel();
          return new SourceError('bad_file', `${name}: expected a model file at ${url.href}, found an HTML page`);
        }
        received += value.byteLength;
        this.count(value.byteLength);
        waiting.push(value);
        held += value.byteLength;
        if (held >= PIECE) hand();
      }
      hand();
      ended = true;
    } catch {
      // What went wrong is told below, from what had arrived by then.
    }
    // Across origins the encoding is hidden, so only too few bytes are a sure sign.
    if (!ended || received < length) {
      const expected = length > 0 ? `${length} bytes` : 'the whole file';
      throw new SourceError('bad_file', `${name}: expected ${expected}, found the end of the answer after ${received} bytes`);
    }
    return { name, blob: new Blob(pieces) };
  }
}

/** @param {Uint8Array} chunk */
function looksLikeHtml(chunk) {
  const start = new TextDecoder('latin1').decode(chunk.subarray(0, 256));
  return /^(\u00ef\u00bb\u00bf)?\s*<(!doctype|html|head|body|\?xml|!--)/i.test(start);
}

/** @param {string} name */
function decodeName(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * The model among the files a person picked: one .gguf, or the folder nearest the top that has a config.json.
 * @param {NamedBlob[]} files @returns {Promise<NamedBlob[]>}
 */
async function sortOut(files) {
  const first = files[0];
  if (!first) throw new SourceError('missing_file', 'expected a .gguf file or the files of a model folder, found no file');
  // A Blob has no name: its first four bytes say whether it is a GGUF.
  if (files.length === 1 && (await first.blob.slice(0, 4).text()) === 'GGUF') {
    return [{ name: base(first.name).toLowerCase().endsWith('.gguf') ? base(first.name) : 'model.gguf', blob: first.blob }];
  }
  for (const { name, blob } of files) {
    if (!/\.(gguf|safetensors)$/i.test(name)) continue;
    if (looksLikeHtml(new Uint8Array(await blob.slice(0, 256).arrayBuffer()))) {
      throw new SourceError('bad_file', `${base(name)}: expected a model file, found an HTML page`);
    }
  }
  const config = files
    .filter(({ name }) => base(name) === 'config.json')
    .sort((a, b) => depth(a.name) - depth(b.name))[0];
  if (config) {
    const folder = config.name.slice(0, -'config.json'.length);
    return files
      .filter(({ name }) => name.startsWith(folder) && !name.slice(folder.length).includes('/'))
      .map(({ name, blob }) => ({ name: base(name), blob }));
  }
  const ggufs = files.filter(({ name }) => name.toLowerCase().endsWith('.gguf'));
  const gguf = ggufs[0];
  if (gguf && ggufs.length === 1) return [{ name: base(gguf.name), blob: gguf.blob }];
  if (ggufs.length > 1) throw new SourceError('bad_file', `expected one .gguf file, found ${ggufs.length}`);
  const names = files.slice(0, 4).map(({ name }) => base(name)).join(', ') + (files.length > 4 ? ', …' : '');
  throw new SourceError(
    'missing_file',
    `expected one .gguf file, or config.json with .safetensors and tokenizer.json (or vocab.json and merges.txt), found ${names}`,
  );
}

/** @param {string} path */
const base = (path) => path.slice(path.lastIndexOf('/') + 1);
/** @param {string} path */
const depth = (path) => path.split('/').length;
