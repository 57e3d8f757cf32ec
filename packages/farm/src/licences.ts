// The licence texts of all code that is inside a package, ours and other people's, travel in its LICENSES/ folder.

import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './paths.ts';
import { ensureSource, type Upstream } from './sources.ts';

/** Writes h5z-LICENSE, and for each upstream <upstream>-<file> from its verified tree, into `folder` and nothing else there. */
export async function collectLicences(upstreams: readonly Upstream[], folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await cp(join(ROOT, 'LICENSE'), join(folder, 'h5z-LICENSE'));
  for (const upstream of upstreams) {
    const tree = await ensureSource(upstream);
    for (const file of upstream.licenceFiles) {
      await cp(join(tree, file), join(folder, `${upstream.name}-${file.replaceAll('/', '-')}`));
    }
  }
}
