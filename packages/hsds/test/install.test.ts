// Installing into Python environments, folders and wheels: what is there afterwards, what is refused with which words, that
// it is whole or not at all wherever the process is killed, and that pip sees it as a package of its own.

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRegistry, type Registry } from '../../../registry/dist/index.js';
import { builtRegistry } from '../../../tests/corpus/corpus.ts';
import { env, need } from '../../../tests/support/env.ts';
import { ROOT, runIn } from '../../../tests/support/packed.ts';
import type { FilterPackage } from '../../core/dist/index.js';
import { currentPlatform } from '../../core/dist/node.js';
import {
  type InstallOptions,
  type InstallReport,
  install,
  layoutOf,
  type PlaceStep,
  placeInto,
  selfTest,
  shellWord,
  status,
  uninstall,
} from '../dist/index.js';
import { environment, HSDS_VERSION, putHsds, sitePackagesOf, standIn } from './stand-in.ts';

const scratch = mkdtempSync(join(tmpdir(), 'h5z-hsds-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** All built filters. */
let everything: Registry;
/** Two filters that are not HDF5's own, and two that are: enough for choices, and quick. */
let registry: Registry;
/** Two versions of the Python package. */
let one: string;
let two: string;
let count = 0;
const fresh = (): string => join(scratch, String(count++));
const platform = currentPlatform();

/** The two that are not HDF5's own. */
let first: string;
let second: string;

beforeAll(async () => {
  everything = await builtRegistry();
  const packages = [true, false].flatMap((own) => everything.packages.filter(({ id }) => id < 256 === own).slice(0, 2));
  registry = createRegistry(packages);
  one = standIn(fresh(), 'one', { 'h5z_hsds/only_in_one.py': '' });
  two = standIn(fresh(), 'two');
  [first, second] = registry.packages.filter(({ id }) => id >= 256).map(({ canonicalName }) => canonicalName) as [
    string,
    string,
  ];
});

const put = (options: InstallOptions): Promise<InstallReport> =>
  install({ registry, source: one, version: '1.0.0', ...options });

/** What is refused, as people read it. */
async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => expect.fail('nothing was refused'),
    (cause: { code: string; message: string }) => cause,
  );
  expect(error.message).toMatch(/; [a-z]/);
  return error;
}

/** Every file below a folder with its hash; not what Python compiles. */
function contents(folder: string): Record<string, string> {
  if (!existsSync(folder)) return {};
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => !file.includes('__pycache__'))
      .sort()
      .map((file) => [file.slice(folder.length + 1), createHash('sha256').update(readFileSync(file)).digest('hex')]),
  );
}

const ours = (folder: string): string[] => readdirSync(folder).filter((name) => /^\.?h5z_hsds/.test(name));

