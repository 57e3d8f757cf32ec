// `executed` in a manifest is a promise: the digest came out of that very file on its platform. So a wrong digest, a missing
// one and a crash must all fail, and what nothing ran must stay `built` with a reason.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ensureEmulator } from '../src/emulation.ts';
import { readFilters } from '../src/filters.ts';
import { FarmError } from '../src/log.ts';
import { makeManifest } from '../src/manifest.ts';
import { libraryName, PLATFORMS, type Platform } from '../src/targets.ts';
import { builtPlatforms, judge, verifyFilter, verifyPlatform } from '../src/verify.ts';

interface Index {
  cases: { name: string; sha256?: string }[];
}

const [filter] = await readFilters();
if (filter === undefined) throw new Error('filters/ is empty');
const index = JSON.parse(readFileSync(join(filter.dir, 'golden/index.json'), 'utf8')) as Index;
const good = index.cases.map(({ name, sha256 }) => `digest ${sha256} ${name}\r\n`).join('');

const scratch = mkdtempSync(join(tmpdir(), 'h5z-verify-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let copies = 0;
/** The filter as built, with golden chunks of which the first has another digest. */
function withWrongDigest(): string {
  const folder = join(scratch, String(copies++), filter?.name ?? '');
  for (const part of ['filter.json', 'package.json', 'golden', 'wasm', 'prebuilds', 'LICENSES'])
    if (existsSync(join(filter?.dir ?? '', part)))
      cpSync(join(filter?.dir ?? '', part), join(folder, part), { recursive: true });
  const changed = structuredClone(index);
  (changed.cases[0] as { sha256: string }).sha256 = 'ab'.repeat(32);
  writeFileSync(join(folder, 'golden/index.json'), JSON.stringify(changed));
  return folder;
}

describe('what a process printed', () => {
  test('the right digests, from Windows too', () => expect(judge(filter.dir, 'x.dll', good)).toBe('executed'));

  test('another digest', () => {
    const bad = good.replace(/[0-9a-f]{64}/, 'cd'.repeat(32));
    expect(() => judge(filter.dir, 'x.so', bad)).toThrow(
      /x\.so: golden chunk .+ decodes to (cd){32}, not [0-9a-f]{64}/,
    );
  });

  test('a digest too few', () => {
    const [, ...rest] = good.split('\r\n');
    expect(() => judge(filter.dir, 'x.so', rest.join('\r\n'))).toThrow(/decodes to nothing, not/);
    expect(() => judge(filter.dir, 'x.so', '')).toThrow(FarmError);
  });

  test('no digest to compare with: loaded, not executed', () => {
    const folder = join(scratch, 'bare');
    cpSync(join(filter.dir, 'filter.json'), join(folder, 'filter.json'));
    expect(judge(folder, 'x.so', good)).toBe('loaded');
  });
});

test('a file of this machine that decodes wrongly fails, and the manifest does not say executed', async () => {
  const folder = withWrongDigest();
  await expect(verifyFilter(folder)).rejects.toThrow(/does not decode its golden chunks: .* not (ab){32}/);
  expect(makeManifest(folder).variants.wasm.map(({ verified }) => verified)).not.toContain('executed');
});

const emulated: Platform[] = [];
for (const platform of ['linux-x64-musl', 'linux-arm64', 'linux-arm64-musl', 'win32-x64'] as const) {
  if (!existsSync(join(filter.dir, 'prebuilds', platform, libraryName(filter.name, platform)))) continue;
  const there = await ensureEmulator(platform).catch((error: unknown) => {
    if (error instanceof FarmError) return undefined;
    throw error;
  });
  if (there !== undefined) emulated.push(platform);
}

test.each(emulated)('%s: executed, and a wrong digest fails', { timeout: 300_000 }, async (platform) => {
  const { level, on } = await verifyPlatform(filter.dir, platform);
  expect(level).toBe('executed');
  expect(on).toMatch(/musl|glibc|wine/);
  const file = makeManifest(filter.dir).variants.native.find((native) => native.platform === platform);
  expect([file?.verified, file?.verifiedOn]).toEqual(['executed', on]);
  await expect(verifyPlatform(withWrongDigest(), platform)).rejects.toThrow(/does not decode its golden chunks/);
});

test('what only a Mac runs stays built, with the reason', async () => {
  for (const platform of builtPlatforms(filter.dir, []).filter((name) => name.startsWith('darwin'))) {
    const { level, on, lacking } = await verifyPlatform(filter.dir, platform);
    expect([level, lacking]).toEqual(['built', false]);
    expect(on).toContain('Mac only');
  }
});

test('a platform that nobody built, and one that nobody knows', async () => {
  const folder = withWrongDigest();
  rmSync(join(folder, 'prebuilds'), { recursive: true });
  expect(builtPlatforms(folder, [])).toEqual([]);
  expect(builtPlatforms(folder, ['linux-arm64'])).toEqual(['linux-arm64']);
  await expect(verifyPlatform(folder, 'linux-arm64')).rejects.toThrow(
    /was not built for linux-arm64\. Run \.\/farm build/,
  );
  expect(() => builtPlatforms(folder, ['amiga'])).toThrow(`Platforms: ${PLATFORMS.join(', ')}`);
});
