// The licence texts of all code that is inside a package, ours and other people's, travel in its LICENSES/ folder.

import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { exists } from './exec.ts';
import { FarmError } from './log.ts';
import { ROOT } from './paths.ts';
import { putFolder } from './put.ts';
import type { Runtime } from './runtimes.ts';
import { ensureSource, type Upstream } from './sources.ts';

/**
 * Writes h5z-LICENSE, for each upstream <upstream>-<file> from its verified tree, and the texts of the compilers' runtimes,
 * into `folder` and nothing else there.
 */
export async function collectLicences(
  upstreams: readonly Upstream[],
  runtimes: readonly Runtime[],
  folder: string,
): Promise<void> {
  const texts: [string, string][] = [[join(ROOT, 'LICENSE'), 'h5z-LICENSE']];
  for (const upstream of upstreams) {
    const tree = await ensureSource(upstream);
    for (const file of upstream.licenceFiles) {
      if (!(await exists(join(tree, file))))
        throw new FarmError(
          `upstreams/${upstream.name}/upstream.json: licenceFiles lists ${file}, which its tree lacks. ` +
            'Name a file that `files` matches, in the tree of that version.',
        );
      texts.push([join(tree, file), `${upstream.name}-${file.replaceAll('/', '-')}`]);
    }
  }
  for (const { name, text } of runtimes) if (text !== undefined) texts.push([text, `${name}-${basename(text)}`]);
  putFolder(
    folder,
    new Map(await Promise.all(texts.map(async ([from, name]) => [name, { data: await readFile(from) }] as const))),
  );
}
