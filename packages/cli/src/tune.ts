// `h5z tune`: which pipeline and chunk shape suit this dataset, found by measuring.
//
//   1. every installed filter by itself, as `h5z bench` does
//   2. what gives as many bytes as it takes, but others (shuffle, bitshuffle without codec, bitround ...), before each codec
//   3. for a bound of the error: of filters that have no bound of their own, the coarsest step that keeps it
//   4. the best of these with other chunk shapes
//   5. the best of all again on every chunk of the sample, until it stays the best
//   6. for a bound of the error: the best, where it is lossy, on every chunk of the dataset, until one keeps the bound

import { HOST_FILTERS, open } from '@h5z/chunks';
import { completeOptions, type FilterPackage, H5zError, type Parameter } from '@h5z/core';
import { lookup, type Registry } from '@h5z/registry';
import { candidateOf, measurementTable, shortNumber } from './bench.js';
import { candidatesOf, type ErrorBound, isStepped } from './candidates.js';
import { linesFor } from './lines.js';
import {
  type Candidate,
  checkAll,
  chooseDataset,
  type Measurement,
  measure,
  type Refusal,
  type Sample,
  takeSample,
} from './measure.js';
import { frontOf } from './plot.js';
import { DEFLATE, SHUFFLE, wordsOf } from './repack.js';
import { bytesInWords } from './terminal.js';
import { typeInWords } from './words.js';

/** What to look for: see `goalOf`. */
export interface Goal {
  readonly kind: 'speed' | 'ratio' | 'error';
  /** Largest absolute error that a value may have; 0: none. */
  readonly error: number;
}

/** `speed`, `ratio` or `error<=0.01` (`error=0.01` too). Throws H5Z_PARAMETER for anything else. */
export function goalOf(text: string): Goal {
  if (text === 'speed' || text === 'ratio') return { kind: text, error: 0 };
  const bound = /^error\s*<?=\s*(\S+)$/.exec(text)?.[1];
  const error = Number(bound);
  if (bound !== undefined && Number.isFinite(error) && error > 0) return { kind: 'error', error };
  throw new H5zError('H5Z_PARAMETER', `"${text}" is nothing to tune for`, {
    remedy: "write speed, ratio, or 'error<=0.01' with its quotes (shells take < for themselves)",
  });
}

export interface TuneOptions {
  readonly registry: Registry;
  readonly goal: Goal;
  /** Default: the dataset with the most bytes. */
  readonly dataset?: string;
  /** Seconds for all of it. Default 60. */
  readonly budget?: number;
  /** Bytes of values to measure on. Default 4 MB. */
  readonly sample?: number;
  /** Bytes per second that stored chunks come in at, for `speed`. Default 500 MB/s. */
  readonly storage?: number;
  readonly via?: 'native' | 'wasm';
  /** For a bound of the error, hold the best to it on every chunk of the dataset, which is not in the budget. Default true. */
  readonly check?: boolean;
  /** Called before each measurement; `share`: of the budget that is spent. */
  readonly onProgress?: (share: number, words: string) => void;
  /** Called after each chunk that the best is held to. */
  readonly onCheck?: (done: number, total: number, words: string) => void;
}

/** A measured pipeline with the chunk shape that it was measured with. */
export interface Tuned extends Measurement {
  readonly chunk: readonly number[];
  /** Bytes of values per second when stored chunks come in at the storage's rate and one thread decodes. */
  readonly read: number;
}

export interface TuneReport {
  readonly file: string;
  readonly dataset: string;
  readonly type: string;
  readonly goal: Goal;
  readonly storage: number;
  readonly sampleBytes: number;
  /** Pipelines measured, with all chunk shapes. */
  readonly tried: number;
  /** Everything that was measured, in that order. */
  readonly results: readonly Tuned[];
  /** Of what compresses and keeps the goal's error: what nothing else beats in both ratio and decode speed, by ratio. */
  readonly front: readonly Tuned[];
  readonly best: Tuned;
  /** Lossy filters were tried: for a bound of the error, on numbers. */
  readonly lossy: boolean;
  /** What the best, a lossy one, did to every chunk of the dataset. Absent where it is lossless or nothing was to be checked. */
  readonly checked?: { readonly chunks: number; readonly maxError: number };
  /** What was better on the sample, but broke the bound of the error on another chunk of the dataset. */
  readonly broke: readonly string[];
  readonly lines: { readonly repack: string; readonly python: string; readonly javascript: string };
  readonly seconds: number;
}

