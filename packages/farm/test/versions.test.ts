// Versions from changesets over a list that is not npm's workspaces: filters count, dependents follow, and mistakes are
// sentences. In copies of a few tiny packages, never in this repository.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../src/exec.ts';
import { ROOT } from '../src/paths.ts';
import { inDependencyOrder, planVersions, releasables } from '../src/versions.ts';

let root: string;
const write = (file: string, content: object | string): void => {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), typeof content === 'string' ? content : JSON.stringify(content, null, 2));
};
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const pkg = (file: string): Record<string, never> => JSON.parse(read(file)) as Record<string, never>;
const changeset = (releases: Record<string, string>, text: string): void =>
  write(
    '.changeset/one.md',
    `---\n${Object.entries(releases)
      .map(([name, type]) => `"${name}": ${type}\n`)
      .join('')}---\n\n${text}\n`,
  );

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'h5z-versions-'));
  const settings = JSON.parse(readFileSync(join(ROOT, '.changeset/config.json'), 'utf8')) as object;
  const changelog = pathToFileURL(join(ROOT, 'packages/farm/src/changelog.ts')).href;
  write('.changeset/config.json', { ...settings, changelog });
  write('package.json', { name: 'tiny', version: '0.0.0', private: true });
  write('packages/core/package.json', { name: '@tiny/core', version: '1.2.3' });
  write('packages/tools/package.json', { name: '@tiny/tools', version: '0.0.0', private: true });
  write('filters/a/package.json', { name: '@tiny/a', version: '0.1.0', dependencies: { '@tiny/core': '1.2.3' } });
  write('filters/b/package.json', { name: '@tiny/b', version: '0.4.0', optionalDependencies: { '@tiny/a': '0.1.0' } });
  write('package-lock.json', {
    lockfileVersion: 3,
    packages: { '': {}, 'packages/core': { name: '@tiny/core', version: '1.2.3' } },
  });
  await run('git', ['init', '-q'], { cwd: root });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('versions', () => {
  test('the list holds filters and public workspaces, dependencies first', () => {
    expect(inDependencyOrder(releasables(root).reverse()).map(({ name }) => name)).toEqual([
      '@tiny/core',
      '@tiny/a',
      '@tiny/b',
    ]);
  });

  test('a filter moves, and so does what depends on it exactly; the rest stays', async () => {
    changeset({ '@tiny/a': 'minor' }, 'Reads a newer format.');
    const plan = await planVersions(root);
    expect(plan.packages).toEqual([
      { name: '@tiny/a', from: '0.1.0', to: '0.2.0', type: 'minor', changesets: ['.changeset/one.md'] },
      { name: '@tiny/b', from: '0.4.0', to: '0.4.1', type: 'patch', changesets: [] },
    ]);
    expect(pkg('filters/a/package.json').version).toBe('0.1.0');
    await plan.apply();
    expect(pkg('filters/a/package.json').version).toBe('0.2.0');
    expect(pkg('filters/b/package.json').optionalDependencies).toEqual({ '@tiny/a': '0.2.0' });
    expect(read('filters/a/CHANGELOG.md')).toMatch(/## 0\.2\.0\n\n### Minor Changes\n\n- Reads a newer format\./);
    expect(existsSync(join(root, '.changeset/one.md'))).toBe(false);
    expect((await planVersions(root)).packages).toEqual([]);
  });

  test('the lock file follows the workspaces', async () => {
    changeset({ '@tiny/core': 'patch' }, 'Faster.');
    const touched = await (await planVersions(root)).apply();
    expect(touched).toContain('package-lock.json');
    expect(pkg('package-lock.json')).toMatchObject({ packages: { 'packages/core': { version: '1.2.4' } } });
    expect(pkg('filters/a/package.json').dependencies).toEqual({ '@tiny/core': '1.2.4' });
  });

  test('mistakes are named', async () => {
    changeset({ '@tiny/nobody': 'patch' }, 'Text.');
    await expect(planVersions(root)).rejects.toThrow(/one\.md names @tiny\/nobody.*Packages: @tiny\/a, @tiny\/b/);
    write('.changeset/one.md', 'no front matter');
    await expect(planVersions(root)).rejects.toThrow(/README\.md shows the format/);
    rmSync(join(root, '.changeset/one.md'));
    write('.changeset/config.json', { access: 'sometimes' });
    await expect(planVersions(root)).rejects.toThrow(/config\.json: .*Repair the file/s);
    write('packages/core/package.json', { name: '@tiny/core', version: '1.0.0', dependencies: { '@tiny/b': '0.4.0' } });
    expect(() => inDependencyOrder(releasables(root))).toThrow(/@tiny\/a -> @tiny\/core -> @tiny\/b -> @tiny\/a/);
  });
});
