// A copy of the repository in a temporary folder, to do things to: what git knows and what is new, without filters/, with
// node_modules and the TypeScript that was compiled. Its own packages stand in for the workspaces.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../src/paths.ts';
import { repositoryFiles } from '../src/reproduce.ts';

export function copyRepository(): string {
  const copy = mkdtempSync(join(tmpdir(), 'h5z-repo-'));
  const put = (file: string): void => {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(ROOT, file), join(copy, file), { recursive: true });
  };
  for (const file of repositoryFiles()) if (!file.startsWith('filters/')) put(file);
  mkdirSync(join(copy, 'filters'));
  const workspaces = [...readdirSync(join(ROOT, 'packages')).map((name) => `packages/${name}`), 'registry'];
  for (const workspace of workspaces) {
    for (const built of ['dist', 'prebuilds', 'wasm', 'tsconfig.tsbuildinfo'])
      if (existsSync(join(ROOT, workspace, built))) put(join(workspace, built));
    const own = join(ROOT, workspace, 'node_modules');
    if (existsSync(own)) symlinkSync(own, join(copy, workspace, 'node_modules'));
  }
  const modules = join(copy, 'node_modules');
  mkdirSync(join(modules, '@h5z'), { recursive: true });
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    if (name !== '@h5z' && name !== 'h5z') symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  for (const workspace of workspaces) {
    const name = workspace === 'packages/cli' ? 'h5z' : `@h5z/${workspace.split('/').at(-1)}`;
    symlinkSync(join(copy, workspace), join(modules, name));
  }
  return copy;
}
