// C++ in filters: packages/abi/test/throws is built as every kind, and what its codec throws comes out as an error code - below
// fifty frames, rethrown, from operator new, by longjmp - in the native library, in both modules without imports and in
// h5wasm old and new. A filter whose exceptions were traps would end the process or lose the instance.

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Codec, type H5zError, loadWasm } from '@h5z/core';
import { loadNative } from '@h5z/native';
import { beforeAll, describe, expect, test } from 'vitest';
import { freshH5wasm, VERSIONS } from '../../../tests/h5wasm/hosts.ts';
import { sideImports } from '../../../tests/h5wasm/wasm-imports.ts';
import type { FilterDescription } from '../../core/src/generated/schema.ts';
import { buildFuzzer, buildTarget } from '../src/build.ts';
import type { Filter } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { filterPlans, hostPlatform, libraryName, type Target } from '../src/targets.ts';

const dir = join(ROOT, 'packages/abi/test/throws');
const description = JSON.parse(readFileSync(join(dir, 'filter.json'), 'utf8')) as FilterDescription;
const filter: Filter = { name: 'throws', dir, description, packageName: '@h5z/throws', version: '0.0.1' };

/** First byte of a chunk and what its decoding ends with. */
const THROWN: readonly [number, string][] = [
  [1, 'H5Z_E_CORRUPT'],
  [2, 'H5Z_E_UNSUPPORTED'],
  [3, 'H5Z_E_MEMORY'],
  [4, 'H5Z_E_MEMORY'],
  [5, 'H5Z_E_VERSION'],
  [6, 'H5Z_E_NOT_APPLICABLE'],
  [7, 'H5Z_E_PARAM'],
  [100, 'H5Z_E_VERSION'],
];

function build(target: Target): Promise<string> {
  const plan = filterPlans(description).find((one) => one.target === target);
  if (plan === undefined) throw new Error(target);
  return buildTarget(filter, plan);
}

const SORTED = Uint8Array.of(1, 2, 2, 3);

/** Errors and a good chunk in turn, so that nothing a throw leaves behind shows in the next call. */
function holdToRules(codec: Codec): void {
  for (const [how, code] of THROWN) {
    const decode = (): Uint8Array => codec.decode(Uint8Array.of(how, 9, 9), { size: 64 });
    expect(decode, `chunk that begins with ${how}`).toThrow(expect.objectContaining({ code } as Partial<H5zError>));
    expect(codec.decode(Uint8Array.of(0, 3, 2, 1, 2), { size: 4 })).toEqual(SORTED);
  }
}

describe('native', () => {
  let library = '';
  beforeAll(async () => {
    library = join(await build(hostPlatform()), libraryName('throws', hostPlatform()));
  }, 600_000);

  test('what the codec throws comes out as an error code', () => holdToRules(loadNative(library)));

  test('the C++ library is inside, hidden and dropped where unused', () => {
    expect(statSync(library).size).toBeLessThan(300_000);
    if (process.platform !== 'linux') return;
    const symbols = execFileSync('python3', [
      '-c',
      "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); print(*[n for n in ('h5z_filter_v1', '__cxa_throw', '_Znwm', '_Unwind_Resume') if hasattr(l, n)])",
      library,
    ]);
    expect(symbols.toString().trim()).toBe('h5z_filter_v1');
  });

  test.skipIf(process.platform === 'win32')(
    'a library that was closed does not end the process, as HDF5 closes plugins',
    () => {
      const close =
        'import ctypes, _ctypes, sys; l = ctypes.CDLL(sys.argv[1]); l.h5z_filter_v1(); _ctypes.dlclose(l._handle)';
      expect(execFileSync('python3', ['-c', close, library]).toString()).toBe('');
    },
  );
});

describe('wasm', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await build('wasm');
  }, 600_000);

  test.each(['throws.wasm', 'throws.decode.wasm'])('%s needs no host to throw', async (file) => {
    const bytes = readFileSync(join(folder, file));
    expect(WebAssembly.Module.imports(new WebAssembly.Module(bytes))).toEqual([]);
    holdToRules(await loadWasm(new Uint8Array(bytes)));
  });
});

describe('h5wasm', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await build('h5wasm');
  }, 600_000);

  test('the side module has the C++ library inside', () => {
    const { imports, exports } = sideImports(new Uint8Array(readFileSync(join(folder, 'throws.h5wasm.wasm'))));
    const functions = imports.filter(({ kind, weak }) => kind === 'function' && !weak).map(({ name }) => name);
    expect(functions.filter((name) => !['malloc', 'calloc', 'realloc', 'free'].includes(name))).toEqual([]);
    expect(imports.filter(({ kind }) => (kind as string) === 'tag')).toEqual([]);
    expect(exports.filter((name) => !name.startsWith('__wasm_')).sort()).toEqual([
      'H5PLget_plugin_info',
      'H5PLget_plugin_type',
    ]);
  });

  test.each(VERSIONS)('%s: what the codec throws fails the read, and the next read works', async (version) => {
    const { ready, File } = await freshH5wasm(version);
    const module = (await ready) as Awaited<typeof ready> & {
      insert_plugin_search_path(path: string, at: number): void;
    };
    // libhdf5 looks at lib*.so only; h5wasm's file system is the real one in Node.
    const plugins = mkdtempSync(join(tmpdir(), 'h5z-throws-'));
    copyFileSync(join(folder, 'throws.h5wasm.wasm'), join(plugins, 'libthrows.so'));
    module.insert_plugin_search_path(plugins, 0);
    module.activate_throwing_error_handler();
    const path = join(plugins, 'throws.h5');
    const file = new File(path, 'w');
    const values = [...THROWN.map(([how]) => how), 0];
    for (const how of values)
      file.create_dataset({
        name: `d${how}`,
        data: SORTED,
        shape: [4],
        chunks: [4],
        compression: description.id,
        compression_opts: [how],
      });
    file.close();
    const again = new File(path, 'r');
    for (const [how] of THROWN) {
      expect(() => again.get(`d${how}`).value, `chunk that begins with ${how}`).toThrow();
      expect(again.get('d0').value).toEqual(SORTED);
    }
    again.close();
  });
});

const clang = process.env.H5Z_CC_FUZZ;
test.skipIf(clang === undefined)('libFuzzer', { timeout: 600_000 }, async () => {
  const program = await buildFuzzer(filter, clang as string);
  // What fuzz.c takes for chunks to decode, one for each way to throw; the codec's encoder keeps no promise about decoding.
  const folder = mkdtempSync(join(tmpdir(), 'h5z-throws-'));
  // Not 4: AddressSanitizer ends the program at an operator new that cannot be served.
  const inputs = [0, ...THROWN.map(([how]) => how).filter((how) => how !== 4)].map((how) => {
    const file = join(folder, `chunk-${how}`);
    writeFileSync(file, Uint8Array.of(0, 0, 8, 0, how, 1, 2, 3, 4));
    return file;
  });
  const { status, stderr } = spawnSync(program, inputs, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect(stderr.match(/^Executed /gm)).toHaveLength(inputs.length);
});
