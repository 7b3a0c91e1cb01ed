/**
 * ZIP files (APPNOTE.TXT 6.3): written without compression, because weights hardly compress; read with and without it.
 * Archives beyond 4 GiB (ZIP64) are not written, and not read.
 */

/** @import { NamedBlob } from './protocol.js' */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** Names are in UTF-8. */
const UTF8 = 0x0800;
/** The first day a ZIP can name. */
const DATE = 0x21;
/** Bytes of a file that are looked at at once. */
const PIECE = 8 << 20;

/** @param {NamedBlob[]} files @returns {Promise<Blob>} */
export async function zip(files) {
  const [parts, directory] = [/** @type {BlobPart[]} */ ([]), /** @type {BlobPart[]} */ ([])];
  let [at, size] = [0, 0];
  for (const { name, blob } of files) {
    const path = new TextEncoder().encode(name);
    const common = [20, UTF8, 0, 0, DATE];
    const sizes = [await checksum(blob), blob.size, blob.size];
    const local = record(LOCAL, common, sizes, [path.length, 0]);
    parts.push(local, path, blob);
    const central = record(CENTRAL, [20, ...common], sizes, [path.length, 0, 0, 0, 0], [0, at]);
    directory.push(central, path);
    at += local.byteLength + path.length + blob.size;
    size += central.byteLength + path.length;
  }
  const end = record(END, [0, 0, files.length, files.length], [size, at], [0]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

/** A signature, then numbers of 16 and of 32 bits in turn. @param {number} signature @param {number[][]} groups */
function record(signature, ...groups) {
  const bytes = groups.reduce((sum, group, i) => sum + group.length * (i % 2 === 0 ? 2 : 4), 4);
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint32(0, signature, true);
  let at = 4;
  groups.forEach((group, i) => {
    for (const value of group) {
      if (i % 2 === 0) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += i % 2 === 0 ? 2 : 4;
    }
  });
  return view.buffer;
}

/** CRC-32 of IEEE 802.3, eight bits at a time. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** @param {Blob} blob */
async function checksum(blob) {
  let crc = 0xffffffff;
  for (let at = 0; at < blob.size; at += PIECE) {
    for (const byte of new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer()))
      crc = (crc >>> 8) ^ /** @type {number} */ (TABLE[(crc ^ byte) & 255]);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** @param {Blob} archive @returns {Promise<NamedBlob[]>} @throws an error of code `bad_file` */
export async function unzip(archive) {
  const bad = (/** @type {string} */ found) =>
    Object.assign(new Error(`expected a ZIP file, found ${found}`), { code: 'bad_file' });
  // The end of the directory is within the last bytes, before a comment of at most 65,535.
  const tail = new DataView(await archive.slice(Math.max(0, archive.size - 65_557)).arrayBuffer());
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw bad('no directory in it');
  const [count, size, start] = [
    tail.getUint16(end + 10, true),
    tail.getUint32(end + 12, true),
    tail.getUint32(end + 16, true),
  ];
  const directory = new DataView(await archive.slice(start, start + size).arrayBuffer());
  /** @type {NamedBlob[]} */
  const files = [];
  for (let i = 0, at = 0; i < count; i++) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== CENTRAL) throw bad('a directory cut short');
    const [method, packed, length] = [
      directory.getUint16(at + 10, true),
      directory.getUint32(at + 20, true),
      directory.getUint16(at + 28, true),
    ];
    const name = new TextDecoder().decode(
      new Uint8Array(directory.buffer, at + 46, Math.min(length, directory.byteLength - at - 46)),
    );
    const local = directory.getUint32(at + 42, true);
    at += 46 + length + directory.getUint16(at + 30, true) + directory.getUint16(at + 32, true);
    if (name.endsWith('/')) continue;
    // The local header may have other extras than the directory.
    const lengths = new DataView(await archive.slice(local + 26, local + 30).arrayBuffer());
    if (lengths.byteLength < 4) throw bad(`${name} beyond its end`);
    const from = local + 30 + lengths.getUint16(0, true) + lengths.getUint16(2, true);
    const bytes = archive.slice(from, from + packed);
    if (method !== 0 && method !== 8) throw bad(`${name} packed by method ${method}`);
    files.push({ name, blob: method === 0 ? bytes : await inflated(bytes) });
  }
  return files;
}

/** @param {Blob} packed */
const inflated = (packed) => new Response(packed.stream().pipeThrough(new DecompressionStream('deflate-raw'))).blob();
