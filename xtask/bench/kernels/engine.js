/**
 * The kernels of one build of the engine, by two functions of its module that the page itself does not use:
 * `measureProduct(format, rows, cols, batch, far, milliseconds)`, seconds of one product with weights that lie `far`
 * bytes apart, and `measureRead(bytes, milliseconds)`, bytes a second. A build without them says so.
 */

/** @import { Task } from './measure.js' */

/** @param {Task} task @param {{ artifact: string }} options */
export async function open({ sizes, batch, far, milliseconds }, { artifact }) {
  const folder = `/dist/engine/${artifact}`;
  const engine = await import(`${folder}/inkling.js`);
  const { measureProduct, measureRead } = engine;
  if (!measureProduct || !measureRead) return { missing: `the build ${artifact} has no measureProduct and measureRead` };
  await engine.default({ module_or_path: new URL(`${folder}/inkling_bg.wasm`, location.href) });
  const products = sizes.map(({ format, rows, cols, bytes }) => {
    const one = measureProduct(format, rows, cols, 1, far, milliseconds);
    const many = measureProduct(format, rows, cols, batch, far, milliseconds);
    return { format, rows, cols, GBs: bytes / one / 1e9, GFLOPs: (2 * rows * cols * batch) / many / 1e9 };
  });
  return { threads: 1, readGBs: measureRead(far, milliseconds) / 1e9, products };
}
