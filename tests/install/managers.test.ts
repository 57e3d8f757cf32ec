// A filter installed by each package manager under each Node, without scripts, decodes natively - also under Yarn's
// Plug'n'Play, where packages stay zipped unless they ask not to - and again from the manager's cache when there is no network.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { golden } from '../../packages/farm/src/golden.ts';
import { decodeSamples, emptyApplication, packageManagers } from '../../packages/farm/src/package-managers.ts';
import { publishAll } from '../../packages/farm/src/publish.ts';
import type { RunningRegistry } from '../../packages/farm/src/registry-server.ts';
import { env, need } from '../support/env.ts';
import { filterFolders, packed } from '../support/packed.ts';

const scratch = mkdtempSync(join(tmpdir(), 'h5z-managers-'));
let registry: RunningRegistry;
beforeAll(async () => {
  registry = await publishAll(packed());
}, 180_000);
afterAll(async () => {
  await registry?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** The Node that runs this, and those of toolchains/node; `undefined` stands for them where they are missing. */
const NODES = [process.execPath, ...(env.nodes?.split(delimiter) ?? [undefined])];
const MANAGERS = ['npm', 'pnpm', 'yarn-pnp'];
const versionOf = (node: string) => execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1);
const CASES = NODES.flatMap((node) => MANAGERS.map((name) => [name, node && versionOf(node), node] as const));

it.for(CASES)('%s with Node %s', async ([name, version, node], { skip }) => {
  if (node === undefined) return skip(need('nodes'));
  const manager = packageManagers(registry, scratch, node).find((one) => one.name === name);
  if (manager === undefined) throw new Error(`${name} is not in node_modules: npm ci --ignore-scripts`);
  const filter = filterFolders().find(({ packageName }) => packed().some((one) => one.name === packageName));
  const sample = filter && golden(filter)[0];
  if (filter === undefined || sample === undefined) throw new Error('no filter with a golden chunk was packed');
  const { file, cdValues, size, sha256 } = sample;
  const samples = [{ package: filter.packageName, file, cdValues, size, sha256 }];
  const folder = join(scratch, `${name}-${version}`);
  emptyApplication(folder);
  await manager.install(folder, [filter.packageName]);
  expect(await decodeSamples(manager, folder, samples)).toMatchObject([{ node: version, variant: 'native', sha256 }]);
  await manager.again(folder);
  expect(await decodeSamples(manager, folder, samples)).toMatchObject([{ node: version, variant: 'native', sha256 }]);
  const wrong = [{ ...samples[0], sha256: '0'.repeat(64) }] as typeof samples;
  await expect(decodeSamples(manager, folder, wrong)).rejects.toThrow(/decodes its golden chunk to/);
});
