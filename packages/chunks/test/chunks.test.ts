// Where chunks lie and what they decode to, on files that h5py writes: every layout, chunk index and kind of type.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { canonicalBytes, type Datatype, HOST_FILTERS, hostCodec, open, readAll } from '../dist/index.js';

const WASM = join(import.meta.dirname, '../wasm/h5c.wasm');
const int = (size: number, order: 'le' | 'be', more = {}): Datatype => ({
  class: 'integer',
  size,
  order,
  precision: size * 8,
  offset: 0,
  signed: true,
  ...more,
});

test('the module imports two functions', () => {
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(WASM)));
  expect(imports.sort((a, b) => a.name.localeCompare(b.name))).toEqual([
    { module: 'h5z', name: 'h5z_read', kind: 'function' },
    { module: 'h5z', name: 'h5z_take', kind: 'function' },
  ]);
});

describe('canonicalBytes', () => {
  test('swaps, packs and widens', () => {
    expect([...canonicalBytes(Uint8Array.of(1, 2, 3, 4), int(2, 'be'))]).toEqual([2, 1, 4, 3]);
    const members = [
      { name: 'a', offset: 1, type: int(2, 'be') },
      { name: 'b', offset: 3, type: int(1, 'le') },
    ];
    const compound: Datatype = { class: 'compound', size: 5, members };
    expect([...canonicalBytes(Uint8Array.of(9, 1, 2, 3, 9), compound)]).toEqual([2, 1, 3]);
    expect([...canonicalBytes(Uint8Array.of(0xf0, 0xff), int(2, 'le', { precision: 12, offset: 4 }))]).toEqual([
      0xff, 0xff,
    ]);
  });
  test('refuses what lies elsewhere', () => {
    const type: Datatype = { class: 'vlen', size: 16, base: int(4, 'le') };
    expect(() => canonicalBytes(new Uint8Array(16), type)).toThrow(
      expect.objectContaining({ code: 'H5Z_E_UNSUPPORTED' }),
    );
  });
});

describe('hostCodec', () => {
  const data = Uint8Array.from({ length: 4096 }, (_, i) => (i >> 3) & 255);
  test.each([
    [1, [6]],
    [2, [4]],
    [3, []],
  ] as const)('filter %i round-trips and refuses damage', async (id, cdValues) => {
    const codec = await hostCodec(id);
    expect(codec?.variant).toBe('host');
    const chunk = codec?.encode(data, { cdValues }) as Uint8Array;
    expect(codec?.decode(chunk, { cdValues, size: data.length })).toEqual(data);
    expect(() => codec?.decode(new Uint8Array(0), { cdValues })).toThrow(/empty/);
    if (id === 2) return;
    const damaged = chunk.slice();
    damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 0x55;
    expect(() => codec?.decode(damaged, { cdValues, size: data.length })).toThrow(
      expect.objectContaining({ name: 'H5zError' }),
    );
  });
  test('knows what it lacks', async () => {
    expect(HOST_FILTERS).not.toContain(4);
    expect(await hostCodec(32015)).toBeUndefined();
  });
});

test('files that are open one after the other share an instance, which remembers nothing', async () => {
  const { Instance } = WebAssembly;
  let made = 0;
  WebAssembly.Instance = class extends Instance {
    constructor(...args: ConstructorParameters<typeof Instance>) {
      made++;
      super(...args);
    }
  };
  try {
    for (let round = 0; round < 20; round++) {
      await expect(open(new Uint8Array(1000 + round))).rejects.toThrow(
        expect.objectContaining({ code: 'H5Z_E_CORRUPT' }),
      );
    }
    expect(made).toBeLessThanOrEqual(1);
  } finally {
    WebAssembly.Instance = Instance;
  }
});

test('what is no HDF5 file is refused', async () => {
  await expect(open(new Uint8Array(1000))).rejects.toThrow(expect.objectContaining({ code: 'H5Z_E_CORRUPT' }));
  await expect(open('/no/such/file')).rejects.toThrow(expect.objectContaining({ code: 'H5Z_FILE' }));
});

describe.skipIf(env.python === undefined)('files written by h5py', () => {
  test.each(['earliest', 'latest'])('libver %s', async (libver) => {
    const folder = mkdtempSync(join(tmpdir(), 'h5z-chunks-'));
    try {
      const path = join(folder, 'layouts.h5');
      const script = join(import.meta.dirname, 'layouts.py');
      const digests = JSON.parse(execFileSync(env.python ?? '', [script, path, libver], { encoding: 'utf8' }));
      for (const input of [path, new Uint8Array(readFileSync(path))]) {
        const file = await open(input);
        expect(file.problems).toEqual([]);
        const found: Record<string, string> = {};
        for (const dataset of file.datasets) {
          const values = canonicalBytes(await readAll(dataset), dataset.info.type);
          found[dataset.path] = createHash('sha256').update(values).digest('hex');
        }
        expect(found).toEqual(digests);
        expect(file.dataset('soft').path).toBe('/contiguous');
        expect(() => file.dataset('/nowhere')).toThrow(expect.objectContaining({ code: 'H5Z_FILE' }));
        expect(file.links).toContainEqual({ path: '/other', kind: 'external', target: '/x', file: 'other.h5' });
        expect(file.links).toContainEqual({ path: '/g/h/up', kind: 'hard', target: '/g' });
        file.close();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
if (env.python === undefined) test(`files written by h5py: ${need('python')}`, ({ skip }) => skip(need('python')));
