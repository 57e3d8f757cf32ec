// ./farm gpu-test without a GPU: the folder is made, and its Python program runs for real, on a driver whose GPU is this processor
// (packages/abi/test/cuda.ts). What it says when there is nothing to test with, and when a kernel is wrong, is tested too.

import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compiler } from '../../abi/test/compile.ts';
import { freshDriver, standInCuda } from '../../abi/test/cuda.ts';
import { noKernels } from '../../abi/test/gpu.ts';
import { type GpuResult, type GpuRow, gpuPage, gpuResults, recordGpuResult, verifiedOn } from '../src/gpu-results.ts';
import { makeGpuTest, NO_GPU } from '../src/gpu-test.ts';

interface Row extends GpuRow {
  readonly decodedBytes: number;
  readonly medianMs: number;
  /** Of nvCOMP's rows: whether the bytes were what they should be. */
  readonly right?: boolean;
}
interface Answer extends GpuResult {
  readonly failures: string[];
  readonly reason?: string;
  readonly kernels: Record<
    string,
    { sha256: string; golden: number; refused: number; damaged: number; encoded: number }
  >;
  readonly benchmarks: Row[];
  readonly processor: NonNullable<GpuResult['processor']>;
  readonly nvcomp: { readonly ran: boolean; readonly reason?: string };
  readonly sanitizer: { readonly ran: boolean; readonly reason?: string };
  readonly endToEnd: (NonNullable<GpuResult['endToEnd']>[0] & {
    readonly timeline: { readonly batches: [number, number, number, number][] };
  })[];
}

let folder: string;
let library: string;
beforeAll(async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'h5z-gpu-test-'));
  const wheel = noKernels === undefined ? wheelIn(scratch) : undefined;
  folder = await makeGpuTest({ folder: join(scratch, 'gpu-test'), nvcomp: wheel });
  const { kernels } = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as { kernels: { filter: string }[] };
  if (noKernels === undefined) library = standInCuda(kernels.map(({ filter }) => filter));
});

