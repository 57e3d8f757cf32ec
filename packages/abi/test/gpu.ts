// Kernels of a filter on the host, under AddressSanitizer and UBSan, for the tests of filters that have some.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiler } from './compile.ts';

const ABI = fileURLToPath(new URL('..', import.meta.url));

/** Why tests of kernels are skipped here, or undefined: they need a C compiler with ucontext.h, which Linux has. */
export const noKernels: string | undefined =
  compiler === undefined
    ? 'no C compiler'
    : process.platform === 'linux'
      ? undefined
      : 'kernels run on Linux hosts only (ucontext.h)';

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

/** Compiles the kernels of one direction of the filter in `folder`; the function runs launches with them, and throws with
 * what the program said when a sanitizer or the rules of barriers stopped it. */
export function kernels(
  folder: string,
  direction: 'decode' | 'encode',
): (launches: readonly Launch[]) => KernelAnswer[][] {
  const source = join(folder, 'src/gpu.c');
  const names = [...readFileSync(source, 'utf8').matchAll(/^H5Z_KERNEL void (\w+)\(/gm)].map(([, name]) => name ?? '');
  const launched = names.filter((name) => new RegExp(`_${direction}(_\\d)?$`).test(name)).sort();
  const program = join(mkdtempSync(join(tmpdir(), 'h5z-kernels-')), 'kernels');
  execFileSync(
    compiler as string,
    [
      ...['-std=gnu11', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
      ...['-Wall', '-Wextra', '-Wno-unused-function', `-I${join(ABI, 'include')}`],
      ...[`-DKERNELS="${source}"`, `-DLAUNCHES=${launched.join(',')}`, join(ABI, 'test/gpu.c'), '-o', program],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return (launches) => {
    const input = Buffer.concat(launches.map(launchBytes));
    const output = execFileSync(program, { input, maxBuffer: 1 << 30, stdio: 'pipe' });
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