describe.skipIf(env.python === undefined)(`an environment${env.python ? '' : `: ${need('python')}`}`, () => {
  let python: string;
  let folder: string;
  beforeAll(async () => {
    python = await environment(fresh(), true);
    folder = await sitePackagesOf(python);
    putHsds(folder);
  });

  const ask = async (text: string): Promise<unknown> =>
    JSON.parse((await runIn('/', python, ['-c', `import json; ${text}`])).stdout || 'null');

  test('gets the package, every library with its hash, and metadata that importlib reads', async () => {
    const report = await put({ python, registry: everything });
    expect(report).toMatchObject({
      kind: 'environment',
      place: folder,
      hsds: HSDS_VERSION,
      version: '1.0.0',
      platform,
    });
    expect(report.changed).toBe(true);
    expect(report.filters.map(({ id }) => id)).toEqual(everything.packages.map(({ id }) => id).sort((a, b) => a - b));
    const json = JSON.parse(readFileSync(join(folder, 'h5z_hsds/installed.json'), 'utf8'));
    expect(json).toMatchObject({ version: '1.0.0', platform, filters: report.filters });
    for (const { file, sha256, size, name, abi } of report.filters) {
      const content = readFileSync(join(folder, 'h5z_hsds', file));
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
      expect([content.length, abi, dirname(file)]).toEqual([size, 1, `filters/${name}`]);
      for (const published of ['manifest.json', 'filter.json']) {
        expect(readFileSync(join(folder, 'h5z_hsds/filters', name, published), 'utf8')).toBe(
          readFileSync(new URL(published, everything.get(name)?.locate('./')), 'utf8'),
        );
      }
    }
    const seen = await ask(
      `
from importlib.metadata import distribution
d = distribution('h5z-hsds')
print(json.dumps([d.version, sorted((e.group, e.name, e.value) for e in d.entry_points)]))`.replaceAll('; \n', '\n'),
    );
    const [version, entries] = seen as [string, [string, string, string][]];
    expect(version).toBe('1.0.0');
    for (const { id, name, aliases } of report.filters) {
      const word = name.replaceAll('-', '_');
      expect(entries).toContainEqual(['hsds.filters', word, `h5z_hsds.hsds_filters:${word}`]);
      for (const key of [word, id, ...aliases]) {
        expect(entries).toContainEqual(['numcodecs.codecs', `h5z_${key}`, `h5z_hsds.numcodecs_codecs:h5z_${key}`]);
      }
    }
    expect(await ask('import os; print(json.dumps(os.environ["H5Z_HSDS_STARTED"]))')).toBe('h5z_hsds');
  });

  test('is left as it is by the same again, and repaired when a file was changed or lost', async () => {
    await put({ python });
    const before = contents(folder);
    expect(await put({ python })).toMatchObject({ changed: false, replaced: { version: '1.0.0' } });
    expect(contents(folder)).toEqual(before);
    const library = join(folder, 'h5z_hsds/filters', first);
    const [file] = readdirSync(library).filter((name) => name.startsWith('lib'));
    writeFileSync(join(library, file as string), 'tampered');
    rmSync(join(library, 'manifest.json'));
    const told = await status({ python });
    expect(told.problems).toEqual([expect.stringMatching(/not as they were installed.*run h5z hsds install again/)]);
    expect(told.problems[0]).toContain(file);
    expect((await put({ python })).changed).toBe(true);
    expect(contents(folder)).toEqual(before);
  });

  test('holds the choice made last, and the version', async () => {
    await put({ python, filters: [first, registry.get(second)?.id ?? 0] });
    const own = registry.packages.filter(({ id }) => id < 256).map(({ canonicalName }) => canonicalName);
    expect(readdirSync(join(folder, 'h5z_hsds/filters')).sort()).toEqual([...own, first, second].sort());
    const report = await put({ python, filters: [first], source: two, version: '2.0.0-beta.1' });
    expect(report).toMatchObject({ version: '2.0.0-beta.1', changed: true, replaced: { version: '1.0.0' } });
    expect(readdirSync(join(folder, 'h5z_hsds/filters')).sort()).toEqual([...own, first].sort());
    expect(existsSync(join(folder, 'h5z_hsds/only_in_one.py'))).toBe(false);
    expect(ours(folder).sort()).toEqual(['h5z_hsds', 'h5z_hsds-2.0.0b1.dist-info', 'h5z_hsds.pth']);
    expect(await ask('import h5z_hsds; print(json.dumps(h5z_hsds.MARKER))')).toBe('two');
    expect((await status({ python })).problems).toEqual([]);
  });

  test('is told of by status, and tried by self-test, in its own Python', async () => {
    await put({ python, filters: [first] });
    const report = await status({ python });
    expect(report).toMatchObject({ installed: true, version: '1.0.0', place: folder, problems: [] });
    expect(report.environment?.hsds?.version).toBe(HSDS_VERSION);
    expect(report.python).toMatchObject({ command: 'status', enabled: false });
    expect(await selfTest({ python })).toMatchObject({ ok: true, python: { command: 'self-test' } });
  });

  test('loses all of it by uninstall, and none of anything else', async () => {
    await uninstall({ python });
    const before = contents(folder);
    await put({ python });
    await runIn('/', python, ['-c', 'import h5z_hsds']);
    const done = await uninstall({ python });
    expect(done).toMatchObject({ removed: true, version: '1.0.0', place: folder });
    expect(done.filters).toContain(first);
    expect(contents(folder)).toEqual(before);
    expect(ours(folder)).toEqual([]);
    expect(await uninstall({ python })).toMatchObject({ removed: false, filters: [] });
    expect(await status({ python })).toMatchObject({ installed: false, problems: [] });
    expect((await refusal(selfTest({ python }))).code).toBe('H5Z_FILE');
  });

  test('dry run: all checks, no change', async () => {
    await uninstall({ python });
    const before = contents(folder);
    expect(await put({ python, dryRun: true })).toMatchObject({ changed: false, dryRun: true });
    expect(contents(folder)).toEqual(before);
  });

  test('pip lists it, checks it and removes all of it', async () => {
    await put({ python, filters: [first] });
    await runIn('/', python, ['-c', 'import h5z_hsds']);
    const pip = (...args: string[]) => runIn('/', python, ['-m', 'pip', '--disable-pip-version-check', ...args]);
    expect(JSON.parse((await pip('list', '--format', 'json')).stdout)).toContainEqual(
      expect.objectContaining({ name: 'h5z-hsds', version: '1.0.0' }),
    );
    const shown = (await pip('show', '--verbose', '--files', 'h5z-hsds')).stdout;
    expect(shown).toContain('Installer: h5z');
    expect(shown).toContain('h5z_hsds.pth');
    expect((await pip('uninstall', '--yes', 'h5z-hsds')).status).toBe(0);
    expect(ours(folder)).toEqual([]);
  });

  test('a wheel installs by pip, with hashes checked, is known to status, and gives way to install', async () => {
    await uninstall({ python });
    const report = await put({ wheel: `${fresh()}/`, filters: [first] });
    const [cpu] = platform.split('-').slice(1);
    expect(report).toMatchObject({ kind: 'wheel', changed: true });
    expect(report.place).toMatch(
      new RegExp(`/h5z_hsds-1.0.0-py3-none-(many|musl)linux_\\d+_\\d+_${cpu === 'x64' ? 'x86_64' : 'aarch64'}.whl$`),
    );
    const bytes = readFileSync(report.place);
    await put({ wheel: report.place, filters: [first] });
    expect(readFileSync(report.place).equals(bytes)).toBe(true);
    const pip = ['-m', 'pip', '--disable-pip-version-check', 'install', '--no-index', '--no-deps', report.place];
    const answer = await runIn('/', python, pip);
    expect(answer.stderr + answer.stdout).toMatch(/Successfully installed h5z-hsds-1.0.0/);
    expect(await status({ python })).toMatchObject({ installed: true, version: '1.0.0', problems: [] });
    expect(await selfTest({ python })).toMatchObject({ ok: true });
    expect(await put({ python, source: two, version: '2.0.0' })).toMatchObject({
      changed: true,
      replaced: { version: '1.0.0' },
    });
    expect(ours(folder).sort()).toEqual(['h5z_hsds', 'h5z_hsds-2.0.0.dist-info', 'h5z_hsds.pth']);
    const wrong = await refusal(put({ wheel: join(dirname(report.place), 'x.whl') }));
    expect(wrong).toMatchObject({
      code: 'H5Z_PARAMETER',
      message: expect.stringContaining('h5z_hsds-1.0.0-py3-none-'),
    });
  });

  describe('killed at any point', () => {
    const STEPS: PlaceStep[] = ['locked', 'recovered', 'staged', 'package', 'metadata', 'start file'];
    /** A folder whose node_modules has all filters, for processes of their own. */
    const application = (): string => {
      const app = join(scratch, 'application');
      if (existsSync(app)) return app;
      for (const filter of registry.packages) {
        const link = join(app, 'node_modules', filter.package.name);
        mkdirSync(dirname(link), { recursive: true });
        symlinkSync(new URL('.', filter.locate('./')), link);
      }
      writeFileSync(join(app, 'package.json'), '{}');
      return app;
    };
    const killed = async (call: string, step: PlaceStep): Promise<void> => {
      const text = `
        import { install, uninstall } from ${JSON.stringify(pathToFileURL(join(ROOT, 'packages/hsds/dist/index.js')).href)};
        const onStep = (step) => { if (step === ${JSON.stringify(step)}) process.kill(process.pid, 'SIGKILL'); };
        await ${call};`;
      const answer = await runIn(application(), process.execPath, ['--input-type=module', '-e', text]);
      expect(answer.stderr).toBe('');
      expect(answer.status).not.toBe(0);
    };
    /** What a server would find: undefined when nothing, else version and filters, all there to the byte. */
    const found = async (): Promise<string | undefined> => {
      if (!existsSync(join(folder, 'h5z_hsds'))) return undefined;
      const marker = await ask('import h5z_hsds; print(json.dumps(h5z_hsds.MARKER))');
      const json = JSON.parse(readFileSync(join(folder, 'h5z_hsds/installed.json'), 'utf8'));
      for (const { file, sha256 } of json.filters) {
        expect(
          createHash('sha256')
            .update(readFileSync(join(folder, 'h5z_hsds', file)))
            .digest('hex'),
        ).toBe(sha256);
      }
      for (const file of json.files) expect(existsSync(join(folder, 'h5z_hsds', file)), file).toBe(true);
      return `${marker} ${json.version} ${json.filters.length}`;
    };

    test.each(STEPS)('an upgrade, after: %s', async (step) => {
      await put({ python, filters: [first] });
      const before = await found();
      const upgrade = { python, source: two, version: '2.0.0' };
      await killed(`install({ ...${JSON.stringify(upgrade)}, onStep })`, step);
      const after = await found();
      const isNew = STEPS.indexOf(step) >= STEPS.indexOf('package');
      expect(after).toBe(isNew ? `two 2.0.0 ${registry.packages.length}` : before);
      expect((await status({ python })).installed).toBe(true);
      await put(upgrade);
      expect(await found()).toBe(`two 2.0.0 ${registry.packages.length}`);
      expect(ours(folder).sort()).toEqual(['h5z_hsds', 'h5z_hsds-2.0.0.dist-info', 'h5z_hsds.pth']);
      expect((await status({ python })).problems).toEqual([]);
    });

    test.each(STEPS)('a first installation, after: %s', async (step) => {
      await uninstall({ python });
      await killed(`install({ python: ${JSON.stringify(python)}, source: ${JSON.stringify(one)}, onStep })`, step);
      // The start file comes last: without it Python does not know that the rest is there.
      expect(existsSync(join(folder, 'h5z_hsds.pth'))).toBe(step === 'start file');
      const told = await status({ python });
      expect(told.installed).toBe(step === 'start file');
      expect(told.problems.join()).toMatch(/interrupted|^$/);
      await put({ python });
      expect((await status({ python })).problems).toEqual([]);
    });

    test.each(['start file', 'package', 'metadata'] as const)('a removal, after: %s', async (step) => {
      await put({ python, filters: [first] });
      await killed(`uninstall({ python: ${JSON.stringify(python)}, onStep })`, step);
      expect(existsSync(join(folder, 'h5z_hsds.pth'))).toBe(false);
      expect((await status({ python })).installed).toBe(false);
      await uninstall({ python });
      expect(ours(folder)).toEqual([]);
    });

    test('where folders cannot be exchanged: the next run brings back what was moved away', async () => {
      const place = fresh();
      const layout = await layoutOf({ registry, platform, filters: [first], source: one, version: '1.0.0' });
      const next = await layoutOf({ registry, platform, filters: [second], source: two, version: '2.0.0' });
      expect(await placeInto(place, layout)).toBe(true);
      const before = contents(place);
      const stop = new Error('stopped here');
      const stopping = placeInto(place, next, {
        onStep: (step) => {
          if (step === 'package moved away') throw stop;
        },
      });
      await expect(stopping).rejects.toBe(stop);
      expect(contents(place)).toEqual(before);
      expect(await placeInto(place, next)).toBe(true);
      expect((await status({ target: place })).version).toBe('2.0.0');
    });
  });

  describe('refuses', () => {
    test('to go over files of others, and names them', async () => {
      for (const name of ['h5z_hsds/theirs.py', 'h5z_hsds.pth', 'h5z_hsds-9.dist-info/METADATA']) {
        for (const installedBefore of [true, false]) {
          await uninstall({ python });
          if (installedBefore) await put({ python, filters: [first] });
          const file = join(folder, name);
          mkdirSync(dirname(file), { recursive: true });
          writeFileSync(file, 'Name: something-else\n');
          const before = contents(folder);
          for (const work of [put, uninstall]) {
            const error = await refusal(work({ python }));
            expect(error.code).toBe('H5Z_FILE');
            expect(error.message).toContain(name.split('-9')[0]);
          }
          expect((await status({ python })).problems.join()).toMatch(/not of h5z/);
          expect(contents(folder)).toEqual(before);
          rmSync(name.includes('-9') ? dirname(file) : file, { recursive: true });
          if (name === 'h5z_hsds/theirs.py' && !installedBefore) rmSync(dirname(file), { recursive: true });
        }
      }
    });

    test('a link in place of the package', async () => {
      const target = fresh();
      const elsewhere = fresh();
      mkdirSync(target);
      mkdirSync(elsewhere);
      writeFileSync(join(elsewhere, 'precious'), '');
      symlinkSync(elsewhere, join(target, 'h5z_hsds'));
      expect((await refusal(put({ target }))).code).toBe('H5Z_FILE');
      expect((await refusal(uninstall({ target }))).code).toBe('H5Z_FILE');
      expect(existsSync(join(elsewhere, 'precious'))).toBe(true);
    });

    test('a second run beside the first', async () => {
      const target = fresh();
      mkdirSync(target);
      writeFileSync(join(target, '.h5z_hsds.lock'), String(process.ppid));
      const error = await refusal(put({ target }));
      expect(error.message).toContain(`process ${process.ppid}`);
      writeFileSync(join(target, '.h5z_hsds.lock'), '999999999');
      expect((await put({ target, filters: [first] })).changed).toBe(true);
      expect(existsSync(join(target, '.h5z_hsds.lock'))).toBe(false);
    });

    test('a folder that may not be written', async () => {
      const under = fresh();
      writeFileSync(under, 'a file');
      const places = [join(under, 'packages')];
      if (process.platform === 'linux') places.push('/sys/h5z'); // not even root may
      if (process.getuid?.() !== 0) {
        const place = fresh();
        mkdirSync(place, { mode: 0o555 });
        places.push(place);
      }
      for (const target of places) {
        const error = await refusal(put({ target }));
        expect(error).toMatchObject({ code: 'H5Z_FILE', message: expect.stringMatching(/cannot be changed.*--wheel/) });
      }
    });

    test('a full disk', async () => {
      const target = fresh();
      const onStep = (step: PlaceStep) => {
        if (step === 'staged') throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      };
      const error = await refusal(put({ target, onStep }));
      expect(error).toMatchObject({ code: 'H5Z_FILE', message: expect.stringMatching(/no space left.*make room/) });
      expect(readdirSync(target)).toEqual([]);
    });

    test('words of commands to copy are what a shell reads back', async () => {
      expect(shellWord('/srv/hsds/bin/python3.11')).toBe('/srv/hsds/bin/python3.11');
      const odd = "/my env/it's $HOME/bin/python";
      const { stdout } = await runIn(scratch, '/bin/sh', ['-c', `printf %s ${shellWord(odd)}`]);
      expect(stdout).toBe(odd);
    });

    test('a Python that is not there, is none, or is too old', async () => {
      expect(await refusal(put({ python: '/nowhere/python' }))).toMatchObject({
        code: 'H5Z_PYTHON',
        message: expect.stringMatching(/\/nowhere\/python; .*--python/),
      });
      const fake = fresh();
      writeFileSync(fake, '#!/bin/sh\necho hello\n', { mode: 0o755 });
      expect((await refusal(put({ python: fake }))).code).toBe('H5Z_PYTHON');
      const old = { version: '3.8.1', platform, sitePackages: folder, managed: false };
      writeFileSync(fake, `#!/bin/sh\necho '${JSON.stringify(old)}'\n`, { mode: 0o755 });
      expect(await refusal(put({ python: fake }))).toMatchObject({
        code: 'H5Z_PYTHON',
        message: expect.stringMatching(/Python 3.8.1, and 3.10 is needed; make an environment/),
      });
      writeFileSync(fake, `#!/bin/sh\necho '${JSON.stringify({ ...old, version: '3.12.0', managed: true })}'\n`);
      expect((await refusal(put({ python: fake }))).message).toMatch(/operating system.*; make a virtual environment/);
    });

    test('an environment for another platform than asked, or one that nothing was built for', async () => {
      expect(await refusal(put({ python, platform: 'win32-arm64' }))).toMatchObject({
        code: 'H5Z_NO_PLATFORM',
        message: expect.stringMatching(/--target or --wheel/),
      });
      expect((await refusal(put({ target: fresh(), platform: 'plan9-x64' }))).code).toBe('H5Z_MISSING_FILTER');
      expect(await refusal(put({ target: fresh(), platform: 'plan9-x64', filters: [first] }))).toMatchObject({
        code: 'H5Z_NO_PLATFORM',
        message: expect.stringContaining(platform),
      });
    });

    test('HSDS absent, of another version, or edited; and takes all of them when told to', async () => {
      const bare = await environment(fresh());
      const place = await sitePackagesOf(bare);
      expect(await refusal(put({ python: bare }))).toMatchObject({
        code: 'H5Z_HSDS_VERSION',
        message: expect.stringMatching(new RegExp(`not installed.*pip install hsds==${HSDS_VERSION}.*--any-hsds`)),
      });
      putHsds(place, '0.1.0');
      expect((await refusal(put({ python: bare }))).message).toMatch(
        `HSDS 0.1.0 of ${bare} is not a supported version`,
      );
      rmSync(join(place, 'hsds-0.1.0.dist-info'), { recursive: true });
      putHsds(place, HSDS_VERSION, 'edited = True\n');
      expect((await refusal(put({ python: bare }))).message).toMatch(/was changed \(util\/storUtil.py\); reinstall it/);
      expect(ours(place)).toEqual([]);
      expect((await put({ python: bare, anyHsds: true, filters: [first] })).changed).toBe(true);
    });

    test('filters that are not installed, unknown, or not what their manifest says', async () => {
      const target = fresh();
      const only = createRegistry([registry.get(first) as FilterPackage]);
      expect(await refusal(put({ target, registry: only, filters: [second] }))).toMatchObject({
        code: 'H5Z_MISSING_FILTER',
        message: expect.stringContaining(`npm i ${registry.get(second)?.package.name}`),
      });
      expect((await refusal(put({ target, filters: ['nonsense'] }))).code).toBe('H5Z_UNKNOWN_FILTER');
      expect((await refusal(put({ target, registry: createRegistry([]) }))).message).toMatch(/npm i @h5z/);
      const filter = registry.get(first) as FilterPackage;
      const manifest = structuredClone(filter.manifest);
      for (const file of manifest.variants.native) (file as { sha256: string }).sha256 = '0'.repeat(64);
      const lying = Object.assign(() => ({}), { ...filter, manifest }) as unknown as FilterPackage;
      expect(await refusal(put({ target, registry: createRegistry([lying]) }))).toMatchObject({
        code: 'H5Z_INTEGRITY',
        message: expect.stringMatching(/[0-9a-f]{64}.*0{64}; reinstall it: npm i @h5z/),
      });
      expect(existsSync(target)).toBe(false);
    });

    test('two places at once', async () => {
      expect((await refusal(put({ python, target: fresh() }))).message).toMatch(/--python and --target/);
    });
  });

  test("names HDF5's own filters that are not installed here", async () => {
    const only = createRegistry([registry.get(first) as FilterPackage]);
    const report = await put({ target: fresh(), registry: only });
    expect(report.filters.map(({ name }) => name)).toEqual([first]);
    expect(report.without.find(({ id }) => id === 2)?.reason).toMatch(/npm i @h5z\/shuffle/);
  });
});
