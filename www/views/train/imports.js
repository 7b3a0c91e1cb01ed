/** What a person brings: a checkpoint to go on with, a model's folder to start from; and the checkpoint they take along. */

import { picked } from '../../drops.js';
import { unzip } from '../../zip.js';
import { make } from '../dom.js';
import { download, fileName } from '../download.js';

/** @import { NamedBlob } from '../../protocol.js' */
/** @import { Session } from './session.js' */
/** @import { View } from './train.js' */

const CHECKPOINT = /\.inkling$/i;
const MODEL = /\.(safetensors|gguf|zip)$/i;

export class Imports {
  #files = make('input', {
    id: 'train-import',
    type: 'file',
    multiple: true,
    accept: '.inkling,.zip,.gguf,.safetensors,.json,.txt',
  });
  #folder = make('input', { id: 'train-import-folder', type: 'file', webkitdirectory: true });
  #curtain = make('div', { class: 'train-drop', hidden: true }, make('p', { words: 'train.drop' }));

  /** @param {Session} session @param {View} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
    for (const input of [this.#files, this.#folder]) {
      input.addEventListener('change', () => {
        const files = picked(input);
        input.value = '';
        void this.take(files, false);
      });
    }
    this.root = make(
      'section',
      { class: 'stage', 'aria-labelledby': 'train-import-title' },
      make('h3', { id: 'train-import-title', words: 'train.import' }),
      make('p', { class: 'faded', words: 'train.import.help' }),
      make(
        'div',
        { class: 'train-actions' },
        make(
          'span',
          { class: 'file' },
          this.#files,
          make('label', { for: 'train-import', words: 'train.import.files' }),
        ),
        make(
          'span',
          { class: 'file' },
          this.#folder,
          make('label', { for: 'train-import-folder', words: 'train.import.folder' }),
        ),
      ),
      this.#curtain,
    );
    this.#acceptDrops();
  }

  /** @param {'file' | 'folder'} kind */
  choose(kind) {
    (kind === 'file' ? this.#files : this.#folder).click();
  }

  /** Files of any kind: what they are is seen from their names. @param {NamedBlob[]} files @param {boolean} [orText]  whether others are a text */
  async take(files, orText = true) {
    try {
      const checkpoint = files.find(({ name }) => CHECKPOINT.test(name));
      if (checkpoint)
        return await this.session.resume(checkpoint.blob, null, base(checkpoint.name).replace(CHECKPOINT, ''));
      const first = files.find(({ name }) => MODEL.test(name));
      if (!first && !orText) {
        const name = files[0] ? base(files[0].name) : '';
        return this.view.error('no_model', { values: { name } });
      }
      if (!first) return await this.view.text.take(files.map(({ name, blob }) => ({ name: base(name), blob })));
      const source = /\.zip$/i.test(first.name) ? await unzip(first.blob) : files;
      const folder = source[0]?.name.includes('/')
        ? source[0].name.slice(0, source[0].name.indexOf('/'))
        : base(first.name);
      this.view.startFrom({ title: folder, source: { files: source } });
    } catch (error) {
      this.view.fail(error);
    }
  }

  downloadCheckpoint() {
    const { checkpoint, title } = this.session.record;
    if (checkpoint) download(`${fileName(title)}.inkling`, checkpoint);
  }

  #acceptDrops() {
    let hide = 0;
    const ours = (/** @type {DragEvent} */ event) =>
      document.body.dataset.view === 'train' && (event.dataTransfer?.types.includes('Files') ?? false);
    addEventListener('dragover', (event) => {
      if (!ours(event)) return;
      event.preventDefault();
      this.#curtain.hidden = false;
      // Leaving the window is not reliably told, but then dragover is no longer heard.
      clearTimeout(hide);
      hide = setTimeout(() => (this.#curtain.hidden = true), 300);
    });
    addEventListener('drop', (event) => {
      if (!ours(event)) return;
      event.preventDefault();
      this.#curtain.hidden = true;
      void this.take([...(event.dataTransfer?.files ?? [])].map((file) => ({ name: file.name, blob: file })));
    });
  }
}

/** @param {string} path */
const base = (path) => path.slice(path.lastIndexOf('/') + 1);
