// Two builds from nothing at two paths give the same bytes, in C and in C++, native and WebAssembly; and what was published is
// held to a clean build of this checkout, so that an artefact somebody altered on the way is found and named.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../core/src/types.ts';
import { usesCxx } from '../src/build.ts';
import { readFilters } from '../src/filters.ts';
import { pack } from '../src/pack.ts';
import { startRegistry } from '../src/registry-server.ts';
import { difference, reproduce } from '../src/reproduce.ts';
import { upstreamsOf } from '../src/sources.ts';
import { readTarball } from '../src/tarball.ts';
import { hostPlatform } from '../src/targets.ts';

const scratch = mkdtempSync(join(tmpdir(), 'h5z-reproduce-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const filters = await readFilters();
const cxx = await Promise.all(filters.map(async (filter) => usesCxx(filter, await upstreamsOf(filter))));
const inC = filters.find(({ description }) => description.upstreams.length === 0)?.name ?? '';
const inCxx = filters.find((_, i) => cxx[i]);

describe('how two builds differ, in words', () => {
  const build = Buffer.from('code /tmp/a/filter.c code');

  test('not at all', () => expect(difference(build, Buffer.from(build), ['/tmp/a'])).toBe(''));

  test('one byte', () => {
    const other = Buffer.from('code /tmp/a/filter.c cOde');
    expect(difference(build, other, [])).toBe('1 bytes differ, the first at 22');
  });

  test('a path that got in, and another size', () => {
    const other = Buffer.from('code /tmp/bb/filter.c code');
    const said = difference(build, other, ['/tmp/zz', '/tmp/bb']);
    expect(said).toMatch(
      /^\d+ bytes differ, the first at 10 \(25 and 26 bytes\); it holds the path it was built in, \/tmp\/bb/,
    );
  });
});

test('C: this platform, every WebAssembly module', { timeout: 900_000 }, async () => {
  const compared = await reproduce({ subject: inC });
  expect(compared.map(({ target }) => target)).toEqual([hostPlatform(), 'wasm', 'wasm', 'h5wasm']);
  for (const { file, same, reason } of compared) expect(same, `${file}: ${reason}`).toBe(true);
});

test('C++: with its library inside', { timeout: 900_000 }, async () => {
  const compared = await reproduce({ subject: inCxx?.packageName, targets: [hostPlatform()] });
  expect(compared).toHaveLength(1);
  for (const { file, same, reason } of compared) expect(same, `${file}: ${reason}`).toBe(true);
});

test('a published package with an altered library', { timeout: 900_000 }, async () => {
  const [packed] = await pack({ only: [inC], out: join(scratch, 'out'), check: false });
  if (packed === undefined) throw new Error('nothing was packed');
  const files = readTarball(readFileSync(packed.tarball));
  const manifest = JSON.parse(files.get('manifest.json')?.toString() ?? '') as Manifest;
  const native = manifest.variants.native.find(({ platform }) => platform === hostPlatform());
  const library = Buffer.from(files.get(native?.file ?? '') ?? []);
  library[library.length >> 1] = (library[library.length >> 1] as number) ^ 1;
  files.set(native?.file ?? '', library);
  // Whoever alters a library alters the manifest with it: the hash in the package is no proof.
  const text = JSON.stringify(manifest);
  const forged = text.replace(native?.sha256 ?? '', createHash('sha256').update(library).digest('hex'));
  expect(forged).not.toBe(text);
  files.set('manifest.json', Buffer.from(forged));
  const folder = join(scratch, 'forged');
  for (const [file, content] of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  const registry = await startRegistry();
  try {
    await registry.npm(['publish', folder, '--ignore-scripts', '--access', 'public', '--tag', 'latest'], scratch);
    const subject = `${packed.name}@${packed.version}`;
    const options = { registry: registry.url, env: registry.env, targets: [hostPlatform(), 'wasm'] };
    const compared = await reproduce({ subject, ...options });
    const altered = compared.filter(({ same }) => !same);
    expect(altered.map(({ target }) => target)).toEqual([hostPlatform()]);
    expect(altered[0]?.reason).toBe(`1 bytes differ, the first at ${library.length >> 1}`);
    expect(compared).toHaveLength(3);

    const other = `${packed.name}@${packed.version}-never`;
    await expect(reproduce({ subject: other, ...options })).rejects.toThrow(/Check out its tag/);
  } finally {
    await registry.close();
  }
});

test('nothing of that name', async () => {
  await expect(reproduce({ subject: 'nothing-here' })).rejects.toThrow(/nothing named "nothing-here" is built here/);
});
