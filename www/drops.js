/** Files picked in a field or dropped on the page: the curtain that says they may be, and the walk through dropped folders. */

import { byId } from './notices.js';
import { currentView } from './views.js';

/** @import { NamedBlob } from './protocol.js' */

/** A folder dropped by mistake (a whole disk) must not be walked to its end. */
const MOST_FILES = 2000;

/** What was picked in a field, each under its path where it is a folder. @param {HTMLInputElement} input @returns {NamedBlob[]} */
export const picked = (input) => Array.from(input.files ?? [], (file) => ({ name: file.webkitRelativePath || file.name, blob: file }));

/** @param {(files: NamedBlob[]) => void} onFiles @param {(message: string) => void} onUnreadable */
export function acceptDrops(onFiles, onUnreadable) {
  const curtain = byId('drop');
  /** Text dragged within the page is none of our business. @param {DragEvent} event */
  const hasFiles = (event) => ['write', 'chat', 'inside', 'lessons', 'library'].includes(currentView()) && (event.dataTransfer?.types.includes('Files') ?? false);
  let hide = 0;
  addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    curtain.hidden = false;
    // Leaving the window is not reliably told, but then dragover is no longer heard.
    clearTimeout(hide);
    hide = setTimeout(() => (curtain.hidden = true), 300);
  });
  addEventListener('drop', async (event) => {
    if (!hasFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    curtain.hidden = true;
    try {
      onFiles(await dropped(event.dataTransfer));
    } catch (error) {
      onUnreadable(error instanceof Error ? error.message : String(error));
    }
  });
}

/** The files in a drop; folders are walked. @param {DataTransfer} transfer @returns {Promise<NamedBlob[]>} */
export async function dropped(transfer) {
  // Both lists empty themselves as soon as this turn is over.
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return files.map((file) => ({ name: file.name, blob: file }));
  /** @type {NamedBlob[]} */
  const found = [];
  const waiting = entries.filter((entry) => entry !== null);
  for (let entry = waiting.shift(); entry && found.length < MOST_FILES; entry = waiting.shift()) {
    if (entry.isDirectory) waiting.push(...(await children(/** @type {FileSystemDirectoryEntry} */ (entry))));
    else found.push({ name: entry.fullPath.slice(1), blob: await fileOf(/** @type {FileSystemFileEntry} */ (entry)) });
  }
  return found;
}

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function children(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    // A reader gives a hundred or so at a time, and nothing at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
