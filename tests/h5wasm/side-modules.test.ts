// Every side module, looked at from outside: it exports what libhdf5 looks up and nothing else, needs nothing that h5wasm
// 0.8 or 0.10 lacks, and is smaller than h5wasm-plugins' module for the same filter.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { FilterDescription } from '@h5z/core';
import { describe, expect, test } from 'vitest';
import { filterFolders, freshH5wasm, ROOT, sideModuleFile, VERSIONS } from './hosts.ts';
import { sideImports } from './wasm-imports.ts';

/** h5wasm-plugins' names for the filters it ships (its index.mjs gives no IDs). */
const PEERS: Readonly<Record<number, string>> = {
  307: 'bz2',
  32000: 'lzf',
  32001: 'blosc',
  32004: 'lz4',
  32008: 'bshuf',
  32013: 'zfp',
  32015: 'zstd',
  32019: 'jpeg',
  32022: 'bitgroom',
  32023: 'bitround',
  32026: 'blosc2',
};

/** What Emscripten's dynamic linking itself provides to every side module. */
const LINKER = ['memory', '__indirect_function_table', '__memory_base', '__table_base', '__stack_pointer'];

const exported = await Promise.all(
  VERSIONS.map(async (version) => {
    const module = await (await freshH5wasm(version)).ready;
    return new Set(
      Object.keys(module)
        .filter((name) => name.startsWith('_'))
        .map((name) => name.slice(1)),
    );
  }),
);

const declared = filterFolders()
  .map((folder) => ({ name: basename(folder), folder, description: readDescription(folder) }))
  .filter(({ description }) => description.variants.h5wasm);

function readDescription(folder: string): FilterDescription {
  return JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8')) as FilterDescription;
}

describe.each(declared)('$name', ({ folder, description: { id } }) => {
  const file = sideModuleFile(folder);

  test('imports only what both h5wasm versions export', () => {
    const { imports } = sideImports(new Uint8Array(readFileSync(file)));
    const refused = imports.filter(({ module, name, weak }) => {
      if (module === 'env' && LINKER.includes(name)) return false;
      if (!['env', 'GOT.func', 'GOT.mem'].includes(module)) return true;
      return !weak && !exported.every((names) => names.has(name));
    });
    expect(refused).toEqual([]);
  });

  test('exports the two symbols of a plugin and no others', () => {
    const { exports } = sideImports(new Uint8Array(readFileSync(file)));
    const linker = ['__wasm_call_ctors', '__wasm_apply_data_relocs'];
    expect(exports.filter((name) => !linker.includes(name)).sort()).toEqual([
      'H5PLget_plugin_info',
      'H5PLget_plugin_type',
    ]);
  });

  test("is smaller than h5wasm-plugins' module, where there is one", ({ skip }) => {
    const peer = join(ROOT, 'node_modules/h5wasm-plugins/plugins', `libH5Z${PEERS[id]}.so`);
    if (!existsSync(peer)) return skip('h5wasm-plugins has no module for this filter');
    // Below 13 kB it is our checks, messages and tables (where the peer calls the host's logarithm) that weigh, not the codec.
    expect(statSync(file).size).toBeLessThan(Math.max(statSync(peer).size, 13_000));
  });
});
