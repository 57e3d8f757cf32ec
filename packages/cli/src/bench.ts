// `h5z bench`: every installed filter on the user's own data.

import { open } from '@h5z/chunks';
import type { FilterPackage } from '@h5z/core';
import type { Registry } from '@h5z/registry';
import { candidatesOf } from './candidates.js';
import { type Candidate, chooseDataset, type Measurement, measure, type Refusal, takeSample } from './measure.js';
import type { Quality } from './quality.js';
import { stagesOf } from './repack.js';
import { bytesInWords, table } from './terminal.js';
import { typeInWords } from './words.js';

export interface BenchOptions {
  readonly registry: Registry;
  /** Default: the dataset with the most bytes. */
  readonly dataset?: string;
  /** Only these pipelines, in the words of `h5z repack --filter`. Default: every installed filter with its variants. */
  readonly filters?: readonly string[];
  /** Largest absolute error that lossy filters are asked for. Default: a thousandth of the values' range. */
  readonly error?: number;
  /** Seconds for all of it. Default 60. */
  readonly budget?: number;
  /** Bytes of values to measure on. Default 8 MB. */
  readonly sample?: number;
  readonly via?: 'native' | 'wasm';
  /** Called before each pipeline. */
  readonly onProgress?: (done: number, total: number, words: string) => void;
}

export interface BenchReport {
  readonly file: string;
  readonly dataset: string;
  readonly type: string;
  readonly chunk: readonly number[];
  /** Of values that were measured on, and of the whole dataset. */
  readonly sampleBytes: number;
  readonly bytes: number;
  /** The largest absolute error that lossy filters were asked for. */
  readonly error: number;
  /** By ratio, best first. */
  readonly results: readonly Measurement[];
  /** What is not for these data, and why. */
  readonly refused: readonly Refusal[];
  readonly seconds: number;
}

export const DEFAULT_BUDGET = 60;
export const DEFAULT_SAMPLE = 8_000_000;
/** Of the range. */
export const DEFAULT_ERROR = 1e-3;

/**
 * Measures filters on a sample of one dataset. Throws what opening, reading and sampling throw; what a filter throws is
 * among `refused`.
 */
