/**
 * One training from text to model, without anything of the screen: which stages are done, and what comes of each. A stage
 * is done anew when something it rests on has changed.
 */

import { fromGb18030 } from '../../encoding.js';
import { createTraining } from '../../inkling.js';
import { corpusOptions, isChinese, modelConfig, settingsFor, stepsFor, trainingOptions } from './presets.js';
import { RunRecord } from './record.js';

/** @import { Source } from '../../inkling.js' */
/** @import { Training } from '../../training.js' */
/** @import { CleanReport, Evaluation, PlanReport, StepReport, TextFile, TrainingEvent, VocabularyReport } from '../../protocol.js' */
/** @import { SavedTraining } from '../../store.js' */
/** @import { PresetName, Settings } from './presets.js' */

/** @typedef {'text' | 'vocabulary' | 'model' | 'training' | 'generate'} StageName */
/** `idle`: no model yet; `ready`: built and not begun. @typedef {'idle' | 'ready' | 'running' | 'paused' | 'finished'} Status */
/** @typedef {{ step: number, text: string }} Sample */

/** So much of the text tells its language and how it is divided. */
const HEAD = 20_000;
/** Steps that tell how long one takes. */
const MEASURED_STEPS = 3;
/** Of the memory, the share above which a model is not made twice in the same engine. */
const LARGE = 0.3;
/** Milliseconds between checkpoints. */
const CHECKPOINT_EVERY = 15_000;
const SAMPLE_TOKENS = 60;
/** The learning rate of a model that is there already. */
const FURTHER_RATE = 3e-4;
/** Room for them beside all characters. */
const SPECIAL_TOKENS = 16;

/** What has been measured and written. */
export class History {
  /** @type {{ step: number, loss: number, gradNorm: number }[]} */ train = [];
  /** @type {Evaluation[]} */ heldOut = [];
  /** @type {Sample[]} */ samples = [];
  /** @type {StepReport | null} */ last = null;
  tokensPerSecond = 0;
  memoryBytes = 0;
}

export class Session {
  /** Something is different in this stage. @type {(stage: StageName) => void} */ onChange = () => {};
  /** A checkpoint could not be kept. @type {(code: string, detail: string) => void} */ onStorage = () => {};
  /** @type {TextFile[]} */ files = [];
  head = '';
  title = '';
  /** What samples of the training under way begin with. */ prompt = '';
  /** The model to go on from, in place of a new one. @type {{ id?: string, title: string, source: Source } | null} */ base = null;
  /** @type {Settings} */ settings = settingsFor('lesson', { bytes: 30_000, chinese: false });
  /** @type {CleanReport | null} */ clean = null;
  /** @type {VocabularyReport | null} */ vocabulary = null;
  /** @type {PlanReport | null} */ plan = null;
  /** Measured, for the model of the plan. @type {number | null} */ millisecondsPerStep = null;
  /** @type {Status} */ status = 'idle';
  /** What is being done. @type {'text' | 'vocabulary' | 'model' | 'measure' | 'build' | null} */ busy = null;
  history = new History();
  /** When the run under way began, and at which step. @type {{ at: number, step: number } | null} */ began = null;
  record = new RunRecord();
  /** Whether the vocabulary can be played: not that of a model that was there already. */ replayable = false;
  /** @type {Promise<Training> | null} */ #training = null;
  /** What each stage was made of; empty: it is to be done. */
  #made = { text: '', vocabulary: '', model: '' };
  #filesVersion = 0;
  /** @type {AbortController | null} */ #running = null;
  /** @type {Promise<void>} */ #run = Promise.resolve();
  /** The person has chosen more than a preset. */ #touched = false;
  /** Grows when what is under way is given up. */ #generation = 0;

  get bytes() {
    return this.files.reduce((sum, { blob }) => sum + blob.size, 0);
  }

  get steps() {
    return stepsFor(
      this.settings,
      this.millisecondsPerStep,
      this.plan ? this.plan.tokens / Math.max(1, this.plan.tokensPerStep) : 0,
    );
  }

