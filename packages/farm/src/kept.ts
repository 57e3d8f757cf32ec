// What took minutes to compile is kept in the cache under a hash of everything that went in, so that another clone on the
// same machine takes it instead of compiling libhdf5 again. Nx's own cache lies in the clone.

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, installOnce } from './exec.ts';
import { CACHE, ROOT } from './paths.ts';
import type { PackagePlan } from './targets.ts';

/** SHA-256 over the names and contents of the plan's own C, its upstreams' folders and pins, and `more`. */
async function inputsHash(plan: PackagePlan, more: string): Promise<string> {
  const folder = join(ROOT, 'packages', plan.package);
  const files = [join(folder, 'CMakeLists.txt'), join(ROOT, 'packages/farm/src/build.ts')];
  const folders = [join(folder, 'c'), ...plan.upstreams.map((name) => join(ROOT, 'upstreams', name))];
  folders.push(join(ROOT, 'toolchains', plan.toolchain));
  for (const place of folders) {
    const entries = await readdir(place, { recursive: true, withFileTypes: true });
    files.push(...entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)));
  }
  const hash = createHash('sha256').update(more);
  for (const file of files.sort()) {
    const content = createHash('sha256').update(await readFile(file));
    hash.update(`${content.digest('hex')}  ${file.slice(ROOT.length)}\n`);
  }
  return hash.digest('hex');
}

/**
 * A folder in the cache that holds the plan's outputs by their file names: from before, or after `build`, which returns
 * where it left them. `compiler` names the compiler and its version.
 */
export async function kept(plan: PackagePlan, compiler: string, build: () => Promise<string>): Promise<string> {
  const key = await inputsHash(plan, compiler);
  const folder = join(CACHE, 'built', `${plan.package}-${key}`);
  if (await exists(folder)) return folder;
  return installOnce(folder, async (temporary) => {
    const from = await build();
    await mkdir(temporary, { recursive: true });
    for (const output of plan.outputs) {
      const name = output.split('/').at(-1) as string;
      await copyFile(join(from, name), join(temporary, name));
    }
  });
}