export const TUNE_SAMPLE = 4_000_000;
export const TUNE_STORAGE = 500_000_000;
const TUNE_BUDGET = 60;
/** Shares of the budget at whose end a round begins no further measurement. */
const ROUND_ENDS = { alone: 0.35, stepped: 0.5, chained: 0.75, shapes: 0.9 };
/** Where the best is measured on all chunks, so often at most. */
const CONFIRMED = 10;
/** What saves less than a hundredth does not compress. */
const LEAST_RATIO = 1.01;
/** Pipelines that are tried with other chunk shapes. */
const SHAPED = 4;

interface Known {
  readonly candidate: Candidate;
  readonly tuned: Tuned;
}

/** Searches; see the head of this file. Throws H5Z_PARAMETER when nothing installed keeps the goal for these data. */
export async function tune(path: string, options: TuneOptions): Promise<TuneReport> {
  const file = await open(path);
  try {
    const dataset = options.dataset === undefined ? chooseDataset(file.datasets, path) : file.dataset(options.dataset);
    const { registry } = options;
    const sample = await takeSample(dataset, { registry, bytes: options.sample ?? TUNE_SAMPLE });
    const search = new Search(sample, options);
    await search.alone();
    if (search.lossy) await search.stepped();
    await search.chained();
    await search.shapes();
    await search.confirm();
    const checked = search.lossy && options.check !== false ? await search.check() : undefined;
    const { best, known } = search;
    if (best === undefined) {
      throw dataset.error('H5Z_PARAMETER', 'no installed filter takes these data', 'install more, such as @h5z/zstd');
    }
    return {
      file: path,
      dataset: dataset.path,
      type: typeInWords(dataset.info.type),
      goal: options.goal,
      storage: options.storage ?? TUNE_STORAGE,
      sampleBytes: sample.bytes,
      tried: known.length,
      front: search.front,
      results: known.map(({ tuned }) => tuned),
      best: best.tuned,
      lossy: search.lossy,
      ...(checked === undefined ? {} : { checked }),
      broke: search.broke,
      lines: linesFor({ path, dataset, chunk: best.tuned.chunk, candidate: best.candidate, registry }),
      seconds: search.seconds,
    };
  } finally {
    file.close();
  }
}

class Search {
  readonly known: Known[] = [];
  readonly broke: string[] = [];
  readonly #samples = new Map<string, Sample>();
  readonly #sample: Sample;
  readonly #options: TuneOptions;
  readonly #bound: ErrorBound;
  readonly #tried = new Set<string>();
  readonly #started = performance.now();

