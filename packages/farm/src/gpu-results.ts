// What real GPUs made of the kernels (./farm gpu-test): kept in docs/data/gpu.json, one result for each device. Manifests take
// `verifiedOn` from it: for the very text of PTX that was run, no other.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FarmError } from './log.ts';
import { ROOT } from './paths.ts';

const GPU_RESULTS = join(ROOT, 'docs/data/gpu.json');

/** What a GPU said of the kernels, as the program prints it. */
export interface GpuResult {
  readonly format: 1;
  readonly ok: boolean;
  readonly gpu: boolean;
  readonly date: string;
  readonly device: string;
  readonly driver: string;
  readonly kernels: Readonly<Record<string, { readonly sha256: string; readonly golden: number }>>;
  readonly benchmarks?: readonly GpuRow[];
  readonly processor?: readonly {
    readonly what: string;
    readonly data: string;
    readonly threads: number;
    readonly GBs: number;
  }[];
  readonly endToEnd?: readonly {
    readonly what: string;
    readonly data: string;
    readonly decodedGBs: number;
    readonly storedGBs: number;
    readonly uploadAloneGBs: number;
  }[];
}

/** One measurement: of data in the device's memory. */
export interface GpuRow {
  readonly what: string;
  readonly data: string;
  readonly medianGBs: number;
  /** Groups and lanes as @h5z/gpu chooses them; false where others were tried. */
  readonly usual?: boolean;
  readonly parts?: number;
  readonly lanes?: number | readonly number[];
}

/** The results that are kept, newest last, one for each device. */
export function gpuResults(file = GPU_RESULTS): GpuResult[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as GpuResult[]) : [];
}

/** Devices on which exactly this text of PTX decoded the golden chunks: `NVIDIA H200, 2026-11-28`. */
export function verifiedOn(filter: string, ptxSha256: string, results: readonly GpuResult[]): string[] {
  return results
    .filter(({ kernels }) => kernels[filter]?.sha256 === ptxSha256 && (kernels[filter]?.golden ?? 0) > 0)
    .map(({ device, date }) => `${device}, ${date.slice(0, 10)}`);
}

/** Keeps a result in place of the device's older one. Refuses what no GPU made and what was not right. */
export function recordGpuResult(path: string, file = GPU_RESULTS): GpuResult {
  let result: GpuResult;
  try {
    result = JSON.parse(readFileSync(path, 'utf8')) as GpuResult;
  } catch (error) {
    throw new FarmError(
      `${path} is no result of gpu_test.py (${(error as Error).message}). Pass the file of its --out.`,
    );
  }
  if (result.format !== 1 || typeof result.device !== 'string' || result.gpu !== true || result.ok !== true)
    throw new FarmError(`${path} is no result of a GPU that got everything right. Nothing was recorded.`);
  if (/stand-in/i.test(result.device)) throw new FarmError(`${result.device} is no GPU. Nothing was recorded.`);
  const others = gpuResults(file).filter(({ device }) => device !== result.device);
  writeFileSync(file, `${JSON.stringify([...others, result], null, 1)}\n`);
  return result;
}

/** docs/benchmarks-gpu.md: what each device measured. `table` makes Markdown of a header, rows, and columns of numbers. */
export function gpuPage(
  results: readonly GpuResult[],
  table: (header: readonly string[], rows: readonly (readonly string[])[], numbers: number[]) => string,
): string {
  const shape = ({ parts, lanes }: GpuRow): string =>
    parts === undefined ? '' : `${parts} parts a chunk, ${[lanes ?? []].flat().join(' and ')} lanes`;
  const parts = results.map(({ device, driver, date, benchmarks = [], processor = [], endToEnd = [] }) =>
    [
      `## ${device}`,
      `Driver for CUDA ${driver}, ${date.slice(0, 10)}. Decoded GB/s (10^9 bytes), data in the device's memory, by the device's clock; medians.`,
      table(
        ['what', 'data', 'GB/s', 'launch'],
        benchmarks.map((row) => [row.what, row.data, `${row.medianGBs}`, row.usual === false ? shape(row) : '']),
        [2],
      ),
      'From pinned memory on the host, uploads beside decoding:',
      table(
        ['what', 'data', 'decoded GB/s', 'stored GB/s', 'upload alone GB/s'],
        endToEnd.map((row) => [row.what, row.data, `${row.decodedGBs}`, `${row.storedGBs}`, `${row.uploadAloneGBs}`]),
        [2, 3, 4],
      ),
      "The same chunks by the filters' own code on that machine's processor:",
      table(
        ['what', 'data', 'threads', 'GB/s'],
        processor.map((row) => [row.what, row.data, `${row.threads}`, `${row.GBs}`]),
        [2, 3],
      ),
    ].join('\n\n'),
  );
  const end = 'This page is made from `docs/data/gpu.json` by `./farm docs`; `./farm gpu-test` measures anew.';
  return `${['# Kernels on GPUs', ...parts, end].join('\n\n')}\n`;
}
