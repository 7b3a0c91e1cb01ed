/** Where models are looked for: the address of the hub, which a person may set to a mirror. */

import { recall, remember } from '../store.js';
import { HUB } from './hub.js';

export const hubAddress = () => recall('hub') ?? HUB;

/** @param {string} text  an address, with or without https://; empty for the usual one @returns {string | null}  as it is kept, or null for what is no address */
export function setHubAddress(text) {
  const words = text.trim() || HUB;
  try {
    const url = new URL(/^https?:\/\//i.test(words) ? words : `https://${words}`);
    // Some browsers take any words for the name of a host.
    if (!/^[\w.:[\]-]+$/.test(url.host)) return null;
    const address = url.href.replace(/\/$/, '');
    remember('hub', address);
    return address;
  } catch {
    return null;
  }
}
