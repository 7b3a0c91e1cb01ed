/** A chart as a file that looks as it does on the page: a canvas or what is made of HTML as PNG, a drawing as SVG. */

import { download } from '../download.js';

/** Pixels of a file for each of the page, so that it can be printed. */
const SCALE = 2;

/** @param {HTMLElement} root  of the figure @param {string} name  of the file, without its ending */
export async function savePicture(root, name) {
  const canvas = root.querySelector('canvas:not([hidden])');
  if (canvas instanceof HTMLCanvasElement) return savePng(canvas, name);
  const svg = root.querySelector('svg');
  if (svg) return download(`${name}.svg`, new Blob([standalone(svg)], { type: 'image/svg+xml' }));
  const shown = /** @type {HTMLElement} */ (root.firstElementChild);
  return savePng(await painted(shown), name);
}

/** @param {HTMLCanvasElement} canvas @param {string} name */
async function savePng(canvas, name) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  if (blob instanceof Blob) download(`${name}.png`, blob);
}

/** A part of the page, painted by way of a drawing that holds it. @param {HTMLElement} element */
async function painted(element) {
  const [width, height] = [element.scrollWidth, element.scrollHeight];
  const copy = /** @type {HTMLElement} */ (element.cloneNode(true));
  const originals = [element, ...element.querySelectorAll('*')];
  for (const [i, part] of [copy, ...copy.querySelectorAll('*')].entries()) {
    const style = getComputedStyle(/** @type {Element} */ (originals[i]));
    /** @type {HTMLElement} */ (part).style.cssText = [...style].map((property) => `${property}:${style.getPropertyValue(property)}`).join(';');
    // What is said only to those who point at it may hold anything.
    part.removeAttribute('title');
  }
  copy.style.margin = '0';
  const markup = new XMLSerializer().serializeToString(copy);
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><foreignObject width="100%" height="100%">${markup}</foreignObject></svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(drawing)}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width * SCALE, height * SCALE];
  const context = canvas.getContext('2d');
  if (context) {
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--paper');
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

const LOOKS = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'opacity', 'font-family', 'font-size', 'font-weight', 'text-anchor'];

/** A drawing that looks the same without the page's style sheets. @param {SVGElement} svg */
function standalone(svg) {
  const copy = /** @type {SVGElement} */ (svg.cloneNode(true));
  const copies = [copy, ...copy.querySelectorAll('*')];
  [svg, ...svg.querySelectorAll('*')].forEach((original, i) => {
    const style = getComputedStyle(original);
    for (const name of LOOKS) copies[i]?.setAttribute(name, style.getPropertyValue(name));
  });
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return new XMLSerializer().serializeToString(copy);
}