  /** Tokens the model chooses among. */
  get choices() {
    return (
      this.plan?.tensors.find(({ name }) => /wte\.weight$|embed_tokens\.weight$/.test(name))?.shape[0] ??
      this.vocabulary?.size ??
      2
    );
  }

  /** @returns {Promise<Training>} */
  training() {
    if (this.#training) return this.#training;
    const training = createTraining();
    this.#training = training;
    training.catch(() => {
      if (this.#training === training) this.#training = null;
    });
    return training;
  }

  /** The text is another one. @param {TextFile[]} files @param {string} title */
  async use(files, title) {
    this.files = files;
    this.title = title;
    this.#filesVersion++;
    const start = new Uint8Array((await files[0]?.blob.slice(0, HEAD).arrayBuffer()) ?? 0);
    this.head = new TextDecoder().decode(fromGb18030(start).bytes);
    if (!this.#touched) this.choose(this.settings.preset);
    this.onChange('text');
  }

  /** @param {PresetName} preset */
  choose(preset) {
    this.#touched = preset === 'free';
    this.settings = settingsFor(preset, { bytes: this.bytes, chinese: isChinese(this.head) }, this.settings);
    this.onChange('vocabulary');
    this.onChange('model');
  }

  /** A setting is another one; whatever the preset left to the program is then the person's. @param {(settings: Settings) => void} change */
  change(change) {
    this.settings = structuredClone(this.settings);
    change(this.settings);
    this.#touched = true;
    this.onChange('model');
  }

  /** Trains from a model on, or from nothing again: what has learned already takes smaller steps. @param {Session['base']} base */
  startFrom(base) {
    this.base = base;
    const { learning_rate } = settingsFor(this.settings.preset, { bytes: this.bytes, chinese: false }).training;
    this.change((settings) => (settings.training.learning_rate = base ? FURTHER_RATE : learning_rate));
    this.onChange('vocabulary');
  }

  /** What the stages would be made of now. */
  #wanted() {
    const text = JSON.stringify([
      this.#filesVersion,
      corpusOptions(this.settings, { bytes: this.bytes, head: this.head }),
    ]);
    const vocabulary = this.base ? `${text} of ${this.base.title}` : text + JSON.stringify(this.settings.vocabulary);
    return { text, vocabulary, model: vocabulary + JSON.stringify([this.settings.shape, this.settings.training]) };
  }

  /** Whether a stage shows what the settings say. @param {'text' | 'vocabulary' | 'model'} stage */
  current(stage) {
    // A training from a checkpoint has its stages behind it.
    return this.#made[stage] === '' || this.#made[stage] === this.#wanted()[stage];
  }

  /**
   * Does what is to be done up to a stage.
   * @param {'text' | 'vocabulary' | 'model'} upTo
   * @throws the engine's errors, and `aborted` when it was given up
   */
  async ensure(upTo) {
    if (this.record.id !== '') await this.reset();
    const training = await this.training();
    await this.#stage('text', async () => {
      this.clean = this.vocabulary = this.plan = null;
      this.clean = await training.clean(
        this.files,
        corpusOptions(this.settings, { bytes: this.bytes, head: this.head }),
      );
    });
    if (upTo === 'text') return;
    await this.#stage('vocabulary', async () => {
      this.vocabulary = this.plan = null;
      if (!this.base) this.vocabulary = await training.trainVocabulary(this.#vocabularyOptions());
      this.replayable = !this.base;
    });
    if (upTo === 'vocabulary') return;
    await this.#stage('model', async () => {
      this.plan = this.millisecondsPerStep = null;
      this.plan = this.base
        ? await this.#build(training)
        : await training.plan(modelConfig(this.settings.shape), trainingOptions(this.settings, this.steps));
    });
  }

  /** A vocabulary of characters has all of them. */
  #vocabularyOptions() {
    const { kind, size } = this.settings.vocabulary;
    return { kind, size: kind === 'characters' ? Math.max(size, (this.clean?.alphabet ?? 0) + SPECIAL_TOKENS) : size };
  }

  /** @param {'text' | 'vocabulary' | 'model'} stage @param {() => Promise<void>} work */
  async #stage(stage, work) {
    const wanted = this.#wanted()[stage];
    if (this.#made[stage] === wanted) return;
    this.#made[stage] = '';
    try {
      await this.#busily(stage, work);
      this.#made[stage] = wanted;
    } finally {
      // What rests on it is gone, also if it failed.
      for (const one of /** @type {const} */ (['text', 'vocabulary', 'model'])) this.onChange(one);
    }
  }

  /** @param {NonNullable<Session['busy']>} what @param {() => Promise<void>} work */
  async #busily(what, work) {
    const generation = this.#generation;
    this.busy = what;
    this.onChange('training');
    try {
      await work();
    } catch (error) {
      // An engine that is gone takes along what it was given.
      if (isFatal(error)) this.#forget();
      throw error;
    } finally {
      if (generation === this.#generation) this.busy = null;
      this.onChange('training');
    }
    if (generation !== this.#generation) throw Object.assign(new Error('stopped'), { code: 'aborted' });
  }

  #forget() {
    this.#training = null;
    this.#made = { text: '', vocabulary: '', model: '' };
  }

  /** @param {Training} training */
  async #build(training) {
    const options = trainingOptions(this.settings, this.steps);
    return this.base
      ? training.buildFrom(this.base.source, options)
      : training.build(modelConfig(this.settings.shape), options);
  }

  /** Whether the model of the plan has room. */
  get fits() {
    return this.plan === null || this.plan.memoryBytes <= this.plan.availableBytes;
  }

  /** How long a step takes, tried out. */
  async measure() {
    await this.ensure('model');
    if (!this.fits || this.millisecondsPerStep !== null) return;
    const training = await this.training();
    await this.#busily('measure', async () => {
      // A plan on top of another model has made it already.
      if (!this.base) await this.#build(training);
      this.millisecondsPerStep = await training.measure(MEASURED_STEPS);
    });
    this.onChange('model');
  }

  /** Everything up to a model that can be trained. */
  async prepare() {
    await this.measure();
    const plan = this.plan;
    if (!plan || !this.fits) return;
    if (plan.memoryBytes > plan.availableBytes * LARGE) await this.#startAfresh();
    const training = await this.training();
    await this.#busily('build', async () => {
      this.plan = await this.#build(training);
    });
    this.history = new History();
    this.record = RunRecord.begin(this.title || (await this.#firstWords()));
    this.record.onStorage = (code, detail) => this.onStorage(code, detail);
    this.prompt = this.settings.training.sample_prompt ?? '';
    this.#become('ready');
  }

  /** The same up to the model in another engine: WebAssembly's memory never shrinks, and the one tried out is still in it. */
  async #startAfresh() {
    const { millisecondsPerStep } = this;
    await (await this.training()).dispose();
    this.#forget();
    await this.ensure('model');
    this.millisecondsPerStep = millisecondsPerStep;
  }

  async #firstWords() {
    return this.head.trim().split(/\s+/).slice(0, 5).join(' ').slice(0, 40) || 'model';
  }

  /** Trains on; returns when it pauses or ends. @param {number} [steps]  at most so many */
  async run(steps) {
    if (this.#running) return;
    this.#run = this.#go(steps);
    await this.#run;
  }

  /** @param {number} [steps] */
  async #go(steps) {
    const training = await this.training();
    const running = new AbortController();
    this.#running = running;
    this.began = { at: performance.now(), step: this.history.last?.step ?? 0 };
    this.#become('running');
    try {
      const { reason } = await training.run({
        steps,
        signal: running.signal,
        checkpointEvery: CHECKPOINT_EVERY,
        sample: { prompt: this.prompt, tokens: SAMPLE_TOKENS, seed: 1 },
        onEvent: (event) => this.#take(event),
      });
      this.#become(reason === 'steps' ? 'paused' : 'finished');
    } catch (error) {
      const { code } = /** @type {{ code?: string }} */ (error);
      if (isFatal(error)) this.#forget();
      this.#become(code === 'diverged' ? 'finished' : 'paused');
      if (code !== 'aborted') throw error;
    } finally {
      this.record.seconds += (performance.now() - (this.began?.at ?? performance.now())) / 1000;
      this.#running = null;
      this.began = null;
    }
  }

  pause() {
    this.#running?.abort();
  }

  /** No more steps: what there is, is the model. */
  async finish() {
    this.pause();
    await this.#run.catch(() => {});
    this.record.finished = true;
    await this.record.write();
    this.#become('finished');
  }

  /** @param {TrainingEvent} event */
  #take(event) {
    const { history } = this;
    switch (event.type) {
      case 'steps':
        for (const step of event.steps) history.train.push(step);
        history.last = event.steps.at(-1) ?? history.last;
        history.tokensPerSecond = event.tokensPerSecond;
        history.memoryBytes = event.memoryBytes;
        break;
      case 'evaluation':
        history.heldOut.push(event.evaluation);
        this.onChange('generate');
        break;
      case 'sample':
        history.samples.push({ step: event.step, text: event.text });
        break;
      case 'checkpoint':
        void this.record.take(event.bytes, {
          step: event.step,
          maxSteps: history.last?.maxSteps ?? 0,
          finished: Boolean(history.last?.finished),
          samples: history.samples,
        });
        break;
    }
    this.onChange('training');
  }

  /** @param {Status} status */
  #become(status) {
    this.status = status;
    this.onChange('training');
    this.onChange('generate');
  }

  /** Goes on with a training that was kept, or one from a file. @param {Blob} checkpoint @param {SavedTraining | null} saved @param {string} title */
  async resume(checkpoint, saved, title) {
    await this.reset();
    const training = await this.#busilyOpen(checkpoint);
    const state = training.resumed;
    if (!state) return;
    this.clean = state.clean;
    this.vocabulary = state.vocabulary;
    this.replayable = state.vocabulary !== null;
    this.plan = state.plan;
    this.title = title;
    const options = state.recipe.training;
    this.prompt = options.sample_prompt;
    const last = state.curve.train.at(-1);
    this.history = Object.assign(new History(), {
      train: state.curve.train,
      heldOut: state.curve.heldOut,
      samples: saved?.samples ?? [],
      memoryBytes: training.memoryBytes,
    });
    if (last)
      this.history.last = {
        ...last,
        maxSteps: options.max_steps,
        learningRate: NaN,
        tokens: 0,
        epoch: (state.step * state.plan.epochs) / Math.max(1, state.plan.steps),
        evaluationDue: false,
        finished: null,
      };
    this.record = RunRecord.of(checkpoint, saved, title, state.step);
    this.record.onStorage = (code, detail) => this.onStorage(code, detail);
    for (const stage of /** @type {const} */ (['text', 'vocabulary', 'model'])) this.onChange(stage);
    this.#become(saved?.finished || state.step >= options.max_steps ? 'finished' : 'paused');
  }

  /** @param {Blob} checkpoint */
  async #busilyOpen(checkpoint) {
    /** @type {Training | null} */
    let training = null;
    await this.#busily('build', async () => {
      training = await createTraining({ checkpoint });
    });
    const opened = /** @type {Training} */ (/** @type {unknown} */ (training));
    this.#training = Promise.resolve(opened);
    return opened;
  }

  /** After a crash: the same training from its last checkpoint. */
  async recover() {
    const { checkpoint, title } = this.record;
    if (checkpoint) await this.resume(checkpoint, this.record.saved(), title);
  }

  /** The model of the best measurement, as files. */
  async export() {
    return (await this.training()).exportFolder();
  }

  /** Gives up what is under way and what was made; the text and the settings stay, and so do checkpoints. */
  async reset() {
    this.#generation++;
    this.pause();
    const old = this.#training;
    this.#forget();
    await old?.then((training) => training.dispose()).catch(() => {});
    this.clean = this.vocabulary = this.plan = this.millisecondsPerStep = null;
    this.busy = null;
    this.history = new History();
    this.record = new RunRecord();
    for (const stage of /** @type {const} */ (['text', 'vocabulary', 'model'])) this.onChange(stage);
    this.#become('idle');
  }
}

/** Whether the engine is gone. @param {unknown} error */
const isFatal = (error) =>
  ['crashed', 'out_of_memory', 'disposed'].includes(/** @type {{ code?: string }} */ (error)?.code ?? '');
