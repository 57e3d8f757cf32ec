// Every filter installed by Bun from a registry, without scripts, and run by Bun, natively and in WebAssembly: for nightly runs.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { golden } from '../../packages/farm/src/golden.ts';
import { publishAll } from '../../packages/farm/src/publish.ts';
import type { RunningRegistry } from '../../packages/farm/src/registry-server.ts';
import { env } from '../support/env.ts';
import { filterFolders, packed } from '../support/packed.ts';

const BUN = env.bun;
const NEED = 'H5Z_BUN is not set: Bun is for ./farm test --nightly, which gets it';
const scratch = mkdtempSync(join(tmpdir(), 'h5z-bun-'));
let registry: RunningRegistry | undefined;
beforeAll(async () => {
  if (BUN !== undefined) registry = await publishAll(packed());
}, 180_000);
afterAll(async () => {
  await registry?.close();
  rmSync(scratch, { recursive: true, force: true });
});

it('every filter decodes its first golden chunk under Bun, found by its ID', ({ skip }) => {
  if (BUN === undefined) return skip(NEED);
  const samples = filterFolders().flatMap((filter) => {
    const [sample] = golden(filter);
    return sample === undefined ? [] : [{ id: filter.description.id, package: filter.packageName, ...sample }];
  });
  expect(samples.length).toBeGreaterThan(0);
  writeFileSync(join(scratch, 'package.json'), '{ "private": true, "type": "module" }\n');
  writeFileSync(join(scratch, 'bunfig.toml'), `[install]\nregistry = "${registry?.url}"\n`);
  writeFileSync(
    join(scratch, 'main.js'),
    `import { installed } from '@h5z/registry';
import { readFileSync } from 'node:fs';
const registry = await installed();
const answers = [];
for (const { id, file, cdValues, size } of ${JSON.stringify(samples)}) {
  const codec = await registry.load(id);
  answers.push([codec.variant, Buffer.from(codec.decode(readFileSync(file), { cdValues, size })).toString('base64')]);
}
console.log(JSON.stringify(answers));
`,
  );
  const options = {
    cwd: scratch,
    env: { ...process.env, HOME: scratch, BUN_INSTALL_CACHE_DIR: join(scratch, 'cache') },
    maxBuffer: 1 << 28,
  };
  const names = [...samples.map((sample) => sample.package), '@h5z/registry'];
  execFileSync(BUN, ['add', '--ignore-scripts', ...names], options);
  for (const variant of ['native', 'wasm']) {
    const preferring = { ...options, env: { ...options.env, H5Z_PREFER: variant } };
    const answers = JSON.parse(execFileSync(BUN, ['main.js'], preferring).toString()) as [string, string][];
    const decoded = answers.map(([ran, data]) => {
      return [ran, createHash('sha256').update(Buffer.from(data, 'base64')).digest('hex')];
    });
    expect(decoded).toEqual(samples.map(({ sha256 }) => [variant, sha256]));
  }
}, 180_000);