  constructor(sample: Sample, options: TuneOptions) {
    this.#sample = sample;
    this.#samples.set(sample.chunk.join('x'), sample);
    this.#options = options;
    const itemSize = sample.dataset.info.type.size;
    this.#bound = { absolute: options.goal.error, range: sample.range, itemSize };
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** Errors of what is no number cannot be told. */
  get lossy(): boolean {
    return this.#options.goal.kind === 'error' && this.#sample.parts.length > 0;
  }

  /** What keeps the error asked, which for speed and ratio is none. */
  get eligible(): readonly Known[] {
    return this.known.filter(({ tuned }) => this.#keeps(tuned));
  }

  get best(): Known | undefined {
    const score = ({ read, ratio }: Tuned) => (this.#options.goal.kind === 'speed' ? read : ratio);
    return this.#ordered(score)[0];
  }

  get front(): readonly Tuned[] {
    const all = this.eligible.map(({ tuned }) => tuned);
    const smaller = all.filter(({ ratio }) => ratio >= LEAST_RATIO);
    return frontOf(smaller.length > 0 ? smaller : all);
  }

  #ordered(score: (tuned: Tuned) => number): Known[] {
    return [...this.eligible].sort((a, b) => score(b.tuned) - score(a.tuned));
  }

  #keeps({ exact, quality }: Tuned): boolean {
    return exact || (quality !== undefined && quality.maxError <= this.#options.goal.error);
  }

  /** Every installed filter by itself, and libhdf5's own shuffle and deflate. */
  async alone(): Promise<void> {
    const { registry } = this.#options;
    const wanted = registry.packages.filter(({ description }) => this.lossy || !description.lossy);
    const own = OWN.filter(({ id }) => HOST_FILTERS.includes(id) && registry.get(id) === undefined);
    await this.#measureAll(
      [
        ...own.map(({ words }) => candidateOf(words, registry)),
        ...wanted.flatMap((filter) => candidatesOf(filter as FilterPackage, this.#bound)),
      ],
      ROUND_ENDS.alone,
    );
  }

  /** For each integer of a lossy filter that is no bound: the least step whose error is still within the bound. */
  async stepped(): Promise<void> {
    for (const filter of this.#options.registry.packages as readonly FilterPackage[]) {
      if (!filter.description.lossy) continue;
      for (const parameter of filter.description.parameters) {
        if (isStepped(parameter)) await this.#leastStep(filter, parameter);
      }
    }
  }

  async #leastStep(filter: FilterPackage, parameter: Parameter): Promise<void> {
    const { minimum = 0, maximum = 0 } = parameter;
    const chosen = Object.entries(parameter.when ?? {}).map(([name, wanted]) => [name, [wanted].flat()[0]]);
    let low = minimum;
    let high = maximum;
    while (low <= high && this.#share < ROUND_ENDS.stepped) {
      const middle = (low + high) >> 1;
      const choice = { ...Object.fromEntries(chosen), [parameter.name]: middle };
      try {
        completeOptions(filter.description, choice);
      } catch {
        return; // it needs more than this one number
      }
      const words = wordsOf(filter.canonicalName, choice);
      const candidate = { words, stages: [filter(choice)], filter: filter.canonicalName };
      const found = await this.#measure(candidate, this.#sample, 0.02);
      if (found === undefined) return;
      if (this.#keeps(found.tuned)) high = middle - 1;
      else low = middle + 1;
    }
  }

  /** What only prepares before what compresses: the lossy ones first, as they see numbers. */
  async chained(): Promise<void> {
    const alone = [...this.eligible];
    const prepares = alone.filter(({ tuned }) => tuned.prepares);
    const rearrangers = prepares.filter(({ tuned }) => tuned.exact);
    const rounders = coarsest(prepares.filter(({ tuned }) => !tuned.exact));
    const heads = [
      ...rearrangers.map((one) => [one]),
      ...rounders.flatMap((one) => [[one], ...rearrangers.map((two) => [one, two])]),
    ];
    // Of each codec the smallest first: when the time ends, every codec has had its turn.
    const codecs = inTurn(
      alone.filter(({ tuned, candidate }) => tuned.exact && !tuned.prepares && this.#isLossless(candidate)),
    );
    const chains = codecs.flatMap((codec) =>
      heads.map((head) => {
        const all = [...head, codec].map(({ candidate }) => candidate);
        const stages = all.flatMap((one) => one.stages);
        return { words: all.map((one) => one.words).join(','), stages, filter: codec.candidate.filter };
      }),
    );
    await this.#measureAll(chains, ROUND_ENDS.chained);
  }

  #isLossless({ stages }: Candidate): boolean {
    return stages.every(({ id }) => this.#options.registry.get(id)?.description.lossy !== true);
  }

  /** The best so far with other chunk shapes. */
  async shapes(): Promise<void> {
    const { dataset, chunk, bytes } = this.#sample;
    const { shape, type, maxShape } = dataset.info;
    const goal = this.#options.goal.kind;
    const leaders = this.#ordered(({ read, ratio }) => (goal === 'speed' ? read : ratio)).slice(0, SHAPED);
    const others = shapesAround(chunk, shape, type.size, bytes).filter((other) =>
      other.every((n, i) => n <= Math.max(1, maxShape[i] ?? n)),
    );
    for (const other of others) {
      if (this.#share >= ROUND_ENDS.shapes) return;
      const sample = await takeSample(dataset, { registry: this.#options.registry, bytes, chunk: other });
      this.#samples.set(sample.chunk.join('x'), sample);
      for (const { candidate } of leaders) {
        if (this.#share >= ROUND_ENDS.shapes) return;
        const left = (ROUND_ENDS.shapes - this.#share) * this.#budget;
        await this.#measure(candidate, sample, left / others.length / leaders.length / 3);
      }
    }
  }

  /** Measures the best on every chunk of its sample, drops what then fails, and goes on while another becomes the best. */
  async confirm(): Promise<void> {
    for (let i = 0; i < CONFIRMED; i++) {
      const { best } = this;
      const sample = best && this.#samples.get(best.tuned.chunk.join('x'));
      if (best === undefined || sample === undefined || best.tuned.chunks === sample.chunks.length) return;
      const at = this.known.indexOf(best);
      this.known.splice(at, 1);
      this.#tried.delete(keyOf(best.candidate, best.tuned.chunk));
      await this.#measure(best.candidate, sample, Number.POSITIVE_INFINITY);
    }
  }

  /** Holds the best to the bound on every chunk of the dataset while it is a lossy one; what breaks it is dropped. */
  async check(): Promise<TuneReport['checked']> {
    const { goal, registry, via, onCheck } = this.#options;
    const { dataset } = this.#sample;
    const breaking = new Map<string, (readonly number[])[]>();
    for (;;) {
      const { best } = this;
      if (best === undefined || this.#isLossless(best.candidate)) return undefined;
      const { chunk, words } = best.tuned;
      const shape = chunk.join('x');
      const first = breaking.get(shape) ?? [];
      const { chunks, maxError, brokenAt } = await checkAll(best.candidate, dataset, chunk, goal.error, {
        registry,
        first, // what broke the bound before is the likeliest to break it again
        ...(via === undefined ? {} : { via }),
        ...(onCheck === undefined ? {} : { onChunk: (done, total) => onCheck(done, total, words) }),
      });
      if (brokenAt === undefined) return { chunks, maxError };
      this.broke.push(words);
      breaking.set(shape, [...first, brokenAt]);
      this.known.splice(this.known.indexOf(best), 1);
      await this.confirm();
    }
  }

  async #measureAll(candidates: readonly Candidate[], end: number): Promise<void> {
    for (const [i, candidate] of candidates.entries()) {
      // However little time there is, something is measured.
      if (this.#share >= end && this.eligible.length > 0 && i > 0) return;
      const left = Math.max(0, end - this.#share) * this.#budget;
      await this.#measure(candidate, this.#sample, left / (candidates.length - i) / 3);
    }
  }

  get #budget(): number {
    return this.#options.budget ?? TUNE_BUDGET;
  }

  get #share(): number {
    return this.seconds / this.#budget;
  }

  async #measure(candidate: Candidate, sample: Sample, seconds: number): Promise<Known | undefined> {
    const { registry, via, storage = TUNE_STORAGE, onProgress } = this.#options;
    const { chunk } = sample;
    const key = keyOf(candidate, chunk);
    const before = this.known.find(({ candidate: one, tuned }) => keyOf(one, tuned.chunk) === key);
    if (before !== undefined || this.#tried.has(key)) return before;
    this.#tried.add(key);
    onProgress?.(Math.min(1, this.#share), candidate.words);
    await new Promise((resolve) => setImmediate(resolve)); // lets signals and progress through
    const found: Measurement | Refusal = await measure(candidate, sample, {
      registry,
      seconds,
      ...(via === undefined ? {} : { via }),
    });
    if ('error' in found) return undefined;
    const read = 1 / (1 / (found.ratio * storage) + 1 / found.decode);
    const known = { candidate, tuned: { ...found, chunk, read } };
    this.known.push(known);
    return known;
  }
}

const keyOf = ({ words }: Candidate, chunk: readonly number[]) => `${words} ${chunk.join('x')}`;

/** What libhdf5 has itself, for where no package of it is installed. */
const OWN = [SHUFFLE, DEFLATE].map((id) => ({ id, words: lookup(id)?.name ?? String(id) }));

/** Of each filter the one that leaves the largest error. */
function coarsest(list: readonly Known[]): Known[] {
  const found = new Map<string, Known>();
  for (const one of list) {
    const other = found.get(one.candidate.filter);
    const error = (known: Known) => known.tuned.quality?.maxError ?? 0;
    if (other === undefined || error(one) > error(other)) found.set(one.candidate.filter, one);
  }
  return [...found.values()];
}

/** The first of every filter, then the second of every filter ... each filter's by ratio. */
function inTurn(list: readonly Known[]): Known[] {
  const turns = new Map<string, number>();
  return [...list]
    .sort((a, b) => b.tuned.ratio - a.tuned.ratio)
    .map((known) => {
      const turn = turns.get(known.candidate.filter) ?? 0;
      turns.set(known.candidate.filter, turn + 1);
      return { known, turn };
    })
    .sort((a, b) => a.turn - b.turn)
    .map(({ known }) => known);
}

/** Chunks of twice and half the size along each dimension, and four times and a quarter of it along the slowest. */
export function shapesAround(
  chunk: readonly number[],
  shape: readonly number[],
  itemSize: number,
  most: number,
): number[][] {
  const found = new Map<string, number[]>();
  const slowest = chunk.findIndex((_, i) => (shape[i] ?? 1) > 1);
  for (const [i, n] of chunk.entries()) {
    for (const factor of i === slowest ? [2, 0.5, 4, 0.25] : [2, 0.5]) {
      const other = chunk.map((size, d) => (d === i ? Math.ceil(n * factor) : size));
      const fits = other.every((size, d) => size <= Math.max(shape[d] ?? 1, chunk[d] ?? 1));
      const bytes = other.reduce((product, size) => product * size, itemSize);
      if (fits && bytes <= most && other.join() !== chunk.join()) found.set(other.join(), other);
    }
  }
  return [...found.values()];
}

/** What is known of the best beyond the sample. */
function proofOf({ best, checked, broke, sampleBytes }: TuneReport): string {
  const dropped =
    broke.length > 0 ? `\nBetter on the sample, but off by more on another chunk: ${broke.join('; ')}` : '';
  if (checked !== undefined) {
    return `Checked on all ${checked.chunks} chunks: no value is off by more than ${shortNumber(checked.maxError)}${dropped}`;
  }
  if (best.quality === undefined) return `Every value is kept: all of it is lossless${dropped}`;
  const most = shortNumber(best.quality.maxError);
  return `No value of the ${bytesInWords(sampleBytes)} measured is off by more than ${most}; the others were not checked`;
}

/** The report as people read it. */
export function tuneInWords(report: TuneReport): string {
  const { file, dataset, type, goal, storage, sampleBytes, tried, front, best, lossy, lines, seconds } = report;
  const what = {
    speed: `values read from storage of ${bytesInWords(storage)}/s and decoded on one thread`,
    ratio: 'the smallest file, every value kept',
    error: `the smallest file with errors up to ${goal.error}${lossy ? '' : ' (its values are no numbers: lossy filters were left out)'}`,
  }[goal.kind];
  const head =
    `${file}: ${dataset}, ${type}: ${tried} pipelines on ${bytesInWords(sampleBytes)} of its values in ` +
    `${seconds.toFixed(1)} s, for ${what}`;
  const shown = front.map((one) => ({ ...one, words: `${one.words}  ${one.chunk.join('x')}` }));
  const gain = goal.kind === 'speed' ? `${bytesInWords(best.read)}/s` : `ratio ${best.ratio.toFixed(2)}`;
  return [
    head,
    `What nothing else beats in both ratio and decode speed, with its chunks:\n${measurementTable(shown)}`,
    [`Best: ${best.words}, chunks of ${best.chunk.join(' x ')}: ${gain}`, proofOf(report)].join('\n'),
    `${lines.repack}\n\n${lines.python}\n\n${lines.javascript}`,
  ].join('\n\n');
}
