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
