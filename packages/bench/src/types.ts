// The shapes of a benchmark: what is compared, on which data, and what came out. The JSON under docs/data has these shapes.

import { arch, cpus, platform, release } from 'node:os';

/** One raw array: little-endian, C order. */
export interface BenchArray {
  readonly file: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly nbytes: number;
  readonly kind: string;
  /** Bits that numbers use, where not all. */
  readonly precision?: number;
}

/** A filter with one set of options, as every part of the benchmark uses it. */
export interface BenchFilter {
  readonly name: string;
  readonly id: number;
  readonly lossy: boolean;
  /** Such as `codec=zstd`; empty for the only configuration of a filter. */
  readonly config: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Parameters that bound the error: their value depends on the data. */
  readonly bounds: readonly string[];
  readonly folder: string;
}

/** Which comparison a row belongs to; in `variants` ours is the native variant and the peer our own WebAssembly. */
export type Suite = 'native' | 'wasm' | 'h5wasm' | 'variants';

/** One filter, one direction, one array: medians over alternating runs. Rates are MB (10^6 bytes) of chunk data per second of CPU time. */
export interface BenchRow {
  readonly suite: Suite;
  readonly filter: string;
  readonly config: string;
  readonly direction: 'encode' | 'decode';
  readonly array: string;
  readonly nbytes: number;
  readonly peer: string;
  readonly ours: number;
  readonly theirs: number;
  /** Median over the rounds of theirs-seconds / ours-seconds; above 1 means that ours is faster. */
  readonly ratio: number;
  /** Encoded size of ours / theirs, where both encoded. */
  readonly sizeRatio?: number;
  /** Bytes of the chunks / bytes of ours encoded. */
  readonly compression?: number;
  /** When it was measured, where not with the full run. */
  readonly date?: string;
}

/** Sizes in bytes of one file of ours and the peer's. */
export interface SizeRow {
  readonly filter: string;
  readonly ours: number;
  readonly theirs: number;
  readonly peer: string;
}

export interface BenchResult {
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly data: string;
  readonly rounds: number;
  readonly rows: readonly BenchRow[];
  readonly sizes: readonly SizeRow[];
  /** What was not compared, and why. */
  readonly skipped: readonly string[];
}

/** What a benchmark ran on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly os: string;
  readonly node: string;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}

/** Decoded bytes that one timing covers: enough for a few milliseconds of the fastest filter, so that no one interrupt decides. */
export const TIMED_BYTES = 40_000_000;

/**
 * CPU time of this thread so far: other work on the machine counts for neither side. Linux brings the running thread's
 * time up to date only when the whole process's is asked for: without that first line it moves in ticks of 4 ms.
 */
export function cpuSeconds(): number {
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Medians and the median ratio of pairs of seconds ([ours, theirs] per round). */
export function summarise(
  pairs: readonly (readonly [number, number])[],
  nbytes: number,
): { ours: number; theirs: number; ratio: number } {
  return {
    ours: nbytes / 1e6 / median(pairs.map(([ours]) => ours)),
    theirs: nbytes / 1e6 / median(pairs.map(([, theirs]) => theirs)),
    ratio: median(pairs.map(([ours, theirs]) => theirs / ours)),
  };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
