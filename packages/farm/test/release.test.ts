// Releases of three tiny packages to the embedded registry: whole, killed at every step, refused. The rules: the same end
// however often it was killed, nothing installable that is half there, and no version with two contents.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunResult, run } from '../src/exec.ts';
import { type RunningRegistry, startRegistry } from '../src/registry-server.ts';
import { isNewer, type Released, release, STAGING } from '../src/release.ts';
import { writeJournal } from '../src/release-journal.ts';
import { missingPlatforms } from '../src/release-pack.ts';
import { askRegistry, embeddedTarget, explainNpm, type Target } from '../src/release-target.ts';
import { readTarball } from '../src/tarball.ts';
import { PLATFORMS } from '../src/targets.ts';

const work = mkdtempSync(join(tmpdir(), 'h5z-release-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Dependencies first, as a release orders them. */
const ORDER = ['@tiny/core', '@tiny/a', 'tiny'];
const DEPENDS: Readonly<Record<string, readonly string[]>> = {
  '@tiny/a': ['@tiny/core'],
  tiny: ['@tiny/core', '@tiny/a'],
};

interface Change {
  readonly text?: string;
  readonly changelog?: boolean;
  readonly range?: string;
}

let made = 0;
/** Tarballs of the set at one version, as npm packs them. */
async function pack(version: string, { text = '', changelog = true, range = '' }: Change = {}): Promise<string[]> {
  const out = join(work, `set-${made++}`);
  const tarballs: string[] = [];
  // Not in dependency order: the release finds it.
  for (const name of ['tiny', '@tiny/a', '@tiny/core']) {
    const file = name.replace(/^@/, '').replace('/', '-');
    const folder = join(out, file);
    mkdirSync(folder, { recursive: true });
    const dependencies = Object.fromEntries((DEPENDS[name] ?? []).map((on) => [on, `${range}${version}`]));
    const packageJson = { name, version, type: 'module', exports: './index.js', license: 'MIT', dependencies };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(packageJson));
    const imports = (DEPENDS[name] ?? []).map((on, i) => `import v${i} from '${on}';\n`).join('');
    const sum = (DEPENDS[name] ?? []).map((_, i) => ` + ' ' + v${i}`).join('');
    writeFileSync(join(folder, 'index.js'), `${imports}export default '${name}@${version}'${sum};\n// ${text}\n`);
    if (changelog) writeFileSync(join(folder, 'CHANGELOG.md'), `# ${name}\n\n## ${version}\n\n- Better.\n`);
    await run('npm', ['pack', folder, '--ignore-scripts', '--silent', '--pack-destination', out], { cwd: out });
    tarballs.push(join(out, `${file}-${version}.tgz`));
  }
  return tarballs;
}

async function repository(name: string): Promise<string> {
  const root = join(work, name);
  mkdirSync(root);
  writeFileSync(join(root, 'file'), 'content');
  for (const args of [
    ['init', '-q'],
    ['add', '.'],
    ['-c', 'user.name=T', '-c', 'user.email=t@example.org', 'commit', '-qm', 'One'],
  ])
    await run('git', args, { cwd: root });
  return root;
}

const ready = (tarballs: readonly string[]) => async () => tarballs.map((tarball) => ({ tarball, problems: [] }));

/** Everything outside that a release changes. */
async function state(target: Target, root: string): Promise<object> {
  const packages: Record<string, object> = {};
  for (const name of ORDER) {
    const { tags, versions } = await askRegistry(target, name);
    packages[name] = {
      tags,
      versions: Object.entries(versions).map(([version, { integrity }]) => [version, integrity]),
    };
  }
  const tags = await run('git', ['tag', '--list'], { cwd: root });
  return { packages, tags: tags.stdout };
}

describe('a release', () => {
  let registry: RunningRegistry;
  let other: RunningRegistry;
  let first: string[];
  let second: string[];
  let target: Target;
  let root: string;
  beforeAll(async () => {
    [registry, other, first, second, root] = await Promise.all([
      startRegistry(),
      startRegistry(),
      pack('1.0.0', { changelog: false }),
      pack('1.1.0'),
      repository('whole'),
    ]);
    target = embeddedTarget(registry, work);
  });
  afterAll(async () => {
    await registry?.close();
    await other?.close();
  });

  const folder = (name: string): string => join(work, 'journals', name);
  let steps: string[];

  test('publishes dependencies first, and moves every latest after that', async () => {
    const seen: string[] = [];
    const onStep = ({ name, done }: { name: string; done: boolean }): void => void (done && seen.push(name));
    const options = { pack: ready(first), target, folder: folder('whole'), repository: root, onStep };
    const released = await release(options);
    steps = seen;
    const each = (word: string): string[] => ORDER.map((name) => `${word} ${name}@1.0.0`);
    expect(seen).toEqual([...each('publish'), 'confirm', ...each('latest'), ...each('unstage'), ...each('tag')]);
    expect(released.packages.map(({ name, published }) => [name, published])).toEqual(
      ORDER.map((name) => [name, true]),
    );
    for (const name of ORDER) expect((await askRegistry(target, name)).tags).toEqual({ latest: '1.0.0' });
    const { stdout } = await run('git', ['tag', '--list'], { cwd: root });
    expect(stdout.trim().split('\n').sort()).toEqual(ORDER.map((name) => `${name}@1.0.0`).sort());
  });

  test('again: everything is there, nothing changes', async () => {
    const before = await state(target, root);
    const released = await release({ pack: ready(first), target, folder: folder('again'), repository: root });
    expect(released.packages.every(({ published }) => !published)).toBe(true);
    expect(await state(target, root)).toEqual(before);
  });

  test('killed at each step of an upgrade, and started again each time: never half visible, the same in the end', async () => {
    const elsewhere = embeddedTarget(other, work);
    const killed = await repository('killed');
    await release({ pack: ready(first), target: elsewhere, folder: folder('killed-first'), repository: killed });
    const child = (stop?: string): Promise<RunResult> => {
      const settings = { url: other.url, folder: folder('killed'), repository: killed, tarballs: second, stop };
      const script = join(import.meta.dirname, 'release-child.ts');
      return run(process.execPath, [script, JSON.stringify(settings)], { env: other.env, allowFailure: true });
    };
    mkdirSync(folder('killed'), { recursive: true });
    // Done and not noted is the worst moment; before the first step, only the journal is there.
    const names = steps.map((step) => step.replace('1.0.0', '1.1.0'));
    for (const stop of [`>${names[0]}`, ...names.map((name) => `<${name}`)]) {
      expect((await child(stop)).status, `killed at ${stop}`).toBe(128);
      const found = new Map<string, Awaited<ReturnType<typeof askRegistry>>>();
      for (const one of ORDER) found.set(one, await askRegistry(elsewhere, one));
      for (const [one, { tags }] of found) {
        if (tags.latest === '1.0.0') continue;
        expect(tags.latest).toBe('1.1.0');
        for (const all of ORDER) expect(Object.keys(found.get(all)?.versions ?? {}), one).toContain('1.1.0');
        for (const on of DEPENDS[one] ?? []) expect(found.get(on)?.tags.latest, `${one} before ${on}`).toBe('1.1.0');
      }
    }
    const { stdout, stderr, status } = await child();
    expect(status, stderr).toBe(0);
    expect((JSON.parse(stdout) as Released).resumed).toBe(true);

    await release({ pack: ready(second), target, folder: folder('unkilled'), repository: root });
    expect(await state(elsewhere, killed)).toEqual(await state(target, root));
  }, 400_000);

  test('what was released installs and runs, by npm', async () => {
    const place = join(work, 'installed');
    mkdirSync(place);
    writeFileSync(join(place, 'package.json'), '{ "private": true, "type": "module" }');
    await registry.npm(['install', 'tiny', '--ignore-scripts', '--registry', registry.url], place);
    const script = "import text from 'tiny'; console.log(text);";
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: place });
    expect(stdout.trim()).toBe('tiny@1.1.0 @tiny/core@1.1.0 @tiny/a@1.1.0 @tiny/core@1.1.0');
  });

  const refused = async (name: string, tarballs: string[], words: RegExp): Promise<void> => {
    const before = await state(target, root);
    const attempt = release({ pack: ready(tarballs), target, folder: folder(name), repository: root });
    await expect(attempt).rejects.toThrow(words);
    expect(await state(target, root)).toEqual(before);
  };

  test('a published version with other bytes is refused, with the files that differ', async () => {
    const words = /@tiny\/core@1\.1\.0 is published with other bytes .*different: index\.js.*Raise its version/;
    await refused('other', await pack('1.1.0', { text: 'changed' }), words);
  });

  test('a version without its lines in the changelog is refused', async () => {
    await refused('unwritten', await pack('1.2.0', { changelog: false }), /CHANGELOG\.md has no "## 1\.2\.0"/);
  });

  test('a range between packages of the set is refused', async () => {
    await refused(
      'range',
      await pack('1.2.0', { range: '^' }),
      /@tiny\/a: depends on @tiny\/core "\^1\.2\.0", not exactly/,
    );
  });

  test('a version older than latest is refused', async () => {
    await refused('older', await pack('0.9.0'), /latest is 1\.1\.0, newer than 0\.9\.0/);
  });

  test('a package with a problem is refused, and so is a working tree that is no commit', async () => {
    const problem = async () => [{ tarball: second[0] as string, problems: ['LICENSE is missing'] }];
    const options = { target, folder: folder('problem'), repository: root };
    await expect(release({ ...options, pack: problem })).rejects.toThrow(/tiny-1\.1\.0\.tgz: LICENSE is missing/);
    writeFileSync(join(root, 'stray'), '');
    await expect(release({ ...options, pack: ready(second) })).rejects.toThrow(/stray.*Commit or undo it first/s);
    rmSync(join(root, 'stray'));
  });

  test('no network in the middle: it stops with what to do, and goes on', async () => {
    const tarballs = await pack('1.3.0');
    let left = 2;
    const cut: Target = {
      ...target,
      npm: (args) => (left-- > 0 ? target.npm(args) : Promise.reject(new Error('npm error code ECONNREFUSED'))),
    };
    const options = { pack: ready(tarballs), folder: folder('network'), repository: root };
    await expect(release({ ...options, target: cut })).rejects.toThrow(
      /tiny@1\.3\.0: the registry .* cannot be reached.*same/,
    );
    for (const name of ORDER) expect((await askRegistry(target, name)).tags.latest).toBe('1.1.0');
    expect((await askRegistry(target, '@tiny/core')).tags[STAGING]).toBe('1.3.0');
    const never = () => Promise.reject(new Error('packed again'));
    expect(await release({ ...options, pack: never, target })).toMatchObject({ resumed: true });
    for (const name of ORDER) expect((await askRegistry(target, name)).tags).toEqual({ latest: '1.3.0' });
    const gone = { ...target, url: 'http://127.0.0.1:9/' };
    await expect(askRegistry(gone, 'tiny')).rejects.toThrow(/does not answer \(.*run the same command again/s);
  });

  test('an unfinished release goes to its registry and with its bytes only', async () => {
    const tarballs = await pack('1.4.0');
    const options = { pack: ready(tarballs), folder: folder('unfinished') };
    const cut = { ...target, npm: () => Promise.reject(new Error('npm error code E401')) };
    await expect(release({ ...options, target: cut })).rejects.toThrow(/does not know you.*npm login/);
    await expect(release({ ...options, target: { ...target, url: 'http://127.0.0.1:9/' } })).rejects.toThrow(
      /release to .* is not finished.*--forget/,
    );
    const stored = join(folder('unfinished'), 'packages/tiny-1.4.0.tgz');
    writeFileSync(stored, readFileSync(second[0] as string));
    await expect(release({ ...options, target })).rejects.toThrow(/tiny-1\.4\.0\.tgz is not the file/);
  });

  test('the same files from another npm are the same version', async () => {
    const [tarball = ''] = await pack('1.3.0');
    const { gzipSync, gunzipSync } = await import('node:zlib');
    const again = gzipSync(gunzipSync(readFileSync(tarball)), { level: 1 });
    expect(readTarball(again)).toEqual(readTarball(readFileSync(tarball)));
    writeFileSync(tarball, again);
    const { packages } = await release({ pack: ready([tarball]), target, folder: folder('level') });
    expect(packages).toMatchObject([{ name: 'tiny', published: false }]);
  });
});

