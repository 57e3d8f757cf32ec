// `h5z hsds` and `h5z which --target hsds` as people meet them, with the Python package that is shipped and a real HSDS in
// the environment: tables, JSON, exit status, help, and errors that name the fix.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../packages/core/dist/index.js';
import { currentPlatform } from '../../packages/core/dist/node.js';
import { type Environment, environment } from '../../packages/hsds/test/support/environment.ts';
import { env, need } from '../support/env.ts';
import { filterFolders, ROOT, runIn } from '../support/packed.ts';

const MAIN = join(ROOT, 'packages/cli/dist/main.js');
const folder = mkdtempSync(join(tmpdir(), 'h5z-cli-hsds-'));
const filters = filterFolders();
const [plugin] = filters.filter(({ description }) => description.id >= 256);

/** An application folder with every built filter. */
const app = join(folder, 'app');
beforeAll(() => {
  for (const filter of filters) {
    const link = join(app, 'node_modules', filter.packageName);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(filter.folder, link);
  }
  writeFileSync(join(app, 'package.json'), '{ "private": true }\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const h5z = (...args: string[]) => runIn(app, process.execPath, [MAIN, ...args]);

test('h5z which --target hsds: path, ABI, hash and parameters, by ID and by name', async () => {
  const { id, name } = plugin?.description ?? { id: 0, name: '' };
  const manifest = JSON.parse(readFileSync(join(plugin?.folder ?? '', 'manifest.json'), 'utf8')) as Manifest;
  const [native] = manifest.variants.native.filter(({ platform }) => platform === currentPlatform());
  const byId = JSON.parse((await h5z('which', String(id), '--target', 'hsds', '--json')).stdout);
  expect(byId).toMatchObject({ id, name, abi: manifest.abi, sha256: native?.sha256, size: native?.size });
  expect(byId.parameters.map((parameter: { name: string }) => parameter.name)).toEqual(
    plugin?.description.parameters.map((parameter) => parameter.name),
  );
  expect(existsSync(byId.path)).toBe(true);
  expect(JSON.parse((await h5z('which', name, '--target', 'hsds', '--json')).stdout)).toEqual(byId);
  const { stdout } = await h5z('which', name, '--target', 'hsds');
  for (const text of [byId.path, native?.sha256 as string]) expect(stdout).toContain(text);
  const all = JSON.parse((await h5z('which', '--target', 'hsds', '--json')).stdout) as { id: number }[];
  expect(all.map((one) => one.id).sort()).toEqual(filters.map(({ description }) => description.id).sort());
  const elsewhere = await h5z('which', name, '--target', 'hsds', '--platform', 'plan9-x64');
  expect(elsewhere.status).toBe(1);
  expect(elsewhere.stderr).toMatch(/no native library for plan9-x64; it has .*linux-/);
});

test('h5z hsds teaches itself', async () => {
  const { stdout } = await h5z('hsds', '--help');
  for (const command of ['install', 'uninstall', 'status', 'self-test']) {
    expect(stdout).toContain(command);
    const help = await h5z('hsds', command, '--help');
    expect(help.status).toBe(0);
    expect(help.stdout).toMatch(/Examples:/);
    expect(help.stdout).toMatch(/--json/);
  }
  expect((await h5z('hsds', 'install', '--nonsense')).status).toBe(2);
});

test('an error says what to do, in words and as JSON', async () => {
  const words = await h5z('hsds', 'install', '--python', '/nowhere/python');
  expect(words).toMatchObject({ status: 1, stdout: '' });
  expect(words.stderr).toMatch(/^h5z: no Python can be started as \/nowhere\/python; .*--python \(H5Z_PYTHON\)\n$/);
  const json = await h5z('hsds', 'install', '--python', '/nowhere/python', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: 'H5Z_PYTHON' } });
  const filter = await h5z('hsds', 'install', '--target', join(folder, 'none'), '--filters', 'nonsense');
  expect(filter.stderr).toMatch(/nonsense.*H5Z_UNKNOWN_FILTER/);
  expect(existsSync(join(folder, 'none'))).toBe(false);
});

describe.skipIf(env.hsdsPython === undefined)(`with HSDS${env.hsdsPython ? '' : `: ${need('hsdsPython')}`}`, () => {
  let here: Environment;
  let where: string[];
  beforeAll(() => {
    here = environment(env.hsdsPython as string);
    where = ['--python', here.python];
  });
  afterAll(() => here?.remove());

  test('install, status, self-test, uninstall', async () => {
    const installed = await h5z('hsds', 'install', ...where);
    expect(installed.stderr).toBe('');
    expect(installed.stdout).toMatch(/restart HSDS 0\.\d+\.\d+ with H5Z_HSDS=1/);
    for (const { name, packageName } of filters) {
      expect(installed.stdout).toMatch(new RegExp(`\\b${name} +${packageName} `));
    }
    const status = await h5z('hsds', 'status', ...where);
    expect(status).toMatchObject({ status: 0, stderr: '' });
    expect(status.stdout).toMatch(/^hsds +\S+, supported$/m);
    expect(status.stdout.match(/ ok$/gm)).toHaveLength(filters.length);
    const tried = await h5z('hsds', 'self-test', ...where);
    expect(tried.stdout).toContain(`All ${filters.length} filters work here.`);
    expect(tried.status).toBe(0);
    const removed = await h5z('hsds', 'uninstall', ...where);
    expect(removed.stdout).toMatch(/was removed from/);
    expect((await h5z('hsds', 'uninstall', ...where)).stdout).toMatch(/Nothing of h5z/);
  });

  test('a tampered library is named by status and self-test, and replaced by install', async () => {
    const { name } = plugin?.description ?? { name: '' };
    const report = JSON.parse((await h5z('hsds', 'install', '--filters', name, ...where, '--json')).stdout);
    const { file } = report.filters.find((one: { name: string }) => one.name === name);
    writeFileSync(join(report.place, 'h5z_hsds', file), 'tampered');
    const status = await h5z('hsds', 'status', ...where);
    expect(status.status).toBe(1);
    expect(status.stdout).toMatch(/PROBLEM[\s\S]*H5Z_INTEGRITY/);
    const tried = await h5z('hsds', 'self-test', ...where, '--json');
    expect(tried.status).toBe(1);
    expect(JSON.parse(tried.stdout)).toMatchObject({ ok: false });
    await h5z('hsds', 'install', '--filters', name, ...where);
    expect((await h5z('hsds', 'status', ...where)).status).toBe(0);
  });

  test('numcodecs finds every filter by name and by ID', async () => {
    await h5z('hsds', 'install', ...where);
    const text = `
import json, numcodecs.registry as r
print(json.dumps(sorted(name for name in r.entries if name.startswith('h5z_'))))
for name in list(r.entries):
    if name.startswith('h5z_'):
        r.get_codec({'id': name})
`;
    const answer = await runIn(folder, here.python, ['-c', text]);
    expect(answer.stderr).toBe('');
    const names = JSON.parse(answer.stdout) as string[];
    for (const { description } of filters) {
      expect(names).toContain(`h5z_${description.name.replaceAll('-', '_')}`);
      expect(names).toContain(`h5z_${description.id}`);
    }
  });
});
