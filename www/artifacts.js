/**
 * The builds of the engine, which of them this browser can run, and the shape they all share.
 * A further build is one more entry, best first.
 */

/** @import { ChatTemplate, LoadProgress, Parameter, Sequence, Token } from './protocol.js' */
/** @import { Choice, ExplainedToken, Inspection, ModelForm, Neighbor, ScoredToken } from './inspection.js' */
/** @import { CleanReport, Evaluation, Merge, PlanReport, Replay, StateReport, StepReport, VocabularyReport } from './protocol.js' */

/**
 * A one-function WebAssembly module whose body is `i32.const 0; i8x16.splat; i8x16.popcnt`: it validates only where
 * 128-bit SIMD exists.
 */
const SIMD128 = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** The same for relaxed SIMD: `f32x4.relaxed_madd` of three zero vectors. */
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 17, 65, 0, 253, 17, 65, 0,
  253, 17, 253, 133, 2, 11,
]);

const simd128 = () => WebAssembly.validate(SIMD128);
const relaxed = () => WebAssembly.validate(RELAXED);
/** A page that its host has isolated from others may share memory between threads. */
const shares = () => globalThis.crossOriginIsolated === true && typeof SharedArrayBuffer === 'function';

/** @typedef {{ name: string, script: string, binary: string, supported: () => boolean, threads: boolean }} Artifact */

/** @param {string} name @param {() => boolean} supported @param {boolean} [threads] @returns {Artifact} */
const artifact = (name, supported, threads = false) => ({
  name,
  script: `engine/${name}/inkling.js`,
  binary: `engine/${name}/inkling_bg.wasm`,
  supported,
  threads,
});

export const ARTIFACTS = [
  artifact('threads', () => shares() && relaxed(), true),
  // Firefox before 145 and Safari have no relaxed SIMD.
  artifact('threads-simd128', () => shares() && simd128(), true),
  artifact('relaxed', relaxed),
  artifact('simd128', simd128),
];

/**
 * The best build this browser can run, or null. Who asks for one thread gets a build without.
 * @param {number} [threads]
 * @returns {Artifact | null}
 */
export function chooseArtifact(threads) {
  if (typeof WebAssembly !== 'object' || typeof Worker !== 'function') return null;
  return ARTIFACTS.find((artifact) => (threads !== 1 || !artifact.threads) && artifact.supported()) ?? null;
}

/**
 * @typedef {{ type: 'prefill', done: number, total: number }
 *         | { type: 'token', sequence: number, id: number, text: string }
 *         | { type: 'preview', text: string, beams: { ids: number[], score: number }[] }
 *         | { type: 'done', sequences: Sequence[], promptTokens: number, reusedTokens: number }} EngineEvent
 */

/**
 * @typedef {object} Engine
 * @property {(name: string) => void} setCacheType
 * @property {() => Record<string, any>} info
 * @property {() => Parameter[]} parameters
 * @property {(text: string) => Token[]} tokenize
 * @property {() => ChatTemplate | null} chat
 * @property {(text: string) => Token[]} tokenizeChat
 * @property {(prompt: string | number[], config: object) => { promptTokens: number, reusedTokens: number }} start
 * @property {() => EngineEvent} advance  one slice of the prompt, or one token
 * @property {() => void} cancel
 * @property {(prompt: string | number[], options: object) => Inspection} inspect
 * @property {(prompt: string | number[], newTokens: number, config: object, shown: number) => Choice} choice
 * @property {(prompt: string | number[], top: number) => ScoredToken[]} score
 * @property {(prompt: string | number[], ways: string[]) => Float32Array} continuations
 * @property {(id: number, count: number) => Neighbor[]} neighbors
 * @property {(text: string) => ExplainedToken[]} explain
 * @property {() => ModelForm} form
 * @property {(task: string, args: object) => void} begin  a task of a model that reads
 * @property {() => { done: number, total: number } | { result: any }} step  one part of it
 */

/**
 * The trainer, as src/web/train.rs exports it: the same calls as `Training` in training.js, answered at once.
 * @typedef {object} TrainingEngine
 * @property {(files: { name: string, bytes: Uint8Array, column: string | null }[], corpus: object) => CleanReport} clean
 * @property {(name: string, bytes: Uint8Array) => string[]} columns
 * @property {(vocabulary: object) => VocabularyReport} trainVocabulary
 * @property {(from: number, to: number) => Merge[]} merges
 * @property {(merges: number, text: string) => Replay} replay
 * @property {(model: object, training: object) => PlanReport} plan
 * @property {(model: object, training: object) => PlanReport} build
 * @property {(model: Loading, training: object) => PlanReport} buildFrom
 * @property {() => StepReport} step
 * @property {() => Evaluation} evaluate
 * @property {(prompt: string, maxNewTokens: number, seed: number) => string} sample
 * @property {() => Uint8Array<ArrayBuffer>} checkpoint
 * @property {() => StateReport} state
 * @property {() => { name: string, bytes: Uint8Array<ArrayBuffer> }[]} exportFolder
 */

/**
 * The files of a model as they arrive. What has been opened from it is gone.
 * @typedef {object} Loading
 * @property {(name: string, length: number) => number} file  the number by which it is called
 * @property {(file: number, bytes: Uint8Array) => void} write
 */

/**
 * @typedef {object} EngineModule
 * @property {(options: { module_or_path: URL | WebAssembly.Module, memory?: WebAssembly.Memory }) => Promise<{ memory: WebAssembly.Memory }>} default
 * @property {() => void} [serveThread]  of a build with threads: works for the engine and never returns
 * @property {() => number} [threads]
 * @property {{ new (): TrainingEngine, resume: (bytes: Uint8Array) => TrainingEngine }} Training
 * @property {{ new (): Loading }} Loading
 * @property {{ new (): { update: (bytes: Uint8Array) => void, hex: () => string } }} Sha256
 * @property {{ open: (loading: Loading, onProgress: (loaded: number, total: number) => void) => Engine }} Engine
 */

/** @typedef {(progress: LoadProgress) => void} Report */
