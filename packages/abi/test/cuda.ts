// A libcuda for tests, whose GPU is this processor: see cuda-driver.c. Compiled with the kernels of the filters asked for.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiler } from './compile.ts';

const ABI = fileURLToPath(new URL('..', import.meta.url));
const FILTERS = fileURLToPath(new URL('../../../filters/', import.meta.url));

const compiled = new Map<string, string>();

/** Compiles it, once for each process; `leftOut` is a function that it shall not have. Returns the library's path. */
export function standInCuda(filters: readonly string[], leftOut?: string): string {
  const key = [...filters, leftOut].join();
  const library = compiled.get(key) ?? compileStandIn(filters, leftOut);
  compiled.set(key, library);
  return library;
}

function compileStandIn(filters: readonly string[], leftOut?: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'h5z-cuda-'));
  const compile = (...args: string[]): void => {
    const flags = [
      '-std=gnu11',
      '-O2',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-Wno-unused-function',
      '-fPIC',
      '-U_FORTIFY_SOURCE',
    ];
    execFileSync(compiler as string, [...flags, '-fvisibility=hidden', ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  };
  const objects = filters.map((name) => {
    const source = join(FILTERS, name, 'src/gpu.c');
    const kernels = [...readFileSync(source, 'utf8').matchAll(/^H5Z_KERNEL void (\w+)\(/gm)].map(
      ([, one]) => `X(${one})`,
    );
    const object = join(folder, `${name}.o`);
    const words = [`-DKERNELS="${source}"`, `-DNAMES=${kernels.join(' ')}`, `-DTABLE=standin_${name}`];
    compile('-c', `-I${join(ABI, 'include')}`, ...words, join(ABI, 'test/cuda-kernels.c'), '-o', object);
    return object;
  });
  const library = join(folder, 'libcuda-standin.so');
  const words = [`-DFILTERS=${filters.map((name) => `X(standin_${name})`).join(' ')}`];
  if (leftOut !== undefined) words.push(`-D${leftOut}=left_out`);
  compile('-shared', ...words, join(ABI, 'test/cuda-driver.c'), ...objects, '-o', library, '-lpthread', '-ldl');
  return library;
}

/** The same driver as another one, with nothing of what the first did, and with `settings` (see cuda-driver.c). */
export function freshDriver(library: string, settings: readonly string[] = []): string {
  const copy = join(mkdtempSync(join(tmpdir(), 'h5z-cuda-')), 'libcuda-standin.so');
  copyFileSync(library, copy);
  setDriver(copy, settings);
  return copy;
}

/** From the next call on. */
export function setDriver(library: string, settings: readonly string[]): void {
  writeFileSync(`${library}.settings`, settings.map((line) => `${line}\n`).join(''));
}