test('a full disk is named, by the journal and by npm', () => {
  const file = join(work, 'full', 'journal.json');
  mkdirSync(join(work, 'full'));
  symlinkSync('/dev/full', `${file}.new`);
  const journal = { journalVersion: 1, registry: '', commit: '', packages: [], done: [], finished: false } as const;
  expect(() => writeJournal(file, journal)).toThrow(/the disk is full.*journal\.json.*Free some room/);
  const target = { url: 'http://127.0.0.1:9/', provenance: false, npm: async () => '' };
  expect(explainNpm('publishing x@1', target, new Error('npm error code ENOSPC')).message).toMatch(/disk is full/);
});

test('versions are ordered as semantic versioning orders them', () => {
  const ordered = [
    '0.9.0',
    '0.10.0-alpha',
    '0.10.0-alpha.1',
    '0.10.0-alpha.beta',
    '0.10.0-rc.2',
    '0.10.0-rc.10',
    '0.10.0',
  ];
  for (const [i, a] of ordered.entries())
    for (const [j, b] of ordered.entries()) expect(isNewer(a, b), `${a} after ${b}`).toBe(i > j);
});

test('a package for some platforms only is not for everybody', () => {
  const all = PLATFORMS.map((platform) => `prebuilds/${platform}/libh5z_x.so`);
  expect(missingPlatforms(all)).toEqual([]);
  expect(missingPlatforms(all.slice(1))).toEqual([PLATFORMS[0]]);
  expect(missingPlatforms(['dist/index.js'])).toEqual([]);
});
