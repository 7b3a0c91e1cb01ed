/**
 * Text in GB 18030, as Chinese files often are: the browser can read it, and the trainer cannot. All other encodings are
 * the trainer's own business (src/train/decode.rs).
 */

/** So much of a file tells its encoding. */
const SAMPLE = 1 << 18;

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {{ bytes: Uint8Array<ArrayBuffer>, encoding: string | null }}  in UTF-8 if `encoding` is named
 */
export function fromGb18030(bytes) {
  const sample = bytes.subarray(0, SAMPLE);
  const isText = !sample.includes(0) && share(decode('utf-8', sample), /\ufffd/g) > 0.3;
  const chinese = isText ? decode('gb18030', sample) : '';
  const broken = share(chinese, /\ufffd/g);
  if (broken > 0.02 || share(chinese, /[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]/g) < 0.7)
    return { bytes, encoding: null };
  return { bytes: new TextEncoder().encode(new TextDecoder('gb18030').decode(bytes)), encoding: 'GB 18030' };
}

/** A character cut at the end of the sample is no error. @param {string} encoding @param {Uint8Array} sample */
const decode = (encoding, sample) => new TextDecoder(encoding).decode(sample, { stream: true });

/** Of the characters beyond ASCII, the share that is of this kind. @param {string} text @param {RegExp} kind */
function share(text, kind) {
  const others = text.match(/[^\0-\x7f]/g)?.length ?? 0;
  return others === 0 ? 0 : (text.match(kind)?.length ?? 0) / others;
}