export async function bench(path: string, options: BenchOptions): Promise<BenchReport> {
  const { registry, budget = DEFAULT_BUDGET } = options;
  const started = performance.now();
  const file = await open(path);
  try {
    const dataset = options.dataset === undefined ? chooseDataset(file.datasets, path) : file.dataset(options.dataset);
    const sample = await takeSample(dataset, { registry, bytes: options.sample ?? DEFAULT_SAMPLE });
    const error = options.error ?? roundedDown(DEFAULT_ERROR * sample.range);
    const bound = { absolute: error, range: sample.range, itemSize: dataset.info.type.size };
    const candidates = options.filters
      ? options.filters.map((words) => candidateOf(words, registry))
      : registry.packages.flatMap((filter) => candidatesOf(filter as FilterPackage, bound));
    const results: Measurement[] = [];
    const refused: Refusal[] = [];
    for (const [i, candidate] of candidates.entries()) {
      options.onProgress?.(i, candidates.length, candidate.words);
      await new Promise((resolve) => setImmediate(resolve)); // lets signals and progress through
      const left = budget - (performance.now() - started) / 1000;
      // A candidate encodes, decodes and compares; what fast ones leave is there for the slow.
      const seconds = Math.max(0, left / (candidates.length - i) / 3);
      const result = await measure(candidate, sample, {
        registry,
        seconds,
        ...(options.via === undefined ? {} : { via: options.via }),
      });
      if ('error' in result) refused.push(result);
      else results.push(result);
    }
    return {
      file: path,
      dataset: dataset.path,
      type: typeInWords(dataset.info.type),
      chunk: sample.chunk,
      sampleBytes: sample.bytes,
      bytes: dataset.byteLength,
      error,
      results: results.sort((a, b) => b.ratio - a.ratio),
      refused,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    file.close();
  }
}

/** A pipeline in repack's words as a candidate. Throws as `stagesOf` does. */
export function candidateOf(words: string, registry: Registry): Candidate {
  const stages = stagesOf([words], registry);
  return { words, stages, filter: registry.lookup(stages.at(-1)?.id ?? 0)?.name ?? words };
}

/** The report as people read it. */
export function benchInWords(report: BenchReport): string {
  const { file, dataset, type, chunk, sampleBytes, bytes, error, results, refused, seconds } = report;
  const head =
    `${file}: ${dataset}, ${type} in chunks of ${chunk.join(' x ')}: ${bytesInWords(sampleBytes)} of ` +
    `${bytesInWords(bytes)} measured in ${seconds.toFixed(1)} s, on one thread`;
  const parts = [head];
  const lossy = results.some(({ quality }) => quality !== undefined);
  if (lossy) parts[0] += `\nlossy filters were asked for errors up to ${shortNumber(error)}, where they take a bound`;
  if (results.length > 0) parts.push(measurementTable(results));
  const byMember = memberTable(results);
  if (byMember !== undefined) parts.push(byMember);
  if (results.some(({ exact, quality }) => !exact && quality === undefined)) {
    parts.push(`?: a lossy filter changed values, and ${type} has no numbers, so that there is no error to tell`);
  }
  if (refused.length > 0) {
    const reasons = new Map<string, string>();
    for (const { filter, words, error } of refused) {
      const all = !results.some((result) => result.filter === filter);
      const name = all ? filter : words;
      if (!reasons.has(name)) reasons.set(name, reasonOf(error));
    }
    parts.push(table([['NOT MEASURED', 'WHY'], ...reasons]));
  }
  return parts.join('\n\n');
}

/** Rows of measurements with their numbers right-aligned; the columns for errors only where something is lossy. */
export function measurementTable(results: readonly Measurement[]): string {
  const lossy = results.some(({ quality }) => quality !== undefined);
  const partly = results.some(({ chunks, of }) => chunks < of);
  const columns: [string, (result: Measurement) => string][] = [
    ['RATIO', ({ ratio }) => ratio.toFixed(2)],
    ['ENCODE MB/s', ({ encode }) => speed(encode)],
    ['DECODE MB/s', ({ decode }) => speed(decode)],
    ...(lossy
      ? ([
          ['MAX ERROR', ({ quality, exact }) => (exact ? '0' : quality ? shortNumber(quality.maxError) : '?')],
          ['PSNR dB', ({ quality, exact }) => (exact ? '-' : quality ? decibels(quality.psnr) : '?')],
          ['SSIM', ({ quality, exact }) => (exact ? '-' : quality ? similarity(quality.ssim) : '?')],
        ] as [string, (result: Measurement) => string][])
      : []),
    ...(partly ? ([['CHUNKS', ({ chunks, of }) => `${chunks}/${of}`]] as [string, (r: Measurement) => string][]) : []),
  ];
  const cells = columns.map(([name, show]) => rightAligned([name, ...results.map(show)]));
  const names = ['FILTER', ...results.map(({ words }) => words)];
  return table(names.map((name, i) => [name, ...cells.map((column) => column[i] ?? '')]));
}

/** The members of compounds of which a filter changed values; the rows above show the worst of them. */
function memberTable(results: readonly Measurement[]): string | undefined {
  const rows = results.flatMap(({ words, exact, quality }) =>
    exact ? [] : (quality?.members ?? []).map((member, i) => ({ words: i === 0 ? words : '', ...member })),
  );
  if (rows.length === 0) return undefined;
  const columns: [string, (row: Quality) => string][] = [
    ['MAX ERROR', ({ maxError }) => shortNumber(maxError)],
    ['PSNR dB', ({ psnr }) => decibels(psnr)],
    ['SSIM', ({ ssim }) => similarity(ssim)],
  ];
  const cells = columns.map(([name, show]) => rightAligned([name, ...rows.map(show)]));
  const names = [['FILTER', 'MEMBER'], ...rows.map(({ words, name }) => [words, name])];
  return table(names.map((pair, i) => [...pair, ...cells.map((column) => column[i] ?? '')]));
}

function rightAligned(column: readonly string[]): string[] {
  const width = Math.max(...column.map((cell) => cell.length));
  return column.map((cell) => cell.padStart(width));
}

const speed = (bytesPerSecond: number) => {
  const rate = bytesPerSecond / 1e6;
  return rate >= 10 ? rate.toFixed(0) : rate.toPrecision(2);
};
const decibels = (psnr: number) => (Number.isFinite(psnr) ? psnr.toFixed(1) : '-');
/** Never 1.00000 for values that are not the same. */
const similarity = (ssim: number) => (Number.isNaN(ssim) ? '-' : (Math.floor(ssim * 1e5) / 1e5).toFixed(5));

/** What a filter that does not take these data says, without its advice to whoever writes a file. */
function reasonOf({ code, message }: Refusal['error']): string {
  return code === 'H5Z_E_NOT_APPLICABLE'
    ? 'not for this datatype, chunk shape or chunk'
    : (message.split('\n')[0] ?? '');
}

/** To two digits, never above. */
function roundedDown(value: number): number {
  if (!(value > 0)) return 0;
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((Math.floor(value / unit) * unit).toPrecision(2));
}

/** Three digits. */
export function shortNumber(value: number): string {
  return String(Number(value.toPrecision(3)));
}
