// Compiles the small test filters of this folder into native libraries, for tests of what loads them. They exist because
// the adaptors and the host must be tested with filters that misbehave or wait on purpose, which no shipped one does.

import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ABI = fileURLToPath(new URL('..', import.meta.url));

/** The first C compiler that runs, or undefined: then the tests that need one are skipped, by name. */
export const compiler: string | undefined = [process.env.H5Z_CC, process.env.H5Z_CC_FUZZ, 'cc', 'gcc', 'clang'].find(
  (cc) => {
    if (!cc) return false;
    try {
      execFileSync(cc, ['--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  },
);

/** Compiles `source` (a path, absolute or in this folder) as filter `id`; returns the library's path in a new folder. */
export function compileFilter(source: string, id: number, name: string, extra: readonly string[] = []): string {
  if (compiler === undefined) throw new Error('no C compiler: skip the test where `compiler` is undefined');
  const library = join(mkdtempSync(join(tmpdir(), 'h5z-test-filter-')), `libh5z_${name}.so`);
  const identity = [
    `-DH5Z_FILTER_ID=${id}`,
    `-DH5Z_FILTER_NAME="${name}"`,
    `-DH5Z_FILTER_TITLE="${name}, a test filter"`,
    '-DH5Z_FILTER_VERSION="0.0.1"',
    '-DH5Z_FILTER_FLAGS=3',
  ];
  const sources = [
    ...['hdf5_plugin.c', 'params.c', 'error.c'].map((file) => join(ABI, 'src', file)),
    resolve(ABI, 'test', source),
  ];
  execFileSync(
    compiler,
    [
      '-std=c11',
      '-O1',
      '-Wall',
      '-Wextra',
      '-Wpedantic',
      '-Werror',
      '-fPIC',
      '-shared',
      '-fvisibility=hidden',
      '-DH5Z_BUILD_NATIVE',
    ].concat(
      identity,
      extra,
      `-I${join(ABI, 'include')}`,
      `-I${join(ABI, 'lib')}`,
      sources,
      '-o',
      library,
      process.platform === 'linux' ? ['-ldl'] : [],
    ),
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return library;
}
