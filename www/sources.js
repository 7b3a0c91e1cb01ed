/**
 * From "where the model is" to its files: fetched from a folder or a .gguf address, or sorted out of what a person
 * picked. Runs in the worker. Bytes go into the engine as they arrive; the JavaScript heap never holds a file.
 */

import { looksLikeHtml, piecesOf } from './answers.js';

/** @import { NamedBlob, WireSource } from './protocol.js' */
/** @import { Report } from './artifacts.js' */

/** How often progress is told, in milliseconds: more often than the eye can use is only work. */
const REPORT_EVERY = 40;

/** Bytes of a file on a disk that are taken at once. */
const READ = 8 << 20;

const WEIGHTS = 'model.safetensors';
const GGUF = 'model.gguf';
const WEIGHTS_INDEX = 'model.safetensors.index.json';
/** What a tokenizer may be kept in, in words. */
const TOKENIZER_FILES =
  'tokenizer.json (or vocab.json and merges.txt, vocab.txt, spiece.model, sentencepiece.bpe.model, or source.spm and vocab.json)';
/** What a tokenizer may be kept in besides vocab.json and merges.txt: in the first of these that there is. */
const TOKENIZERS = ['vocab.txt', 'spiece.model', 'sentencepiece.bpe.model'];
const OPTIONAL = ['generation_config.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'chat_template.jinja'];

/** What a model that makes vectors of texts says about how, once it has the first of these. */
const VECTORS = ['modules.json', 'sentence_bert_config.json', '1_Pooling/config.json'];

/** A file that is absent or not what it should be, with a stable code. */
export class SourceError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Bytes of a file that are kept while the engine is still on its way. */
const EARLY = 16 << 20;

/**
 * Takes a file of which the length is known: resolves to what takes its bytes, piece by piece. Those are copied before
 * it returns.
 * @typedef {(name: string, length: number) => Promise<(bytes: Uint8Array) => void>} Sink
 */

/**
 * Brings all files of a model into `sink`.
 * @param {WireSource} source
 * @param {Sink} sink
 * @param {Report} report
 */
export async function deliver(source, sink, report) {
  if (source.kind === 'files') return read(await sortOut(source.files), sink, report);
  const download = new Download(source.bytes, sink, report);
  const address = new URL(source.url);
  // An address made from bytes has no folder and no name: it can only be the one file.
  if (['blob:', 'data:'].includes(address.protocol)) return download.required(address, GGUF);
  if (address.pathname.toLowerCase().endsWith('.gguf')) {
    const name = decodeName(address.pathname.slice(address.pathname.lastIndexOf('/') + 1));
    return download.required(address, name);
  }
  if (!address.pathname.endsWith('/')) address.pathname += '/';
  if (source.files) {
    await Promise.all(source.files.map((name) => download.required(new URL(name, address), name)));
  } else {
    await probe(address, download);
  }
}

/** Reads the files a person picked. @param {NamedBlob[]} files @param {Sink} sink @param {Report} report */
async function read(files, sink, report) {
  const totalBytes = files.reduce((sum, { blob }) => sum + blob.size, 0);
  let loadedBytes = 0;
  for (const { name, blob } of files) {
    const write = await sink(name, blob.size);
    await pour(blob, (piece) => {
      write(piece);
      loadedBytes += piece.byteLength;
      report({ phase: 'open', loadedBytes, totalBytes });
    });
  }
}

/** @param {Blob} blob @param {(bytes: Uint8Array) => void} write */
async function pour(blob, write) {
  for (let at = 0; at < blob.size; at += READ) write(new Uint8Array(await blob.slice(at, at + READ).arrayBuffer()));
}

/**
 * Finds out which files a folder has: those every Hugging Face checkpoint has, or `model.gguf`, which is how models ship
 * with the page.
 * @param {URL} folder @param {Download} download
 */
async function probe(folder, download) {
  const at = (/** @type {string} */ name) => new URL(name, folder);
  if (!(await download.optional(at('config.json'), 'config.json'))) {
    if (await download.optional(at(GGUF), GGUF)) return;
    throw new SourceError('missing_file', `${folder.href}: expected config.json or ${GGUF}, found neither`);
  }

  const weights = async () => {
    if (await download.optional(at(WEIGHTS), WEIGHTS)) return;
    const index = await download.text(at(WEIGHTS_INDEX), WEIGHTS_INDEX);
    if (index === null) {
      throw new SourceError('missing_file', `${folder.href}: expected ${WEIGHTS} or ${WEIGHTS_INDEX}, found neither`);
    }
    const { shards, bytes } = readIndex(index);
    download.expect(bytes);
    await Promise.all(shards.map((name) => download.required(at(name), name)));
  };

  const tokenizer = async () => {
    if (await download.optional(at('tokenizer.json'), 'tokenizer.json')) return;
    const [pieces, merges] = await Promise.all(['vocab.json', 'merges.txt'].map((name) => download.optional(at(name), name)));
    if (pieces && merges) return;
    // Marian's: a model for both sides or one for each, and so the vocabulary.
    if (pieces && (await download.optional(at('source.spm'), 'source.spm'))) {
      await Promise.all(['target.spm', 'target_vocab.json'].map((name) => download.optional(at(name), name)));
      return;
    }
    for (const name of TOKENIZERS) if (await download.optional(at(name), name)) return;
    throw new SourceError('missing_file', `${folder.href}: expected ${TOKENIZER_FILES}, found none of them`);
  };

  const extras = () => Promise.all(OPTIONAL.map((name) => download.optional(at(name), name)));
  const vectors = async () => {
    const [first = '', ...others] = VECTORS;
    if (await download.optional(at(first), first)) await Promise.all(others.map((name) => download.optional(at(name), name)));
  };
  await Promise.all([weights(), tokenizer(), extras(), vectors()]);
}

/** The shards an index names. @param {string} text @returns {{ shards: string[], bytes: number }} */
export function readIndex(text) {
  let index;
  try {
    index = JSON.parse(text);
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
  /** @param {number | null} bytes  the total when it is known beforehand @param {Sink} sink @param {Report} report */
  constructor(bytes, sink, report) {
    this.sink = sink;
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

  /** @param {URL} url @param {string} name */
  async required(url, name) {
    const absent = await this.fetch(url, name, this.sink);
    if (absent) throw absent;
  }

  /**
   * Whether there is such a file: absent is a 4xx answer, or a host that answers a missing file with an HTML page.
   * @param {URL} url @param {string} name
   */
  async optional(url, name) {
    return !(await this.fetch(url, name, this.sink));
  }

  /** The text of a file that may be absent, and goes to the engine too. @param {URL} url @param {string} name */
  async text(url, name) {
    const decoder = new TextDecoder();
    let text = '';
    const absent = await this.fetch(url, name, async (name, length) => {
      const write = await this.sink(name, length);
      return (bytes) => {
        text += decoder.decode(bytes, { stream: true });
        write(bytes);
      };
    });
    return absent ? null : text;
  }

  /**
   * Returns (rather than throws) the errors that mean "no such file here".
   * @param {URL} url @param {string} name @param {Sink} sink @returns {Promise<SourceError | null>}
   */
  async fetch(url, name, sink) {
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
    const weights = /\.(safetensors|gguf)$/i.test(name);
    if (length > 0) {
      this.announced += length;
      this.weighed ||= weights;
    }
    // Across origins the encoding is hidden, but nobody compresses weights.
    const known = length > 0 && (weights || response.type !== 'cors');
    let received = 0;
    /** Takes the bytes. @type {Inlet | null} */
    let inlet = null;
    /** What has arrived of a file whose length is not known. @type {Blob[]} */
    const pieces = [];
    for await (const bytes of piecesOf(response.body)) {
      if (bytes === null) {
        const expected = length > 0 ? `${length} bytes` : 'the whole file';
        throw new SourceError('bad_file', `${name}: expected ${expected}, found the end of the answer after ${received} bytes`);
      }
      if (received === 0) {
        if (looksLikeHtml(bytes)) {
          return new SourceError('bad_file', `${name}: expected a model file at ${url.href}, found an HTML page`);
        }
        if (known) inlet = new Inlet(sink(name, length));
      }
      received += bytes.byteLength;
      this.count(bytes.byteLength);
      if (inlet) await inlet.write(bytes);
      else pieces.push(new Blob([bytes]));
    }
    await inlet?.ready;
    if (received < length) {
      throw new SourceError('bad_file', `${name}: expected ${length} bytes, found the end of the answer after ${received} bytes`);
    }
    if (!inlet) {
      const whole = new Blob(pieces);
      await pour(whole, await sink(name, whole.size));
    }
    return null;
  }
}

/** A place for bytes that is not ready yet: some can wait before it. */
class Inlet {
  /** What waits. @type {Uint8Array<ArrayBuffer>[]} */ #early = [];
  #held = 0;
  /** @type {((bytes: Uint8Array) => void) | null} */ #write = null;

  /** @param {ReturnType<Sink>} place */
  constructor(place) {
    this.ready = place.then((write) => {
      for (const bytes of this.#early) {
        write(bytes);
        // Left to the collector, what waited would be there beside its copy.
        bytes.buffer.transfer?.(0);
      }
      this.#early = [];
      this.#write = write;
    });
    // Whoever writes next is told.
    this.ready.catch(() => {});
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes  to be used again when this is done */
  async write(bytes) {
    if (!this.#write && this.#held < EARLY) {
      this.#early.push(bytes.slice());
      this.#held += bytes.byteLength;
      return;
    }
    await this.ready;
    this.#write?.(bytes);
  }
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
      .filter(({ name }) => name.startsWith(folder))
      .map(({ name, blob }) => ({ name: name.slice(folder.length), blob }))
      .filter(({ name }) => !name.includes('/') || VECTORS.includes(name));
  }
  const ggufs = files.filter(({ name }) => name.toLowerCase().endsWith('.gguf'));
  const gguf = ggufs[0];
  if (gguf && ggufs.length === 1) return [{ name: base(gguf.name), blob: gguf.blob }];
  if (ggufs.length > 1) throw new SourceError('bad_file', `expected one .gguf file, found ${ggufs.length}`);
  const names = files.slice(0, 4).map(({ name }) => base(name)).join(', ') + (files.length > 4 ? ', …' : '');
  throw new SourceError(
    'missing_file',
    `expected one .gguf file, or config.json with .safetensors and ${TOKENIZER_FILES}, found ${names}`,
  );
}

/** @param {string} path */
const base = (path) => path.slice(path.lastIndexOf('/') + 1);
/** @param {string} path */
const depth = (path) => path.split('/').length;