/** A wheel as NVIDIA publishes it, with the stand-in of nvcomp.c. */
function wheelIn(scratch: string): string {
  const [library, wheel] = [
    join(scratch, 'libnvcomp.so.6'),
    join(scratch, 'nvidia_libnvcomp_cu12-6.0.0.0-py3-none-any.whl'),
  ];
  const source = join(import.meta.dirname, 'nvcomp.c');
  execFileSync(compiler as string, ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', source, '-o', library]);
  const zip =
    'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").write(sys.argv[2], "nvidia/libnvcomp/lib64/libnvcomp.so.6")';
  execFileSync('python3', ['-c', zip, wheel, library]);
  return wheel;
}

/** Runs the program as people do; its environment has nothing of Node's or pip's. */
function python(where: string, ...args: string[]): Promise<{ status: number; answer: Answer; said: string }> {
  return new Promise((done) => {
    execFile(
      'python3',
      ['-I', 'gpu_test.py', '--out', 'result.json', ...args],
      { cwd: where, encoding: 'utf8', maxBuffer: 1 << 26 },
      (error, stdout, said) => {
        expect(stdout, said).toBe(readFileSync(join(where, 'result.json'), 'utf8'));
        done({ status: error === null ? 0 : Number(error.code), answer: JSON.parse(stdout) as Answer, said });
      },
    );
  });
}

describe.skipIf(noKernels !== undefined)(`the folder (${noKernels ?? 'a stand-in driver'})`, () => {
  it('tests and times every kernel', async () => {
    const { status, answer, said } = await python(
      folder,
      '--quick',
      '--bytes',
      '80000',
      '--driver',
      freshDriver(library),
    );
    expect([status, answer.ok, answer.failures, answer.device], said).toEqual([0, true, [], 'Stand-in 0']);
    for (const [name, { golden, refused, damaged, encoded }] of Object.entries(answer.kernels)) {
      expect(golden, name).toBeGreaterThan(10);
      expect(golden, name).toBeGreaterThan(refused * 0.6);
      expect(damaged, name).toBeGreaterThan(50);
      if (!name.startsWith('blosc')) expect(encoded).toBeGreaterThan(10);
    }
    const rows = new Set(answer.benchmarks.map(({ what }) => what));
    expect([...rows].sort()).toEqual([
      'bitshuffle decode',
      'bitshuffle encode',
      'bitshuffle-lz4',
      'bitshuffle-lz4 decode',
      'bitshuffle-lz4 encode',
      'bitshuffle-lz4, fletcher32',
      'blosc with LZ4',
      'blosc2 with LZ4',
      'device-to-device copy',
      'lz4 in 64 KiB blocks',
      'lz4 in 64 KiB blocks decode',
      'lz4 in 64 KiB blocks encode',
      'nvCOMP LZ4',
      'nvCOMP LZ4 with its own bitshuffle',
      'nvCOMP LZ4, then bitshuffle',
      'shuffle decode',
      'shuffle encode',
      'shuffle, lz4 in 64 KiB blocks',
      'zfp at 8 bits a value',
      'zfp decode',
      'zfp encode',
    ]);
    // The stand-in of nvCOMP has done its work before the stand-in of the GPU begins.
    for (const { what, decodedBytes, medianMs } of answer.benchmarks)
      expect(Math.min(decodedBytes, what.startsWith('nvCOMP') ? 1 : medianMs), what).toBeGreaterThan(0);
    expect(answer.nvcomp.ran, answer.nvcomp.reason).toBe(true);
    for (const { what, right } of answer.benchmarks.filter(({ what: name }) => name.startsWith('nvCOMP')))
      expect(right, what).toBe(what !== 'nvCOMP LZ4 with its own bitshuffle');
    expect(answer.processor.length).toBe(process.arch === 'x64' ? 7 : 0);
    expect(answer.sanitizer.ran || answer.sanitizer.reason).toBeTruthy();
    for (const { timeline } of answer.endToEnd)
      for (const [from, there, first, last] of timeline.batches) {
        expect(there).toBeGreaterThanOrEqual(from);
        expect(first).toBeGreaterThanOrEqual(there);
        expect(last).toBeGreaterThan(first);
      }
  });

  it('finds a kernel that answers otherwise', async () => {
    const wrong = join(mkdtempSync(join(tmpdir(), 'h5z-gpu-test-')), 'wrong');
    cpSync(folder, wrong, { recursive: true });
    const cases = JSON.parse(readFileSync(join(wrong, 'cases.json'), 'utf8')) as {
      golden: { filter: string; name: string; sha256: string }[];
      damaged: { filter: string; status: number }[];
    };
    const golden = cases.golden.find(({ filter }) => filter === 'shuffle');
    const damaged = cases.damaged.find(({ filter, status }) => filter === 'lz4' && status === -2);
    if (golden === undefined || damaged === undefined) throw new Error('no such cases');
    golden.sha256 = golden.sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    damaged.status = -3;
    writeFileSync(join(wrong, 'cases.json'), JSON.stringify(cases));
    const { status, answer, said } = await python(wrong, '--quick', '--correctness', '--driver', freshDriver(library));
    expect([status, answer.ok, answer.gpu], said).toEqual([1, false, true]);
    expect(answer.failures).toHaveLength(2);
    expect(answer.failures[0]).toContain(`shuffle ${golden.name}`);
    expect(said).toContain('WRONG: shuffle');
  });

  it('says what a device that fails said', async () => {
    const { status, answer } = await python(
      folder,
      '--quick',
      '--correctness',
      '--driver',
      freshDriver(library, ['fault 719 5']),
    );
    expect([status, answer.ok]).toEqual([1, false]);
    expect(answer.failures.at(-1)).toContain('CUDA_ERROR_LAUNCH_FAILED');
  });

  it.each([
    ['no device', ['devices 0'], 'the driver has 0 GPUs'],
    ['an old driver', ['version 8000'], 'the driver is for CUDA 8.0'],
    ['no GPU that works', ['fail cuInit 100'], 'CUDA_ERROR_NO_DEVICE'],
  ])('says so where there is %s', async (_, settings, words) => {
    const { status, answer, said } = await python(folder, '--driver', freshDriver(library, settings));
    expect([status, answer.gpu, answer.ok, answer.reason]).toEqual([
      NO_GPU,
      false,
      false,
      expect.stringContaining(words),
    ]);
    expect(said).toContain('NO GPU, NOTHING WAS TESTED');
  });
});

it('says so where there is no driver', async () => {
  const { status, answer, said } = await python(folder, '--driver', '/nonexistent/libcuda.so.1');
  expect([status, answer.gpu, answer.reason]).toEqual([NO_GPU, false, expect.stringContaining('no NVIDIA driver')]);
  expect(said).toContain('NO GPU, NOTHING WAS TESTED');
});

it('keeps what a GPU got right, in place of the device’s older result, and nothing else', () => {
  const where = mkdtempSync(join(tmpdir(), 'h5z-gpu-record-'));
  const [file, path] = [join(where, 'gpu.json'), join(where, 'result.json')];
  const result: GpuResult = {
    format: 1,
    ok: true,
    gpu: true,
    date: '2026-11-01T10:00:00Z',
    device: 'NVIDIA H200',
    driver: '13.0',
    kernels: { shuffle: { sha256: 'aa', golden: 3 }, lz4: { sha256: 'bb', golden: 0 } },
  };
  const record = (change: Partial<GpuResult>): GpuResult => {
    writeFileSync(path, JSON.stringify({ ...result, ...change }));
    return recordGpuResult(path, file);
  };
  expect(() => record({ ok: false })).toThrow('Nothing was recorded');
  expect(() => record({ gpu: false })).toThrow('Nothing was recorded');
  expect(() => record({ device: 'Stand-in 0' })).toThrow('is no GPU');
  expect(() => recordGpuResult(join(where, 'none.json'), file)).toThrow('is no result of gpu_test.py');
  expect(gpuResults(file)).toEqual([]);
  record({});
  record({ device: 'NVIDIA A100' });
  record({ date: '2026-12-02T10:00:00Z' });
  const kept = gpuResults(file);
  expect(kept.map(({ device, date }) => `${device} ${date.slice(0, 10)}`)).toEqual([
    'NVIDIA A100 2026-11-01',
    'NVIDIA H200 2026-12-02',
  ]);
  expect(verifiedOn('shuffle', 'aa', kept)).toEqual(['NVIDIA A100, 2026-11-01', 'NVIDIA H200, 2026-12-02']);
  expect(verifiedOn('shuffle', 'other', kept)).toEqual([]);
  expect(verifiedOn('lz4', 'bb', kept)).toEqual([]);
});

it('makes a page of what was measured', () => {
  const row = { what: 'shuffle decode', data: 'frames', medianGBs: 1234.5 };
  const result: GpuResult = {
    format: 1,
    ok: true,
    gpu: true,
    date: '2026-11-01T10:00:00Z',
    device: 'NVIDIA H200',
    driver: '13.0',
    kernels: {},
    benchmarks: [
      { ...row, usual: true },
      { ...row, usual: false, parts: 7, lanes: [32, 128] },
    ],
    processor: [{ what: 'lz4', data: 'frames', threads: 16, GBs: 9.5 }],
    endToEnd: [{ what: 'lz4', data: 'frames', decodedGBs: 30, storedGBs: 10, uploadAloneGBs: 50 }],
  };
  const lines = gpuPage([result], (_, rows) => rows.map((cells) => cells.join(' | ')).join('\n')).split('\n');
  expect(lines).toContain('## NVIDIA H200');
  expect(lines).toContain('shuffle decode | frames | 1234.5 | ');
  expect(lines).toContain('shuffle decode | frames | 1234.5 | 7 parts a chunk, 32 and 128 lanes');
  expect(lines).toContain('lz4 | frames | 16 | 9.5');
  expect(lines).toContain('lz4 | frames | 30 | 10 | 50');
});
