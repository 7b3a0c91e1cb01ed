/** The page: brings its parts together, and loads models. */

import { chooseArtifact } from './artifacts.js';
import { load } from './inkling.js';
import { onLanguage, t, translate } from './i18n.js';
import { Alternatives } from './alternatives.js';
import { CowrittenText } from './document.js';
import { Editor } from './editor.js';
import { Examples } from './examples.js';
import { Meters } from './meters.js';
import { Notices, byId } from './notices.js';
import { closeSettings, startLook } from './look.js';
import { Picker } from './models.js';
import { titleOf } from './catalog.js';
import { Settings } from './settings.js';
import { Sharing } from './sharing.js';
import { UnknownNote } from './unknown.js';
import { Writer } from './writer.js';
import { kept, recallInTab, rememberInTab } from './store.js';
import { currentView, startViews } from './views.js';
import { pagesFor } from './views/tasks/pages.js';
import { isolate, offlineState, prepareOffline, update } from './offline.js';
import { noted, unfinished } from './store/memo.js';

/** @import { Model } from './inkling.js' */
/** @import { Entry } from './catalog.js' */
/** @import { From } from './writer.js' */
/** @import { Page } from './views.js' */
/** @import { Serving } from './views/tasks/served.js' */

const SAVE_AFTER = 400;
const COUNT_AFTER = 500;
/** A longer text is counted by the next continuation, not at every pause in typing. */
const MOST_COUNTED = 50_000;
/** Views that look into a model, whatever it does. */
const LOOKING = ['inside', 'lessons'];

const text = new CowrittenText();
const area = /** @type {HTMLTextAreaElement} */ (byId('document'));
const editor = new Editor(area, byId('mirror'), byId('paper'), text);
const notices = new Notices();
const meters = new Meters();
const settings = new Settings();
const alternatives = new Alternatives();
const picker = new Picker();
const examples = new Examples(() => picker.default);
const unknown = new UnknownNote();
const writer = new Writer({ text, editor, settings, alternatives, notices, meters });

/** The model in use. @type {{ entry: Entry, model: Model } | null} */
let loaded = null;
/** Whoever wants to know of another model. @type {Set<() => void>} */
const modelListeners = new Set();
/** The load under way. @type {AbortController | null} */
let loading = null;
/** What to load again after a crash. @type {Entry | null} */
let lastEntry = null;
/** The model that a link asks for, before the list of models is there. @type {string | null} */
let wanted = null;
/** The person has chosen a model, rather than the page for them. */
let chosen = recallInTab('model') !== null;

// ---- loading ----

/** @param {Entry} entry */
async function open(entry) {
  loading?.abort();
  const mine = new AbortController();
  loading = mine;
  writer.stop({ quiet: true });
  notices.clearError();
  picker.current(entry);
  examples.model(entry);
  notices.status('status.loading', { name: titleOf(entry) });
  notices.progress(titleOf(entry), { phase: 'files' in entry.source ? 'open' : 'download', loadedBytes: 0, totalBytes: null });
  show();
  try {
    const model = await load(entry.source, {
      signal: mine.signal,
      onProgress: (progress) => notices.progress(titleOf(entry), progress),
    });
    if (!goesOn(model) && !LOOKING.includes(currentView())) return void (await lend({ entry, model }, mine));
    await loaded?.model.dispose();
    use({ entry, model });
    rest();
  } catch (error) {
    if (loading !== mine) return;
    const { code = 'engine', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error);
    const again = { label: /** @type {const} */ ('action.reload'), run: () => void open(entry) };
    if (code !== 'aborted') notices.error(code, { detail: message, remedies: loaded ? [] : [again] });
    back();
    if (code === 'aborted' && writes()) notices.status('status.cancelled');
  } finally {
    if (loading === mine) {
      loading = null;
      notices.hideProgress();
    }
    show();
  }
}

/** Whether it goes on with a text. @param {Model} model */
const goesOn = (model) => model.info.tasks.includes('text-generation');

/** Whether the model in use goes on with a text. */
const writes = () => loaded !== null && goesOn(loaded.model);

