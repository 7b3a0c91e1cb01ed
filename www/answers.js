/** The bytes of a server's answer, piece by piece, and whether they are those of a web page. */

/** Bytes that are taken at once. */
const PIECE = 1 << 20;

/**
 * The bytes of an answer as they come, to be used at once: the next piece may lie in the same memory. The last one is
 * null when the connection broke.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<Uint8Array<ArrayBuffer> | null, void>}
 */
export async function* piecesOf(body) {
  // One piece of memory for all that comes leaves nothing to be collected; some browsers cannot do that.
  const { reader, next } = into(body) ?? plain(body);
  try {
    for (;;) {
      let piece;
      try {
        piece = await next();
      } catch {
        yield null;
        return;
      }
      if (piece.done || !piece.value) return;
      yield piece.value;
    }
  } finally {
    // Whoever stops in between wants no more of it.
    reader.cancel().catch(() => {});
  }
}

/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} body */
function into(body) {
  try {
    const reader = body.getReader({ mode: 'byob' });
    let memory = new ArrayBuffer(PIECE);
    const next = async () => {
      const piece = await reader.read(new Uint8Array(memory));
      if (piece.value) memory = piece.value.buffer;
      return piece;
    };
    return { reader, next };
  } catch {
    return null;
  }
}

/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} body */
function plain(body) {
  const reader = body.getReader();
  return { reader, next: () => reader.read() };
}

/** Whether a file that begins like this is a web page. @param {Uint8Array} chunk */
export function looksLikeHtml(chunk) {
  const start = new TextDecoder('latin1').decode(chunk.subarray(0, 256));
  return /^(\u00ef\u00bb\u00bf)?\s*<(!doctype|html|head|body|\?xml|!--)/i.test(start);
}
