// Kernels of a filter without a GPU, for the tests of filters that have some: on the host under AddressSanitizer and UBSan, and as
// OpenCL C on PoCL, which makes a device of this processor.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { env, need } from '../../../tests/support/env.ts';
import { FILTER_ERRORS } from '../../core/dist/index.js';
import { compiler } from './compile.ts';

const ABI = fileURLToPath(new URL('..', import.meta.url));

/** Why tests of kernels are skipped here, or undefined: they need a C compiler with ucontext.h, which Linux has. */
export const noKernels: string | undefined =
  compiler === undefined
    ? 'no C compiler'
    : process.platform === 'linux'
      ? undefined
      : 'kernels run on Linux hosts only (ucontext.h)';

export type Engine = 'host' | 'opencl';

/** Why tests of kernels are skipped, or undefined, by what would run them. */
export const NO_ENGINE: Readonly<Record<Engine, string | undefined>> = {
  host: noKernels,
  get opencl() {
    if (noKernels !== undefined) return noKernels;
    if (env.pocl === undefined) return need('pocl');
    noDevice ??= findNoDevice();
    return noDevice.why;
  },
};

let noDevice: { readonly why: string | undefined } | undefined;

/** PoCL may be there and know nothing of this processor: a kernel that does nothing tells. */
function findNoDevice(): { readonly why: string | undefined } {
  openCl ??= compiled('gpu-opencl.h', ['-lOpenCL']);
  const source = join(dirname(openCl), 'nothing.cl');
  writeFileSync(source, '__kernel void nothing(__global const int *batch) {}\n');
  try {
    execFileSync(openCl, [source, '-cl-std=CL1.2', 'nothing'], { input: '', stdio: 'pipe', env: onPocl(openCl) });
    return { why: undefined };
  } catch (error) {
    const { stderr } = error as { readonly stderr?: Buffer };
    return {
      why: `PoCL is there and runs nothing (${String(stderr ?? error)
        .trim()
        .split('\n')
        .at(-1)})`,
    };
  }
}

/** Variables for programs that use PoCL. Beside the program are PoCL's own files too: what one run compiled, the next one finds. */
function onPocl(program: string): Record<string, string | undefined> {
  return {
    ...process.env,
    OCL_ICD_VENDORS: env.pocl,
    POCL_CACHE_DIR: join(dirname(program), 'pocl'),
    POCL_WORK_GROUP_SPECIALIZATION: '0', // one text for any number of lanes: it compiles for 10 s and more
  };
}

export interface KernelChunk {
  readonly bytes: Uint8Array;
  /** Bytes that its result may have. */
  readonly room: number;
  readonly skip?: boolean;
  /** A table that lies: 1 its source ends outside, 2 its room does, 3 its size wraps; 4 an earlier filter refused it. */
  readonly fault?: number;
}

export interface Launch {
  readonly cdValues: readonly number[];
  readonly chunks: readonly KernelChunk[];
  readonly parts?: number;
  readonly lanes?: number;
  readonly seed?: number;
  readonly largeBlocks?: boolean;
}

export interface KernelAnswer {
  readonly status: number;
  readonly bytes: Buffer;
}

/** A program of gpu.c with `engine` to run kernels, in a new folder. */
function compiled(engine: string, flags: readonly string[]): string {
  const program = join(mkdtempSync(join(tmpdir(), 'h5z-kernels-')), 'kernels');
  execFileSync(
    compiler as string,
    [
      ...['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Wno-unused-function', `-I${join(ABI, 'include')}`],
      ...[`-DENGINE="${engine}"`, join(ABI, 'test/gpu.c'), '-o', program, ...flags],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return program;
}

/** The first line of a kernel, which OpenCL C wants otherwise: h5z/gpu/opencl.h says why. */
const FIRST_LINE = /^(H5Z_KERNEL void \w+)\(h5z_gpu_batch (\w+)\) \{/gm;

let openCl: string | undefined;

/** What to run with what arguments and variables, for the kernels `launched` of a filter as OpenCL C. */
function onOpenCl(folder: string, launched: readonly string[]) {
  openCl ??= compiled('gpu-opencl.h', ['-lOpenCL']);
  const source = join(dirname(openCl), `${basename(folder)}.cl`);
  const text = readFileSync(join(folder, 'src/gpu.c'), 'utf8');
  writeFileSync(
    source,
    text.replace(FIRST_LINE, '$1(H5Z_GLOBAL const h5z_gpu_batch *batch) { h5z_gpu_batch $2 = *batch;'),
  );
  const options = [
    '-cl-std=CL1.2',
    // PoCL 3.1's optimizer believes of loops that all lanes take them (zfp's encoder wrote blocks that no lane has), and takes
    // most of the time.
    '-cl-opt-disable',
    ...Object.entries(FILTER_ERRORS).map(([code, { value }]) => `-D${code}=${value}`),
    ...[join(ABI, 'include'), join(folder, 'src')].map((path) => `-I${path}`),
  ];
  return {
    program: openCl,
    args: [source, options.join(' '), ...launched],
    variables: onPocl(openCl),
  };
}

/** Compiles the kernels of one direction of the filter in `folder`; the function runs launches with them, and throws with
 * what the program said when a sanitizer or the rules of barriers stopped it. */
export function kernels(
  folder: string,
  direction: 'decode' | 'encode',
  engine: Engine = 'host',
): (launches: readonly Launch[]) => KernelAnswer[][] {
  const source = join(folder, 'src/gpu.c');
  const names = [...readFileSync(source, 'utf8').matchAll(/^H5Z_KERNEL void (\w+)\(/gm)].map(([, name]) => name ?? '');
  const launched = names.filter((name) => new RegExp(`_${direction}(_\\d)?$`).test(name)).sort();
  const { program, args, variables } =
    engine === 'opencl'
      ? onOpenCl(folder, launched)
      : {
          program: compiled('gpu-host.h', [
            ...['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
            ...[`-DKERNELS="${source}"`, `-DLAUNCHES=${launched.join(',')}`],
          ]),
          args: [],
          variables: process.env,
        };
  return (launches) => {
    const input = Buffer.concat(launches.map(launchBytes));
    const output = execFileSync(program, args, {
      input,
      maxBuffer: 1 << 30,
      stdio: 'pipe',
      env: variables,
    });
    let at = 0;
    const answers = launches.map(({ chunks }) =>
      chunks.map(() => {
        const status = Number(output.readBigInt64LE(at));
        const size = Number(output.readBigUInt64LE(at + 8));
        const bytes = output.subarray(at + 16, at + 16 + size);
        at += 16 + size;
        return { status, bytes };
      }),
    );
    if (at !== output.length) throw new Error(`the program wrote ${output.length - at} bytes too many`);
    return answers;
  };
}

function launchBytes({ cdValues, chunks, parts = 1, lanes = 1, seed = 0, largeBlocks = false }: Launch): Buffer {
  const numbers = (...values: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 8);
    values.forEach((value, index) => {
      bytes.writeBigUInt64LE(BigInt(value), index * 8);
    });
    return bytes;
  };
  return Buffer.concat([
    numbers(chunks.length, parts, lanes, seed, largeBlocks ? 1 : 0, cdValues.length, ...cdValues),
    ...chunks.flatMap(({ bytes, room, skip = false, fault = 0 }) => [
      numbers(bytes.length, room, skip ? 1 : 0, fault),
      bytes,
    ]),
  ]);
}