/** A model that does something else is of use on other pages: they get it, and here the one before stays. @param {Serving} other @param {AbortController} mine  its load */
async function lend({ entry, model }, mine) {
  const { servedBy } = await import('./views/tasks/served.js');
  servedBy(page).take({ entry, model });
  if (loading !== mine) return;
  back();
  // The page may have begun with it, as with what was in use before a reload.
  if (!loaded && picker.default && picker.default !== entry) await open(picker.default);
  if (loading !== null && loading !== mine) return;
  const remedies = pagesFor(model.info.tasks).map((name) => ({ label: /** @type {const} */ (`views.${name}`), run: () => void (location.hash = `#${name}`) }));
  notices.error('wrong_task', { values: { name: titleOf(entry) }, remedies });
}

/** The model in use is the one from before. */
function back() {
  picker.current(loaded?.entry ?? null);
  examples.model(loaded?.entry ?? null);
  rest();
}

/** What the status line says when nothing goes on. */
function rest() {
  if (loaded && !writes()) notices.status('status.other', { name: titleOf(loaded.entry) });
  else notices.status(loaded ? 'status.ready' : 'status.noModel');
}

/** @param {{ entry: Entry, model: Model } | null} next */
function use(next) {
  loaded = next;
  writer.model = writes() ? (next?.model ?? null) : null;
  writer.wholeText();
  meters.model(next?.model.info ?? null);
  unknown.model(next?.entry ?? null);
  for (const listener of modelListeners) listener();
  if (!next) return;
  lastEntry = next.entry;
  picker.keep({ ...next.entry, parameters: next.model.info.parameters });
  save();
  settings.tokenize = async (words) => (await next.model.tokenize(words)).filter(({ start, end }) => end > start).map(({ id }) => id);
  settings.describe(next.model.parameters, next.entry.settings);
  countSoon();
}

writer.onFatal = (code, detail) => {
  void loaded?.model.dispose();
  use(null);
  notices.status('status.noModel');
  const entry = lastEntry;
  notices.error(code, { detail, remedies: entry ? [{ label: 'action.reload', run: () => void open(entry) }] : [] });
};

/** The person wants this model. @param {Entry} entry */
function choose(entry) {
  chosen = true;
  if (!loading && loaded?.entry.source === entry.source) return save();
  void open(entry);
}

async function start() {
  if (!chooseArtifact()) {
    document.body.dataset.state = 'unsupported';
    notices.error('unsupported', { words: 'browser' });
    notices.status('status.unsupported');
    return;
  }
  try {
    await isolate();
    await picker.readCatalog();
    const before = recallInTab('model');
    if (typeof before === 'string' && before.startsWith('saved:')) await offerSaved();
    if (typeof before === 'string' && before.startsWith('stored:')) await offerStored();
    const entry = picker.find(wanted ?? before) ?? picker.find(before) ?? picker.default;
    // Somebody may have dropped a model of their own meanwhile.
    if (entry && !loading && !loaded) await open(entry);
  } catch (error) {
    if (loading || loaded) return;
    notices.error('catalog', { detail: error instanceof Error ? error.message : String(error) });
    notices.status('status.noModel');
    show('error');
  }
}

// ---- what is possible now ----

/** @param {string} [state] */
function show(state) {
  if (document.body.dataset.state === 'unsupported') return;
  state ??= loading ? 'loading' : writer.writing ? 'generating' : loaded ? 'ready' : 'error';
  document.body.dataset.state = state;
  const idle = writes() && !loading && !writer.writing;
  const focused = document.activeElement;
  enable('generate', idle);
  byId('generate').hidden = writer.writing;
  byId('stop').hidden = !writer.writing;
  enable('regenerate', idle && text.lastContinuation !== null);
  enable('undo', !writer.writing && text.canUndo);
  enable('redo', !writer.writing && text.canRedo);
  enable('copy', text.text !== '');
  enable('share', writes() && text.text !== '' && !writer.writing);
  enable('new', !writer.writing && text.text !== '');
  byId('examples').hidden = text.text !== '' || writer.writing;
  showCaretAction();
  editor.locked = writer.writing;
  // A button that goes away must not take the keyboard's place in the page with it.
  if (focused === byId('generate') && writer.writing) byId('stop').focus();
  if (focused === byId('stop') && !writer.writing) byId('generate').focus();
}

function showCaretAction() {
  const earlier = editor.caret < text.text.trimEnd().length && editor.caret > 0;
  byId('continue').hidden = !(earlier && writes() && !loading && !writer.writing);
}

/** @param {string} id @param {boolean} possible */
function enable(id, possible) {
  /** @type {HTMLButtonElement} */ (byId(id)).disabled = !possible;
}

// ---- the text ----

let saving = 0;
let counting = 0;

