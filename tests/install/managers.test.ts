// A filter installed by each package manager, without scripts, decodes natively - also under Yarn's Plug'n'Play, where
// packages stay zipped unless they ask not to - and again from the manager's cache when there is no network.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { golden } from '../../packages/farm/src/golden.ts';
import { decodeSamples, emptyApplication, packageManagers } from '../../packages/farm/src/package-managers.ts';
import { publishAll } from '../../packages/farm/src/publish.ts';
import type { RunningRegistry } from '../../packages/farm/src/registry-server.ts';
import { filterFolders, packed } from '../support/packed.ts';

const scratch = mkdtempSync(join(tmpdir(), 'h5z-managers-'));
let registry: RunningRegistry;
beforeAll(async () => {
  registry = await publishAll(packed());
}, 180_000);
afterAll(async () => {
  await registry?.close();
  rmSync(scratch, { recursive: true, force: true });
}, 60_000);

it.each(['npm', 'pnpm', 'yarn-pnp'])('%s', async (name) => {
  const manager = packageManagers(registry, scratch).find((one) => one.name === name);
  if (manager === undefined) throw new Error(`${name} is not in node_modules: npm ci --ignore-scripts`);
  const filter = filterFolders().find(({ packageName }) => packed().some((one) => one.name === packageName));
  const sample = filter && golden(filter)[0];
  if (filter === undefined || sample === undefined) throw new Error('no filter with a golden chunk was packed');
  const { file, cdValues, size, sha256 } = sample;
  const samples = [{ package: filter.packageName, file, cdValues, size, sha256 }];
  const folder = join(scratch, name);
  emptyApplication(folder);
  await manager.install(folder, [filter.packageName]);
  expect(await decodeSamples(manager, folder, samples)).toMatchObject([{ variant: 'native', sha256 }]);
  await manager.again(folder);
  expect(await decodeSamples(manager, folder, samples)).toMatchObject([{ variant: 'native', sha256 }]);
  const wrong = [{ ...samples[0], sha256: '0'.repeat(64) }] as typeof samples;
  await expect(decodeSamples(manager, folder, wrong)).rejects.toThrow(/decodes its golden chunk to/);
});
