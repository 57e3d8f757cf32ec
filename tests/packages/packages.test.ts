// The packed packages: what `./farm pack` refuses to let pass, and that it does refuse it.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { afterAll, describe, expect, it } from 'vitest';
import { pack } from '../../packages/farm/src/pack.ts';
import { checkTarball, KERNEL_BUDGET } from '../../packages/farm/src/package-check.ts';
import { SBOM_FILE } from '../../packages/farm/src/sbom.ts';
import { readTarball } from '../../packages/farm/src/tarball.ts';
import { emptyFolder, filterFolders, packed, runIn } from '../support/packed.ts';

interface PackageJson {
  readonly license?: string;
  readonly type?: string;
  readonly exports?: unknown;
  readonly scripts?: unknown;
  readonly gypfile?: unknown;
  readonly h5z?: { readonly tree?: { readonly suites: readonly string[] } };
}

const scratch = await emptyFolder();
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(packed())('$name', ({ name, tarball }) => {
  const files = readTarball(readFileSync(tarball));
  const pkg = JSON.parse(files.get('package.json')?.toString() ?? '{}') as PackageJson;

  it('has nothing that stops it from being published', async () => {
    expect(await checkTarball(tarball)).toEqual([]);
  });

  it('holds only what belongs into a package', () => {
    // @h5z/abi carries the suite that a filter outside is held to.
    const suites = (pkg.h5z?.tree?.suites ?? []).map((suite) => `dist/${suite.replace(/\.ts$/, '.js')}`);
    const stray = [...files.keys()].filter(
      (file) =>
        !suites.includes(file) &&
        /(^|\/)(test|tests|golden|node_modules|build)\/|\.test\.|\.tsbuildinfo$|\.(js|ts)\.map$|(^|\/)\./.test(file),
    );
    expect(stray).toEqual([]);
  });

  it('needs no build on the machine of whoever installs it', () => {
    expect(pkg.scripts).toBeUndefined();
    expect(pkg.gypfile).toBeUndefined();
    expect(files.has('binding.gyp')).toBe(false);
  });

  it('has a bill of materials that CycloneDX 1.6 accepts', async () => {
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    expect(await validator.validate(files.get(SBOM_FILE)?.toString() ?? '')).toBeNull();
  });

  it('says licence and module type, and names no path of this machine', () => {
    expect(pkg.license).toBe('MIT');
    if (pkg.exports !== undefined) expect(pkg.type).toBe('module');
    const here = join(import.meta.dirname, '../..');
    for (const [file, content] of files) expect(content.includes(here), `${name}: ${file}`).toBe(false);
  });
});