function changed() {
  clearTimeout(saving);
  saving = setTimeout(save, SAVE_AFTER);
  writer.reconsider();
  unknown.show(text.text);
  countSoon();
  show();
}

/** The text, and the model it is written with: another in its place after a reload might not even know its letters. */
function save() {
  rememberInTab('document', text.save());
  if (loaded) rememberInTab('model', chosen || text.text !== '' ? loaded.entry.id : null);
}

/** Counts the tokens in the text when the person pauses, and says which characters are none. @param {number} [after]  ms */
function countSoon(after = COUNT_AFTER) {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    const model = loaded?.model;
    const counted = text.text;
    if (!model) return;
    if (counted.length > MOST_COUNTED) {
      if (!writer.writing) meters.tokens(null);
      return;
    }
    try {
      const tokens = await model.tokenize(counted);
      if (model !== loaded?.model) return;
      unknown.learn(counted, tokens);
      unknown.show(text.text);
      // What the model writes is counted as it comes.
      if (writer.writing) return;
      writer.reconsider(tokens.length);
      meters.tokens(tokens.length);
    } catch {
      // A model that is gone, or cannot read the text, says so when asked to write.
    }
  }, after);
}

/** @param {'undo' | 'redo'} direction */
function step(direction) {
  if (writer.writing) return;
  const caret = text[direction]();
  if (caret === null) return;
  editor.render({ caret });
  notices.clearError();
  changed();
}

/** The person's text becomes `next`, as one step. @param {string} next */
function replaceText(next) {
  text.edit(next, next.length, -Infinity);
  editor.render({ caret: next.length });
  writer.wholeText();
  alternatives.close();
  notices.clearError();
  changed();
  area.focus();
}

async function copy() {
  try {
    // Missing where the page does not come over https.
    await navigator.clipboard.writeText(text.text);
    notices.status('status.copied');
  } catch {
    area.focus();
    area.select();
    notices.status(document.execCommand('copy') ? 'status.copied' : 'status.copyFailed');
  }
}

/** Not while another model is on its way, which would take this one's place in mid-sentence. @param {From} from */
function write(from) {
  if (!writes() || loading) return;
  // Whoever did not pause is told now what the model will not understand.
  countSoon(0);
  void writer.write(from);
}

// ---- connections ----

/** @type {[string, () => void][]} */
const BUTTONS = [
  ['generate', () => write('end')],
  ['continue', () => write('caret')],
  ['regenerate', () => write('again')],
  ['stop', () => writer.stop()],
  ['undo', () => step('undo')],
  ['redo', () => step('redo')],
  ['copy', () => void copy()],
  ['new', () => (replaceText(''), notices.status('status.cleared'))],
  ['cancel', () => loading?.abort()],
];
for (const [id, run] of BUTTONS) byId(id).addEventListener('click', run);

examples.onPrompt = replaceText;
examples.onModel = (entry) => {
  choose(entry);
  // Its button goes, and must not take the keyboard's place in the page with it.
  area.focus();
};

addEventListener('keydown', (event) => {
  const command = event.ctrlKey || event.metaKey;
  if (event.isComposing || currentView() !== 'write') return;
  if (event.key === 'Escape') {
    if (writer.writing) writer.stop();
    else if (byId('settings').classList.contains('sheet-open')) closeSettings();
    else return;
  } else if (command && event.key === 'Enter') {
    write(event.shiftKey ? 'caret' : 'end');
  } else if (command && event.target === area && event.key.toLowerCase() === 'z') {
    step(event.shiftKey ? 'redo' : 'undo');
  } else if (command && event.target === area && event.key.toLowerCase() === 'y') {
    step('redo');
  } else {
    return;
  }
  event.preventDefault();
});
// Undo from a menu or a gesture is the browser's own, which knows nothing of the model's part.
area.addEventListener('beforeinput', (event) => {
  if (event.inputType !== 'historyUndo' && event.inputType !== 'historyRedo') return;
  event.preventDefault();
  step(event.inputType === 'historyUndo' ? 'undo' : 'redo');
});
document.addEventListener('selectionchange', showCaretAction);
// The whole sheet is for writing, also below the last line.
byId('paper').addEventListener('click', (event) => {
  if (event.target === byId('paper') || event.target === byId('sheet')) area.focus();
});

