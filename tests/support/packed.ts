// The packages as `./farm pack` left them, and an embedded registry that serves them: for tests that install for real.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { FilterDescription } from '../../packages/core/src/types.ts';
import type { Packed } from '../../packages/farm/src/pack.ts';

export const ROOT = resolve(import.meta.dirname, '../..');

/** What `./farm pack` made. Throws when it has not run. */
export function packed(): readonly Packed[] {
  const file = join(ROOT, 'out/packages/packed.json');
  if (!existsSync(file)) throw new Error('out/packages is empty: run "./farm pack" (or "./farm test", which does)');
  return JSON.parse(readFileSync(file, 'utf8')) as Packed[];
}

export interface FilterFolder {
  readonly name: string;
  readonly folder: string;
  readonly packageName: string;
  readonly description: FilterDescription;
}

/** Every folder of filters/. */
export function filterFolders(): readonly FilterFolder[] {
  return readdirSync(join(ROOT, 'filters'))
    .sort()
    .map((name) => join(ROOT, 'filters', name))
    .filter((folder) => existsSync(join(folder, 'filter.json')))
    .map((folder) => {
      const description = JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8')) as FilterDescription;
      const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string };
      return { name: description.name, folder, packageName: name, description };
    });
}

/** The filter folder whose project of vitest.config.ts runs; every folder where none is named. */
export function filtersUnderTest(): readonly FilterFolder[] {
  const one = process.env.H5Z_FILTER_UNDER_TEST;
  return filterFolders().filter(({ folder }) => one === undefined || basename(folder) === one);
}

export const emptyFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'h5z-test-'));

export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in `cwd`; never throws for its exit status. */
export function runIn(
  cwd: string,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Answer> {
  return new Promise((done) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 1 << 26 };
    execFile(program, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      done({ status: code, stdout, stderr });
    });
  });
}

/** Runs an ES module given as text in `cwd`, so that its imports resolve as a person's would there. */
export function script(cwd: string, text: string, env: NodeJS.ProcessEnv = {}): Promise<Answer> {
  return runIn(cwd, process.execPath, ['--input-type=module', '-e', text], env);
}