describe('the filters', () => {
  it('are all packed', () => {
    const names = packed().map(({ name }) => name);
    for (const { packageName } of filterFolders()) expect(names).toContain(packageName);
  });

  it.each(filterFolders())('$name carries its upstreams licence texts', ({ packageName, description }) => {
    const tarball = packed().find(({ name }) => name === packageName)?.tarball ?? '';
    const files = readTarball(readFileSync(tarball));
    const licences = [...files.keys()].filter((file) => file.startsWith('LICENSES/'));
    for (const upstream of description.upstreams) {
      const name = typeof upstream === 'string' ? upstream : upstream.name;
      const texts = licences.filter((file) => file.includes(name)).map((file) => files.get(file)?.toString() ?? '');
      expect(texts.join('\n'), `a licence text of ${name}`).toMatch(/copyright|permission|public domain/i);
    }
  });

  it.each(filterFolders())('$name lists what the compilers brought along', ({ packageName }) => {
    const files = readTarball(readFileSync(packed().find(({ name }) => name === packageName)?.tarball ?? ''));
    const sbom = JSON.parse(files.get(SBOM_FILE)?.toString() ?? '{}') as { components: { name: string }[] };
    const listed = sbom.components.map(({ name }) => name);
    const has = (pattern: RegExp) => [...files.keys()].some((file) => pattern.test(file));
    const cxx = [...files].some(
      ([file, content]) => /^prebuilds\/linux/.test(file) && content.includes('St9exception'),
    );
    expect(listed.includes('zig-compiler-rt')).toBe(has(/^prebuilds\//));
    expect(listed.includes('zig-mingw-w64')).toBe(has(/^prebuilds\/win32/));
    expect(listed.includes('emscripten-musl')).toBe(has(/^wasm\//));
    expect(listed.includes('zig-libcxx')).toBe(cxx);
    expect(files.get('LICENSES/emscripten-musl-COPYRIGHT')?.toString()).toMatch(/Rich Felker/);
  });

  it('are packed to the same bytes again', async () => {
    const first = filterFolders()[0];
    if (first === undefined) throw new Error('filters/ is empty');
    const [again] = await pack({ out: join(scratch, 'again'), only: [first.name], check: false });
    const hash = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
    const before = packed().find(({ name }) => name === first.packageName);
    expect(hash(again?.tarball ?? '')).toBe(hash(before?.tarball ?? ''));
  });
});

describe('the check refuses', () => {
  const subject = packed().find(({ name }) => name === filterFolders()[0]?.packageName)?.tarball ?? '';

  /** Repacks the first filter's package after `change` and returns what the check says. */
  async function problemsAfter(label: string, change: (files: Map<string, Buffer>) => void): Promise<string> {
    const files = readTarball(readFileSync(subject));
    change(files);
    const folder = join(scratch, label);
    for (const [file, content] of files) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), content);
    }
    const { stdout } = await runIn(folder, 'npm', [
      'pack',
      '--ignore-scripts',
      '--silent',
      '--pack-destination',
      folder,
    ]);
    return (await checkTarball(join(folder, stdout.trim()))).join('\n');
  }

  const edit = (files: Map<string, Buffer>, file: string, change: (value: Record<string, never>) => object): void => {
    const value = JSON.parse(files.get(file)?.toString() ?? '{}') as Record<string, never>;
    files.set(file, Buffer.from(JSON.stringify(change(value))));
  };

  it('an install script', async () => {
    const change = (files: Map<string, Buffer>): void =>
      edit(files, 'package.json', (pkg) => ({ ...pkg, scripts: { postinstall: 'node evil.js' } }));
    expect(await problemsAfter('script', change)).toMatch(/install script \(postinstall\)/);
  });

  it('a file that is not the one its manifest describes', async () => {
    const change = (files: Map<string, Buffer>): void => {
      const file = [...files.keys()].find((name) => name.endsWith('.wasm')) ?? '';
      const content = Buffer.from(files.get(file) ?? '');
      content[content.length - 1] = (content[content.length - 1] ?? 0) ^ 1;
      files.set(file, content);
    };
    expect(await problemsAfter('flipped', change)).toMatch(/does not have the SHA-256/);
  });

  it('a built file that the manifest does not list', async () => {
    const change = (files: Map<string, Buffer>): void => void files.set('wasm/other.wasm', Buffer.from('x'));
    expect(await problemsAfter('extra', change)).toMatch(/wasm\/other\.wasm is not in manifest\.json/);
  });

  it('a missing licence text', async () => {
    const change = (files: Map<string, Buffer>): void => {
      for (const file of [...files.keys()]) if (file.startsWith('LICENSES/')) files.delete(file);
    };
    expect(await problemsAfter('licence', change)).toMatch(/licence text .* is missing/);
  });

  it('a bill of materials that leaves out what is inside', async () => {
    const change = (files: Map<string, Buffer>): void =>
      edit(files, SBOM_FILE, (sbom) => ({ ...sbom, components: [] }));
    expect(await problemsAfter('sbom', change)).toMatch(/sbom\.cdx\.json does not list/);
  });

  it('a package over its budget', async () => {
    const change = (files: Map<string, Buffer>): void =>
      edit(files, 'filter.json', (filter) => ({ ...filter, sizeBudget: { packedBytes: 1000 } }));
    expect(await problemsAfter('budget', change)).toMatch(/over its budget of 1000/);
  });

  it('kernels over their budget', async () => {
    const change = (files: Map<string, Buffer>): void => {
      files.set('gpu/long.ptx', Buffer.alloc(KERNEL_BUDGET + 1, 32));
      edit(files, 'package.json', (pkg) => ({ ...pkg, files: ['gpu', 'dist', 'filter.json', 'manifest.json'] }));
    };
    expect(await problemsAfter('kernels', change)).toContain(
      `gpu/long.ptx is ${KERNEL_BUDGET + 1} bytes, over the budget of kernels, ${KERNEL_BUDGET}`,
    );
  });

  it('an entry point that is not there', async () => {
    const change = (files: Map<string, Buffer>): void => void files.delete('dist/browser.js');
    expect(await problemsAfter('entry', change)).toMatch(/publint/);
  });

  it('missing types', async () => {
    const change = (files: Map<string, Buffer>): void => {
      for (const file of [...files.keys()]) if (file.endsWith('.d.ts')) files.delete(file);
    };
    expect(await problemsAfter('types', change)).toMatch(/types/);
  });

  it('a manifest against its schema', async () => {
    const change = (files: Map<string, Buffer>): void =>
      edit(files, 'manifest.json', (manifest) => ({ ...manifest, manifestVersion: 2 }));
    expect(await problemsAfter('schema', change)).toMatch(/manifest\.json/);
  });
});
