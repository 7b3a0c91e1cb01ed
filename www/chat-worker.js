/** The worker in which chat templates are rendered (the module of the crate chat/). It keeps nothing from one to the next. */

/** @import { ChatRequest, FromWorker } from './protocol.js' */

/** @typedef {{ default: () => Promise<unknown>, renderChat: (template: string, context: string, now: number) => string }} ChatModule */

/** @type {Promise<ChatModule> | null} */
let fetched = null;

self.onmessage = async (/** @type {MessageEvent<ChatRequest>} */ { data }) => {
  const { request } = data;
  try {
    const module = await (fetched ??= start());
    post({ type: 'done', request, result: data.type === 'render' ? module.renderChat(data.template, data.context, data.now) : '' });
  } catch (error) {
    post({ type: 'error', request, ...describe(error) });
  }
};

/** @param {FromWorker} message */
const post = (message) => self.postMessage(message);

/** @returns {Promise<ChatModule>} */
async function start() {
  try {
    /** @type {ChatModule} */
    const module = await import(new URL('chat/inkling_chat.js', import.meta.url).href);
    await module.default();
    return module;
  } catch (error) {
    throw Object.assign(new Error(`expected the module of chat templates, found: ${String(error)}`), { code: 'io' });
  }
}

/** @param {unknown} error @returns {{ code: string, message: string, fatal: boolean }} */
function describe(error) {
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    // Values nested so deep that the stack ended: what the module holds is no longer sound.
    const message = `chat template: expected it to keep within its stack and memory, found: ${error.message}`;
    return { code: 'template_limit', message, fatal: true };
  }
  const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error ?? {});
  return { code, message, fatal: code === 'io' };
}
