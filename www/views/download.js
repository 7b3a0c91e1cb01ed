/** Giving a person a file. */

/** @param {string} name @param {Blob} blob */
export function download(name, blob) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The address is read when the download starts, which is later than here.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A name without what some systems do not allow in one. @param {string} title */
export const fileName = (title) => title.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[-.]+|[-.]+$/g, '') || 'model';
