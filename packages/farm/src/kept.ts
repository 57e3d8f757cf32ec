// What took minutes to compile is kept in the cache under a hash of everything that went in, so that another clone on the
// same machine takes it instead of compiling libhdf5 again. Nx's own cache lies in the clone.

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, installOnce } from './exec.ts';
import { CACHE, ROOT } from './paths.ts';

export interface Keep {
  readonly name: string;
  /** Files and folders, relative to the repository, whose contents go in. */
  readonly inputs: readonly string[];
  /** What else goes in: the compiler's name and version. */
  readonly compiler: string;
  /** Names of the files to keep. */
  readonly outputs: readonly string[];
}

/** SHA-256 over the names and contents of everything that goes in. */
async function inputsHash({ inputs, compiler }: Keep): Promise<string> {
  const files: string[] = [];
  for (const input of inputs) {
    const place = join(ROOT, input);
    if ((await stat(place)).isFile()) {
      files.push(place);
      continue;
    }
    const entries = await readdir(place, { recursive: true, withFileTypes: true });
    files.push(...entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)));
  }
  const hash = createHash('sha256').update(compiler);
  for (const file of files.sort()) {
    const content = createHash('sha256').update(await readFile(file));
    hash.update(`${content.digest('hex')}  ${file.slice(ROOT.length)}\n`);
  }
  return hash.digest('hex');
}

/**
 * A folder in the cache that holds the outputs: from before, or after `build`, which is given a folder to work in and
 * returns where it left them.
 */
export async function kept(keep: Keep, build: (work: string) => Promise<string>): Promise<string> {
  const folder = join(CACHE, 'built', `${keep.name}-${await inputsHash(keep)}`);
  if (await exists(folder)) return folder;
  return installOnce(folder, async (temporary) => {
    const work = `${temporary}.work`;
    try {
      const from = await build(work);
      await mkdir(temporary, { recursive: true });
      for (const name of keep.outputs) await copyFile(join(from, name), join(temporary, name));
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}
