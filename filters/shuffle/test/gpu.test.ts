// The kernels, compiled for this processor with AddressSanitizer and UBSan, on the golden chunks of libhdf5: both directions,
// several shapes of launch, and a table of chunks that lies.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compiler } from '../../../packages/abi/test/compile.ts';

interface Golden {
  readonly cases: readonly { name: string; file: string; cdValues: number[]; size: number; sha256: string }[];
}

const FOLDER = join(import.meta.dirname, '..');
const { cases } = JSON.parse(readFileSync(join(FOLDER, 'golden/index.json'), 'utf8')) as Golden;
const sizes = [...new Set(cases.map(({ cdValues }) => cdValues[0] as number))];

test.skipIf(compiler === undefined)(
  'kernels decode the golden chunks and encode them again',
  { timeout: 120_000 },
  () => {
    const work = mkdtempSync(join(tmpdir(), 'h5z-shuffle-gpu-'));
    const program = join(work, 'gpu');
    const flags = ['-std=gnu11', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
    const include = `-I${join(FOLDER, '../../packages/abi/include')}`;
    execFileSync(compiler as string, [
      ...flags,
      '-Wall',
      '-Wextra',
      include,
      join(import.meta.dirname, 'gpu.c'),
      '-o',
      program,
    ]);
    for (const size of sizes) {
      const some = cases.filter(({ cdValues }) => cdValues[0] === size);
      const files = some.map(({ file }) => join(FOLDER, 'golden', file));
      const decoded = execFileSync(program, ['decode', String(size), ...files], { maxBuffer: 1 << 28 });
      const originals: string[] = [];
      let at = 0;
      for (const { name, size: length, sha256 } of some) {
        const chunk = decoded.subarray(at, at + length);
        at += length;
        expect(createHash('sha256').update(chunk).digest('hex'), name).toBe(sha256);
        originals.push(join(work, `${name}.raw`));
        writeFileSync(originals.at(-1) as string, chunk);
      }
      expect(at).toBe(decoded.length);
      const encoded = execFileSync(program, ['encode', String(size), ...originals], { maxBuffer: 1 << 28 });
      expect(encoded.equals(Buffer.concat(files.map((file) => readFileSync(file))))).toBe(true);
    }
  },
);
