// The vector kernels at every level of instructions that this processor has, forced one after the other (H5Z_CPU_LIMIT of
// lib/cpu/cpu.h), held to plain C under AddressSanitizer: what runs otherwise is only the best one.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { compiler } from './compile.ts';

const ABI = resolve(import.meta.dirname, '..');
const FILTERS = resolve(ABI, '../../filters');

/** transpose.c here, and levels.c in the test folders of filters that have kernels of their own. */
const PROGRAMS = [
  join(ABI, 'test/transpose.c'),
  ...readdirSync(FILTERS)
    .map((name) => join(FILTERS, name, 'test/levels.c'))
    .filter((file) => existsSync(file)),
];

/** What Linux says the processor has; elsewhere nobody is asked. */
function levelsHere(): number[] | undefined {
  if (arch() !== 'x64' || !existsSync('/proc/cpuinfo')) return undefined;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(' '));
  const avx512 = ['avx512f', 'avx512bw', 'avx512vl'].every((flag) => flags.has(flag));
  return flags.has('avx2') ? (avx512 ? [1, 2, 3] : [1, 2]) : [1];
}

/** What a program of the test folders prints, built with AddressSanitizer. */
function output(source: string): string {
  const program = join(mkdtempSync(join(tmpdir(), 'h5z-kernels-')), 'kernels');
  const includes = ['include', 'lib'].map((folder) => `-I${join(ABI, folder)}`);
  const flags = ['-std=gnu11', '-O2', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
  execFileSync(compiler as string, [...flags, ...includes, source, '-o', program]);
  return execFileSync(program, { encoding: 'utf8' }).trim();
}

test.skipIf(compiler === undefined).each(PROGRAMS)('%s', (source) => {
  const lines = output(source).split('\n');
  const levels = lines.map((line) => Number(/^level (\d)$/.exec(line)?.[1]));
  expect(levels).toEqual(levelsHere() ?? levels.filter((level) => level > 0));
});

test.skipIf(compiler === undefined)("Blosc's matches at every distance, length and room", () => {
  expect(output(join(ABI, 'test/match.c'))).toBe('every match is copied');
});
