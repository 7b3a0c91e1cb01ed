/**
 * The worker of the store: looks at what is at an address, fetches models, checks them and keeps them. It alone speaks to
 * other origins, and only when a person has asked for something there. Answers requests as worker.js does; `watch` is
 * answered with an event whenever something is new, and never ends.
 */

import { Download } from './download.js';
import { StoreError } from './errors.js';
import { hash } from './hash.js';
import { look, readWish } from './hub.js';
import { bestTier } from './places.js';
import { allRecords, claim, deleteRecord, hereOf, openRecords, readRecord, writeRecord } from './records.js';
import { checkSpace } from './space.js';

/** @import { Choice } from './hub.js' */
/** @import { Tier } from './places.js' */
/** @import { StoredModel } from './records.js' */
/** @import { Waiting } from './download.js' */
/** @import { StoreRequest, StoreState, StoredEntry } from './protocol.js' */

/** How long a page that is fetching a model may be silent before another one may go on with it, in milliseconds. */
const LEASE = 6000;
const RENEW_EVERY = 2000;
/** How often the page is told, and other pages' downloads are looked at, in milliseconds. */
const TELL_EVERY = 150;
const LOOK_EVERY = 1000;
/** Over how long speed is measured, in milliseconds. */
const SPEED_OVER = 4000;

const owner = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
/** @type {Tier} */
let tier;
const ready = (async () => {
  [tier] = await Promise.all([bestTier(), openRecords()]);
})();

/** What this page does with a model right now. */
class Activity {
  stopping = new AbortController();
  /** Called at its end. @type {() => void} */ finish = () => {};
  /** @type {Promise<void>} */ done = new Promise((resolve) => (this.finish = resolve));
  /** @type {'downloading' | 'verifying'} */ phase = /** @type {const} */ ('downloading');
  /** @type {Waiting | null} */ waiting = null;
  verifiedBytes = 0;
  /** Bytes that were here, and when. @type {{ at: number, bytes: number }[]} */ #marks = [];

  /** @param {StoredModel} model */
  constructor(model) {
    this.model = model;
  }

