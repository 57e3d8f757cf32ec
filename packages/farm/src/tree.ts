// The part of this repository that @h5z/abi publishes, so that a filter outside is built by the same farm: the same files at
// the same paths, and the farm's programs as JavaScript, since Node runs no TypeScript below node_modules.

import { globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { ROOT } from './paths.ts';
import { type Content, putFolder } from './put.ts';

/** `h5z.tree` of package.json. Paths and globs relative to the repository. */
export interface Tree {
  /** Copied as they are. */
  readonly files: readonly string[];
  /** TypeScript programs, bundled into one `.js` each beside what they share. */
  readonly programs: readonly string[];
  /** Vitest suites, each bundled into one file of its own, since they are copied to where they run. */
  readonly suites: readonly string[];
}

/** What stands in for modules of the repository: packages that are installed beside it, and a pack.ts for one filter. */
const substitutes: Plugin = {
  name: 'substitutes',
  setup({ onResolve }) {
    onResolve({ filter: /\/packages\/|\/(core|native)\/dist\// }, ({ path }) => {
      const [, name, file] = /(core|native)\/dist\/(\w+)\.js$/.exec(path) ?? [];
      if (name === undefined) return undefined;
      return { path: file === 'index' ? `@h5z/${name}` : `@h5z/${name}/${file}`, external: true };
    });
    onResolve({ filter: /^\.\/pack\.ts$/ }, ({ resolveDir }) => ({ path: join(resolveDir, 'stage.ts') }));
  },
};

/** Makes `target` hold the tree and nothing else. */
export async function writeTree({ files, programs, suites }: Tree, target: string): Promise<void> {
  const all = new Map<string, Content>();
  const copy = (path: string): void => {
    const { mode } = statSync(join(ROOT, path));
    all.set(path, { data: readFileSync(join(ROOT, path)), mode: mode & 0o777 });
  };
  for (const path of files.flatMap((pattern) => (pattern.includes('*') ? globSync(pattern, { cwd: ROOT }) : [pattern])))
    if (statSync(join(ROOT, path)).isFile()) copy(path);
    else
      for (const entry of readdirSync(join(ROOT, path), { recursive: true, withFileTypes: true }))
        if (entry.isFile()) copy(relative(ROOT, join(entry.parentPath, entry.name)));
  const common = {
    absWorkingDir: ROOT,
    outbase: '.',
    outdir: target,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    plugins: [substitutes],
    logLevel: 'error',
    write: false,
  } satisfies BuildOptions;
  // Chunks beside the programs: the modules find the tree's root from where they lie.
  const chunkNames = `${dirname(programs[0] ?? '')}/farm-[hash]`;
  for (const { outputFiles } of [
    await build({ ...common, entryPoints: [...programs], splitting: true, chunkNames }),
    await build({ ...common, entryPoints: [...suites] }),
  ])
    for (const { path, contents } of outputFiles) all.set(relative(target, path), { data: contents });
  putFolder(target, all);
}