editor.onEdit = changed;
writer.onChange = (writing) => {
  show();
  if (!writing) {
    clearTimeout(saving);
    saving = setTimeout(save, 0);
    countSoon();
  }
};
// Whoever closes the list before it is full does not want the rest.
alternatives.onClose = () => writer.stop();
alternatives.onChoose = (words) => {
  writer.choose(words);
  changed();
};
picker.onUnreadable = (detail) => notices.error('io', { detail });
picker.onPick = (entry) => {
  // Files may be dropped on any view.
  if (!['write', 'chat', 'inside', 'lessons'].includes(currentView())) location.hash = '#write';
  choose(entry);
};
addEventListener('pagehide', save);

// ---- look and language ----

startLook();
onLanguage(() => {
  notices.repeat();
  meters.show();
  show();
});

// ---- the other views ----

/** Models that were trained here and kept. */
async function offerSaved() {
  try {
    picker.offerSaved(await kept('models'));
  } catch {
    // A browser that keeps nothing has nothing to offer.
  }
}

/** Models that were fetched and kept. The store is only started where there are any; it goes on with what is unfinished. */
async function offerStored() {
  if (noted().length === 0 && !unfinished()) return;
  const { storedEntries } = await import('./store/entries.js');
  await storedEntries((entries) => picker.offerStored(entries));
}

// ---- sharing ----

const sharing = new Sharing({
  find: (id) => picker.find(id),
  current: () => loaded && { entry: loaded.entry, sha256: loaded.model.info.sha256 },
  text: () => {
    const start = text.lastContinuation?.start ?? text.text.length;
    return { prompt: text.text.slice(0, start), settings: settings.shared() };
  },
  write: async (entry, shared) => {
    chosen = true;
    if (loaded?.entry.id !== entry.id) await open(entry);
    if (loaded?.entry.id !== entry.id) return;
    const sha256 = loaded.model.info.sha256 ?? (await hashOf(entry));
    settings.take(shared.settings);
    replaceText(shared.prompt);
    await writer.write('end');
    if (shared.sha256 && sha256 && shared.sha256 !== sha256) notices.error('other_version');
  },
  progress: (name, progress) => notices.progress(name, progress),
  status: (key, values) => notices.status(key, values),
  fail: (error) => {
    const { code = 'io', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error);
    notices.hideProgress();
    notices.error(code, { detail: message, words: 'shared' });
  },
});

/** What the store knows of a model that is too large to be hashed when it is opened. @param {Entry} entry */
async function hashOf({ source }) {
  if (!('stored' in source)) return null;
  const { store } = await import('./store/client.js');
  const files = (await store.list()).models.find(({ id }) => id === source.stored)?.files ?? [];
  return files.length === 1 ? (files[0]?.sha256 ?? null) : null;
}

// ---- without a network, and new versions ----

offlineState.watch((state) => {
  const news = state === 'update' || state === 'others';
  byId('update').hidden = !news;
  if (news) byId('update-words').textContent = t(state === 'update' ? 'update.ready' : 'update.others');
});
byId('update-now').addEventListener('click', () => (save(), void update()));
byId('update-later').addEventListener('click', () => (byId('update').hidden = true));

/** What the other views may ask of this one. @type {Page} */
const page = {
  write: (entry) => {
    location.hash = '#write';
    choose(entry);
  },
  current: () => loaded?.entry ?? null,
  saved: offerSaved,
  stored: (entries) => picker.offerStored(entries),
  model: () => loaded?.model ?? null,
  onModel: (listener) => void modelListeners.add(listener),
  title: () => (loaded ? titleOf(loaded.entry) : ''),
  text: () => text.text,
  models: () => picker.all,
  config: () => settings.config(),
  use: (id) => {
    wanted = id;
    const entry = picker.find(id);
    if (entry) choose(entry);
  },
};
startViews(page, (error) => notices.error('io', { detail: String(error) }));

const apple = /Mac|iP(hone|ad|od)/.test(navigator.platform);
byId('generate-key').textContent = apple ? '⌘⏎' : 'Ctrl ⏎';
byId('generate').setAttribute('aria-keyshortcuts', apple ? 'Meta+Enter' : 'Control+Enter');

text.restore(recallInTab('document'));
translate();
notices.status('status.starting');
editor.render();
editor.toEnd();
show('loading');
if (currentView() === 'write' && matchMedia('(pointer: fine)').matches) area.focus({ preventScroll: true });
await start();
await offerSaved();
await offerStored().catch(() => {});
sharing.show();
void prepareOffline();