  /** Bytes per second over the last seconds, or null. */
  speed() {
    const now = Date.now();
    const bytes = hereOf(this.model);
    this.#marks.push({ at: now, bytes });
    while (this.#marks.length > 2 && now - (this.#marks[0]?.at ?? now) > SPEED_OVER) this.#marks.shift();
    const first = this.#marks[0];
    return first && now - first.at > 500 ? ((bytes - first.bytes) * 1000) / (now - first.at) : null;
  }
}

/** @type {Map<string, Activity>} */
const activities = new Map();
/** Requests that are to be told. @type {Set<number>} */
const watching = new Set();
const others = typeof BroadcastChannel === 'function' ? new BroadcastChannel('inkling.store') : null;
if (others) others.onmessage = () => void tell();

self.onmessage = async (/** @type {MessageEvent<StoreRequest>} */ { data }) => {
  const { request } = data;
  try {
    await ready;
    const result = await answer(data);
    if (result !== undefined) self.postMessage({ type: 'done', request, result });
  } catch (error) {
    self.postMessage({ type: 'error', request, ...failureOf(error), fatal: false });
  }
};

/** @param {StoreRequest} message @returns {Promise<any>} */
async function answer(message) {
  switch (message.type) {
    case 'watch':
      watching.add(message.request);
      await tell();
      void goOn();
      return undefined;
    case 'list':
      return state();
    case 'look':
      return look(readWish(message.text, message.hub));
    case 'add':
      return add(message.choice);
    case 'resume':
      return resume(message.id);
    case 'pause':
      return pause(message.id);
    case 'remove':
      return remove(message.id);
    case 'files':
      return files(message.id);
    case 'verify':
      return verify(message.id);
    default:
      return null;
  }
}

// ---- fetching ----

/** Begins to fetch a model, or goes on. @param {Choice} choice @returns {Promise<string>} its id */
async function add(choice) {
  const { id, title, origin, license, bytes } = choice;
  const before = await readRecord(id);
  if (!before) {
    await checkSpace(bytes, bytes, tier);
    const files = choice.files.map((file) => ({ ...file, etag: null, ranges: null, segments: [], verified: false }));
    await writeRecord({
      ...{ id, title, origin, license, files, bytes, tier: tier.name },
      ...{ state: 'partial', savedAt: Date.now(), usedAt: 0, checkedAt: 0, lease: null, wanted: true, failure: null },
    });
  }
  await resume(id);
  return id;
}

/** @param {string} id */
async function resume(id) {
  const record = await readRecord(id);
  if (!record) throw new StoreError('missing_file', `expected a model ${id} in the store, found none`);
  if (record.state === 'complete' || activities.has(id)) return null;
  // What an earlier visit had in memory is gone.
  if (record.tier !== tier.name) forget(record);
  await checkSpace(record.bytes, record.bytes - hereOf(record), tier);
  // A page that is gone has left its lease, but not its lock.
  const held = await locked();
  if (!(await claim(id, owner, LEASE, held !== null && !held.has(lockName(id))))) {
    throw new StoreError('busy', `${record.title}: expected no other page to fetch it, found one that does`);
  }
  Object.assign(record, { wanted: true, failure: null });
  void fetchAll(record);
  others?.postMessage(id);
  // Whoever asked knows that it has begun before they are answered.
  await tell();
  return null;
}

/** @param {string} id */
function pause(id) {
  const activity = activities.get(id);
  if (!activity) return null;
  activity.model.wanted = false;
  activity.stopping.abort();
  return null;
}

/** Failures that may be over by another visit. */
const PASSING = new Set(['io', 'rate_limited']);

/** Goes on with what an earlier visit did not finish, as when its tab was closed or the line broke. */
async function goOn() {
  for (const { id, state, wanted, failure } of await allRecords()) {
    if (state !== 'partial' || !wanted || (failure && !PASSING.has(failure.code))) continue;
    try {
      await resume(id);
    } catch (error) {
      // Another page has it, or had it a moment ago: should it be gone by then, this one goes on. Anything else is shown.
      if (failureOf(error).code === 'busy') setTimeout(() => void goOn(), LEASE);
    }
  }
}

/** @param {string} id */
const lockName = (id) => `inkling.store ${id}`;

/** The locks that pages hold; null where browsers give none, as over plain http. @returns {Promise<Set<string> | null>} */
async function locked() {
  try {
    const { held = [] } = await navigator.locks.query();
    return new Set(held.map(({ name }) => name ?? ''));
  } catch {
    return null;
  }
}

/** Why something ended before its end. @param {unknown} error */
function failureOf(error) {
  const { code = 'storage', message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error);
  return { code, message };
}

/** Nothing of it is here. @param {StoredModel} record */
function forget(record) {
  record.tier = tier.name;
  for (const file of record.files) Object.assign(file, { segments: [], verified: false });
}

/** Fetches and checks. Never fails: what goes wrong is told. @param {StoredModel} record */
async function fetchAll(record) {
  const { id } = record;
  const activity = new Activity(record);
  activities.set(id, activity);
  const note = (/** @type {StoredModel} */ model) =>
    writeRecord({ ...model, lease: { owner, until: Date.now() + LEASE } });
  navigator.locks?.request(lockName(id), { ifAvailable: true }, () => activity.done).catch(() => {});
  // Also while nothing comes.
  const renewing = setInterval(() => void claim(id, owner, LEASE).catch(() => {}), RENEW_EVERY);
  try {
    const download = new Download(record, tier, {
      note,
      progress: () => {
        activity.waiting = download.waiting;
        tellSoon();
      },
    });
    const { signal } = activity.stopping;
    await download.run(signal);
    activity.phase = 'verifying';
    if (!signal.aborted) await check(record, activity);
    if (!signal.aborted) Object.assign(record, { state: 'complete', usedAt: Date.now(), checkedAt: Date.now() });
  } catch (error) {
    record.failure = failureOf(error);
  } finally {
    clearInterval(renewing);
    try {
      // Somebody may have removed it meanwhile.
      if (await readRecord(id)) await writeRecord({ ...record, lease: null });
    } catch {
      // What cannot be noted is as it was noted last.
    }
    // Not before its end is noted: until then it is not paused.
    activities.delete(id);
    activity.finish();
    others?.postMessage(id);
    await tell();
  }
}

// ---- checking ----

/**
 * Reads every file that was not looked through yet.
 * @param {StoredModel} record @param {Activity} activity
 * @throws {StoreError} code `hash_mismatch` or `storage_lost`; what is damaged is no longer there
 */
async function check(record, activity) {
  for (const [i, file] of record.files.entries()) {
    if (file.verified) continue;
    let found = '';
    try {
      const blob = await tier.blob(record.id, i, file.size);
      found = await hash(blob, (bytes) => {
        activity.verifiedBytes += bytes;
        tellSoon();
        activity.stopping.signal.throwIfAborted();
      });
    } catch (error) {
      if (activity.stopping.signal.aborted) return;
      Object.assign(file, { segments: [] });
      throw error;
    }
    if (file.sha256 !== null && file.sha256 !== found) {
      Object.assign(file, { segments: [], etag: null });
      throw new StoreError('hash_mismatch', `${file.name}: expected SHA-256 ${file.sha256}, found ${found}`);
    }
    Object.assign(file, { sha256: found, verified: true });
  }
}

/** Looks through a model that is here. @param {string} id @returns {Promise<null>} */
async function verify(id) {
  const record = await readRecord(id);
  if (!record || activities.has(id)) return null;
  const activity = new Activity(record);
  activity.phase = 'verifying';
  activities.set(id, activity);
  for (const file of record.files) file.verified = false;
  try {
    await check(record, activity);
    record.checkedAt = Date.now();
  } catch (error) {
    // What is damaged has to be fetched again.
    record.state = 'partial';
    record.failure = failureOf(error);
    throw error;
  } finally {
    if (!activity.stopping.signal.aborted) await writeRecord(record);
    activities.delete(id);
    await tell();
  }
  return null;
}

// ---- what is here ----

/** @param {string} id */
async function remove(id) {
  activities.get(id)?.stopping.abort();
  while (activities.has(id)) await new Promise((resolve) => setTimeout(resolve, 20));
  await deleteRecord(id);
  await tier.remove(id);
  others?.postMessage(id);
  await tell();
  return null;
}

/** The files of a model that is here, to be opened. @param {string} id */
async function files(id) {
  const record = await readRecord(id);
  if (!record || record.state !== 'complete') {
    throw new StoreError('missing_file', `expected a model ${id} in the store, found ${record ? 'a part of it' : 'none'}`);
  }
  try {
    const found = await Promise.all(
      record.files.map(async ({ name, size }, i) => ({ name, blob: await tier.blob(id, i, size) })),
    );
    await writeRecord({ ...record, usedAt: Date.now() });
    return found;
  } catch (error) {
    // The browser has cleared it, or was asked to: it is to be fetched anew.
    forget(record);
    await writeRecord({ ...record, state: 'partial', failure: failureOf(error) });
    await tell();
    throw error;
  }
}

// ---- telling ----

let telling = 0;

function tellSoon() {
  telling ||= setTimeout(() => void tell(), TELL_EVERY);
}

let looking = 0;

async function tell() {
  clearTimeout(telling);
  telling = 0;
  if (watching.size === 0) return;
  const now = await state();
  for (const request of watching) self.postMessage({ type: 'events', request, events: [now] });
  clearTimeout(looking);
  // Another page says nothing of its progress but what it notes.
  if (now.models.some(({ phase }) => phase === 'elsewhere')) looking = setTimeout(() => void tell(), LOOK_EVERY);
}

/** @returns {Promise<StoreState>} */
async function state() {
  try {
    // What began or ended while the records were read is under way for those who look now, and told again when it is over.
    const before = new Map(activities);
    const [records, held] = await Promise.all([allRecords(), locked()]);
    const models = records.map((record) => entryOf(record, held, activities.get(record.id) ?? before.get(record.id)));
    return { tier: tier.name, models };
  } catch (error) {
    return { tier: tier.name, models: [], problem: String(error) };
  }
}

/** @param {StoredModel} record @param {Set<string> | null} held  locks @param {Activity} [activity] @returns {StoredEntry} */
function entryOf(record, held, activity) {
  const { id, title, origin, license, bytes, state, savedAt, usedAt, checkedAt, lease, wanted } = record;
  const failure = activity ? null : record.failure;
  const leased = !activity && lease !== null && lease.owner !== owner && lease.until > Date.now();
  const elsewhere = leased && (held === null || held.has(lockName(id)));
  const phase = activity ? activity.phase : elsewhere ? 'elsewhere' : state === 'complete' ? 'complete' : failure ? 'failed' : 'paused';
  const speed = activity?.phase === 'downloading' ? activity.speed() : null;
  const loadedBytes = hereOf(activity?.model ?? record);
  return {
    ...{ id, title, origin, license, bytes, savedAt, usedAt, checkedAt, phase, speed, loadedBytes, failure },
    wanted: activity?.model.wanted ?? wanted,
    verifiedBytes: activity?.verifiedBytes ?? 0,
    waiting: activity?.waiting ?? null,
    files: record.files.map(({ name, size, sha256, verified }) => ({ name, size, sha256: verified ? sha256 : null })),
  };
}
