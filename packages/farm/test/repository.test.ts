// Rules of the repository itself: filters/ is the only list of filters, dependencies point one way, the farm teaches.

import { execFile, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Finding } from '../src/doctor.ts';
import { readFilters } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { repositoryFiles } from '../src/reproduce.ts';

const farm = (...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    const command = [join(ROOT, 'packages/farm/src/main.ts'), ...args];
    execFile(process.execPath, command, { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : typeof error.code === 'number' ? error.code : 128, stdout, stderr });
    });
  });

describe('the repository', () => {
  test('names its filters in filters/ alone', async () => {
    const names = (await readFilters()).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    // A name in quotes is data. People's words (docs, READMEs), the catalogue of all registered IDs, pins of upstreams,
    // fixed reference data, the benchmarks' pipelines and peers, comments and tests may speak of filters; so may the two places that know
    // libhdf5's own filters by their IDs, the one that asks for the program bzip2, and the Python that speaks HSDS's words.
    const quoted = new RegExp(`['"\`](${names.join('|')})['"\`]`);
    const spoken =
      /^(filters|upstreams|docs|tests|registry\/filters|registry\/src\/generated)\/|\/test\/|^packages\/bench\/src\/(peers\.ts|native\.py|(reading|hsds)\.(py|ts))$|^packages\/chunks\/src\/host\.ts$|^packages\/farm\/src\/((demo|gpu-test|sources)\.ts|gpu_test\.py)$|^packages\/hsds\/python\/|\.md$|package-lock\.json$|\/data\//;
    const found = repositoryFiles()
      .filter((file) => !spoken.test(file) && /\.(ts|mjs|js|json|c|h|cc|py|cmake|txt|yml|sh)$|^farm$/.test(file))
      .filter((file) => quoted.test(readFileSync(join(ROOT, file), 'utf8').replace(/^\s*(\/\*|\*|\/\/|#).*$/gm, '')));
    expect(found).toEqual([]);
  });

  test.each([
    ['packages/core/src/x.ts', '@h5z/registry'],
    ['packages/native/src/x.ts', '@h5z/chunks'],
    ['packages/chunks/src/x.ts', '@h5z/registry'],
    ['registry/src/x.ts', '@h5z/readers'],
    ['packages/readers/src/x.ts', 'h5z'],
    ['packages/hsds/src/x.ts', '@h5z/chunks'],
    ['packages/gpu/src/x.ts', '@h5z/readers'],
    ['packages/cli/src/x.ts', '@h5z/farm'],
  ])('lint refuses that %s imports %s', (file, target) => {
    const folder = mkdtempSync(join(tmpdir(), 'h5z-lint-'));
    for (const name of ['biome.json', '.gitignore']) cpSync(join(ROOT, name), join(folder, name));
    mkdirSync(join(folder, file, '..'), { recursive: true });
    const lint = (name: string): string => {
      writeFileSync(join(folder, file), `import { thing } from '${name}';\n\nthing();\n`);
      const biome = [join(ROOT, 'node_modules/@biomejs/biome/bin/biome'), 'lint', file];
      const { stdout, stderr } = spawnSync(process.execPath, biome, { cwd: folder, encoding: 'utf8' });
      return stdout + stderr;
    };
    expect(lint(target)).toContain('noRestrictedImports');
    expect(lint('some-other-package')).toContain('Checked 1 file');
    rmSync(folder, { recursive: true });
  });
});

describe('./farm', () => {
  test('--help names every command, and each has a --help', async () => {
    const { stdout, status } = await farm('--help');
    expect(status).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}(\S+) {2,}\S/gm)].map((match) => match[1] as string);
    for (const name of [
      'build',
      'demo',
      'doctor',
      'fetch',
      'lint',
      'matrix',
      'new-filter',
      'pack',
      'release',
      'task',
      'test',
      'version',
    ])
      expect(commands).toContain(name);
    for (const name of commands) expect((await farm(name, '--help')).stdout).toContain(`usage: ./farm ${name}`);
  });

  test('an unknown command, option or filter is an error that names what there is', async () => {
    const { name } = (await readFilters())[0] as { name: string };
    for (const [args, text] of [
      [['nonsense'], 'Commands: '],
      [['build', '--nonsense'], './farm build --help'],
      [['build', 'nonsense'], name],
      [['build', '--targets', 'nonsense'], 'linux-arm64'],
      [['task', name, 'nonsense'], 'h5wasm'],
    ] as const) {
      const { status, stderr } = await farm(...args);
      expect(status).toBe(1);
      expect(stderr).toContain(text);
      expect(stderr).not.toContain('    at ');
    }
  });

  test('doctor --json: each tool with version, state, use and, where it is not there, one command', async () => {
    const { stdout, status } = await farm('doctor', '--json');
    const findings = JSON.parse(stdout) as Finding[];
    expect(findings.length).toBeGreaterThan(10);
    for (const { tool, version, state, use, fix } of findings) {
      expect([tool, version, use].every((text) => text.length > 0)).toBe(true);
      expect(['ok', 'auto', 'missing']).toContain(state);
      expect(fix === '', `${tool}: ${fix}`).toBe(state === 'ok');
      expect(fix).not.toContain('\n');
    }
    expect(status).toBe(findings.some(({ state }) => state === 'missing') ? 1 : 0);
    expect(findings.find(({ tool }) => tool === 'zig')).toMatchObject({ state: 'ok' });
    expect(findings.map(({ tool }) => tool)).toContain('ccache');
  });
});
