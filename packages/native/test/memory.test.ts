// Large arrays lie in memory that is used again: nobody ever sees what was in it, whoever still has an array keeps it, and what
// nobody has goes back to the system. Each tale of memory.mjs is a process.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createPipeline } from '@h5z/core';
import { loadNative } from '@h5z/native';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileFilter, compiler } from '../../abi/test/compile.ts';
import type { Addon } from '../dist/addon.js';
import { outputMemory } from '../dist/memory.js';

describe.skipIf(compiler === undefined)('memory of large arrays (needs a C compiler)', () => {
  let path: string;
  beforeAll(() => {
    path = compileFilter('rle.c', 40001, 'rle');
  });

  it.each([
    'used again',
    'never shows what was there',
    'is not given out by what fails',
    'goes back to the system',
    'is bounded',
    'moves as any other',
    'is written in place',
    'holds chunks that are encoded again',
    'ends with the process',
    'of a worker is its own',
  ])('%s', async (tale) => {
    const script = join(import.meta.dirname, 'memory.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, path, tale]);
    expect(stdout).toBe('right\n');
  });

  it('is V8’s own where the engine takes none, and for small arrays', async () => {
    const asked: number[] = [];
    const refuses = { keep: () => 2 ** 30, allocate: (bytes: number) => void asked.push(bytes) } as unknown as Addon;
    expect(outputMemory(refuses, 8_000_000, false)).toBe(undefined);
    expect(outputMemory(refuses, 8_000_000, true)?.length).toBe(8_000_000);
    expect(outputMemory(refuses, 1000, true)?.length).toBe(1000);
    expect(asked).toEqual([8_000_000, 8_000_000]);
    const pipeline = createPipeline([{ id: 40001, cdValues: [1, 9], codec: loadNative(path) }]);
    const { data } = pipeline.encode(new Uint8Array(1000).fill(9));
    const layout = { shape: [3000], chunk: [1000], itemSize: 1 };
    const some = [0, 2000].map((at) => ({ data, offset: [at] }));
    const out = await pipeline.decodeMany(some, { layout });
    expect([out[999], out[1000], out[1999], out[2000]]).toEqual([9, 0, 0, 9]);
    await expect(pipeline.decodeMany(some, { layout, covered: true })).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
  });
});
