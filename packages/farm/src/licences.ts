// The licence texts of other people's code that is inside a package travel in its LICENSES/ folder.

import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureSource, type Upstream } from './sources.ts';

/** Writes LICENSES/<upstream>-<file> for each upstream, from its verified tree, into `folder` and nothing else there. */
export async function collectLicences(upstreams: readonly Upstream[], folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  if (upstreams.length === 0) return;
  await mkdir(folder, { recursive: true });
  for (const upstream of upstreams) {
    const tree = await ensureSource(upstream);
    for (const file of upstream.licenceFiles) {
      await cp(join(tree, file), join(folder, `${upstream.name}-${file.replaceAll('/', '-')}`));
    }
  }
}
